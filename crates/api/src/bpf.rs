//! The kernel's maps as they are.

use ciliate_types::{Direction, EndpointId, Identity, Protocol};
use ipnet::IpNet;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;

/// A row of the map of endpoints.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BpfEndpoint {
    pub address: IpAddr,
    #[schemars(with = "u16")]
    pub id: u16,
    #[schemars(with = "u32")]
    pub identity: Identity,
    pub flags: u32,
    pub rule_set: u32,
    pub ifindex: u32,
    pub mac: String,
    pub node_mac: String,
    /// Packets may still change: shown by `bpf endpoint list` for an address of the host itself.
    pub local_host: bool,
}

/// An entry of a rule set, as an endpoint has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PolicyEntry {
    #[schemars(with = "Option<u16>")]
    pub endpoint: Option<EndpointId>,
    pub rule_set: u32,
    /// `Allow` or `Deny`.
    pub action: String,
    #[schemars(with = "String")]
    pub direction: Direction,
    /// `ANY`, an identity's labels, or address prefixes.
    pub peer: String,
    #[schemars(with = "Option<u32>")]
    pub identity: Option<Identity>,
    /// `80/TCP`, `8000-8191/UDP`, `ANY`.
    pub traffic: String,
    pub precedence: u32,
    pub rule: crate::RuleView,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ConnectionTuple {
    #[schemars(with = "String")]
    pub protocol: Protocol,
    pub source: IpAddr,
    /// For ICMP: the identifier.
    pub source_port: u16,
    pub destination: IpAddr,
    pub destination_port: u16,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Connection {
    #[serde(flatten)]
    pub tuple: ConnectionTuple,
    pub state: String,
    /// Seconds until it ends unless a packet comes.
    pub expires_seconds: u64,
    #[schemars(with = "Option<u32>")]
    pub source_identity: Option<Identity>,
    #[schemars(with = "Option<u32>")]
    pub destination_identity: Option<Identity>,
    /// The kernel's numbers of the rules that allowed it; none where no policy applied.
    pub egress_rule: Option<u32>,
    pub ingress_rule: Option<u32>,
    /// From the source. Packets that two processors carry at one moment may be counted as one.
    pub sent: Carried,
    /// From the destination.
    pub received: Carried,
    /// `answered`, `source-closed`, `destination-closed`, `reset`.
    pub flags: String,
}

/// What a connection has carried in one direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Carried {
    pub packets: u64,
    /// From the network header on.
    pub bytes: u64,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct ConnectionFilter {
    /// Connections of this endpoint only, in the forms of [`EndpointRef`](crate::EndpointRef).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
}

/// How many rows were removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Flushed {
    pub entries: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct IpcacheEntry {
    #[schemars(with = "String")]
    pub cidr: IpNet,
    #[schemars(with = "u32")]
    pub identity: Identity,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BpfMetric {
    /// `Success` for forwarded packets, else the reason of the drop.
    pub reason: String,
    /// `INGRESS`, `EGRESS`.
    pub direction: String,
    pub packets: u64,
    pub bytes: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MapInfo {
    pub name: String,
    pub kind: String,
    pub entries: u64,
    pub capacity: u64,
    /// Writes that failed since the agent started.
    pub errors: u64,
    pub pinned_at: String,
}

/// One write of the agent to a map.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MapEvent {
    #[schemars(with = "String")]
    pub time: Timestamp,
    /// `update` or `delete`.
    pub action: String,
    pub key: String,
    pub value: String,
    /// Empty when it went well.
    pub error: String,
}
