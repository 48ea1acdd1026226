//! Blocks of headers that a client sends: requests and their trailers.

use super::{
    connection::Connection,
    encoder::Encoder,
    frame::{self, Header, code, flag},
    passage::Fate,
    pieces::{BadBlock, collect},
    stream::{Half, Place, Stream},
};
use crate::{Edit, Refusal, Request, h1::Decision, path::Form};

impl<T> Connection<T> {
    pub(super) fn headers(
        &mut self,
        header: Header,
        rest: &[u8],
        to_server: &mut Vec<u8>,
        refused: &mut Option<Refusal>,
        judge: &mut impl FnMut(&Request<'_>) -> Decision<T>,
    ) -> Result<Fate, Refusal> {
        let most = self.settings.limits.request_head;
        let len = match collect(header, rest, most, &mut self.pieces) {
            Ok(Some(len)) => len,
            Ok(None) => return Ok(Fate::Partial),
            Err(BadBlock::TooLarge) => return Err(Refusal::HeadTooLarge),
            Err(BadBlock::TooManyPieces) => return Err(Refusal::Continuations),
            Err(BadBlock::Malformed) => return Err(Refusal::Frame),
        };
        let (block, settings) = (&mut self.block, &self.settings);
        block.clear();
        self.requests
            .decode(&self.pieces, |name, value, indexing| block.header(name, value, indexing, settings))
            .map_err(|_| Refusal::Compression)?;
        let forward = match self.streams.place(header.stream) {
            Place::Open(_) => self.trailers(header, refused)?,
            Place::Closed => Forward::No,
            Place::Idle if header.stream & 1 == 0 => return Err(Refusal::StreamId),
            Place::Idle => self.request(header, refused, judge),
        };
        let edits = match (forward, &self.encoder) {
            (Forward::AsItIs(opens), None) => {
                self.keep_block(header.stream, opens);
                return Ok(Fate::Pass(len));
            }
            (Forward::No, _) => None,
            (Forward::AsItIs(opens), Some(_)) => Some((Vec::new(), opens)),
            (Forward::Changed(edits), _) => Some((edits, Opens::Yes)),
        };
        // From here on the server's table lacks what the client believes to be in it.
        let limit = self.server_said.least_header_table;
        let encoder = self.encoder.get_or_insert_with(|| Encoder::new(limit));
        if let Some((edits, opens)) = edits {
            self.pieces.clear();
            self.block.encode(&edits, encoder, &mut self.pieces);
            frame::headers(to_server, header.stream, header.flags & flag::END_STREAM, &self.pieces);
            self.keep_block(header.stream, opens);
        }
        Ok(Fate::Skip(len))
    }

    /// A stream keeps the block that opened it.
    fn keep_block(&mut self, id: u32, opens: Opens) {
        if let (Opens::Yes, Place::Open(stream)) = (opens, self.streams.place(id)) {
            std::mem::swap(&mut stream.block, &mut self.block);
        }
    }

    fn trailers(&mut self, header: Header, refused: &mut Option<Refusal>) -> Result<Forward, Refusal> {
        let Place::Open(stream) = self.streams.place(header.stream) else { return Ok(Forward::No) };
        if stream.client == Half::Ended {
            return Err(Refusal::StreamId);
        }
        let bad = match self.block.finish_trailers() {
            Err(refusal) => Some(refusal),
            Ok(()) if !header.has(flag::END_STREAM) => Some(Refusal::Frame),
            Ok(()) => stream.length.filter(|left| *left > 0).map(|_| Refusal::LengthDiffers),
        };
        if bad.is_some() {
            *refused = bad;
            self.reset_both(header.stream, code::PROTOCOL_ERROR);
            return Ok(Forward::No);
        }
        self.client_ended(header.stream);
        Ok(Forward::AsItIs(Opens::No))
    }

    fn request(
        &mut self,
        header: Header,
        refused: &mut Option<Refusal>,
        judge: &mut impl FnMut(&Request<'_>) -> Decision<T>,
    ) -> Forward {
        let id = header.stream;
        self.streams.newest = id;
        let client = if header.has(flag::END_STREAM) { Half::Ended } else { Half::Open };
        if self.streams.len() >= self.settings.limits.streams {
            *refused = Some(Refusal::TooManyStreams);
            frame::reset(&mut self.for_client, id, code::REFUSED_STREAM);
            return Forward::No;
        }
        let form = match self.checked(client) {
            Ok(form) => form,
            Err(refusal) => {
                *refused = Some(refusal);
                self.reply(id, refusal.status(), client);
                return Forward::No;
            }
        };
        match judge(&self.block.request()) {
            Decision::Deny => {
                self.reply(id, 403, client);
                Forward::No
            }
            Decision::Allow { token, edits } => {
                let length = self.block.length().filter(|_| client == Half::Open);
                let block = self.streams.spare();
                self.streams.add(Stream {
                    id,
                    token: Some(token),
                    status: None,
                    block,
                    client,
                    server: Half::Open,
                    length,
                });
                match form {
                    Form::Canonical if edits.is_empty() => Forward::AsItIs(Opens::Yes),
                    Form::Canonical | Form::Other => Forward::Changed(edits),
                }
            }
        }
    }

    /// Checks the block and puts it into its one form; says in which it came.
    fn checked(&mut self, client: Half) -> Result<Form, Refusal> {
        self.block.finish(&self.settings)?;
        if client == Half::Ended && self.block.length().is_some_and(|length| length > 0) {
            return Err(Refusal::LengthDiffers);
        }
        let form = self.block.form();
        if form == Form::Other {
            self.block = self.block.canonical(&self.settings)?;
        }
        Ok(form)
    }
}

/// What becomes of a block of headers.
enum Forward {
    No,
    AsItIs(Opens),
    /// It opens a stream, and is written anew.
    Changed(Vec<Edit>),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Opens {
    Yes,
    No,
}
