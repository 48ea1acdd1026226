//! Recording packets: what user space asks the programs for, and what they hand over.

use crate::{Address, Event, layout};

/// Recordings that run at the same time.
pub const RECORDINGS_MAX: usize = 8;
/// Filters of all recordings together.
pub const RECORD_FILTERS_MAX: usize = 32;
/// Longest part of a packet that is recorded, from its Ethernet header on.
pub const RECORD_BYTES_MAX: u32 = 65_536;

/// Protocols whose ports a filter can ask for.
#[inline(always)]
#[must_use]
pub const fn has_ports(protocol: u8) -> bool {
    matches!(protocol, 6 | 17 | 132)
}

/// Packets in one direction that one recording wants.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RecordFilter {
    /// Halves of an address as its bytes lie in memory; no bit that its mask has not.
    pub source: [u64; 2],
    pub source_mask: [u64; 2],
    pub destination: [u64; 2],
    pub destination_mask: [u64; 2],
    /// Machine byte order, 0 = any.
    pub source_port: u16,
    pub destination_port: u16,
    /// 0 = any.
    pub protocol: u8,
    /// [`Address::family`]; 0 = the row is not in use.
    pub family: u8,
    /// Which recording wants it.
    pub recording: u8,
    pub pad: u8,
}

/// What a filter looks at.
#[derive(Clone, Copy, Debug)]
pub struct Tuple<'a> {
    pub source: &'a Address,
    pub destination: &'a Address,
    pub source_port: u16,
    pub destination_port: u16,
    pub protocol: u8,
}

impl RecordFilter {
    #[inline(always)]
    #[must_use]
    pub fn matches(&self, packet: &Tuple<'_>) -> bool {
        let (source, destination) = (packet.source.halves(), packet.destination.halves());
        // What is not IP has no destination; no IP packet goes to the address that is none.
        destination != [0, 0]
            && self.family == packet.destination.family()
            && masked(source, self.source_mask) == self.source
            && masked(destination, self.destination_mask) == self.destination
            && (self.protocol == 0 || self.protocol == packet.protocol)
            && self.ports_match(packet)
    }

    #[inline(always)]
    fn ports_match(&self, packet: &Tuple<'_>) -> bool {
        if self.source_port == 0 && self.destination_port == 0 {
            return true;
        }
        // For ICMP they are other things.
        has_ports(packet.protocol)
            && (self.source_port == 0 || self.source_port == packet.source_port)
            && (self.destination_port == 0 || self.destination_port == packet.destination_port)
    }
}

#[inline(always)]
fn masked(address: [u64; 2], mask: [u64; 2]) -> [u64; 2] {
    let ([first, second], [first_mask, second_mask]) = (address, mask);
    [first & first_mask, second & second_mask]
}

/// How one recording goes on.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Recording {
    /// Monotonic clock, ns, at which it ends also if nobody ends it; 0 = it is not running.
    pub until: u64,
    /// Most bytes of a packet, from its Ethernet header on; at most [`RECORD_BYTES_MAX`].
    pub snap: u32,
    /// One packet of so many is recorded, chosen at random; 1 = every one.
    pub one_of: u32,
}

/// All recordings of the node; one row, changed while the programs run. All zero: nothing is recorded.
///
/// A recording's filters keep their places while it runs, so that a change of another one leaves its packets alone.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Recorder {
    /// Filters up to the last that is in use; the only field that the packet path reads when it is 0.
    pub filters: u32,
    /// Bytes waiting in the ring from which on the reader is woken.
    pub wake: u32,
    pub recordings: [Recording; RECORDINGS_MAX],
    pub filter: [RecordFilter; RECORD_FILTERS_MAX],
}

/// What became of a recorded packet.
#[repr(u8)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    Dropped = 0,
    ToEndpoint = 1,
    ToStack = 2,
    ToProxy = 3,
    /// The node itself answered a question for the router's address.
    Answered = 4,
}

/// In front of a recorded packet's bytes in the ring. The room behind it is one of [`record_room`].
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recorded {
    /// As the packet's event would say it; its `captured` is 0.
    pub event: Event,
    /// A bit for each recording that the packet is for.
    pub recordings: u32,
    /// Bytes that follow, from the Ethernet header on.
    pub captured: u32,
    /// Bytes that the packet had, from the Ethernet header on.
    pub length: u32,
    /// [`Fate`].
    pub fate: u8,
    pub pad: [u8; 3],
}

/// How much room the bytes of a recorded packet may have in the ring: a reservation is of a size that is known before the
/// programs run.
pub mod record_room {
    pub const SMALL: usize = 256;
    /// Whole packets of Ethernet.
    pub const MIDDLE: usize = 2048;
    pub const LARGE: usize = 16_384;
    pub const LARGEST: usize = super::RECORD_BYTES_MAX as usize;
}

/// What losses and matches are counted by.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RecordTallyKey {
    pub recording: u32,
    /// 0 = devices of which there are too many to count.
    pub ifindex: u32,
}

/// Packets of one recording on one device, one row per processor.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RecordTally {
    /// Packets that match, also those that sampling left out.
    pub matched: u64,
    /// Packets for which the ring had no room.
    pub lost: u64,
    /// Their bytes, as many as would have been recorded.
    pub lost_bytes: u64,
}

layout!(
    RecordFilter = 72,
    Recording = 16,
    Recorder = 2440,
    Recorded = 96,
    RecordTallyKey = 8,
    RecordTally = 24,
);

impl Fate {
    #[must_use]
    pub const fn from_number(number: u8) -> Option<Self> {
        match number {
            0 => Some(Self::Dropped),
            1 => Some(Self::ToEndpoint),
            2 => Some(Self::ToStack),
            3 => Some(Self::ToProxy),
            4 => Some(Self::Answered),
            _ => None,
        }
    }
}
