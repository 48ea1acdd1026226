//! What can be asked about flows, and how each answer is put into a message.

use ciliate_hubble::flow::{
    DropReason, EventTypeFilter, FlowFilter, HttpHeader, IpVersion, NetworkInterface, TcpFlags,
    TraceObservationPoint, TrafficDirection, Verdict, Workload, flow_filter::Experimental,
};
use ciliate_types::ReservedIdentity;

/// One kind of filter.
#[derive(Debug)]
pub struct Question {
    /// Of its flag.
    pub name: &'static str,
    /// Of the flag about the source, if there is one.
    pub from: &'static str,
    pub to: &'static str,
    pub short: Option<char>,
    /// What stands for its value in the help; empty: it takes none.
    pub value: &'static str,
    pub help: &'static str,
    pub sets: Sets,
}

/// Puts a value into a message, or says what is wrong with it.
pub type Setter = fn(&mut FlowFilter, &str) -> Result<(), String>;

#[derive(Debug)]
pub enum Sets {
    Ends {
        source: Setter,
        destination: Setter,
    },
    Whole(Setter),
    /// In front of the names of pods and services.
    Namespace,
    AllNamespaces,
}

/// Of a text into a list of texts; the message is checked as a whole later.
macro_rules! text {
    ($field:ident) => {
        |filter, value| {
            filter.$field.push(value.to_owned());
            Ok(())
        }
    };
}

/// Of a text that is read first.
macro_rules! read {
    ($field:ident, $read:expr) => {
        |filter, value| {
            filter.$field.push($read(value)?);
            Ok(())
        }
    };
}

macro_rules! questions {
    ($($name:literal $(($short:literal))? $value:literal $help:literal $sets:expr;)+) => {
        pub static QUESTIONS: &[Question] = &[$(Question {
            name: $name,
            from: concat!("from-", $name),
            to: concat!("to-", $name),
            short: { let short: &[char] = &[$($short)?]; short.first().copied() },
            value: $value,
            help: $help,
            sets: $sets,
        },)+];
    };
}

use Sets::{Ends, Whole};

questions! {
    "pod" "[NAMESPACE/]PREFIX" "Pods whose names begin so; without a namespace in 'default'"
        Ends { source: text!(source_pod), destination: text!(destination_pod) };
    "namespace" ('n') "NAMESPACE" "Everything in a namespace" Sets::Namespace;
    "all-namespaces" ('A') "" "Pods and services in every namespace" Sets::AllNamespaces;
    "label" ('l') "SELECTOR" "Labels, as in app=web, 'k8s:app in (a,b)', '!tier' or reserved:world"
        Ends { source: text!(source_label), destination: text!(destination_label) };
    "ip" "ADDRESS" "An address, or all of a prefix such as 10.0.0.0/8"
        Ends { source: text!(source_ip), destination: text!(destination_ip) };
    "snat-ip" "ADDRESS" "The source's address after translation, or a prefix" Whole(text!(source_ip_xlated));
    "fqdn" "PATTERN" "Names of servers, as in *.example.com"
        Ends { source: text!(source_fqdn), destination: text!(destination_fqdn) };
    "service" "[NAMESPACE/]PREFIX" "Services whose names begin so; without a namespace in 'default'"
        Ends { source: text!(source_service), destination: text!(destination_service) };
    "port" "PORT" "A port, or a range such as 8000-8999"
        Ends { source: text!(source_port), destination: text!(destination_port) };
    "workload" "[KIND/]NAME" "A workload, as in web or Deployment/web, or all of a kind, as in Deployment/"
        Ends { source: read!(source_workload, workload), destination: read!(destination_workload, workload) };
    "identity" "IDENTITY" "A security identity by number, or by name if it is reserved, as in world"
        Ends { source: read!(source_identity, identity), destination: read!(destination_identity, identity) };
    "cluster" "NAME" "Endpoints of a cluster"
        Ends { source: text!(source_cluster_name), destination: text!(destination_cluster_name) };
    "type" ('t') "TYPE[:SUBTYPE]" "Events: capture, drop, l7, policy-verdict, trace, trace-sock or a number; \
        of trace also where, as in trace:to-endpoint" Whole(read!(event_type, event_type));
    "verdict" "VERDICT" "FORWARDED, DROPPED, AUDIT, REDIRECTED, ERROR, TRACED or TRANSLATED"
        Whole(read!(verdict, verdict));
    "drop-reason-desc" "REASON" "Why packets were dropped, as in POLICY_DENIED" Whole(read!(drop_reason_desc, reason));
    "traffic-direction" "DIRECTION" "ingress or egress" Whole(read!(traffic_direction, direction));
    "protocol" "PROTOCOL" "tcp, udp, sctp, icmp, icmpv4, icmpv6, vrrp, igmp, dns, http or kafka" Whole(text!(protocol));
    "tcp-flags" "FLAGS" "Flags of TCP that are all set, as in syn,ack" Whole(read!(tcp_flags, tcp_flags));
    "ipv4" ('4') "" "IPv4 only" Whole(|filter, _| { filter.ip_version.push(IpVersion::IPv4.into()); Ok(()) });
    "ipv6" ('6') "" "IPv6 only" Whole(|filter, _| { filter.ip_version.push(IpVersion::IPv6.into()); Ok(()) });
    "ip-version" "VERSION" "v4, v6, or none for what is not IP" Whole(read!(ip_version, ip_version));
    "http-method" "METHOD" "Requests with a method, as in get" Whole(text!(http_method));
    "http-path" "REGEX" "Requests whose path matches a regular expression, as in '^/page/\\d+'" Whole(text!(http_path));
    "http-url" "REGEX" "Requests whose URL matches a regular expression" Whole(text!(http_url));
    "http-status" "CODE" "Answers with a status, as in 404 or 5+" Whole(text!(http_status_code));
    "http-header" "NAME:VALUE" "Requests with a header" Whole(read!(http_header, header));
    "node-name" "PATTERN" "Flows that nodes saw, as in k8s* or cluster/*.company.com" Whole(text!(node_name));
    "node-label" "SELECTOR" "Flows that nodes with labels saw, as in zone=a" Whole(text!(node_labels));
    "interface" "NAME" "Flows that were seen at a device, as in eth0" Whole(read!(interface, interface));
    "uuid" "UUID" "One flow" Whole(text!(uuid));
    "trace-id" "ID" "Requests of a trace" Whole(text!(trace_id));
    "ip-trace-id" "NUMBER" "Packets of a trace by IP options" Whole(read!(ip_trace_id, trace));
    "encrypted" "" "Encrypted only" Whole(|filter, _| { filter.encrypted.push(true); Ok(()) });
    "unencrypted" "" "Not encrypted only" Whole(|filter, _| { filter.encrypted.push(false); Ok(()) });
    "cel-expression" "EXPRESSION" "An expression in CEL over _flow, as in '_flow.verdict == Verdict.DROPPED'"
        Whole(|filter, value| {
            let experimental = filter.experimental.get_or_insert_with(Experimental::default);
            experimental.cel_expression.push(value.to_owned());
            Ok(())
        });
}

fn one_of(value: &str, what: &str, names: &[&str]) -> String {
    format!("{value:?} is no {what}: write one of {}", names.join(", "))
}

fn verdict(value: &str) -> Result<i32, String> {
    let names = ["FORWARDED", "DROPPED", "AUDIT", "REDIRECTED", "ERROR", "TRACED", "TRANSLATED"];
    Verdict::from_str_name(&value.to_ascii_uppercase())
        .map(Into::into)
        .ok_or_else(|| one_of(value, "verdict", &names))
}

fn reason(value: &str) -> Result<i32, String> {
    DropReason::from_str_name(&value.to_ascii_uppercase()).map(Into::into).ok_or_else(|| {
        format!("{value:?} is no reason: write one such as POLICY_DENIED or UNSUPPORTED_L3_PROTOCOL")
    })
}

fn direction(value: &str) -> Result<i32, String> {
    match value.to_ascii_lowercase().as_str() {
        "ingress" => Ok(TrafficDirection::Ingress.into()),
        "egress" => Ok(TrafficDirection::Egress.into()),
        _ => Err(one_of(value, "direction", &["ingress", "egress"])),
    }
}

fn ip_version(value: &str) -> Result<i32, String> {
    match value.to_ascii_lowercase().as_str() {
        "4" | "v4" | "ipv4" | "ip4" => Ok(IpVersion::IPv4.into()),
        "6" | "v6" | "ipv6" | "ip6" => Ok(IpVersion::IPv6.into()),
        "none" => Ok(IpVersion::IpNotUsed.into()),
        _ => Err(one_of(value, "version of IP", &["none", "v4", "v6"])),
    }
}

fn identity(value: &str) -> Result<u32, String> {
    if value == "unknown" {
        return Ok(0);
    }
    let named = ReservedIdentity::ALL.into_iter().find(|one| one.key() == value).map(|one| one as u32);
    named.or_else(|| value.parse().ok()).ok_or_else(|| {
        let names: Vec<&str> = ReservedIdentity::ALL.iter().map(|one| one.key()).collect();
        format!("{value:?} is no identity: write a number or one of {}", names.join(", "))
    })
}

/// Kinds as Kubernetes writes them; without a kind it is a name.
fn workload(value: &str) -> Result<Workload, String> {
    const KINDS: [&str; 8] = [
        "CronJob",
        "DaemonSet",
        "Deployment",
        "Job",
        "Pod",
        "ReplicaSet",
        "ReplicationController",
        "StatefulSet",
    ];
    let kind = |text: &str| {
        let named = KINDS.iter().find(|kind| kind.eq_ignore_ascii_case(text));
        named.map_or_else(|| text.to_owned(), ToString::to_string)
    };
    match value.split_once('/') {
        Some(("", "")) => Err(format!("{value:?} is no workload: write [KIND/]NAME or KIND/")),
        Some((before, name)) => Ok(Workload { kind: kind(before), name: name.to_owned() }),
        None if value.is_empty() => Err("it is empty: write [KIND/]NAME or KIND/".to_owned()),
        None => Ok(Workload { kind: String::new(), name: value.to_owned() }),
    }
}

fn header(value: &str) -> Result<HttpHeader, String> {
    let (key, content) =
        value.split_once(':').ok_or_else(|| format!("{value:?} has no colon: write NAME:VALUE"))?;
    Ok(HttpHeader { key: key.to_owned(), value: content.to_owned() })
}

#[expect(clippy::unnecessary_wraps, reason = "one of several readers")]
fn interface(value: &str) -> Result<NetworkInterface, String> {
    Ok(NetworkInterface { index: 0, name: value.to_owned() })
}

fn trace(value: &str) -> Result<u64, String> {
    value.parse().ok().filter(|number| *number > 0).ok_or_else(|| format!("{value:?} is no number above 0"))
}

fn tcp_flags(value: &str) -> Result<TcpFlags, String> {
    let mut flags = TcpFlags::default();
    for name in value.split(',') {
        let flag = match name.trim().to_ascii_uppercase().as_str() {
            "FIN" => &mut flags.fin,
            "SYN" => &mut flags.syn,
            "RST" => &mut flags.rst,
            "PSH" => &mut flags.psh,
            "ACK" => &mut flags.ack,
            "URG" => &mut flags.urg,
            "ECE" => &mut flags.ece,
            "CWR" => &mut flags.cwr,
            "NS" => &mut flags.ns,
            _ => return Err(one_of(name, "flag of TCP", &ciliate_flow::TcpFlags::NAMES)),
        };
        *flag = true;
    }
    Ok(flags)
}

/// Names of events with their numbers, as in Cilium's monitor.
const EVENTS: [(&str, i32); 9] = [
    ("drop", 1),
    ("debug", 2),
    ("capture", 3),
    ("trace", 4),
    ("policy-verdict", 5),
    ("recorder", 6),
    ("trace-sock", 7),
    ("l7", 129),
    ("agent", 130),
];
const TRACE: i32 = 4;

fn event_type(value: &str) -> Result<EventTypeFilter, String> {
    let (name, sub) = match value.split_once(':') {
        Some((name, sub)) => (name, Some(sub)),
        None => (value, None),
    };
    let named = EVENTS.iter().find(|(event, _)| *event == name).map(|(_, number)| *number);
    let number = |text: &str| text.parse::<u16>().ok().map(i32::from);
    let r#type = named.or_else(|| number(name)).ok_or_else(|| {
        let names: Vec<&str> = EVENTS.iter().map(|(name, _)| *name).collect();
        format!("{name:?} is no type: write a number or one of {}", names.join(", "))
    })?;
    let Some(sub) = sub else { return Ok(EventTypeFilter { r#type, ..EventTypeFilter::default() }) };
    let point = match r#type {
        TRACE => super::words::observation_point(sub),
        _ => None,
    };
    let sub_type = point.or_else(|| number(sub)).ok_or_else(|| match r#type {
        TRACE => {
            let points: Vec<String> = (1..=13)
                .filter_map(|number| TraceObservationPoint::try_from(number).ok())
                .chain([TraceObservationPoint::ToEndpoint])
                .map(super::words::of_point)
                .collect();
            format!("{sub:?} is no place: write a number or one of {}", points.join(", "))
        }
        _ => format!("{sub:?} is no subtype: write its number"),
    })?;
    Ok(EventTypeFilter { r#type, match_sub_type: true, sub_type })
}
