//! One client's connection and the connection to its server: what the client sends.

use super::{
    block::Block,
    decoder::Decoder,
    encoder::Encoder,
    frame::{self, HEADER, Header, LARGEST, PREFACE, code, flag, kind},
    passage::{Fate, Side, Taken, To},
    settings::{Said, Turn, Who},
    step::{ClientNext, ClientStep},
    stream::{Half, Place, Streams},
};
use crate::{
    Refusal, Request, Settings,
    h1::{Decision, Response},
};
use std::sync::Arc;

/// A client's connection over HTTP/2 and the connection to the server that belongs to it, with the same numbers for streams.
///
/// Frames pass as they are. Once a request was denied or changed, the headers of later ones are written anew, because the server's table
/// lacks what was in it. `T` is what the caller wants back when the response to an allowed request begins.
#[derive(Debug)]
pub struct Connection<T> {
    pub(super) settings: Arc<Settings>,
    pub(super) client: Side,
    pub(super) server: Side,
    pub(super) streams: Streams<T>,
    /// Reads what the client writes.
    pub(super) requests: Decoder,
    /// Reads what the server writes.
    pub(super) responses: Decoder,
    /// Writes in the client's place, once it has to.
    pub(super) encoder: Option<Encoder>,
    pub(super) client_said: Said,
    pub(super) server_said: Said,
    client_turn: Turn,
    pub(super) server_turn: Turn,
    /// What the client still takes of all streams' data together.
    pub(super) client_window: i64,
    /// What denials have used of it, and the server does not know.
    pub(super) debt: u32,
    /// Streams that the client has reset early, less responses that have ended.
    pub(super) premature: usize,
    pub(super) block: Block,
    /// A block of headers that came in several pieces.
    pub(super) pieces: Vec<u8>,
    /// Our own frames, which wait for the end of a frame of the server's, or of the client's.
    pub(super) for_client: Vec<u8>,
    pub(super) for_server: Vec<u8>,
}

/// More of our own bytes than these do not wait.
const MOST_WAITING: usize = 64 * 1024;

impl<T> Connection<T> {
    #[must_use]
    pub fn new(settings: Arc<Settings>) -> Self {
        Self {
            settings,
            client: Side::Preface,
            server: Side::Frames,
            streams: Streams::new(),
            requests: Decoder::new(),
            responses: Decoder::new(),
            encoder: None,
            client_said: Said::default(),
            server_said: Said::default(),
            client_turn: Turn::First,
            server_turn: Turn::First,
            client_window: Said::default().initial_window,
            debt: 0,
            premature: 0,
            block: Block::default(),
            pieces: Vec::new(),
            for_client: Vec::new(),
            for_server: Vec::new(),
        }
    }

    /// Takes what the client has sent and was not consumed yet, from the preface on. The input has to grow until a block of headers is whole:
    /// up to the setting `request_head` and 32 KiB. `judge` is called once for each request.
    pub fn client(
        &mut self,
        input: &[u8],
        to_server: &mut Vec<u8>,
        to_client: &mut Vec<u8>,
        mut judge: impl FnMut(&Request<'_>) -> Decision<T>,
    ) -> ClientStep {
        let mut taken = Taken::default();
        let mut refused = None;
        let written = to_server.len();
        let next = loop {
            let rest = input.get(taken.consumed..).unwrap_or_default();
            if !matches!(self.client, Side::Payload { to: To::OtherSide, .. }) {
                to_server.append(&mut self.for_server);
            }
            if rest.is_empty() {
                break ClientNext::More;
            }
            if self.for_client.len() > MOST_WAITING && !self.may_write_to_client() {
                break ClientNext::Wait;
            }
            if taken.has_gap() || to_server.len() > written || refused.is_some() {
                break ClientNext::Again;
            }
            let fate = match self.client.unread(rest.len()) {
                Some(fate) => Ok(fate),
                None if self.client == Side::Preface => preface(rest),
                None => self.client_frame(rest, to_server, &mut refused, &mut judge),
            };
            match fate {
                Ok(Fate::Partial) => break ClientNext::More,
                Ok(Fate::Wait) => break ClientNext::Wait,
                Ok(Fate::Pass(len)) => taken.pass(len),
                Ok(Fate::Skip(len)) => taken.skip(len),
                Err(refusal) => {
                    self.go_away(refusal);
                    taken.consumed = input.len();
                    break ClientNext::Close(refusal);
                }
            }
            if self.client == Side::Preface {
                self.client = Side::Frames;
            }
        };
        self.write_to_client(to_client);
        ClientStep { consumed: taken.consumed, forward: taken.forward, refused, next }
    }

    /// Responses that had begun on streams that ended before anybody was told of them: to be looked at after each step of the client, and after
    /// [`rejudge`](Self::rejudge).
    pub fn ended_early(&mut self) -> impl Iterator<Item = Response<T>> {
        self.streams.untold.drain(..)
    }

    /// The connection is over: what is there of responses that nobody was told of.
    pub fn abandon(&mut self) -> impl Iterator<Item = Response<T>> {
        self.streams.sweep(|_| false);
        self.ended_early()
    }

    fn client_frame(
        &mut self,
        rest: &[u8],
        to_server: &mut Vec<u8>,
        refused: &mut Option<Refusal>,
        judge: &mut impl FnMut(&Request<'_>) -> Decision<T>,
    ) -> Result<Fate, Refusal> {
        let Some(header) = Header::read(rest) else { return Ok(Fate::Partial) };
        if self.client_turn == Turn::First && (header.kind != kind::SETTINGS || header.has(flag::ACK)) {
            return Err(Refusal::Preface);
        }
        let largest = if header.kind == kind::DATA { self.server_said.largest_frame } else { LARGEST };
        let blocks = matches!(header.kind, kind::HEADERS | kind::CONTINUATION);
        if header.len > largest && !blocks {
            return Err(Refusal::FrameSize);
        }
        match header.kind {
            kind::DATA => return self.data(header, rest, refused),
            kind::HEADERS => return self.headers(header, rest, to_server, refused, judge),
            _ => {}
        }
        let len = HEADER.saturating_add(header.len);
        let Some(payload) = rest.get(HEADER..len) else { return Ok(Fate::Partial) };
        let pass = Ok(Fate::Pass(len));
        match header.kind {
            kind::SETTINGS if header.stream != 0 => Err(Refusal::Frame),
            kind::SETTINGS if header.has(flag::ACK) => {
                if payload.is_empty() {
                    pass
                } else {
                    Err(Refusal::FrameSize)
                }
            }
            kind::SETTINGS => {
                let said = &mut self.client_said;
                let changed = said.take(payload, Who::Client, self.client_turn, &self.settings.limits);
                let changed = changed.map_err(|_| Refusal::Frame)?;
                self.client_turn = Turn::Later;
                self.responses.allow(self.client_said.header_table);
                match changed {
                    None => pass,
                    Some(frame) => {
                        to_server.extend(frame);
                        Ok(Fate::Skip(len))
                    }
                }
            }
            kind::PING if header.len != 8 || header.stream != 0 => Err(Refusal::FrameSize),
            kind::GOAWAY if header.len < 8 || header.stream != 0 => Err(Refusal::FrameSize),
            kind::PING | kind::GOAWAY => pass,
            kind::WINDOW_UPDATE => self.window_update(header, payload, to_server),
            kind::RST_STREAM if header.len != 4 => Err(Refusal::FrameSize),
            kind::RST_STREAM => match self.streams.place(header.stream) {
                Place::Idle => Err(Refusal::StreamId),
                Place::Closed => Ok(Fate::Skip(len)),
                Place::Open(stream) => {
                    if stream.status.is_none() {
                        self.premature = self.premature.saturating_add(1);
                    }
                    self.streams.remove(header.stream);
                    if self.premature > self.settings.limits.premature_resets {
                        return Err(Refusal::RapidReset);
                    }
                    pass
                }
            },
            kind::PUSH_PROMISE | kind::CONTINUATION => Err(Refusal::Frame),
            // Priorities are advice that nobody has to follow, and extensions are between neighbours.
            _ => Ok(Fate::Skip(len)),
        }
    }

    fn window_update(
        &mut self,
        header: Header,
        payload: &[u8],
        to_server: &mut Vec<u8>,
    ) -> Result<Fate, Refusal> {
        let credit =
            frame::number(payload).filter(|_| header.len == 4).ok_or(Refusal::FrameSize)? & 0x7fff_ffff;
        let len = HEADER.saturating_add(header.len);
        if credit == 0 {
            return Err(Refusal::FlowControl);
        }
        if header.stream != 0 {
            return match self.streams.place(header.stream) {
                Place::Idle => Err(Refusal::StreamId),
                Place::Closed => Ok(Fate::Skip(len)),
                Place::Open(_) => Ok(Fate::Pass(len)),
            };
        }
        self.client_window = self.client_window.saturating_add(i64::from(credit));
        if self.client_window > i64::from(i32::MAX) {
            return Err(Refusal::FlowControl);
        }
        // What denials have used is given back here, and not by the server.
        let ours = credit.min(self.debt);
        if ours == 0 {
            return Ok(Fate::Pass(len));
        }
        self.debt = self.debt.saturating_sub(ours);
        if credit > ours {
            frame::window_update(to_server, 0, credit.saturating_sub(ours));
        }
        Ok(Fate::Skip(len))
    }

    fn data(&mut self, header: Header, rest: &[u8], refused: &mut Option<Refusal>) -> Result<Fate, Refusal> {
        let mut len = u64::try_from(header.len).unwrap_or(u64::MAX);
        if header.has(flag::PADDED) {
            let Some(padding) = rest.get(HEADER) else { return Ok(Fate::Partial) };
            len = len.checked_sub(u64::from(*padding).saturating_add(1)).ok_or(Refusal::Frame)?;
        }
        let place = self.streams.place(header.stream);
        let fits = match place {
            Place::Idle => return Err(Refusal::StreamId),
            Place::Closed => false,
            Place::Open(stream) => {
                if stream.client == Half::Ended {
                    return Err(Refusal::StreamId);
                }
                let left = stream.length.map(|left| left.checked_sub(len));
                stream.length = left.flatten();
                let ends = header.has(flag::END_STREAM);
                let fits = match left {
                    None => true,
                    Some(None) => false,
                    Some(Some(left)) => left == 0 || !ends,
                };
                if ends && fits {
                    self.client_ended(header.stream);
                }
                fits
            }
        };
        if !fits && !matches!(self.streams.place(header.stream), Place::Closed) {
            *refused = Some(Refusal::LengthDiffers);
            self.reset_both(header.stream, code::PROTOCOL_ERROR);
        }
        let to = if fits { To::OtherSide } else { To::Nobody };
        if to == To::Nobody
            && let Some(credit) = u32::try_from(header.len).ok().filter(|len| *len > 0)
        {
            // The server never gets these bytes, so they are given back in its place.
            frame::window_update(&mut self.for_client, 0, credit);
        }
        if header.len > 0 {
            self.client = Side::Payload { left: header.len, to };
        }
        Ok(if fits { Fate::Pass(HEADER) } else { Fate::Skip(HEADER) })
    }

    pub(super) fn client_ended(&mut self, id: u32) {
        if let Place::Open(stream) = self.streams.place(id) {
            stream.client = Half::Ended;
            if stream.server == Half::Ended {
                self.streams.remove(id);
            }
        }
    }
}

fn preface(rest: &[u8]) -> Result<Fate, Refusal> {
    let known = rest.len().min(PREFACE.len());
    if rest.get(..known) != PREFACE.get(..known) {
        return Err(Refusal::Preface);
    }
    Ok(if known < PREFACE.len() { Fate::Partial } else { Fate::Pass(known) })
}
