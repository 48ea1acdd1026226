//! From messages, as far as filters look at them.

use super::MessageError;
use crate::{
    Answer, Content, Dns, DropReason, End, Event, EventType, Flow, FlowId, Header, Http, Interface,
    Judgement, Kafka, MatchType, Node, Outcome, Party, PolicyRef, Rare, Request, Service, Stage, TcpFlags,
    Time, TraceObservationPoint, TraceReason, Transport, Workload,
};
use ciliate_hubble::flow::{self as hubble, layer4::Protocol, layer7::Record};
use ciliate_types::Protocol as Number;
use std::{net::IpAddr, sync::Arc};

impl Flow {
    /// What filters and summaries look at; a message may say more. Of another system's UUID all is kept but its version.
    ///
    /// # Errors
    /// Where an address, a port or a number is none.
    pub fn from_message(message: &hubble::Flow) -> Result<Self, MessageError> {
        let ip = message.ip.clone().unwrap_or_default();
        let end = |party: &Option<hubble::Endpoint>, field, text: &str, names: &[String]| {
            Ok(End {
                address: address(field, text)?,
                party: Arc::new(party.as_ref().map_or_else(Party::default, self::party)),
                names: (!names.is_empty()).then(|| names.into()),
            })
        };
        Ok(Self {
            id: FlowId::of_any_system(&message.uuid).unwrap_or_default(),
            time: message.time.as_ref().map_or(Time(0), Time::from),
            node: Arc::new(Node { name: message.node_name.clone(), labels: message.node_labels.clone() }),
            source: end(&message.source, "IP.source", &ip.source, &message.source_names)?,
            destination: end(
                &message.destination,
                "IP.destination",
                &ip.destination,
                &message.destination_names,
            )?,
            event: event(message),
            verdict: message.verdict(),
            direction: message.traffic_direction(),
            answer: match message.is_reply.map(|reply| reply.value) {
                Some(true) => Answer::Yes,
                Some(false) => Answer::No,
                None => Answer::Unknown,
            },
            transport: transport(message)?,
            interface: message.interface.as_ref().and_then(interface),
            egress: judgement(&message.egress_allowed_by, &message.egress_denied_by),
            ingress: judgement(&message.ingress_allowed_by, &message.ingress_denied_by),
            match_type: MatchType::from_number(message.policy_match_type),
            request: message.l7.as_ref().map(|l7| Box::new(request(l7))),
            rare: rare(message, &ip)?,
        })
    }
}

fn address(field: &'static str, text: &str) -> Result<Option<IpAddr>, MessageError> {
    match text {
        "" => Ok(None),
        text => text.parse().map(Some).map_err(|_| MessageError::Address { field, text: text.to_owned() }),
    }
}

/// None where it says nothing.
fn interface(interface: &hubble::NetworkInterface) -> Option<Arc<Interface>> {
    let hubble::NetworkInterface { index, name } = interface;
    (*index != 0 || !name.is_empty()).then(|| Arc::new(Interface { index: *index, name: name.clone() }))
}

fn port(field: &'static str, number: u32) -> Result<u16, MessageError> {
    number.try_into().map_err(|_| MessageError::Port { field, number })
}

fn party(endpoint: &hubble::Endpoint) -> Party {
    let hubble::Endpoint { id, identity, cluster_name, namespace, labels, pod_name, workloads } = endpoint;
    Party {
        endpoint: *id,
        identity: *identity,
        cluster: cluster_name.clone(),
        namespace: namespace.clone(),
        pod: pod_name.clone(),
        labels: labels.clone(),
        workloads: workloads
            .iter()
            .map(|workload| Workload { name: workload.name.clone(), kind: workload.kind.clone() })
            .collect(),
    }
}

fn event(message: &hubble::Flow) -> Event {
    let kind = message.event_type.unwrap_or_default();
    let number = EventType { kind: kind.r#type, sub: kind.sub_type };
    match number.kind {
        EventType::DROP => Event::Drop(reason(message)),
        EventType::TRACE => match message.trace_observation_point() {
            TraceObservationPoint::UnknownPoint => Event::Other(number),
            point => Event::Trace(point, TraceReason::try_from(message.trace_reason).unwrap_or_default()),
        },
        EventType::POLICY_VERDICT => {
            let reason = reason(message);
            Event::PolicyVerdict((reason != DropReason::Unknown).then_some(reason))
        }
        EventType::L7 if number.sub == 0 => Event::Request,
        _ => Event::Other(number),
    }
}

#[expect(deprecated, reason = "older nodes say it only there")]
fn reason(message: &hubble::Flow) -> DropReason {
    match message.drop_reason_desc() {
        DropReason::Unknown => i32::try_from(message.drop_reason)
            .ok()
            .and_then(|number| DropReason::try_from(number).ok())
            .unwrap_or_default(),
        reason => reason,
    }
}

fn transport(message: &hubble::Flow) -> Result<Transport, MessageError> {
    let Some(protocol) = message.l4.as_ref().and_then(|l4| l4.protocol.as_ref()) else {
        return Ok(Transport::None);
    };
    let icmp = |field, number: u32| u8::try_from(number).map_err(|_| MessageError::Icmp { field, number });
    Ok(match protocol {
        Protocol::Tcp(tcp) => Transport::Tcp {
            source: port("l4.TCP.source_port", tcp.source_port)?,
            destination: port("l4.TCP.destination_port", tcp.destination_port)?,
            flags: tcp.flags.as_ref().map_or_else(TcpFlags::default, tcp_flags),
        },
        Protocol::Udp(udp) => Transport::Udp {
            source: port("l4.UDP.source_port", udp.source_port)?,
            destination: port("l4.UDP.destination_port", udp.destination_port)?,
        },
        Protocol::Sctp(sctp) => Transport::Sctp {
            source: port("l4.SCTP.source_port", sctp.source_port)?,
            destination: port("l4.SCTP.destination_port", sctp.destination_port)?,
            chunk: sctp.chunk_type,
        },
        Protocol::IcmPv4(message) => Transport::Icmp {
            kind: icmp("l4.ICMPv4.type", message.r#type)?,
            code: icmp("l4.ICMPv4.code", message.code)?,
        },
        Protocol::IcmPv6(message) => Transport::Icmp6 {
            kind: icmp("l4.ICMPv6.type", message.r#type)?,
            code: icmp("l4.ICMPv6.code", message.code)?,
        },
        Protocol::Vrrp(_) => Transport::Other(Number::new(112)),
        Protocol::Igmp(_) => Transport::Other(Number::new(2)),
    })
}

/// From the flags of Hubble's messages and filters.
pub fn tcp_flags(flags: &hubble::TcpFlags) -> TcpFlags {
    let hubble::TcpFlags { fin, syn, rst, psh, ack, urg, ece, cwr, ns } = *flags;
    let bits = [fin, syn, rst, psh, ack, urg, ece, cwr, ns];
    TcpFlags(bits.iter().rev().fold(0, |sum, bit| sum << 1 | u16::from(*bit)))
}

fn judgement(allowed: &[hubble::Policy], denied: &[hubble::Policy]) -> Option<Arc<Judgement>> {
    let (outcome, by) = match (allowed, denied) {
        ([], []) => return None,
        (allowed, []) => (Outcome::Allowed, allowed),
        (_, denied) => (Outcome::Denied, denied),
    };
    let by = by.iter().map(|policy| {
        let hubble::Policy { name, namespace, labels, revision, kind, section } = policy.clone();
        PolicyRef { kind, namespace, name, labels, revision, section }
    });
    Some(Arc::new(Judgement { outcome, by: by.collect() }))
}

#[expect(deprecated, reason = "there is no other place for what Kafka says")]
fn request(l7: &hubble::Layer7) -> Request {
    let content = match l7.record.clone() {
        Some(Record::Http(hubble::Http { code, method, url, protocol, headers })) => Content::Http(Http {
            code,
            method,
            url,
            protocol,
            headers: headers
                .into_iter()
                .map(|hubble::HttpHeader { key, value }| Header { name: key, value })
                .collect(),
        }),
        Some(Record::Dns(dns)) => {
            let hubble::Dns { query, ips, ttl, cnames, observation_source, rcode, qtypes, rrtypes } = dns;
            Content::Dns(Dns {
                query,
                addresses: ips,
                ttl,
                cnames,
                observer: observation_source,
                rcode,
                query_types: qtypes,
                record_types: rrtypes,
            })
        }
        Some(Record::Kafka(kafka)) => {
            let hubble::Kafka { error_code, api_version, api_key, correlation_id, topic } = kafka;
            Content::Kafka(Kafka { error_code, api_version, api_key, correlation_id, topic })
        }
        None => Content::Other,
    };
    let stage = match l7.r#type() {
        hubble::L7FlowType::Request | hubble::L7FlowType::UnknownL7Type => Stage::Request,
        hubble::L7FlowType::Response => Stage::Response,
        hubble::L7FlowType::Sample => Stage::Sample,
    };
    Request { stage, latency: l7.latency_ns, content }
}

/// None where nothing of it is said.
fn rare(message: &hubble::Flow, ip: &hubble::Ip) -> Result<Option<Box<Rare>>, MessageError> {
    let service = |service: &Option<hubble::Service>| {
        let hubble::Service { name, namespace } = service.clone().unwrap_or_default();
        Service { name, namespace }
    };
    let rare = Rare {
        source_translated: address("IP.source_xlated", &ip.source_xlated)?,
        source_service: service(&message.source_service),
        destination_service: service(&message.destination_service),
        proxy_port: port("proxy_port", message.proxy_port)?,
        trace_id: message
            .trace_context
            .as_ref()
            .and_then(|context| context.parent.as_ref())
            .map_or_else(String::new, |parent| parent.trace_id.clone()),
        ip_trace_id: message.ip_trace_id.as_ref().map_or(0, |traced| traced.trace_id),
        encrypted: ip.encrypted,
    };
    Ok((rare != Rare::default()).then(|| Box::new(rare)))
}
