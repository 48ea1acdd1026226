//! The two places where a packet meets the programs: coming out of an endpoint's device, and going into it.

use crate::{
    admission::{Decision, Party, Report},
    flow::{self, ETH_LENGTH, ETHERTYPE_ARP, ETHERTYPE_IPV4, ETHERTYPE_IPV6, Packet, TCP_RST},
    neighbor, record,
    scene::Scene,
    tables::Tables,
};
use ciliate_abi::{Address, Aggregation, Direction, DropReason, Endpoint, TracePoint, mark};

/// What to do with a packet. The rest that is needed for it is in the [`Scene`].
///
/// Nothing goes with it, for the compiler may work on registers before it knows whether they hold what goes with a variant, and
/// kernel 6.1 takes what is in them then for pointers, on which it forbids that.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Action {
    /// Into the namespace behind the device of `scene.receiver`.
    Deliver,
    /// On through the host's network stack, or into the device it was about to enter.
    Pass,
    /// To the proxy's socket in the host's stack, which it is about to enter.
    Proxy,
    /// To the proxy's socket, back into the host's stack through the configuration's device for that.
    ProxyBack,
    /// Tell the endpoint that sent it, `scene.flow.source`, the router's link-layer address.
    AnswerArp,
    AnswerSolicitation,
    /// For `scene.drop_reason`.
    Drop,
}

/// Where a packet is delivered to.
#[derive(Clone, Copy, Debug)]
pub struct Receiver {
    /// Link-layer addresses of the endpoint and of its router, as a frame begins.
    pub addresses: [[u8; 6]; 2],
    pub ifindex: u32,
}

/// A packet that came out of the device of an endpoint.
#[inline(always)]
pub fn from_endpoint<P: Packet, T: Tables>(
    packet: &P,
    tables: &T,
    scene: &mut Scene,
    ifindex: u32,
) -> Action {
    scene.reset(ifindex, packet.length().wrapping_sub(ETH_LENGTH), Direction::Egress);
    let result = route_from_endpoint(packet, tables, scene);
    conclude(packet, tables, scene.settle(result))
}

/// A packet that the host's stack sends into the device of an endpoint.
#[inline(always)]
pub fn to_endpoint<P: Packet, T: Tables>(packet: &P, tables: &T, scene: &mut Scene, ifindex: u32) -> Action {
    scene.reset(ifindex, packet.length().wrapping_sub(ETH_LENGTH), Direction::Ingress);
    let result = enter_endpoint(packet, tables, scene);
    conclude(packet, tables, scene.settle(result))
}

/// The one place where a decision becomes a counter, a recorded packet and, if it is a drop, an event.
#[inline(always)]
fn conclude<P: Packet, T: Tables>(packet: &P, tables: &T, scene: &Scene) -> Action {
    let (action, reason) = (scene.action, scene.drop_reason);
    if tables.recorder().is_some_and(|recorder| recorder.filters != 0) {
        record::record(scene, packet, tables);
    }
    tables.count(reason, scene.direction, scene.flow.length);
    // Every IPv6 stack announces its groups and looks for routers all the time: counted, not told.
    if matches!(action, Action::Drop) && reason != DropReason::Multicast as u8 {
        scene.report_drop(packet, tables);
    }
    action
}

impl Scene {
    /// Notes the outcome. All ways to it meet here: what follows is read from memory, so the kernel's verifier looks at it once and
    /// not for each of them.
    #[inline(always)]
    fn settle(&mut self, result: Result<Action, DropReason>) -> &Self {
        (self.action, self.drop_reason) = match result {
            Ok(action) => (action, 0),
            Err(reason) => (Action::Drop, reason as u8),
        };
        core::hint::black_box(self)
    }
}

#[inline(always)]
fn route_from_endpoint<P: Packet, T: Tables>(
    packet: &P,
    tables: &T,
    scene: &mut Scene,
) -> Result<Action, DropReason> {
    let config = tables.config().ok_or(DropReason::NoConfig)?;
    if packet.is_tagged() {
        return Err(DropReason::UnsupportedL3);
    }
    match packet.ethertype() {
        ETHERTYPE_IPV4 | ETHERTYPE_IPV6 => {}
        ETHERTYPE_ARP => {
            scene.flow.source = arp_sender(packet)?;
            sender_row(packet, tables, scene)?;
            return neighbor::check_arp(packet, config).map(|()| Action::AnswerArp);
        }
        _ => return Err(DropReason::UnsupportedL3),
    }
    flow::read(packet, tables, &mut scene.flow)?;
    let sender = sender_row(packet, tables, scene);
    let multicast = is_multicast(&scene.flow.destination);
    if multicast && (sender.is_err() || !neighbor::is_discovery(&scene.flow)) {
        return Err(DropReason::Multicast);
    }
    let endpoint = sender?;
    scene.source_identity = endpoint.identity;
    if neighbor::is_discovery(&scene.flow) {
        return neighbor::check_solicitation(packet, config, &scene.flow)
            .map(|()| Action::AnswerSolicitation);
    }
    if config.aggregation == Aggregation::None as u32 {
        scene.report_trace(packet, tables, TracePoint::FromEndpoint);
    }
    let destination = Party::find(tables, &scene.flow.destination);
    if let Party::Endpoint(peer) = destination {
        scene.destination_endpoint = peer.id;
    }
    let mut decision = Decision { tables, config, scene };
    let report = decision.admit(packet, Party::Endpoint(endpoint), destination)?;
    let scene = decision.scene;
    scene.direction = Direction::Egress;
    let (point, action) = match destination {
        _ if scene.proxied => (TracePoint::ToProxy, Action::Proxy),
        Party::Endpoint(peer) => {
            scene.receiver = Receiver { addresses: [peer.mac, peer.gateway_mac], ifindex: peer.ifindex };
            (TracePoint::ToEndpoint, Action::Deliver)
        }
        Party::Elsewhere => (TracePoint::ToStack, Action::Pass),
    };
    if let Report::Trace = report {
        scene.report_trace(packet, tables, point);
    }
    Ok(action)
}

#[inline(always)]
fn enter_endpoint<P: Packet, T: Tables>(
    packet: &P,
    tables: &T,
    scene: &mut Scene,
) -> Result<Action, DropReason> {
    let config = tables.config().ok_or(DropReason::NoConfig)?;
    match packet.ethertype() {
        ETHERTYPE_IPV4 | ETHERTYPE_IPV6 => {}
        _ => return Err(DropReason::UnsupportedL3),
    }
    flow::read(packet, tables, &mut scene.flow)?;
    if is_multicast(&scene.flow.destination) {
        return Err(DropReason::Multicast);
    }
    let endpoint = tables.endpoint(&scene.flow.destination).ok_or(DropReason::NoEndpoint)?;
    if endpoint.ifindex != scene.ifindex {
        return Err(DropReason::NoEndpoint);
    }
    scene.destination_endpoint = endpoint.id;
    scene.destination_identity = endpoint.identity;
    let from_proxy = mark::is_from_proxy(packet.mark());
    // What the proxy cuts because policy has changed must not look alive to the endpoint.
    if from_proxy && scene.flow.tcp_flags & TCP_RST != 0 {
        return Ok(Action::Pass);
    }
    if config.aggregation == Aggregation::None as u32 {
        scene.report_trace(packet, tables, TracePoint::FromStack);
    }
    let source = Party::find(tables, &scene.flow.source);
    if let Party::Endpoint(peer) = source {
        scene.source_endpoint = peer.id;
    }
    let mut decision = Decision { tables, config, scene };
    let report = decision.admit(packet, source, Party::Endpoint(endpoint))?;
    let scene = decision.scene;
    scene.direction = Direction::Ingress;
    let (point, action) = match scene.proxied && !from_proxy {
        true if config.proxy_ifindex == 0 => return Err(DropReason::NoProxy),
        true => (TracePoint::ToProxy, Action::ProxyBack),
        false => (TracePoint::ToEndpoint, Action::Pass),
    };
    if let Report::Trace = report {
        scene.report_trace(packet, tables, point);
    }
    Ok(action)
}

/// The row of the endpoint that sent a packet, if device, link-layer and network address all are its own.
#[inline(always)]
fn sender_row<'a, P: Packet, T: Tables>(
    packet: &P,
    tables: &'a T,
    scene: &mut Scene,
) -> Result<&'a Endpoint, DropReason> {
    let endpoint = tables.endpoint(&scene.flow.source).ok_or(DropReason::InvalidSourceIp)?;
    if endpoint.ifindex != scene.ifindex {
        return Err(DropReason::InvalidSourceIp);
    }
    scene.source_endpoint = endpoint.id;
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
