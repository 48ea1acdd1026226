//! Random worlds with few names, so that what is generated meets.

mod beings;
mod cilium;
mod kubernetes;
mod peers;
mod requests;

pub use requests::request;

use super::world::{CLUSTER, Packet, World};
use crate::{
    AllowLocalhost, CidrMatchMode, EnforcementMode, Object, Settings,
    object::{
        Metadata,
        cilium::{CidrGroupSpec, CiliumCidrGroup, CiliumNetworkPolicy, Spec},
        kubernetes::NetworkPolicy,
    },
};
use ciliate_types::Protocol;
use proptest::{collection::vec, prelude::*, sample::select};
use std::collections::BTreeMap;

const NAMESPACES: [&str; 2] = ["one", "two"];

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

/// A world with up to `policies` policies.
pub fn world_of(extent: Extent, policies: usize) -> impl Strategy<Value = World> {
    (settings(), vec(policy(extent), 0..=policies), groups(), beings::inside(), requests::names()).prop_map(
        |(settings, policies, groups, inside, names)| {
            let mut objects: Vec<Object> = groups;
            for (number, mut policy) in policies.into_iter().enumerate() {
                rename(&mut policy, &format!("p{number}"));
                objects.push(policy);
            }
            World { settings, objects, inside, outside: beings::outside(), names }
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
fn packet() -> impl Strategy<Value = Packet> {
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
        3 => (namespace(), vec(cilium::spec(extent), 1..=2)).prop_map(|(namespace, specs)| {
            Object::CiliumNetworkPolicy(cilium_policy(Some(namespace), specs))
        }),
        2 => vec(cilium::spec(extent), 1..=2).prop_map(|specs| Object::CiliumClusterwideNetworkPolicy(cilium_policy(None, specs))),
        2 => (namespace(), kubernetes::network_policy()).prop_map(|(namespace, spec)| {
            Object::NetworkPolicy(NetworkPolicy { metadata: metadata(Some(namespace)), spec })
        }),
    ]
}

/// Another group with one of the names that policies refer to.
pub fn group() -> impl Strategy<Value = Object> {
    (select(vec!["g1", "g2"]), select(vec!["a", "b"]), vec(peers::cidr(), 0..3)).prop_map(
        |(name, kind, nets)| {
            let mut metadata = metadata(None);
            metadata.name = name.to_owned();
            metadata.labels = [("kind".to_owned(), kind.to_owned())].into();
            Object::CiliumCidrGroup(CiliumCidrGroup {
                metadata,
                spec: CidrGroupSpec { external_cidrs: nets },
            })
        },
    )
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
