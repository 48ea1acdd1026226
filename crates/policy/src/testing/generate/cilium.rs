//! Cilium's policies.

use super::{
    Extent,
    peers::{block, cidr, label_selector},
    requests,
};
use crate::object::{
    cilium::{
        CidrRule, EgressRule, EnableDefaultDeny, IcmpField, IcmpRule, IngressRule, PortProtocol, PortRule,
        Spec,
    },
    l7::FqdnSelector,
    selector::{LabelSelector, MatchExpression},
};
use proptest::{collection::vec, option, prelude::*, sample::select};
use std::collections::BTreeMap;

/// Whom a policy is for.
fn subject(extent: Extent) -> impl Strategy<Value = LabelSelector> {
    let some = label_selector(&[
        ("app", &["a", "b"]),
        ("k8s:app", &["a", "c"]),
        ("any:tier", &["x"]),
        ("nope", &["n"]),
    ]);
    prop_oneof![1 => some, extent.weight(1) => Just(LabelSelector::default())]
}

fn peer() -> impl Strategy<Value = LabelSelector> {
    let special =
        select(vec!["reserved:host", "reserved:world-ipv4", "reserved:remote-node", "cidr:10.9.0.0/16"]);
    let special = special.prop_map(|key| LabelSelector {
        match_labels: [(key.to_owned(), String::new())].into(),
        match_expressions: Vec::new(),
    });
    let ruled_out = select(vec!["reserved:host", "reserved:world", "nope"]).prop_map(|key| LabelSelector {
        match_labels: BTreeMap::new(),
        match_expressions: vec![MatchExpression {
            key: key.to_owned(),
            operator: "DoesNotExist".to_owned(),
            values: Vec::new(),
        }],
    });
    prop_oneof![
        6 => label_selector(&[
            ("app", &["a", "b", "c"]),
            ("k8s:app", &["a"]),
            ("container:tier", &["x", "y"]),
            ("k8s:io.kubernetes.pod.namespace", &["one", "two"]),
            ("io.kubernetes.pod.namespace", &["two"]),
            ("io.cilium.k8s.namespace.labels.team", &["red", "blue"]),
        ]),
        1 => special,
        1 => ruled_out,
    ]
}

fn cidr_rule() -> impl Strategy<Value = CidrRule> {
    let nothing = CidrRule::default;
    prop_oneof![
        2 => block(false).prop_map(move |(net, except)| CidrRule { cidr: Some(net), except, ..nothing() }),
        1 => (select(vec!["g1", "g2", "g3"]), vec(cidr(), 0..2)).prop_map(move |(name, except)| CidrRule {
            cidr_group_ref: Some(name.to_owned()),
            except,
            ..nothing()
        }),
        1 => (label_selector(&[("kind", &["a", "b"])]), vec(cidr(), 0..2)).prop_map(move |(selector, except)| {
            CidrRule { cidr_group_selector: Some(selector), except, ..nothing() }
        }),
    ]
}

/// The peers of one rule: at most one of the kinds, which may not be mixed.
#[derive(Clone, Debug)]
enum Peers {
    Unsaid,
    Endpoints(Vec<LabelSelector>),
    Entities(Vec<String>),
    Nodes(Vec<LabelSelector>),
    Cidrs(Vec<String>),
    CidrSets(Vec<CidrRule>),
    /// Only of destinations.
    Fqdns(Vec<FqdnSelector>),
}

fn peers(extent: Extent) -> impl Strategy<Value = Peers> {
    let entities = vec![
        "all",
        "world",
        "world-ipv4",
        "world-ipv6",
        "cluster",
        "host",
        "remote-node",
        "kube-apiserver",
        "none",
    ];
    prop_oneof![
        2_u32.saturating_add(extent.weight(8)) => Just(Peers::Unsaid),
        5 => vec(peer(), 0..=2).prop_map(Peers::Endpoints),
        2 => vec(select(entities).prop_map(ToOwned::to_owned), 0..=2).prop_map(Peers::Entities),
        1 => vec(label_selector(&[("app", &["a", "b"]), ("node:app", &["a"])]), 0..=1).prop_map(Peers::Nodes),
        2 => vec(cidr(), 0..=2).prop_map(Peers::Cidrs),
        2 => vec(cidr_rule(), 0..=2).prop_map(Peers::CidrSets),
    ]
}

/// The traffic of one rule: ports or ICMP types or neither.
#[derive(Clone, Debug)]
enum Traffic {
    Unsaid,
    Ports(Vec<PortRule>),
    Icmps(Vec<IcmpRule>),
}

/// Whom packets may go to.
fn destinations(extent: Extent) -> impl Strategy<Value = Peers> {
    let fqdns = vec(requests::selector(), 0..=2).prop_map(Peers::Fqdns);
    prop_oneof![2 => peers(extent), extent.weight(1) => fqdns]
}

/// What an element of `toPorts` may be about.
#[derive(Clone, Copy)]
struct Elements {
    extent: Extent,
    /// Whether ports may have names.
    names: bool,
    egress: bool,
}

fn traffic(elements: Elements) -> impl Strategy<Value = Traffic> {
    let names = elements.names;
    let plain = vec(port(names), 1..=2).prop_map(|ports| PortRule { ports, ..PortRule::default() });
    let looking = requests::element(names, elements.egress).boxed();
    let element = prop_oneof![1 => plain, elements.extent.weight(3) => looking.clone()];
    let looking = vec(looking, 1..=2).prop_map(Traffic::Ports);
    let icmp = select(vec![("IPv4", "8"), ("IPv4", "0"), ("IPv4", "EchoRequest"), ("IPv6", "EchoRequest")]);
    let icmp = icmp
        .prop_map(|(family, kind)| IcmpField { family: Some(family.to_owned()), icmp_type: kind.to_owned() });
    prop_oneof![
        2 => Just(Traffic::Unsaid),
        4 => vec(element, 1..=2).prop_map(Traffic::Ports),
        elements.extent.weight(9) => looking,
        1 => vec(icmp, 1..=2).prop_map(|fields| Traffic::Icmps(vec![IcmpRule { fields }])),
    ]
}

fn port(names: bool) -> impl Strategy<Value = PortProtocol> {
    let ports =
        vec![("80", None), ("443", None), ("8000", Some(8100)), ("0", None), ("web", None), ("Web", None)];
    let ports: Vec<_> = ports.into_iter().filter(|(p, _)| names || !p.eq_ignore_ascii_case("web")).collect();
    let protocols = vec![Some("TCP"), Some("UDP"), Some("SCTP"), Some("ANY"), Some("tcp"), None];
    let usual = (select(ports), select(protocols)).prop_map(|((port, end_port), protocol)| PortProtocol {
        port: port.to_owned(),
        end_port,
        protocol: protocol.map(ToOwned::to_owned),
    });
    let gre = PortProtocol { port: "0".to_owned(), end_port: None, protocol: Some("GRE".to_owned()) };
    prop_oneof![12 => usual, 1 => Just(gre)]
}

fn ingress(extent: Extent) -> impl Strategy<Value = IngressRule> {
    (peers(extent), traffic(Elements { extent, names: true, egress: false })).prop_map(|(peers, traffic)| {
        let mut rule = IngressRule::default();
        match peers {
            Peers::Unsaid => {}
            Peers::Endpoints(list) => rule.from_endpoints = Some(list),
            Peers::Entities(list) => rule.from_entities = Some(list),
            Peers::Nodes(list) => rule.from_nodes = Some(list),
            Peers::Cidrs(list) => rule.from_cidr = Some(list),
            Peers::CidrSets(list) => rule.from_cidr_set = Some(list),
            Peers::Fqdns(_) => {}
        }
        match traffic {
            Traffic::Unsaid => {}
            Traffic::Ports(list) => rule.to_ports = Some(list),
            Traffic::Icmps(list) => rule.icmps = Some(list),
        }
        rule
    })
}

fn egress(extent: Extent) -> impl Strategy<Value = EgressRule> {
    let peers_and_traffic = destinations(extent).prop_flat_map(move |peers| {
        let by_address = matches!(peers, Peers::Cidrs(_) | Peers::CidrSets(_) | Peers::Fqdns(_));
        (Just(peers), traffic(Elements { extent, names: !by_address, egress: true }))
    });
    peers_and_traffic.prop_map(|(peers, traffic)| {
        let mut rule = EgressRule::default();
        match peers {
            Peers::Unsaid => {}
            Peers::Endpoints(list) => rule.to_endpoints = Some(list),
            Peers::Entities(list) => rule.to_entities = Some(list),
            Peers::Nodes(list) => rule.to_nodes = Some(list),
            Peers::Cidrs(list) => rule.to_cidr = Some(list),
            Peers::CidrSets(list) => rule.to_cidr_set = Some(list),
            Peers::Fqdns(list) => rule.to_fqdns = Some(list),
        }
        match traffic {
            Traffic::Unsaid => {}
            Traffic::Ports(list) => rule.to_ports = Some(list),
            Traffic::Icmps(list) => rule.icmps = Some(list),
        }
        rule
    })
}

pub fn spec(extent: Extent) -> impl Strategy<Value = Spec> {
    let default_deny = (option::of(any::<bool>()), option::of(any::<bool>()))
        .prop_map(|(ingress, egress)| EnableDefaultDeny { ingress, egress });
    let ingress_deny = option::weighted(0.3, vec(ingress(Extent::Transport), 0..=1));
    let egress_deny = option::weighted(0.3, vec(egress(Extent::Transport), 0..=1));
    (
        subject(extent),
        option::weighted(0.2, default_deny),
        option::weighted(0.7, vec(ingress(extent), 0..=2)),
        ingress_deny,
        option::weighted(0.7, vec(egress(extent), 0..=2)),
        egress_deny,
    )
        .prop_map(|(subject, enable_default_deny, ingress, ingress_deny, egress, egress_deny)| Spec {
            endpoint_selector: Some(subject),
            enable_default_deny,
            ingress,
            ingress_deny,
            egress,
            egress_deny,
            ..Spec::default()
        })
}
