//! The objects that users write: policies, address groups and namespaces.

pub mod cilium;
pub mod kubernetes;
pub mod l7;
pub mod secret;
pub mod selector;

use cilium::{CiliumCidrGroup, CiliumNetworkPolicy};
use kubernetes::{Namespace, NetworkPolicy, Secret};
use serde::{Serialize, Serializer, ser::SerializeMap};
use std::{collections::BTreeMap, fmt, str::FromStr};
use thiserror::Error;

/// What an object is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    CiliumNetworkPolicy,
    CiliumClusterwideNetworkPolicy,
    NetworkPolicy,
    CiliumCidrGroup,
    Namespace,
    Secret,
}

#[derive(Debug, Error, PartialEq, Eq)]
#[error("kind {0:?} is unknown: write {list}", list = Kind::list())]
pub struct KindError(String);

impl Kind {
    pub const ALL: [Self; 6] = [
        Self::CiliumNetworkPolicy,
        Self::CiliumClusterwideNetworkPolicy,
        Self::NetworkPolicy,
        Self::CiliumCidrGroup,
        Self::Namespace,
        Self::Secret,
    ];

    /// As in the field `kind`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::CiliumNetworkPolicy => "CiliumNetworkPolicy",
            Self::CiliumClusterwideNetworkPolicy => "CiliumClusterwideNetworkPolicy",
            Self::NetworkPolicy => "NetworkPolicy",
            Self::CiliumCidrGroup => "CiliumCIDRGroup",
            Self::Namespace => "Namespace",
            Self::Secret => "Secret",
        }
    }

    /// As on the command line: `cnp`.
    #[must_use]
    pub const fn short(self) -> &'static str {
        match self {
            Self::CiliumNetworkPolicy => "cnp",
            Self::CiliumClusterwideNetworkPolicy => "ccnp",
            Self::NetworkPolicy => "netpol",
            Self::CiliumCidrGroup => "ccg",
            Self::Namespace => "ns",
            Self::Secret => "secret",
        }
    }

    #[must_use]
    pub const fn plural(self) -> &'static str {
        match self {
            Self::CiliumNetworkPolicy => "ciliumnetworkpolicies",
            Self::CiliumClusterwideNetworkPolicy => "ciliumclusterwidenetworkpolicies",
            Self::NetworkPolicy => "networkpolicies",
            Self::CiliumCidrGroup => "ciliumcidrgroups",
            Self::Namespace => "namespaces",
            Self::Secret => "secrets",
        }
    }

    /// As in the field `apiVersion`.
    #[must_use]
    pub const fn api_version(self) -> &'static str {
        match self {
            Self::CiliumNetworkPolicy | Self::CiliumClusterwideNetworkPolicy | Self::CiliumCidrGroup => {
                "cilium.io/v2"
            }
            Self::NetworkPolicy => "networking.k8s.io/v1",
            Self::Namespace | Self::Secret => "v1",
        }
    }

    /// Whether objects of the kind live in a namespace.
    #[must_use]
    pub const fn namespaced(self) -> bool {
        match self {
            Self::CiliumNetworkPolicy | Self::NetworkPolicy | Self::Secret => true,
            Self::CiliumClusterwideNetworkPolicy | Self::CiliumCidrGroup | Self::Namespace => false,
        }
    }

    fn list() -> String {
        Self::ALL.map(|kind| format!("{} ({})", kind.name(), kind.short())).join(", ")
    }
}

impl FromStr for Kind {
    type Err = KindError;

    /// Reads the kind, its plural or its short name, in any case.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let is = |name: &str| name.eq_ignore_ascii_case(text);
        Self::ALL
            .into_iter()
            .find(|kind| is(kind.name()) || is(kind.plural()) || is(kind.short()))
            .ok_or_else(|| KindError(text.to_owned()))
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl Serialize for Kind {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

/// What names one object among all.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ObjectKey {
    pub kind: Kind,
    pub namespace: Option<String>,
    pub name: String,
}

impl fmt::Display for ObjectKey {
    /// `cnp/default/rule1`, or `ccnp/name` where the kind has no namespace.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind.short())?;
        if let Some(namespace) = &self.namespace {
            write!(f, "/{namespace}")?;
        }
        write!(f, "/{}", self.name)
    }
}

impl Serialize for ObjectKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// The part of `metadata` that has a meaning here.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Metadata {
    pub name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

/// One object as its user wrote it.
#[derive(Clone, Debug, PartialEq)]
pub enum Object {
    CiliumNetworkPolicy(CiliumNetworkPolicy),
    CiliumClusterwideNetworkPolicy(CiliumNetworkPolicy),
    NetworkPolicy(NetworkPolicy),
    CiliumCidrGroup(CiliumCidrGroup),
    Namespace(Namespace),
    Secret(Secret),
}

impl Object {
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::CiliumNetworkPolicy(_) => Kind::CiliumNetworkPolicy,
            Self::CiliumClusterwideNetworkPolicy(_) => Kind::CiliumClusterwideNetworkPolicy,
            Self::NetworkPolicy(_) => Kind::NetworkPolicy,
            Self::CiliumCidrGroup(_) => Kind::CiliumCidrGroup,
            Self::Namespace(_) => Kind::Namespace,
            Self::Secret(_) => Kind::Secret,
        }
    }

    #[must_use]
    pub fn metadata(&self) -> &Metadata {
        match self {
            Self::CiliumNetworkPolicy(policy) | Self::CiliumClusterwideNetworkPolicy(policy) => {
                &policy.metadata
            }
            Self::NetworkPolicy(policy) => &policy.metadata,
            Self::CiliumCidrGroup(group) => &group.metadata,
            Self::Namespace(namespace) => &namespace.metadata,
            Self::Secret(secret) => &secret.metadata,
        }
    }

    pub(crate) fn set_namespace(&mut self, namespace: &str) {
        let metadata = match self {
            Self::CiliumNetworkPolicy(policy) | Self::CiliumClusterwideNetworkPolicy(policy) => {
                &mut policy.metadata
            }
            Self::NetworkPolicy(policy) => &mut policy.metadata,
            Self::CiliumCidrGroup(group) => &mut group.metadata,
            Self::Namespace(namespace) => &mut namespace.metadata,
            Self::Secret(secret) => &mut secret.metadata,
        };
        metadata.namespace = Some(namespace.to_owned());
    }

    #[must_use]
    pub fn namespace(&self) -> Option<&str> {
        self.metadata().namespace.as_deref()
    }

    #[must_use]
    pub fn name(&self) -> &str {
        &self.metadata().name
    }

    /// The labels of the object itself.
    #[must_use]
    pub fn labels(&self) -> &BTreeMap<String, String> {
        &self.metadata().labels
    }

    #[must_use]
    pub fn key(&self) -> ObjectKey {
        ObjectKey {
            kind: self.kind(),
            namespace: self.namespace().map(ToOwned::to_owned),
            name: self.name().to_owned(),
        }
    }
}

impl Serialize for Object {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("apiVersion", self.kind().api_version())?;
        map.serialize_entry("kind", &self.kind())?;
        map.serialize_entry("metadata", self.metadata())?;
        match self {
            Self::CiliumNetworkPolicy(policy) | Self::CiliumClusterwideNetworkPolicy(policy) => {
                if let Some(spec) = &policy.spec {
                    map.serialize_entry("spec", spec)?;
                }
                if let Some(specs) = &policy.specs {
                    map.serialize_entry("specs", specs)?;
                }
            }
            Self::NetworkPolicy(policy) => map.serialize_entry("spec", &policy.spec)?,
            Self::CiliumCidrGroup(group) => map.serialize_entry("spec", &group.spec)?,
            // What is in a secret is not shown.
            Self::Namespace(_) | Self::Secret(_) => {}
        }
        map.end()
    }
}
