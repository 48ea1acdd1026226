//! Endpoints, nodes and addresses of a world.

use super::NAMESPACES;
use crate::{
    NamedPorts, endpoint_labels,
    rule_set::PeerKind,
    testing::world::{Being, CLUSTER},
};
use ciliate_types::{Identity, Label, Protocol, ReservedIdentity};
use proptest::{collection::vec, option, prelude::*, sample::select};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

pub fn inside() -> impl Strategy<Value = Vec<Being>> {
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

pub fn outside() -> Vec<IpAddr> {
    let texts =
        ["10.9.1.4", "10.9.1.5", "10.9.1.99", "10.9.2.1", "192.0.2.1", "fd09::5", "fd09::9", "2001:db8::1"];
    texts.iter().filter_map(|text| text.parse().ok()).collect()
}
