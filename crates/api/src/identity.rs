//! Identities and the addresses that have them.

use ciliate_types::{EndpointId, Identity, Labels};
use ipnet::IpNet;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct IdentityEntry {
    #[schemars(with = "u32")]
    pub id: Identity,
    #[schemars(with = "Vec<String>")]
    pub labels: Labels,
    /// Endpoints, prefixes or policies that hold it; 0 for the reserved ones.
    pub references: u64,
}

/// Why an address has its identity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum AddressSource {
    /// An address of this host.
    Local,
    Endpoint,
    /// A policy names the prefix.
    Policy,
    /// Everything else is the world.
    Reserved,
}

impl fmt::Display for AddressSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Local => "local",
            Self::Endpoint => "endpoint",
            Self::Policy => "policy",
            Self::Reserved => "reserved",
        })
    }
}

/// One row of the ipcache with its reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AddressEntry {
    #[schemars(with = "String")]
    pub cidr: IpNet,
    #[schemars(with = "u32")]
    pub identity: Identity,
    #[schemars(with = "Vec<String>")]
    pub labels: Labels,
    pub source: AddressSource,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<u16>")]
    pub endpoint: Option<EndpointId>,
    /// `namespace/name` of the endpoint.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}
