//! Validated names of the domain: labels, identities, endpoints, directions, protocols and ports.

mod concealed;
mod direction;
mod endpoint;
mod identity;
mod l7;
mod label;
mod name;
mod port;
mod protocol;

pub use concealed::Concealed;
pub use direction::Direction;
pub use endpoint::{EndpointId, EndpointIdError};
pub use identity::{Identity, IdentityScope, ReservedIdentity};
pub use l7::{HeaderMatch, HeaderValue, HttpRule, KafkaRole, KafkaRule, L7Rules, Mismatch};
pub use label::{Label, LabelError, Labels, source};
pub use name::{DomainName, DomainNameError, Glob, NamePattern};
pub use port::{PortError, PortPrefix, PortRange};
pub use protocol::{Protocol, ProtocolError};

/// Label key under which the namespace of an endpoint is found, with source `k8s`.
pub const NAMESPACE_KEY: &str = "io.kubernetes.pod.namespace";
/// Prefix of the keys under which the labels of an endpoint's namespace are found, with source `k8s`.
pub const NAMESPACE_LABELS_PREFIX: &str = "io.cilium.k8s.namespace.labels.";
/// Label key of the service account, with source `k8s`.
pub const SERVICE_ACCOUNT_KEY: &str = "io.cilium.k8s.policy.serviceaccount";
/// Label key of the cluster's name, with source `k8s`.
pub const CLUSTER_KEY: &str = "io.cilium.k8s.policy.cluster";
