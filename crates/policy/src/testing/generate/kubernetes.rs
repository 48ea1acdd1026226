//! Policies of Kubernetes.

use super::peers::{block, label_selector};
use crate::object::{
    kubernetes::{
        IntOrString, IpBlock, NetworkPolicyEgress, NetworkPolicyIngress, NetworkPolicyPeer,
        NetworkPolicyPort, NetworkPolicySpec,
    },
    selector::LabelSelector,
};
use proptest::{collection::vec, option, prelude::*, sample::select};

pub fn network_policy() -> impl Strategy<Value = NetworkPolicySpec> {
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
