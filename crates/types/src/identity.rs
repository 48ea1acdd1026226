//! Numeric security identities and the meaning of their ranges.
//!
//! The numbers and scopes are those that users of Cilium see in its tables and flows.

use serde::{Deserialize, Serialize};
use std::fmt;

/// A numeric security identity: what the kernel knows about a peer's labels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Identity(u32);

/// Where an identity's number is agreed upon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IdentityScope {
    /// 0 to 255: fixed meaning.
    Reserved,
    /// 256 to 2^24 - 1: from the labels of endpoints.
    Global,
    /// 2^24 to 2^25 - 1: address prefixes and names, this node only.
    Local,
    /// 2^25 to 3 * 2^24 - 1: other nodes, this node only.
    RemoteNode,
}

/// The identities with a fixed number; their labels have the source `reserved`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum ReservedIdentity {
    Host = 1,
    World = 2,
    Unmanaged = 3,
    Health = 4,
    Init = 5,
    RemoteNode = 6,
    KubeApiserver = 7,
    Ingress = 8,
    WorldIpv4 = 9,
    WorldIpv6 = 10,
    EncryptedOverlay = 11,
}

impl ReservedIdentity {
    pub const ALL: [Self; 11] = [
        Self::Host,
        Self::World,
        Self::Unmanaged,
        Self::Health,
        Self::Init,
        Self::RemoteNode,
        Self::KubeApiserver,
        Self::Ingress,
        Self::WorldIpv4,
        Self::WorldIpv6,
        Self::EncryptedOverlay,
    ];

    /// The key of its label, such as `remote-node` in `reserved:remote-node`.
    #[must_use]
    pub const fn key(self) -> &'static str {
        match self {
            Self::Host => "host",
            Self::World => "world",
            Self::Unmanaged => "unmanaged",
            Self::Health => "health",
            Self::Init => "init",
            Self::RemoteNode => "remote-node",
            Self::KubeApiserver => "kube-apiserver",
            Self::Ingress => "ingress",
            Self::WorldIpv4 => "world-ipv4",
            Self::WorldIpv6 => "world-ipv6",
            Self::EncryptedOverlay => "encrypted-overlay",
        }
    }
}

impl From<ReservedIdentity> for Identity {
    fn from(reserved: ReservedIdentity) -> Self {
        Self(reserved as u32)
    }
}

impl Identity {
    /// First number given to labels of endpoints.
    pub const FIRST_GLOBAL: Self = Self(256);
    /// First number given to address prefixes.
    pub const FIRST_LOCAL: Self = Self(1 << 24);
    /// First number given to other nodes.
    pub const FIRST_REMOTE_NODE: Self = Self(2 << 24);

    #[must_use]
    pub const fn new(number: u32) -> Self {
        Self(number)
    }

    #[must_use]
    pub const fn get(self) -> u32 {
        self.0
    }

    /// The fixed identity of this number, if it has one.
    #[must_use]
    pub fn reserved(self) -> Option<ReservedIdentity> {
        ReservedIdentity::ALL.into_iter().find(|r| Self::from(*r) == self)
    }

    #[must_use]
    pub const fn scope(self) -> IdentityScope {
        match self.0 {
            0..=255 => IdentityScope::Reserved,
            256..=0x00ff_ffff => IdentityScope::Global,
            0x0100_0000..=0x01ff_ffff => IdentityScope::Local,
            0x0200_0000.. => IdentityScope::RemoteNode,
        }
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
