//! Rule sets in the form that the kernel looks up.

use crate::prefix_bits;
use ciliate_abi::{
    ANY_PROTOCOL_SHAPE, Address, CLASS_BIT, DirectionShapes, ENTRY_ALLOW, ENTRY_DENY, ENTRY_REDIRECT,
    PolicyEntry, PolicyKey, PrefixKey, RuleSet, rule_set_flags,
};
use ciliate_policy::rule_set::{
    self as policy, Action, DirectionRules, FilterDigest, Otherwise, Peer, PeerKind, Traffic,
};
use ciliate_types::{Direction, Identity};
use std::{
    collections::BTreeMap,
    hash::{DefaultHasher, Hash as _, Hasher as _},
};

/// Equal for equal contents.
pub type Digest = [u64; 2];

/// What the kernel will hold for a rule set. The rule set's number is filled in when it is known.
pub struct Compiled {
    pub shapes: RuleSet,
    pub entries: BTreeMap<PolicyKey, PolicyEntry>,
    pub prefixes: BTreeMap<(u32, PrefixKey), u32>,
}

impl PartialEq for Compiled {
    fn eq(&self, other: &Self) -> bool {
        self.shapes == other.shapes && self.entries == other.entries && self.prefixes == other.prefixes
    }
}

impl Compiled {
    pub fn new(set: &policy::RuleSet) -> Self {
        let mut compiled =
            Self { shapes: RuleSet::default(), entries: BTreeMap::new(), prefixes: BTreeMap::new() };
        for direction in Direction::BOTH {
            let rules = set.direction(direction);
            let (kernel, isolate) = match direction {
                Direction::Ingress => (ciliate_abi::Direction::Ingress, rule_set_flags::ISOLATE_INGRESS),
                Direction::Egress => (ciliate_abi::Direction::Egress, rule_set_flags::ISOLATE_EGRESS),
            };
            if let Otherwise::Deny = rules.otherwise {
                compiled.shapes.flags |= isolate;
            }
            let shapes = compiled.put(kernel, rules);
            match direction {
                Direction::Ingress => compiled.shapes.ingress = shapes,
                Direction::Egress => compiled.shapes.egress = shapes,
            }
        }
        compiled
    }

    /// What a direction's rules are; returns the shapes that occur.
    fn put(&mut self, direction: ciliate_abi::Direction, rules: &DirectionRules) -> DirectionShapes {
        let mut shapes = DirectionShapes::default();
        let mut class_shapes = 0;
        for (key, entry) in &rules.entries {
            let (protocol, port, port_bits) = match key.traffic {
                Traffic::Any => (0, 0, ANY_PROTOCOL_SHAPE),
                Traffic::Ports(protocol, prefix) => (protocol.number(), prefix.value, u32::from(prefix.len)),
            };
            let shape = 1_u32.wrapping_shl(port_bits);
            let peer = match key.peer {
                Peer::Any => {
                    shapes.any |= shape;
                    0
                }
                Peer::Identity(identity) => {
                    shapes.identity |= shape;
                    identity.get()
                }
                Peer::Class(class) => {
                    class_shapes |= shape;
                    CLASS_BIT | class.0
                }
            };
            let key = PolicyKey {
                rule_set: 0,
                peer,
                port,
                port_bits: u8::try_from(port_bits).unwrap_or_default(),
                protocol,
                direction: direction as u8,
                pad: [0; 3],
            };
            let action = match entry.action {
                Action::Allow => ENTRY_ALLOW,
                Action::Redirect => ENTRY_REDIRECT,
                Action::Deny => ENTRY_DENY,
            };
            self.entries.insert(
                key,
                PolicyEntry {
                    precedence: entry.precedence,
                    rule: entry.rule.0,
                    action,
                    filter: halves(entry.filter),
                },
            );
        }
        for ((kind, net), class) in &rules.prefixes {
            let kind = match kind {
                PeerKind::Endpoint => ciliate_abi::PeerKind::Endpoint,
                PeerKind::Node => ciliate_abi::PeerKind::Node,
                PeerKind::World => ciliate_abi::PeerKind::World,
            };
            if let Some(mask) = shapes.class.get_mut(kind as usize) {
                *mask = class_shapes;
            }
            let key = PrefixKey {
                rule_set: 0,
                direction: direction as u8,
                kind: kind as u8,
                family: Address::from(net.network()).family(),
                pad: 0,
                address: net.network().into(),
            };
            self.prefixes.insert((PrefixKey::SCOPE_BITS.saturating_add(prefix_bits(net)), key), class.0);
        }
        shapes
    }

    /// The entries that another one lacks; the shapes are all there.
    pub fn without(&self, other: &Self) -> Self {
        let lacking = self.entries.iter().filter(|(key, _)| !other.entries.contains_key(key));
        let entries = lacking.map(|(key, entry)| (*key, *entry)).collect();
        Self { shapes: self.shapes, entries, prefixes: BTreeMap::new() }
    }

    /// Whether another one differs only by peers that are allowed besides, and by peers that are `gone`.
    pub fn differs_by_peers(&self, new: &Self, gone: &[Identity]) -> bool {
        let is_identity = |key: &PolicyKey| key.peer & CLASS_BIT == 0 && key.peer != 0;
        self.shapes.flags == new.shapes.flags
            && self.prefixes == new.prefixes
            && self.entries.iter().all(|(key, entry)| match new.entries.get(key) {
                Some(same) => same == entry,
                None => is_identity(key) && gone.contains(&Identity::new(key.peer)),
            })
            && new.entries.iter().all(|(key, entry)| {
                self.entries.contains_key(key) || (entry.action == ENTRY_ALLOW && is_identity(key))
            })
    }

    /// Two independent 64-bit hashes of everything.
    pub fn digest(&self) -> Digest {
        [1_u64, 2].map(|seed| {
            let mut hasher = DefaultHasher::new();
            seed.hash(&mut hasher);
            let shapes = &self.shapes;
            shapes.flags.hash(&mut hasher);
            for direction in [&shapes.ingress, &shapes.egress] {
                (direction.any, direction.identity, direction.class).hash(&mut hasher);
            }
            for (key, entry) in &self.entries {
                (key.peer, key.port, key.port_bits, key.protocol, key.direction).hash(&mut hasher);
                (entry.precedence, entry.rule, entry.action, entry.filter).hash(&mut hasher);
            }
            self.prefixes.len().hash(&mut hasher);
            for ((bits, key), class) in &self.prefixes {
                (bits, key.direction, key.kind, key.family, key.address.0, class).hash(&mut hasher);
            }
            hasher.finish()
        })
    }
}

/// A digest as the kernel's row has it, low half first.
fn halves(digest: FilterDigest) -> [u32; 2] {
    let [low, high] = [digest.0, digest.0.wrapping_shr(32)];
    [low & u64::from(u32::MAX), high].map(|half| u32::try_from(half).unwrap_or_default())
}
