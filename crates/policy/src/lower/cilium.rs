//! CiliumNetworkPolicy and CiliumClusterwideNetworkPolicy.

use super::{
    Exception, block, cidr, cidr_or_address, each, l7,
    labels::{Keys, limit_peer, limit_subject, requirements},
    names, traffic,
};
use crate::{
    object::{
        cilium::{self, CidrRule, CiliumNetworkPolicy, EgressRule, IcmpRule, IngressRule, PortRule},
        l7::FqdnSelector,
        selector::LabelSelector,
    },
    parse::path::Problems,
    rule::{GroupMatch, PeerMatch, Peers, Rule, RuleEffect, Spec, TrafficMatch},
    selector::{Block, Entity, Requirement, Selector},
};
use ciliate_types::{Direction, L7Rules, ReservedIdentity, source};
use std::{collections::BTreeSet, sync::Arc};

/// `namespace` is none for a clusterwide policy.
pub fn lower(policy: &CiliumNetworkPolicy, namespace: Option<&str>, problems: &mut Problems) -> Vec<Spec> {
    if policy.spec.is_none() && policy.specs.as_ref().is_none_or(Vec::is_empty) {
        problems.at("spec", |p| p.fail("is missing: a policy has spec or specs"));
    }
    let first = policy.spec.iter().map(|s| problems.at("spec", |p| lower_spec(s, namespace, p)));
    let mut specs: Vec<_> = first.collect();
    if let Some(more) = &policy.specs {
        specs.extend(problems.at("specs", |p| each(more, p, |s, p| lower_spec(s, namespace, p))));
    }
    specs
}

fn lower_spec(spec: &cilium::Spec, namespace: Option<&str>, problems: &mut Problems) -> Spec {
    let subject = problems.at("endpointSelector", |p| match &spec.endpoint_selector {
        Some(selector) => {
            let labels = requirements(selector, Keys::WithSource, p);
            limit_subject(labels, namespace, p)
        }
        None => {
            p.fail("is missing: write {} to select every endpoint");
            Default::default()
        }
    });
    let wish = spec.enable_default_deny.unwrap_or_default();
    let rules_in =
        |allow: Option<usize>, deny: Option<usize>| allow.unwrap_or(0) > 0 || deny.unwrap_or(0) > 0;
    let ingress = wish.ingress.unwrap_or_else(|| {
        rules_in(spec.ingress.as_ref().map(Vec::len), spec.ingress_deny.as_ref().map(Vec::len))
    });
    let egress = wish.egress.unwrap_or_else(|| {
        rules_in(spec.egress.as_ref().map(Vec::len), spec.egress_deny.as_ref().map(Vec::len))
    });
    let isolates =
        [(ingress, Direction::Ingress), (egress, Direction::Egress)].into_iter().filter(|(on, _)| *on);
    let mut rules = Vec::new();
    for (field, section, list) in
        [("ingress", Section::Allow, &spec.ingress), ("ingressDeny", Section::Deny, &spec.ingress_deny)]
    {
        let list = list.as_deref().unwrap_or_default();
        let lowered = problems
            .at(field, |p| each(list, p, |rule, p| Element::ingress(rule).lower(section, namespace, p)));
        rules.extend(lowered.into_iter().flatten());
    }
    for (field, section, list) in
        [("egress", Section::Allow, &spec.egress), ("egressDeny", Section::Deny, &spec.egress_deny)]
    {
        let list = list.as_deref().unwrap_or_default();
        let lowered = problems
            .at(field, |p| each(list, p, |rule, p| Element::egress(rule).lower(section, namespace, p)));
        rules.extend(lowered.into_iter().flatten());
    }
    Spec {
        subject,
        isolates: isolates.map(|(_, direction)| direction).collect(),
        rules,
        description: spec.description.clone().unwrap_or_default(),
        log: spec.log.as_ref().map(|log| log.value.clone()).unwrap_or_default(),
        labels: spec.labels.iter().map(|label| label.0.to_string()).collect(),
    }
}

/// Whether the rules of a section allow or deny.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Section {
    Allow,
    Deny,
}

/// What an element of `toPorts` or `icmps` is about.
struct Part {
    section: String,
    traffic: Vec<TrafficMatch>,
    l7: Option<Arc<L7Rules>>,
}

/// An element of a section, whichever the direction.
struct Element<'a> {
    direction: Direction,
    /// The names of the six fields below, as the user wrote them.
    names: [&'static str; 6],
    endpoints: Option<&'a [LabelSelector]>,
    entities: Option<&'a [String]>,
    nodes: Option<&'a [LabelSelector]>,
    cidrs: Option<&'a [String]>,
    cidr_sets: Option<&'a [CidrRule]>,
    fqdns: Option<&'a [FqdnSelector]>,
    to_ports: &'a [PortRule],
    icmps: &'a [IcmpRule],
}

impl<'a> Element<'a> {
    fn ingress(rule: &'a IngressRule) -> Self {
        let IngressRule {
            from_endpoints,
            from_entities,
            from_nodes,
            from_cidr,
            from_cidr_set,
            to_ports,
            icmps,
        } = rule;
        Self {
            direction: Direction::Ingress,
            names: ["fromEndpoints", "fromEntities", "fromNodes", "fromCIDR", "fromCIDRSet", "fromFQDNs"],
            endpoints: from_endpoints.as_deref(),
            entities: from_entities.as_deref(),
            nodes: from_nodes.as_deref(),
            cidrs: from_cidr.as_deref(),
            cidr_sets: from_cidr_set.as_deref(),
            fqdns: None,
            to_ports: to_ports.as_deref().unwrap_or_default(),
            icmps: icmps.as_deref().unwrap_or_default(),
        }
    }

    fn egress(rule: &'a EgressRule) -> Self {
        let EgressRule {
            to_endpoints,
            to_entities,
            to_nodes,
            to_cidr,
            to_cidr_set,
            to_fqdns,
            to_ports,
            icmps,
        } = rule;
        Self {
            direction: Direction::Egress,
            names: ["toEndpoints", "toEntities", "toNodes", "toCIDR", "toCIDRSet", "toFQDNs"],
            endpoints: to_endpoints.as_deref(),
            entities: to_entities.as_deref(),
            nodes: to_nodes.as_deref(),
            cidrs: to_cidr.as_deref(),
            cidr_sets: to_cidr_set.as_deref(),
            fqdns: to_fqdns.as_deref(),
            to_ports: to_ports.as_deref().unwrap_or_default(),
            icmps: icmps.as_deref().unwrap_or_default(),
        }
    }

    /// One rule for every element of `toPorts` or `icmps`, or one for all traffic.
    fn lower(&self, section: Section, namespace: Option<&str>, problems: &mut Problems) -> Vec<Rule> {
        let peers = self.peers(namespace, problems);
        if section == Section::Deny && self.fqdns.is_some() {
            problems.at("toFQDNs", |p| {
                p.fail("toFQDNs cannot stand in a deny rule: an address may have names that nobody asked for yet");
            });
        }
        if !self.to_ports.is_empty() && !self.icmps.is_empty() {
            problems.at("icmps", |p| p.fail("cannot stand beside toPorts in one rule: write two rules"));
        }
        let mut parts = self.parts(section, namespace, problems);
        self.check_names(peers.as_ref(), &parts, problems);
        let peers = match (peers, parts.is_empty(), section) {
            (Some(peers), _, _) => peers,
            (None, false, _) | (None, true, Section::Deny) => Peers::Any,
            // An empty element names nothing to allow; it isolates.
            (None, true, Section::Allow) => Peers::Of(Vec::new()),
        };
        if parts.is_empty() {
            parts.push(Part { section: problems.here(), traffic: vec![TrafficMatch::Any], l7: None });
        }
        let rule = |part: Part| Rule {
            direction: self.direction,
            effect: match (section, part.l7) {
                (Section::Allow, None) => RuleEffect::Allow,
                (Section::Allow, Some(l7)) => RuleEffect::Filter(l7),
                (Section::Deny, _) => RuleEffect::Deny,
            },
            section: part.section,
            peers: peers.clone(),
            traffic: part.traffic,
        };
        parts.into_iter().map(rule).collect()
    }

    fn parts(&self, section: Section, namespace: Option<&str>, problems: &mut Problems) -> Vec<Part> {
        let place = l7::Place { direction: self.direction, deny: section == Section::Deny, namespace };
        let mut parts = problems.at("toPorts", |p| {
            each(self.to_ports, p, |rule, p| {
                let (mut traffic, l7) = (traffic::ports(&rule.ports, p), l7::rules(rule, place, p));
                if l7.is_some() {
                    l7::limit(&mut traffic);
                }
                Part { section: p.here(), traffic, l7 }
            })
        });
        parts.extend(problems.at("icmps", |p| {
            each(self.icmps, p, |rule, p| Part {
                section: p.here(),
                traffic: traffic::icmp_fields(&rule.fields, p),
                l7: None,
            })
        }));
        parts
    }

    /// Only endpoints have names for their ports, so a name says nothing about a destination that is an address.
    fn check_names(&self, peers: Option<&Peers>, parts: &[Part], problems: &mut Problems) {
        let named = |t: &TrafficMatch| matches!(t, TrafficMatch::Named(..));
        let by_address = |peer: &PeerMatch| match peer {
            PeerMatch::Selector(Selector::Cidr(_) | Selector::Fqdn(_))
            | PeerMatch::Address(_)
            | PeerMatch::Group { .. } => true,
            PeerMatch::Selector(Selector::Labels(_) | Selector::Entity(_)) => false,
        };
        let addresses = matches!(peers, Some(Peers::Of(peers)) if peers.iter().any(by_address));
        if self.direction == Direction::Egress
            && addresses
            && parts.iter().any(|part| part.traffic.iter().any(named))
        {
            problems.at("toPorts", |p| p.fail("addresses have no names for their ports: write port numbers"));
        }
    }

    /// None if the element says nothing about peers.
    fn peers(&self, namespace: Option<&str>, problems: &mut Problems) -> Option<Peers> {
        let [endpoints, entities, nodes, cidrs, cidr_sets, fqdns] = self.names;
        self.check_one_kind(problems);
        let mut peers = Vec::new();
        if let Some(selectors) = self.endpoints {
            let found = problems.at(endpoints, |p| {
                each(selectors, p, |selector, p| {
                    limit_peer(requirements(selector, Keys::WithSource, p), namespace)
                })
            });
            peers.extend(found.into_iter().map(|labels| PeerMatch::Selector(Selector::Labels(labels))));
        }
        if let Some(selectors) = self.nodes {
            let found = problems.at(nodes, |p| {
                each(selectors, p, |selector, p| {
                    let mut labels = requirements(selector, Keys::WithSource, p);
                    labels.add(Requirement::exists(source::RESERVED, ReservedIdentity::RemoteNode.key()));
                    labels
                })
            });
            peers.extend(found.into_iter().map(|labels| PeerMatch::Selector(Selector::Labels(labels))));
        }
        if let Some(names) = self.entities {
            let found = problems.at(entities, |p| each(names, p, |name, p| entity(name, p)));
            if found.contains(&Some(Entity::All)) {
                return Some(Peers::Any);
            }
            peers.extend(
                found.into_iter().flatten().map(|entity| PeerMatch::Selector(Selector::Entity(entity))),
            );
        }
        if let Some(nets) = self.cidrs {
            let found = problems.at(cidrs, |p| each(nets, p, |text, p| cidr_or_address(text, p)));
            let block = |net| PeerMatch::Selector(Selector::Cidr(Block { net, except: BTreeSet::new() }));
            peers.extend(found.into_iter().flatten().map(block));
        }
        if let Some(rules) = self.cidr_sets {
            let found = problems.at(cidr_sets, |p| each(rules, p, cidr_rule));
            peers.extend(found.into_iter().flatten());
        }
        if let Some(selectors) = self.fqdns {
            let found = problems.at(fqdns, |p| each(selectors, p, l7::fqdn_selector));
            peers.extend(found.into_iter().flatten().map(|name| PeerMatch::Selector(Selector::Fqdn(name))));
        }
        let said = self.endpoints.is_some()
            || self.nodes.is_some()
            || self.entities.is_some()
            || self.cidrs.is_some()
            || self.cidr_sets.is_some()
            || self.fqdns.is_some();
        said.then_some(Peers::Of(peers))
    }

    /// Peers of an element are of one kind; whether two kinds would both have to match, nobody could tell.
    fn check_one_kind(&self, problems: &mut Problems) {
        let [endpoints, entities, nodes, cidrs, cidr_sets, fqdns] = self.names;
        let mut used = [
            (endpoints, self.endpoints.map_or(0, <[_]>::len)),
            (entities, self.entities.map_or(0, <[_]>::len)),
            (nodes, self.nodes.map_or(0, <[_]>::len)),
            (cidrs, self.cidrs.map_or(0, <[_]>::len)),
            (cidr_sets, self.cidr_sets.map_or(0, <[_]>::len)),
            (fqdns, self.fqdns.map_or(0, <[_]>::len)),
        ]
        .into_iter()
        .filter(|(_, len)| *len > 0)
        .map(|(name, _)| name);
        if let (Some(first), Some(second)) = (used.next(), used.next()) {
            problems.fail(format!("{first} and {second} cannot stand in one rule: write two rules"));
        }
    }
}

fn entity(name: &str, problems: &mut Problems) -> Option<Entity> {
    let found = Entity::ALL.into_iter().find(|entity| entity.name() == name);
    if found.is_none() {
        let known = Entity::ALL.map(Entity::name).join(", ");
        problems.fail(format!("entity {name:?} is unknown: write one of {known}"));
    }
    found
}

fn cidr_rule(rule: &CidrRule, problems: &mut Problems) -> Option<PeerMatch> {
    let CidrRule { cidr: net, cidr_group_ref, cidr_group_selector, except } = rule;
    let groups = match (net, cidr_group_ref, cidr_group_selector) {
        (Some(net), None, None) => {
            let block = block(net, except, Exception::Inside, problems)?;
            return Some(PeerMatch::Selector(Selector::Cidr(block)));
        }
        (None, Some(name), None) => {
            problems.at("cidrGroupRef", |p| names::dns_subdomain(name, p));
            GroupMatch::Name(name.clone())
        }
        (None, None, Some(selector)) => {
            let keys = Keys::Under { source: source::K8S, prefix: "" };
            GroupMatch::Labels(problems.at("cidrGroupSelector", |p| requirements(selector, keys, p)))
        }
        _ => {
            problems.fail("wants exactly one of cidr, cidrGroupRef and cidrGroupSelector");
            return None;
        }
    };
    let except = problems.at("except", |p| each(except, p, |text, p| cidr(text, p)));
    Some(PeerMatch::Group { groups, except: except.into_iter().flatten().collect() })
}
