//! The fields of every kind of object, and those that are refused.

use super::{
    decode::{Decode, Fields, fields},
    node::{Content, Node},
    path::Problems,
};
use crate::object::{
    Metadata,
    cilium::{
        CidrGroupSpec, CidrRule, CiliumCidrGroup, CiliumNetworkPolicy, EgressRule, EnableDefaultDeny,
        IcmpField, IcmpRule, IngressRule, Log, PortProtocol, PortRule, RuleLabel, Spec,
    },
    kubernetes::{
        IntOrString, IpBlock, Namespace, NetworkPolicy, NetworkPolicyEgress, NetworkPolicyIngress,
        NetworkPolicyPeer, NetworkPolicyPort, NetworkPolicySpec, Secret,
    },
    l7::{FqdnSelector, HeaderMatch, HttpRule, KafkaRule, L7Rules, Secret as SecretRef},
    selector::{LabelSelector, MatchExpression},
};
use ciliate_types::{Concealed, Label, source};
use std::collections::BTreeMap;

const LATER: &str =
    "is not supported yet: a policy that has it would not be enforced as written, so it is refused";
const GENERIC: &str =
    "is for parsers that are loaded into another proxy, which has none here: write http, kafka or dns rules";
const REMOVED: &str = "was removed: write the labels into fromEndpoints or toEndpoints";

/// Decodes a struct by its fields.
macro_rules! decode {
    ($type:ident, |$f:ident, $p:ident| $body:expr) => {
        impl Decode for $type {
            fn decode(node: &Node, problems: &mut Problems) -> Self {
                fields(node, problems, |$f, $p| $body)
            }
        }
    };
}

/// The fields around `spec` that every object has.
fn envelope(f: &mut Fields<'_>, p: &mut Problems) -> Metadata {
    f.skip(&["apiVersion", "kind", "status"]);
    f.required("metadata", p)
}

decode!(Metadata, |f, p| {
    f.skip(&[
        "uid",
        "resourceVersion",
        "generation",
        "creationTimestamp",
        "managedFields",
        "ownerReferences",
    ]);
    f.skip(&["finalizers", "deletionTimestamp", "deletionGracePeriodSeconds", "selfLink"]);
    f.refuse(&["generateName"], "is not supported: write a name", p);
    Self {
        name: f.required("name", p),
        namespace: f.optional("namespace", p),
        labels: f.or_default("labels", p),
        annotations: f.or_default("annotations", p),
    }
});

decode!(CiliumNetworkPolicy, |f, p| Self {
    metadata: envelope(f, p),
    spec: f.optional("spec", p),
    specs: f.optional("specs", p),
});

decode!(Spec, |f, p| {
    f.refuse(&["nodeSelector"], LATER, p);
    Self {
        description: f.optional("description", p),
        endpoint_selector: f.optional("endpointSelector", p),
        enable_default_deny: f.optional("enableDefaultDeny", p),
        ingress: f.optional("ingress", p),
        ingress_deny: f.optional("ingressDeny", p),
        egress: f.optional("egress", p),
        egress_deny: f.optional("egressDeny", p),
        labels: f.or_default("labels", p),
        log: f.optional("log", p),
    }
});

decode!(EnableDefaultDeny, |f, p| Self {
    ingress: f.optional("ingress", p),
    egress: f.optional("egress", p)
});

decode!(Log, |f, p| Self { value: f.or_default("value", p) });

decode!(IngressRule, |f, p| {
    f.refuse(&["fromGroups", "authentication"], LATER, p);
    f.refuse(&["fromRequires"], REMOVED, p);
    Self {
        from_endpoints: f.optional("fromEndpoints", p),
        from_entities: f.optional("fromEntities", p),
        from_nodes: f.optional("fromNodes", p),
        from_cidr: f.optional("fromCIDR", p),
        from_cidr_set: f.optional("fromCIDRSet", p),
        to_ports: f.optional("toPorts", p),
        icmps: f.optional("icmps", p),
    }
});

decode!(EgressRule, |f, p| {
    f.refuse(&["toServices", "toGroups", "authentication"], LATER, p);
    f.refuse(&["toRequires"], REMOVED, p);
    Self {
        to_endpoints: f.optional("toEndpoints", p),
        to_entities: f.optional("toEntities", p),
        to_nodes: f.optional("toNodes", p),
        to_cidr: f.optional("toCIDR", p),
        to_cidr_set: f.optional("toCIDRSet", p),
        to_fqdns: f.optional("toFQDNs", p),
        to_ports: f.optional("toPorts", p),
        icmps: f.optional("icmps", p),
    }
});

decode!(CidrRule, |f, p| Self {
    cidr: f.optional("cidr", p),
    cidr_group_ref: f.optional("cidrGroupRef", p),
    cidr_group_selector: f.optional("cidrGroupSelector", p),
    except: f.or_default("except", p),
});

decode!(PortRule, |f, p| {
    f.refuse(&["listener", "terminatingTLS", "originatingTLS"], LATER, p);
    Self {
        ports: f.or_default("ports", p),
        rules: f.optional("rules", p),
        server_names: f.optional("serverNames", p),
    }
});

decode!(PortProtocol, |f, p| Self {
    port: f.required("port", p),
    end_port: f.optional("endPort", p),
    protocol: f.optional("protocol", p),
});

decode!(L7Rules, |f, p| {
    f.refuse(&["l7proto", "l7"], GENERIC, p);
    Self { http: f.optional("http", p), kafka: f.optional("kafka", p), dns: f.optional("dns", p) }
});

decode!(HttpRule, |f, p| Self {
    method: f.optional("method", p),
    path: f.optional("path", p),
    host: f.optional("host", p),
    headers: f.or_default("headers", p),
    header_matches: f.or_default("headerMatches", p),
});

decode!(HeaderMatch, |f, p| Self {
    name: f.required("name", p),
    value: f.optional("value", p),
    regex: f.optional("regex", p),
    secret: f.optional("secret", p),
    mismatch: f.optional("mismatch", p),
});

decode!(SecretRef, |f, p| Self { namespace: f.optional("namespace", p), name: f.required("name", p) });

decode!(KafkaRule, |f, p| Self {
    role: f.optional("role", p),
    api_key: f.optional("apiKey", p),
    api_version: f.optional("apiVersion", p),
    client_id: f.optional("clientID", p),
    topic: f.optional("topic", p),
});

decode!(FqdnSelector, |f, p| Self {
    match_name: f.optional("matchName", p),
    match_pattern: f.optional("matchPattern", p),
});

decode!(IcmpRule, |f, p| Self { fields: f.or_default("fields", p) });

decode!(IcmpField, |f, p| Self { family: f.optional("family", p), icmp_type: f.required("type", p) });

decode!(CiliumCidrGroup, |f, p| Self { metadata: envelope(f, p), spec: f.required("spec", p) });

decode!(CidrGroupSpec, |f, p| Self { external_cidrs: f.or_default("externalCIDRs", p) });

decode!(LabelSelector, |f, p| Self {
    match_labels: f.or_default("matchLabels", p),
    match_expressions: f.or_default("matchExpressions", p),
});

decode!(MatchExpression, |f, p| Self {
    key: f.required("key", p),
    operator: f.required("operator", p),
    values: f.or_default("values", p),
});

decode!(NetworkPolicy, |f, p| Self { metadata: envelope(f, p), spec: f.or_default("spec", p) });

decode!(NetworkPolicySpec, |f, p| Self {
    pod_selector: f.or_default("podSelector", p),
    ingress: f.or_default("ingress", p),
    egress: f.or_default("egress", p),
    policy_types: f.or_default("policyTypes", p),
});

decode!(NetworkPolicyIngress, |f, p| Self { from: f.or_default("from", p), ports: f.or_default("ports", p) });

decode!(NetworkPolicyEgress, |f, p| Self { to: f.or_default("to", p), ports: f.or_default("ports", p) });

decode!(NetworkPolicyPeer, |f, p| Self {
    pod_selector: f.optional("podSelector", p),
    namespace_selector: f.optional("namespaceSelector", p),
    ip_block: f.optional("ipBlock", p),
});

decode!(IpBlock, |f, p| Self { cidr: f.required("cidr", p), except: f.or_default("except", p) });

decode!(NetworkPolicyPort, |f, p| Self {
    protocol: f.optional("protocol", p),
    port: f.optional("port", p),
    end_port: f.optional("endPort", p),
});

decode!(Namespace, |f, p| {
    f.skip(&["spec"]);
    Self { metadata: envelope(f, p) }
});

decode!(Secret, |f, p| {
    f.skip(&["type", "immutable"]);
    Self {
        metadata: envelope(f, p),
        data: f.or_default("data", p),
        string_data: f.or_default("stringData", p),
    }
});

impl Decode for BTreeMap<String, Concealed> {
    /// What is wrong is said without showing it.
    fn decode(node: &Node, problems: &mut Problems) -> Self {
        let Content::Map(entries) = &node.content else {
            problems.fail(format!("wants a mapping of texts, not {}", node.what()));
            return Self::new();
        };
        let read = |(key, node): &(Box<str>, Node)| {
            (key.to_string(), problems.at(key, |p| Concealed::new(String::decode(node, p).into_bytes())))
        };
        entries.iter().map(read).collect()
    }
}

impl Decode for IntOrString {
    fn decode(node: &Node, problems: &mut Problems) -> Self {
        match &node.content {
            Content::Scalar { text, quoted: false } => match text.parse() {
                Ok(number) => Self::Int(number),
                Err(_) => Self::String(text.to_string()),
            },
            Content::Scalar { .. } | Content::List(_) | Content::Map(_) => {
                Self::String(String::decode(node, problems))
            }
        }
    }
}

impl Default for RuleLabel {
    fn default() -> Self {
        Self(Label::new("", "", ""))
    }
}

impl Decode for RuleLabel {
    /// Reads `{key, source, value}`, or the text `source:key=value`.
    fn decode(node: &Node, problems: &mut Problems) -> Self {
        let label = match &node.content {
            Content::Scalar { text, .. } => Label::parse(text, source::UNSPECIFIED),
            Content::List(_) | Content::Map(_) => fields(node, problems, |f, p| {
                f.skip(&["cidr"]);
                let (key, source): (String, String) = (f.required("key", p), f.or_default("source", p));
                let value: String = f.or_default("value", p);
                let source = if source.is_empty() { source::UNSPECIFIED } else { &source };
                Some(Label::parse(&format!("{source}:{key}={value}"), source))
            })
            .unwrap_or_else(|| Ok(Label::new("", "", ""))),
        };
        match label {
            Ok(label) => Self(label),
            Err(error) => {
                problems.fail(error.to_string());
                Self::default()
            }
        }
    }
}
