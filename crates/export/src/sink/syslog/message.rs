//! One message (RFC 5424, 6).

use super::super::Shape;
use crate::{
    buffer::Entry,
    event::{ExportEvent, write_json},
    spec::SyslogTarget,
};
use ciliate_flow::{EventType, Flow, Time, Verdict};
use ciliate_hubble::flow::{self as hubble, DropReason, TrafficDirection, layer4::Protocol, layer7::Record};
use std::io::Write as _;

/// Which part of a system speaks: 0 to 23 (RFC 5424, table 1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Facility(u8);

/// In the order of their numbers.
const FACILITIES: [&str; 24] = [
    "kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv", "ftp",
    "ntp", "security", "console", "clock", "local0", "local1", "local2", "local3", "local4", "local5",
    "local6", "local7",
];

impl Facility {
    pub const LOCAL0: Self = Self(16);

    /// Reads a name such as `local0`, or a number.
    ///
    /// # Errors
    /// Says what would be right.
    pub fn read(text: &str) -> Result<Self, String> {
        let number = FACILITIES.iter().position(|name| *name == text).or_else(|| text.parse().ok());
        let number = number.filter(|number| *number < FACILITIES.len());
        number
            .and_then(|number| u8::try_from(number).ok())
            .map(Self)
            .ok_or_else(|| format!("{text:?} is no facility: write one of {}", FACILITIES.join(", ")))
    }
}

/// What a message says of a flow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Form {
    /// The line of JSON as the message's text.
    Json,
    /// Structured data under this name, and a text for people.
    Structured(StructuredId),
}

/// Name of an element of structured data, such as `flow@32473`: a name and the private enterprise number of whom it belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StructuredId(String);

impl StructuredId {
    /// With the number that is kept for documentation (RFC 5612): the project has none of its own.
    pub const DEFAULT: &str = "flow@32473";

    /// # Errors
    /// Says what would be right.
    pub fn read(text: &str) -> Result<Self, String> {
        let fits = text.split_once('@').is_some_and(|(name, number)| {
            !name.is_empty()
                && name.chars().all(|c| c.is_ascii_graphic() && !"=]\"@".contains(c))
                && !number.is_empty()
                && number.chars().all(|c| c.is_ascii_digit() || c == '.')
        });
        match fits && text.len() <= 32 {
            true => Ok(Self(text.to_owned())),
            false => Err(format!(
                "{text:?} is no name of structured data: write NAME@NUMBER with your enterprise's number, at most 32 characters"
            )),
        }
    }
}

/// Makes messages of entries.
pub struct Encoder {
    facility: u8,
    app_name: String,
    form: Form,
}

/// RFC 5424, table 2.
const WARNING: u8 = 4;
const NOTICE: u8 = 5;
const INFORMATIONAL: u8 = 6;

impl Encoder {
    pub fn new(target: &SyslogTarget) -> Self {
        let Facility(facility) = target.facility;
        Self { facility, app_name: target.app_name.clone(), form: target.form.clone() }
    }

    /// Appends the message of an entry. Time and node are told whatever the mask.
    pub fn encode(&self, entry: &Entry, shape: &Shape, to: &mut Vec<u8>) -> serde_json::Result<()> {
        let (severity, time, node, kind) = match entry {
            Entry::Flow(flow) => {
                (severity(flow.verdict), Some(flow.time), flow.node.name.as_str(), kind(flow))
            }
            Entry::Lost(lost) => (WARNING, lost.last.or(lost.first), shape.node.name.as_str(), "lost"),
        };
        let priority = self.facility.saturating_mul(8).saturating_add(severity);
        let time = time.map_or_else(|| "-".to_owned(), timestamp);
        let (node, app) = (printable(node, 255), &self.app_name);
        // Writing to memory does not fail.
        let _ = write!(to, "<{priority}>1 {time} {node} {app} - {kind} ");
        let event = shape.selection.event(entry, &shape.node);
        match &self.form {
            Form::Json => {
                to.extend_from_slice(b"- ");
                write_json(&event, to)
            }
            Form::Structured(StructuredId(id)) => {
                let _ = write!(to, "[{id}");
                for (name, value) in parameters(&event) {
                    parameter(name, &value, to);
                }
                to.extend_from_slice(b"] ");
                to.extend_from_slice(text(&event).as_bytes());
                Ok(())
            }
        }
    }
}

fn severity(verdict: Verdict) -> u8 {
    match verdict {
        Verdict::Dropped | Verdict::Error => WARNING,
        Verdict::Audit => NOTICE,
        Verdict::Unknown
        | Verdict::Forwarded
        | Verdict::Redirected
        | Verdict::Traced
        | Verdict::Translated => INFORMATIONAL,
    }
}

/// MSGID.
fn kind(flow: &Flow) -> &'static str {
    match flow.event_type().kind {
        EventType::DROP => "drop",
        EventType::TRACE => "trace",
        EventType::POLICY_VERDICT => "policy-verdict",
        EventType::L7 => "l7",
        _ => "flow",
    }
}

/// Six digits are the most that there may be.
fn timestamp(Time(nanoseconds): Time) -> String {
    let moment = jiff::Timestamp::from_nanosecond(nanoseconds.into()).unwrap_or_default();
    moment.strftime("%Y-%m-%dT%H:%M:%S%.6fZ").to_string()
}

/// A header's field: printable ASCII and no spaces.
fn printable(text: &str, most: usize) -> String {
    let fits = |c: char| if c.is_ascii_graphic() { c } else { '_' };
    match text {
        "" => "-".to_owned(),
        text => text.chars().take(most).map(fits).collect(),
    }
}

/// RFC 5424, 6.3.3. Control characters would end the message for some receivers.
fn parameter(name: &str, value: &str, to: &mut Vec<u8>) {
    let _ = write!(to, " {name}=\"");
    for c in value.chars() {
        match c {
            '"' | '\\' | ']' => {
                let _ = write!(to, "\\{c}");
            }
            c if c.is_control() => to.push(b' '),
            c => {
                let _ = write!(to, "{c}");
            }
        }
    }
    to.push(b'"');
}

/// What structured data says, under the names of the history's columns; what a flow does not have is left out.
#[expect(deprecated, reason = "Kafka's requests have no other field")]
fn parameters(event: &ExportEvent) -> Vec<(&'static str, String)> {
    let mut found = Vec::new();
    let mut add = |name, value: String| {
        if !value.is_empty() {
            found.push((name, value));
        }
    };
    if let Some(lost) = &event.lost_events {
        add("lost", lost.num_events_lost.to_string());
    }
    let Some(flow) = &event.flow else { return found };
    add("uuid", flow.uuid.clone());
    if flow.verdict != 0 {
        add("verdict", flow.verdict().as_str_name().to_owned());
    }
    if flow.traffic_direction() != TrafficDirection::Unknown {
        add("direction", flow.traffic_direction().as_str_name().to_owned());
    }
    if flow.drop_reason_desc() != DropReason::Unknown {
        add("drop_reason", flow.drop_reason_desc().as_str_name().to_owned());
    }
    let (protocol, source_port, destination_port) = transport(flow);
    add("protocol", protocol.to_owned());
    let address = flow.ip.clone().unwrap_or_default();
    let ends = [
        (SOURCE, &flow.source, address.source, source_port),
        (DESTINATION, &flow.destination, address.destination, destination_port),
    ];
    for ([ip, port, namespace, pod, identity], endpoint, address, number) in ends {
        add(ip, address);
        add(port, number.map_or_else(String::new, |number| number.to_string()));
        if let Some(endpoint) = endpoint {
            add(namespace, endpoint.namespace.clone());
            add(pod, endpoint.pod_name.clone());
            add(identity, if endpoint.identity == 0 { String::new() } else { endpoint.identity.to_string() });
        }
    }
    add("policies", policies(flow));
    match flow.l7.as_ref().and_then(|l7| l7.record.as_ref()) {
        Some(Record::Http(http)) => {
            add("http_method", http.method.clone());
            add("http_url", http.url.clone());
            add("http_code", if http.code == 0 { String::new() } else { http.code.to_string() });
        }
        Some(Record::Dns(dns)) => add("dns_query", dns.query.clone()),
        Some(Record::Kafka(kafka)) => {
            add("kafka_api", kafka.api_key.clone());
            add("kafka_topic", kafka.topic.clone());
        }
        None => {}
    }
    found
}

/// Address, port, namespace, pod and identity.
const SOURCE: [&str; 5] =
    ["source_address", "source_port", "source_namespace", "source_pod", "source_identity"];
const DESTINATION: [&str; 5] = [
    "destination_address",
    "destination_port",
    "destination_namespace",
    "destination_pod",
    "destination_identity",
];

/// Name, source port and destination port.
fn transport(flow: &hubble::Flow) -> (&'static str, Option<u32>, Option<u32>) {
    match flow.l4.as_ref().and_then(|l4| l4.protocol.as_ref()) {
        Some(Protocol::Tcp(tcp)) => ("TCP", Some(tcp.source_port), Some(tcp.destination_port)),
        Some(Protocol::Udp(udp)) => ("UDP", Some(udp.source_port), Some(udp.destination_port)),
        Some(Protocol::Sctp(sctp)) => ("SCTP", Some(sctp.source_port), Some(sctp.destination_port)),
        Some(Protocol::IcmPv4(_)) => ("ICMPv4", None, None),
        Some(Protocol::IcmPv6(_)) => ("ICMPv6", None, None),
        Some(Protocol::Vrrp(_)) => ("VRRP", None, None),
        Some(Protocol::Igmp(_)) => ("IGMP", None, None),
        None => ("", None, None),
    }
}

fn policies(flow: &hubble::Flow) -> String {
    let lists =
        [&flow.egress_denied_by, &flow.ingress_denied_by, &flow.egress_allowed_by, &flow.ingress_allowed_by];
    let mut names: Vec<String> = Vec::new();
    for policy in lists.into_iter().flatten() {
        let name = match policy.namespace.as_str() {
            "" => policy.name.clone(),
            namespace => format!("{namespace}/{}", policy.name),
        };
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names.join(",")
}

/// For people: who, whom and what came of it.
fn text(event: &ExportEvent) -> String {
    if let Some(lost) = &event.lost_events {
        return format!("{} flows are missing here", lost.num_events_lost);
    }
    let Some(flow) = &event.flow else { return String::new() };
    let (protocol, source_port, destination_port) = transport(flow);
    let address = flow.ip.clone().unwrap_or_default();
    let end = |endpoint: &Option<hubble::Endpoint>, address: String, port: Option<u32>| {
        let pod = endpoint.as_ref().filter(|endpoint| !endpoint.pod_name.is_empty());
        let name = match pod {
            Some(endpoint) if endpoint.namespace.is_empty() => endpoint.pod_name.clone(),
            Some(endpoint) => format!("{}/{}", endpoint.namespace, endpoint.pod_name),
            None if address.is_empty() => "?".to_owned(),
            None => address,
        };
        port.map_or_else(|| name.clone(), |port| format!("{name}:{port}"))
    };
    let source = end(&flow.source, address.source, source_port);
    let destination = end(&flow.destination, address.destination, destination_port);
    let verdict = match flow.verdict {
        0 => "",
        _ => flow.verdict().as_str_name(),
    };
    format!("{source} -> {destination} {protocol} {verdict}").trim_end().to_owned()
}
