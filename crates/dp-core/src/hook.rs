//! The two places where a packet meets the programs: coming out of an endpoint's device, and going into it.

use crate::{
    admission::{self, Party, Report},
    flow::{self, ETHERTYPE_ARP, ETHERTYPE_IPV4, ETHERTYPE_IPV6, ETH_LENGTH, Packet},
    neighbor::{self, Answer},
    scene::Scene,
    tables::Tables,
};
use ciliate_abi::{Address, Aggregation, Config, Direction, DropReason, Endpoint, TracePoint};

/// What to do with a packet.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Into the namespace behind this device, from the router's address to the endpoint's.
    Deliver { ifindex: u32, mac: [u8; 6], gateway_mac: [u8; 6] },
    /// On through the host's network stack, or into the device it was about to enter.
    Pass,
    /// Back out of where it came from, as this frame.
    Answer(Answer),
    Drop(DropReason),
}

/// A packet that came out of the device of an endpoint.
#[inline(always)]
pub fn from_endpoint<P: Packet, T: Tables>(packet: &P, tables: &T, ifindex: u32) -> Action {
    let mut scene = Scene::new(ifindex, packet.length().wrapping_sub(ETH_LENGTH), Direction::Egress);
    let result = route_from_endpoint(packet, tables, &mut scene);
    conclude(tables, &scene, result)
}

/// A packet that the host's stack sends into the device of an endpoint.
#[inline(always)]
pub fn to_endpoint<P: Packet, T: Tables>(packet: &P, tables: &T, ifindex: u32) -> Action {
    let mut scene = Scene::new(ifindex, packet.length().wrapping_sub(ETH_LENGTH), Direction::Ingress);
    let result = enter_endpoint(packet, tables, &mut scene);
    conclude(tables, &scene, result)
}

/// The one place where a decision becomes a counter and, if it is a drop, an event.
#[inline(always)]
fn conclude<T: Tables>(tables: &T, scene: &Scene, result: Result<Action, DropReason>) -> Action {
    match result {
        Ok(action) => {
            tables.count(0, scene.direction, scene.flow.length);
            action
        }
        Err(reason) => {
            tables.count(reason as u8, scene.direction, scene.flow.length);
            scene.report_drop(tables, reason);
            Action::Drop(reason)
        }
    }
}

#[inline(always)]
fn route_from_endpoint<P: Packet, T: Tables>(
    packet: &P,
    tables: &T,
    scene: &mut Scene,
) -> Result<Action, DropReason> {
    let config = tables.config().ok_or(DropReason::NoConfig)?;
    match packet.ethertype() {
        ETHERTYPE_IPV4 | ETHERTYPE_IPV6 => {}
        ETHERTYPE_ARP => {
            let sender = arp_sender(packet)?;
            let endpoint = sender_row(packet, tables, scene, &sender)?;
            return neighbor::answer_arp(packet, config, endpoint).map(Action::Answer);
        }
        _ => return Err(DropReason::UnsupportedL3),
    }
    scene.flow = flow::read(packet, tables)?;
    let endpoint = sender_row(packet, tables, scene, &scene.flow.source.clone())?;
    scene.source_identity = endpoint.identity;
    if is_multicast(&scene.flow.destination) {
        return match neighbor::answer_solicitation(packet, config, endpoint) {
            Some(answer) => answer.map(Action::Answer),
            None => Err(DropReason::Multicast),
        };
    }
    if packet.ethertype() == ETHERTYPE_IPV6
        && scene.flow.destination == config.gateway_v6
        && let Some(answer) = neighbor::answer_solicitation(packet, config, endpoint)
    {
        return answer.map(Action::Answer);
    }
    if config.aggregation == Aggregation::None as u32 {
        scene.report_trace(tables, TracePoint::FromEndpoint);
    }
    let destination = Party::find(tables, &scene.flow.destination);
    if let Party::Endpoint(peer) = destination {
        scene.peer_endpoint = peer.id;
    }
    let report = admission::admit(packet, tables, config, scene, Party::Endpoint(endpoint), destination)?;
    scene.direction = Direction::Egress;
    let (point, action) = match destination {
        Party::Endpoint(peer) => (
            TracePoint::ToEndpoint,
            Action::Deliver { ifindex: peer.ifindex, mac: peer.mac, gateway_mac: peer.gateway_mac },
        ),
        Party::Elsewhere => (TracePoint::ToStack, Action::Pass),
    };
    if let Report::Trace = report {
        scene.report_trace(tables, point);
    }
    Ok(action)
}

#[inline(always)]
fn enter_endpoint<P: Packet, T: Tables>(packet: &P, tables: &T, scene: &mut Scene) -> Result<Action, DropReason> {
    let config = tables.config().ok_or(DropReason::NoConfig)?;
    match packet.ethertype() {
        ETHERTYPE_IPV4 | ETHERTYPE_IPV6 => {}
        _ => return Err(DropReason::UnsupportedL3),
    }
    scene.flow = flow::read(packet, tables)?;
    let endpoint = tables.endpoint(&scene.flow.destination).ok_or(DropReason::NoEndpoint)?;
    if endpoint.ifindex != scene.ifindex {
        return Err(DropReason::NoEndpoint);
    }
    scene.endpoint = endpoint.id;
    scene.destination_identity = endpoint.identity;
    if config.aggregation == Aggregation::None as u32 {
        scene.report_trace(tables, TracePoint::FromStack);
    }
    let source = Party::find(tables, &scene.flow.source);
    let report = admission::admit(packet, tables, config, scene, source, Party::Endpoint(endpoint))?;
    scene.direction = Direction::Ingress;
    if let Report::Trace = report {
        scene.report_trace(tables, TracePoint::ToEndpoint);
    }
    Ok(Action::Pass)
}

/// The row of the endpoint that sent a packet, if device, link-layer and network address all are its own.
#[inline(always)]
fn sender_row<'a, P: Packet, T: Tables>(
    packet: &P,
    tables: &'a T,
    scene: &mut Scene,
    address: &Address,
) -> Result<&'a Endpoint, DropReason> {
    let endpoint = tables.endpoint(address).ok_or(DropReason::InvalidSourceIp)?;
    if endpoint.ifindex != scene.ifindex {
        return Err(DropReason::InvalidSourceIp);
    }
    scene.endpoint = endpoint.id;
    let mac: [u8; 6] = packet.load(6).ok_or(DropReason::TruncatedHeader)?;
    if mac != endpoint.mac {
        return Err(DropReason::InvalidSourceMac);
    }
    Ok(endpoint)
}

#[inline(always)]
fn arp_sender<P: Packet>(packet: &P) -> Result<Address, DropReason> {
    packet.load(ETH_LENGTH.wrapping_add(14)).map(Address::v4).ok_or(DropReason::TruncatedHeader)
}

#[inline(always)]
fn is_multicast(address: &Address) -> bool {
    match address.0 {
        [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, first, second, third, fourth] => {
            first & 0xf0 == 0xe0 || [first, second, third, fourth] == [255; 4]
        }
        [0xff, ..] => true,
        _ => false,
    }
}
