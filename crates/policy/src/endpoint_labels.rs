//! The labels that endpoints and prefixes have.

use crate::selector::label_key;
use ciliate_types::{
    CLUSTER_KEY, Label, Labels, NAMESPACE_KEY, NAMESPACE_LABELS_PREFIX, ReservedIdentity,
    SERVICE_ACCOUNT_KEY, source,
};
use ipnet::IpNet;
use std::collections::BTreeMap;

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
    fn a_prefix_is_part_of_the_world() {
        let labels = prefix_labels(&"fd00::/8".parse().unwrap());
        assert_eq!(labels.to_string(), "cidr:fd00--0/8,reserved:world-ipv6");
    }
}
