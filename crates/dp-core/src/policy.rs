//! Looking a peer up in a rule set.

use crate::{flow::Flow, tables::Tables};
use ciliate_abi::{
    ANY_PROTOCOL_SHAPE, Address, CLASS_BIT, Config, Direction, DirectionShapes, ENTRY_ALLOW, ENTRY_REDIRECT,
    Outcome, PeerKind, PolicyEntry, PolicyKey, PrefixKey, config_flags, rule_set_flags,
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

/// A look-up under way. It lies in the scene, not on the stack: what the verifier cannot follow cannot multiply the
/// states that it has to check.
#[derive(Clone, Copy, Debug)]
pub struct Search {
    key: PolicyKey,
    /// The packet's own protocol and port.
    protocol: u8,
    port: u16,
    /// Shapes of the entries that the peer may have.
    shapes: u32,
    found: bool,
    best: PolicyEntry,
}

impl Search {
    pub const IDLE: Self = Self {
        key: PolicyKey {
            rule_set: 0,
            peer: 0,
            port: 0,
            port_bits: 0,
            protocol: 0,
            direction: 0,
            pad: [0; 3],
        },
        protocol: 0,
        port: 0,
        shapes: 0,
        found: false,
        best: PolicyEntry { precedence: 0, rule: 0, action: 0, filter: [0; 2] },
    };
}

/// Judges a packet by one direction of a rule set. `None` if there is no such rule set.
#[inline(always)]
pub fn judge<T: Tables>(
    tables: &T,
    search: &mut Search,
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
    search.found = false;
    search.key.rule_set = handle;
    search.key.direction = direction as u8;
    search.protocol = flow.protocol;
    search.port = flow.policy_port();
    look_up_peer(tables, search, 0, shapes.any);
    look_up_peer(tables, search, peer, shapes.identity);
    let kind = peer_kind(peer);
    let class_shapes = class_shapes(shapes, kind);
    if class_shapes != 0 {
        let key = PrefixKey {
            rule_set: handle,
            direction: direction as u8,
            kind: kind as u8,
            family: peer_address.family(),
            pad: 0,
            address: *peer_address,
        };
        if let Some(class) = tables.class(&key) {
            look_up_peer(tables, search, CLASS_BIT | class, class_shapes);
        }
    }
    Some(match (search.found, search.best) {
        (true, entry) if entry.action == ENTRY_ALLOW => {
            Judgement { outcome: Outcome::Allowed, rule: entry.rule, enforced: true }
        }
        (true, entry) if entry.action == ENTRY_REDIRECT => {
            Judgement { outcome: Outcome::Redirected, rule: entry.rule, enforced: true }
        }
        (true, entry) => Judgement { outcome: Outcome::Denied, rule: entry.rule, enforced: true },
        (false, _) if isolated => Judgement { outcome: Outcome::Unmatched, rule: 0, enforced: true },
        (false, _) => Judgement::OPEN,
    })
}

#[inline(always)]
#[must_use]
pub fn class_shapes(shapes: &DirectionShapes, kind: PeerKind) -> u32 {
    let [endpoint, node, world] = shapes.class;
    match kind {
        PeerKind::Endpoint => endpoint,
        PeerKind::Node => node,
        PeerKind::World => world,
    }
}

/// Looks a peer up once per shape that its entries have.
#[inline(never)]
fn look_up_peer<T: Tables>(tables: &T, search: &mut Search, peer: u32, shapes: u32) {
    search.key.peer = peer;
    search.shapes = shapes;
    let mut bits = 0;
    while bits <= ANY_PROTOCOL_SHAPE {
        if search.shapes >> bits == 0 {
            return;
        }
        look_up_shape(tables, search, bits);
        bits = bits.wrapping_add(1);
    }
}

#[inline(never)]
fn look_up_shape<T: Tables>(tables: &T, search: &mut Search, bits: u32) {
    if search.shapes >> (bits & 31) & 1 == 0 {
        return;
    }
    search.key.port_bits = bits as u8;
    (search.key.protocol, search.key.port) = if bits == ANY_PROTOCOL_SHAPE {
        (0, 0)
    } else {
        // 0xffff0000 keeps no bit of the port for 0 significant ones and all for 16.
        (search.protocol, search.port & (0xffff_0000_u32 >> (bits & 31)) as u16)
    };
    if let Some(entry) = tables.policy_entry(&search.key)
        && (!search.found
            || entry.precedence > search.best.precedence
            || (entry.precedence == search.best.precedence && entry.rule < search.best.rule))
    {
        search.found = true;
        search.best.precedence = entry.precedence;
        search.best.rule = entry.rule;
        search.best.action = entry.action;
    }
}
