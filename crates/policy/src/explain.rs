//! Why traffic is allowed or denied: every rule that was considered, and what it said.
//!
//! Rules are judged by labels and addresses, one by one; rule sets and the selectors' identities take no part.

mod decide;
mod peer;
mod text;

use crate::{
    Engine, ObjectKey,
    engine::Subject,
    identities::NamedPorts,
    l7::{Fit, Request, describe},
    policies::StoredRule,
    rule::TrafficMatch,
    rule_set::{Action, PeerKind, RuleId},
    settings::{AllowLocalhost, EnforcementMode},
};
use ciliate_types::{Direction, L7Rules, Labels, Protocol, ReservedIdentity, source};
use peer::Peer;
use serde::Serialize;
use std::{net::IpAddr, sync::Arc};

/// One end of a flow, as far as it is known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PeerRef {
    /// Without labels, an address is looked up among the prefixes of the policies.
    pub labels: Labels,
    pub address: Option<IpAddr>,
    pub named_ports: NamedPorts,
}

impl From<Labels> for PeerRef {
    fn from(labels: Labels) -> Self {
        Self { labels, ..Self::default() }
    }
}

impl PeerRef {
    #[must_use]
    pub fn address(address: IpAddr) -> Self {
        Self { address: Some(address), ..Self::default() }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query {
    pub source: PeerRef,
    pub destination: PeerRef,
    pub protocol: Protocol,
    /// Of ICMP the type; without meaning for protocols without ports.
    pub port: u16,
    /// What is asked for within the connection, if that is a part of the question.
    pub request: Option<Request>,
}

#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    Allowed,
    /// The proxy asks about every request; which one is meant, or all of it, is not known here.
    Redirected,
    Denied,
}

/// The answer to a [`Query`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Explanation {
    pub source: Labels,
    pub destination: Labels,
    pub protocol: Protocol,
    pub port: u16,
    /// Such as `http POST /v1/request-landing`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request: Option<String>,
    pub egress: DirectionExplanation,
    pub ingress: DirectionExplanation,
    /// Allowed if both directions allow, denied if one denies.
    pub verdict: Verdict,
}

/// What the policies of one end say.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DirectionExplanation {
    pub direction: Direction,
    pub policed: Policed,
    /// Whether traffic that no rule allows is dropped.
    pub isolated: bool,
    pub isolated_by: Vec<ObjectKey>,
    /// The rules of this direction of all policies that select the end.
    pub rules: Vec<Considered>,
    /// Policies that do not select the end, and the label it would need.
    pub unselected: Vec<Unselected>,
    /// The rule that decided; of several that redirect the lowest. None if no rule matched, or none the request.
    pub decided_by: Option<RuleId>,
    pub verdict: Verdict,
    pub reason: String,
}

/// Whether policies apply to an end of the flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Policed {
    Yes,
    /// The world, hosts and address prefixes have no policies of their own.
    NotAnEndpoint,
    /// The setting `policy-enforcement: never`.
    Never,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Considered {
    pub rule: RuleId,
    /// None for a setting.
    pub object: Option<ObjectKey>,
    pub section: String,
    pub action: Action,
    /// Whether the rule is about this peer.
    pub peer: Finding,
    /// Whether it is about this traffic.
    pub traffic: Finding,
    /// What requests have to be like, a line for each way; empty if the rule does not look at them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub l7: Vec<String>,
    /// What it says of the request that was asked about, if it is about this peer and this traffic.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request: Option<Fit>,
}

impl Considered {
    /// Whether the rule is about this connection.
    #[must_use]
    pub fn matches(&self) -> bool {
        self.peer.matches && self.traffic.matches
    }
}

/// Whether something matched, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    pub matches: bool,
    pub reason: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Unselected {
    pub object: ObjectKey,
    pub reason: String,
}

impl Engine {
    /// Judges a flow and says why.
    #[must_use]
    pub fn explain(&self, query: &Query) -> Explanation {
        let source = Peer::resolve(self, &query.source);
        let destination = Peer::resolve(self, &query.destination);
        let egress = self.explain_direction(Direction::Egress, &source, &destination, query);
        let ingress = self.explain_direction(Direction::Ingress, &destination, &source, query);
        let verdict = match (egress.verdict, ingress.verdict) {
            (Verdict::Denied, _) | (_, Verdict::Denied) => Verdict::Denied,
            (Verdict::Redirected, _) | (_, Verdict::Redirected) => Verdict::Redirected,
            (Verdict::Allowed, Verdict::Allowed) => Verdict::Allowed,
        };
        Explanation {
            source: source.labels,
            destination: destination.labels,
            protocol: query.protocol,
            port: query.port,
            request: query.request.as_ref().map(ToString::to_string),
            egress,
            ingress,
            verdict,
        }
    }

    fn explain_direction(
        &self,
        direction: Direction,
        subject: &Peer,
        peer: &Peer,
        query: &Query,
    ) -> DirectionExplanation {
        let mut found = DirectionExplanation {
            direction,
            policed: self.policed(subject),
            isolated: false,
            isolated_by: Vec::new(),
            rules: Vec::new(),
            unselected: Vec::new(),
            decided_by: None,
            verdict: Verdict::Allowed,
            reason: String::new(),
        };
        match found.policed {
            Policed::Yes => {}
            Policed::NotAnEndpoint => {
                found.reason = "not an endpoint: no policy applies to it".to_owned();
                return found;
            }
            Policed::Never => {
                found.reason = "policy-enforcement is never".to_owned();
                return found;
            }
        }
        found.isolated_by =
            self.isolating(&Subject::endpoint(&subject.labels, &subject.named_ports), direction);
        let always = self.settings().enforcement == EnforcementMode::Always;
        found.isolated = always || !found.isolated_by.is_empty();
        for spec in self.policies().specs() {
            match spec.subject.unmet(subject.labels.iter()) {
                Some(requirement) => found.unselected.push(Unselected {
                    object: ObjectKey::clone(&spec.object),
                    reason: format!("wants {requirement}"),
                }),
                None => {
                    let rules = spec.rules.iter().filter(|rule| rule.direction == direction);
                    found.rules.extend(rules.map(|rule| Considered {
                        rule: rule.id,
                        object: Some(ObjectKey::clone(&spec.object)),
                        section: rule.section.to_string(),
                        action: rule.effect.action(),
                        peer: peer.judge(self, rule),
                        traffic: judge_traffic(rule, query),
                        l7: rule.effect.l7().map_or_else(Vec::new, |rules| describe(rules)),
                        request: None,
                    }));
                }
            }
        }
        found.rules.sort_by(|a, b| (&a.object, &a.section).cmp(&(&b.object, &b.section)));
        found.unselected.sort_by(|a, b| a.object.cmp(&b.object));
        if direction == Direction::Ingress {
            found.rules.extend(self.localhost(peer, found.isolated || !found.rules.is_empty()));
        }
        if let Some(request) = &query.request {
            self.judge_request(&mut found.rules, request);
        }
        decide::decide(&mut found, query.request.as_ref());
        found
    }

    fn policed(&self, subject: &Peer) -> Policed {
        match (subject.kind, self.settings().enforcement) {
            (PeerKind::Node | PeerKind::World, _) => Policed::NotAnEndpoint,
            (PeerKind::Endpoint, EnforcementMode::Never) => Policed::Never,
            (PeerKind::Endpoint, EnforcementMode::Default | EnforcementMode::Always) => Policed::Yes,
        }
    }

    /// The setting `allow-localhost`, where it makes a difference.
    fn localhost(&self, peer: &Peer, closed: bool) -> Option<Considered> {
        let is_host = peer.labels.has(source::RESERVED, ReservedIdentity::Host.key());
        let applies = self.settings().allow_localhost == AllowLocalhost::Always && closed && is_host;
        applies.then(|| Considered {
            rule: RuleId::LOCALHOST,
            object: None,
            section: "allow-localhost".to_owned(),
            action: Action::Allow,
            peer: Finding { matches: true, reason: "is the local host".to_owned() },
            traffic: Finding { matches: true, reason: "any traffic".to_owned() },
            l7: Vec::new(),
            request: None,
        })
    }

    /// Asks the rules that are about this connection about the request.
    fn judge_request(&self, rules: &mut [Considered], request: &Request) {
        let l7 = |id: RuleId| self.policies().rule(id).and_then(|(_, rule)| rule.effect.l7());
        let asked: Vec<(&mut Considered, &Arc<L7Rules>)> = rules
            .iter_mut()
            .filter(|rule| rule.matches())
            .filter_map(|rule| l7(rule.rule).map(|l7| (rule, l7)))
            .collect();
        let sets: Vec<&L7Rules> = asked.iter().map(|(_, l7)| &***l7).collect();
        for (fit, (rule, _)) in crate::l7::judge(request, &sets).into_iter().zip(asked) {
            rule.request = Some(fit);
        }
    }
}

fn judge_traffic(rule: &StoredRule, query: &Query) -> Finding {
    let numbers = |protocol: Protocol, name: &str| {
        let names = query.destination.named_ports.iter();
        let known = names.filter(move |((n, p), _)| *p == protocol && n.eq_ignore_ascii_case(name));
        known.flat_map(|(_, ports)| ports).copied().collect::<Vec<u16>>()
    };
    let holds = |traffic: &&TrafficMatch| match traffic {
        TrafficMatch::Any => true,
        TrafficMatch::Ports(protocol, range) => {
            *protocol == query.protocol && range.contains(judged_port(query.protocol, query.port))
        }
        TrafficMatch::Named(protocol, name) => {
            *protocol == query.protocol && numbers(*protocol, name).contains(&query.port)
        }
    };
    match rule.traffic.iter().find(holds) {
        Some(traffic) => Finding { matches: true, reason: traffic.to_string() },
        None => {
            let list: Vec<_> = rule.traffic.iter().map(ToString::to_string).collect();
            Finding { matches: false, reason: format!("only {}", list.join(", ")) }
        }
    }
}

/// Protocols without ports are judged as port 0.
fn judged_port(protocol: Protocol, port: u16) -> u16 {
    let counts = protocol.has_ports() || matches!(protocol, Protocol::ICMP | Protocol::ICMPV6);
    if counts { port } else { 0 }
}
