//! Packets in, actions out, without a kernel.

#![expect(
    clippy::unwrap_used,
    clippy::arithmetic_side_effects,
    reason = "tests state plainly what they expect"
)]

#[path = "support/frame.rs"]
mod frame;

use ciliate_abi::{
    ANY_PROTOCOL_SHAPE, Address, Direction, DirectionShapes, DropReason, ENTRY_ALLOW, ENTRY_DENY,
    ENTRY_REDIRECT, Endpoint, EventKind, Outcome, PolicyEntry, PolicyKey, RuleSet, event_flags, mark,
    rule_set_flags, watched,
};
use ciliate_dp_core::{
    Action,
    inquiry::{Inquiry, Ruling},
    model::Memory,
};
use frame::{Frame, GATEWAY_MAC, mac};
use proptest::prelude::*;

const OPEN: u32 = 1;
const CLOSED: u32 = 2;
const SYN: u8 = 2;
const ACK: u8 = 16;
const FIN: u8 = 1;
const RST: u8 = 4;

fn v4(last: u8) -> Address {
    Address::v4([10, 0, 0, last])
}

fn v6(last: u8) -> Address {
    Address::v6([0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, last])
}

/// Endpoints 2 and 3 that nothing isolates, and 4, where all ingress is closed.
fn memory() -> Memory {
    let mut memory = Memory::default();
    memory.rule_sets.insert(OPEN, RuleSet::default());
    memory.rule_sets.insert(CLOSED, RuleSet { flags: rule_set_flags::ISOLATE_INGRESS, ..RuleSet::default() });
    for (last, rule_set) in [(2, OPEN), (3, OPEN), (4, CLOSED)] {
        for address in [v4(last), v6(last)] {
            let row = Endpoint {
                identity: 1000 + u32::from(last),
                rule_set,
                epoch: 100 + u32::from(last),
                ifindex: u32::from(last),
                mac: mac(last),
                id: u16::from(last),
                gateway_mac: GATEWAY_MAC,
                flags: 0,
            };
            memory.endpoints.insert(address, row);
        }
    }
    memory.ipcache.insert((128, memory.config.gateway_v4), 1);
    memory
}

/// Opens endpoint 4 for a protocol and port (or ICMP type).
fn allow(memory: &mut Memory, protocol: u8, port: u16) {
    entry(memory, 0, protocol, (port, 16), ENTRY_ALLOW, 10, 7);
}

fn entry(
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

fn delivered(outcome: Result<Action, DropReason>) -> bool {
    outcome == Ok(Action::Deliver)
}

#[test]
fn an_answer_passes_where_a_new_connection_would_not() {
    let memory = memory();
    for address in [v4, v6] {
        let out = Frame::tcp(address(4), 40000, address(2), 80, SYN);
        let back = Frame::tcp(address(2), 80, address(4), 40000, SYN | ACK);
        assert!(delivered(memory.from_endpoint(&out.bytes(), 4)));
        assert!(delivered(memory.from_endpoint(&back.bytes(), 2)));
        let unasked = Frame::tcp(address(2), 81, address(4), 40000, SYN | ACK);
        assert_eq!(memory.from_endpoint(&unasked.bytes(), 2), Err(DropReason::Policy));
    }
}

/// Whoever was once connected to must not be able to connect back from the same port.
#[test]
fn a_syn_in_answer_direction_is_a_new_connection() {
    let memory = memory();
    let out = Frame::tcp(v4(4), 40000, v4(2), 80, SYN);
    assert!(delivered(memory.from_endpoint(&out.bytes(), 4)));
    let back = Frame::tcp(v4(2), 80, v4(4), 40000, SYN);
    assert_eq!(memory.from_endpoint(&back.bytes(), 2), Err(DropReason::Policy));
}

#[test]
fn a_connection_ends_with_its_lifetime_and_with_fin_and_rst() {
    for (flags, lifetime) in [(ACK, 7451), (RST, 10)] {
        let memory = memory();
        assert!(delivered(memory.from_endpoint(&Frame::tcp(v4(4), 1, v4(2), 80, SYN).bytes(), 4)));
        let back = |flags| Frame::tcp(v4(2), 80, v4(4), 1, flags).bytes();
        assert!(delivered(memory.from_endpoint(&back(flags), 2)));
        memory.now.set(1000 + lifetime - 1);
        assert!(memory.connections.borrow().values().all(|c| c.expires == 1000 + lifetime));
        memory.now.set(1000 + lifetime);
        assert_eq!(memory.from_endpoint(&back(ACK), 2), Err(DropReason::Policy));
    }
    let memory = memory();
    for (from, flags) in [(4, SYN), (2, SYN | ACK), (4, FIN | ACK)] {
        let frame = match from {
            4 => Frame::tcp(v4(4), 1, v4(2), 80, flags),
            _ => Frame::tcp(v4(2), 80, v4(4), 1, flags),
        };
        assert!(delivered(memory.from_endpoint(&frame.bytes(), from)));
    }
    let expires = |memory: &Memory| memory.connections.borrow().values().next().unwrap().expires;
    assert_eq!(expires(&memory), 1000 + 7451, "half closed");
    assert!(delivered(memory.from_endpoint(&Frame::tcp(v4(2), 80, v4(4), 1, FIN | ACK).bytes(), 2)));
    assert_eq!(expires(&memory), 1000 + 10, "closed");
}

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

#[test]
fn an_echo_request_opens_its_answer_and_nothing_else() {
    for (address, icmp, request, reply) in [(v4 as fn(u8) -> Address, 1, 8, 0), (v6, 58, 128, 129)] {
        let memory = memory();
        let ping = |from: u8, to: u8, kind, id: u16| {
            let [high, low] = id.to_be_bytes();
            Frame::raw(icmp, address(from), address(to), vec![kind, 0, 0, 0, high, low, 0, 1]).bytes()
        };
        assert_eq!(memory.from_endpoint(&ping(2, 4, reply, 77), 2), Err(DropReason::Policy));
        assert!(delivered(memory.from_endpoint(&ping(4, 2, request, 77), 4)));
        assert!(delivered(memory.from_endpoint(&ping(2, 4, reply, 77), 2)));
        assert_eq!(memory.from_endpoint(&ping(2, 4, reply, 78), 2), Err(DropReason::Policy));
        assert_eq!(memory.from_endpoint(&ping(2, 4, request, 77), 2), Err(DropReason::Policy));
    }
}

/// An echo reply that policy lets through must not open the way for requests.
#[test]
fn an_unasked_echo_reply_opens_nothing() {
    let mut memory = memory();
    allow(&mut memory, 1, 0);
    let icmp = |kind| Frame::raw(1, v4(2), v4(4), vec![kind, 0, 0, 0, 0, 77, 0, 1]).bytes();
    assert!(delivered(memory.from_endpoint(&icmp(0), 2)));
    assert!(memory.connections.borrow().is_empty());
    assert_eq!(memory.from_endpoint(&icmp(8), 2), Err(DropReason::Policy));
}

#[test]
fn an_icmp_error_follows_the_connection_that_it_quotes() {
    for (address, icmp, kind) in [(v4 as fn(u8) -> Address, 1, 3), (v6, 58, 1)] {
        let mut memory = memory();
        let sent = Frame::ports(17, address(4), 1234, address(2), 53);
        assert!(delivered(memory.from_endpoint(&sent.bytes(), 4)));
        let error = |quoted: &Frame| {
            let mut body = vec![kind, 4, 0, 0, 0, 0, 0, 0];
            body.extend(quoted.network());
            Frame::raw(icmp, address(2), address(4), body).bytes()
        };
        assert!(delivered(memory.from_endpoint(&error(&sent), 2)));
        let never_sent = Frame::ports(17, address(4), 1234, address(2), 54);
        assert_eq!(memory.from_endpoint(&error(&never_sent), 2), Err(DropReason::Policy));
        // Quoting a packet that somebody else sent opens nothing.
        let foreign = Frame::ports(17, address(2), 53, address(4), 1234);
        assert_eq!(memory.from_endpoint(&error(&foreign), 2), Err(DropReason::Policy));
        // Once the connection is revoked, errors about it stop as well.
        memory.endpoints.get_mut(&address(2)).unwrap().epoch = 999;
        assert_eq!(memory.from_endpoint(&error(&sent), 2), Err(DropReason::Policy));
    }
}

#[test]
fn later_fragments_follow_the_first_one() {
    for address in [v4 as fn(u8) -> Address, v6] {
        let mut memory = memory();
        allow(&mut memory, 17, 53);
        let fragment = |port, offset, more| {
            Frame::ports(17, address(2), 999, address(4), port).fragment(4711, offset, more)
        };
        assert_eq!(
            memory.from_endpoint(&fragment(53, 8, false).bytes(), 2),
            Err(DropReason::FragmentNotFound)
        );
        assert!(delivered(memory.from_endpoint(&fragment(53, 0, true).bytes(), 2)));
        // What would be a port in a first fragment is payload here.
        assert!(delivered(memory.from_endpoint(&fragment(6666, 8, false).bytes(), 2)));
    }
}

#[test]
fn whose_device_mac_or_address_is_not_its_own_is_dropped() {
    let memory = memory();
    let frame = Frame::tcp(v4(2), 1, v4(3), 80, SYN);
    assert!(delivered(memory.from_endpoint(&frame.bytes(), 2)));
    assert_eq!(memory.from_endpoint(&frame.bytes(), 3), Err(DropReason::InvalidSourceIp));
    let unknown = Frame::tcp(v4(9), 1, v4(3), 80, SYN).bytes();
    assert_eq!(memory.from_endpoint(&unknown, 2), Err(DropReason::InvalidSourceIp));
    let mut bytes = frame.bytes();
    bytes[6] ^= 2;
    assert_eq!(memory.from_endpoint(&bytes, 2), Err(DropReason::InvalidSourceMac));
    // An IPv6 packet with mapped addresses would be taken for an IPv4 one.
    let mapped = Frame::over_ipv6(6, v4(2), v4(4), vec![0; 20]).bytes();
    assert_eq!(memory.from_endpoint(&mapped, 2), Err(DropReason::InvalidPacket));
}

#[test]
fn the_router_answers_for_itself_only() {
    let memory = memory();
    let arp = |target: u8| {
        let mut bytes = [[0xff; 6], mac(2)].concat();
        bytes.extend([8, 6, 0, 1, 8, 0, 6, 4, 0, 1]);
        bytes.extend(mac(2));
        bytes.extend([10, 0, 0, 2, 0, 0, 0, 0, 0, 0, 10, 0, 0, target]);
        bytes
    };
    assert_eq!(memory.from_endpoint(&arp(1), 2), Ok(Action::AnswerArp));
    assert_eq!(memory.from_endpoint(&arp(3), 2), Err(DropReason::FibLookup));
    assert_eq!(memory.from_endpoint(&arp(1), 3), Err(DropReason::InvalidSourceIp));
    let solicit = |target: u8, hops| {
        let mut body = vec![135, 0, 0, 0, 0, 0, 0, 0];
        body.extend(v6(target).0);
        body.extend([1, 1]);
        body.extend(mac(2));
        let mut bytes = Frame::raw(58, v6(2), v6(1), body).bytes();
        bytes[14 + 7] = hops;
        bytes
    };
    assert_eq!(memory.from_endpoint(&solicit(1, 255), 2), Ok(Action::AnswerSolicitation));
    assert_eq!(memory.from_endpoint(&solicit(1, 64), 2), Err(DropReason::UnknownIcmp6));
    assert_eq!(memory.from_endpoint(&solicit(3, 255), 2), Err(DropReason::FibLookup));
}

#[test]
fn audit_mode_reports_and_lets_pass() {
    let mut memory = memory();
    memory.endpoints.get_mut(&v4(4)).unwrap().flags = ciliate_abi::endpoint_flags::AUDIT;
    assert!(delivered(memory.from_endpoint(&Frame::tcp(v4(2), 1, v4(4), 80, SYN).bytes(), 2)));
    let events = memory.events.borrow();
    assert_eq!(events.len(), 1);
    assert_eq!(events[0].event.verdict(Direction::Ingress), Some(Outcome::Audited));
}

/// One event says that a packet was judged and where it went; nothing is said that nobody wants.
#[test]
fn a_short_connection_makes_four_events_at_most() {
    let conversation = [
        (2, SYN, Some((EventKind::Trace, Some(Outcome::Allowed)))),
        (4, SYN | ACK, Some((EventKind::Trace, None))),
        (2, ACK, None),
        (2, ACK, None),
        (4, ACK, None),
        (4, FIN | ACK, Some((EventKind::Trace, None))),
        (2, FIN | ACK, Some((EventKind::Trace, None))),
        (4, ACK, None),
    ];
    for kinds in [watched::ALL, watched::DROPS, watched::TRACES, watched::VERDICTS, 0] {
        let mut memory = memory();
        memory.watch.kinds = kinds;
        allow(&mut memory, 6, 80);
        for (from, flags, told) in conversation {
            let frame = match from {
                2 => Frame::tcp(v4(2), 40000, v4(4), 80, flags),
                _ => Frame::tcp(v4(4), 80, v4(2), 40000, flags),
            };
            assert!(delivered(memory.from_endpoint(&frame.bytes(), from)));
            let told = told.filter(|(_, verdict)| {
                kinds & watched::TRACES != 0 || (kinds & watched::VERDICTS != 0 && verdict.is_some())
            });
            let said = memory.events.borrow_mut().pop().map(|captured| captured.event);
            let said = said.map(|event| (event.kind, event.verdict(Direction::Ingress)));
            assert_eq!(said, told.map(|(kind, verdict)| (kind as u8, verdict)), "{kinds:x} {from} {flags}");
        }
    }
}

#[test]
fn an_event_names_both_endpoints_and_both_rules_and_carries_what_was_asked_for() {
    let mut memory = memory();
    memory.watch.capture = 20;
    allow(&mut memory, 6, 80);
    let set = memory.rule_sets.get_mut(&OPEN).unwrap();
    set.egress.any = 1 << ANY_PROTOCOL_SHAPE;
    let key = PolicyKey {
        rule_set: OPEN,
        peer: 0,
        port: 0,
        port_bits: ANY_PROTOCOL_SHAPE as u8,
        protocol: 0,
        direction: Direction::Egress as u8,
        pad: [0; 3],
    };
    memory.policy.insert(key, PolicyEntry { precedence: 1, rule: 5, action: ENTRY_ALLOW, filter: [0; 2] });
    let frame = Frame::tcp(v4(2), 40000, v4(4), 80, SYN).bytes();
    assert!(delivered(memory.from_endpoint(&frame, 2)));
    let captured = memory.events.borrow_mut().pop().unwrap();
    let event = captured.event;
    assert_eq!((event.source_endpoint, event.destination_endpoint), (2, 4));
    assert_eq!((event.egress_rule, event.ingress_rule), (5, 7));
    let verdicts = [Direction::Egress, Direction::Ingress].map(|direction| event.verdict(direction));
    assert_eq!(verdicts, [Some(Outcome::Allowed); 2]);
    assert_eq!(event.captured, 20);
    assert_eq!(captured.bytes[..20], frame[..20]);
    memory.watch.capture = 128;
    assert!(delivered(memory.from_endpoint(&Frame::tcp(v4(2), 40000, v4(4), 80, FIN).bytes(), 2)));
    let short = memory.events.borrow_mut().pop().unwrap().event;
    assert_eq!(usize::from(short.captured), frame.len());
    assert_eq!((short.egress_rule, short.ingress_rule, short.verdicts), (5, 7, 0));
}

/// What a policy takes back is refused in the direction in which it was opened, whoever speaks next.
#[test]
fn the_event_of_a_revoked_connection_says_who_refused() {
    let mut memory = memory();
    allow(&mut memory, 6, 80);
    assert!(delivered(memory.from_endpoint(&Frame::tcp(v4(2), 40000, v4(4), 80, SYN).bytes(), 2)));
    memory.policy.clear();
    memory.endpoints.get_mut(&v4(4)).unwrap().epoch += 100;
    let answer = Frame::tcp(v4(4), 80, v4(2), 40000, ACK).bytes();
    assert_eq!(memory.from_endpoint(&answer, 4), Err(DropReason::Policy));
    let event = memory.events.borrow_mut().pop().unwrap().event;
    assert_eq!((event.source_endpoint, event.destination_endpoint), (4, 2));
    assert_ne!(event.flags & event_flags::REPLY, 0);
    assert_eq!(event.verdict(Direction::Ingress), Some(Outcome::Unmatched));
    assert_eq!(event.verdict(Direction::Egress), None);
}

#[test]
fn connections_count_packets_and_bytes_by_direction() {
    let memory = memory();
    let out = Frame::tcp(v4(4), 1, v4(2), 80, SYN).bytes();
    let back = Frame::tcp(v4(2), 80, v4(4), 1, ACK).bytes();
    for (frame, from) in [(&out, 4), (&back, 2), (&back, 2)] {
        assert!(delivered(memory.from_endpoint(frame, from)));
    }
    // Judged again, and counted all the same.
    let mut memory = memory;
    memory.config.peers_epoch += 1;
    memory.endpoints.get_mut(&v4(4)).unwrap().epoch += 100;
    assert!(delivered(memory.from_endpoint(&back, 2)));
    let connections = memory.connections.borrow();
    let row = connections.values().next().unwrap();
    let length = out.len() as u64 - 14;
    assert_eq!((row.packets, row.bytes), ([1, 3], [length, 3 * length]));
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

#[test]
fn a_redirected_connection_goes_to_the_proxy_both_ways() {
    let mut memory = memory();
    entry(&mut memory, 0, 6, (80, 16), ENTRY_REDIRECT, 5, 7);
    for address in [v4, v6] {
        let out = Frame::tcp(address(2), 40000, address(4), 80, SYN).bytes();
        let back = Frame::tcp(address(4), 80, address(2), 40000, SYN | ACK).bytes();
        assert_eq!(memory.from_endpoint(&out, 2), Ok(Action::Proxy));
        assert_eq!(memory.from_endpoint(&back, 4), Ok(Action::Proxy));
        // What the proxy sends on and back enters the endpoints; what others send goes to the proxy.
        assert_eq!(memory.to_endpoint_marked(&out, 4, mark::FORWARD), Ok(Action::Pass));
        assert_eq!(memory.to_endpoint_marked(&back, 2, mark::BACK), Ok(Action::Pass));
        assert_eq!(memory.to_endpoint(&out, 4), Ok(Action::ProxyBack));
        let other = Frame::tcp(address(2), 40000, address(4), 81, SYN).bytes();
        assert_eq!(memory.from_endpoint(&other, 2), Err(DropReason::Policy));
        assert_eq!(memory.to_endpoint_marked(&other, 4, mark::FORWARD), Err(DropReason::Policy));
    }
}

#[test]
fn an_allowance_without_filter_beats_a_redirection_and_a_denial_beats_both() {
    let mut memory = memory();
    entry(&mut memory, 0, 6, (80, 16), ENTRY_REDIRECT, 5, 7);
    entry(&mut memory, 0, 6, (0, 0), ENTRY_ALLOW, 10, 8);
    let out = Frame::tcp(v4(2), 40000, v4(4), 80, SYN).bytes();
    assert!(delivered(memory.from_endpoint(&out, 2)));
    entry(&mut memory, 0, 6, (80, 12), ENTRY_DENY, 20, 9);
    let out = Frame::tcp(v4(2), 40001, v4(4), 80, SYN).bytes();
    assert_eq!(memory.from_endpoint(&out, 2), Err(DropReason::PolicyDeny));
}

#[test]
fn a_connection_that_has_to_go_to_the_proxy_later_goes_there_and_stays() {
    let mut memory = memory();
    allow(&mut memory, 6, 80);
    let packet = |flags| Frame::tcp(v4(2), 40000, v4(4), 80, flags).bytes();
    assert!(delivered(memory.from_endpoint(&packet(SYN), 2)));
    let renew = |memory: &mut Memory, action| {
        entry(memory, 0, 6, (80, 16), action, 10, 7);
        memory.endpoints.get_mut(&v4(4)).unwrap().epoch += 1;
    };
    renew(&mut memory, ENTRY_REDIRECT);
    assert_eq!(memory.from_endpoint(&packet(ACK), 2), Ok(Action::Proxy));
    renew(&mut memory, ENTRY_ALLOW);
    assert_eq!(memory.from_endpoint(&packet(ACK), 2), Ok(Action::Proxy));
    renew(&mut memory, ENTRY_DENY);
    assert_eq!(memory.from_endpoint(&packet(ACK), 2), Err(DropReason::PolicyDeny));
    // The end that the proxy puts to it still arrives.
    let reset = Frame::tcp(v4(4), 80, v4(2), 40000, RST).bytes();
    assert_eq!(memory.to_endpoint_marked(&reset, 2, mark::BACK), Ok(Action::Pass));
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

    /// Nothing that is cut short or garbled makes the code panic, or slips past the isolation of endpoint 4.
    #[test]
    fn broken_packets_are_dropped(
        protocol in prop_oneof![Just(1_u8), Just(6), Just(17), Just(58), Just(132), any::<u8>()],
        body in proptest::collection::vec(any::<u8>(), 0..80),
        cut in 0_usize..200,
        flips in proptest::collection::vec((14_usize..120, any::<u8>()), 0..6),
        family: bool,
    ) {
        let memory = memory();
        let address = if family { v4 } else { v6 };
        let mut bytes = Frame::raw(protocol, address(2), address(4), body).bytes();
        for (at, mask) in flips {
            if let Some(byte) = bytes.get_mut(at) {
                *byte ^= mask;
            }
        }
        bytes.truncate(cut.max(14));
        prop_assert_ne!(memory.receiver(&bytes, 2), Some(4));
        let _into_the_endpoint = memory.to_endpoint(&bytes, 4);
    }
}
