//! HTTP/1 and, if the client begins so, HTTP/2.

use super::{Asked, End, Next, Step, Surroundings, Watched};
use crate::{
    gate::{Decided, Gate},
    message::{Side, Verdict, What},
    redaction::Redaction,
};
use ciliate_http::{
    Refusal, Request, Scratch, Settings,
    h1::{self, ClientEnd, Decision, Rejudged, Response, ServerEnd},
    h2::{self, GRPC_DENIED, Spoken},
};
use std::{sync::Arc, time::Instant};

#[derive(Debug)]
pub struct Http {
    settings: Arc<Settings>,
    version: Version,
}

#[derive(Debug)]
enum Version {
    /// The client has not said enough.
    Unknown,
    One(Box<h1::Connection<Token>>),
    Two(Box<h2::Connection<Token>>),
}

impl Http {
    pub fn new(settings: &Arc<Settings>) -> Self {
        Self { settings: Arc::clone(settings), version: Version::Unknown }
    }

    pub fn client(&mut self, input: &[u8], around: &mut Surroundings<'_>) -> Step {
        if let Version::Unknown = self.version {
            self.version = match h2::spoken(input) {
                Spoken::Unknown => return Step::nothing(Next::More),
                Spoken::Http1 => Version::One(Box::new(h1::Connection::new(Arc::clone(&self.settings)))),
                Spoken::Http2 => Version::Two(Box::new(h2::Connection::new(Arc::clone(&self.settings)))),
            };
        }
        match &mut self.version {
            Version::Unknown => Step::nothing(Next::More),
            Version::One(connection) => client_one(connection, input, around),
            Version::Two(connection) => client_two(connection, input, around),
        }
    }

    pub fn server(&mut self, input: &[u8], around: &mut Surroundings<'_>) -> Step {
        let (consumed, forward, next) = match &mut self.version {
            // A server may begin with its settings; whether it may is known when the client has spoken.
            Version::Unknown => return Step::nothing(Next::Wait),
            Version::One(connection) => {
                let step = connection.server(input, around.to_client);
                if let Some(response) = step.response {
                    answered(around.answered, response);
                }
                let next = match step.next {
                    h1::ServerNext::More => Next::More,
                    h1::ServerNext::Again => Next::Again,
                    h1::ServerNext::Close => Next::Finish,
                    h1::ServerNext::Abort(fault) if around.to_client.is_empty() => Next::Cut(fault.name()),
                    h1::ServerNext::Abort(_) => Next::Finish,
                };
                (step.consumed, step.forward, next)
            }
            Version::Two(connection) => {
                let step = connection.server(input, around.to_client, |response| {
                    answered(around.answered, response);
                });
                connection.write_to_server(around.to_server);
                let next = match step.next {
                    h2::ServerNext::More => Next::More,
                    h2::ServerNext::Again => Next::Again,
                    h2::ServerNext::Wait => Next::Wait,
                    h2::ServerNext::Abort(fault) => Next::Cut(fault.name()),
                };
                (step.consumed, step.forward, next)
            }
        };
        Step { consumed, forward, next }
    }

    pub fn client_opaque(&self) -> u64 {
        match &self.version {
            Version::Unknown => 0,
            Version::One(connection) => connection.client_opaque(),
            Version::Two(connection) => connection.client_opaque(),
        }
    }

    pub fn server_opaque(&self) -> u64 {
        match &self.version {
            Version::Unknown => 0,
            Version::One(connection) => connection.server_opaque(),
            Version::Two(connection) => connection.server_opaque(),
        }
    }

    pub fn client_spliced(&mut self, len: u64) {
        match &mut self.version {
            Version::Unknown => {}
            Version::One(connection) => connection.client_spliced(len),
            Version::Two(connection) => connection.client_spliced(len),
        }
    }

    pub fn server_spliced(&mut self, len: u64) {
        match &mut self.version {
            Version::Unknown => {}
            Version::One(connection) => connection.server_spliced(len),
            Version::Two(connection) => connection.server_spliced(len),
        }
    }

    pub fn client_end(&mut self) -> End {
        let end = match &mut self.version {
            Version::Unknown => return End::Close,
            Version::One(connection) => connection.client_end(),
            Version::Two(connection) => connection.client_end(),
        };
        match end {
            ClientEnd::Idle => End::Close,
            ClientEnd::HalfClosed => End::Pass,
            ClientEnd::Truncated => End::Cut,
        }
    }

    pub fn server_end(&mut self) -> End {
        let end = match &mut self.version {
            Version::Unknown => return End::Close,
            Version::One(connection) => connection.server_end(),
            Version::Two(connection) => connection.server_end(),
        };
        match end {
            ServerEnd::Complete => End::Close,
            ServerEnd::HalfClosed => End::Pass,
            ServerEnd::Truncated => End::Cut,
        }
    }

    /// The connection is over: tells of responses that had begun.
    pub fn abandon(&mut self, tell: &mut dyn FnMut(&Asked)) {
        if let Version::Two(connection) = &mut self.version {
            connection.abandon().for_each(|response| answered(tell, response));
        }
    }

    pub fn unreachable(&mut self, to_client: &mut Vec<u8>) {
        match &mut self.version {
            Version::Unknown => {}
            Version::One(connection) => connection.give_up(503, to_client),
            Version::Two(connection) => connection.give_up(503, to_client),
        }
    }

    /// Whether the connection may go on; what is no longer allowed in one that carries more than one request is ended alone.
    pub fn still_allowed(
        &mut self,
        gate: &Gate,
        scratch: &mut Scratch,
        out: (&mut Vec<u8>, &mut Vec<u8>),
    ) -> bool {
        let allowed = |request: &Request<'_>| {
            let decided = gate.http(request, scratch, &mut Vec::new());
            matches!(decided.verdict, Verdict::Forwarded | Verdict::Audited)
        };
        match &mut self.version {
            Version::Unknown => true,
            Version::One(connection) => connection.rejudge(allowed) == Rejudged::Allowed,
            Version::Two(connection) => {
                connection.rejudge(out.0, out.1, allowed);
                true
            }
        }
    }
}

fn client_one(connection: &mut h1::Connection<Token>, input: &[u8], around: &mut Surroundings<'_>) -> Step {
    let Surroundings { shared, gate, scratch, to_server, to_client, tell, watched, .. } = around;
    let words = Words { watched: *watched, redaction: &shared.settings.redaction };
    let step =
        connection.client(input, to_server, to_client, |request| judge(gate, scratch, tell, words, request));
    let last = |connection: &h1::Connection<Token>| match connection.outstanding() {
        0 => Next::Finish,
        _ => Next::Deaf,
    };
    let next = match step.next {
        h1::ClientNext::More => Next::More,
        h1::ClientNext::Again => Next::Again,
        h1::ClientNext::Wait => Next::Wait,
        h1::ClientNext::Last => last(connection),
        h1::ClientNext::Refused(refusal) => {
            refused(tell, words, refusal);
            last(connection)
        }
        h1::ClientNext::Abort(refusal) => {
            refused(tell, words, refusal);
            Next::Cut(refusal.name())
        }
    };
    Step { consumed: step.consumed, forward: step.forward, next }
}

fn client_two(connection: &mut h2::Connection<Token>, input: &[u8], around: &mut Surroundings<'_>) -> Step {
    let Surroundings { shared, gate, scratch, to_server, to_client, tell, watched, .. } = around;
    let words = Words { watched: *watched, redaction: &shared.settings.redaction };
    let step =
        connection.client(input, to_server, to_client, |request| judge(gate, scratch, tell, words, request));
    connection.ended_early().for_each(|response| answered(around.answered, response));
    if let Some(refusal) = step.refused {
        refused(tell, words, refusal);
    }
    let next = match step.next {
        h2::ClientNext::More => Next::More,
        h2::ClientNext::Again => Next::Again,
        h2::ClientNext::Wait => Next::Wait,
        h2::ClientNext::Close(refusal) => {
            refused(tell, words, refusal);
            Next::Finish
        }
    };
    Step { consumed: step.consumed, forward: step.forward, next }
}

type Tell<'a> = dyn FnMut(Decided, Option<&What>) + 'a;

/// What comes back with a response, if anybody wants to know.
type Token = Option<Box<Asked>>;

/// Whether and how requests are put into words.
#[derive(Clone, Copy)]
struct Words<'a> {
    watched: Watched,
    redaction: &'a Redaction,
}

fn judge(
    gate: &Gate,
    scratch: &mut Scratch,
    tell: &mut Tell<'_>,
    words: Words<'_>,
    request: &Request<'_>,
) -> Decision<Token> {
    let mut edits = Vec::new();
    let decided = gate.http(request, scratch, &mut edits);
    let what = words.watched.then(|| words.redaction.http(request));
    match decided.verdict {
        Verdict::Forwarded | Verdict::Audited => {
            tell(decided, what.as_ref());
            let token = what.map(|what| Box::new(Asked { decided, what, at: Instant::now() }));
            Decision::Allow { token, edits }
        }
        Verdict::Denied | Verdict::Refused => {
            tell(decided, what.map(|what| denied(request, what)).as_ref());
            Decision::Deny
        }
    }
}

fn answered(tell: &mut dyn FnMut(&Asked), response: Response<Token>) {
    if let Some(mut asked) = response.token {
        if let What::Http { status, grpc_status, .. } = &mut asked.what {
            (*status, *grpc_status) = (Some(response.status), response.grpc_status);
        }
        tell(&asked);
    }
}

fn refused(tell: &mut Tell<'_>, words: Words<'_>, refusal: Refusal) {
    let decided = Decided { verdict: Verdict::Refused, side: Side::Ingress, rule: 0 };
    let what = words.watched.then(|| What::Malformed { reason: refusal.name().to_owned() });
    tell(decided, what.as_ref());
}

/// With what the client gets.
fn denied(request: &Request<'_>, mut what: What) -> What {
    if let What::Http { status, grpc_status, .. } = &mut what {
        *status = Some(if request.grpc { 200 } else { 403 });
        *grpc_status = request.grpc.then_some(GRPC_DENIED);
    }
    what
}
