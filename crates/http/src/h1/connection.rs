//! One client's connection and the connection to its server: what the client sends.

use super::{
    body::{Framer, Strictness},
    head::{self, Flags, Head},
    rewrite,
    state::{After, Client, Continued, Open, Server, To},
    step::{ClientEnd, ClientNext, ClientStep, Decision, Rejudged},
};
use crate::{
    Refusal, Request, Settings,
    reply::{BodySent, Persistence, Reply},
};
use std::{collections::VecDeque, sync::Arc};

/// A client's connection and the connection to the server that belongs to it, from one request to the next.
///
/// `T` is what the caller wants back when the response to an allowed request begins.
#[derive(Debug)]
pub struct Connection<T> {
    pub(super) settings: Arc<Settings>,
    pub(super) client: Client,
    pub(super) server: Server,
    /// Requests that are not answered to their end, in order.
    pub(super) open: VecDeque<Open<T>>,
    /// The heads of those that went to the server, one behind the other, for [`rejudge`](Self::rejudge).
    heads: Vec<u8>,
    /// Where the head of the first of them begins.
    first_head: usize,
}

/// Above this the room for heads is given back when nobody waits.
const HEADS_KEPT: usize = 2048;

impl<T> Connection<T> {
    #[must_use]
    pub fn new(settings: Arc<Settings>) -> Self {
        Self {
            settings,
            client: Client::Head { seen: 0 },
            server: Server::Head,
            open: VecDeque::new(),
            heads: Vec::new(),
            first_head: 0,
        }
    }

    /// Takes what the client has sent and was not consumed yet. `judge` is called once for each request, when its head is whole.
    pub fn client(
        &mut self,
        input: &[u8],
        to_server: &mut Vec<u8>,
        to_client: &mut Vec<u8>,
        mut judge: impl FnMut(&Request<'_>) -> Decision<T>,
    ) -> ClientStep {
        let mut step = ClientStep { consumed: 0, forward: 0..0, next: ClientNext::More };
        let written = to_server.len();
        loop {
            let rest = input.get(step.consumed..).unwrap_or_default();
            // What is forwarded is one piece of the input, and before what is written.
            let gap = !step.forward.is_empty() && step.forward.end != step.consumed;
            if !rest.is_empty() && self.client != Client::Done && (gap || to_server.len() > written) {
                step.next = ClientNext::Again;
                return step;
            }
            match self.client {
                Client::Head { seen } => {
                    if let [b'\r', b'\n', ..] = rest {
                        step.consumed = step.consumed.saturating_add(2);
                        continue;
                    }
                    if let [] | [b'\r'] = rest {
                        return step;
                    }
                    if self.open.len() >= self.settings.limits.pipeline {
                        step.next = ClientNext::Wait;
                        return step;
                    }
                    if seen > 0 && !may_go_on(rest, seen, &self.settings) {
                        self.client = Client::Head { seen: rest.len() };
                        return step;
                    }
                    match head::read(rest, &self.settings) {
                        Ok(None) => {
                            self.client = Client::Head { seen: rest.len() };
                            return step;
                        }
                        Ok(Some(head)) => match self.request(&head, rest, to_server, to_client, &mut judge) {
                            Ok(Passed::AsItIs) => step.pass(head.len),
                            Ok(Passed::Written | Passed::NotAtAll) => step.skip(head.len),
                            Err(refusal) => return self.refuse(refusal, input, step, to_client),
                        },
                        Err(refusal) => return self.refuse(refusal, input, step, to_client),
                    }
                }
                Client::Body { mut framer, to, after } => {
                    let progress = match framer.advance(rest, Strictness::Requests, &self.settings.limits) {
                        Ok(progress) => progress,
                        Err(refusal) => {
                            self.client = Client::Done;
                            step.consumed = input.len();
                            step.next = match to {
                                To::Server => ClientNext::Abort(refusal),
                                To::Nobody => ClientNext::Refused(refusal),
                            };
                            return step;
                        }
                    };
                    match to {
                        To::Server => step.pass(progress.used),
                        To::Nobody => step.skip(progress.used),
                    }
                    if !progress.done && !framer.ended() {
                        self.client = Client::Body { framer, to, after };
                        return step;
                    }
                    self.client = after.into();
                }
                Client::Upgrading => {
                    step.next = ClientNext::Wait;
                    return step;
                }
                Client::Tunnel => {
                    step.pass(rest.len());
                    return step;
                }
                Client::Done => {
                    step.consumed = input.len();
                    step.next = ClientNext::Last;
                    return step;
                }
            }
        }
    }

    fn request(
        &mut self,
        head: &Head,
        buffer: &[u8],
        to_server: &mut Vec<u8>,
        to_client: &mut Vec<u8>,
        judge: &mut impl FnMut(&Request<'_>) -> Decision<T>,
    ) -> Result<Passed, Refusal> {
        if !head.flags.has(Flags::REWRITE) {
            let whole = buffer.get(..head.len).unwrap_or_default();
            return Ok(match judge(&head.request(whole)) {
                Decision::Allow { token, edits } if edits.is_empty() => {
                    self.allowed(head, whole, token);
                    Passed::AsItIs
                }
                Decision::Allow { token, edits } => {
                    self.allowed(head, whole, token);
                    rewrite::edited(whole, head.lines.of(whole), &edits, to_server);
                    Passed::Written
                }
                Decision::Deny => {
                    self.denied(head, to_client);
                    Passed::NotAtAll
                }
            });
        }
        let mut form = Vec::with_capacity(head.len);
        rewrite::canonical(head, buffer, &self.settings, &mut form)?;
        // Read again from the start: what is matched is what the server reads.
        let again = head::read(&form, &self.settings)?.ok_or(Refusal::RequestLine)?;
        if again.flags.has(Flags::REWRITE) || again.len != form.len() {
            return Err(Refusal::RequestLine);
        }
        match self.request(&again, &form, to_server, to_client, judge)? {
            Passed::AsItIs => {
                to_server.extend_from_slice(&form);
                Ok(Passed::Written)
            }
            other => Ok(other),
        }
    }

    fn allowed(&mut self, head: &Head, whole: &[u8], token: T) {
        self.heads.extend_from_slice(whole);
        self.open.push_back(Open::Server {
            token: Some(token),
            head_len: whole.len(),
            flags: head.flags,
            continued: Continued::No,
        });
        self.client = if head.flags.has(Flags::WEBSOCKET) {
            Client::Upgrading
        } else {
            let after = if head.flags.has(Flags::CLOSE) { After::Nothing } else { After::NextRequest };
            Framer::new(head.body).map_or(after.into(), |framer| Client::Body {
                framer,
                to: To::Server,
                after,
            })
        };
    }

    fn denied(&mut self, head: &Head, to_client: &mut Vec<u8>) {
        let framer = Framer::new(head.body);
        // Whoever waits for 100 may leave the body out when it is refused, or not: what comes next is uncertain.
        let uncertain = framer.is_some() && head.flags.has(Flags::EXPECT);
        let after =
            if uncertain || head.flags.has(Flags::CLOSE) { After::Nothing } else { After::NextRequest };
        let persistence = match (after, head.flags.has(Flags::KEEP_ALIVE)) {
            (After::Nothing, _) => Persistence::Close,
            (After::NextRequest, true) => Persistence::KeepAlive,
            (After::NextRequest, false) => Persistence::Persistent,
        };
        self.client = match framer {
            Some(framer) if !uncertain => Client::Body { framer, to: To::Nobody, after },
            Some(_) | None => after.into(),
        };
        let body = if head.flags.has(Flags::HEAD) { BodySent::No } else { BodySent::Yes };
        self.open.push_back(Open::Local(Reply { status: 403, body, persistence }));
        self.answer_denied(to_client);
    }

    #[cold]
    fn refuse(
        &mut self,
        refusal: Refusal,
        input: &[u8],
        mut step: ClientStep,
        to_client: &mut Vec<u8>,
    ) -> ClientStep {
        self.client = Client::Done;
        let reply = Reply { status: refusal.status(), body: BodySent::Yes, persistence: Persistence::Close };
        self.open.push_back(Open::Local(reply));
        self.answer_denied(to_client);
        step.consumed = input.len();
        step.next = ClientNext::Refused(refusal);
        step
    }

    /// Writes the proxy's own answers that are due.
    pub(super) fn answer_denied(&mut self, to_client: &mut Vec<u8>) {
        while let Some(Open::Local(reply)) = self.open.front() {
            reply.write(&self.settings, to_client);
            self.open.pop_front();
        }
    }

    /// The first of the open requests is answered to its end.
    pub(super) fn answered(&mut self) {
        if let Some(Open::Server { head_len, .. }) = self.open.pop_front() {
            self.first_head = self.first_head.saturating_add(head_len);
        }
        if self.first_head >= self.heads.len() {
            self.first_head = 0;
            self.heads.clear();
            self.heads.shrink_to(HEADS_KEPT);
        }
    }

    /// How many requests are not answered to their end. 0: the connection is idle, or the client is in the middle of a request.
    #[must_use]
    pub fn outstanding(&self) -> usize {
        self.open.len()
    }

    /// How many of the client's next bytes go to the server whatever they are; they may pass without [`client`](Self::client).
    #[must_use]
    pub fn client_opaque(&self) -> u64 {
        match &self.client {
            Client::Body { framer, to: To::Server, .. } => framer.opaque(),
            Client::Tunnel => u64::MAX,
            Client::Body { .. } | Client::Head { .. } | Client::Upgrading | Client::Done => 0,
        }
    }

    /// This many of the [opaque](Self::client_opaque) bytes have gone to the server. Then `client` is called as always, if only with no input.
    pub fn client_spliced(&mut self, len: u64) {
        if let Client::Body { framer, .. } = &mut self.client {
            framer.pass(len);
        }
    }

    /// The client sends no more.
    pub fn client_end(&mut self) -> ClientEnd {
        let end = match self.client {
            Client::Tunnel => return ClientEnd::HalfClosed,
            Client::Body { to: To::Server, framer, .. } if !framer.ended() => ClientEnd::Truncated,
            Client::Body { .. } | Client::Head { .. } | Client::Upgrading | Client::Done => {
                if self.open.is_empty() { ClientEnd::Idle } else { ClientEnd::HalfClosed }
            }
        };
        if self.client != Client::Upgrading {
            self.client = Client::Done;
        }
        end
    }

    /// Asks again about every request that is not answered to its end, a tunnel's included: true from `judge` means allowed.
    pub fn rejudge(&self, mut judge: impl FnMut(&Request<'_>) -> bool) -> Rejudged {
        let mut rest = self.heads.get(self.first_head..).unwrap_or_default();
        for open in &self.open {
            let Open::Server { head_len, .. } = open else { continue };
            let (head, after) = rest.split_at_checked(*head_len).unwrap_or_default();
            rest = after;
            let allowed = match head::read(head, &self.settings) {
                Ok(Some(read)) => judge(&read.request(head)),
                Ok(None) | Err(_) => false,
            };
            if !allowed {
                return Rejudged::Denied;
            }
        }
        Rejudged::Allowed
    }
}

/// How a request's head got to the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Passed {
    AsItIs,
    Written,
    NotAtAll,
}

impl ClientStep {
    fn pass(&mut self, len: usize) {
        if self.forward.is_empty() {
            self.forward = self.consumed..self.consumed;
        }
        self.skip(len);
        self.forward.end = self.consumed;
    }

    fn skip(&mut self, len: usize) {
        self.consumed = self.consumed.saturating_add(len);
    }
}

/// Whether reading an incomplete head again can tell more than before: a further line is whole, or it has become too long.
fn may_go_on(rest: &[u8], seen: usize, settings: &Settings) -> bool {
    rest.len() > settings.limits.target.min(settings.limits.request_head)
        || memchr::memchr(b'\n', rest.get(seen..).unwrap_or_default()).is_some()
}
