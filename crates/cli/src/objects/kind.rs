//! How kinds are called on the command line and in tables.

use ciliate_policy::Kind;

/// Reads `cnp`, `networkpolicies`, `CiliumCIDRGroup`, …
pub fn kind(text: &str) -> Result<Kind, String> {
    text.parse().map_err(|_| {
        let known: Vec<String> = Kind::ALL.iter().map(|k| format!("{} ({})", k.short(), k)).collect();
        format!("{text:?} is no kind of object: write one of {}", known.join(", "))
    })
}

/// `ciliumnetworkpolicy.cilium.io`, or `namespace` for kinds without a group.
pub fn full_name(kind: &str) -> String {
    let lower = kind.to_lowercase();
    let group =
        kind.parse::<Kind>().ok().and_then(|k| k.api_version().split_once('/')).map(|(group, _)| group);
    match group {
        Some(group) => format!("{lower}.{group}"),
        None => lower,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_have_their_group() {
        assert_eq!(full_name("CiliumNetworkPolicy"), "ciliumnetworkpolicy.cilium.io");
        assert_eq!(full_name("NetworkPolicy"), "networkpolicy.networking.k8s.io");
        assert_eq!(full_name("Namespace"), "namespace");
    }

    #[test]
    fn kinds_are_read_in_every_form() {
        for text in
            ["cnp", "CiliumNetworkPolicy", "ciliumnetworkpolicies", "netpol", "ns", "namespaces", "ccg"]
        {
            assert!(kind(text).is_ok(), "{text}");
        }
        assert!(kind("pod").is_err_and(|e| e.contains("cnp (CiliumNetworkPolicy)")));
    }
}
