//! The policy's answer for a whole connection, asked from user space: which filters its contents have to pass.
//!
//! The programs want one entry, the deciding one; the proxy wants all that decide together. Both find them the same way.

use crate::policy::{self, identity};
use ciliate_abi::{
    ANY_PROTOCOL_SHAPE, Address, CLASS_BIT, Direction, ENTRY_ALLOW, ENTRY_REDIRECT, PolicyEntry, PolicyKey,
    PrefixKey, RuleSet, rule_set_flags,
};

/// Rows by value, as another process reads them.
pub trait Rows {
    type Error;

    fn rule_set(&self, handle: u32) -> Result<Option<RuleSet>, Self::Error>;
    fn policy_entry(&self, key: &PolicyKey) -> Result<Option<PolicyEntry>, Self::Error>;
    /// The address class of the longest prefix that holds the address.
    fn class(&self, key: &PrefixKey) -> Result<Option<u32>, Self::Error>;
    /// The identity of the longest prefix that holds the address.
    fn identity(&self, address: &Address) -> Result<Option<u32>, Self::Error>;
}

/// What is asked: whether an endpoint's policy lets a connection through.
#[derive(Clone, Copy, Debug)]
pub struct Inquiry {
    /// Of the endpoint whose policy is asked.
    pub rule_set: u32,
    pub direction: Direction,
    pub peer: u32,
    pub peer_address: Address,
    pub protocol: u8,
    /// Destination port.
    pub port: u16,
}

/// What one policy says about a connection.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ruling {
    /// No policy applies.
    Open,
    Allowed {
        rule: u32,
    },
    /// 0 = no rule allowed it.
    Refused {
        rule: u32,
    },
    /// What it carries has to pass one of the filters that were collected.
    Filtered {
        rule: u32,
    },
}

impl Inquiry {
    /// Answers, and hands the digest of every filter of a [`Ruling::Filtered`] to `collect`, some perhaps twice.
    pub fn answer<R: Rows>(&self, rows: &R, mut collect: impl FnMut(u64)) -> Result<Ruling, R::Error> {
        let Some(set) = rows.rule_set(self.rule_set)? else { return Ok(Ruling::Refused { rule: 0 }) };
        let (shapes, isolated) = match self.direction {
            Direction::Ingress => (&set.ingress, set.flags & rule_set_flags::ISOLATE_INGRESS != 0),
            Direction::Egress => (&set.egress, set.flags & rule_set_flags::ISOLATE_EGRESS != 0),
        };
        let mut best: Option<PolicyEntry> = None;
        let kind = policy::peer_kind(self.peer);
        let mut peers = [(0, shapes.any), (self.peer, shapes.identity), (0, 0)];
        let class_shapes = policy::class_shapes(shapes, kind);
        if class_shapes != 0 {
            let key = PrefixKey {
                rule_set: self.rule_set,
                direction: self.direction as u8,
                kind: kind as u8,
                family: self.peer_address.family(),
                pad: 0,
                address: self.peer_address,
            };
            if let (Some(class), [.., last]) = (rows.class(&key)?, &mut peers) {
                *last = (CLASS_BIT | class, class_shapes);
            }
        }
        for (peer, shapes) in peers {
            for bits in (0..=ANY_PROTOCOL_SHAPE).filter(|bits| shapes >> bits & 1 != 0) {
                let Some(entry) = rows.policy_entry(&self.key(peer, bits))? else { continue };
                if entry.action == ENTRY_REDIRECT {
                    let [low, high] = entry.filter;
                    collect(u64::from(high) << 32 | u64::from(low));
                }
                let above = |best: &PolicyEntry| {
                    (entry.precedence, core::cmp::Reverse(entry.rule))
                        > (best.precedence, core::cmp::Reverse(best.rule))
                };
                if best.as_ref().is_none_or(above) {
                    best = Some(entry);
                }
            }
        }
        Ok(match best {
            Some(entry) if entry.action == ENTRY_ALLOW => Ruling::Allowed { rule: entry.rule },
            Some(entry) if entry.action == ENTRY_REDIRECT => Ruling::Filtered { rule: entry.rule },
            Some(entry) => Ruling::Refused { rule: entry.rule },
            None if isolated => Ruling::Refused { rule: 0 },
            None => Ruling::Open,
        })
    }

    fn key(&self, peer: u32, bits: u32) -> PolicyKey {
        let (protocol, port) = match bits {
            ANY_PROTOCOL_SHAPE => (0, 0),
            _ => (self.protocol, self.port & (0xffff_0000_u32 >> (bits & 31)) as u16),
        };
        PolicyKey {
            rule_set: self.rule_set,
            peer,
            port,
            port_bits: bits as u8,
            protocol,
            direction: self.direction as u8,
            pad: [0; 3],
        }
    }
}

/// The identity of an address that no endpoint here has.
pub fn peer_identity<R: Rows>(rows: &R, dual_stack: bool, address: &Address) -> Result<u32, R::Error> {
    Ok(match rows.identity(address)? {
        Some(identity) => identity,
        None if !dual_stack => identity::WORLD,
        None if address.is_v4() => identity::WORLD_IPV4,
        None => identity::WORLD_IPV6,
    })
}
