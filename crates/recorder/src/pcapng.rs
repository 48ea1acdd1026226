//! Writes pcapng, the format of packet captures that has comments (draft-ietf-opsawg-pcapng).
//!
//! One section in little-endian order, Ethernet devices, times in nanoseconds. A block goes out in one piece, so that a file
//! whose writer was killed lacks its end but is whole up to there.

mod whole;

pub(crate) use whole::WholeBlocks;

use std::io::{self, Write};

const SECTION_HEADER: u32 = 0x0a0d_0d0a;
const INTERFACE_DESCRIPTION: u32 = 1;
const INTERFACE_STATISTICS: u32 = 5;
const ENHANCED_PACKET: u32 = 6;
/// Tells a reader the byte order.
const BYTE_ORDER: u32 = 0x1a2b_3c4d;
/// `LINKTYPE_ETHERNET`.
const ETHERNET: u16 = 1;

/// Option codes: the first for all blocks, the others by block.
mod option {
    pub const COMMENT: u16 = 1;
    pub const SECTION_OS: u16 = 3;
    pub const SECTION_APPLICATION: u16 = 4;
    pub const INTERFACE_NAME: u16 = 2;
    pub const INTERFACE_DESCRIPTION: u16 = 3;
    pub const INTERFACE_TIME_RESOLUTION: u16 = 9;
    pub const INTERFACE_FILTER: u16 = 11;
    pub const STATISTICS_BEGIN: u16 = 2;
    pub const STATISTICS_END: u16 = 3;
    pub const STATISTICS_RECEIVED: u16 = 4;
    pub const STATISTICS_ACCEPTED: u16 = 6;
    pub const STATISTICS_LOST_BY_SYSTEM: u16 = 7;
    pub const STATISTICS_DELIVERED: u16 = 8;
}

/// Negative powers of ten of a second: nanoseconds.
const NANOSECONDS: u8 = 9;
/// The first byte of a filter's option: what follows is text.
const FILTER_TEXT: u8 = 0;

/// Says what wrote the file.
#[derive(Clone, Debug)]
pub struct Section<'a> {
    pub application: &'a str,
    pub system: &'a str,
    pub comment: &'a str,
}

/// A device that packets are seen at.
#[derive(Clone, Debug)]
pub struct Interface<'a> {
    pub name: &'a str,
    pub description: &'a str,
    /// Most bytes of a packet; 0 = no limit.
    pub snap: u32,
    pub filter: &'a str,
}

/// A device by its place in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct InterfaceId(u32);

impl InterfaceId {
    /// Whether it is among the first ones of the file, so many.
    #[must_use]
    pub fn is_before(self, count: u32) -> bool {
        self.0 < count
    }
}

#[derive(Clone, Debug)]
pub struct Packet<'a> {
    pub interface: InterfaceId,
    /// Nanoseconds since 1970.
    pub time: u64,
    /// Bytes that it had.
    pub length: u32,
    pub bytes: &'a [u8],
    pub comment: &'a str,
}

/// What was counted at a device from the first to the last moment.
#[derive(Clone, Debug)]
pub struct Statistics<'a> {
    /// Nanoseconds since 1970.
    pub begin: u64,
    pub end: u64,
    /// Packets that match the filter.
    pub matched: u64,
    /// Of these, packets that were lost on their way.
    pub lost: u64,
    /// Of these, packets in the file.
    pub written: u64,
    pub comment: &'a str,
}

/// Writes blocks one after the other, in this machine's byte order (draft-ietf-opsawg-pcapng).
///
/// All its functions fail only as what it writes to does.
pub struct Writer<W> {
    out: W,
    block: Block,
    interfaces: u32,
    size: u64,
}

impl<W: Write> Writer<W> {
    /// Begins a file.
    pub fn new(out: W, section: &Section<'_>) -> io::Result<Self> {
        let mut writer = Self { out, block: Block::default(), interfaces: 0, size: 0 };
        let block = writer.block.begin(SECTION_HEADER);
        block.put(&BYTE_ORDER.to_le_bytes());
        // Version 1.0, of a length that is not known yet.
        block.put(&1_u16.to_le_bytes());
        block.put(&0_u16.to_le_bytes());
        block.put(&u64::MAX.to_le_bytes());
        block.text(option::COMMENT, section.comment);
        block.text(option::SECTION_OS, section.system);
        block.text(option::SECTION_APPLICATION, section.application);
        writer.write()?;
        Ok(writer)
    }

    /// Tells of a device, before the packets that are seen there.
    pub fn interface(&mut self, interface: &Interface<'_>) -> io::Result<InterfaceId> {
        let block = self.block.begin(INTERFACE_DESCRIPTION);
        block.put(&ETHERNET.to_le_bytes());
        block.put(&[0; 2]);
        block.put(&interface.snap.to_le_bytes());
        block.text(option::INTERFACE_NAME, interface.name);
        block.text(option::INTERFACE_DESCRIPTION, interface.description);
        block.option(option::INTERFACE_TIME_RESOLUTION, &[&[NANOSECONDS]]);
        if !interface.filter.is_empty() {
            block.option(option::INTERFACE_FILTER, &[&[FILTER_TEXT], interface.filter.as_bytes()]);
        }
        let id = InterfaceId(self.interfaces);
        self.interfaces = self.interfaces.saturating_add(1);
        self.write()?;
        Ok(id)
    }

    /// Adds a packet with its comment.
    pub fn packet(&mut self, packet: &Packet<'_>) -> io::Result<()> {
        let block = self.block.begin(ENHANCED_PACKET);
        block.put(&packet.interface.0.to_le_bytes());
        block.time(packet.time);
        block.put(&length(packet.bytes).to_le_bytes());
        block.put(&packet.length.to_le_bytes());
        block.padded(packet.bytes);
        block.text(option::COMMENT, packet.comment);
        self.write()
    }

    /// Adds what was counted at a device, mostly once and at the end.
    pub fn statistics(&mut self, interface: InterfaceId, seen: &Statistics<'_>) -> io::Result<()> {
        let block = self.block.begin(INTERFACE_STATISTICS);
        block.put(&interface.0.to_le_bytes());
        block.time(seen.end);
        block.text(option::COMMENT, seen.comment);
        block.option_time(option::STATISTICS_BEGIN, seen.begin);
        block.option_time(option::STATISTICS_END, seen.end);
        for (code, count) in [
            (option::STATISTICS_RECEIVED, seen.matched),
            (option::STATISTICS_ACCEPTED, seen.matched),
            (option::STATISTICS_LOST_BY_SYSTEM, seen.lost),
            (option::STATISTICS_DELIVERED, seen.written),
        ] {
            block.option(code, &[&count.to_le_bytes()]);
        }
        self.write()
    }

    /// Bytes of the file so far.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Devices that it was told of.
    pub fn interfaces(&self) -> u32 {
        self.interfaces
    }

    /// What it writes to.
    pub fn get_ref(&self) -> &W {
        &self.out
    }

    /// What it writes to: whole blocks only.
    pub fn get_mut(&mut self) -> &mut W {
        &mut self.out
    }

    /// Hands on what is still held back.
    pub fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }

    /// Ends the file and gives back what it was written to.
    #[cfg(test)]
    fn finish(mut self) -> io::Result<W> {
        self.out.flush()?;
        Ok(self.out)
    }

    fn write(&mut self) -> io::Result<()> {
        let bytes = self.block.finish();
        self.out.write_all(bytes)?;
        self.size = self.size.saturating_add(u64::from(length(bytes)));
        Ok(())
    }
}

/// A block in the making.
#[derive(Default)]
struct Block {
    bytes: Vec<u8>,
}

/// Bytes before a block's body: its type and its length.
const HEAD: usize = 8;
/// Longest value of an option, so that it is a multiple of four.
const LONGEST_OPTION: usize = 65_532;

impl Block {
    fn begin(&mut self, kind: u32) -> &mut Self {
        self.bytes.clear();
        self.put(&kind.to_le_bytes());
        // The length, which is not known yet.
        self.put(&[0; 4]);
        self
    }

    fn put(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    fn padded(&mut self, bytes: &[u8]) {
        self.put(bytes);
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }

    /// The higher half comes first, whatever the byte order.
    fn time(&mut self, time: u64) {
        self.put(&((time >> 32) as u32).to_le_bytes());
        self.put(&(time as u32).to_le_bytes());
    }

    fn option_time(&mut self, code: u16, time: u64) {
        self.option(code, &[&((time >> 32) as u32).to_le_bytes(), &(time as u32).to_le_bytes()]);
    }

    /// Nothing for an empty text; a text that is too long is cut.
    fn text(&mut self, code: u16, text: &str) {
        if !text.is_empty() {
            let end = text.floor_char_boundary(LONGEST_OPTION);
            self.option(code, &[text.get(..end).unwrap_or_default().as_bytes()]);
        }
    }

    fn option(&mut self, code: u16, parts: &[&[u8]]) {
        let value = parts.concat();
        let value = value.get(..LONGEST_OPTION).unwrap_or(&value);
        self.put(&code.to_le_bytes());
        self.put(&(length(value) as u16).to_le_bytes());
        self.padded(value);
    }

    fn finish(&mut self) -> &[u8] {
        // The end of the options; also of none.
        self.put(&[0; 4]);
        let total = length(&self.bytes).saturating_add(4).to_le_bytes();
        self.put(&total);
        if let Some(place) = self.bytes.get_mut(HEAD.saturating_sub(4)..HEAD) {
            place.copy_from_slice(&total);
        }
        &self.bytes
    }
}

fn length(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.len()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests;
