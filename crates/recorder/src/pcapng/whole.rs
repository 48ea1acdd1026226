//! A file that ends with a whole block, also where the disk had no room for the next one.

use super::{ENHANCED_PACKET, HEAD, INTERFACE_DESCRIPTION, InterfaceId};
use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, ErrorKind, Write},
    os::unix::fs::FileExt as _,
};

/// Bytes that wait for others.
const ROOM: usize = 64 << 10;

/// Takes whole blocks and keeps some back. When the file takes no more it is cut behind the last block that it holds whole,
/// and what did not get there is counted.
pub(crate) struct WholeBlocks {
    file: File,
    /// Bytes of the file.
    length: u64,
    waiting: Vec<u8>,
    lost: Lost,
}

/// Blocks that were taken and are not in the file.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Lost {
    /// Packets and their bytes, by device.
    pub packets: BTreeMap<InterfaceId, (u64, u64)>,
    /// Descriptions of devices, the last ones.
    pub interfaces: u32,
}

impl WholeBlocks {
    /// Writes to an empty file.
    pub fn new(file: File) -> Self {
        Self { file, length: 0, waiting: Vec::with_capacity(ROOM), lost: Lost::default() }
    }

    pub fn lost(&self) -> &Lost {
        &self.lost
    }

    /// Hands over what waits, and waits until the disk has it.
    pub fn sync(&mut self) -> io::Result<()> {
        self.flush()?;
        self.file.sync_all()
    }

    /// So many bytes of what waits are in the file.
    fn cut(&mut self, written: usize) {
        let (mut end, mut whole, mut rest) = (0_usize, 0, self.waiting.as_slice());
        while let Some(block) = Block::first(rest) {
            rest = rest.get(block.length..).unwrap_or_default();
            end = end.saturating_add(block.length);
            if end <= written {
                whole = end;
            } else {
                self.lost.add(&block.kind);
            }
        }
        self.waiting.clear();
        self.length = self.length.saturating_add(u64::try_from(whole).unwrap_or(0));
        // Takes no room. Where it fails the end is torn, which readers of the format name.
        let _ = self.file.set_len(self.length);
    }
}

impl Write for WholeBlocks {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.waiting.extend_from_slice(bytes);
        if self.waiting.len() >= ROOM {
            self.flush()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        let mut written = 0_usize;
        while let Some(rest) = self.waiting.get(written..).filter(|rest| !rest.is_empty()) {
            let at = self.length.saturating_add(u64::try_from(written).unwrap_or(0));
            let error = match self.file.write_at(rest, at) {
                Ok(0) => ErrorKind::WriteZero.into(),
                Ok(more) => {
                    written = written.saturating_add(more);
                    continue;
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => error,
            };
            self.cut(written);
            return Err(error);
        }
        self.length = self.length.saturating_add(u64::try_from(written).unwrap_or(0));
        self.waiting.clear();
        Ok(())
    }
}

impl Lost {
    fn add(&mut self, kind: &Kind) {
        match kind {
            Kind::Interface => self.interfaces = self.interfaces.saturating_add(1),
            Kind::Packet(interface, length) => {
                let (packets, bytes) = self.packets.entry(*interface).or_default();
                *packets = packets.saturating_add(1);
                *bytes = bytes.saturating_add(u64::from(*length));
            }
            Kind::Other => {}
        }
    }
}

/// What our own block says at its beginning.
struct Block {
    length: usize,
    kind: Kind,
}

enum Kind {
    Interface,
    /// Seen at a device, with so many bytes.
    Packet(InterfaceId, u32),
    Other,
}

impl Block {
    /// None at the end.
    fn first(bytes: &[u8]) -> Option<Self> {
        let word = |at: usize| {
            let bytes = bytes.get(at..)?.first_chunk()?;
            Some(u32::from_le_bytes(*bytes))
        };
        let length = usize::try_from(word(4)?).ok()?.max(HEAD);
        let kind = match word(0)? {
            INTERFACE_DESCRIPTION => Kind::Interface,
            // Interface, the time in two words, and the length of what was kept.
            ENHANCED_PACKET => Kind::Packet(InterfaceId(word(HEAD)?), word(20)?),
            _ => Kind::Other,
        };
        Some(Self { length, kind })
    }
}
