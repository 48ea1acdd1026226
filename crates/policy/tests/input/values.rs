//! Values of fields, each of which has a form.

use crate::{CNP, check};

/// The only fault of a policy with this rule, for what comes in.
fn check_rule(rule: &str, field: &str, message: &str) {
    let field =
        if field.is_empty() { "spec.ingress[0]".to_owned() } else { format!("spec.ingress[0].{field}") };
    check(CNP, &format!("{{endpointSelector: {{}}, ingress: [{{{rule}}}]}}"), &field, message);
}

#[test]
fn peers_have_a_form_and_are_of_one_kind() {
    for (rule, field, message) in [
        ("fromCIDR: 10.0.0.0/8", "fromCIDR", "wants a list, not \"10.0.0.0/8\""),
        ("fromCIDRSet: [{cidr: 10.0.0.1}]", "fromCIDRSet[0].cidr", "not an address prefix"),
        (
            "fromCIDRSet: [{cidr: 10.0.0.0/8, except: [11.0.0.0/9]}]",
            "fromCIDRSet[0].except[0]",
            "does not lie within",
        ),
        (
            "fromCIDRSet: [{cidr: 10.0.0.0/8, except: ['fd00::/8']}]",
            "fromCIDRSet[0].except[0]",
            "does not lie within",
        ),
        ("fromCIDRSet: [{cidr: 10.0.0.0/8, cidrGroupRef: g}]", "fromCIDRSet[0]", "exactly one of"),
        ("fromCIDRSet: [{}]", "fromCIDRSet[0]", "exactly one of"),
        ("fromCIDRSet: [{cidrGroupRef: 'A b'}]", "fromCIDRSet[0].cidrGroupRef", "not a name"),
        ("fromEntities: [moon]", "fromEntities[0]", "kube-apiserver"),
        ("fromEntities: [world], fromEndpoints: [{}]", "", "cannot stand in one rule"),
        ("fromCIDR: [10.0.0.0/8], fromCIDRSet: [{cidr: 10.0.0.0/8}]", "", "write two rules"),
    ] {
        check_rule(rule, field, message);
    }
}

#[test]
fn icmp_types_are_numbers_or_names() {
    for (rule, field, message) in [
        (
            "icmps: [{fields: [{type: 8}]}], toPorts: [{ports: [{port: '80'}]}]",
            "icmps",
            "cannot stand beside toPorts",
        ),
        ("icmps: [{fields: [{type: 256}]}]", "icmps[0].fields[0].type", "0 to 255"),
        ("icmps: [{fields: [{type: Ping}]}]", "icmps[0].fields[0].type", "EchoRequest"),
        ("icmps: [{fields: [{type: 8, family: IPv5}]}]", "icmps[0].fields[0].family", "IPv4 or IPv6"),
        ("icmps: [{fields: []}]", "icmps[0].fields", "names no type"),
    ] {
        check_rule(rule, field, message);
    }
}

#[test]
fn ports_are_numbers_or_names_and_ranges_are_in_order() {
    for (rule, field, message) in [
        ("toPorts: [{}]", "toPorts[0].ports", "names no port"),
        ("toPorts: [{ports: [{}]}]", "toPorts[0].ports[0].port", "is missing"),
        ("toPorts: [{ports: [{port: '65536'}]}]", "toPorts[0].ports[0].port", "1 to 65535"),
        ("toPorts: [{ports: [{port: '-1'}]}]", "toPorts[0].ports[0].port", "1 to 65535"),
        ("toPorts: [{ports: [{port: '080'}]}]", "toPorts[0].ports[0].port", "1 to 65535"),
        ("toPorts: [{ports: [{port: a-much-too-long-name}]}]", "toPorts[0].ports[0].port", "at most 15"),
        ("toPorts: [{ports: [{port: '80', endPort: 79}]}]", "toPorts[0].ports[0].endPort", "lies below"),
        ("toPorts: [{ports: [{port: '80', endPort: 70000}]}]", "toPorts[0].ports[0].endPort", "1 to 65535"),
        (
            "toPorts: [{ports: [{port: '80', endPort: '90'}]}]",
            "toPorts[0].ports[0].endPort",
            "without quotes",
        ),
        (
            "toPorts: [{ports: [{port: '0', endPort: 90}]}]",
            "toPorts[0].ports[0].endPort",
            "leave endPort out",
        ),
        ("toPorts: [{ports: [{port: http, endPort: 90}]}]", "toPorts[0].ports[0].endPort", "not a name"),
        ("toPorts: [{ports: [{port: '80', protocol: ICMP}]}]", "toPorts[0].ports[0].protocol", "under icmps"),
        ("toPorts: [{ports: [{port: '80', protocol: GRE}]}]", "toPorts[0].ports[0].port", "no ports"),
    ] {
        check_rule(rule, field, message);
    }
}

#[test]
fn labels_and_what_is_asked_of_them_have_a_form() {
    for (rule, field, message) in [
        ("fromEndpoints: {}", "fromEndpoints", "wants a list"),
        ("fromEndpoints: [{matchLabels: [a]}]", "fromEndpoints[0].matchLabels", "wants a mapping"),
        ("fromEndpoints: [{matchLabels: {a: [b]}}]", "fromEndpoints[0].matchLabels.a", "wants a text"),
        ("fromEndpoints: [{matchLabels: {a b: c}}]", "fromEndpoints[0].matchLabels[a b]", "not a label key"),
        ("fromEndpoints: [{matchLabels: {a: 'b c'}}]", "fromEndpoints[0].matchLabels.a", "not a label value"),
        (
            "fromEndpoints: [{matchLabels: {'k8:a': b}}]",
            "fromEndpoints[0].matchLabels[k8:a]",
            "source \"k8\" is unknown",
        ),
        (
            "fromEndpoints: [{matchLabels: {'reserved:moon': ''}}]",
            "fromEndpoints[0].matchLabels[reserved:moon]",
            "remote-node",
        ),
        (
            "fromEndpoints: [{matchLabels: {'cidr:x': ''}}]",
            "fromEndpoints[0].matchLabels[cidr:x]",
            "not an address prefix",
        ),
        (
            "fromEndpoints: [{matchExpressions: [{key: 'cidr:10.0.0.0/8', operator: DoesNotExist}]}]",
            "fromEndpoints[0].matchExpressions[0].key",
            "except",
        ),
        (
            "fromEndpoints: [{matchExpressions: [{key: a, operator: Is}]}]",
            "fromEndpoints[0].matchExpressions[0].operator",
            "DoesNotExist",
        ),
        (
            "fromEndpoints: [{matchExpressions: [{key: a, operator: In}]}]",
            "fromEndpoints[0].matchExpressions[0].values",
            "at least one",
        ),
        (
            "fromEndpoints: [{matchExpressions: [{key: a, operator: Exists, values: [b]}]}]",
            "fromEndpoints[0].matchExpressions[0].values",
            "no values",
        ),
    ] {
        check_rule(rule, field, message);
    }
}

#[test]
fn a_spec_says_for_whom_it_is_and_what_is_denied() {
    for (spec, field, message) in [
        ("{ingress: [{}]}", "spec.endpointSelector", "is missing"),
        (
            "{endpointSelector: {matchLabels: {io.kubernetes.pod.namespace: x}}}",
            "spec.endpointSelector",
            "its namespace",
        ),
        (
            "{endpointSelector: {}, enableDefaultDeny: {ingress: yes}}",
            "spec.enableDefaultDeny.ingress",
            "true or false",
        ),
        (
            "{endpointSelector: {}, egress: [{toCIDR: [10.0.0.0/8], toPorts: [{ports: [{port: http}]}]}]}",
            "spec.egress[0].toPorts",
            "write port numbers",
        ),
        ("[]", "spec", "wants a mapping"),
        ("", "spec", "is missing"),
    ] {
        check(CNP, spec, field, message);
    }
}

#[test]
fn network_policies_have_values_of_their_own() {
    let netpol = "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: p}\n";
    for (spec, field, message) in [
        ("{policyTypes: [Both]}", "spec.policyTypes[0]", "Ingress or Egress"),
        ("{ingress: [{from: [{}]}]}", "spec.ingress[0].from[0]", "names no peer"),
        (
            "{ingress: [{from: [{ipBlock: {cidr: 10.0.0.0/8}, podSelector: {}}]}]}",
            "spec.ingress[0].from[0].ipBlock",
            "beside",
        ),
        (
            "{ingress: [{from: [{ipBlock: {cidr: 10.0.0.0/8, except: [10.0.0.0/8]}}]}]}",
            "spec.ingress[0].from[0].ipBlock.except[0]",
            "does not lie",
        ),
        ("{ingress: [{ports: [{port: 0}]}]}", "spec.ingress[0].ports[0].port", "1 to 65535"),
        ("{ingress: [{ports: [{port: '80'}]}]}", "spec.ingress[0].ports[0].port", "not a port"),
        ("{ingress: [{ports: [{endPort: 80}]}]}", "spec.ingress[0].ports[0].endPort", "needs a port"),
        ("{ingress: [{ports: [{port: 80, protocol: ANY}]}]}", "spec.ingress[0].ports[0].protocol", "SCTP"),
        (
            "{egress: [{to: [{ipBlock: {cidr: 10.0.0.0/8}}], ports: [{port: http}]}]}",
            "spec.egress[0].ports",
            "no names",
        ),
        (
            "{podSelector: {matchLabels: {'k8s:a': b}}}",
            "spec.podSelector.matchLabels[k8s:a]",
            "not a label key",
        ),
    ] {
        check(netpol, spec, field, message);
    }
}
