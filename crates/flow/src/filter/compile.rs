//! From a message to tests.

use super::{
    FilterError, List,
    cel::Expression,
    http::StatusCodes,
    judge::{PartyTest, Place},
    label::Selector,
    name::{NameGlob, Namespaced, NodeGlob},
    test::{EventPattern, InterfacePattern, Numbers, Protocols, Side, Test},
};
use crate::{DropReason, EventType, FlowId, Header, TrafficDirection, Verdict, Workload, message::tcp_flags};
use ciliate_hubble::flow::{self as hubble, FlowFilter, IpVersion};
use ipnet::IpNet;
use regex::{Regex, RegexBuilder};
use std::net::IpAddr;

/// Reads one message of a list.
pub struct Compiler {
    list: List,
    number: usize,
    size: RegexSize,
    tests: Vec<Test>,
}

/// Bytes that a regular expression may take as it is compiled, and again while it is asked.
#[derive(Clone, Copy, Debug)]
pub struct RegexSize(usize);

impl RegexSize {
    /// Of one by itself.
    const ONE: usize = 256 << 10;
    /// Of all of one request together: a few words may compile to very much.
    const ALL: usize = 4 << 20;

    pub const fn alone() -> Self {
        Self(Self::ONE)
    }

    pub fn each_of(count: usize) -> Self {
        Self(Self::ALL.checked_div(count).map_or(Self::ONE, |share| share.min(Self::ONE)))
    }
}

impl Compiler {
    pub fn new(list: List, number: usize, size: RegexSize) -> Self {
        Self { list, number, size, tests: Vec::new() }
    }

    /// One test for each field that has values.
    fn add<T, V>(
        &mut self,
        field: &'static str,
        values: &[T],
        read: impl FnMut(&T) -> Result<V, String>,
        test: impl FnOnce(Vec<V>) -> Test,
    ) -> Result<(), FilterError> {
        if values.is_empty() {
            return Ok(());
        }
        let values: Result<Vec<V>, String> = values.iter().map(read).collect();
        self.tests.push(test(values.map_err(|what| self.error(field, what))?));
        Ok(())
    }

    fn error(&self, field: &'static str, what: String) -> FilterError {
        FilterError::Field { list: self.list, number: self.number, field, what }
    }

    pub fn compile(mut self, filter: &FlowFilter) -> Result<Vec<Test>, FilterError> {
        let FlowFilter {
            uuid,
            source_ip,
            source_ip_xlated,
            source_pod,
            source_fqdn,
            source_label,
            source_service,
            source_workload,
            source_cluster_name,
            destination_ip,
            destination_pod,
            destination_fqdn,
            destination_label,
            destination_service,
            destination_workload,
            destination_cluster_name,
            traffic_direction,
            verdict,
            drop_reason_desc,
            interface,
            event_type,
            http_status_code,
            protocol,
            source_port,
            destination_port,
            reply,
            dns_query,
            source_identity,
            destination_identity,
            http_method,
            http_path,
            http_url,
            http_header,
            tcp_flags: flags,
            node_name,
            node_labels,
            ip_version,
            trace_id,
            ip_trace_id,
            encrypted,
            experimental,
        } = filter;
        use Side::{Destination, Source};
        let size = self.size;
        self.add("uuid", uuid, id, Test::Id)?;
        self.add("source_ip", source_ip, prefix, |v| Test::Address(Source, v))?;
        self.add("source_ip_xlated", source_ip_xlated, prefix, Test::Translated)?;
        self.add("destination_ip", destination_ip, prefix, |v| Test::Address(Destination, v))?;
        self.add("source_pod", source_pod, |t| Namespaced::read(t), |v| party(Source, PartyTest::Pod(v)))?;
        self.add(
            "destination_pod",
            destination_pod,
            |t| Namespaced::read(t),
            |v| party(Destination, PartyTest::Pod(v)),
        )?;
        self.add("source_service", source_service, |t| Namespaced::read(t), |v| Test::Service(Source, v))?;
        self.add(
            "destination_service",
            destination_service,
            |t| Namespaced::read(t),
            |v| Test::Service(Destination, v),
        )?;
        self.add("source_fqdn", source_fqdn, |t| NameGlob::read(t), |v| Test::Name(Source, v))?;
        self.add(
            "destination_fqdn",
            destination_fqdn,
            |t| NameGlob::read(t),
            |v| Test::Name(Destination, v),
        )?;
        self.add(
            "source_label",
            source_label,
            |t| Selector::read(t),
            |v| party(Source, PartyTest::Label(v)),
        )?;
        self.add(
            "destination_label",
            destination_label,
            |t| Selector::read(t),
            |v| party(Destination, PartyTest::Label(v)),
        )?;
        self.add("node_labels", node_labels, |t| Selector::read(t), Test::NodeLabel)?;
        self.add("source_workload", source_workload, workload, |v| party(Source, PartyTest::Workload(v)))?;
        self.add("destination_workload", destination_workload, workload, |v| {
            party(Destination, PartyTest::Workload(v))
        })?;
        self.add("source_cluster_name", source_cluster_name, filled, |v| {
            party(Source, PartyTest::Cluster(v))
        })?;
        self.add("destination_cluster_name", destination_cluster_name, filled, |v| {
            party(Destination, PartyTest::Cluster(v))
        })?;
        self.add("source_port", source_port, ports, |v| Test::Port(Source, v))?;
        self.add("destination_port", destination_port, ports, |v| Test::Port(Destination, v))?;
        self.add("source_identity", source_identity, same, |v| party(Source, PartyTest::Identity(v)))?;
        self.add("destination_identity", destination_identity, same, |v| {
            party(Destination, PartyTest::Identity(v))
        })?;
        self.add("traffic_direction", traffic_direction, known::<TrafficDirection>, |v| {
            Test::Direction(Numbers::new(v))
        })?;
        self.add("verdict", verdict, known::<Verdict>, |v| Test::Verdict(Numbers::new(v)))?;
        self.add("drop_reason_desc", drop_reason_desc, known::<DropReason>, |v| {
            Test::DropReason(Numbers::new(v))
        })?;
        self.add("ip_version", ip_version, known::<IpVersion>, |v| Test::IpVersion(Numbers::new(v)))?;
        self.add("interface", interface, device, Test::Interface)?;
        self.add("event_type", event_type, event, Test::Event)?;
        self.add("protocol", protocol, protocols, |v| {
            Test::Protocol(Protocols(v.into_iter().fold(0, |all, one| all | one)))
        })?;
        self.add("reply", reply, same, Test::Reply)?;
        self.add("encrypted", encrypted, same, Test::Encrypted)?;
        self.add("tcp_flags", flags, |set| Ok(tcp_flags(set)), Test::Flags)?;
        self.add("node_name", node_name, |t| NodeGlob::read(t), Test::Node)?;
        self.add("trace_id", trace_id, filled, Test::Trace)?;
        self.add("ip_trace_id", ip_trace_id, trace, Test::IpTrace)?;
        self.add("dns_query", dns_query, |t| regex(t, size), Test::DnsQuery)?;
        for (field, values) in [
            ("http_status_code", http_status_code),
            ("http_method", http_method),
            ("http_path", http_path),
            ("http_url", http_url),
        ] {
            self.wants_requests(field, !values.is_empty(), event_type)?;
        }
        self.wants_requests("http_header", !http_header.is_empty(), event_type)?;
        if !http_status_code.is_empty() {
            let codes = StatusCodes::read(http_status_code);
            self.tests.push(Test::Status(codes.map_err(|what| self.error("http_status_code", what))?));
        }
        self.add("http_method", http_method, filled, Test::Method)?;
        self.add("http_path", http_path, |t| regex(t, size), Test::Path)?;
        self.add("http_url", http_url, |t| regex(t, size), Test::Url)?;
        self.add("http_header", http_header, header, Test::Header)?;
        if let Some(hubble::flow_filter::Experimental { cel_expression }) = experimental {
            self.add("cel_expression", cel_expression, |text| Expression::read(text), Test::Cel)?;
        }
        self.tests.sort_by_key(Test::cost);
        Ok(self.tests)
    }

    /// What asks about requests never matches where the types leave requests out, so that is a mistake.
    fn wants_requests(
        &self,
        field: &'static str,
        asked: bool,
        types: &[hubble::EventTypeFilter],
    ) -> Result<(), FilterError> {
        if !asked || types.is_empty() || types.iter().any(|t| t.r#type == 0 || t.r#type == EventType::L7) {
            return Ok(());
        }
        Err(self
            .error(field, "only requests have this: leave event_type out or add type 129 (l7)".to_owned()))
    }
}

/// It gets its place when all questions of the filter are known.
fn party(side: Side, asked: PartyTest) -> Test {
    Test::Party(side, Place::default(), asked)
}

#[expect(clippy::unnecessary_wraps, reason = "one of several readers")]
fn same<T: Copy>(value: &T) -> Result<T, String> {
    Ok(*value)
}

#[expect(clippy::ptr_arg, reason = "it reads fields of messages, which are these")]
fn filled(text: &String) -> Result<String, String> {
    match text.is_empty() {
        true => Err("it is empty".to_owned()),
        false => Ok(text.clone()),
    }
}

fn id(text: &String) -> Result<FlowId, String> {
    FlowId::of_any_system(text).map_err(|_| format!("{text:?} is no UUID"))
}

fn prefix(text: &String) -> Result<IpNet, String> {
    let read = match text.contains('/') {
        true => text.parse::<IpNet>().ok(),
        false => text.parse::<IpAddr>().ok().map(IpNet::from),
    };
    read.ok_or_else(|| format!("{text:?} is neither an address nor a prefix such as 10.0.0.0/8"))
}

fn ports(text: &String) -> Result<(u16, u16), String> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    match (first.parse(), last.parse()) {
        (Ok(first), Ok(last)) if first <= last => Ok((first, last)),
        _ => Err(format!("{text:?} is neither a port (0 to 65535) nor a range of ports such as 8000-8999")),
    }
}

/// Numbers of an enumeration of ours lie below 256.
fn known<E: TryFrom<i32>>(number: &i32) -> Result<u8, String> {
    let byte = u8::try_from(*number).ok().filter(|_| E::try_from(*number).is_ok());
    byte.ok_or_else(|| format!("{number} has no meaning"))
}

#[expect(clippy::unnecessary_wraps, reason = "one of several readers")]
fn workload(workload: &hubble::Workload) -> Result<Workload, String> {
    Ok(Workload { name: workload.name.clone(), kind: workload.kind.clone() })
}

#[expect(clippy::unnecessary_wraps, reason = "one of several readers")]
fn device(device: &hubble::NetworkInterface) -> Result<InterfacePattern, String> {
    Ok(InterfacePattern { index: device.index, name: device.name.clone() })
}

#[expect(clippy::unnecessary_wraps, reason = "one of several readers")]
fn event(filter: &hubble::EventTypeFilter) -> Result<EventPattern, String> {
    Ok(EventPattern { kind: filter.r#type, sub: filter.match_sub_type.then_some(filter.sub_type) })
}

#[expect(clippy::unnecessary_wraps, reason = "one of several readers")]
fn header(header: &hubble::HttpHeader) -> Result<Header, String> {
    Ok(Header { name: header.key.clone(), value: header.value.clone() })
}

fn trace(number: &u64) -> Result<u64, String> {
    match number {
        0 => Err("0 stands for no trace: write a number above".to_owned()),
        number => Ok(*number),
    }
}

fn protocols(text: &String) -> Result<u16, String> {
    let named = Protocols::NAMES.iter().find(|(name, _)| name.eq_ignore_ascii_case(text));
    named.map(|(_, bits)| *bits).ok_or_else(|| {
        let names: Vec<&str> = Protocols::NAMES.iter().map(|(name, _)| *name).collect();
        format!("{text:?} is no protocol: write one of {}", names.join(", "))
    })
}

pub fn regex(text: &str, RegexSize(size): RegexSize) -> Result<Regex, String> {
    RegexBuilder::new(text).size_limit(size).dfa_size_limit(size).build().map_err(|error| match error {
        regex::Error::CompiledTooBig(_) => {
            format!("{text:?} takes more than the {size} bytes that are left for each regular expression")
        }
        error => {
            let message = error.to_string();
            let last = message.lines().last().unwrap_or_default().trim_start_matches("error: ");
            format!("{text:?} is no regular expression: {last}")
        }
    })
}
