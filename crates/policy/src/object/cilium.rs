//! `cilium.io/v2`: network policies and address groups.
//!
//! A list that is absent and a list that is there but empty differ: `fromEndpoints: []` selects nobody.

use super::{
    Metadata,
    l7::{FqdnSelector, L7Rules},
    selector::LabelSelector,
};
use ciliate_types::Label;
use serde::{Serialize, Serializer, ser::SerializeMap};

/// A `CiliumNetworkPolicy` or, without a namespace, a `CiliumClusterwideNetworkPolicy`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CiliumNetworkPolicy {
    pub metadata: Metadata,
    pub spec: Option<Spec>,
    pub specs: Option<Vec<Spec>>,
}

/// Rules for the endpoints that one selector selects.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Spec {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub endpoint_selector: Option<LabelSelector>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enable_default_deny: Option<EnableDefaultDeny>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ingress: Option<Vec<IngressRule>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ingress_deny: Option<Vec<IngressRule>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub egress: Option<Vec<EgressRule>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub egress_deny: Option<Vec<EgressRule>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub labels: Vec<RuleLabel>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log: Option<Log>,
}

/// Which directions the spec isolates; absent means: those it has rules for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct EnableDefaultDeny {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ingress: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub egress: Option<bool>,
}

/// A text that goes with the verdicts of a spec.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Log {
    pub value: String,
}

/// A label of a policy itself, written as `{key, source, value}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleLabel(pub Label);

impl Serialize for RuleLabel {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("key", self.0.key())?;
        map.serialize_entry("source", self.0.source())?;
        map.serialize_entry("value", self.0.value())?;
        map.end()
    }
}

/// An element of `ingress` or `ingressDeny`.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct IngressRule {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from_endpoints: Option<Vec<LabelSelector>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from_entities: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from_nodes: Option<Vec<LabelSelector>>,
    #[serde(rename = "fromCIDR", skip_serializing_if = "Option::is_none")]
    pub from_cidr: Option<Vec<String>>,
    #[serde(rename = "fromCIDRSet", skip_serializing_if = "Option::is_none")]
    pub from_cidr_set: Option<Vec<CidrRule>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to_ports: Option<Vec<PortRule>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub icmps: Option<Vec<IcmpRule>>,
}

/// An element of `egress` or `egressDeny`.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct EgressRule {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to_endpoints: Option<Vec<LabelSelector>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to_entities: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to_nodes: Option<Vec<LabelSelector>>,
    #[serde(rename = "toCIDR", skip_serializing_if = "Option::is_none")]
    pub to_cidr: Option<Vec<String>>,
    #[serde(rename = "toCIDRSet", skip_serializing_if = "Option::is_none")]
    pub to_cidr_set: Option<Vec<CidrRule>>,
    #[serde(rename = "toFQDNs", skip_serializing_if = "Option::is_none")]
    pub to_fqdns: Option<Vec<FqdnSelector>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to_ports: Option<Vec<PortRule>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub icmps: Option<Vec<IcmpRule>>,
}

/// Addresses: exactly one of `cidr`, `cidr_group_ref` and `cidr_group_selector`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CidrRule {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cidr: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cidr_group_ref: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cidr_group_selector: Option<LabelSelector>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub except: Vec<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PortRule {
    pub ports: Vec<PortProtocol>,
    /// What requests on the ports have to be like.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rules: Option<L7Rules>,
    /// Which servers a TLS handshake on the ports may ask for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server_names: Option<Vec<String>>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PortProtocol {
    /// A number or a name.
    pub port: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub end_port: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub protocol: Option<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct IcmpRule {
    pub fields: Vec<IcmpField>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct IcmpField {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub family: Option<String>,
    /// A number or a name.
    #[serde(rename = "type")]
    pub icmp_type: String,
}

/// A named set of address prefixes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CiliumCidrGroup {
    pub metadata: Metadata,
    pub spec: CidrGroupSpec,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct CidrGroupSpec {
    #[serde(rename = "externalCIDRs")]
    pub external_cidrs: Vec<String>,
}
