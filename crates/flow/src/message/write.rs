//! To messages.

use crate::{
    Answer, Content, DropReason, End, Event, Flow, Judgement, MatchType, Outcome, Party, PolicyRef, Rare,
    Request, Service, Stage, TcpFlags, TraceObservationPoint, TraceReason, Transport,
};
use ciliate_hubble::{
    BoolValue,
    flow::{self as hubble, layer4::Protocol, layer7::Record},
};
use std::net::IpAddr;

impl Flow {
    /// Everything of it that Hubble's interface has a field for.
    #[must_use]
    pub fn to_message(&self) -> hubble::Flow {
        let event_type = self.event_type();
        let reason = self.drop_reason();
        let (point, trace_reason) = match self.event {
            Event::Trace(point, reason) => (point, reason),
            Event::Drop(_) | Event::PolicyVerdict(_) | Event::Request | Event::Other(_) => {
                (TraceObservationPoint::UnknownPoint, TraceReason::Unknown)
            }
        };
        let none = Rare::default();
        let rare = self.rare.as_deref().unwrap_or(&none);
        let mut message = hubble::Flow {
            time: Some(self.time.into()),
            uuid: self.id.to_string(),
            emitter: Some(hubble::Emitter {
                name: "Ciliate".to_owned(),
                version: env!("CARGO_PKG_VERSION").to_owned(),
            }),
            verdict: self.verdict.into(),
            drop_reason_desc: reason.unwrap_or_default().into(),
            ip: self.addresses(rare),
            l4: layer4(self.transport),
            source: Some(endpoint(&self.source.party)),
            destination: Some(endpoint(&self.destination.party)),
            r#type: match self.request {
                Some(_) => hubble::FlowType::L7,
                None => hubble::FlowType::L3L4,
            }
            .into(),
            node_name: self.node.name.clone(),
            node_labels: self.node.labels.clone(),
            source_names: names(&self.source),
            destination_names: names(&self.destination),
            l7: self.request.as_deref().map(layer7),
            event_type: Some(hubble::CiliumEventType { r#type: event_type.kind, sub_type: event_type.sub }),
            source_service: service(&rare.source_service),
            destination_service: service(&rare.destination_service),
            traffic_direction: self.direction.into(),
            policy_match_type: match self.match_type {
                MatchType::None => 0,
                other => other as u32,
            },
            trace_observation_point: point.into(),
            trace_reason: trace_reason.into(),
            is_reply: match self.answer {
                Answer::No => Some(BoolValue { value: false }),
                Answer::Yes => Some(BoolValue { value: true }),
                Answer::Unknown => None,
            },
            interface: self.interface.as_deref().map(|interface| hubble::NetworkInterface {
                index: interface.index,
                name: interface.name.clone(),
            }),
            proxy_port: rare.proxy_port.into(),
            trace_context: (!rare.trace_id.is_empty()).then(|| hubble::TraceContext {
                parent: Some(hubble::TraceParent { trace_id: rare.trace_id.clone() }),
            }),
            ip_trace_id: (rare.ip_trace_id != 0)
                .then_some(hubble::IpTraceId { trace_id: rare.ip_trace_id, ip_option_type: 0 }),
            ..hubble::Flow::default()
        };
        self.judge(&mut message);
        self.set_deprecated(&mut message, reason);
        message
    }

    /// Why it went no further or was denied.
    #[must_use]
    pub fn drop_reason(&self) -> Option<DropReason> {
        match self.event {
            Event::Drop(reason) => Some(reason),
            Event::PolicyVerdict(reason) => reason,
            Event::Trace(..) | Event::Request | Event::Other(_) => None,
        }
    }

    fn addresses(&self, rare: &Rare) -> Option<hubble::Ip> {
        let version = match self.source.address.or(self.destination.address)? {
            IpAddr::V4(_) => hubble::IpVersion::IPv4,
            IpAddr::V6(_) => hubble::IpVersion::IPv6,
        };
        let text = |address: Option<IpAddr>| address.map_or_else(String::new, |address| address.to_string());
        Some(hubble::Ip {
            source: text(self.source.address),
            source_xlated: text(rare.source_translated),
            destination: text(self.destination.address),
            ip_version: version.into(),
            encrypted: rare.encrypted,
        })
    }

    fn judge(&self, message: &mut hubble::Flow) {
        let judged = |side: &Option<std::sync::Arc<Judgement>>, wanted: Outcome| -> Vec<hubble::Policy> {
            let found = side.as_deref().filter(|judgement| judgement.outcome == wanted);
            found.map_or_else(Vec::new, |judgement| judgement.by.iter().map(policy).collect())
        };
        message.egress_allowed_by = judged(&self.egress, Outcome::Allowed);
        message.egress_denied_by = judged(&self.egress, Outcome::Denied);
        message.ingress_allowed_by = judged(&self.ingress, Outcome::Allowed);
        message.ingress_denied_by = judged(&self.ingress, Outcome::Denied);
    }

    /// Older clients read these.
    #[expect(deprecated, reason = "they are for those who know no others")]
    fn set_deprecated(&self, message: &mut hubble::Flow, reason: Option<DropReason>) {
        message.drop_reason = reason.map_or(0, |reason| u32::try_from(reason as i32).unwrap_or(0));
        message.reply = self.answer == Answer::Yes;
        message.summary = self.summary();
    }
}

fn names(end: &End) -> Vec<String> {
    end.names.as_deref().map_or_else(Vec::new, <[String]>::to_vec)
}

fn endpoint(party: &Party) -> hubble::Endpoint {
    let Party { endpoint, identity, cluster, namespace, pod, labels, workloads } = party;
    hubble::Endpoint {
        id: *endpoint,
        identity: *identity,
        cluster_name: cluster.clone(),
        namespace: namespace.clone(),
        labels: labels.clone(),
        pod_name: pod.clone(),
        workloads: workloads
            .iter()
            .map(|workload| hubble::Workload { name: workload.name.clone(), kind: workload.kind.clone() })
            .collect(),
    }
}

fn service(service: &Service) -> Option<hubble::Service> {
    let Service { name, namespace } = service;
    (!name.is_empty()).then(|| hubble::Service { name: name.clone(), namespace: namespace.clone() })
}

fn policy(policy: &PolicyRef) -> hubble::Policy {
    let PolicyRef { kind, namespace, name, labels, revision, section } = policy;
    hubble::Policy {
        name: name.clone(),
        namespace: namespace.clone(),
        labels: labels.clone(),
        revision: *revision,
        kind: kind.clone(),
        section: section.clone(),
    }
}

fn layer4(transport: Transport) -> Option<hubble::Layer4> {
    let protocol = match transport {
        Transport::None | Transport::Other(_) => return None,
        Transport::Tcp { source, destination, flags } => Protocol::Tcp(hubble::Tcp {
            source_port: source.into(),
            destination_port: destination.into(),
            flags: Some(tcp_flags(flags)),
        }),
        Transport::Udp { source, destination } => {
            Protocol::Udp(hubble::Udp { source_port: source.into(), destination_port: destination.into() })
        }
        Transport::Sctp { source, destination, chunk } => Protocol::Sctp(hubble::Sctp {
            source_port: source.into(),
            destination_port: destination.into(),
            chunk_type: chunk,
        }),
        Transport::Icmp { kind, code } => {
            Protocol::IcmPv4(hubble::IcmPv4 { r#type: kind.into(), code: code.into() })
        }
        Transport::Icmp6 { kind, code } => {
            Protocol::IcmPv6(hubble::IcmPv6 { r#type: kind.into(), code: code.into() })
        }
    };
    Some(hubble::Layer4 { protocol: Some(protocol) })
}

fn tcp_flags(flags: TcpFlags) -> hubble::TcpFlags {
    hubble::TcpFlags {
        fin: flags.has(0),
        syn: flags.has(1),
        rst: flags.has(2),
        psh: flags.has(3),
        ack: flags.has(4),
        urg: flags.has(5),
        ece: flags.has(6),
        cwr: flags.has(7),
        ns: flags.has(8),
    }
}

#[expect(deprecated, reason = "there is no other place for what Kafka says")]
fn layer7(request: &Request) -> hubble::Layer7 {
    let kind = match request.stage {
        Stage::Request => hubble::L7FlowType::Request,
        Stage::Response => hubble::L7FlowType::Response,
        Stage::Sample => hubble::L7FlowType::Sample,
    };
    let record = match &request.content {
        Content::Http(http) => Some(Record::Http(hubble::Http {
            code: http.code,
            method: http.method.clone(),
            url: http.url.clone(),
            protocol: http.protocol.clone(),
            headers: http
                .headers
                .iter()
                .map(|header| hubble::HttpHeader { key: header.name.clone(), value: header.value.clone() })
                .collect(),
        })),
        Content::Dns(dns) => Some(Record::Dns(hubble::Dns {
            query: dns.query.clone(),
            ips: dns.addresses.clone(),
            ttl: dns.ttl,
            cnames: dns.cnames.clone(),
            observation_source: dns.observer.clone(),
            rcode: dns.rcode,
            qtypes: dns.query_types.clone(),
            rrtypes: dns.record_types.clone(),
        })),
        Content::Kafka(kafka) => Some(Record::Kafka(hubble::Kafka {
            error_code: kafka.error_code,
            api_version: kafka.api_version,
            api_key: kafka.api_key.clone(),
            correlation_id: kafka.correlation_id,
            topic: kafka.topic.clone(),
        })),
        Content::Tls(_) | Content::Malformed(_) | Content::Other => None,
    };
    hubble::Layer7 { r#type: kind.into(), latency_ns: request.latency, record }
}
