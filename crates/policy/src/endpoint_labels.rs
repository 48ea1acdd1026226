//! The labels that endpoints and prefixes have.

use crate::selector::label_key;
use ciliate_types::{
    CLUSTER_KEY, Label, Labels, NAMESPACE_KEY, NAMESPACE_LABELS_PREFIX, NamePattern, ReservedIdentity,
    SERVICE_ACCOUNT_KEY, source,
};
use ipnet::IpNet;
use std::{collections::BTreeMap, net::IpAddr};

/// Every namespace has this label with its name, as in Kubernetes, whether or not there is an object for it.
const NAMESPACE_NAME_KEY: &str = "kubernetes.io/metadata.name";

/// The labels of an endpoint: the user's, and those that follow from where it lives.
///
/// `namespace_labels` are those of the Namespace object; empty if there is none. A label that follows from
/// the place cannot be overridden by the user.
#[must_use]
pub fn endpoint_labels(
    user: &Labels,
    namespace: &str,
    namespace_labels: &BTreeMap<String, String>,
    service_account: Option<&str>,
    cluster: &str,
) -> Labels {
    let mut labels = user.clone();
    let mut place = |key: &str, value: &str| labels.insert(Label::new(source::K8S, key, value));
    for (key, value) in namespace_labels {
        place(&format!("{NAMESPACE_LABELS_PREFIX}{key}"), value);
    }
    place(&format!("{NAMESPACE_LABELS_PREFIX}{NAMESPACE_NAME_KEY}"), namespace);
    place(NAMESPACE_KEY, namespace);
    place(CLUSTER_KEY, cluster);
    if let Some(account) = service_account {
        place(SERVICE_ACCOUNT_KEY, account);
    }
    labels
}

/// The labels of the identity that stands for an address prefix.
#[must_use]
pub fn prefix_labels(net: &IpNet) -> Labels {
    [Label::new(source::CIDR, &label_key(net), ""), Label::reserved(world_of(net))].into_iter().collect()
}

/// The labels of the identity of an address outside of the cluster that was found under names of these patterns.
///
/// `covering` is the longest of the engine's prefixes around the address ([`crate::Engine::covering_prefix`]): the address has
/// a row of its own in the kernel then, which hides that of the prefix, so its identity has to have the labels of both for rules
/// about addresses to hold. When prefixes come or go ([`crate::Effect`]), the labels have to be computed again, before rule sets
/// that follow from the change are used. Addresses with equal labels share an identity: one for every set of patterns, family and
/// covering prefix, whatever their number.
#[must_use]
pub fn fqdn_labels<'a>(
    patterns: impl IntoIterator<Item = &'a NamePattern>,
    address: IpAddr,
    covering: Option<IpNet>,
) -> Labels {
    let around = covering.map_or_else(|| world_labels(address), |net| prefix_labels(&net));
    let names = patterns.into_iter().map(|pattern| Label::new(source::FQDN, pattern.as_str(), ""));
    around.iter().cloned().chain(names).collect()
}

/// The labels of an address that no rule names.
#[must_use]
pub fn world_labels(address: IpAddr) -> Labels {
    [Label::reserved(world_of(&address.into()))].into_iter().collect()
}

/// The world that the addresses of a prefix are part of.
#[must_use]
pub fn world_of(net: &IpNet) -> ReservedIdentity {
    match net {
        IpNet::V4(_) => ReservedIdentity::WorldIpv4,
        IpNet::V6(_) => ReservedIdentity::WorldIpv6,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_has_the_labels_of_its_place() {
        let user = [Label::new(source::K8S, "app", "web"), Label::new(source::K8S, NAMESPACE_KEY, "lie")];
        let labels = endpoint_labels(
            &user.into_iter().collect(),
            "prod",
            &[("team".to_owned(), "a".to_owned())].into(),
            Some("robot"),
            "blue",
        );
        assert_eq!(
            labels.to_string(),
            "k8s:app=web,k8s:io.cilium.k8s.namespace.labels.kubernetes.io/metadata.name=prod,\
             k8s:io.cilium.k8s.namespace.labels.team=a,k8s:io.cilium.k8s.policy.cluster=blue,\
             k8s:io.cilium.k8s.policy.serviceaccount=robot,k8s:io.kubernetes.pod.namespace=prod"
        );
    }

    #[test]
    fn an_address_has_its_names_and_its_prefix() {
        let patterns = ["*.twitter.com", "api.twitter.com"].map(|text| match text.contains('*') {
            true => NamePattern::MatchPattern(text.parse().unwrap()),
            false => NamePattern::MatchName(text.parse().unwrap()),
        });
        for (address, covering, labels) in [
            ("192.0.2.1", None, "reserved:world-ipv4"),
            ("2001:db8::1", None, "reserved:world-ipv6"),
            ("192.0.2.1", Some("192.0.2.0/24"), "cidr:192.0.2.0/24,reserved:world-ipv4"),
        ] {
            let covering = covering.map(|net| net.parse().unwrap());
            let found: Vec<_> = fqdn_labels(&patterns, address.parse().unwrap(), covering)
                .iter()
                .map(ToString::to_string)
                .filter(|label| !label.starts_with("fqdn:"))
                .collect();
            assert_eq!(found.join(","), labels);
            let all = fqdn_labels(&patterns, address.parse().unwrap(), covering);
            assert!(all.has(source::FQDN, "*.twitter.com") && all.has(source::FQDN, "api.twitter.com"));
        }
    }

    #[test]
    fn a_prefix_is_part_of_the_world() {
        let labels = prefix_labels(&"fd00::/8".parse().unwrap());
        assert_eq!(labels.to_string(), "cidr:fd00--0/8,reserved:world-ipv6");
    }
}
