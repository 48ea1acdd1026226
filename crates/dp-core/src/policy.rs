//! Looking a peer up in a rule set.

use crate::{flow::Flow, tables::Tables};
use ciliate_abi::{
    ANY_PROTOCOL_SHAPE, Address, CLASS_BIT, Config, Direction, DirectionShapes, ENTRY_ALLOW, Outcome, PeerKind,
    PolicyEntry, PolicyKey, PrefixKey, config_flags, rule_set_flags,
};

/// Fixed numbers of `ciliate_types::ReservedIdentity` that packets are judged by.
pub mod identity {
    pub const UNKNOWN: u32 = 0;
    pub const HOST: u32 = 1;
    pub const WORLD: u32 = 2;
    pub const REMOTE_NODE: u32 = 6;
    pub const KUBE_APISERVER: u32 = 7;
    pub const WORLD_IPV4: u32 = 9;
    pub const WORLD_IPV6: u32 = 10;
    pub const FIRST_LOCAL: u32 = 1 << 24;
    pub const FIRST_REMOTE_NODE: u32 = 2 << 24;
}

/// What a rule set says about a packet.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Judgement {
    pub outcome: Outcome,
    /// The rule that decided; 0 = none did.
    pub rule: u32,
    /// Whether some policy applies to the direction at all.
    pub enforced: bool,
}

impl Judgement {
    /// Nothing is policed here.
    pub const OPEN: Self = Self { outcome: Outcome::Allowed, rule: 0, enforced: false };
}

/// The identity of an address that no endpoint here has.
#[inline(always)]
pub fn peer_identity<T: Tables>(tables: &T, config: &Config, address: &Address) -> u32 {
    match tables.identity(address) {
        Some(identity) => identity,
        None if config.flags & config_flags::DUAL_STACK == 0 => identity::WORLD,
        None if address.is_v4() => identity::WORLD_IPV4,
        None => identity::WORLD_IPV6,
    }
}

#[inline(always)]
#[must_use]
pub fn peer_kind(identity: u32) -> PeerKind {
    match identity {
        identity::HOST | identity::REMOTE_NODE | identity::KUBE_APISERVER | identity::FIRST_REMOTE_NODE.. => {
            PeerKind::Node
        }
        identity::UNKNOWN
        | identity::WORLD
        | identity::WORLD_IPV4
        | identity::WORLD_IPV6
        | identity::FIRST_LOCAL.. => PeerKind::World,
        _ => PeerKind::Endpoint,
    }
}

/// Judges a packet by one direction of a rule set. `None` if there is no such rule set.
#[inline(always)]
pub fn judge<T: Tables>(
    tables: &T,
    handle: u32,
    direction: Direction,
    peer: u32,
    peer_address: &Address,
    flow: &Flow,
) -> Option<Judgement> {
    let set = tables.rule_set(handle)?;
    let (shapes, isolated) = match direction {
        Direction::Ingress => (&set.ingress, set.flags & rule_set_flags::ISOLATE_INGRESS != 0),
        Direction::Egress => (&set.egress, set.flags & rule_set_flags::ISOLATE_EGRESS != 0),
    };
    let mut search = Search { handle, direction, protocol: flow.protocol, port: flow.policy_port(), best: None };
    search.peer(tables, 0, shapes.any);
    search.peer(tables, peer, shapes.identity);
    let kind = peer_kind(peer);
    let class_shapes = class_shapes(shapes, kind);
    if class_shapes != 0 {
        let key = PrefixKey {
            rule_set: handle,
            direction: direction as u8,
            kind: kind as u8,
            pad: [0; 2],
            address: *peer_address,
        };
        if let Some(class) = tables.class(&key) {
            search.peer(tables, CLASS_BIT | class, class_shapes);
        }
    }
    Some(match search.best {
        Some(entry) if entry.action == ENTRY_ALLOW => {
            Judgement { outcome: Outcome::Allowed, rule: entry.rule, enforced: true }
        }
        Some(entry) => Judgement { outcome: Outcome::Denied, rule: entry.rule, enforced: true },
        None if isolated => Judgement { outcome: Outcome::Unmatched, rule: 0, enforced: true },
        None => Judgement::OPEN,
    })
}

#[inline(always)]
fn class_shapes(shapes: &DirectionShapes, kind: PeerKind) -> u32 {
    let [endpoint, node, world] = shapes.class;
    match kind {
        PeerKind::Endpoint => endpoint,
        PeerKind::Node => node,
        PeerKind::World => world,
    }
}

struct Search {
    handle: u32,
    direction: Direction,
    protocol: u8,
    port: u16,
    best: Option<PolicyEntry>,
}

impl Search {
    /// Looks a peer up once per shape that its entries have.
    #[inline(always)]
    fn peer<T: Tables>(&mut self, tables: &T, peer: u32, shapes: u32) {
        let mut left = shapes;
        let mut bits = 0;
        while bits <= ANY_PROTOCOL_SHAPE && left != 0 {
            if left & 1 != 0 {
                self.shape(tables, peer, bits);
            }
            left >>= 1;
            bits = bits.wrapping_add(1);
        }
    }

    #[inline(always)]
    fn shape<T: Tables>(&mut self, tables: &T, peer: u32, bits: u32) {
        let (protocol, port) = if bits == ANY_PROTOCOL_SHAPE {
            (0, 0)
        } else {
            // 0xffff0000 keeps no bit of the port for 0 significant ones and all for 16.
            (self.protocol, self.port & (0xffff_0000_u32 >> (bits & 31)) as u16)
        };
        let key = PolicyKey {
            rule_set: self.handle,
            peer,
            port,
            port_bits: bits as u8,
            protocol,
            direction: self.direction as u8,
            pad: [0; 3],
        };
        if let Some(entry) = tables.policy_entry(&key)
            && self.best.is_none_or(|best| entry.precedence > best.precedence)
        {
            self.best = Some(*entry);
        }
    }
}
