//! Hubble's words for what labels show.

use ciliate_flow::{
    Content, Event, EventType, Flow, TraceObservationPoint, TrafficDirection, Transport, Verdict,
};
use ciliate_types::Protocol;
use std::fmt;

const IGMP: Protocol = Protocol::new(2);
const VRRP: Protocol = Protocol::new(112);

/// The protocol that says most about a flow.
pub fn protocol(flow: &Flow) -> &'static str {
    match flow.event {
        Event::Request => match flow.request.as_ref().map(|request| &request.content) {
            Some(Content::Dns(_)) => "DNS",
            Some(Content::Http(_)) => "HTTP",
            Some(Content::Kafka(_)) => "Kafka",
            Some(Content::Tls(_) | Content::Malformed(_) | Content::Other) | None => "Unknown L7",
        },
        Event::Drop(_) | Event::Trace(..) | Event::PolicyVerdict(..) => layer4(flow.transport),
        Event::Other(EventType { kind: EventType::CAPTURE | EventType::TRACE, .. }) => layer4(flow.transport),
        Event::Other(_) => "Unknown flow",
    }
}

fn layer4(transport: Transport) -> &'static str {
    self::transport(transport).unwrap_or("Unknown L4")
}

/// None of one that Hubble has no word for.
pub fn transport(transport: Transport) -> Option<&'static str> {
    Some(match transport {
        Transport::Tcp { .. } => "TCP",
        Transport::Udp { .. } => "UDP",
        Transport::Sctp { .. } => "SCTP",
        Transport::Icmp { .. } => "ICMPv4",
        Transport::Icmp6 { .. } => "ICMPv6",
        Transport::Other(VRRP) => "VRRP",
        Transport::Other(IGMP) => "IGMP",
        Transport::None | Transport::Other(_) => return None,
    })
}

pub fn verdict(verdict: Verdict) -> &'static str {
    verdict.as_str_name()
}

/// Where a packet was seen, as Cilium's monitor writes it.
pub fn point(point: TraceObservationPoint) -> &'static str {
    use TraceObservationPoint as At;
    match point {
        At::UnknownPoint => "unknown",
        At::ToProxy => "to-proxy",
        At::ToHost => "to-host",
        At::ToStack => "to-stack",
        At::ToOverlay => "to-overlay",
        At::ToEndpoint => "to-endpoint",
        At::FromEndpoint => "from-endpoint",
        At::FromProxy => "from-proxy",
        At::FromHost => "from-host",
        At::FromStack => "from-stack",
        At::FromOverlay => "from-overlay",
        At::FromNetwork => "from-network",
        At::ToNetwork => "to-network",
        At::FromCrypto => "from-crypto",
        At::ToCrypto => "to-crypto",
    }
}

/// The family of a flow without an address.
pub const NO_FAMILY: &str = "IP_NOT_USED";

pub fn family(flow: &Flow) -> &'static str {
    match flow.source.address.or(flow.destination.address) {
        Some(address) if address.is_ipv4() => "IPv4",
        Some(_) => "IPv6",
        None => NO_FAMILY,
    }
}

/// Which end of a request told of it.
pub fn reporter(direction: TrafficDirection) -> &'static str {
    match direction {
        TrafficDirection::Egress => "client",
        TrafficDirection::Ingress => "server",
        TrafficDirection::Unknown => "unknown",
    }
}

/// DNS response codes, as Hubble names those of the registry of IANA; empty for others.
pub fn rcode(code: u32) -> &'static str {
    match code {
        0 => "No Error",
        1 => "Format Error",
        2 => "Server Failure",
        3 => "Non-Existent Domain",
        4 => "Not Implemented",
        5 => "Query Refused",
        6 => "Name Exists when it should not",
        7 => "RR Set Exists when it should not",
        8 => "RR Set that should exist does not",
        9 => "Not Authorized",
        10 => "Name not contained in zone",
        11 => "DSO-TYPE Not Implemented",
        16 => "Bad OPT Version",
        17 => "Key not recognized",
        18 => "Signature out of time window",
        19 => "Bad TKEY Mode",
        20 => "Duplicate key name",
        21 => "Algorithm not supported",
        22 => "Bad Truncation",
        23 => "Bad/missing Server Cookie",
        _ => "",
    }
}

/// Type and code of an ICMP message: `Name`, `Name(Code)`, `Name(Code: 9)` or `99(0)`.
pub struct Icmp {
    pub version: IcmpVersion,
    pub kind: u8,
    pub code: u8,
}

#[derive(Clone, Copy)]
pub enum IcmpVersion {
    V4,
    V6,
}

impl fmt::Display for Icmp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let named = match self.version {
            IcmpVersion::V4 => icmp(self.kind),
            IcmpVersion::V6 => icmp6(self.kind),
        };
        let Some((name, codes)) = named else { return write!(f, "{}({})", self.kind, self.code) };
        match codes.get(usize::from(self.code)) {
            Some(code) => write!(f, "{name}({code})"),
            None if codes.is_empty() && self.code == 0 => f.write_str(name),
            None => write!(f, "{name}(Code: {})", self.code),
        }
    }
}

/// A message's name and those of its codes, in their order.
type Named = (&'static str, &'static [&'static str]);

fn icmp(kind: u8) -> Option<Named> {
    Some(match kind {
        0 => ("EchoReply", &[]),
        3 => (
            "DestinationUnreachable",
            &[
                "Net",
                "Host",
                "Protocol",
                "Port",
                "FragmentationNeeded",
                "SourceRoutingFailed",
                "NetUnknown",
                "HostUnknown",
                "SourceIsolated",
                "NetAdminProhibited",
                "HostAdminProhibited",
                "NetTOS",
                "HostTOS",
                "CommAdminProhibited",
                "HostPrecedence",
                "PrecedenceCutoff",
            ],
        ),
        4 => ("SourceQuench", &[]),
        5 => ("Redirect", &["Net", "Host", "TOS+Net", "TOS+Host"]),
        8 => ("EchoRequest", &[]),
        9 => ("RouterAdvertisement", &[]),
        10 => ("RouterSolicitation", &[]),
        11 => ("TimeExceeded", &["TTLExceeded", "FragmentReassemblyTimeExceeded"]),
        12 => ("ParameterProblem", &["PointerIndicatesError", "MissingOption", "BadLength"]),
        13 => ("TimestampRequest", &[]),
        14 => ("TimestampReply", &[]),
        15 => ("InfoRequest", &[]),
        16 => ("InfoReply", &[]),
        17 => ("AddressMaskRequest", &[]),
        18 => ("AddressMaskReply", &[]),
        _ => return None,
    })
}

fn icmp6(kind: u8) -> Option<Named> {
    Some(match kind {
        1 => (
            "DestinationUnreachable",
            &[
                "NoRouteToDst",
                "AdminProhibited",
                "BeyondScopeOfSrc",
                "AddressUnreachable",
                "PortUnreachable",
                "SrcAddressFailedPolicy",
                "RejectRouteToDst",
            ],
        ),
        2 => ("PacketTooBig", &[]),
        3 => ("TimeExceeded", &["HopLimitExceeded", "FragmentReassemblyTimeExceeded"]),
        4 => (
            "ParameterProblem",
            &["ErroneousHeaderField", "UnrecognizedNextHeader", "UnrecognizedNextHeader"],
        ),
        128 => ("EchoRequest", &[]),
        129 => ("EchoReply", &[]),
        133 => ("RouterSolicitation", &[]),
        134 => ("RouterAdvertisement", &[]),
        135 => ("NeighborSolicitation", &[]),
        136 => ("NeighborAdvertisement", &[]),
        137 => ("Redirect", &[]),
        _ => return None,
    })
}
