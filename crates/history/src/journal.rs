//! What was seen last, before it becomes a Parquet file: appended to about once a second, read again after a crash.
//!
//! A file begins with [`MAGIC`]; then frames follow, each complete or not there: length of its body and CRC-32 of all
//! that follows (4 bytes each, little endian), first and last moment in it (8 bytes each), whether it can be read
//! without those before (1 byte), and its body, flows one after the other.

use crate::{
    HistoryError,
    error::io,
    pack::{Packer, Unpacker},
};
use ciliate_flow::Flow;
use std::{
    fs::{File, OpenOptions},
    os::unix::fs::{FileExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

const MAGIC: &[u8; 8] = b"CILFLOW2";
const HEADER: usize = 25;

pub(crate) struct Journal {
    pub path: PathBuf,
    file: File,
    /// Bytes that are known to be good.
    length: u64,
    packer: Packer,
    /// The frame that is being made, without its header.
    body: Vec<u8>,
    /// Flows in it, and their first and last moment.
    waiting: u64,
    times: (u64, u64),
    /// Whether the next frame starts without what those before defined.
    anew: Anew,
    /// Flows in the file.
    pub flows: u64,
    /// Whether the disk has what is in the file.
    safe: Safe,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Safe {
    Yes,
    No,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Anew {
    Yes,
    No,
}

impl Journal {
    /// In a directory, with nothing in it.
    pub fn create(path: PathBuf) -> Result<Self, HistoryError> {
        let file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&path);
        let file = file.map_err(io("create", &path))?;
        file.write_all_at(MAGIC, 0).map_err(io("write to", &path))?;
        Ok(Self {
            path,
            file,
            length: u64::try_from(MAGIC.len()).unwrap_or(0),
            packer: Packer::default(),
            body: Vec::new(),
            waiting: 0,
            times: (u64::MAX, 0),
            anew: Anew::Yes,
            flows: 0,
            safe: Safe::No,
        })
    }

    pub fn append(&mut self, flow: &Flow) {
        self.packer.pack(flow, &mut self.body);
        self.waiting = self.waiting.saturating_add(1);
        let (first, last) = self.times;
        self.times = (first.min(flow.time.0), last.max(flow.time.0));
    }

    /// Bytes that a crash would lose.
    pub const fn unwritten(&self) -> usize {
        self.body.len()
    }

    /// Flows that a crash would lose.
    pub const fn waiting(&self) -> u64 {
        self.waiting
    }

    /// Hands what waits to the kernel: nothing of it is lost any more if this process ends.
    ///
    /// # Errors
    /// With how many flows are lost; the journal is as it was before them.
    pub fn write(&mut self) -> Result<(), (u64, HistoryError)> {
        if self.waiting == 0 {
            return Ok(());
        }
        let mut frame = Vec::with_capacity(self.body.len().saturating_add(HEADER));
        frame.extend_from_slice(&self.times.0.to_le_bytes());
        frame.extend_from_slice(&self.times.1.to_le_bytes());
        frame.push(u8::from(self.anew == Anew::Yes));
        frame.append(&mut self.body);
        let length = u32::try_from(frame.len().saturating_sub(17)).unwrap_or(u32::MAX);
        let header = [length.to_le_bytes(), crc32fast::hash(&frame).to_le_bytes()].concat();
        frame.splice(..0, header);
        let waiting = std::mem::take(&mut self.waiting);
        self.times = (u64::MAX, 0);
        match self.file.write_all_at(&frame, self.length) {
            Ok(()) => {
                self.length = self.length.saturating_add(u64::try_from(frame.len()).unwrap_or(0));
                self.flows = self.flows.saturating_add(waiting);
                self.anew = Anew::No;
                self.safe = Safe::No;
                // The room is used again, unless one frame was out of the ordinary.
                frame.clear();
                frame.shrink_to(1 << 20);
                self.body = frame;
                Ok(())
            }
            Err(error) => {
                // What the lost frame defined is not there for later ones.
                self.packer = Packer::default();
                self.anew = Anew::Yes;
                let _ = self.file.set_len(self.length);
                Err((waiting, io("write to", &self.path)(error)))
            }
        }
    }

    /// Waits until the disk has it.
    pub fn sync(&mut self) -> Result<(), HistoryError> {
        if self.safe == Safe::No {
            self.file.sync_data().map_err(io("write to", &self.path))?;
            self.safe = Safe::Yes;
        }
        Ok(())
    }
}

/// What a journal holds.
pub(crate) struct Replay {
    pub flows: Vec<Flow>,
    pub end: End,
}

/// How a journal ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Whole,
    /// In the middle of a frame, whose writer was killed.
    Cut,
    /// In bytes, beginning at this one, that nobody wrote like that.
    Bad(usize),
}

struct Frame<'a> {
    first: u64,
    last: u64,
    anew: bool,
    body: &'a [u8],
}

/// The next frame, or how the journal ends.
fn frame(bytes: &[u8], at: usize) -> Result<(Frame<'_>, usize), End> {
    let rest = bytes.get(at..).unwrap_or_default();
    if rest.is_empty() {
        return Err(End::Whole);
    }
    let Some((length, rest)) = rest.split_first_chunk::<4>() else { return Err(End::Cut) };
    let Some((crc, rest)) = rest.split_first_chunk::<4>() else { return Err(End::Cut) };
    let length = usize::try_from(u32::from_le_bytes(*length)).unwrap_or(usize::MAX).saturating_add(17);
    let Some(checked) = rest.get(..length) else { return Err(End::Cut) };
    if crc32fast::hash(checked) != u32::from_le_bytes(*crc) {
        return Err(End::Bad(at));
    }
    let read = || {
        let (first, rest) = checked.split_first_chunk::<8>()?;
        let (last, rest) = rest.split_first_chunk::<8>()?;
        let (anew, body) = rest.split_first()?;
        Some(Frame {
            first: u64::from_le_bytes(*first),
            last: u64::from_le_bytes(*last),
            anew: *anew == 1,
            body,
        })
    };
    let next = at.saturating_add(8).saturating_add(length);
    read().map(|frame| (frame, next)).ok_or(End::Bad(at))
}

/// Whether some frame has a moment between the two.
pub(crate) fn overlaps(bytes: &[u8], since: u64, until: u64) -> bool {
    let mut at = MAGIC.len();
    while let Ok((frame, next)) = frame(bytes, at) {
        if frame.first <= until && frame.last >= since {
            return true;
        }
        at = next;
    }
    false
}

/// The latest moment of its flows.
pub(crate) fn newest(bytes: &[u8]) -> Option<u64> {
    let (mut at, mut newest) = (MAGIC.len(), None);
    while let Ok((frame, next)) = frame(bytes, at) {
        newest = newest.max(Some(frame.last));
        at = next;
    }
    newest
}

/// Reads what is whole.
pub(crate) fn replay(bytes: &[u8]) -> Replay {
    let mut flows = Vec::new();
    if !bytes.starts_with(MAGIC) {
        let end = if MAGIC.starts_with(bytes) { End::Cut } else { End::Bad(0) };
        return Replay { flows, end };
    }
    let mut at = MAGIC.len();
    let mut unpacker = Unpacker::default();
    loop {
        let (Frame { anew, mut body, .. }, next) = match frame(bytes, at) {
            Ok(found) => found,
            Err(end) => return Replay { flows, end },
        };
        if anew {
            unpacker = Unpacker::default();
        }
        let before = flows.len();
        while !body.is_empty() {
            match unpacker.unpack(&mut body) {
                Some(flow) => flows.push(flow),
                None => {
                    flows.truncate(before);
                    return Replay { flows, end: End::Bad(at) };
                }
            }
        }
        at = next;
    }
}

/// A journal as it is now.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>, HistoryError> {
    std::fs::read(path).map_err(io("read", path))
}
