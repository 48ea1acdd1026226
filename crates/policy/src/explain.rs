//! Why traffic is allowed or denied: every rule that was considered, and what it said.
//!
//! Rules are judged by labels and addresses, one by one; rule sets and the selectors' identities take no part.

mod peer;
mod text;

use crate::{
    Engine, ObjectKey,
    engine::Subject,
    identities::NamedPorts,
    policies::StoredRule,
    rule::TrafficMatch,
    rule_set::{Action, PeerKind, RuleId, SETTING_PRECEDENCE},
    settings::{AllowLocalhost, EnforcementMode},
};
use ciliate_types::{Direction, Labels, Protocol, ReservedIdentity, source};
use peer::Peer;
use serde::Serialize;
use std::{cmp::Reverse, net::IpAddr};

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
}

#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    Allowed,
    Denied,
}

/// The answer to a [`Query`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Explanation {
    pub source: Labels,
    pub destination: Labels,
    pub protocol: Protocol,
    pub port: u16,
    pub egress: DirectionExplanation,
    pub ingress: DirectionExplanation,
    /// Allowed if both directions allow.
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
    /// The rule that decided. None if no rule matched.
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
}

impl Considered {
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
            (Verdict::Allowed, Verdict::Allowed) => Verdict::Allowed,
            (Verdict::Denied, _) | (_, Verdict::Denied) => Verdict::Denied,
        };
        Explanation {
            source: source.labels,
            destination: destination.labels,
            protocol: query.protocol,
            port: query.port,
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
                        action: rule.action,
                        peer: peer.judge(self, rule),
                        traffic: judge_traffic(rule, query),
                    }));
                }
            }
        }
        found.rules.sort_by(|a, b| (&a.object, &a.section).cmp(&(&b.object, &b.section)));
        found.unselected.sort_by(|a, b| a.object.cmp(&b.object));
        if direction == Direction::Ingress {
            found.rules.extend(self.localhost(peer, found.isolated || !found.rules.is_empty()));
        }
        decide(&mut found);
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
        })
    }
}

/// Of all rules that match the one with the highest precedence decides.
fn decide(found: &mut DirectionExplanation) {
    let precedence = |rule: &Considered| match rule.object {
        Some(_) => rule.action.precedence(),
        None => SETTING_PRECEDENCE,
    };
    let matching = found.rules.iter().filter(|rule| rule.matches());
    let decisive = matching.max_by_key(|rule| (precedence(rule), Reverse(rule.rule)));
    found.decided_by = decisive.map(|rule| rule.rule);
    (found.verdict, found.reason) = match (decisive, found.isolated) {
        (Some(rule), _) => {
            let verdict = match rule.action {
                Action::Allow => Verdict::Allowed,
                Action::Redirect => Verdict::Allowed,
                Action::Deny => Verdict::Denied,
            };
            let name = rule.object.as_ref().map_or_else(|| "setting".to_owned(), ToString::to_string);
            (verdict, format!("{name} {}", rule.section))
        }
        (None, false) => (Verdict::Allowed, format!("no policy isolates {}", found.direction)),
        (None, true) => (Verdict::Denied, "no rule allows it".to_owned()),
    };
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
