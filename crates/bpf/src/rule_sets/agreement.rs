//! Random worlds, judged by the naive model of the policies and by the packet code on compiled rule sets.

use super::compiled::Compiled;
use crate::prefix_bits;
use ciliate_abi::{Endpoint, PolicyKey, PrefixKey};
use ciliate_dp_core::{Action, model::Memory};
use ciliate_policy::{
    Engine, Subject,
    rule_set::PeerKind,
    testing::{
        generate::{self, Extent},
        naive::{self, Fate},
        world::{Being, Packet, World},
    },
};
use ciliate_types::{Direction, Protocol};
use frame::Frame;
use proptest::prelude::*;

#[path = "../../../dp-core/tests/support/frame.rs"]
#[expect(dead_code, reason = "shared with tests that use all of it")]
mod frame;

/// Device numbers of endpoints start here.
const FIRST_DEVICE: u32 = 10;

fn load(memory: &mut Memory, handle: u32, compiled: &Compiled) {
    memory.rule_sets.insert(handle, compiled.shapes);
    for (key, entry) in &compiled.entries {
        memory.policy.insert(PolicyKey { rule_set: handle, ..*key }, *entry);
    }
    for ((bits, key), class) in &compiled.prefixes {
        let bits = bits - PrefixKey::SCOPE_BITS;
        memory.prefixes.insert((bits, PrefixKey { rule_set: handle, ..*key }), *class);
    }
}

fn mac(device: u32) -> [u8; 6] {
    frame::mac(device as u8)
}

/// A node with every endpoint of the world on it.
fn node(world: &World, engine: &mut Engine, beings: &[Being]) -> Memory {
    let mut memory = Memory::default();
    let known = world.prefix_identities(engine);
    for net in engine.prefixes() {
        let labels = Engine::prefix_labels(&net);
        let (identity, _) = known.iter().find(|(_, info)| info.labels == labels).unwrap();
        memory.ipcache.insert((prefix_bits(&net), net.network().into()), identity.get());
    }
    for (device, being) in (FIRST_DEVICE..).zip(beings) {
        if being.kind != PeerKind::Endpoint {
            memory.ipcache.insert((128, being.address.into()), being.identity.get());
            continue;
        }
        let set = engine.rule_set(&Subject::endpoint(&being.labels, &being.named_ports));
        load(&mut memory, device, &Compiled::new(&set));
        let row = Endpoint {
            identity: being.identity.get(),
            rule_set: device,
            epoch: device,
            ifindex: device,
            mac: mac(device),
            id: device as u16,
            gateway_mac: frame::GATEWAY_MAC,
            flags: 0,
        };
        memory.endpoints.insert(being.address.into(), row);
    }
    memory
}

fn bytes(packet: Packet, source: &Being, destination: &Being, device: u32) -> Vec<u8> {
    let [high, low] = packet.port.to_be_bytes();
    let body = match packet.protocol {
        Protocol::ICMP | Protocol::ICMPV6 => vec![low, 0, 0, 0, 0, 9, 0, 1],
        _ => vec![0xc3, 0x50, high, low, 0, 0, 0, 0, 0, 0, 0, 0, 0x50, 2, 0, 0, 0, 0, 0, 0],
    };
    let mut bytes =
        Frame::raw(packet.protocol.number(), source.address.into(), destination.address.into(), body).bytes();
    bytes[6..12].copy_from_slice(&mac(device));
    bytes
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn the_packet_code_and_the_naive_model_agree(
        world in generate::world_of(Extent::Requests, 4),
        packets in proptest::collection::vec(generate::packet_of(Extent::Requests), 1..4),
    ) {
        let mut engine = world.engine();
        let mut beings = world.beings(&engine);
        // Who is inside of the node has its address first; on a node an address is one being.
        let mut seen = std::collections::BTreeSet::new();
        beings.retain(|being| seen.insert(being.address));
        for packet in packets {
            for (device, source) in (FIRST_DEVICE..).zip(&beings) {
                for (at, destination) in (FIRST_DEVICE..).zip(&beings) {
                    if source.address == destination.address || source.address.is_ipv4() != destination.address.is_ipv4() {
                        continue;
                    }
                    let fates = [
                        naive::fate(&world, Direction::Egress, source, destination, packet, None),
                        naive::fate(&world, Direction::Ingress, destination, source, packet, None),
                    ];
                    let expected = match fates {
                        fates if fates.contains(&Fate::Denied) => Fate::Denied,
                        fates if fates.contains(&Fate::Redirected) => Fate::Redirected,
                        _ => Fate::Allowed,
                    };
                    let memory = node(&world, &mut engine, &beings);
                    let frame = bytes(packet, source, destination, device);
                    let action = match (source.kind, destination.kind) {
                        (PeerKind::Endpoint, _) => memory.from_endpoint(&frame, device),
                        (_, PeerKind::Endpoint) => memory.to_endpoint(&frame, at),
                        _ => continue,
                    };
                    let fate = match action {
                        Err(_) => Fate::Denied,
                        Ok(Action::Proxy | Action::ProxyBack) => Fate::Redirected,
                        Ok(_) => Fate::Allowed,
                    };
                    prop_assert_eq!(
                        fate,
                        expected,
                        "{} ({}) to {} ({}), {:?}: {:?}",
                        source.labels, source.address, destination.labels, destination.address, packet, action
                    );
                }
            }
        }
    }
}
