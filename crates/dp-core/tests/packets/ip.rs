//! ICMP, fragments, neighbours, and packets that are not what they say.

use crate::{
    endpoint::{v4, v6},
    frame::{Frame, mac},
    world::{SYN, allow, delivered, memory},
};
use ciliate_abi::{Address, DropReason};
use ciliate_dp_core::Action;
use proptest::prelude::*;

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

proptest! {
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
