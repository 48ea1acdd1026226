//! The datapath in a real kernel with real packets. Needs root.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "tests state plainly what they expect")]

#[path = "support/node.rs"]
mod node;

use ciliate_abi::{Direction, DropReason, Event, EventKind, Outcome, watched};
use ciliate_bpf::{Batch, EventBound, EventBounds, Events, Suppressed};
use ciliate_policy::rule_set::{Action, Peer, RuleSet};
use node::{NEVER, SURELY, connect, exchange, listen, on_node, only, rules, udp};
use std::{net::IpAddr, num::NonZeroU32, time::Instant};

#[test]
fn what_no_policy_isolates_may_talk_over_both_families() {
    on_node("open", |node| {
        let a = node.endpoint(10, &RuleSet::default());
        let b = node.endpoint(11, &RuleSet::default());
        let server = listen(&b, 80);
        for address in [b.v4, b.v6] {
            let mut client = connect(&a, address, 80, SURELY).unwrap();
            exchange(&mut client, &mut server.accept().unwrap().0, SURELY).unwrap();
        }
        let (from, to) = (udp(&a, 1000), udp(&b, 2000));
        from.send_to(b"x", (b.v4, 2000)).unwrap();
        let (_, back) = to.recv_from(&mut [0; 8]).unwrap();
        to.send_to(b"y", back).unwrap();
        from.recv_from(&mut [0; 8]).unwrap();
    });
}

#[test]
fn only_the_allowed_identity_reaches_the_allowed_port() {
    on_node("allow", |node| {
        let friend = node.endpoint(10, &RuleSet::default());
        let stranger = node.endpoint(11, &RuleSet::default());
        let server = node.endpoint(12, &only(friend.identity, 80));
        let _http = listen(&server, 80);
        let _other = listen(&server, 81);
        for address in [server.v4, server.v6] {
            connect(&friend, address, 80, SURELY).unwrap();
            connect(&friend, address, 81, NEVER).unwrap_err();
            connect(&stranger, address, 80, NEVER).unwrap_err();
        }
        assert!(node.drops(DropReason::Policy) >= 4);
    });
}

#[test]
fn deny_beats_allow_by_precedence() {
    on_node("deny", |node| {
        let a = node.endpoint(10, &RuleSet::default());
        let b = node.endpoint(11, &RuleSet::default());
        let set = rules([
            (Peer::Any, 80, Action::Allow, 10, 1),
            (Peer::Identity(a.identity), 80, Action::Deny, 20, 2),
        ]);
        let server = node.endpoint(12, &set);
        let _http = listen(&server, 80);
        connect(&a, server.v4, 80, NEVER).unwrap_err();
        connect(&b, server.v4, 80, SURELY).unwrap();
        assert!(node.drops(DropReason::PolicyDeny) >= 1);
    });
}

#[test]
fn a_revoked_connection_stops_at_its_next_packet_and_a_kept_one_goes_on() {
    on_node("revoke", |node| {
        let a = node.endpoint(10, &RuleSet::default());
        let b = node.endpoint(11, &RuleSet::default());
        let mut server = node.endpoint(12, &RuleSet::default());
        let http = listen(&server, 80);
        let mut from_a = connect(&a, server.v4, 80, SURELY).unwrap();
        let mut to_a = http.accept().unwrap().0;
        let mut from_b = connect(&b, server.v4, 80, SURELY).unwrap();
        let mut to_b = http.accept().unwrap().0;
        exchange(&mut from_a, &mut to_a, SURELY).unwrap();
        node.set_rules(&mut server, &only(b.identity, 80));
        exchange(&mut from_a, &mut to_a, NEVER).unwrap_err();
        exchange(&mut from_b, &mut to_b, SURELY).unwrap();
        node.set_rules(&mut server, &RuleSet::default());
        exchange(&mut from_a, &mut to_a, SURELY).unwrap();
    });
}

/// The host is a peer like any other; `allow-localhost` is an entry of rule sets.
#[test]
fn the_host_enters_what_is_open_and_what_a_rule_opens_to_it() {
    on_node("host", |node| {
        let open = node.endpoint(11, &RuleSet::default());
        let mut server = node.endpoint(12, &only(node::HOST, 80));
        let (_a, _b, _c) = (listen(&open, 80), listen(&server, 80), listen(&server, 81));
        let connect =
            |address, port, wait| std::net::TcpStream::connect_timeout(&(address, port).into(), wait);
        for (open, server) in [(open.v4, server.v4), (open.v6, server.v6)] {
            connect(open, 80, SURELY).unwrap();
            connect(server, 80, SURELY).unwrap();
            connect(server, 81, NEVER).unwrap_err();
        }
        node.set_rules(&mut server, &only(ciliate_types::Identity::new(4711), 80));
        connect(server.v4, 80, NEVER).unwrap_err();
    });
}

/// Everything that waits in the ring within a while.
fn read(events: &mut Events) -> Vec<(Event, Vec<u8>)> {
    let mut batch = Batch::default();
    events.reader.read(&mut batch, usize::MAX);
    batch.iter().map(|(event, bytes)| (*event, bytes.to_vec())).collect()
}

#[test]
fn the_programs_report_what_somebody_wants_and_nothing_else() {
    on_node("events", |node| {
        let a = node.endpoint(10, &RuleSet::default());
        let server = node.endpoint(12, &only(a.identity, 80));
        let http = listen(&server, 80);
        let mut events = node.datapath.events().unwrap();
        let converse = |port| {
            let mut client = connect(&a, server.v4, port, if port == 80 { SURELY } else { NEVER })?;
            exchange(&mut client, &mut http.accept()?.0, SURELY)
        };
        converse(80).unwrap();
        converse(81).unwrap_err();
        assert_eq!(read(&mut events), [], "nobody wants anything");

        events.watch.set(watched::DROPS, 0).unwrap();
        converse(80).unwrap();
        converse(81).unwrap_err();
        let drops = read(&mut events);
        assert!(!drops.is_empty());
        for (event, bytes) in drops {
            assert_eq!((event.kind, event.destination_port, bytes.len()), (EventKind::Drop as u8, 81, 0));
            assert_eq!(event.verdict(Direction::Ingress), Some(Outcome::Unmatched));
        }

        events.watch.set(watched::ALL, 128).unwrap();
        converse(80).unwrap();
        let seen = read(&mut events);
        let (first, bytes) = &seen[0];
        assert_eq!(first.verdict(Direction::Ingress), Some(Outcome::Allowed));
        assert_eq!((first.kind, first.ingress_rule, first.tcp_flags), (EventKind::Trace as u8, 7, 2));
        assert_eq!((first.source_endpoint, first.destination_endpoint), (10, 12));
        assert_eq!(bytes.len(), usize::try_from(first.length).unwrap() + 14, "a SYN is shorter than 128");
        assert_eq!(bytes[6..12], a.created.container_mac.0, "the sender's link-layer address");
        assert_eq!(bytes[12..15], [8, 0, 0x45]);
        assert_eq!(bytes[26..34], [10, 201, 0, 10, 10, 201, 0, 12]);
        assert_eq!(bytes[36..38], 80_u16.to_be_bytes());
        assert!(seen.len() <= 5, "a short connection makes few events: {seen:?}");
        assert!(seen.iter().all(|(event, bytes)| bytes.len() == usize::from(event.captured)));
        assert_eq!(node.datapath.lost_events().unwrap().ring, 0);

        events.watch.set(0, 128).unwrap();
        converse(80).unwrap();
        assert_eq!(read(&mut events), []);
    });
}

#[test]
fn what_does_not_fit_into_the_ring_is_counted_to_the_last() {
    on_node("lost", |node| {
        let a = node.endpoint(10, &RuleSet::default());
        let b = node.endpoint(11, &RuleSet::default());
        let mut events = node.datapath.events().unwrap();
        let (from, to) = (udp(&a, 1000), udp(&b, 2000));
        for capture in [0, 64] {
            events.watch.set(watched::TRACES, capture).unwrap();
            node.settings.node.aggregation = ciliate_abi::Aggregation::Low;
            node.datapath.set_node(&node.settings.node).unwrap();
            let before = node.datapath.lost_events().unwrap().ring;
            let sent = 20_000_u64;
            for number in 0..sent {
                from.send_to(&number.to_ne_bytes(), (b.v4, 2000)).unwrap();
                if number % 64 == 63 {
                    to.recv_from(&mut [0; 8]).unwrap();
                }
            }
            let datagrams =
                read(&mut events).iter().filter(|(event, _)| event.destination_port == 2000).count();
            let lost = node.datapath.lost_events().unwrap().ring - before;
            assert!(lost > 0, "the ring holds fewer than {sent}");
            let told = u64::try_from(datagrams).unwrap() + lost;
            // Neighbour discovery and the like may be lost as well.
            assert!((sent..sent + 50).contains(&told), "{datagrams} read, {lost} lost");
        }
    });
}

#[test]
fn of_each_kind_no_more_is_reported_than_its_limit_and_the_rest_is_counted() {
    on_node("limits", |node| {
        let a = node.endpoint(10, &RuleSet::default());
        let open = node.endpoint(11, &RuleSet::default());
        let closed = node.endpoint(12, &only(a.identity, 80));
        let mut events = node.datapath.events().unwrap();
        let to = udp(&open, 2000);
        let few = EventBound::Rate { rate: NonZeroU32::MIN, burst: NonZeroU32::new(5).unwrap() };
        // Each from a port that was not in use before: of a connection that is known there would be no trace.
        let mut ports = 3000..;
        let mut send = |to: IpAddr| {
            ports.by_ref().take(50).for_each(|port| assert!(udp(&a, port).send_to(b"x", (to, 2000)).is_ok()));
        };
        let suppressed = |node: &node::Node| node.datapath.lost_events().unwrap().suppressed;
        // Of what goes to the port; neighbours are looked for, too.
        let mut tell = |node: &node::Node, bounds, address: IpAddr| {
            events.watch.bound(bounds).unwrap();
            events.watch.set(watched::ALL, 0).unwrap();
            let (before, begun) = (suppressed(node), Instant::now());
            send(address);
            if address == open.v4 {
                (0..50).for_each(|_| assert!(to.recv_from(&mut [0; 8]).is_ok()));
            }
            let seen: Vec<Event> = read(&mut events)
                .into_iter()
                .map(|(event, _)| event)
                .filter(|event| event.destination_port == 2000)
                .collect();
            events.watch.set(0, 0).unwrap();
            let after = suppressed(node);
            let grew = Suppressed {
                drops: after.drops - before.drops,
                traces: after.traces - before.traces,
                verdicts: after.verdicts - before.verdicts,
            };
            // A burst, and one for each second that it took.
            (seen, grew, 5..=6 + usize::try_from(begun.elapsed().as_secs()).unwrap())
        };
        let all = EventBounds::default();
        let sum = |told: usize, suppressed: u64| told + usize::try_from(suppressed).unwrap();

        let (seen, over, _) = tell(node, all, open.v4);
        assert_eq!((seen.len(), over.sum()), (50, 0), "without limits");
        let (seen, over, few_told) = tell(node, EventBounds { traces: few, ..all }, open.v4);
        assert!(few_told.contains(&seen.len()), "{} {over:?}", seen.len());
        assert_eq!((sum(seen.len(), over.traces), over.drops, over.verdicts), (50, 0, 0));

        // A packet's fate and its verdicts share an event and have limits of their own.
        let (seen, over, _) = tell(node, EventBounds { traces: few, ..all }, closed.v4);
        assert_eq!((seen.len(), over.sum()), (50, 0), "drops are no traces");
        let (seen, over, few_told) = tell(node, EventBounds { drops: few, ..all }, closed.v4);
        let told = seen.iter().filter(|event| event.told() == Some(EventKind::Drop)).count();
        assert!(few_told.contains(&told), "{told} {over:?}");
        assert_eq!((seen.len(), sum(told, over.drops), over.verdicts), (50, 50, 0));
        assert!(seen.iter().all(|event| event.told_verdict(Direction::Ingress) == Some(Outcome::Unmatched)));
        let off = EventBounds { drops: EventBound::Off, verdicts: few, ..all };
        let (seen, over, few_told) = tell(node, off, closed.v4);
        assert!(few_told.contains(&seen.len()), "{} {over:?}", seen.len());
        assert!(seen.iter().all(|event| event.told().is_none()));
        assert_eq!((sum(seen.len(), over.verdicts), over.drops), (50, 0));
    });
}

#[test]
fn connections_count_what_they_carry_each_way() {
    on_node("count", |node| {
        let a = node.endpoint(10, &RuleSet::default());
        let b = node.endpoint(11, &RuleSet::default());
        // A datagram would be lost if an address were not in use yet; a SYN is sent again.
        let server = listen(&b, 80);
        connect(&a, b.v6, 80, SURELY).unwrap();
        drop(server);
        let (from, to) = (udp(&a, 1000), udp(&b, 2000));
        for _ in 0..3 {
            from.send_to(&[0; 100], (b.v6, 2000)).unwrap();
            to.recv_from(&mut [0; 100]).unwrap();
        }
        to.send_to(&[0; 10], (a.v6, 1000)).unwrap();
        from.recv_from(&mut [0; 100]).unwrap();
        let rows = node.datapath.connections().unwrap();
        let row = rows.iter().find(|row| row.destination_port == 2000).unwrap();
        assert_eq!((row.sent.packets, row.sent.bytes), (3, 3 * (40 + 8 + 100)));
        assert_eq!((row.received.packets, row.received.bytes), (1, 40 + 8 + 10));
    });
}

#[test]
fn a_spoofed_source_is_dropped_by_name() {
    on_node("spoof", |node| {
        let a = node.endpoint(10, &RuleSet::default());
        let b = node.endpoint(11, &RuleSet::default());
        let to = udp(&b, 2000);
        let status = a
            .netns
            .run(|| {
                std::process::Command::new("ip")
                    .args(["addr", "add", "10.201.0.99/32", "dev", "eth0"])
                    .status()
            })
            .unwrap();
        assert!(status.unwrap().success());
        let spoofing = a.netns.run(|| std::net::UdpSocket::bind("10.201.0.99:9").unwrap()).unwrap();
        spoofing.send_to(b"x", (b.v4, 2000)).unwrap();
        to.set_read_timeout(Some(NEVER)).unwrap();
        to.recv_from(&mut [0; 8]).unwrap_err();
        assert!(node.drops(DropReason::InvalidSourceIp) >= 1);
    });
}

#[test]
fn opening_again_adopts_everything_and_open_connections_go_on() {
    on_node("reopen", |node| {
        let a = node.endpoint(10, &RuleSet::default());
        let server = node.endpoint(12, &only(a.identity, 80));
        let http = listen(&server, 80);
        let mut client = connect(&a, server.v4, 80, SURELY).unwrap();
        let mut peer = http.accept().unwrap().0;
        let before = node.datapath.endpoints().unwrap();
        node.datapath = ciliate_bpf::Datapath::open(&node.settings).unwrap();
        assert_eq!(before, node.datapath.endpoints().unwrap());
        assert_eq!(server.rule_set, node.datapath.write_rule_set(&only(a.identity, 80)).unwrap());
        exchange(&mut client, &mut peer, SURELY).unwrap();
        connect(&a, server.v4, 80, SURELY).unwrap();
        connect(&a, server.v4, 81, NEVER).unwrap_err();
        // Another size carries the entries over.
        let mut larger = node.settings.clone();
        larger.sizes.policy = 2048;
        larger.sizes.connections = 8192;
        node.datapath = ciliate_bpf::Datapath::open(&larger).unwrap();
        exchange(&mut client, &mut peer, SURELY).unwrap();
        connect(&a, server.v4, 80, SURELY).unwrap();
        connect(&a, server.v4, 81, NEVER).unwrap_err();
    });
}
