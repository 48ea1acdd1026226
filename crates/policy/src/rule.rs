//! The one form that every kind of policy comes to: a subject, and rules for its traffic.

use crate::{
    rule_set::Action,
    selector::{Block, LabelMatch, Selector},
};
use ciliate_types::{Direction, L7Rules, PortRange, Protocol};
use ipnet::IpNet;
use std::{collections::BTreeSet, fmt, sync::Arc};

/// The rules for the endpoints that one selector selects.
#[derive(Clone, Debug, PartialEq)]
pub struct Spec {
    pub subject: LabelMatch,
    /// Directions in which what no rule allows is dropped.
    pub isolates: BTreeSet<Direction>,
    pub rules: Vec<Rule>,
    pub description: String,
    /// The text of the field `log`.
    pub log: String,
    pub labels: Vec<String>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Rule {
    pub direction: Direction,
    pub effect: RuleEffect,
    /// The field it came from, such as `spec.ingress[0].toPorts[1]`.
    pub section: String,
    pub peers: Peers,
    /// Any of these.
    pub traffic: Vec<TrafficMatch>,
}

/// What a rule does with the traffic that it is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RuleEffect {
    Allow,
    /// Allows what the proxy finds to match.
    Filter(Arc<L7Rules>),
    Deny,
}

impl RuleEffect {
    /// What the kernel does.
    #[must_use]
    pub const fn action(&self) -> Action {
        match self {
            Self::Allow => Action::Allow,
            Self::Filter(_) => Action::Redirect,
            Self::Deny => Action::Deny,
        }
    }

    #[must_use]
    pub const fn l7(&self) -> Option<&Arc<L7Rules>> {
        match self {
            Self::Filter(rules) => Some(rules),
            Self::Allow | Self::Deny => None,
        }
    }
}

#[derive(Clone, Debug, PartialEq)]
pub enum Peers {
    Any,
    /// Any of these; nobody if there are none.
    Of(Vec<PeerMatch>),
}

#[derive(Clone, Debug, PartialEq)]
pub enum PeerMatch {
    Selector(Selector),
    /// Whoever has such an address.
    Address(Block),
    /// The prefixes of address groups, for peers outside of the cluster.
    Group {
        groups: GroupMatch,
        except: BTreeSet<IpNet>,
    },
}

#[derive(Clone, Debug, PartialEq)]
pub enum GroupMatch {
    Name(String),
    /// By the labels of the group objects, which have no source.
    Labels(LabelMatch),
}

impl fmt::Display for GroupMatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => write!(f, "cidr group {name}"),
            Self::Labels(labels) => write!(f, "cidr groups with {labels}"),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum TrafficMatch {
    /// Whatever the protocol.
    Any,
    /// ICMP types stand in place of ports; protocols without ports have all of them.
    Ports(Protocol, PortRange),
    /// A port that the destination has a name for.
    Named(Protocol, Box<str>),
}

impl fmt::Display for TrafficMatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("any traffic"),
            Self::Ports(protocol, ports) if *ports == PortRange::ALL => write!(f, "{protocol}"),
            Self::Ports(protocol @ (Protocol::ICMP | Protocol::ICMPV6), ports) => {
                write!(f, "{protocol} type {ports}")
            }
            Self::Ports(protocol, ports) => write!(f, "{ports}/{protocol}"),
            Self::Named(protocol, name) => write!(f, "{name}/{protocol}"),
        }
    }
}
