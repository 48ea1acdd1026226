//! One flow as text.

use super::{Field, Hosts, Printer, Tint, escaped, field};
use crate::observe::words;
use ciliate_flow::{EventType, MatchType};
use ciliate_hubble::flow::{
    AuthType, Endpoint, Flow, Policy, Service, SocketTranslationPoint, TrafficDirection, Verdict,
    layer4::Protocol, layer7::Record,
};

impl Printer {
    /// `Dec 17 07:07:30.342: demo/curl:44310 (ID:15173) <> 142.250.207.110:443 (world) Policy denied DROPPED (TCP Flags: SYN)`
    pub(super) fn compact(&self, flow: &Flow) -> String {
        let (mut left, mut right) = self.hosts_of(flow);
        let identity = |endpoint: &Option<Endpoint>| {
            self.paint(&words::of_identity(endpoint.as_ref().map_or(0, |one| one.identity)), Tint::Magenta)
        };
        let (mut left_id, mut right_id) = (identity(&flow.source), identity(&flow.destination));
        let arrow = match flow.is_reply.map(|reply| reply.value) {
            None => "<>",
            Some(false) => "->",
            Some(true) => {
                std::mem::swap(&mut left, &mut right);
                std::mem::swap(&mut left_id, &mut right_id);
                "<-"
            }
        };
        format!(
            "{}: {left} {left_id} {arrow} {right} {right_id} {} {} ({})\n",
            self.when(flow.time.as_ref(), &flow.node_name),
            escaped(&kind(flow)),
            self.verdict(flow),
            self.summary(flow),
        )
    }

    pub(super) fn fields(&self, flow: &Flow) -> Vec<Field> {
        let (source, destination) = self.hosts_of(flow);
        vec![
            field("SOURCE", source),
            field("DESTINATION", destination),
            field("TYPE", escaped(&kind(flow))),
            field("VERDICT", self.verdict(flow)),
            field("SUMMARY", self.summary(flow)),
        ]
    }

    /// Source and destination with their ports.
    fn hosts_of(&self, flow: &Flow) -> (String, String) {
        let Some(ip) = &flow.ip else {
            let ethernet = flow.ethernet.clone().unwrap_or_default();
            return (
                self.paint(&escaped(&ethernet.source), Tint::Cyan),
                self.paint(&escaped(&ethernet.destination), Tint::Cyan),
            );
        };
        let (from, to) = match flow.l4.as_ref().and_then(|l4| l4.protocol.as_ref()) {
            Some(Protocol::Tcp(tcp)) => (tcp.source_port, tcp.destination_port),
            Some(Protocol::Udp(udp)) => (udp.source_port, udp.destination_port),
            Some(Protocol::Sctp(sctp)) => (sctp.source_port, sctp.destination_port),
            Some(Protocol::IcmPv4(_) | Protocol::IcmPv6(_) | Protocol::Vrrp(_) | Protocol::Igmp(_))
            | None => (0, 0),
        };
        (
            self.host(
                &ip.source,
                from,
                flow.source.as_ref(),
                flow.source_service.as_ref(),
                &flow.source_names,
            ),
            self.host(
                &ip.destination,
                to,
                flow.destination.as_ref(),
                flow.destination_service.as_ref(),
                &flow.destination_names,
            ),
        )
    }

    fn host(
        &self,
        ip: &str,
        port: u32,
        endpoint: Option<&Endpoint>,
        service: Option<&Service>,
        names: &[String],
    ) -> String {
        let host = match self.hosts {
            Hosts::Numeric => escaped(ip),
            Hosts::Named => named(ip, endpoint, service, names),
        };
        let host = match (port, host.contains(':')) {
            (0, _) => host,
            (_, true) => format!("[{host}]:{}", self.paint(&port.to_string(), Tint::Yellow)),
            (_, false) => format!("{host}:{}", self.paint(&port.to_string(), Tint::Yellow)),
        };
        self.paint(&host, Tint::Cyan)
    }

    /// Of policies their own words.
    fn verdict(&self, flow: &Flow) -> String {
        let of_policy = flow.event_type.is_some_and(|event| event.r#type == EventType::POLICY_VERDICT);
        let verdict = flow.verdict();
        let by = |allowed: bool| match (
            of_policy && self.flags.print_policy_names,
            flow.traffic_direction(),
            allowed,
        ) {
            (false, ..) | (_, TrafficDirection::Unknown, _) => String::new(),
            (true, TrafficDirection::Egress, true) => policies(&flow.egress_allowed_by),
            (true, TrafficDirection::Ingress, true) => policies(&flow.ingress_allowed_by),
            (true, TrafficDirection::Egress, false) => policies(&flow.egress_denied_by),
            (true, TrafficDirection::Ingress, false) => policies(&flow.ingress_denied_by),
        };
        let text = |words: &str| if of_policy { words.to_owned() } else { verdict.as_str_name().to_owned() };
        match verdict {
            // A policy that sends a connection to the proxy allows it.
            Verdict::Forwarded | Verdict::Redirected => {
                self.paint(&(text("ALLOWED") + &by(true)), Tint::Green)
            }
            Verdict::Dropped | Verdict::Error => self.paint(&(text("DENIED") + &by(false)), Tint::Red),
            Verdict::Audit => self.paint(&(text("AUDITED") + &by(false)), Tint::Yellow),
            Verdict::Traced | Verdict::Translated => self.paint(verdict.as_str_name(), Tint::Yellow),
            Verdict::Unknown => verdict.as_str_name().to_owned(),
        }
    }

    /// What the server says of it, or else what its fields come to.
    #[expect(deprecated, reason = "servers still fill the field, and clients still show it")]
    fn summary(&self, flow: &Flow) -> String {
        let summary = match flow.summary.is_empty() {
            true => ciliate_flow::Flow::from_message(flow).map(|flow| flow.summary()).unwrap_or_default(),
            false => flow.summary.clone(),
        };
        let trace = flow.ip_trace_id.as_ref().map_or(0, |traced| traced.trace_id);
        let summary = escaped(&if trace > 0 { format!("IP Trace ID: {trace}; {summary}") } else { summary });
        let auth = flow.auth_type();
        let tint = match auth {
            AuthType::Disabled => return summary,
            AuthType::TestAlwaysFail => Tint::Red,
            AuthType::Spire => Tint::Green,
        };
        format!("{summary}; Auth: {}", self.paint(auth.as_str_name(), tint))
    }
}

/// What an end is called: pod, service, names that were resolved, or else its address.
pub fn named(ip: &str, endpoint: Option<&Endpoint>, service: Option<&Service>, names: &[String]) -> String {
    let within = |namespace: &str, name: &str| match namespace {
        "" => name.to_owned(),
        namespace => format!("{namespace}/{name}"),
    };
    let pod = endpoint.filter(|endpoint| !endpoint.pod_name.is_empty());
    let service = service.filter(|service| !service.name.is_empty());
    escaped(&match (pod, service, names) {
        (None, None, []) => ip.to_owned(),
        (Some(pod), ..) => within(&pod.namespace, &pod.pod_name),
        (None, Some(service), _) => within(&service.namespace, &service.name),
        (None, None, names) => names.join(","),
    })
}

/// ` BY web (CiliumNetworkPolicy)`, or nothing.
fn policies(list: &[Policy]) -> String {
    let named = list.iter().filter(|policy| !policy.name.is_empty() && !policy.kind.is_empty());
    let names: Vec<String> = named.map(|policy| format!("{} ({})", policy.name, policy.kind)).collect();
    match names.as_slice() {
        [] => String::new(),
        names => format!(" BY {}", escaped(&names.join(", "))),
    }
}

#[expect(deprecated, reason = "there is no other place for what Kafka says")]
/// What was seen: `to-stack`, `Policy denied`, `policy-verdict:none EGRESS`, `http-request`.
pub fn kind(flow: &Flow) -> String {
    if let Some(l7) = &flow.l7 {
        let stage = l7.r#type().as_str_name().to_ascii_lowercase();
        return match &l7.record {
            Some(Record::Http(_)) => format!("http-{stage}"),
            Some(Record::Dns(dns)) => format!("dns-{stage} {}", dns.observation_source),
            Some(Record::Kafka(_)) => format!("kafka-{stage}"),
            None => format!("l7-{stage}"),
        };
    }
    let event = flow.event_type.unwrap_or_default();
    match event.r#type {
        EventType::TRACE => words::of_trace(event.sub_type),
        EventType::DROP => words::of_reason(event.sub_type),
        EventType::POLICY_VERDICT => format!(
            "policy-verdict:{} {}",
            MatchType::from_number(flow.policy_match_type).text(),
            flow.traffic_direction().as_str_name()
        ),
        EventType::CAPTURE => flow.debug_capture_point().as_str_name().to_owned(),
        EventType::TRACE_SOCK => match flow.sock_xlate_point() {
            SocketTranslationPoint::SockXlatePointPostDirectionFwd => "post-xlate-fwd",
            SocketTranslationPoint::SockXlatePointPostDirectionRev => "post-xlate-rev",
            SocketTranslationPoint::SockXlatePointPreDirectionFwd => "pre-xlate-fwd",
            SocketTranslationPoint::SockXlatePointPreDirectionRev => "pre-xlate-rev",
            SocketTranslationPoint::SockXlatePointUnknown => "SOCK_XLATE_POINT_UNKNOWN",
        }
        .to_owned(),
        _ => "UNKNOWN".to_owned(),
    }
}
