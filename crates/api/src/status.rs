//! How the agent and its parts are.

use ipnet::IpNet;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, fmt};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Health {
    Ok,
    /// Works, but someone should look.
    Warning,
    Failure,
    /// Switched off.
    Disabled,
}

impl fmt::Display for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Ok => "Ok",
            Self::Warning => "Warning",
            Self::Failure => "Failure",
            Self::Disabled => "Disabled",
        })
    }
}

/// One line of `ciliate status`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Subsystem {
    /// Such as `KVStore`, `Kernel`, `IPAM`, `Masquerading`, `Monitor`.
    pub name: String,
    pub health: Health,
    pub message: String,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    pub version: String,
    pub kernel: String,
    pub pid: u32,
    /// The worst of the subsystems.
    pub health: Health,
    pub subsystems: Vec<Subsystem>,
    pub node_name: String,
    pub cluster_name: String,
    pub uptime_seconds: u64,
    pub resident_bytes: u64,
    pub policy_revision: u64,
    pub policies: usize,
    pub identities: usize,
    /// Endpoints by state.
    pub endpoints: BTreeMap<String, usize>,
    pub pools: Vec<PoolStatus>,
    pub maps: Vec<MapPressure>,
    /// Events that were lost, by where.
    pub lost_events: BTreeMap<String, u64>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PoolStatus {
    #[schemars(with = "String")]
    pub pool: IpNet,
    pub used: u64,
    /// Addresses that can be given at all.
    pub capacity: u64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MapPressure {
    pub name: String,
    pub entries: u64,
    pub capacity: u64,
    /// 0.0 to 1.0.
    pub pressure: f64,
}
