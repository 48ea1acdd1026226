//! Connection tracking: one row for both directions of a connection, whoever takes part in it.

use crate::{Address, layout};

/// Both ends of a connection, the lower one (by address, then port) first, so that packets of either direction
/// find the same row. For ICMP echo both ports are the identifier; protocols without ports have 0.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionKey {
    pub low: Address,
    pub high: Address,
    /// Machine byte order.
    pub low_port: u16,
    pub high_port: u16,
    pub protocol: u8,
    pub pad: [u8; 3],
}

#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Connection {
    /// Tick at which the row stops to count.
    pub expires: u32,
    /// [`connection_flags`].
    pub flags: u32,
    /// Epoch of the originator's endpoint row when its egress was allowed; the node's peers epoch if the
    /// originator is no endpoint here.
    pub source_epoch: u32,
    /// The same of the responder and its ingress.
    pub destination_epoch: u32,
    pub source_identity: u32,
    pub destination_identity: u32,
    /// Rule that allowed it out of the originator; 0 = no policy applied.
    pub egress_rule: u32,
    /// Rule that allowed it into the responder; 0 = no policy applied.
    pub ingress_rule: u32,
    /// Ticks of the last trace event from the originator and from the responder.
    pub reported: [u32; 2],
    /// Packets from the originator and from the responder. Added to without a lock: where two processors carry one
    /// direction of a connection at the same moment, one of them may go uncounted.
    pub packets: [u64; 2],
    /// Bytes from the network header on, counted as the packets are.
    pub bytes: [u64; 2],
}

pub mod connection_flags {
    /// The originator is the higher end of the key.
    pub const FROM_HIGH: u32 = 1;
    /// The responder has answered.
    pub const ANSWERED: u32 = 1 << 1;
    /// The originator has sent FIN.
    pub const SOURCE_CLOSED: u32 = 1 << 2;
    /// The responder has sent FIN.
    pub const DESTINATION_CLOSED: u32 = 1 << 3;
    /// Either side has sent RST.
    pub const RESET: u32 = 1 << 4;
    /// Both ends speak with the proxy. Once set it stays: a connection cannot move.
    pub const PROXIED: u32 = 1 << 5;
    /// TCP flags seen so far: the originator's from bit 16, the responder's from bit 24.
    pub const SOURCE_TCP_SHIFT: u32 = 16;
    pub const DESTINATION_TCP_SHIFT: u32 = 24;
}

/// Fragments of one datagram.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FragmentKey {
    pub source: Address,
    pub destination: Address,
    pub identification: u32,
    pub protocol: u32,
}

/// What the first fragment said, in machine byte order.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FragmentPorts {
    pub source: u16,
    pub destination: u16,
}

layout!(ConnectionKey = 40, Connection = 72, FragmentKey = 40, FragmentPorts = 4);
