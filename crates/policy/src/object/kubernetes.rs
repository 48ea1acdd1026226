//! `networking.k8s.io/v1` network policies, namespaces and secrets.

use super::{Metadata, selector::LabelSelector};
use ciliate_types::Concealed;
use serde::{Serialize, Serializer};
use std::collections::BTreeMap;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NetworkPolicy {
    pub metadata: Metadata,
    pub spec: NetworkPolicySpec,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NetworkPolicySpec {
    pub pod_selector: LabelSelector,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ingress: Vec<NetworkPolicyIngress>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub egress: Vec<NetworkPolicyEgress>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub policy_types: Vec<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct NetworkPolicyIngress {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub from: Vec<NetworkPolicyPeer>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ports: Vec<NetworkPolicyPort>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct NetworkPolicyEgress {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub to: Vec<NetworkPolicyPeer>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ports: Vec<NetworkPolicyPort>,
}

/// Either `ip_block` or one or both selectors.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NetworkPolicyPeer {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pod_selector: Option<LabelSelector>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace_selector: Option<LabelSelector>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ip_block: Option<IpBlock>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct IpBlock {
    pub cidr: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub except: Vec<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NetworkPolicyPort {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub protocol: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port: Option<IntOrString>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub end_port: Option<i64>,
}

/// A port number, or the name of a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IntOrString {
    Int(i64),
    String(String),
}

impl Default for IntOrString {
    fn default() -> Self {
        Self::Int(0)
    }
}

impl Serialize for IntOrString {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Int(number) => serializer.serialize_i64(*number),
            Self::String(name) => serializer.serialize_str(name),
        }
    }
}

/// A namespace; its labels are selectable.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Namespace {
    pub metadata: Metadata,
}

/// Values that rules may compare headers with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Secret {
    pub metadata: Metadata,
    /// As it was written, in base64.
    pub data: BTreeMap<String, Concealed>,
    /// As it is; wins over an entry of the same name in `data`.
    pub string_data: BTreeMap<String, Concealed>,
}

impl Secret {
    /// How many values it has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.data
            .keys()
            .filter(|name| !self.string_data.contains_key(*name))
            .count()
            .saturating_add(self.string_data.len())
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The value that headers are compared with.
    ///
    /// # Errors
    /// Why there is none, to be read behind the secret's name; the value is not in it.
    pub fn header_value(&self) -> Result<Concealed, String> {
        let plain = self.string_data.iter().map(|(key, value)| (key, Some(value.clone())));
        let coded = self.data.iter().map(|(key, value)| (key, decoded(value)));
        let Some((key, value)) = plain.chain(coded).next().filter(|_| self.len() == 1) else {
            return Err(format!("has {} values, not one", self.len()));
        };
        let unusable =
            |problem: String| format!("cannot be compared with a header: its key {key:?} {problem}");
        let value = value.ok_or_else(|| unusable("is not base64".into()))?;
        match ciliate_http::secret_value(value.expose()) {
            Ok(_) => Ok(value),
            Err(problem) => Err(unusable(problem)),
        }
    }
}

/// From base64, in which lines may be broken.
pub(crate) fn decoded(value: &Concealed) -> Option<Concealed> {
    use base64::{Engine, engine::general_purpose::STANDARD};
    let text: Vec<u8> = value.expose().iter().copied().filter(|byte| !byte.is_ascii_whitespace()).collect();
    STANDARD.decode(text).ok().map(Concealed::new)
}
