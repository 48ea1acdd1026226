//! What is told of packets.

use crate::{
    endpoint::v4,
    frame::Frame,
    world::{ACK, FIN, OPEN, SYN, allow, delivered, memory},
};
use ciliate_abi::{
    ANY_PROTOCOL_SHAPE, Direction, DropReason, ENTRY_ALLOW, EventKind, Outcome, PolicyEntry, PolicyKey,
    event_flags, watched,
};

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
