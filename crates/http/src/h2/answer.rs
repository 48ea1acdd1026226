//! What a connection says itself: denials, resets, farewells.

use super::{
    block::Grpc,
    connection::Connection,
    encoder::free_header,
    frame::{self, LARGEST, code, flag, kind},
    passage::{Side, To},
    settings::Turn,
    stream::{Half, Swept},
};
use crate::{Refusal, Request, reply};
use std::sync::Arc;

/// `PERMISSION_DENIED`, the status of a call of gRPC that was denied.
pub const GRPC_DENIED: u16 = 7;

impl<T> Connection<T> {
    /// Answers the request in `block` of a stream that the server does not know.
    pub(super) fn reply(&mut self, id: u32, status: u16, client: Half) {
        let settings = Arc::clone(&self.settings);
        let (_, body) = reply::text(status, &settings);
        let mut block = Vec::with_capacity(128);
        let mut end = flag::END_STREAM;
        if self.block.grpc() == Grpc::Yes && status == 403 {
            // Trailers alone, as gRPC calls a response without messages.
            grpc_head(&mut block);
            grpc_status(body, &mut block);
        } else {
            let len = i64::try_from(body.len()).unwrap_or(i64::MAX);
            let fits =
                self.client_window.min(self.client_said.initial_window) >= len && body.len() <= LARGEST;
            let said = if fits || self.block.is_head() { body.len() } else { 0 };
            free_header(b":status", status.to_string().as_bytes(), &mut block);
            free_header(b"content-length", said.to_string().as_bytes(), &mut block);
            free_header(b"content-type", b"text/plain", &mut block);
            free_header(b"server", b"ciliate", &mut block);
            if fits && !self.block.is_head() {
                end = 0;
                self.client_window = self.client_window.saturating_sub(len);
                self.debt = self.debt.saturating_add(u32::try_from(len).unwrap_or_default());
            }
        }
        frame::headers(&mut self.for_client, id, end, &block);
        if end == 0 {
            frame::write(&mut self.for_client, kind::DATA, flag::END_STREAM, id, body.as_bytes());
        }
        if client == Half::Open {
            // The rest of the request is not wanted (RFC 9113, 8.1).
            frame::reset(&mut self.for_client, id, code::NO_ERROR);
        }
    }

    /// Ends an open stream on both sides.
    pub(super) fn reset_both(&mut self, id: u32, code: u32) {
        frame::reset(&mut self.for_client, id, code);
        frame::reset(&mut self.for_server, id, code);
        self.streams.remove(id);
    }

    pub(super) fn go_away(&mut self, refusal: Refusal) {
        self.say_goodbye(code_of(refusal), refusal.name());
        self.client = Side::Closed;
    }

    fn say_goodbye(&mut self, code: u32, reason: &str) {
        self.greet();
        frame::go_away(&mut self.for_client, self.streams.newest, code, reason);
    }

    /// SETTINGS come before everything else, even if the server has not sent any.
    fn greet(&mut self) {
        if self.server_turn == Turn::First {
            let mut first = Vec::new();
            frame::write(&mut first, kind::SETTINGS, 0, 0, &[]);
            first.append(&mut self.for_client);
            self.for_client = first;
            self.server_turn = Turn::Later;
        }
    }

    /// Whether the client can have frames of ours now: not in the middle of one of the server's, nor before its first.
    pub(super) fn may_write_to_client(&self) -> bool {
        self.server_turn == Turn::Later
            && matches!(self.server, Side::Frames | Side::Closed | Side::Payload { to: To::Nobody, .. })
    }

    pub(super) fn write_to_client(&mut self, to_client: &mut Vec<u8>) {
        if !self.for_client.is_empty() && self.may_write_to_client() {
            to_client.append(&mut self.for_client);
        }
    }

    /// The server cannot be reached, or does not answer: requests that have no response yet get `status`. Close both connections after it.
    pub fn give_up(&mut self, status: u16, to_client: &mut Vec<u8>) {
        let waiting = self.streams.sweep(|stream| stream.status.is_some());
        self.block.clear();
        if self.may_write_to_client() || self.server_turn == Turn::First {
            self.greet();
            for Swept { id, .. } in waiting {
                self.reply(id, status, Half::Ended);
            }
            self.say_goodbye(code::NO_ERROR, "");
            to_client.append(&mut self.for_client);
        }
        self.client = Side::Closed;
        self.server = Side::Closed;
    }

    /// Ends a stream that is not allowed any more, on both sides. A call of gRPC ends with the status of a denial.
    fn revoke(&mut self, stream: Swept) {
        let id = stream.id;
        frame::reset(&mut self.for_server, id, code::CANCEL);
        if stream.grpc == Grpc::No || stream.server == Half::Ended {
            frame::reset(&mut self.for_client, id, code::CANCEL);
            return;
        }
        let settings = Arc::clone(&self.settings);
        let mut block = Vec::with_capacity(128);
        if !stream.begun {
            grpc_head(&mut block);
        }
        grpc_status(reply::text(403, &settings).1, &mut block);
        frame::headers(&mut self.for_client, id, flag::END_STREAM, &block);
        if stream.client == Half::Open {
            frame::reset(&mut self.for_client, id, code::NO_ERROR);
        }
    }

    /// Gives the server what waits for it, unless it is in the middle of a frame of the client's. To be called after each step of the server.
    pub fn write_to_server(&mut self, to_server: &mut Vec<u8>) {
        if !matches!(self.client, Side::Preface | Side::Payload { to: To::OtherSide, .. }) {
            to_server.append(&mut self.for_server);
        }
    }

    /// Asks again about every open stream, after a change of the rules; those that are not allowed any more are ended on both sides. Returns how
    /// many these are. What was appended is for the server and for the client.
    pub fn rejudge(
        &mut self,
        to_server: &mut Vec<u8>,
        to_client: &mut Vec<u8>,
        mut judge: impl FnMut(&Request<'_>) -> bool,
    ) -> usize {
        let denied = self.streams.sweep(|stream| judge(&stream.block.request()));
        denied.iter().for_each(|stream| self.revoke(*stream));
        self.write_to_server(to_server);
        self.write_to_client(to_client);
        denied.len()
    }
}

fn grpc_head(block: &mut Vec<u8>) {
    free_header(b":status", b"200", block);
    free_header(b"content-type", b"application/grpc", block);
}

fn grpc_status(body: &str, block: &mut Vec<u8>) {
    free_header(b"grpc-status", GRPC_DENIED.to_string().as_bytes(), block);
    free_header(b"grpc-message", &grpc_message(body.trim_end()), block);
}

/// Percent-encoded, as gRPC wants messages.
fn grpc_message(text: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b' '..=b'~' if byte != b'%' => out.push(byte),
            _ => out.extend_from_slice(format!("%{byte:02X}").as_bytes()),
        }
    }
    out
}

fn code_of(refusal: Refusal) -> u32 {
    match refusal {
        Refusal::FrameSize => code::FRAME_SIZE_ERROR,
        Refusal::FlowControl => code::FLOW_CONTROL_ERROR,
        Refusal::StreamId => code::STREAM_CLOSED,
        Refusal::Compression => code::COMPRESSION_ERROR,
        Refusal::RapidReset | Refusal::Continuations | Refusal::HeadTooLarge => code::ENHANCE_YOUR_CALM,
        _ => code::PROTOCOL_ERROR,
    }
}
