//! From what the proxy read to flows.

use super::{Flows, Known};
use crate::state::State;
use ciliate_abi::Direction;
use ciliate_flow::{
    Answer, Content, Dns, End, Event, Flow, FlowId, Header, Http, Judgement, Kafka, MatchType, Outcome,
    PolicyRef, Rare, Request, Stage, TcpFlags, Time, TrafficDirection, Transport, Verdict,
};
use ciliate_proxy::message::{self, Access, Message, Side, What};
use ciliate_types::{EndpointId, Identity, Protocol};
use std::{iter, net::SocketAddr, sync::Arc};

/// Who reads DNS here, as Hubble's clients are told.
const OBSERVER: &str = "proxy";

impl Flows {
    /// An access is one flow; a request of Kafka is one for each topic.
    pub fn of_access<'k>(
        &mut self,
        state: &Arc<State>,
        access: Access,
        rule: impl Fn(u32) -> Option<&'k Known>,
        mut put: impl FnMut(Flow),
    ) {
        self.cast.renew(state);
        self.learn(&access);
        let client = (access.client, access.client_identity, access.client_endpoint);
        let server = (access.server, access.server_identity, access.server_endpoint);
        let (stage, answer, source, destination) = match access.message {
            Message::Request => (Stage::Request, Answer::No, client, server),
            Message::Response => (Stage::Response, Answer::Yes, server, client),
        };
        let known = rule(access.rule);
        let judgement = self.judged(&access, known, rule);
        let (direction, egress, ingress) = match access.direction {
            Side::Egress => (TrafficDirection::Egress, judgement, None),
            Side::Ingress => (TrafficDirection::Ingress, None, judgement),
        };
        let transport = transport(access.transport, source.0.port(), destination.0.port());
        let trace = match &access.what {
            What::Http { trace, .. } => *trace,
            What::Malformed { .. } | What::Kafka { .. } | What::Tls { .. } | What::Dns { .. } => None,
        };
        let (first, others) = contents(access.what);
        for content in iter::once(first).chain(others) {
            put(Flow {
                id: FlowId::default(),
                time: Time(access.time),
                node: Arc::clone(&self.node),
                source: self.talker(source, destination.2),
                destination: self.talker(destination, source.2),
                event: Event::Request,
                verdict: match access.verdict {
                    message::Verdict::Forwarded => Verdict::Forwarded,
                    message::Verdict::Denied => Verdict::Dropped,
                    message::Verdict::Audited => Verdict::Audit,
                    message::Verdict::Refused => Verdict::Error,
                },
                direction,
                answer,
                transport,
                interface: None,
                egress: egress.clone(),
                ingress: ingress.clone(),
                match_type: known.map_or(MatchType::None, |known| known.match_type),
                request: Some(Box::new(Request {
                    stage,
                    latency: access.latency.unwrap_or_default(),
                    content,
                })),
                rare: trace.map(|trace| Box::new(Rare { trace_id: trace.to_string(), ..Rare::default() })),
            });
        }
    }

    /// An answer tells what addresses the flows after it go to.
    fn learn(&mut self, access: &Access) {
        if let What::Dns { name, answer: Some(answer), .. } = &access.what
            && access.message == Message::Response
        {
            self.names.learn(access.client_endpoint, name, answer.addresses.iter().copied());
        }
    }

    fn talker(
        &mut self,
        (address, identity, endpoint): (SocketAddr, Identity, Option<EndpointId>),
        other: Option<EndpointId>,
    ) -> End {
        let (address, number) =
            (address.ip().to_canonical(), |id: Option<EndpointId>| id.map_or(0, EndpointId::get));
        let names = self.names.of(number(other), address);
        End { names, ..self.cast.end(address, identity.get(), number(endpoint)) }
    }

    /// Who said so: the rule that matched, or the policies of which no rule did.
    fn judged<'k>(
        &mut self,
        access: &Access,
        known: Option<&Known>,
        rule: impl Fn(u32) -> Option<&'k Known>,
    ) -> Option<Arc<Judgement>> {
        match access.verdict {
            message::Verdict::Refused => None,
            message::Verdict::Forwarded => known.map(|known| Arc::clone(&known.allowed)),
            message::Verdict::Denied | message::Verdict::Audited => {
                let mut by: Vec<PolicyRef> = Vec::new();
                for policy in
                    access.closed_by.iter().filter_map(|number| rule(*number)).flat_map(|k| &k.denied.by)
                {
                    if !by.contains(policy) {
                        by.push(policy.clone());
                    }
                }
                if !by.is_empty() {
                    return Some(Arc::new(Judgement { outcome: Outcome::Denied, by }));
                }
                let (endpoint, direction) = match access.direction {
                    Side::Egress => (access.client_endpoint, Direction::Egress),
                    Side::Ingress => (access.server_endpoint, Direction::Ingress),
                };
                self.cast.closed(endpoint.map_or(0, EndpointId::get), direction)
            }
        }
    }
}

fn transport(protocol: u8, source: u16, destination: u16) -> Transport {
    match Protocol::new(protocol) {
        Protocol::UDP => Transport::Udp { source, destination },
        Protocol::TCP => Transport::Tcp { source, destination, flags: TcpFlags::default() },
        other => Transport::Other(other),
    }
}

/// The first, and the others of one that is about several things.
fn contents(what: What) -> (Content, Vec<Content>) {
    let one = |content| (content, Vec::new());
    match what {
        What::Http { version, method, path, authority, status, grpc_status, headers, trace: _ } => {
            one(Content::Http(Http {
                code: status.unwrap_or_default().into(),
                method,
                // Mostly it is a path, of which the first character says so.
                url: match !path.starts_with('/') && path.contains("://") {
                    true => path,
                    false => ["http://", &authority, &path].concat(),
                },
                protocol: version.to_string(),
                // Hubble's message has no other place for the status of a call.
                headers: headers
                    .into_iter()
                    .map(|(name, value)| Header { name, value })
                    .chain(
                        grpc_status
                            .map(|status| Header { name: "grpc-status".into(), value: status.to_string() }),
                    )
                    .collect(),
            }))
        }
        What::Malformed { reason } => one(Content::Malformed(reason)),
        What::Tls { server_name } => one(Content::Tls(server_name)),
        What::Kafka { api, version, correlation_id, client_id: _, topics, error } => {
            let api_key = if api.contains('_') { api } else { api.to_lowercase() };
            let of = |topic: String| {
                Content::Kafka(Kafka {
                    error_code: error.unwrap_or_default().into(),
                    api_version: version.into(),
                    api_key: api_key.clone(),
                    correlation_id,
                    topic,
                })
            };
            let mut topics = topics.into_iter();
            (of(topics.next().unwrap_or_default()), topics.map(of).collect())
        }
        What::Dns { name, kind, answer } => {
            let rooted = |mut name: String| {
                if !name.ends_with('.') {
                    name.push('.');
                }
                name
            };
            let answer = answer.unwrap_or_default();
            one(Content::Dns(Dns {
                query: rooted(name),
                addresses: answer.addresses.iter().map(ToString::to_string).collect(),
                ttl: answer.ttl,
                cnames: answer.aliases.into_iter().map(rooted).collect(),
                observer: OBSERVER.to_owned(),
                rcode: answer.code.into(),
                query_types: vec![kind],
                record_types: answer.kinds,
            }))
        }
    }
}

#[cfg(test)]
mod tests;
