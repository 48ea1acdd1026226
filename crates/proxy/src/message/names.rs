//! What the two say to each other of names and the identities of their addresses.

use ciliate_dns::{Malformed, Name};
use ciliate_types::{EndpointId, Identity, NamePattern};
use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeSet, net::IpAddr};

/// Everything the proxy has to know to give addresses their identities.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NameRules {
    /// Of all `toFQDNs`.
    pub patterns: BTreeSet<NamePattern>,
    /// What has been numbered. Every rule set knows these identities.
    pub identities: Vec<NameIdentity>,
    /// Prefixes that rules name, with their identities.
    pub prefixes: Vec<(IpNet, Identity)>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NameIdentity {
    pub set: NameSet,
    pub identity: Identity,
}

/// What addresses have in common that share an identity: the patterns that their names match, and the prefix around them.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct NameSet {
    /// Never empty.
    pub patterns: BTreeSet<NamePattern>,
    pub around: Around,
}

/// The longest prefix with an identity around an address, or the part of the world that it belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Around {
    WorldIpv4,
    WorldIpv6,
    Prefix(IpNet),
}

impl Around {
    /// Where no prefix is.
    #[must_use]
    pub fn world(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(_) => Self::WorldIpv4,
            IpAddr::V6(_) => Self::WorldIpv6,
        }
    }

    #[must_use]
    pub fn prefix(self) -> Option<IpNet> {
        match self {
            Self::Prefix(net) => Some(net),
            Self::WorldIpv4 | Self::WorldIpv6 => None,
        }
    }

    /// Some address that it holds.
    #[must_use]
    pub fn address(self) -> IpAddr {
        match self {
            Self::Prefix(net) => net.addr(),
            Self::WorldIpv4 => std::net::Ipv4Addr::UNSPECIFIED.into(),
            Self::WorldIpv6 => std::net::Ipv6Addr::UNSPECIFIED.into(),
        }
    }
}

/// A name and what it resolved to for one endpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CachedName {
    /// None: an administrator said so.
    pub endpoint: Option<EndpointId>,
    pub name: String,
    pub addresses: Vec<CachedAddress>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CachedAddress {
    pub address: IpAddr,
    /// Seconds.
    pub ttl: u32,
    /// Seconds since 1970.
    pub expires: u32,
    /// `lookup` while it is valid, `connection` once only connections keep it.
    pub source: String,
    /// None while no rule selects the name.
    pub identity: Option<Identity>,
}

/// Of the cache of names and of the queries under way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NameStatus {
    pub names: usize,
    pub addresses: usize,
    /// Addresses with an identity of names.
    pub selected: usize,
    /// Of these: those that wait for a better identity.
    pub waiting: usize,
    pub queries: u64,
    pub answers: u64,
    pub under_way: u64,
}

/// What a name resolved to, told by a process that keeps no names any more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lesson {
    pub endpoint: Option<EndpointId>,
    pub name: WireName,
    /// With their seconds to live.
    pub addresses: Vec<(IpAddr, u32)>,
}

/// A name as it stands in messages, so that any byte may be in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct WireName(Vec<u8>);

impl From<&Name> for WireName {
    fn from(name: &Name) -> Self {
        Self(name.as_bytes().to_vec())
    }
}

impl TryFrom<&WireName> for Name {
    type Error = Malformed;

    fn try_from(wire: &WireName) -> Result<Self, Malformed> {
        Self::from_bytes(&wire.0)
    }
}
