//! The other end of a flow, and whether a rule is about it.

use super::{Finding, PeerRef};
use crate::{
    Engine,
    endpoint_labels::{prefix_labels, world_labels},
    identities::NamedPorts,
    policies::{StoredPeer, StoredPeers, StoredRule},
    rule_set::PeerKind,
    selector::{Block, Selector, is_named, label_prefix},
    selectors::SelectorId,
};
use ciliate_types::{Labels, ReservedIdentity, source};
use ipnet::IpNet;

/// A reason names this many peers of a rule at most.
const NAMED_PEERS: usize = 3;

pub struct Peer {
    pub labels: Labels,
    pub named_ports: NamedPorts,
    pub kind: PeerKind,
    /// The address if it is known, else the prefix that the labels speak of.
    prefix: Option<IpNet>,
}

impl Peer {
    pub fn resolve(engine: &Engine, peer: &PeerRef) -> Self {
        let labels = match (peer.labels.is_empty(), peer.address) {
            // What the identity of an address outside of the cluster is called.
            (true, Some(address)) => match engine.covering_prefix(address) {
                Some(net) => prefix_labels(&net),
                None => world_labels(address),
            },
            (true, None) | (false, _) => peer.labels.clone(),
        };
        let named = labels.iter().filter_map(label_prefix).max_by_key(IpNet::prefix_len);
        let prefix = peer.address.map(IpNet::from).or(named).or_else(|| world_prefix(&labels));
        Self { kind: PeerKind::of_labels(&labels), named_ports: peer.named_ports.clone(), labels, prefix }
    }

    /// Whether a rule is about this peer.
    pub fn judge(&self, engine: &Engine, rule: &StoredRule) -> Finding {
        let peers = match &rule.peers {
            StoredPeers::Any => return Finding { matches: true, reason: "any peer".to_owned() },
            StoredPeers::Of(peers) => peers,
        };
        let mut misses = Vec::new();
        for peer in peers {
            let judged = match peer {
                StoredPeer::Selector(id) => self.judge_selector(engine, *id),
                StoredPeer::Address(block) => self.judge_address(block),
                StoredPeer::Group { groups, resolved, .. } => {
                    let judged = resolved.iter().map(|id| self.judge_selector(engine, *id));
                    let hit = judged.into_iter().find(|finding| finding.is_ok());
                    hit.unwrap_or_else(|| Err(format!("is not in {groups}")))
                }
            };
            match judged {
                Ok(reason) => return Finding { matches: true, reason },
                Err(reason) => misses.push(reason),
            }
        }
        let more = misses.len().saturating_sub(NAMED_PEERS);
        misses.truncate(NAMED_PEERS);
        let reason = match (misses.is_empty(), more) {
            (true, _) => "the rule names nobody".to_owned(),
            (false, 0) => misses.join("; "),
            (false, more) => format!("{}; and {more} more", misses.join("; ")),
        };
        Finding { matches: false, reason }
    }

    fn judge_selector(&self, engine: &Engine, id: SelectorId) -> Result<String, String> {
        let Some(row) = engine.selector(id) else { return Err("selects nobody".to_owned()) };
        match &*row.selector {
            Selector::Labels(labels) => match labels.unmet(self.labels.iter()) {
                None => Ok(labels.to_string()),
                Some(requirement) => Err(format!("lacks {requirement}")),
            },
            Selector::Entity(entity) => {
                match entity.matches(self.labels.iter(), &engine.settings().cluster_name) {
                    true => Ok(format!("entity {entity}")),
                    false => Err(format!("is not part of entity {entity}")),
                }
            }
            Selector::Fqdn(pattern) => {
                match self.kind == PeerKind::World && is_named(pattern, self.labels.iter()) {
                    true => Ok(format!("is an address of {pattern}")),
                    false => Err(format!("is no address that was asked for under a name of {pattern}")),
                }
            }
            Selector::Cidr(block) => {
                let mode = engine.settings().cidr_match_mode;
                let by_address = match self.kind {
                    PeerKind::World => true,
                    PeerKind::Node => mode.nodes,
                    PeerKind::Endpoint => mode.endpoints,
                };
                match by_address {
                    true => self.judge_address(block),
                    false => Err(format!("is not outside of the cluster, as cidr {} wants", block.net)),
                }
            }
        }
    }

    fn judge_address(&self, block: &Block) -> Result<String, String> {
        match self.prefix {
            Some(prefix) if block.contains(&prefix) => Ok(format!("{prefix} is in {block}")),
            Some(prefix) => Err(format!("{prefix} is not in {block}")),
            None => Err(format!("no address to compare with {block}")),
        }
    }
}

/// The world of one family stands for all of its addresses.
fn world_prefix(labels: &Labels) -> Option<IpNet> {
    let has = |world: ReservedIdentity| labels.has(source::RESERVED, world.key());
    let text = match (has(ReservedIdentity::WorldIpv4), has(ReservedIdentity::WorldIpv6)) {
        (true, false) => "0.0.0.0/0",
        (false, true) => "::/0",
        (true, true) | (false, false) => return None,
    };
    text.parse().ok()
}
