//! Which rule decides.

use crate::{
    endpoint::v4,
    frame::{Frame, mac},
    world::{CLOSED, OPEN, SYN, allow, delivered, entry, memory},
};
use ciliate_abi::{
    ANY_PROTOCOL_SHAPE, Address, Direction, DirectionShapes, DropReason, ENTRY_ALLOW, ENTRY_DENY, Outcome,
    PolicyEntry, PolicyKey, rule_set_flags,
};
use ciliate_dp_core::{
    Action,
    inquiry::{Inquiry, Ruling},
};
use proptest::prelude::*;

#[test]
fn udp_and_sctp_have_ports_and_other_protocols_go_by_rules_without_ports() {
    for protocol in [17, 132] {
        let mut memory = memory();
        allow(&mut memory, protocol, 53);
        let to = |port| Frame::ports(protocol, v4(2), 999, v4(4), port).bytes();
        assert!(delivered(memory.from_endpoint(&to(53), 2)));
        assert_eq!(memory.from_endpoint(&to(54), 2), Err(DropReason::Policy));
        assert_eq!(memory.connections.borrow().values().next().unwrap().expires, 1000 + 56);
    }
    let mut memory = memory();
    let gre = Frame::raw(47, v4(2), v4(4), vec![0; 8]).bytes();
    assert_eq!(memory.from_endpoint(&gre, 2), Err(DropReason::Policy));
    entry(&mut memory, 0, 0, (0, ANY_PROTOCOL_SHAPE as u8), ENTRY_ALLOW, 10, 7);
    assert!(delivered(memory.from_endpoint(&gre, 2)));
}

#[test]
fn the_highest_precedence_decides_whatever_is_more_specific() {
    let mut memory = memory();
    entry(&mut memory, 0, 6, (80, 16), ENTRY_ALLOW, 10, 1);
    entry(&mut memory, 1002, 0, (0, ANY_PROTOCOL_SHAPE as u8), ENTRY_DENY, 20, 2);
    entry(&mut memory, 1003, 6, (64, 10), ENTRY_ALLOW, 30, 3);
    entry(&mut memory, 0, 6, (80, 16), ENTRY_DENY, 25, 4);
    let to = |from, port| Frame::tcp(v4(from), 5, v4(4), port, SYN).bytes();
    assert_eq!(memory.from_endpoint(&to(2, 80), 2), Err(DropReason::PolicyDeny));
    assert!(delivered(memory.from_endpoint(&to(3, 80), 3)));
    assert!(delivered(memory.from_endpoint(&to(3, 127), 3)));
    assert_eq!(memory.from_endpoint(&to(3, 128), 3), Err(DropReason::Policy));
    let events = memory.events.borrow();
    let verdicts: Vec<_> =
        events.iter().map(|e| (e.event.ingress_rule, e.event.verdict(Direction::Ingress).unwrap())).collect();
    assert_eq!(
        verdicts,
        [(4, Outcome::Denied), (3, Outcome::Allowed), (3, Outcome::Allowed), (0, Outcome::Unmatched)]
    );
}

/// The host is a peer like any other: rule sets say whether it may enter.
#[test]
fn the_host_enters_where_nothing_isolates_or_a_rule_lets_it() {
    let mut memory = memory();
    let from_host = |to, port| {
        let mut frame = Frame::tcp(Address::v4([10, 0, 0, 1]), port, v4(to), 80, SYN).bytes();
        frame[..6].copy_from_slice(&mac(to));
        frame
    };
    assert_eq!(memory.to_endpoint(&from_host(2, 1), 2), Ok(Action::Pass));
    assert_eq!(memory.to_endpoint(&from_host(4, 1), 4), Err(DropReason::Policy));
    entry(&mut memory, 1, 0, (0, ANY_PROTOCOL_SHAPE as u8), ENTRY_ALLOW, 90, 1);
    assert_eq!(memory.to_endpoint(&from_host(4, 1), 4), Ok(Action::Pass));
    // Taking it back stops what it let in.
    memory.policy.clear();
    memory.endpoints.get_mut(&v4(4)).unwrap().epoch += 100;
    assert_eq!(memory.to_endpoint(&from_host(4, 1), 4), Err(DropReason::Policy));
}

#[test]
fn the_world_is_judged_by_its_longest_prefix() {
    let mut memory = memory();
    let set = memory.rule_sets.get_mut(&OPEN).unwrap();
    set.flags = rule_set_flags::ISOLATE_EGRESS;
    set.egress = DirectionShapes { identity: 1 << ANY_PROTOCOL_SHAPE, ..DirectionShapes::default() };
    let key = PolicyKey {
        rule_set: OPEN,
        peer: 1 << 24,
        port: 0,
        port_bits: ANY_PROTOCOL_SHAPE as u8,
        protocol: 0,
        direction: 1,
        pad: [0; 3],
    };
    memory.policy.insert(key, PolicyEntry { precedence: 10, rule: 9, action: ENTRY_ALLOW, filter: [0; 2] });
    memory.ipcache.insert((96 + 24, Address::v4([192, 0, 2, 0])), 1 << 24);
    memory.ipcache.insert((96 + 32, Address::v4([192, 0, 2, 9])), (1 << 24) + 1);
    let to = |last| Frame::tcp(v4(2), 7, Address::v4([192, 0, 2, last]), 443, SYN).bytes();
    assert_eq!(memory.from_endpoint(&to(1), 2), Ok(Action::Pass));
    assert_eq!(memory.from_endpoint(&to(9), 2), Err(DropReason::Policy));
}

proptest! {
    /// User space asks for a whole connection what the programs decide about its first packet.
    #[test]
    fn an_inquiry_is_answered_as_packets_are_judged(
        entries in prop::collection::vec(
            (prop::sample::select(vec![0_u32, 1002, 1003]), 0_u8..=16, 0_u32..3, 1_u32..4, 1_u32..50), 0..8),
        port in prop::sample::select(vec![80_u16, 81, 8080]),
    ) {
        let mut memory = memory();
        for (peer, bits, action, precedence, rule) in entries {
            let prefix = 80 & (0xffff_0000_u32 >> bits) as u16;
            entry(&mut memory, peer, 6, (prefix, bits), action, precedence, rule);
        }
        let inquiry = Inquiry {
            rule_set: CLOSED,
            direction: Direction::Ingress,
            peer: memory.endpoints[&v4(2)].identity,
            peer_address: v4(2),
            protocol: 6,
            port,
        };
        let Ok(ruling) = inquiry.answer(&memory, |_| {});
        let packet = Frame::tcp(v4(2), 40000, v4(4), port, SYN).bytes();
        match memory.from_endpoint(&packet, 2) {
            Ok(Action::Deliver) => prop_assert!(matches!(ruling, Ruling::Allowed { .. }), "{ruling:?}"),
            Ok(Action::Proxy) => prop_assert!(matches!(ruling, Ruling::Filtered { .. }), "{ruling:?}"),
            Err(_) => prop_assert!(matches!(ruling, Ruling::Refused { .. }), "{ruling:?}"),
            Ok(_) => prop_assert!(false, "{ruling:?}"),
        }
    }
}
