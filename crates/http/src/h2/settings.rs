//! The SETTINGS of both sides, which pass on their way, some of them changed.

use super::{
    frame::{self, Header, kind},
    table::INITIAL,
};
use crate::Limits;

/// What one side has said so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Said {
    pub header_table: usize,
    /// The least that it has ever said about it.
    pub least_header_table: usize,
    pub initial_window: i64,
    pub largest_frame: usize,
}

impl Default for Said {
    fn default() -> Self {
        Self {
            header_table: INITIAL,
            least_header_table: INITIAL,
            initial_window: 65_535,
            largest_frame: frame::LARGEST,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Who {
    Client,
    Server,
}

mod id {
    pub const HEADER_TABLE_SIZE: u16 = 1;
    pub const ENABLE_PUSH: u16 = 2;
    pub const MAX_CONCURRENT_STREAMS: u16 = 3;
    pub const INITIAL_WINDOW_SIZE: u16 = 4;
    pub const MAX_FRAME_SIZE: u16 = 5;
}

/// Which of its SETTINGS a side is at: those that have to hold from the start are put into the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    First,
    Later,
}

/// Some value has no place in SETTINGS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Invalid;

impl Said {
    /// Takes a payload, and gives the frame that goes on in its place if anything has to be changed.
    ///
    /// Nobody pushes: what a server pushes nobody asked for. Tables and numbers of streams are bounded by `limits`.
    pub(super) fn take(
        &mut self,
        payload: &[u8],
        who: Who,
        turn: Turn,
        limits: &Limits,
    ) -> Result<Option<Vec<u8>>, Invalid> {
        let (settings, []) = payload.as_chunks::<6>() else { return Err(Invalid) };
        let streams = u32::try_from(limits.streams).unwrap_or(u32::MAX);
        let table = u32::try_from(limits.header_table).unwrap_or(u32::MAX);
        let (mut out, mut changed) = (Vec::new(), false);
        let mut missing = match (turn, who) {
            (Turn::Later, _) => None,
            (Turn::First, Who::Client) => Some((id::ENABLE_PUSH, 0)),
            (Turn::First, Who::Server) => Some((id::MAX_CONCURRENT_STREAMS, streams)),
        };
        for [a, b, c, d, e, f] in settings {
            let id = u16::from_be_bytes([*a, *b]);
            let value = u32::from_be_bytes([*c, *d, *e, *f]);
            let size = usize::try_from(value).unwrap_or(usize::MAX);
            let passed = match id {
                id::HEADER_TABLE_SIZE => {
                    self.header_table = size.min(limits.header_table);
                    self.least_header_table = self.least_header_table.min(size);
                    value.min(table)
                }
                id::ENABLE_PUSH if value > 1 => return Err(Invalid),
                id::ENABLE_PUSH => 0,
                id::MAX_CONCURRENT_STREAMS if who == Who::Server => value.min(streams),
                id::INITIAL_WINDOW_SIZE => {
                    self.initial_window = i64::from(i32::try_from(value).map_err(|_| Invalid)?);
                    value
                }
                id::MAX_FRAME_SIZE => {
                    if !(frame::LARGEST..1 << 24).contains(&size) {
                        return Err(Invalid);
                    }
                    self.largest_frame = size;
                    value
                }
                _ => value,
            };
            changed |= passed != value;
            missing = missing.filter(|(own, _)| *own != id);
            out.extend_from_slice(&id.to_be_bytes());
            out.extend_from_slice(&passed.to_be_bytes());
        }
        if let Some((id, value)) = missing {
            out.extend_from_slice(&id.to_be_bytes());
            out.extend_from_slice(&value.to_be_bytes());
            changed = true;
        }
        if !changed {
            return Ok(None);
        }
        let mut whole = Vec::with_capacity(out.len().saturating_add(frame::HEADER));
        Header { len: out.len(), kind: kind::SETTINGS, flags: 0, stream: 0 }.write(&mut whole);
        whole.extend(out);
        Ok(Some(whole))
    }
}
