//! Settings, tables and the end of the agent.

use crate::Status;
use crate::settings::{Change, Resolved};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// One setting as the agent has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ConfigRow {
    pub name: String,
    pub value: String,
    /// `default`, `file /etc/ciliate/ciliate.yaml`, `env CILIATE_…`, `flag --…`, `runtime`.
    pub origin: String,
    pub default: String,
    /// Whether `config set` may change it.
    pub runtime: bool,
    pub help: String,
}

impl From<&Resolved> for ConfigRow {
    fn from(resolved: &Resolved) -> Self {
        let setting = resolved.setting;
        Self {
            name: setting.name.to_owned(),
            value: resolved.value.clone(),
            origin: resolved.origin_text(),
            default: setting.default.to_owned(),
            runtime: setting.change == Change::Anytime,
            help: setting.help.to_owned(),
        }
    }
}

/// New values by name of the setting; all are taken or none.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct ConfigPatch(pub BTreeMap<String, String>);

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DbTable {
    pub name: String,
    pub rows: usize,
    pub revision: u64,
    /// Whether everything that exists has been listed once.
    pub initialised: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ShutdownMode {
    /// The agent ends; the kernel goes on enforcing.
    Stop,
    /// Everything is taken down; the host is as it was before.
    Down,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Shutdown {
    pub mode: ShutdownMode,
}

/// Everything one needs to look into a fault.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DebugInfo {
    pub status: Status,
    pub config: Vec<ConfigRow>,
    /// All tables, row by row.
    pub tables: BTreeMap<String, Vec<serde_json::Value>>,
    pub metrics: String,
}
