//! What the kernel says of a packet, as clients see it.

use crate::{flows::opening, state::State};
use ciliate_abi::{DropReason, Event as Seen, EventKind, Outcome, TracePoint, event_flags};
use ciliate_api::{EventBody, PacketEvent, PeerView, RuleView, Verdict};
use ciliate_types::{Direction, EndpointId, Identity, Protocol};
use ipnet::IpNet;
use std::{fmt::Write as _, net::IpAddr};

/// The rules of both directions of a connection.
pub struct Pair {
    pub egress: Option<RuleView>,
    pub ingress: Option<RuleView>,
}

impl Pair {
    fn of(&self, direction: Direction) -> Option<RuleView> {
        match direction {
            Direction::Egress => self.egress.clone(),
            Direction::Ingress => self.ingress.clone(),
        }
    }
}

/// What the kernel says in one, for people one after the other: the verdicts and then what became of the packet.
/// Without what this version does not know.
pub fn bodies(state: &State, seen: &Seen, bytes: &[u8], rules: &Pair) -> Vec<EventBody> {
    let verdicts = [
        (Direction::Egress, ciliate_abi::Direction::Egress),
        (Direction::Ingress, ciliate_abi::Direction::Ingress),
    ];
    let opening = opening(seen);
    let mut bodies = Vec::new();
    for (direction, kernel) in verdicts {
        let Some(outcome) = seen.told_verdict(kernel) else { continue };
        let verdict = match outcome {
            Outcome::Allowed => Verdict::Allowed,
            Outcome::Denied | Outcome::Unmatched => Verdict::Denied,
            Outcome::Audited => Verdict::Audit,
            Outcome::Redirected => Verdict::Redirected,
        };
        let packet = Box::new(packet(state, &opening, direction, rules.of(direction), bytes));
        bodies.push(EventBody::PolicyVerdict { verdict, packet });
    }
    let direction = match seen.direction == ciliate_abi::Direction::Ingress as u8 {
        true => Direction::Ingress,
        false => Direction::Egress,
    };
    match seen.told() {
        None => {}
        Some(EventKind::Drop) => {
            let reason = DropReason::from_number(seen.detail);
            let reason = reason.map_or_else(|| format!("reason {}", seen.detail), |r| r.text().to_owned());
            let rule = rules.of(direction);
            let mut packet = Box::new(packet(state, seen, direction, rule, bytes));
            if seen.verdicts != 0 {
                packet.endpoint = endpoint(&opening, direction);
            }
            bodies.push(EventBody::Drop { reason, packet });
        }
        Some(EventKind::Trace) => {
            let point = match TracePoint::from_number(seen.detail) {
                Some(TracePoint::FromEndpoint) => "from-endpoint",
                Some(TracePoint::ToEndpoint) => "to-endpoint",
                Some(TracePoint::ToStack) => "to-stack",
                Some(TracePoint::FromStack) => "from-stack",
                Some(TracePoint::ToProxy) => "to-proxy",
                None => return bodies,
            };
            let rule = rules.egress.clone().or_else(|| rules.ingress.clone());
            let packet = Box::new(packet(state, seen, direction, rule, bytes));
            bodies.push(EventBody::Trace { point: point.to_owned(), packet });
        }
    }
    bodies
}

fn endpoint(seen: &Seen, direction: Direction) -> Option<EndpointId> {
    EndpointId::new(match direction {
        Direction::Ingress => seen.destination_endpoint,
        Direction::Egress => seen.source_endpoint,
    })
}

fn packet(
    state: &State,
    seen: &Seen,
    direction: Direction,
    rule: Option<RuleView>,
    bytes: &[u8],
) -> PacketEvent {
    let protocol = Protocol::new(seen.protocol);
    let (details, ports) = match protocol {
        Protocol::TCP => (tcp_flags(seen.tcp_flags), true),
        Protocol::ICMP | Protocol::ICMPV6 => {
            (format!("type {} code {}", seen.source_port, seen.destination_port), false)
        }
        _ => (String::new(), protocol.has_ports()),
    };
    let port = |port: u16| if ports { port } else { 0 };
    let has = |flag: u8| seen.flags & flag != 0;
    let connection = match seen.flags {
        _ if has(event_flags::RELATED) => "related",
        _ if has(event_flags::REPLY) => "reply",
        _ if has(event_flags::ESTABLISHED) => "established",
        _ => "new",
    };
    PacketEvent {
        endpoint: endpoint(seen, direction),
        direction,
        source: peer(state, seen.source.into(), port(seen.source_port), Identity::new(seen.source_identity)),
        destination: peer(
            state,
            seen.destination.into(),
            port(seen.destination_port),
            Identity::new(seen.destination_identity),
        ),
        protocol,
        details,
        connection: connection.to_owned(),
        rule,
        ifindex: seen.ifindex,
        length: seen.length,
        hex: (!bytes.is_empty()).then(|| hex(bytes)),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len().saturating_mul(2)), |mut text, byte| {
        // Writing to a string does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

pub fn peer(state: &State, address: IpAddr, port: u16, identity: Identity) -> PeerView {
    let endpoint = state.addresses.get(&IpNet::from(address)).and_then(|row| row.endpoint);
    let row = endpoint.and_then(|id| state.endpoints.get(&id));
    PeerView {
        address,
        port,
        identity,
        endpoint,
        name: row.map(|row| row.stored.full_name()),
        labels: (*state.labels(identity)).clone(),
    }
}

fn tcp_flags(flags: u8) -> String {
    let names = ["FIN", "SYN", "RST", "PSH", "ACK", "URG", "ECE", "CWR"];
    let set = names.iter().enumerate().filter(|(bit, _)| flags & (1_u8 << bit) != 0).map(|(_, name)| *name);
    set.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use ciliate_abi::verdict_bits;

    /// A packet between two endpoints that both sides allow.
    pub(crate) fn seen() -> Seen {
        Seen {
            time: 1,
            source: ciliate_abi::Address::v4([10, 0, 0, 1]),
            destination: ciliate_abi::Address::v4([10, 0, 0, 2]),
            source_identity: 1001,
            destination_identity: 1002,
            egress_rule: 5,
            ingress_rule: 7,
            ifindex: 3,
            length: 60,
            source_port: 4000,
            destination_port: 80,
            source_endpoint: 11,
            destination_endpoint: 12,
            kind: EventKind::Trace as u8,
            protocol: 6,
            direction: ciliate_abi::Direction::Egress as u8,
            detail: TracePoint::ToEndpoint as u8,
            tcp_flags: 2,
            flags: 0,
            verdicts: verdict_bits(ciliate_abi::Direction::Egress, Outcome::Allowed)
                | verdict_bits(ciliate_abi::Direction::Ingress, Outcome::Allowed),
            captured: 0,
        }
    }

    fn lines(seen: &Seen) -> Vec<String> {
        let rule = |id| RuleView { id, ..RuleView::default() };
        let rules = Pair { egress: Some(rule(seen.egress_rule)), ingress: Some(rule(seen.ingress_rule)) };
        bodies(&State::new(), seen, &[0x45, 0], &rules)
            .iter()
            .map(|body| {
                let packet = body.packet().expect("a packet");
                format!(
                    "{} at {} {} {}:{} > {}:{} rule {} {}",
                    body.kind(),
                    packet.endpoint.map_or(0, |id| id.get()),
                    packet.direction,
                    packet.source.address,
                    packet.source.port,
                    packet.destination.address,
                    packet.destination.port,
                    packet.rule.as_ref().map_or(0, |rule| rule.id),
                    packet.hex.as_deref().unwrap_or("-"),
                )
            })
            .collect()
    }

    #[test]
    fn one_event_of_the_kernel_is_its_verdicts_and_its_fate() {
        assert_eq!(
            lines(&seen()),
            [
                "policy-verdict at 11 egress 10.0.0.1:4000 > 10.0.0.2:80 rule 5 4500",
                "policy-verdict at 12 ingress 10.0.0.1:4000 > 10.0.0.2:80 rule 7 4500",
                "trace at 11 egress 10.0.0.1:4000 > 10.0.0.2:80 rule 5 4500",
            ]
        );
        assert_eq!(
            lines(&Seen { verdicts: 0, flags: event_flags::ESTABLISHED, ..seen() }),
            ["trace at 11 egress 10.0.0.1:4000 > 10.0.0.2:80 rule 5 4500"]
        );
        let dropped = Seen {
            kind: EventKind::Drop as u8,
            detail: DropReason::Policy as u8,
            direction: ciliate_abi::Direction::Ingress as u8,
            verdicts: verdict_bits(ciliate_abi::Direction::Ingress, Outcome::Unmatched),
            ..seen()
        };
        assert_eq!(
            lines(&dropped),
            [
                "policy-verdict at 12 ingress 10.0.0.1:4000 > 10.0.0.2:80 rule 7 4500",
                "drop at 12 ingress 10.0.0.1:4000 > 10.0.0.2:80 rule 7 4500",
            ]
        );
    }

    #[test]
    fn an_answer_that_is_refused_was_judged_as_what_it_answers() {
        let refused = Seen {
            kind: EventKind::Drop as u8,
            detail: DropReason::Policy as u8,
            direction: ciliate_abi::Direction::Ingress as u8,
            verdicts: verdict_bits(ciliate_abi::Direction::Ingress, Outcome::Unmatched),
            flags: event_flags::REPLY | event_flags::ESTABLISHED,
            ..seen()
        };
        assert_eq!(
            lines(&refused),
            [
                "policy-verdict at 11 ingress 10.0.0.2:80 > 10.0.0.1:4000 rule 7 4500",
                "drop at 11 ingress 10.0.0.1:4000 > 10.0.0.2:80 rule 7 4500",
            ]
        );
    }

    #[test]
    fn flags_have_names() {
        assert_eq!(tcp_flags(0x12), "SYN, ACK");
        assert_eq!(tcp_flags(0), "");
        assert_eq!(tcp_flags(0xff), "FIN, SYN, RST, PSH, ACK, URG, ECE, CWR");
    }
}
