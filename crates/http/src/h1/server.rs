//! One client's connection and the connection to its server: what the server sends.

use super::{
    body::{Framer, Strictness},
    connection::Connection,
    head::Flags,
    response::{self, Asked},
    state::{After, Client, Continued, Open, Server, To},
    step::{Response, ServerEnd, ServerNext, ServerStep},
};
use crate::{
    ServerFault,
    reply::{BodySent, Persistence, Reply},
};

impl<T> Connection<T> {
    /// Takes what the server has sent and was not consumed yet.
    pub fn server(&mut self, input: &[u8], to_client: &mut Vec<u8>) -> ServerStep<T> {
        let mut step = ServerStep { consumed: 0, forward: 0..0, response: None, next: ServerNext::More };
        let written = to_client.len();
        loop {
            let rest = input.get(step.consumed..).unwrap_or_default();
            let gap = !step.forward.is_empty() && step.forward.end != step.consumed;
            if !rest.is_empty() && self.server != Server::Closed && (gap || to_client.len() > written) {
                step.next = ServerNext::Again;
                return step;
            }
            match self.server {
                Server::Head => {
                    if let [b'\r' | b'\n', ..] = rest {
                        step.consumed = step.consumed.saturating_add(1);
                        continue;
                    }
                    if rest.is_empty() {
                        return step;
                    }
                    if step.response.is_some() {
                        step.next = ServerNext::Again;
                        return step;
                    }
                    match self.response(rest, &mut step) {
                        Ok(true) => {}
                        Ok(false) => return step,
                        Err(fault) => {
                            self.give_up(fault.status(), to_client);
                            step.consumed = input.len();
                            step.next = ServerNext::Abort(fault);
                            return step;
                        }
                    }
                }
                Server::Body { mut framer, after } => {
                    let Ok(progress) = framer.advance(rest, Strictness::Responses, &self.settings.limits)
                    else {
                        self.close();
                        step.consumed = input.len();
                        step.next = ServerNext::Abort(ServerFault::Chunk);
                        return step;
                    };
                    step.pass(progress.used);
                    if !progress.done && !framer.ended() {
                        self.server = Server::Body { framer, after };
                        return step;
                    }
                    self.end_response(after);
                }
                Server::Tunnel => {
                    step.pass(rest.len());
                    return step;
                }
                Server::Closed => {
                    step.consumed = input.len();
                    step.next = ServerNext::Close;
                    return step;
                }
            }
            if self.server == Server::Head {
                self.answer_denied(to_client);
                if self.client == Client::Done && self.open.is_empty() {
                    self.close();
                }
            }
        }
    }

    /// Reads the head of a response; false if it is not whole.
    fn response(&mut self, rest: &[u8], step: &mut ServerStep<T>) -> Result<bool, ServerFault> {
        let in_body = matches!(self.client, Client::Body { .. });
        let last = self.open.len() == 1;
        let Some(Open::Server { token, flags, continued, .. }) = self.open.front_mut() else {
            return Err(ServerFault::Unrequested);
        };
        let asked = if flags.has(Flags::HEAD) { Asked::Head } else { Asked::Other };
        let Some(head) = response::read(rest, asked, &self.settings.limits)? else { return Ok(false) };
        let websocket = flags.has(Flags::WEBSOCKET);
        if head.status == 101 {
            if !websocket || !head.websocket {
                return Err(ServerFault::UnrequestedUpgrade);
            }
            self.client = Client::Tunnel;
            self.server = Server::Tunnel;
        } else if head.status < 200 {
            *continued = Continued::Yes;
            step.pass(head.len);
            return Ok(true);
        } else {
            // An answer instead of 100: whether the client still sends the body it has announced is uncertain.
            let uncertain = flags.has(Flags::EXPECT) && *continued == Continued::No && last && in_body;
            let after = if head.close || uncertain { After::Nothing } else { After::NextRequest };
            if websocket {
                self.client = Client::Head { seen: 0 };
            }
            match Framer::new(head.body) {
                Some(framer) => self.server = Server::Body { framer, after },
                None => {
                    step.response =
                        token.take().map(|token| Response { token, status: head.status, grpc_status: None });
                    step.pass(head.len);
                    self.end_response(after);
                    return Ok(true);
                }
            }
        }
        step.response = token.take().map(|token| Response { token, status: head.status, grpc_status: None });
        step.pass(head.len);
        Ok(true)
    }

    fn end_response(&mut self, after: After) {
        self.answered();
        // The server has answered without the rest of the body. One that has forgotten that there is a body would take the rest for
        // requests, which no rule has seen: it does not get it.
        let unheard = matches!(self.client, Client::Body { to: To::Server, framer, .. } if !framer.ended());
        let after = if unheard && self.open.is_empty() { After::Nothing } else { after };
        match after {
            After::NextRequest => self.server = Server::Head,
            After::Nothing => self.close(),
        }
    }

    fn close(&mut self) {
        self.client = Client::Done;
        self.server = Server::Closed;
    }

    /// The server cannot be reached, or does not answer in time, or not properly: if a response is due of which nothing has gone to the client
    /// yet, it gets `status`. Close both connections after it.
    pub fn give_up(&mut self, status: u16, to_client: &mut Vec<u8>) {
        if let (Server::Head, Some(Open::Server { flags, .. })) = (self.server, self.open.front()) {
            let body = if flags.has(Flags::HEAD) { BodySent::No } else { BodySent::Yes };
            Reply { status, body, persistence: Persistence::Close }.write(&self.settings, to_client);
        }
        self.close();
    }

    /// How many of the server's next bytes go to the client whatever they are; they may pass without [`server`](Self::server).
    #[must_use]
    pub fn server_opaque(&self) -> u64 {
        match &self.server {
            Server::Body { framer, .. } => framer.opaque(),
            Server::Tunnel => u64::MAX,
            Server::Head | Server::Closed => 0,
        }
    }

    /// This many of the [opaque](Self::server_opaque) bytes have gone to the client. Then `server` is called as always, if only with no input.
    pub fn server_spliced(&mut self, len: u64) {
        if let Server::Body { framer, .. } = &mut self.server {
            framer.pass(len);
        }
    }

    /// The server sends no more.
    pub fn server_end(&mut self) -> ServerEnd {
        let end = match self.server {
            Server::Tunnel => return ServerEnd::HalfClosed,
            Server::Body { framer: Framer::UntilClose, .. } | Server::Closed => ServerEnd::Complete,
            Server::Head if self.open.is_empty() => ServerEnd::Complete,
            Server::Body { framer, .. } if framer.ended() => ServerEnd::Complete,
            Server::Head | Server::Body { .. } => ServerEnd::Truncated,
        };
        self.close();
        end
    }
}

impl<T> ServerStep<T> {
    fn pass(&mut self, len: usize) {
        if self.forward.is_empty() {
            self.forward = self.consumed..self.consumed;
        }
        self.consumed = self.consumed.saturating_add(len);
        self.forward.end = self.consumed;
    }
}
