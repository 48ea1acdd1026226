//! The kernel's run of a program against the same decisions in memory, packet by packet. Needs root.

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

use ciliate_abi::{Address, DropReason, Endpoint as Row, PolicyEntry, PolicyKey, RuleSet as Shapes};
use ciliate_bpf::{Fate, Replay};
use ciliate_dp_core::{Action, model::Memory};
use ciliate_policy::rule_set::RuleSet;
use frame::Frame;
use node::{Endpoint, Node, on_node, only};
use proptest::{
    prelude::*,
    test_runner::{Config, TestRunner},
};
use std::net::IpAddr;

/// What the node's maps hold, in memory.
fn mirror(node: &Node, endpoints: &[&Endpoint]) -> Memory {
    let mut memory = Memory::default();
    memory.config.gateway_v4 = node::GATEWAYS[0].parse::<IpAddr>().unwrap().into();
    memory.config.gateway_v6 = node::GATEWAYS[1].parse::<IpAddr>().unwrap().into();
    for gateway in [memory.config.gateway_v4, memory.config.gateway_v6] {
        memory.ipcache.insert((128, gateway), node::HOST.get());
    }
    for endpoint in endpoints {
        let dump = node.datapath.policy_entries(endpoint.rule_set).unwrap();
        memory.rule_sets.insert(endpoint.rule_set.get(), Shapes { ..dump.shapes });
        memory.policy.extend(dump.entries.iter().map(|(k, v): &(PolicyKey, PolicyEntry)| (*k, *v)));
        for ip in [endpoint.v4, endpoint.v6] {
            let row = Row {
                identity: endpoint.identity.get(),
                rule_set: endpoint.rule_set.get(),
                epoch: u32::from(endpoint.id),
                ifindex: endpoint.created.host_ifindex,
                mac: endpoint.created.container_mac.0,
                id: endpoint.id,
                gateway_mac: endpoint.created.host_mac.0,
                flags: 0,
            };
            memory.endpoints.insert(ip.into(), row);
        }
    }
    memory
}

fn fate(outcome: Result<Action, DropReason>) -> Fate {
    match outcome {
        Ok(Action::Pass | Action::Proxy) => Fate::Passed,
        Ok(Action::Deliver | Action::AnswerArp | Action::AnswerSolicitation | Action::ProxyBack) => {
            Fate::Redirected
        }
        Ok(Action::Drop) | Err(_) => Fate::Dropped,
    }
}

#[derive(Clone, Debug)]
struct Packet {
    way: Replay,
    /// Index of the endpoint at whose device it is seen.
    at: usize,
    from: usize,
    to: usize,
    family: bool,
    protocol: u8,
    body: Vec<u8>,
    fragment: Option<(u16, bool)>,
    flips: Vec<(usize, u8)>,
    cut: usize,
}

fn packet() -> impl Strategy<Value = Packet> {
    let way = prop_oneof![4 => Just(Replay::Sent), 1 => Just(Replay::Received)];
    let protocol = prop_oneof![4 => Just(6_u8), 2 => Just(17), 1 => Just(132), 2 => Just(1), 2 => Just(58), 1 => any::<u8>()];
    // Ports from a small pool, so that packets meet connections.
    let port = prop_oneof![
        Just([0_u8, 80]),
        Just([0, 81]),
        Just([8, 0]),
        Just([3, 1]),
        Just([128, 0]),
        Just([1, 0])
    ];
    let body = (port.clone(), port, proptest::collection::vec(any::<u8>(), 4..60))
        .prop_map(|(a, b, rest)| [a.to_vec(), b.to_vec(), rest].concat());
    let fragment = proptest::option::weighted(0.2, (0_u16..3, any::<bool>()));
    let flips = proptest::collection::vec((0_usize..70, any::<u8>()), 0..2);
    let cut = prop_oneof![6 => Just(usize::MAX), 1 => 14_usize..90];
    ((way, 0_usize..3, 0_usize..3, 0_usize..4), (any::<bool>(), protocol, body, fragment), (flips, cut))
        .prop_map(|((way, at, from, to), (family, protocol, body, fragment), (flips, cut))| Packet {
            way,
            at,
            from,
            to,
            family,
            protocol,
            body,
            fragment,
            flips,
            cut,
        })
}

fn bytes(packet: &Packet, endpoints: &[&Endpoint]) -> Vec<u8> {
    let of = |index: usize| match (endpoints.get(index), packet.family) {
        (Some(endpoint), true) => endpoint.v4.into(),
        (Some(endpoint), false) => endpoint.v6.into(),
        (None, true) => Address::v4([192, 0, 2, 1]),
        (None, false) => Address::v6([0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]),
    };
    let mut frame = Frame::raw(packet.protocol, of(packet.from), of(packet.to), packet.body.clone());
    if let Some((offset, more)) = packet.fragment {
        frame = frame.fragment(77, offset, more);
    }
    let mut bytes = frame.bytes();
    bytes[6..12].copy_from_slice(&endpoints[packet.from].created.container_mac.0);
    for (at, mask) in &packet.flips {
        if let Some(byte) = bytes.get_mut(*at) {
            *byte ^= mask;
        }
    }
    bytes.truncate(packet.cut);
    bytes
}

#[test]
fn the_kernel_and_the_model_agree_on_every_packet() {
    on_node("replay", |node| {
        let a = node.endpoint(10, &RuleSet::default());
        let b = node.endpoint(11, &only(a.identity, 80));
        let c = node.endpoint(12, &only(b.identity, 81));
        let endpoints = [&a, &b, &c];
        let memory = mirror(node, &endpoints);
        let cases: u32 =
            std::env::var("CILIATE_REPLAY_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(20_000);
        let config = Config { cases, failure_persistence: None, ..Config::default() };
        let node = std::cell::RefCell::new(node);
        let seen = std::cell::RefCell::new(std::collections::BTreeMap::<String, u32>::new());
        let result = TestRunner::new(config).run(&packet(), |packet| {
            let frame = bytes(&packet, &endpoints);
            let ifindex = endpoints[packet.at].created.host_ifindex;
            let action = match packet.way {
                Replay::Sent => memory.from_endpoint(&frame, ifindex),
                Replay::Received => memory.to_endpoint(&frame, ifindex),
            };
            let kernel = match node.borrow_mut().datapath.replay(packet.way, ifindex, &frame, 1) {
                Ok((kernel, _)) => kernel,
                // The kernel itself refuses frames that have no network header.
                Err(_) if frame.len() < 14 + 40 => return Ok(()),
                Err(error) => return Err(TestCaseError::fail(error.to_string())),
            };
            let name = match action {
                Err(reason) => reason.text().to_owned(),
                Ok(_) => format!("{:?}", fate(action)),
            };
            *seen.borrow_mut().entry(name).or_default() += 1;
            prop_assert_eq!(fate(action), kernel, "{:?} in memory, {:?}", action, packet);
            Ok(())
        });
        let seen = seen.into_inner();
        println!("{seen:?}");
        result.unwrap();
        // The generator reaches what it is meant to reach.
        for reached in
            ["Passed", "Redirected", "Policy denied", "Invalid source ip", "CT: Truncated or invalid header"]
        {
            assert!(seen.contains_key(reached), "no packet was ever: {reached}");
        }
    });
}

/// How full the map of connections is, is found out piece by piece.
#[test]
fn the_census_counts_what_lives() {
    on_node("census", |node| {
        let a = node.endpoint(10, &RuleSet::default());
        let b = node.endpoint(11, &RuleSet::default());
        node.settings.sizes.connections = 1 << 18;
        node.datapath = ciliate_bpf::Datapath::open(&node.settings).unwrap();
        let source = Address::from(a.v4);
        let mut send = |count: u32| {
            for number in 0..count {
                let [_, port, high, low] = number.to_be_bytes();
                let body = vec![high, low, 7, port, 0, 8, 0, 0];
                let mut frame = Frame::raw(17, source, Address::from(b.v4), body).bytes();
                frame[6..12].copy_from_slice(&a.created.container_mac.0);
                let at = a.created.host_ifindex;
                let (fate, _) = node.datapath.replay(Replay::Sent, at, &frame, 1).unwrap();
                assert_eq!(fate, Fate::Redirected);
            }
            node.datapath.sweep().unwrap().connections
        };
        // Some of them is read at once, the rest later.
        let sent = 60_000;
        let first = send(sent);
        assert!(first > 10_000 && first < sent, "{first}");
        let mut found = first;
        for _ in 0..10 {
            found = found.max(send(0));
        }
        assert!((sent..sent + 20).contains(&found), "{found}");
        let usage = node.datapath.usage();
        let row = usage.iter().find(|row| row.name == "CONNECTIONS").unwrap();
        assert_eq!((row.entries, row.max), (found, 1 << 18));
        // What is gone is no longer counted from the next walk on.
        node.datapath.flush_connections(|_| true).unwrap();
        let start = std::time::Instant::now();
        while node.datapath.sweep().unwrap().connections > 20 {
            assert!(start.elapsed().as_secs() < 60, "still counted");
            std::thread::sleep(std::time::Duration::from_millis(200));
        }
    });
}
