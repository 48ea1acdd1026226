//! Which secrets a policy's rules about headers refer to, and how secrets are shown.

use super::{Object, cilium::PortRule, l7::HeaderMatch};
use serde_json::Value;
use std::fmt;

/// Names a secret.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SecretName {
    pub namespace: String,
    pub name: String,
}

impl fmt::Display for SecretName {
    /// `namespace/name`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// That a rule compares a header with a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretUse {
    pub secret: SecretName,
    pub header: String,
    /// A value stands in while there is no such secret.
    pub has_stand_in: bool,
}

/// Where a value was.
const HIDDEN: &str = "(hidden)";
/// Has a copy of the whole object in it.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

impl Object {
    /// Every use of a secret, in the order of the rules.
    #[must_use]
    pub fn secrets_used(&self) -> Vec<SecretUse> {
        let (Self::CiliumNetworkPolicy(policy) | Self::CiliumClusterwideNetworkPolicy(policy)) = self else {
            return Vec::new();
        };
        let specs = policy.spec.iter().chain(policy.specs.iter().flatten());
        let elements = specs.flat_map(|spec| {
            let ingress = spec.ingress.iter().flatten().flat_map(|rule| rule.to_ports.iter().flatten());
            let egress = spec.egress.iter().flatten().flat_map(|rule| rule.to_ports.iter().flatten());
            ingress.chain(egress)
        });
        let http = elements.flat_map(|element: &PortRule| element.rules.iter().flat_map(|rules| &rules.http));
        let headers = http.flatten().flat_map(|rule| &rule.header_matches);
        headers.filter_map(|header| self.secret_of(header)).collect()
    }

    fn secret_of(&self, header: &HeaderMatch) -> Option<SecretUse> {
        let written = header.secret.as_ref()?;
        let namespace = written.namespace.as_deref().filter(|text| !text.is_empty()).or(self.namespace());
        Some(SecretUse {
            secret: SecretName {
                namespace: namespace.unwrap_or_default().to_owned(),
                name: written.name.clone(),
            },
            header: header.name.clone(),
            has_stand_in: header.value.as_ref().is_some_and(|value| !value.is_empty()),
        })
    }
}

/// The document of a secret as people may see it.
#[must_use]
pub fn redacted(mut raw: Value) -> Value {
    for field in ["data", "stringData"] {
        if let Some(Value::Object(entries)) = raw.get_mut(field) {
            entries.values_mut().for_each(|value| *value = HIDDEN.into());
        }
    }
    if let Some(Value::Object(annotations)) = raw.pointer_mut("/metadata/annotations")
        && let Some(copy) = annotations.get_mut(LAST_APPLIED)
    {
        *copy = HIDDEN.into();
    }
    raw
}
