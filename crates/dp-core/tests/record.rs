//! What is recorded of packets, without a kernel.

#![expect(
    clippy::unwrap_used,
    clippy::arithmetic_side_effects,
    reason = "tests state plainly what they expect"
)]

#[path = "support/endpoint.rs"]
mod endpoint;
#[path = "support/frame.rs"]
#[expect(dead_code, reason = "shared with tests that use all of it")]
mod frame;

use ciliate_abi::{
    Address, DropReason, EventKind, Fate, RecordFilter, RecordTallyKey, Recording, RuleSet, TracePoint,
    rule_set_flags,
};
use ciliate_dp_core::model::Memory;
use endpoint::{put_endpoint, v4, v6};
use frame::{Frame, mac};

/// Endpoint 2 that nothing isolates, 4 where all ingress is closed, and one recording of everything of IPv4 and one of IPv6.
fn memory() -> Memory {
    let mut memory = Memory::default();
    memory.rule_sets.insert(1, RuleSet::default());
    memory.rule_sets.insert(2, RuleSet { flags: rule_set_flags::ISOLATE_INGRESS, ..RuleSet::default() });
    for (last, rule_set) in [(2, 1), (4, 2)] {
        put_endpoint(&mut memory, last, rule_set);
    }
    let prefix = Address::v4([0; 4]).halves();
    let mask = Address([255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 0, 0, 0, 0]).halves();
    let all = RecordFilter {
        source: prefix,
        source_mask: mask,
        destination: prefix,
        destination_mask: mask,
        family: 4,
        recording: 0,
        ..RecordFilter::default()
    };
    let recorder = &mut memory.recorder;
    recorder.filter[0] = all;
    recorder.filter[2] = RecordFilter { family: 6, recording: 5, ..RecordFilter::default() };
    recorder.filters = 3;
    recorder.recordings[0] = Recording { until: u64::MAX, snap: 65_536, one_of: 1 };
    recorder.recordings[5] = Recording { until: u64::MAX, snap: 40, one_of: 1 };
    memory
}

#[test]
fn a_packet_is_recorded_with_its_fate() {
    let memory = memory();
    let say = || {
        let (head, bytes) = memory.recorded.borrow_mut().pop().unwrap();
        assert!(memory.recorded.borrow().is_empty(), "once");
        (Fate::from_number(head.fate).unwrap(), head, bytes)
    };
    let frame = Frame::tcp(v4(4), 40000, v4(2), 80, 2).bytes();
    let _action = memory.from_endpoint(&frame, 4);
    let (fate, head, bytes) = say();
    assert_eq!((fate, head.recordings, head.event.kind), (Fate::ToEndpoint, 1, EventKind::Trace as u8));
    assert_eq!((head.event.source_identity, head.event.destination_identity), (1004, 1002));
    assert_eq!((head.captured as usize, head.length as usize, &bytes), (frame.len(), frame.len(), &frame));

    let frame = Frame::tcp(v6(2), 40000, v6(4), 80, 2).bytes();
    let _action = memory.from_endpoint(&frame, 2);
    let (fate, head, bytes) = say();
    assert_eq!((fate, head.recordings, head.event.detail), (Fate::Dropped, 1 << 5, DropReason::Policy as u8));
    assert_eq!((head.captured, bytes.as_slice()), (40, &frame[..40]));

    let _action = memory.from_endpoint(&Frame::tcp(v4(2), 1, Address::v4([192, 0, 2, 1]), 80, 2).bytes(), 2);
    let (fate, head, _) = say();
    assert_eq!((fate, head.event.detail), (Fate::ToStack, TracePoint::ToStack as u8));
    let _action = memory.to_endpoint(&Frame::tcp(v4(9), 1, v4(2), 80, 2).bytes(), 2);
    assert_eq!(say().0, Fate::ToEndpoint);
    // A lie about the source is a packet like any other.
    let _action = memory.from_endpoint(&Frame::tcp(v4(9), 1, v4(2), 80, 2).bytes(), 4);
    assert_eq!(say().0, Fate::Dropped);
}

#[test]
fn what_is_no_ip_packet_matches_nothing() {
    let memory = memory();
    let mut arp = [[0xff; 6], mac(2)].concat();
    arp.extend([8, 6, 0, 1, 8, 0, 6, 4, 0, 1]);
    arp.extend(mac(2));
    arp.extend([10, 0, 0, 2, 0, 0, 0, 0, 0, 0, 10, 0, 0, 1]);
    let _action = memory.from_endpoint(&arp, 2);
    let _action = memory.from_endpoint(&arp[..20], 2);
    let mut other = arp;
    other[12..14].copy_from_slice(&[0x88, 0xcc]);
    let _action = memory.from_endpoint(&other, 2);
    assert!(memory.recorded.borrow().is_empty());
}

#[test]
fn samples_and_losses_are_counted_and_nothing_is_recorded_after_its_time() {
    let mut memory = memory();
    memory.recorder.recordings[0].one_of = 4;
    memory.record_room = 3;
    let frame = Frame::tcp(v4(4), 40000, v4(2), 80, 2).bytes();
    for _ in 0..40 {
        let _action = memory.from_endpoint(&frame, 4);
    }
    let tally = memory.tallies.borrow()[&RecordTallyKey { recording: 0, ifindex: 4 }];
    assert_eq!((tally.matched, memory.recorded.borrow().len() as u64 + tally.lost), (40, 10));
    assert_eq!(tally.lost_bytes, 7 * frame.len() as u64);
    memory.recorder.recordings[0].until = 1;
    let _action = memory.from_endpoint(&frame, 4);
    assert_eq!(memory.tallies.borrow()[&RecordTallyKey { recording: 0, ifindex: 4 }], tally);
}
