//! One client's connection and the connection to its server: what the server sends.

use super::{
    block::Grpc,
    connection::Connection,
    frame::{self, HEADER, Header, LARGEST, flag, kind},
    passage::{Fate, Side, Taken, To},
    pieces::collect,
    settings::{Turn, Who},
    step::{ServerNext, ServerStep},
    stream::{Half, Place},
};
use crate::{
    ServerFault, bytes,
    h1::{ClientEnd, Response, ServerEnd},
};

impl<T> Connection<T> {
    /// Takes what the server has sent and was not consumed yet. `respond` is called when a response begins, and for a
    /// call of gRPC when it has come to its end. The input has to grow until a block of headers is whole: up to the setting `response_head`
    /// and 32 KiB.
    pub fn server(
        &mut self,
        input: &[u8],
        to_client: &mut Vec<u8>,
        mut respond: impl FnMut(Response<T>),
    ) -> ServerStep {
        let mut taken = Taken::default();
        let written = to_client.len();
        let next = loop {
            let rest = input.get(taken.consumed..).unwrap_or_default();
            self.write_to_client(to_client);
            if rest.is_empty() {
                break ServerNext::More;
            }
            if taken.has_gap() || to_client.len() > written {
                break ServerNext::Again;
            }
            let fate = match self.server.unread(rest.len()) {
                Some(fate) => Ok(fate),
                None => self.server_frame(rest, to_client, &mut respond),
            };
            match fate {
                Ok(Fate::Partial) => break ServerNext::More,
                Ok(Fate::Wait) => break ServerNext::Wait,
                Ok(Fate::Pass(len)) => taken.pass(len),
                Ok(Fate::Skip(len)) => taken.skip(len),
                Err(fault) => {
                    self.client = Side::Closed;
                    self.server = Side::Closed;
                    taken.consumed = input.len();
                    break ServerNext::Abort(fault);
                }
            }
        };
        self.streams.untold.drain(..).for_each(respond);
        ServerStep { consumed: taken.consumed, forward: taken.forward, next }
    }

    fn server_frame(
        &mut self,
        rest: &[u8],
        to_client: &mut Vec<u8>,
        respond: &mut impl FnMut(Response<T>),
    ) -> Result<Fate, ServerFault> {
        let Some(header) = Header::read(rest) else { return Ok(Fate::Partial) };
        if self.server_turn == Turn::First && (header.kind != kind::SETTINGS || header.has(flag::ACK)) {
            return Err(ServerFault::Frame);
        }
        match header.kind {
            kind::DATA => return self.server_data(header),
            kind::HEADERS => return self.response(header, rest, respond),
            _ if header.len > LARGEST => return Err(ServerFault::Frame),
            _ => {}
        }
        let len = HEADER.saturating_add(header.len);
        let Some(payload) = rest.get(HEADER..len) else { return Ok(Fate::Partial) };
        match header.kind {
            kind::SETTINGS if !header.has(flag::ACK) => {
                let said = &mut self.server_said;
                let changed = said.take(payload, Who::Server, self.server_turn, &self.settings.limits);
                let changed = changed.map_err(|_| ServerFault::Frame)?;
                self.server_turn = Turn::Later;
                self.requests.allow(self.server_said.header_table);
                if let Some(encoder) = &mut self.encoder {
                    encoder.allow(self.server_said.header_table);
                }
                Ok(match changed {
                    None => Fate::Pass(len),
                    Some(frame) => {
                        to_client.extend(frame);
                        Fate::Skip(len)
                    }
                })
            }
            kind::RST_STREAM => match self.streams.place(header.stream) {
                Place::Idle => Err(ServerFault::Frame),
                Place::Closed => Ok(Fate::Pass(len)),
                Place::Open(_) => {
                    self.streams.remove(header.stream);
                    Ok(Fate::Pass(len))
                }
            },
            kind::SETTINGS | kind::PING | kind::GOAWAY | kind::WINDOW_UPDATE => Ok(Fate::Pass(len)),
            kind::PUSH_PROMISE => Err(ServerFault::Push),
            kind::CONTINUATION => Err(ServerFault::Frame),
            _ => Ok(Fate::Skip(len)),
        }
    }

    fn server_data(&mut self, header: Header) -> Result<Fate, ServerFault> {
        match self.streams.place(header.stream) {
            Place::Idle => return Err(ServerFault::Frame),
            Place::Open(_) => {}
            // Still on its way when the stream was ended here: the client would take it for a fault, and its room is given back in its place.
            Place::Closed => {
                if let Some(credit) = u32::try_from(header.len).ok().filter(|len| *len > 0) {
                    frame::window_update(&mut self.for_server, 0, credit);
                    self.server = Side::Payload { left: header.len, to: To::Nobody };
                }
                return Ok(Fate::Skip(HEADER));
            }
        }
        let len = i64::try_from(header.len).unwrap_or(i64::MAX);
        if self.debt > 0 && len > self.client_window {
            return Ok(Fate::Wait);
        }
        self.client_window = self.client_window.saturating_sub(len);
        if header.has(flag::END_STREAM) {
            self.server_ended(header.stream);
        }
        if header.len > 0 {
            self.server = Side::Payload { left: header.len, to: To::OtherSide };
        }
        Ok(Fate::Pass(HEADER))
    }

    fn response(
        &mut self,
        header: Header,
        rest: &[u8],
        respond: &mut impl FnMut(Response<T>),
    ) -> Result<Fate, ServerFault> {
        let most = self.settings.limits.response_head;
        let Some(len) = collect(header, rest, most, &mut self.pieces).map_err(|_| ServerFault::Frame)? else {
            return Ok(Fate::Partial);
        };
        let (mut status, mut grpc_status) = (None, None);
        let read = |name: &[u8], value: &[u8], _| {
            let number = || bytes::decimal(value).and_then(|number| u16::try_from(number).ok());
            match name {
                b":status" => status = number(),
                b"grpc-status" => grpc_status = number(),
                _ => {}
            }
        };
        self.responses.decode(&self.pieces, read).map_err(|_| ServerFault::Compression)?;
        match self.streams.place(header.stream) {
            Place::Idle => return Err(ServerFault::Frame),
            Place::Closed => {}
            Place::Open(stream) => {
                let ends = header.has(flag::END_STREAM);
                stream.status = stream.status.or(status.filter(|status| *status >= 200));
                let call = stream.block.grpc() == Grpc::Yes;
                if (ends || !call)
                    && let Some(status) = stream.status
                    && let Some(token) = stream.token.take()
                {
                    respond(Response { token, status, grpc_status: grpc_status.filter(|_| call) });
                }
                if ends {
                    self.server_ended(header.stream);
                }
            }
        }
        Ok(Fate::Pass(len))
    }

    fn server_ended(&mut self, id: u32) {
        self.premature = self.premature.saturating_sub(1);
        if let Place::Open(stream) = self.streams.place(id) {
            stream.server = Half::Ended;
            if stream.client == Half::Ended {
                self.streams.remove(id);
            }
        }
    }

    /// How many requests are not answered to their end.
    #[must_use]
    pub fn outstanding(&self) -> usize {
        self.streams.len()
    }

    /// How many of the client's next bytes go to the server whatever they are; they may pass without [`client`](Self::client).
    #[must_use]
    pub fn client_opaque(&self) -> u64 {
        self.client.opaque()
    }

    /// This many of the [opaque](Self::client_opaque) bytes have gone to the server. Then `client` is called as always, if only with no input.
    pub fn client_spliced(&mut self, len: u64) {
        self.client.advance(usize::try_from(len).unwrap_or(usize::MAX));
    }

    /// How many of the server's next bytes go to the client whatever they are.
    #[must_use]
    pub fn server_opaque(&self) -> u64 {
        self.server.opaque()
    }

    /// This many of the [opaque](Self::server_opaque) bytes have gone to the client. Then `server` is called as always, if only with no input.
    pub fn server_spliced(&mut self, len: u64) {
        self.server.advance(usize::try_from(len).unwrap_or(usize::MAX));
    }

    /// The client sends no more.
    pub fn client_end(&mut self) -> ClientEnd {
        if matches!(self.client, Side::Payload { to: To::OtherSide, .. }) {
            return ClientEnd::Truncated;
        }
        if self.streams.len() == 0 { ClientEnd::Idle } else { ClientEnd::HalfClosed }
    }

    /// The server sends no more.
    pub fn server_end(&mut self) -> ServerEnd {
        let inside = matches!(self.server, Side::Payload { .. });
        if self.streams.len() == 0 && !inside { ServerEnd::Complete } else { ServerEnd::Truncated }
    }
}
