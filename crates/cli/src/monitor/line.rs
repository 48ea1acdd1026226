//! An event as a line, in Cilium's manner and with the rule that decided.

use super::request::{self, side};
use crate::output::{Page, Tone};
use ciliate_api::{Event, EventBody, PacketEvent, PeerView, Verdict};
use ciliate_types::{Direction, Protocol};
use std::net::SocketAddr;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detail {
    Usual,
    Verbose,
}

pub fn event(event: &Event, detail: Detail, page: &Page) -> String {
    let mut text = match &event.body {
        EventBody::Drop { reason, packet } => {
            let head = page.paint(&format!("xx drop ({reason})"), Tone::Bad);
            let to = packet.destination.endpoint.or(packet.endpoint).map_or(0, |id| id.get());
            format!(
                "{head} flow 0x0 to endpoint {to}, ifindex {}, identity {}->{}: {}{}",
                packet.ifindex,
                packet.source.identity,
                packet.destination.identity,
                summary(packet),
                rule(packet)
            )
        }
        EventBody::Trace { point, packet } => {
            let state = if packet.connection.is_empty() { "unknown" } else { &packet.connection };
            format!(
                "{} flow 0x0 , identity {}->{} state {state} ifindex {} orig-ip 0.0.0.0: {}",
                seen_at(point, packet),
                packet.source.identity,
                packet.destination.identity,
                packet.ifindex,
                summary(packet)
            )
        }
        EventBody::PolicyVerdict { verdict, packet } => policy_verdict(*verdict, packet, page),
        EventBody::L7(seen) => request::line(seen, page),
        EventBody::Agent { subject, message, endpoint: _ } => format!(">> {subject}: {message}"),
        EventBody::Lost { count, place } => {
            page.paint(&format!("** {count} events lost ({place})"), Tone::Doubtful)
        }
    };
    text.push('\n');
    if detail == Detail::Verbose {
        match (&event.body, event.body.packet()) {
            (_, Some(packet)) => text.push_str(&particulars(event, packet)),
            (EventBody::L7(seen), None) => text.push_str(&request::particulars(event, seen)),
            (_, None) => {}
        }
    }
    if let Some(hex) = event.body.packet().and_then(|packet| packet.hex.as_ref()) {
        text.push_str(&dump(hex));
    }
    text
}

fn policy_verdict(verdict: Verdict, packet: &PacketEvent, page: &Page) -> String {
    let (action, tone) = match verdict {
        Verdict::Allowed => ("allow", Tone::Good),
        Verdict::Redirected => ("redirect", Tone::Good),
        Verdict::Denied => ("deny", Tone::Bad),
        Verdict::Audit => ("audit", Tone::Doubtful),
    };
    let remote = match packet.direction {
        Direction::Ingress => &packet.source,
        Direction::Egress => &packet.destination,
    };
    format!(
        "Policy verdict log: flow 0x0 local EP ID {}, remote ID {}, proto {}, {}, action {}, auth: disabled, match {}, {}{}",
        packet.endpoint.map_or(0, |id| id.get()),
        remote.identity,
        packet.protocol.number(),
        packet.direction,
        page.paint(action, tone),
        if packet.rule.is_some() { "rule" } else { "none" },
        summary(packet),
        rule(packet)
    )
}

/// `, rule cnp/default/rule1 spec.ingress[0]`, where a rule decided.
fn rule(packet: &PacketEvent) -> String {
    packet.rule.as_ref().map_or(String::new(), |rule| format!(", rule {rule}"))
}

/// `-> endpoint 65`, `<- host`, `-> stack`
fn seen_at(point: &str, packet: &PacketEvent) -> String {
    let (arrow, place, peer) = match (point.strip_prefix("to-"), point.strip_prefix("from-")) {
        (Some(place), _) => ("->", place, &packet.destination),
        (None, Some(place)) => ("<-", place, &packet.source),
        (None, None) => ("--", point, &packet.destination),
    };
    match peer.endpoint.or(packet.endpoint) {
        Some(id) if place == "endpoint" => format!("{arrow} endpoint {id}"),
        Some(_) | None => format!("{arrow} {place}"),
    }
}

/// `10.0.0.1:3434 -> 10.0.0.2:80 tcp SYN`
fn summary(packet: &PacketEvent) -> String {
    let peer = |peer: &PeerView| match packet.protocol.has_ports() {
        true => SocketAddr::new(peer.address, peer.port).to_string(),
        false => peer.address.to_string(),
    };
    let protocol = match packet.protocol {
        Protocol::ICMP => "icmp".to_owned(),
        other => other.to_string().to_lowercase(),
    };
    let text =
        format!("{} -> {} {protocol} {}", peer(&packet.source), peer(&packet.destination), packet.details);
    text.trim_end().to_owned()
}

/// Time, both sides and the rule's description, indented.
fn particulars(event: &Event, packet: &PacketEvent) -> String {
    let mut text = format!("    {:<12} {:.6}, {} bytes\n", "time", event.time, packet.length);
    text.push_str(&side("source", &packet.source));
    text.push_str(&side("destination", &packet.destination));
    if let Some(rule) = packet.rule.as_ref().filter(|rule| !rule.description.is_empty()) {
        text.push_str(&format!("    {:<12} {}\n", "because", rule.description));
    }
    text
}

/// Sixteen bytes a line: offset, bytes, and what of them can be printed.
fn dump(hex: &str) -> String {
    let digits: Vec<char> = hex.chars().filter(char::is_ascii_hexdigit).collect();
    let bytes: Vec<u8> = digits
        .chunks(2)
        .filter_map(|pair| u8::from_str_radix(&pair.iter().collect::<String>(), 16).ok())
        .collect();
    let line = |(number, bytes): (usize, &[u8])| {
        let hex: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        let printable =
            |byte: &u8| if byte.is_ascii_graphic() || *byte == b' ' { char::from(*byte) } else { '.' };
        let text: String = bytes.iter().map(printable).collect();
        format!("{:08x}  {:<47}  |{text}|\n", number.saturating_mul(16), hex.join(" "))
    };
    bytes.chunks(16).enumerate().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn packet(body: Value) -> Event {
        let mut event = json!({
            "time": "2026-01-02T03:04:05.123456Z", "endpoint": 65, "direction": "ingress", "protocol": "TCP",
            "source": {"address": "10.0.0.1", "port": 3434, "identity": 31995, "labels": ["k8s:org=alliance"],
                       "name": "default/xwing"},
            "destination": {"address": "10.0.0.2", "port": 80, "identity": 16530, "endpoint": 65, "labels": []},
            "details": "SYN", "connection": "new", "ifindex": 12, "length": 74,
        });
        event.as_object_mut().unwrap().extend(body.as_object().unwrap().clone());
        serde_json::from_value(event).unwrap()
    }

    fn show(body: Value) -> String {
        event(&packet(body), Detail::Usual, &Page::plain())
    }

    fn rule() -> Value {
        json!({"id": 16, "object": "cnp/default/rule1", "section": "spec.ingress[0].toPorts[0]", "description": "d"})
    }

    #[test]
    fn lines_read_as_in_cilium() {
        for (body, expected) in [
            (
                json!({"type": "policy-verdict", "verdict": "denied"}),
                "Policy verdict log: flow 0x0 local EP ID 65, remote ID 31995, proto 6, ingress, action deny, \
                 auth: disabled, match none, 10.0.0.1:3434 -> 10.0.0.2:80 tcp SYN\n",
            ),
            (
                json!({"type": "policy-verdict", "verdict": "allowed", "rule": rule()}),
                "Policy verdict log: flow 0x0 local EP ID 65, remote ID 31995, proto 6, ingress, action allow, \
                 auth: disabled, match rule, 10.0.0.1:3434 -> 10.0.0.2:80 tcp SYN, \
                 rule cnp/default/rule1 spec.ingress[0].toPorts[0]\n",
            ),
            (
                json!({"type": "policy-verdict", "verdict": "audit", "direction": "egress", "endpoint": 7}),
                "Policy verdict log: flow 0x0 local EP ID 7, remote ID 16530, proto 6, egress, action audit, \
                 auth: disabled, match none, 10.0.0.1:3434 -> 10.0.0.2:80 tcp SYN\n",
            ),
            (
                json!({"type": "drop", "reason": "Policy denied"}),
                "xx drop (Policy denied) flow 0x0 to endpoint 65, ifindex 12, identity 31995->16530: \
                 10.0.0.1:3434 -> 10.0.0.2:80 tcp SYN\n",
            ),
            (
                json!({"type": "trace", "point": "to-endpoint"}),
                "-> endpoint 65 flow 0x0 , identity 31995->16530 state new ifindex 12 orig-ip 0.0.0.0: \
                 10.0.0.1:3434 -> 10.0.0.2:80 tcp SYN\n",
            ),
            (
                json!({"type": "trace", "point": "to-stack", "protocol": "ICMPv6", "details": "EchoRequest",
                       "connection": ""}),
                "-> stack flow 0x0 , identity 31995->16530 state unknown ifindex 12 orig-ip 0.0.0.0: \
                 10.0.0.1 -> 10.0.0.2 icmpv6 EchoRequest\n",
            ),
            (json!({"type": "agent", "subject": "policy-updated", "message": "m"}), ">> policy-updated: m\n"),
            (json!({"type": "lost", "count": 7, "place": "kernel"}), "** 7 events lost (kernel)\n"),
        ] {
            assert_eq!(show(body), expected);
        }
    }

    #[test]
    fn verbose_tells_both_sides_and_hex_the_bytes() {
        let body =
            json!({"type": "policy-verdict", "verdict": "allowed", "rule": rule(), "hex": "4500003c4142"});
        let text = event(&packet(body), Detail::Verbose, &Page::plain());
        let rest = text.split_once('\n').unwrap().1;
        assert_eq!(
            rest,
            "    time         2026-01-02T03:04:05.123456Z, 74 bytes\n    \
             source       default/xwing [k8s:org=alliance]\n    \
             destination  - []\n    \
             because      d\n\
             00000000  45 00 00 3c 41 42                                |E..<AB|\n"
        );
    }
}
