//! A rule set asked about one packet, in the most obvious way.

use crate::rule_set::{
    Action, DirectionRules, Entry, FilterDigest, Otherwise, Peer, PeerKind, RuleId, Traffic,
};
use ciliate_types::{Identity, Protocol};
use ipnet::IpNet;
use std::{cmp::Reverse, collections::BTreeSet, net::IpAddr};

/// The other end of a packet.
#[derive(Clone, Copy, Debug)]
pub struct Other {
    pub identity: Identity,
    pub address: IpAddr,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    pub action: Action,
    /// None if no entry matched.
    pub rule: Option<RuleId>,
    /// Of a redirection all filters: a request is allowed if one of them allows it.
    pub filters: BTreeSet<FilterDigest>,
}

/// Of all entries that match the one with the highest precedence decides; redirections of one precedence do together. `port` is the type for ICMP, and 0
/// for protocols without ports.
#[must_use]
pub fn look_up(rules: &DirectionRules, other: Other, protocol: Protocol, port: u16) -> Decision {
    let kind = PeerKind::of_identity(other.identity);
    let address = IpNet::from(other.address);
    let around = rules.prefixes.iter().filter(|((k, net), _)| *k == kind && net.contains(&address));
    let class = around.max_by_key(|((_, net), _)| net.prefix_len()).map(|(_, class)| *class);
    let matching = rules.entries.iter().filter(|(key, _)| {
        let peer = match key.peer {
            Peer::Any => true,
            Peer::Identity(identity) => identity == other.identity,
            Peer::Class(of) => Some(of) == class,
        };
        let traffic = match key.traffic {
            Traffic::Any => true,
            Traffic::Ports(of, ports) => of == protocol && ports.contains(port),
        };
        peer && traffic
    });
    let rank = |entry: &Entry| (entry.precedence, Reverse(entry.rule));
    let matching: Vec<&Entry> = matching.map(|(_, entry)| entry).collect();
    match matching.iter().max_by_key(|entry| rank(entry)) {
        Some(top) => {
            let equals = matching.iter().filter(|e| e.precedence == top.precedence);
            let filters = equals.map(|e| e.filter).filter(|filter| *filter != FilterDigest::NONE);
            Decision { action: top.action, rule: Some(top.rule), filters: filters.collect() }
        }
        None => {
            let action = match rules.otherwise {
                Otherwise::Allow => Action::Allow,
                Otherwise::Deny => Action::Deny,
            };
            Decision { action, rule: None, filters: BTreeSet::new() }
        }
    }
}
