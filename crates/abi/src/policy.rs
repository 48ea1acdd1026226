//! Rule sets in the kernel: a row that says which look-ups can match, and the entries.

use crate::{Address, layout};

/// Peers numbered from here are address classes of a rule set; identities never reach it.
pub const CLASS_BIT: u32 = 1 << 31;
/// The bit in a shape mask for entries of every protocol; bits 0 to 16 say how many leading bits of the port count.
pub const ANY_PROTOCOL_SHAPE: u32 = 17;
pub const PEER_KINDS: usize = 3;

/// Kinds of peers that have address classes of their own.
#[repr(u8)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PeerKind {
    Endpoint = 0,
    Node = 1,
    World = 2,
}

/// Which port prefix lengths occur among the entries of one direction, so that only those are looked up.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DirectionShapes {
    /// Entries for any peer.
    pub any: u32,
    /// Entries for an identity.
    pub identity: u32,
    /// Entries for an address class, by [`PeerKind`]; 0 = that kind has no classes.
    pub class: [u32; PEER_KINDS],
}

#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RuleSet {
    /// [`rule_set_flags`].
    pub flags: u32,
    pub ingress: DirectionShapes,
    pub egress: DirectionShapes,
}

pub mod rule_set_flags {
    /// Drop inbound traffic that no entry matches.
    pub const ISOLATE_INGRESS: u32 = 1;
    /// Drop outbound traffic that no entry matches.
    pub const ISOLATE_EGRESS: u32 = 2;
}

#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PolicyKey {
    pub rule_set: u32,
    /// An identity, [`CLASS_BIT`] and a class, or 0 for any peer.
    pub peer: u32,
    /// Destination port or ICMP type in machine byte order, with only the leading `port_bits` set.
    pub port: u16,
    /// 0 to 16; [`ANY_PROTOCOL_SHAPE`] together with protocol 0 for every protocol.
    pub port_bits: u8,
    pub protocol: u8,
    /// [`crate::Direction`].
    pub direction: u8,
    pub pad: [u8; 3],
}

pub const ENTRY_ALLOW: u32 = 0;
pub const ENTRY_DENY: u32 = 1;
/// Allowed as far as the proxy finds nothing against it.
pub const ENTRY_REDIRECT: u32 = 2;

#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PolicyEntry {
    /// Of all entries that match, the highest decides; among equals the one with the lowest rule.
    pub precedence: u32,
    pub rule: u32,
    /// [`ENTRY_ALLOW`], [`ENTRY_DENY`] or [`ENTRY_REDIRECT`].
    pub action: u32,
    /// Digest of what the proxy is to let through, low half first; 0 where the proxy has no part in it.
    pub filter: [u32; 2],
}

/// Key of the longest-prefix map from addresses to classes, behind its count of significant bits.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PrefixKey {
    pub rule_set: u32,
    pub direction: u8,
    pub kind: u8,
    /// [`Address::family`]: `::/0` holds no IPv4 address, although its mapped range lies below it.
    pub family: u8,
    pub pad: u8,
    pub address: Address,
}

impl PrefixKey {
    /// Bits in front of the address.
    pub const SCOPE_BITS: u32 = 64;
}

layout!(DirectionShapes = 20, RuleSet = 44, PolicyKey = 16, PolicyEntry = 20, PrefixKey = 24);
