//! The kernel's recorded packets against what was asked for, packet by packet. Needs root.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "tests state plainly what they expect"
)]

#[path = "../../dp-core/tests/support/frame.rs"]
#[expect(dead_code, reason = "shared with tests that use all of it")]
mod frame;
#[path = "support/node.rs"]
#[expect(dead_code, reason = "shared with tests that use all of it")]
mod node;

use ciliate_abi::{Address, DropReason, Fate, Recorded, Tuple};
use ciliate_bpf::{RecordBatch, RecordRule, RecordTerms, Records, Replay};
use ciliate_policy::rule_set::RuleSet;
use frame::Frame;
use ipnet::IpNet;
use node::{Endpoint, Node, on_node, only};
use proptest::{
    prelude::*,
    test_runner::{Config, TestRunner},
};
use std::{net::IpAddr, num::NonZeroU32};

const EVERY: NonZeroU32 = NonZeroU32::MIN;
const WHOLE: RecordTerms = RecordTerms { until: u64::MAX, snap: NonZeroU32::MAX, one_of: EVERY };

fn rule(source: &str, destination: &str) -> RecordRule {
    RecordRule {
        source: source.parse().unwrap(),
        destination: destination.parse().unwrap(),
        source_port: 0,
        destination_port: 0,
        protocol: 0,
    }
}

/// A UDP packet with a body of some length, as its sender's device would take it.
fn packet(from: &Endpoint, to: IpAddr, port: u16, length: usize) -> Vec<u8> {
    let source = if to.is_ipv4() { from.v4 } else { from.v6 };
    let mut body = [4000_u16.to_be_bytes(), port.to_be_bytes(), [0, 0], [0, 0]].concat();
    body.extend((0..length).map(|at| (at % 251) as u8));
    let mut frame = Frame::raw(17, source.into(), to.into(), body).bytes();
    frame[6..12].copy_from_slice(&from.created.container_mac.0);
    frame
}

fn send(node: &mut Node, from: &Endpoint, frame: &[u8], times: u32) {
    node.datapath.replay(Replay::Sent, from.created.host_ifindex, frame, times).unwrap();
}

fn read(records: &mut Records) -> Vec<(Recorded, Vec<u8>)> {
    let mut batch = RecordBatch::default();
    records.reader.read(&mut batch, usize::MAX);
    batch.iter().map(|(head, bytes)| (*head, bytes.to_vec())).collect()
}

#[test]
fn packets_come_whole_with_their_fate_until_nobody_wants_them() {
    on_node("record", |node| {
        let mut records = node.datapath.events().unwrap().records;
        let a = node.endpoint(10, &RuleSet::default());
        let b = node.endpoint(11, &only(a.identity, 80));
        let c = node.endpoint(12, &RuleSet::default());
        send(node, &a, &packet(&a, c.v4, 9, 10), 1);
        assert!(read(&mut records).is_empty(), "nobody has asked");

        let v4 = records.control.start(&WHOLE, &[rule("0.0.0.0/0", "0.0.0.0/0")]).unwrap();
        let cut = RecordTerms { snap: NonZeroU32::new(60).unwrap(), ..WHOLE };
        let v6 = records.control.start(&cut, &[rule("::/0", "fd10:201::/64")]).unwrap();
        // Every size class of the ring, and lengths around their bounds.
        for length in [0, 1, 213, 214, 215, 1472, 2006, 2007, 9000, 16_342, 16_343, 65_000] {
            let frame = packet(&a, c.v4, 9, length);
            // The kernel takes test frames of a page, with what it needs beside.
            if node.datapath.replay(Replay::Sent, a.created.host_ifindex, &frame, 1).is_err() {
                assert!(length > 2000, "{length}");
                continue;
            }
            let found = read(&mut records);
            assert_eq!(found.len(), 1);
            let (head, bytes) = &found[0];
            assert_eq!((head.length as usize, bytes.len()), (frame.len(), frame.len()));
            assert_eq!(bytes, &frame);
            assert_eq!(Fate::from_number(head.fate), Some(Fate::ToEndpoint));
            assert_eq!(head.event.destination_endpoint, 12);
            assert!(v4.gets(head) && !v6.gets(head));
        }
        send(node, &a, &packet(&a, c.v6, 9, 500), 1);
        let found = read(&mut records);
        assert!(found.len() == 1 && v6.gets(&found[0].0) && !v4.gets(&found[0].0));
        assert_eq!((found[0].0.length, found[0].1.len()), (562, 60));

        send(node, &a, &packet(&a, b.v4, 9, 10), 1);
        send(node, &a, &packet(&a, "192.0.2.1".parse().unwrap(), 9, 10), 1);
        let found = read(&mut records);
        let said: Vec<_> = found
            .iter()
            .map(|(head, _)| (Fate::from_number(head.fate).unwrap(), head.event.detail))
            .collect();
        assert_eq!(said[0], (Fate::Dropped, DropReason::Policy as u8));
        assert_eq!(said[1].0, Fate::ToStack);

        records.control.stop(v4).unwrap();
        send(node, &a, &packet(&a, c.v4, 9, 10), 1);
        assert!(read(&mut records).is_empty());
        let tallies = records.control.tallies(v4).unwrap();
        assert_eq!(tallies.values().map(|tally| tally.lost).sum::<u64>(), 0);
        // One that nobody ends ends by itself.
        let past = RecordTerms { until: 1, ..WHOLE };
        records.control.start(&past, &[rule("0.0.0.0/0", "0.0.0.0/0")]).unwrap();
        send(node, &a, &packet(&a, c.v4, 9, 10), 1);
        assert!(read(&mut records).is_empty());
    });
}

#[test]
fn what_finds_no_room_is_counted() {
    on_node("record-lost", |node| {
        node.settings.sizes.records = 1 << 18;
        node.datapath = ciliate_bpf::Datapath::open(&node.settings).unwrap();
        let mut records = node.datapath.events().unwrap().records;
        let a = node.endpoint(10, &RuleSet::default());
        let b = node.endpoint(11, &RuleSet::default());
        let all = [rule("0.0.0.0/0", "0.0.0.0/0")];
        let whole = records.control.start(&WHOLE, &all).unwrap();
        let sampled = RecordTerms { one_of: NonZeroU32::new(10).unwrap(), ..WHOLE };
        let sample = records.control.start(&sampled, &all).unwrap();
        let frame = packet(&a, b.v4, 9, 1000);
        send(node, &a, &frame, 2000);
        let found = read(&mut records);
        // 2,048 bytes of room, the head and the ring's own eight bytes.
        assert_eq!(found.len(), (1 << 18) / (2048 + 96 + 8));
        let tally = records.control.tallies(whole).unwrap()[&a.created.host_ifindex];
        assert_eq!((tally.matched, tally.lost), (2000, 2000 - found.len() as u64));
        assert_eq!(tally.lost_bytes, tally.lost * frame.len() as u64);
        let tally = records.control.tallies(sample).unwrap()[&a.created.host_ifindex];
        let taken = found.iter().filter(|(head, _)| sample.gets(head)).count() as u64 + tally.lost;
        assert_eq!(tally.matched, 2000);
        assert!((80..=320).contains(&taken), "{taken} of 2000 for one of 10");
    });
}

#[test]
fn filters_mean_the_same_here_and_in_the_kernel() {
    on_node("record-filters", |node| {
        let mut records = node.datapath.events().unwrap().records;
        let a = node.endpoint(10, &RuleSet::default());
        let b = node.endpoint(11, &RuleSet::default());
        let net = |v6: bool| {
            let host = prop_oneof![Just(10_u8), Just(11), Just(200)];
            (host, 0_u8..=128).prop_map(move |(host, bits)| match v6 {
                false => {
                    IpNet::new(format!("10.201.0.{host}").parse().unwrap(), bits.min(32)).unwrap().trunc()
                }
                true => IpNet::new(format!("fd10:201::{host}").parse().unwrap(), bits).unwrap().trunc(),
            })
        };
        let rules = any::<bool>().prop_flat_map(move |v6| {
            let port = prop_oneof![3 => Just(0_u16), 1 => Just(4000), 1 => Just(9)];
            let protocol = prop_oneof![Just(0_u8), Just(17), Just(6)];
            (net(v6), net(v6), port.clone(), port, protocol).prop_map(
                |(source, destination, source_port, destination_port, protocol)| RecordRule {
                    source,
                    destination,
                    source_port,
                    destination_port,
                    protocol,
                },
            )
        });
        let world = (proptest::collection::vec(rules, 1..4), any::<bool>(), any::<bool>());
        let config = Config { cases: 1500, failure_persistence: None, ..Config::default() };
        let (node, records) = (std::cell::RefCell::new(node), std::cell::RefCell::new(&mut records));
        let hits = std::cell::Cell::new(0_u32);
        let result = TestRunner::new(config).run(&world, |(rules, v6, back)| {
            let (from, to) = if back { (&b, &a) } else { (&a, &b) };
            let (source, destination) = if v6 { (from.v6, to.v6) } else { (from.v4, to.v4) };
            // The obvious reading.
            let hit = rules.iter().any(|rule| {
                rule.source.contains(&source)
                    && rule.destination.contains(&destination)
                    && [0, 4000].contains(&rule.source_port)
                    && [0, 9].contains(&rule.destination_port)
                    && [0, 17].contains(&rule.protocol)
            });
            let (source, destination) = (Address::from(source), Address::from(destination));
            let tuple = Tuple {
                source: &source,
                destination: &destination,
                source_port: 4000,
                destination_port: 9,
                protocol: 17,
            };
            prop_assert_eq!(rules.iter().any(|rule| rule.filter().matches(&tuple)), hit, "here: {:?}", rules);
            let mut records = records.borrow_mut();
            let slot = records.control.start(&WHOLE, &rules).unwrap();
            let frame = packet(from, if v6 { to.v6 } else { to.v4 }, 9, 10);
            send(&mut node.borrow_mut(), from, &frame, 1);
            records.control.stop(slot).unwrap();
            prop_assert_eq!(read(&mut records).len() == 1, hit, "in the kernel: {:?}", rules);
            hits.set(hits.get() + u32::from(hit));
            Ok(())
        });
        result.unwrap();
        assert!((100..1400).contains(&hits.get()), "both happen: {}", hits.get());
    });
}
