//! Any bytes as a frame of an endpoint that may talk to nobody: no panic, and nothing gets out.
#![no_main]

use ciliate_abi::{Address, Endpoint, RuleSet, rule_set_flags};
use ciliate_dp_core::{Action, model::Memory};
use libfuzzer_sys::fuzz_target;

const DEVICE: u32 = 2;
const CLOSED: u32 = 1;

/// The endpoint's addresses are all zero, which is easy to come by.
fn memory() -> Memory {
    let mut memory = Memory::default();
    let flags = rule_set_flags::ISOLATE_EGRESS | rule_set_flags::ISOLATE_INGRESS;
    memory.rule_sets.insert(CLOSED, RuleSet { flags, ..RuleSet::default() });
    let row = Endpoint {
        identity: 1000,
        rule_set: CLOSED,
        epoch: 1,
        ifindex: DEVICE,
        mac: [0; 6],
        id: 1,
        gateway_mac: [0; 6],
        flags: 0,
    };
    for address in [Address::v4([0; 4]), Address::v6([0; 16])] {
        memory.endpoints.insert(address, row);
    }
    memory
}

fuzz_target!(|frame: &[u8]| {
    let memory = memory();
    assert!(!matches!(memory.from_endpoint(frame, DEVICE), Ok(Action::Deliver | Action::Pass)));
    assert!(matches!(memory.to_endpoint(frame, DEVICE), Err(_)));
});
