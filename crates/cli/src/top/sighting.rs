//! What a flow adds to the views.

use super::{tally::What, view::View};
use crate::observe::{
    print::{Hosts, escaped, named},
    words,
};
use ciliate_flow::EventType;
use ciliate_hubble::flow::{
    DropReason, Endpoint, Flow, L7FlowType, Policy, Service, TrafficDirection, Verdict, layer4::Protocol,
    layer7::Record,
};

/// One row that a flow belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sighting {
    /// As many as the view has titles.
    pub key: Vec<String>,
    pub what: What,
}

/// Gives every row of every view that a flow belongs to.
pub fn sightings(flow: &Flow, hosts: Hosts, mut give: impl FnMut(View, Sighting)) {
    let event = flow.event_type.unwrap_or_default().r#type;
    let verdict = match flow.verdict() {
        Verdict::Dropped | Verdict::Error => What::Dropped,
        Verdict::Audit => What::Audited,
        Verdict::Unknown
        | Verdict::Forwarded
        | Verdict::Redirected
        | Verdict::Traced
        | Verdict::Translated => What::Forwarded,
    };
    let (source, destination, port) = ends(flow, hosts);
    // A verdict is about a packet that has a flow of its own.
    if event != EventType::POLICY_VERDICT {
        let key = vec![source.clone(), destination.clone(), port.clone()];
        give(View::Talkers, Sighting { key, what: verdict });
        if verdict == What::Dropped {
            let key = vec![reason(flow), source, destination, port, direction(flow)];
            give(View::Drops, Sighting { key, what: verdict });
        }
    }
    let stage = flow.l7.as_ref().map(|l7| l7.r#type());
    let asks = stage == Some(L7FlowType::Request);
    if event == EventType::POLICY_VERDICT || asks {
        for policy in deciders(flow) {
            let key = vec![policy, direction(flow)];
            give(View::Policies, Sighting { key, what: verdict });
        }
    }
    let Some(l7) = &flow.l7 else { return };
    let latency = l7.latency_ns;
    match &l7.record {
        Some(Record::Dns(dns)) => {
            let key = vec![escaped(dns.query.trim_end_matches('.')), escaped(&dns.qtypes.join(","))];
            let what = match (asks, dns.rcode) {
                (true, _) => verdict,
                (false, 0) => What::Answered { latency },
                (false, _) => What::Failed { latency },
            };
            give(View::Dns, Sighting { key, what });
        }
        Some(Record::Http(http)) => {
            let url = http.url.split(['?', '#']).next().unwrap_or_default();
            let key =
                vec![escaped(&http.method), escaped(url.split_once("://").map_or(url, |(_, rest)| rest))];
            let what = match (asks, http.code) {
                (true, _) => verdict,
                (false, 500..) => What::Broken { latency },
                (false, 400..500) => What::Failed { latency },
                (false, _) => What::Answered { latency },
            };
            give(View::Http, Sighting { key, what });
        }
        #[expect(deprecated, reason = "it has no view here")]
        Some(Record::Kafka(_)) => {}
        None => {}
    }
}

/// Who opened, with whom, and the port: answers are put the other way round.
fn ends(flow: &Flow, hosts: Hosts) -> (String, String, String) {
    let ip = flow.ip.clone().unwrap_or_default();
    let name =
        |ip: &str, endpoint: &Option<Endpoint>, service: &Option<Service>, names: &[String]| match hosts {
            Hosts::Numeric => escaped(ip),
            Hosts::Named => named(ip, endpoint.as_ref(), service.as_ref(), names),
        };
    let source = name(&ip.source, &flow.source, &flow.source_service, &flow.source_names);
    let destination =
        name(&ip.destination, &flow.destination, &flow.destination_service, &flow.destination_names);
    let back = flow.is_reply.is_some_and(|reply| reply.value);
    let pick = |from: u32, to: u32, name: &str| format!("{}/{name}", if back { from } else { to });
    let port = match flow.l4.as_ref().and_then(|l4| l4.protocol.as_ref()) {
        Some(Protocol::Tcp(tcp)) => pick(tcp.source_port, tcp.destination_port, "TCP"),
        Some(Protocol::Udp(udp)) => pick(udp.source_port, udp.destination_port, "UDP"),
        Some(Protocol::Sctp(sctp)) => pick(sctp.source_port, sctp.destination_port, "SCTP"),
        Some(Protocol::IcmPv4(_)) => "ICMPv4".to_owned(),
        Some(Protocol::IcmPv6(_)) => "ICMPv6".to_owned(),
        Some(Protocol::Vrrp(_)) => "VRRP".to_owned(),
        Some(Protocol::Igmp(_)) => "IGMP".to_owned(),
        None => String::new(),
    };
    if back { (destination, source, port) } else { (source, destination, port) }
}

/// In Hubble's words; of requests, that policy refused them.
fn reason(flow: &Flow) -> String {
    match flow.drop_reason_desc() {
        DropReason::Unknown if flow.l7.is_some() => "Request refused".to_owned(),
        reason => words::of_reason(reason.into()),
    }
}

fn direction(flow: &Flow) -> String {
    match flow.traffic_direction() {
        TrafficDirection::Ingress => "ingress",
        TrafficDirection::Egress => "egress",
        TrafficDirection::Unknown => "",
    }
    .to_owned()
}

/// The policies that a verdict names; what none was asked about is a row too.
fn deciders(flow: &Flow) -> Vec<String> {
    let lists =
        [&flow.egress_denied_by, &flow.ingress_denied_by, &flow.egress_allowed_by, &flow.ingress_allowed_by];
    let name = |policy: &Policy| {
        let name = match policy.namespace.as_str() {
            "" => policy.name.clone(),
            namespace => format!("{namespace}/{}", policy.name),
        };
        escaped(&if policy.kind.is_empty() { name } else { format!("{} {name}", policy.kind) })
    };
    let names: Vec<String> = lists.into_iter().flatten().map(name).collect();
    if names.is_empty() { vec!["(no policy)".to_owned()] } else { names }
}

/// What the views look at.
pub const FIELDS: [&str; 21] = [
    "time",
    "verdict",
    "drop_reason_desc",
    "IP",
    "l4",
    "source.namespace",
    "source.pod_name",
    "destination.namespace",
    "destination.pod_name",
    "source_names",
    "destination_names",
    "source_service",
    "destination_service",
    "l7",
    "event_type",
    "traffic_direction",
    "is_reply",
    "egress_allowed_by",
    "ingress_allowed_by",
    "egress_denied_by",
    "ingress_denied_by",
];

#[cfg(test)]
mod tests;
