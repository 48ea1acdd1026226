//! The policies that measurements run under.

use serde_json::{Value, json};

/// Isolates client and server and lets exactly the measurements through.
pub fn both_ends(client: &str, server: &str) -> Value {
    let ports = json!([{"ports": [{"port": "5300", "endPort": 5399, "protocol": "ANY"}]}]);
    json!({
        "apiVersion": "cilium.io/v2", "kind": "CiliumNetworkPolicy", "metadata": {"name": "measurement"},
        "specs": [
            {"endpointSelector": {"matchLabels": {"app": server}},
             "ingress": [{"fromEndpoints": [{"matchLabels": {"app": client}}], "toPorts": ports}]},
            {"endpointSelector": {"matchLabels": {"app": client}},
             "egress": [{"toEndpoints": [{"matchLabels": {"app": server}}], "toPorts": ports}]},
        ],
    })
}

/// A policy of the crowd: ten or eleven prefixes, so that 999 of them make 10,000.
pub fn crowd(selected: &str) -> impl Iterator<Item = Value> {
    (0..999).map(move |number| of_the_crowd(selected, number))
}

fn of_the_crowd(selected: &str, number: u16) -> Value {
    let prefixes = if number < 10 { 11_u16 } else { 10 };
    let first = number.saturating_mul(10).saturating_add(number.min(10));
    let cidrs: Vec<String> = (0..prefixes)
        .map(|step| {
            let [high, low] = first.saturating_add(step).to_be_bytes();
            format!("192.{}.{low}.0/24", high.saturating_add(100))
        })
        .collect();
    json!({
        "apiVersion": "cilium.io/v2", "kind": "CiliumNetworkPolicy", "metadata": {"name": format!("crowd-{number}")},
        "spec": {
            "endpointSelector": {"matchLabels": {"app": selected}},
            "ingress": [{"fromCIDR": cidrs, "toPorts": [{"ports": [{"port": "80", "protocol": "TCP"}]}]}],
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn the_crowd_has_ten_thousand_prefixes() {
        let mut prefixes = BTreeSet::new();
        for policy in crowd("server") {
            for cidr in policy["spec"]["ingress"][0]["fromCIDR"].as_array().expect("a list") {
                assert!(prefixes.insert(cidr.as_str().expect("text").to_owned()), "{cidr} comes twice");
            }
        }
        assert_eq!(prefixes.len(), 10_000);
    }
}
