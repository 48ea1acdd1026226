//! A node of three endpoints in memory, and rules for one of them.

use crate::endpoint::put_endpoint;
use ciliate_abi::{DropReason, ENTRY_ALLOW, PolicyEntry, PolicyKey, RuleSet, rule_set_flags};
use ciliate_dp_core::{Action, model::Memory};

pub const OPEN: u32 = 1;
pub const CLOSED: u32 = 2;
pub const SYN: u8 = 2;
pub const ACK: u8 = 16;
pub const FIN: u8 = 1;
pub const RST: u8 = 4;

/// Endpoints 2 and 3 that nothing isolates, and 4, where all ingress is closed.
pub fn memory() -> Memory {
    let mut memory = Memory::default();
    memory.rule_sets.insert(OPEN, RuleSet::default());
    memory.rule_sets.insert(CLOSED, RuleSet { flags: rule_set_flags::ISOLATE_INGRESS, ..RuleSet::default() });
    for (last, rule_set) in [(2, OPEN), (3, OPEN), (4, CLOSED)] {
        put_endpoint(&mut memory, last, rule_set);
    }
    memory.ipcache.insert((128, memory.config.gateway_v4), 1);
    memory
}

/// Opens endpoint 4 for a protocol and port (or ICMP type).
pub fn allow(memory: &mut Memory, protocol: u8, port: u16) {
    entry(memory, 0, protocol, (port, 16), ENTRY_ALLOW, 10, 7);
}

pub fn entry(
    memory: &mut Memory,
    peer: u32,
    protocol: u8,
    (port, bits): (u16, u8),
    action: u32,
    precedence: u32,
    rule: u32,
) {
    let shape = 1 << bits;
    let set = memory.rule_sets.get_mut(&CLOSED).unwrap();
    match peer {
        0 => set.ingress.any |= shape,
        _ => set.ingress.identity |= shape,
    }
    let key =
        PolicyKey { rule_set: CLOSED, peer, port, port_bits: bits, protocol, direction: 0, pad: [0; 3] };
    memory.policy.insert(key, PolicyEntry { precedence, rule, action, filter: [0; 2] });
}

pub fn delivered(outcome: Result<Action, DropReason>) -> bool {
    outcome == Ok(Action::Deliver)
}
