//! HTTP/1.

use super::{End, Next, Step, Surroundings};
use crate::{
    gate::{Decided, Gate},
    message::{Side, Verdict, What},
};
use ciliate_http::{
    Refusal, Request, Scratch, Settings,
    h1::{ClientEnd, ClientNext, Connection, Decision, Rejudged, ServerEnd, ServerNext},
};
use std::sync::Arc;

#[derive(Debug)]
pub struct Http {
    connection: Connection<()>,
}

impl Http {
    pub fn new(settings: &Arc<Settings>) -> Self {
        Self { connection: Connection::new(Arc::clone(settings)) }
    }

    pub fn client(&mut self, input: &[u8], around: &mut Surroundings<'_>) -> Step {
        let Surroundings { gate, scratch, to_server, to_client, tell, .. } = around;
        let step = self.connection.client(input, to_server, to_client, |request| {
            let mut edits = Vec::new();
            let decided = gate.http(request, scratch, &mut edits);
            tell(decided, &|| what(request));
            match decided.verdict {
                Verdict::Forwarded | Verdict::Audited => Decision::Allow { token: (), edits },
                Verdict::Denied | Verdict::Refused => Decision::Deny,
            }
        });
        let mut refused = |refusal: Refusal| {
            let decided = Decided { verdict: Verdict::Refused, side: Side::Ingress, rule: 0 };
            tell(decided, &|| What::Malformed { reason: refusal.name().to_owned() });
        };
        let next = match step.next {
            ClientNext::More => Next::More,
            ClientNext::Again => Next::Again,
            ClientNext::Wait => Next::Wait,
            ClientNext::Last => self.last(),
            ClientNext::Refused(refusal) => {
                refused(refusal);
                self.last()
            }
            ClientNext::Abort(refusal) => {
                refused(refusal);
                Next::Cut(refusal.name())
            }
        };
        Step { consumed: step.consumed, forward: step.forward, next }
    }

    /// Nothing more is read from the client; the answers that it has coming it gets.
    fn last(&self) -> Next {
        match self.connection.outstanding() {
            0 => Next::Finish,
            _ => Next::Deaf,
        }
    }

    pub fn server(&mut self, input: &[u8], around: &mut Surroundings<'_>) -> Step {
        let step = self.connection.server(input, around.to_client);
        let next = match step.next {
            ServerNext::More => Next::More,
            ServerNext::Again => Next::Again,
            ServerNext::Close => Next::Finish,
            ServerNext::Abort(fault) if around.to_client.is_empty() => Next::Cut(fault.name()),
            ServerNext::Abort(_) => Next::Finish,
        };
        Step { consumed: step.consumed, forward: step.forward, next }
    }

    pub fn client_end(&mut self) -> End {
        match self.connection.client_end() {
            ClientEnd::Idle => End::Close,
            ClientEnd::HalfClosed => End::Pass,
            ClientEnd::Truncated => End::Cut,
        }
    }

    pub fn server_end(&mut self) -> End {
        match self.connection.server_end() {
            ServerEnd::Complete => End::Close,
            ServerEnd::HalfClosed => End::Pass,
            ServerEnd::Truncated => End::Cut,
        }
    }

    pub fn unreachable(&mut self, to_client: &mut Vec<u8>) {
        self.connection.give_up(503, to_client);
    }

    pub fn still_allowed(&self, gate: &Gate, scratch: &mut Scratch) -> bool {
        let allowed = self.connection.rejudge(|request| {
            let decided = gate.http(request, scratch, &mut Vec::new());
            matches!(decided.verdict, Verdict::Forwarded | Verdict::Audited)
        });
        allowed == Rejudged::Allowed
    }
}

fn what(request: &Request<'_>) -> What {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    What::Http { method: text(request.method), path: text(request.path), host: text(request.host) }
}
