//! Ports, protocols and ICMP types.

use super::{each, names::is_port_name};
use crate::{
    icmp,
    object::{
        cilium::{IcmpField, PortProtocol},
        kubernetes::{IntOrString, NetworkPolicyPort},
    },
    parse::path::Problems,
    rule::TrafficMatch,
};
use ciliate_types::{PortRange, Protocol};

/// The protocols that have ports.
const TRANSPORT: [Protocol; 3] = [Protocol::TCP, Protocol::UDP, Protocol::SCTP];

/// Protocols that a policy may name with port 0, by their IANA numbers.
const PORTLESS: [(&str, Protocol); 7] = [
    ("IGMP", Protocol::new(2)),
    ("IPIP", Protocol::new(4)),
    ("IPV6", Protocol::new(41)),
    ("GRE", Protocol::new(47)),
    ("ESP", Protocol::new(50)),
    ("AH", Protocol::new(51)),
    ("VRRP", Protocol::new(112)),
];

/// The field `ports` of an element of `toPorts`.
pub fn ports(ports: &[PortProtocol], problems: &mut Problems) -> Vec<TrafficMatch> {
    problems.at("ports", |p| {
        if ports.is_empty() {
            p.fail("names no port: write {port: \"0\"} for every port, or leave toPorts out for all traffic");
        }
        each(ports, p, port).into_iter().flatten().collect()
    })
}

fn port(written: &PortProtocol, problems: &mut Problems) -> Vec<TrafficMatch> {
    let protocol = written.protocol.as_deref().unwrap_or_default().to_ascii_uppercase();
    let protocols = match protocol.as_str() {
        "" | "ANY" => TRANSPORT.to_vec(),
        "TCP" => vec![Protocol::TCP],
        "UDP" => vec![Protocol::UDP],
        "SCTP" => vec![Protocol::SCTP],
        "ICMP" | "ICMPV6" => {
            problems.at("protocol", |p| p.fail("ICMP has no ports: write the types under icmps"));
            return Vec::new();
        }
        other => match PORTLESS.iter().find(|(name, _)| *name == other) {
            Some((_, protocol)) => return portless(written, *protocol, problems),
            None => {
                let message = format!(
                    "{:?} is unknown: write TCP, UDP, SCTP or ANY, or with port 0 one of {}",
                    written.protocol.as_deref().unwrap_or_default(),
                    PORTLESS.map(|(name, _)| name).join(", ")
                );
                problems.at("protocol", |p| p.fail(message));
                return Vec::new();
            }
        },
    };
    let end = written.end_port.filter(|end| *end != 0);
    if is_port_name(&written.port) {
        if end.is_some() {
            problems.at("endPort", |p| p.fail("needs a number as port, not a name"));
        }
        let name: Box<str> = written.port.to_ascii_lowercase().into();
        return protocols.into_iter().map(|protocol| TrafficMatch::Named(protocol, name.clone())).collect();
    }
    let range = problems.at("port", |p| number(&written.port, p)).and_then(|first| match first {
        0 if end.is_some() => {
            problems.at("endPort", |p| p.fail("port 0 means every port: leave endPort out"));
            None
        }
        0 => Some(PortRange::ALL),
        first => range(first, end, problems),
    });
    range.map_or_else(Vec::new, |range| {
        protocols.into_iter().map(|protocol| TrafficMatch::Ports(protocol, range)).collect()
    })
}

fn portless(written: &PortProtocol, protocol: Protocol, problems: &mut Problems) -> Vec<TrafficMatch> {
    if written.port != "0" || written.end_port.is_some_and(|end| end != 0) {
        problems.at("port", |p| p.fail("the protocol has no ports: write \"0\""));
    }
    vec![TrafficMatch::Ports(protocol, PortRange::ALL)]
}

/// A port as decimal digits without leading zeros, or 0.
fn number(text: &str, problems: &mut Problems) -> Option<u16> {
    let port = text.parse().ok().filter(|port: &u16| port.to_string() == text);
    if port.is_none() {
        problems.fail(format!(
            "{text:?} is not a port: write a number from 1 to 65535, 0 for every port, or a port's name \
             (at most 15 letters, digits and dashes)"
        ));
    }
    port
}

fn range(first: u16, end: Option<i64>, problems: &mut Problems) -> Option<PortRange> {
    let Some(end) = end else { return Some(PortRange::one(first)) };
    problems.at("endPort", |p| {
        let Ok(last) = u16::try_from(end) else {
            p.fail(format!("{end} is not a number from 1 to 65535"));
            return None;
        };
        PortRange::new(first, last).map_err(|error| p.fail(error.to_string())).ok()
    })
}

/// The field `fields` of an element of `icmps`.
pub fn icmp_fields(fields: &[IcmpField], problems: &mut Problems) -> Vec<TrafficMatch> {
    problems.at("fields", |p| {
        if fields.is_empty() {
            p.fail("names no type: write at least one {family, type}");
        }
        each(fields, p, icmp_field).into_iter().flatten().collect()
    })
}

fn icmp_field(written: &IcmpField, problems: &mut Problems) -> Option<TrafficMatch> {
    let protocol = match written.family.as_deref().unwrap_or_default() {
        "" | "IPv4" => Protocol::ICMP,
        "IPv6" => Protocol::ICMPV6,
        other => {
            problems.at("family", |p| p.fail(format!("{other:?} is unknown: write IPv4 or IPv6")));
            return None;
        }
    };
    let number = icmp::message_type(protocol, &written.icmp_type);
    if number.is_none() {
        let message = format!(
            "{:?} is not a type of {protocol}: write a number from 0 to 255 or a name such as EchoRequest",
            written.icmp_type
        );
        problems.at("type", |p| p.fail(message));
    }
    number.map(|number| TrafficMatch::Ports(protocol, PortRange::one(number.into())))
}

/// The field `ports` of a NetworkPolicy; none means all traffic.
pub fn network_policy_ports(ports: &[NetworkPolicyPort], problems: &mut Problems) -> Vec<TrafficMatch> {
    if ports.is_empty() {
        return vec![TrafficMatch::Any];
    }
    problems.at("ports", |p| each(ports, p, network_policy_port).into_iter().flatten().collect())
}

fn network_policy_port(written: &NetworkPolicyPort, problems: &mut Problems) -> Option<TrafficMatch> {
    let protocol = match written.protocol.as_deref().unwrap_or("TCP") {
        "TCP" => Protocol::TCP,
        "UDP" => Protocol::UDP,
        "SCTP" => Protocol::SCTP,
        other => {
            problems.at("protocol", |p| p.fail(format!("{other:?} is unknown: write TCP, UDP or SCTP")));
            return None;
        }
    };
    match &written.port {
        None => {
            if written.end_port.is_some() {
                problems.at("endPort", |p| p.fail("needs a port"));
            }
            Some(TrafficMatch::Ports(protocol, PortRange::ALL))
        }
        Some(IntOrString::String(name)) => {
            if !is_port_name(name) {
                problems.at("port", |p| {
                    p.fail(format!(
                        "{name:?} is not a port: write a number from 1 to 65535 or a port's name"
                    ));
                });
            }
            if written.end_port.is_some() {
                problems.at("endPort", |p| p.fail("needs a number as port, not a name"));
            }
            Some(TrafficMatch::Named(protocol, name.to_ascii_lowercase().into()))
        }
        Some(IntOrString::Int(number)) => {
            let first = u16::try_from(*number).ok().filter(|port| *port != 0);
            if first.is_none() {
                problems.at("port", |p| p.fail(format!("{number} is not a number from 1 to 65535")));
            }
            range(first?, written.end_port, problems).map(|range| TrafficMatch::Ports(protocol, range))
        }
    }
}
