//! A flow as a record of a log: names are those of OpenTelemetry's semantic conventions where there are such, and begin with `cilium.`
//! otherwise.

use super::{
    super::Shape,
    message::{AnyValue, ArrayValue, InstrumentationScope, KeyValue, LogRecord, Resource, Value},
};
use crate::buffer::Entry;
use ciliate_flow::{Node, Time};
use ciliate_hubble::flow::{
    self as hubble, DropReason, IpVersion, TrafficDirection, Verdict, layer4::Protocol, layer7::Record,
};
use std::time::{SystemTime, UNIX_EPOCH};

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// What made the records.
pub fn scope() -> InstrumentationScope {
    InstrumentationScope { name: "ciliate".to_owned(), version: VERSION.to_owned() }
}

/// The node, and what the configuration says of it; that has precedence.
pub fn resource(node: &Node, more: &[(String, String)]) -> Resource {
    let (cluster, host) = match node.name.split_once('/') {
        Some((cluster, host)) => (Some(cluster), host),
        None => (None, node.name.as_str()),
    };
    let mut attributes =
        vec![text("service.name", "ciliate"), text("service.version", VERSION), text("host.name", host)];
    attributes.extend(cluster.map(|cluster| text("k8s.cluster.name", cluster)));
    attributes.retain(|known| !more.iter().any(|(key, _)| *key == known.key));
    attributes.extend(more.iter().map(|(key, value)| text(key, value)));
    Resource { attributes }
}

/// # Errors
/// Where an entry cannot be written with the names of JSON.
pub fn record(entry: &Entry, shape: &Shape) -> Result<LogRecord, serde_json::Error> {
    let event = shape.selection.event(entry, &shape.node);
    let Time(time) = match entry {
        Entry::Flow(flow) => flow.time,
        Entry::Lost(lost) => lost.last.or(lost.first).unwrap_or_default(),
    };
    let verdict = match entry {
        Entry::Flow(flow) => flow.verdict,
        // It is a warning, too.
        Entry::Lost(_) => Verdict::Dropped,
    };
    let (severity_number, severity_text) = severity(verdict);
    let mut attributes = Attributes(Vec::new());
    if let Some(flow) = &event.flow {
        attributes.flow(flow);
    }
    if let Some(lost) = &event.lost_events {
        attributes.number("cilium.lost_events", lost.num_events_lost);
    }
    let trace_id = event.flow.as_ref().and_then(|flow| flow.trace_context.as_ref()?.parent.as_ref());
    let trace_id = trace_id.and_then(|parent| from_hex(&parent.trace_id)).unwrap_or_default();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let event_name = if event.flow.is_some() { "cilium.flow" } else { "cilium.lost_events" };
    Ok(LogRecord {
        time_unix_nano: time,
        severity_number,
        severity_text: severity_text.to_owned(),
        body: Some(AnyValue::from(serde_json::to_value(&event)?)),
        attributes: attributes.0,
        trace_id,
        observed_time_unix_nano: u64::try_from(now.as_nanos()).unwrap_or(u64::MAX),
        event_name: event_name.to_owned(),
    })
}

/// Number and name of a severity.
fn severity(verdict: Verdict) -> (i32, &'static str) {
    match verdict {
        Verdict::Dropped | Verdict::Error => (13, "WARN"),
        Verdict::Audit => (10, "INFO2"),
        Verdict::Unknown
        | Verdict::Forwarded
        | Verdict::Redirected
        | Verdict::Traced
        | Verdict::Translated => (9, "INFO"),
    }
}

fn text(key: &str, value: &str) -> KeyValue {
    KeyValue::new(key, Value::Text(value.to_owned()))
}

/// The 16 bytes of a trace's id.
fn from_hex(text: &str) -> Option<Vec<u8>> {
    let byte = |at: usize| u8::from_str_radix(text.get(at..at.checked_add(2)?)?, 16).ok();
    (text.len() == 32).then(|| (0..32).step_by(2).map(byte).collect::<Option<Vec<u8>>>()).flatten()
}

/// What a flow does not have, or the mask leaves out, is left out.
struct Attributes(Vec<KeyValue>);

/// Names for one end of a flow: address, port, pod, namespace, identity, labels, names, workload.
struct EndNames([&'static str; 8]);

const SOURCE: EndNames = EndNames([
    "source.address",
    "source.port",
    "source.k8s.pod.name",
    "source.k8s.namespace.name",
    "cilium.source.identity",
    "cilium.source.labels",
    "source.domain",
    "cilium.source.workload",
]);
const DESTINATION: EndNames = EndNames([
    "destination.address",
    "destination.port",
    "destination.k8s.pod.name",
    "destination.k8s.namespace.name",
    "cilium.destination.identity",
    "cilium.destination.labels",
    "destination.domain",
    "cilium.destination.workload",
]);

impl Attributes {
    fn text(&mut self, key: &str, value: &str) {
        if !value.is_empty() {
            self.0.push(text(key, value));
        }
    }

    fn texts<'a>(&mut self, key: &str, values: impl IntoIterator<Item = &'a str>) {
        let value = |value: &str| AnyValue::from(Value::Text(value.to_owned()));
        let values: Vec<_> = values.into_iter().map(value).collect();
        if !values.is_empty() {
            self.0.push(KeyValue::new(key, Value::List(ArrayValue { values })));
        }
    }

    /// Nothing if it is 0.
    fn number(&mut self, key: &str, value: impl TryInto<i64>) {
        match value.try_into() {
            Ok(0) | Err(_) => {}
            Ok(value) => self.0.push(KeyValue::new(key, Value::Int(value))),
        }
    }

    fn flow(&mut self, flow: &hubble::Flow) {
        self.text("log.record.uid", &flow.uuid);
        if flow.verdict() != Verdict::Unknown {
            self.text("cilium.verdict", flow.verdict().as_str_name());
        }
        if flow.drop_reason_desc() != DropReason::Unknown {
            self.text("cilium.drop_reason", flow.drop_reason_desc().as_str_name());
        }
        if flow.traffic_direction() != TrafficDirection::Unknown {
            self.text("cilium.traffic_direction", flow.traffic_direction().as_str_name());
        }
        if let Some(kind) = &flow.event_type {
            self.number("cilium.event_type", kind.r#type);
        }
        if let Some(reply) = &flow.is_reply {
            self.0.push(KeyValue::new("cilium.is_reply", Value::Bool(reply.value)));
        }
        let (transport, ports) = transport(flow);
        self.text("network.transport", transport);
        let ip = flow.ip.clone().unwrap_or_default();
        self.text(
            "network.type",
            match ip.ip_version() {
                IpVersion::IPv4 => "ipv4",
                IpVersion::IPv6 => "ipv6",
                IpVersion::IpNotUsed => "",
            },
        );
        let (from, to) = ports.unzip();
        self.end(&SOURCE, &ip.source, from, flow.source.as_ref(), &flow.source_names);
        self.end(&DESTINATION, &ip.destination, to, flow.destination.as_ref(), &flow.destination_names);
        for (key, policies) in [
            ("cilium.egress_allowed_by", &flow.egress_allowed_by),
            ("cilium.egress_denied_by", &flow.egress_denied_by),
            ("cilium.ingress_allowed_by", &flow.ingress_allowed_by),
            ("cilium.ingress_denied_by", &flow.ingress_denied_by),
        ] {
            let name = |policy: &hubble::Policy| match policy.namespace.as_str() {
                "" => policy.name.clone(),
                namespace => format!("{namespace}/{}", policy.name),
            };
            let names: Vec<_> = policies.iter().map(name).collect();
            self.texts(key, names.iter().map(String::as_str));
        }
        if let Some(l7) = &flow.l7 {
            self.request(l7);
        }
    }

    fn end(
        &mut self,
        EndNames([address, port, pod, namespace, identity, labels, domain, workload]): &EndNames,
        ip: &str,
        number: Option<u32>,
        endpoint: Option<&hubble::Endpoint>,
        names: &[String],
    ) {
        self.text(address, ip);
        self.number(port, number.unwrap_or_default());
        self.texts(domain, names.iter().map(String::as_str));
        let Some(endpoint) = endpoint else { return };
        self.text(pod, &endpoint.pod_name);
        self.text(namespace, &endpoint.namespace);
        self.number(identity, endpoint.identity);
        self.texts(labels, endpoint.labels.iter().map(String::as_str));
        if let Some(first) = endpoint.workloads.first() {
            self.text(workload, &first.name);
        }
    }

    #[expect(deprecated, reason = "Kafka's requests have no other field")]
    fn request(&mut self, l7: &hubble::Layer7) {
        self.number("cilium.l7.latency_ns", l7.latency_ns);
        match &l7.record {
            Some(Record::Http(http)) => {
                let (name, version) = http.protocol.split_once('/').unwrap_or((&http.protocol, ""));
                self.text("network.protocol.name", &name.to_ascii_lowercase());
                self.text("network.protocol.version", version);
                self.text("http.request.method", &http.method);
                self.text("url.full", &http.url);
                self.number("http.response.status_code", http.code);
            }
            Some(Record::Dns(dns)) => {
                self.text("network.protocol.name", "dns");
                self.text("dns.question.name", dns.query.trim_end_matches('.'));
                self.texts("dns.answers", dns.ips.iter().chain(&dns.cnames).map(String::as_str));
                self.texts("cilium.dns.qtypes", dns.qtypes.iter().map(String::as_str));
                self.number("cilium.dns.rcode", dns.rcode);
            }
            Some(Record::Kafka(kafka)) => {
                self.text("network.protocol.name", "kafka");
                self.text("messaging.system", "kafka");
                self.text("messaging.destination.name", &kafka.topic);
                self.text("messaging.operation.name", &kafka.api_key);
            }
            None => {}
        }
    }
}

/// Name, and the ports of source and destination.
fn transport(flow: &hubble::Flow) -> (&'static str, Option<(u32, u32)>) {
    match flow.l4.as_ref().and_then(|l4| l4.protocol.as_ref()) {
        Some(Protocol::Tcp(tcp)) => ("tcp", Some((tcp.source_port, tcp.destination_port))),
        Some(Protocol::Udp(udp)) => ("udp", Some((udp.source_port, udp.destination_port))),
        Some(Protocol::Sctp(sctp)) => ("sctp", Some((sctp.source_port, sctp.destination_port))),
        Some(Protocol::IcmPv4(_)) => ("icmp", None),
        Some(Protocol::IcmPv6(_)) => ("ipv6-icmp", None),
        Some(Protocol::Vrrp(_)) => ("vrrp", None),
        Some(Protocol::Igmp(_)) => ("igmp", None),
        None => ("", None),
    }
}
