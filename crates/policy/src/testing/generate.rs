//! Random worlds with few names, so that what is generated meets.

mod requests;

pub use requests::request;

use super::world::{Being, CLUSTER, Packet, World};
use crate::{
    AllowLocalhost, CidrMatchMode, EnforcementMode, NamedPorts, Object, Settings, endpoint_labels,
    object::{
        Metadata,
        cilium::{
            CidrGroupSpec, CidrRule, CiliumCidrGroup, CiliumNetworkPolicy, EgressRule, EnableDefaultDeny,
            IcmpField, IcmpRule, IngressRule, PortProtocol, PortRule, Spec,
        },
        kubernetes::{
            IntOrString, IpBlock, NetworkPolicy, NetworkPolicyEgress, NetworkPolicyIngress,
            NetworkPolicyPeer, NetworkPolicyPort, NetworkPolicySpec,
        },
        l7::FqdnSelector,
        selector::{LabelSelector, MatchExpression},
    },
    rule_set::PeerKind,
};
use ciliate_types::{Identity, Label, Protocol, ReservedIdentity};
use ipnet::IpNet;
use proptest::{collection::vec, option, prelude::*, sample::select};
use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

const NAMESPACES: [&str; 2] = ["one", "two"];
const CIDRS: [&str; 12] = [
    "10.9.0.0/16",
    "10.9.1.0/24",
    "10.9.1.4/30",
    "10.9.1.5/32",
    "10.0.0.0/8",
    "10.0.0.0/30",
    "0.0.0.0/0",
    "::/0",
    "fd09::/16",
    "fd09::4/126",
    "fd00::/16",
    "fd00::2/127",
];

/// How far rules look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// At addresses, identities and ports.
    Transport,
    /// Also at requests and at names of addresses.
    Requests,
}

impl Extent {
    /// How often something comes that only [`Self::Requests`] has.
    fn weight(self, weight: u32) -> u32 {
        match self {
            Self::Transport => 0,
            Self::Requests => weight,
        }
    }
}

/// A world with up to `policies` policies that the kernel alone enforces.
pub fn world(policies: usize) -> impl Strategy<Value = World> {
    world_of(Extent::Transport, policies)
}

/// A world with up to `policies` policies.
pub fn world_of(extent: Extent, policies: usize) -> impl Strategy<Value = World> {
    (settings(), vec(policy(extent), 0..=policies), groups(), inside(), requests::names()).prop_map(
        |(settings, policies, groups, inside, names)| {
            let mut objects: Vec<Object> = groups;
            for (number, mut policy) in policies.into_iter().enumerate() {
                rename(&mut policy, &format!("p{number}"));
                objects.push(policy);
            }
            World { settings, objects, inside, outside: outside(), names }
        },
    )
}

/// Packets that the policies of a world may care about, more of them where proxies look inside.
pub fn packet_of(extent: Extent) -> impl Strategy<Value = Packet> {
    let inside = (select(vec![Protocol::TCP, Protocol::TCP, Protocol::UDP]), select(vec![80_u16, 443, 8050]));
    let inside = inside.prop_map(|(protocol, port)| Packet { protocol, port });
    prop_oneof![1 => packet(), extent.weight(4) => inside]
}

/// Packets that the policies of a world may care about.
pub fn packet() -> impl Strategy<Value = Packet> {
    let transport = select(vec![Protocol::TCP, Protocol::UDP, Protocol::SCTP]);
    let ports = select(vec![9_u16, 80, 81, 443, 8000, 8050, 8100, 8101]);
    let icmp = select(vec![
        (Protocol::ICMP, 0),
        (Protocol::ICMP, 8),
        (Protocol::ICMPV6, 0),
        (Protocol::ICMPV6, 128),
    ]);
    let packet = |(protocol, port)| Packet { protocol, port };
    prop_oneof![
        6 => (transport, ports).prop_map(packet),
        2 => icmp.prop_map(packet),
        1 => Just(Packet { protocol: Protocol::new(47), port: 0 }),
    ]
}

/// One policy of any kind, named `p`.
pub fn policy(extent: Extent) -> impl Strategy<Value = Object> {
    let namespace = || select(NAMESPACES.as_slice());
    prop_oneof![
        3 => (namespace(), vec(spec(extent), 1..=2)).prop_map(|(namespace, specs)| {
            Object::CiliumNetworkPolicy(cilium_policy(Some(namespace), specs))
        }),
        2 => vec(spec(extent), 1..=2).prop_map(|specs| Object::CiliumClusterwideNetworkPolicy(cilium_policy(None, specs))),
        2 => (namespace(), network_policy()).prop_map(|(namespace, spec)| {
            Object::NetworkPolicy(NetworkPolicy { metadata: metadata(Some(namespace)), spec })
        }),
    ]
}

/// Another group with one of the names that policies refer to.
pub fn group() -> impl Strategy<Value = Object> {
    (select(vec!["g1", "g2"]), select(vec!["a", "b"]), vec(cidr(), 0..3)).prop_map(|(name, kind, nets)| {
        let mut metadata = metadata(None);
        metadata.name = name.to_owned();
        metadata.labels = [("kind".to_owned(), kind.to_owned())].into();
        Object::CiliumCidrGroup(CiliumCidrGroup { metadata, spec: CidrGroupSpec { external_cidrs: nets } })
    })
}

fn groups() -> impl Strategy<Value = Vec<Object>> {
    vec(group(), 0..3).prop_map(|groups| {
        let by_name: BTreeMap<_, _> =
            groups.into_iter().map(|group| (group.name().to_owned(), group)).collect();
        by_name.into_values().collect()
    })
}

fn rename(object: &mut Object, name: &str) {
    match object {
        Object::CiliumNetworkPolicy(policy) | Object::CiliumClusterwideNetworkPolicy(policy) => {
            policy.metadata.name = name.to_owned();
        }
        Object::NetworkPolicy(policy) => policy.metadata.name = name.to_owned(),
        Object::CiliumCidrGroup(_) | Object::Namespace(_) | Object::Secret(_) => {}
    }
}

fn metadata(namespace: Option<&str>) -> Metadata {
    Metadata { name: "p".to_owned(), namespace: namespace.map(ToOwned::to_owned), ..Metadata::default() }
}

fn cilium_policy(namespace: Option<&str>, mut specs: Vec<Spec>) -> CiliumNetworkPolicy {
    let spec = specs.pop();
    let specs = (!specs.is_empty()).then_some(specs);
    CiliumNetworkPolicy { metadata: metadata(namespace), spec, specs }
}

fn settings() -> impl Strategy<Value = Settings> {
    let enforcement = prop_oneof![
        6 => Just(EnforcementMode::Default),
        2 => Just(EnforcementMode::Always),
        1 => Just(EnforcementMode::Never),
    ];
    let localhost = select(vec![AllowLocalhost::Always, AllowLocalhost::Policy]);
    (enforcement, localhost, any::<bool>(), any::<bool>()).prop_map(
        |(enforcement, allow_localhost, nodes, endpoints)| Settings {
            enforcement,
            allow_localhost,
            cidr_match_mode: CidrMatchMode { nodes, endpoints },
            cluster_name: CLUSTER.to_owned(),
        },
    )
}

fn inside() -> impl Strategy<Value = Vec<Being>> {
    let one = (
        select(NAMESPACES.as_slice()),
        select(vec!["a", "b", "c"]),
        option::of(select(vec!["x", "y"])),
        select(vec![0_u16, 80, 8080, 8050]),
        any::<bool>(),
    );
    vec(one, 1..=5).prop_map(|endpoints| {
        let mut beings: Vec<_> =
            (1_u16..).zip(endpoints).map(|(number, parts)| endpoint(number, parts)).collect();
        beings.extend(nodes());
        beings
    })
}

fn endpoint(number: u16, parts: (&str, &str, Option<&str>, u16, bool)) -> Being {
    let (namespace, app, tier, web, v4) = parts;
    let mut user: Vec<_> =
        vec![Label::new("k8s", "app", app), Label::new("k8s", "name", &number.to_string())];
    user.extend(tier.map(|tier| Label::new("container", "tier", tier)));
    let team = [("team".to_owned(), if namespace == "one" { "red" } else { "blue" }.to_owned())].into();
    let labels = endpoint_labels(&user.into_iter().collect(), namespace, &team, None, CLUSTER);
    let named_ports = match web {
        0 => NamedPorts::new(),
        port => [(("web".to_owned(), Protocol::TCP), [port].into())].into(),
    };
    let address = match v4 {
        true => IpAddr::from(Ipv4Addr::new(10, 0, 0, u8::try_from(number).unwrap_or(u8::MAX))),
        false => IpAddr::from(Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, number)),
    };
    let identity = Identity::new(255_u32.saturating_add(number.into()));
    Being { kind: PeerKind::Endpoint, identity, labels, address, named_ports }
}

fn nodes() -> [Being; 3] {
    use ReservedIdentity as R;
    let node = |identity: R, address: Ipv4Addr, labels: Vec<Label>| Being {
        kind: PeerKind::Node,
        identity: identity.into(),
        labels: labels.into_iter().chain([Label::reserved(identity)]).collect(),
        address: address.into(),
        named_ports: NamedPorts::new(),
    };
    [
        node(R::Host, Ipv4Addr::new(10, 0, 0, 254), Vec::new()),
        node(R::RemoteNode, Ipv4Addr::new(10, 9, 1, 5), vec![Label::new("node", "app", "a")]),
        node(R::KubeApiserver, Ipv4Addr::new(10, 9, 1, 6), Vec::new()),
    ]
}

fn outside() -> Vec<IpAddr> {
    let texts =
        ["10.9.1.4", "10.9.1.5", "10.9.1.99", "10.9.2.1", "192.0.2.1", "fd09::5", "fd09::9", "2001:db8::1"];
    texts.iter().filter_map(|text| text.parse().ok()).collect()
}

fn label_selector(
    keys: &'static [(&'static str, &'static [&'static str])],
) -> impl Strategy<Value = LabelSelector> {
    let pair = || select(keys).prop_flat_map(|(key, values)| (Just(key.to_owned()), select(values)));
    let expression = (select(keys), 0..4_usize, any::<prop::sample::Index>(), any::<bool>()).prop_map(
        |((key, values), operator, index, both)| {
            let chosen = if both { values.to_vec() } else { vec![*index.get(values)] };
            let (operator, takes) =
                [("In", true), ("NotIn", true), ("Exists", false), ("DoesNotExist", false)]
                    .get(operator)
                    .copied()
                    .unwrap_or(("Exists", false));
            let values = if takes { chosen.into_iter().map(ToOwned::to_owned).collect() } else { Vec::new() };
            MatchExpression { key: (*key).to_owned(), operator: operator.to_owned(), values }
        },
    );
    (vec(pair(), 0..=2), vec(expression, 0..=1)).prop_map(|(labels, match_expressions)| LabelSelector {
        match_labels: labels.into_iter().map(|(key, value)| (key, value.to_owned())).collect(),
        match_expressions,
    })
}

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

fn cidr() -> impl Strategy<Value = String> {
    select(CIDRS.as_slice()).prop_map(ToOwned::to_owned)
}

/// A prefix with some of its parts as exceptions. `strict` leaves out the prefix itself.
fn block(strict: bool) -> impl Strategy<Value = (String, Vec<String>)> {
    (cidr(), vec(any::<prop::sample::Index>(), 0..3)).prop_map(move |(net, picks)| {
        let outer: Option<IpNet> = net.parse().ok();
        let part = |text: &&str| {
            let inner: Option<IpNet> = text.parse().ok();
            outer.zip(inner).is_some_and(|(o, i)| o.contains(&i) && (!strict || o != i))
        };
        let parts: Vec<&str> = CIDRS.into_iter().filter(part).collect();
        let except = picks.iter().filter(|_| !parts.is_empty()).map(|pick| (*pick.get(&parts)).to_owned());
        (net, except.collect())
    })
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

fn spec(extent: Extent) -> impl Strategy<Value = Spec> {
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

fn network_policy() -> impl Strategy<Value = NetworkPolicySpec> {
    let pods = || label_selector(&[("app", &["a", "b", "c"]), ("nope", &["n"])]);
    let namespaces = label_selector(&[("team", &["red", "blue"]), ("kubernetes.io/metadata.name", &["one"])]);
    let selectors = (option::of(pods()), option::of(namespaces)).prop_map(|(pods, namespaces)| {
        let unsaid = pods.is_none() && namespaces.is_none();
        NetworkPolicyPeer {
            pod_selector: if unsaid { Some(LabelSelector::default()) } else { pods },
            namespace_selector: namespaces,
            ip_block: None,
        }
    });
    let blocks = block(true).prop_map(|(cidr, except)| NetworkPolicyPeer {
        ip_block: Some(IpBlock { cidr, except }),
        ..NetworkPolicyPeer::default()
    });
    let peers = vec(prop_oneof![2 => selectors, 1 => blocks], 0..=2);
    let numbers = || {
        let ports = vec![(None, None), (Some(80), None), (Some(8000), Some(8100))];
        (select(ports), option::of(select(vec!["TCP", "UDP", "SCTP"]))).prop_map(
            |((port, end_port), protocol)| {
                let port = port.map(IntOrString::Int);
                NetworkPolicyPort { protocol: protocol.map(ToOwned::to_owned), port, end_port }
            },
        )
    };
    let name = NetworkPolicyPort {
        port: Some(IntOrString::String("web".to_owned())),
        ..NetworkPolicyPort::default()
    };
    let rule = (peers, vec(prop_oneof![4 => numbers(), 1 => Just(name)], 0..=2));
    let types = select(vec![vec![], vec!["Ingress"], vec!["Egress"], vec!["Ingress", "Egress"]]);
    (pods(), vec(rule.clone(), 0..=2), vec(rule, 0..=2), types).prop_map(|(pods, ingress, egress, types)| {
        let has_block = |peers: &[NetworkPolicyPeer]| peers.iter().any(|peer| peer.ip_block.is_some());
        let egress = egress.into_iter().map(|(to, mut ports)| {
            if has_block(&to) {
                // Refused on the way out: addresses have no names for their ports.
                ports.retain(|port| !matches!(port.port, Some(IntOrString::String(_))));
            }
            NetworkPolicyEgress { to, ports }
        });
        NetworkPolicySpec {
            pod_selector: pods,
            ingress: ingress.into_iter().map(|(from, ports)| NetworkPolicyIngress { from, ports }).collect(),
            egress: egress.collect(),
            policy_types: types.into_iter().map(ToOwned::to_owned).collect(),
        }
    })
}
