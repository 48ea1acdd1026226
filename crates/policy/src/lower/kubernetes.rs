//! NetworkPolicy of networking.k8s.io/v1.

use super::{
    Exception, block, each,
    labels::{Keys, limit_subject, requirements},
    traffic,
};
use crate::{
    object::kubernetes::{NetworkPolicy, NetworkPolicyPeer, NetworkPolicyPort},
    parse::path::Problems,
    rule::{PeerMatch, Peers, Rule, RuleEffect, Spec, TrafficMatch},
    selector::{LabelMatch, Requirement, Selector},
};
use ciliate_types::{Direction, NAMESPACE_KEY, NAMESPACE_LABELS_PREFIX, source};
use std::collections::BTreeSet;

const POD_LABELS: Keys<'static> = Keys::Under { source: source::K8S, prefix: "" };
const NAMESPACE_LABELS: Keys<'static> = Keys::Under { source: source::K8S, prefix: NAMESPACE_LABELS_PREFIX };

pub fn lower(policy: &NetworkPolicy, problems: &mut Problems) -> Vec<Spec> {
    let namespace = policy.metadata.namespace.as_deref().unwrap_or_default();
    let spec = &policy.spec;
    problems.at("spec", |problems| {
        let subject = problems.at("podSelector", |p| {
            let labels = requirements(&spec.pod_selector, POD_LABELS, p);
            limit_subject(labels, Some(namespace), p)
        });
        let isolates =
            problems.at("policyTypes", |p| directions(&spec.policy_types, !spec.egress.is_empty(), p));
        let mut rules = Vec::new();
        rules.extend(problems.at("ingress", |p| {
            each(&spec.ingress, p, |r, p| lower_rule(Direction::Ingress, namespace, &r.from, &r.ports, p))
        }));
        rules.extend(problems.at("egress", |p| {
            each(&spec.egress, p, |r, p| lower_rule(Direction::Egress, namespace, &r.to, &r.ports, p))
        }));
        // The types say which sections count, whatever is written there.
        rules.retain(|rule| isolates.contains(&rule.direction));
        vec![Spec {
            subject,
            isolates,
            rules,
            description: String::new(),
            log: String::new(),
            labels: Vec::new(),
        }]
    })
}

/// Without types a policy is about ingress, and about egress if it has rules for it.
fn directions(types: &[String], has_egress: bool, problems: &mut Problems) -> BTreeSet<Direction> {
    if types.is_empty() {
        let egress = has_egress.then_some(Direction::Egress);
        return egress.into_iter().chain([Direction::Ingress]).collect();
    }
    let read = |written: &String, p: &mut Problems| match written.as_str() {
        "Ingress" => Some(Direction::Ingress),
        "Egress" => Some(Direction::Egress),
        other => {
            p.fail(format!("{other:?} is unknown: write Ingress or Egress"));
            None
        }
    };
    each(types, problems, read).into_iter().flatten().collect()
}

fn lower_rule(
    direction: Direction,
    namespace: &str,
    peers: &[NetworkPolicyPeer],
    ports: &[NetworkPolicyPort],
    problems: &mut Problems,
) -> Rule {
    let section = problems.here();
    let field = match direction {
        Direction::Ingress => "from",
        Direction::Egress => "to",
    };
    let found = problems.at(field, |p| each(peers, p, |peer, p| lower_peer(peer, namespace, p)));
    let peers = match peers.is_empty() {
        true => Peers::Any,
        false => Peers::Of(found.into_iter().flatten().collect()),
    };
    let traffic = traffic::network_policy_ports(ports, problems);
    let addresses = matches!(&peers, Peers::Of(p) if p.iter().any(|p| matches!(p, PeerMatch::Address(_))));
    let named = traffic.iter().any(|t| matches!(t, TrafficMatch::Named(..)));
    if direction == Direction::Egress && addresses && named {
        problems.at("ports", |p| p.fail("an ipBlock has no names for its ports: write port numbers"));
    }
    Rule { direction, effect: RuleEffect::Allow, section, peers, traffic }
}

fn lower_peer(peer: &NetworkPolicyPeer, namespace: &str, problems: &mut Problems) -> Option<PeerMatch> {
    let NetworkPolicyPeer { pod_selector, namespace_selector, ip_block } = peer;
    if let Some(written) = ip_block {
        if pod_selector.is_some() || namespace_selector.is_some() {
            problems.at("ipBlock", |p| p.fail("cannot stand beside podSelector or namespaceSelector"));
        }
        let block = problems.at("ipBlock", |p| block(&written.cidr, &written.except, Exception::Smaller, p));
        return block.map(PeerMatch::Address);
    }
    if pod_selector.is_none() && namespace_selector.is_none() {
        problems.fail("names no peer: write podSelector, namespaceSelector or ipBlock");
    }
    let mut labels = LabelMatch::default();
    if let Some(selector) = pod_selector {
        let pods = problems.at("podSelector", |p| requirements(selector, POD_LABELS, p));
        pods.requirements().for_each(|r| labels.add(r.clone()));
    }
    labels.add(match namespace_selector {
        Some(_) => Requirement::managed(),
        None => Requirement::equals(source::K8S, NAMESPACE_KEY, namespace),
    });
    if let Some(selector) = namespace_selector {
        let namespaces = problems.at("namespaceSelector", |p| requirements(selector, NAMESPACE_LABELS, p));
        namespaces.requirements().for_each(|r| labels.add(r.clone()));
    }
    Some(PeerMatch::Selector(Selector::Labels(labels)))
}
