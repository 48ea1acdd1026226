//! What an endpoint's policies come to: entries that the kernel looks up by peer and traffic.

mod filter;

pub use filter::{Filter, FilterDigest, FilterRule};

use ciliate_types::{
    Direction, Identity, IdentityScope, Labels, PortPrefix, Protocol, ReservedIdentity, source,
};
use ipnet::IpNet;
use serde::Serialize;
use std::{collections::BTreeMap, fmt, sync::Arc};

/// Everything that decides an endpoint's traffic. Endpoints whose rule sets are equal share one in the kernel.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct RuleSet {
    pub ingress: DirectionRules,
    pub egress: DirectionRules,
}

/// One direction of a rule set. Of all entries that match a packet the one with the highest precedence decides.
///
/// Where that is a redirection, all matching entries of its precedence count, whatever their keys: one may be for any peer, another
/// for an identity, a third for a range of ports. The proxy collects the filters of all of them, and a request that any rule of any
/// of these filters matches is allowed. Filters of different keys are not merged here: their number would be that of
/// all combinations of keys.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct DirectionRules {
    /// What happens to traffic that no entry matches.
    pub otherwise: Otherwise,
    pub entries: BTreeMap<EntryKey, Entry>,
    /// What the entries that redirect stand for.
    pub filters: BTreeMap<FilterDigest, Arc<Filter>>,
    /// Address prefixes that entries refer to as [`Peer::Class`]. The longest prefix of a peer's address
    /// decides its one class, so entries of a class include those of all wider prefixes.
    pub prefixes: BTreeMap<(PeerKind, IpNet), ClassId>,
}

/// What happens to traffic that no entry matches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Otherwise {
    /// No policy isolates this direction.
    #[default]
    Allow,
    /// Isolated: what no rule allows is dropped.
    Deny,
}

/// The kinds of peers that address prefixes can tell apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum PeerKind {
    /// A managed endpoint, here or on another node.
    Endpoint,
    /// This host or another node.
    Node,
    /// Everything else.
    World,
}

/// An address class, meaningful within one direction of one rule set; starts at 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ClassId(pub u32);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Peer {
    Any,
    Identity(Identity),
    Class(ClassId),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Traffic {
    /// Every protocol and port, also protocols without ports.
    Any,
    /// A protocol with all destination ports that share a prefix; for ICMP and ICMPv6 the type stands in
    /// place of the port.
    Ports(Protocol, PortPrefix),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EntryKey {
    pub peer: Peer,
    pub traffic: Traffic,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// To the proxy, which asks the rules of the entry's filter about every request.
    Redirect,
    Allow,
    Deny,
}

impl Action {
    /// How entries of the action are ranked: a rule that allows everything makes it needless to look at requests.
    /// The distance between levels leaves room for tiers and priorities.
    #[must_use]
    pub const fn precedence(self) -> u32 {
        match self {
            Self::Redirect => 0x3fff_8000,
            Self::Allow => 0x4000_0000,
            Self::Deny => 0x4000_8000,
        }
    }
}

/// The rank of what a setting of the node decides, whatever the policies say.
pub const SETTING_PRECEDENCE: u32 = 0xffff_0000;

/// Of entries with the same key only the one with the highest precedence is kept; among equals the lowest rule,
/// and of redirections the filter with all of their rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Entry {
    pub action: Action,
    /// Higher decides. Denies lie above allows.
    pub precedence: u32,
    pub rule: RuleId,
    /// Of a redirection the content of [`DirectionRules::filters`]; else [`FilterDigest::NONE`].
    pub filter: FilterDigest,
}

/// The number by which the kernel names a rule in its events; never 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct RuleId(pub u32);

impl RuleId {
    /// The setting that lets the local host reach its endpoints.
    pub const LOCALHOST: Self = Self(1);
    /// Rules of policies start here; smaller numbers name settings.
    pub const FIRST: Self = Self(16);
}

impl fmt::Display for RuleId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl PeerKind {
    pub const ALL: [Self; 3] = [Self::Endpoint, Self::Node, Self::World];

    /// The kind of peers with this identity.
    #[must_use]
    pub fn of_identity(identity: Identity) -> Self {
        use ReservedIdentity as R;
        match identity.scope() {
            IdentityScope::Global => Self::Endpoint,
            IdentityScope::Local => Self::World,
            IdentityScope::RemoteNode => Self::Node,
            IdentityScope::Reserved => match identity.reserved() {
                Some(R::Host | R::RemoteNode | R::KubeApiserver) => Self::Node,
                Some(R::World | R::WorldIpv4 | R::WorldIpv6) | None => Self::World,
                Some(R::Unmanaged | R::Health | R::Init | R::Ingress | R::EncryptedOverlay) => Self::Endpoint,
            },
        }
    }

    /// The kind of peers with these labels.
    #[must_use]
    pub fn of_labels(labels: &Labels) -> Self {
        use ReservedIdentity as R;
        let has = |reserved: R| labels.has(source::RESERVED, reserved.key());
        if has(R::Host) || has(R::RemoteNode) {
            Self::Node
        } else if labels.iter().any(|l| l.source() == source::CIDR)
            || [R::World, R::WorldIpv4, R::WorldIpv6].into_iter().any(has)
        {
            Self::World
        } else if has(R::KubeApiserver) {
            Self::Node
        } else {
            Self::Endpoint
        }
    }
}

impl RuleSet {
    #[must_use]
    pub fn direction(&self, direction: Direction) -> &DirectionRules {
        match direction {
            Direction::Ingress => &self.ingress,
            Direction::Egress => &self.egress,
        }
    }
}
