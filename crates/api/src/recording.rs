//! Recordings of packets.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What is recorded and when it ends. 0 stands for the default.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RecordingRequest {
    /// `SOURCE PORT DESTINATION PORT PROTOCOL`; a packet is recorded that any of them matches.
    pub filters: Vec<String>,
    /// Begins the name of the file.
    #[serde(default)]
    pub file_prefix: String,
    /// Most bytes of a packet; 0 for all.
    #[serde(default)]
    pub max_capture_length: u32,
    /// One packet of so many.
    #[serde(default)]
    pub one_of: u32,
    #[serde(default)]
    pub packet_limit: u64,
    #[serde(default)]
    pub bytes_limit: u64,
    #[serde(default)]
    pub time_limit_milliseconds: u64,
}

/// A recording that goes on or has ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Recording {
    /// Counted from the agent's start.
    pub id: u64,
    /// On the node.
    pub path: String,
    pub filters: Vec<String>,
    #[schemars(with = "String")]
    pub begun: Timestamp,
    /// In the file, as are their bytes.
    pub packets: u64,
    pub bytes: u64,
    /// That match, also those that sampling left out.
    pub packets_matched: u64,
    pub packets_lost: u64,
    pub bytes_lost: u64,
    /// Why it ended; none while it goes on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<RecordingEnd>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RecordingEnd {
    /// `stopped`, `client-gone`, `time-limit`, `packet-limit`, `byte-limit`, `file-limit`, `agent-ends` or `failed`.
    pub reason: String,
    pub description: String,
}
