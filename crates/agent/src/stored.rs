//! What outlives the agent: documents of the store.

use crate::{failure::Result, ipam::Addresses};
use ciliate_api::{AuditMode, NamedPort, Publish};
use ciliate_net::{Mac, NetnsId};
use ciliate_policy::NamedPorts;
use ciliate_proxy::message::NameSet;
use ciliate_store::Write;
use ciliate_types::{EndpointId, Identity, Label, Labels};
use ipnet::IpNet;
use jiff::Timestamp;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;
use std::{
    net::{Ipv4Addr, Ipv6Addr},
    path::PathBuf,
};

/// Kinds of documents.
pub mod kind {
    pub const ENDPOINT: &str = "endpoint";
    pub const IDENTITY: &str = "identity";
    pub const OBJECT: &str = "object";
    /// The value of a setting that was changed while the agent ran.
    pub const SETTING: &str = "setting";
}

/// An endpoint, written before anything of it exists in the kernel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StoredEndpoint {
    pub id: EndpointId,
    pub name: String,
    pub namespace: String,
    pub service_account: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container_id: Option<String>,
    pub given_labels: Labels,
    pub identity: Identity,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ipv4: Option<Ipv4Addr>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ipv6: Option<Ipv6Addr>,
    #[serde(default)]
    pub ports: Vec<NamedPort>,
    #[serde(default)]
    pub publish: Vec<Publish>,
    /// Name of the device inside.
    pub interface: String,
    pub mac: Mac,
    pub netns: PathBuf,
    /// Tells whether the path still leads to the same namespace.
    pub netns_id: NetnsId,
    #[serde(default)]
    pub audit: AuditMode,
    pub phase: Phase,
    pub created: Timestamp,
}

/// How far an endpoint has come, as the store knows; it learns of the end a little later.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    Making,
    Made,
}

impl StoredEndpoint {
    pub fn addresses(&self) -> Addresses {
        Addresses { v4: self.ipv4, v6: self.ipv6 }
    }

    /// Its device on the host's side; the number makes it unique.
    pub fn host_device(&self) -> String {
        host_device(self.id)
    }

    pub fn named_ports(&self) -> NamedPorts {
        let mut ports = NamedPorts::new();
        for port in &self.ports {
            ports.entry((port.name.clone(), port.protocol)).or_default().insert(port.port);
        }
        ports
    }

    pub fn full_name(&self) -> String {
        format!("{}/{}", self.namespace, self.name)
    }
}

const DEVICE_PREFIX: &str = "cil";

pub fn host_device(id: EndpointId) -> String {
    format!("{DEVICE_PREFIX}{id}")
}

/// Whose device it is, if its name is one of ours.
pub fn endpoint_of_device(name: &str) -> Option<EndpointId> {
    name.strip_prefix(DEVICE_PREFIX)?.parse().ok()
}

/// An identity's meaning.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum StoredIdentity {
    Labels(Vec<StoredLabel>),
    Prefix(IpNet),
    Names(NameSet),
}

/// Source, key and value apart: a label as text says its source only if that has no colon.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredLabel(String, String, String);

impl StoredIdentity {
    pub fn of_labels(labels: &Labels) -> Self {
        let stored = |l: &Label| StoredLabel(l.source().to_owned(), l.key().to_owned(), l.value().to_owned());
        Self::Labels(labels.iter().map(stored).collect())
    }
}

impl From<&StoredLabel> for Label {
    fn from(StoredLabel(source, key, value): &StoredLabel) -> Self {
        Self::new(source, key, value)
    }
}

/// An object as it was given.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StoredObject {
    pub raw: Value,
}

pub fn put(kind: &str, key: &str, stored: &impl Serialize) -> Result<Write> {
    Ok(Write::put(kind, key, serde_json::to_value(stored)?))
}

pub fn read<T: DeserializeOwned>(kind: &str, key: &str, value: Value) -> Result<T> {
    serde_json::from_value(value).map_err(|e| {
        crate::failure::Failure::from(e)
            .while_doing(format!("the stored {kind} {key} is not what this version writes"))
    })
}
