//! Policies and the other objects that users apply.

use ciliate_types::Identity;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Names an object: `cnp/default/rule1`, `ccnp/rule2`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ObjectRef {
    /// The kind as in the object or a short form: `CiliumNetworkPolicy`, `cnp`.
    pub kind: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    pub name: String,
}

impl fmt::Display for ObjectRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.namespace {
            Some(namespace) => write!(f, "{}/{namespace}/{}", self.kind, self.name),
            None => write!(f, "{}/{}", self.kind, self.name),
        }
    }
}

/// A stored object, as it was given.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ObjectView {
    #[serde(flatten)]
    pub object: ObjectRef,
    /// Revision of all policies when it was last changed.
    pub revision: u64,
    /// Endpoints it selects.
    pub endpoints: usize,
    /// The object, ready for `-o yaml`.
    pub raw: serde_json::Value,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ApplyRequest {
    /// YAML or JSON, any number of documents; all are applied or none.
    pub text: String,
    /// File name for messages; `-` for standard input.
    pub origin: String,
    /// Namespace of objects that name none.
    #[serde(default = "default_namespace")]
    pub namespace: String,
}

fn default_namespace() -> String {
    "default".to_owned()
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ObjectAction {
    Created,
    Configured,
    Unchanged,
    Deleted,
    /// Asked to delete what is not there.
    Absent,
    /// Checked only.
    Valid,
}

impl fmt::Display for ObjectAction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Created => "created",
            Self::Configured => "configured",
            Self::Unchanged => "unchanged",
            Self::Deleted => "deleted",
            Self::Absent => "not found",
            Self::Valid => "valid",
        })
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ObjectResult {
    pub object: ObjectRef,
    pub action: ObjectAction,
    pub warnings: Vec<String>,
}

/// Answer to apply, delete and validate, in the order of the documents.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ApplyResult {
    pub results: Vec<ObjectResult>,
    /// Revision of all policies, already enforced on every endpoint.
    pub revision: u64,
}

/// Objects to delete: those named and those that stand in a text.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct DeleteRequest {
    pub objects: Vec<ObjectRef>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<ApplyRequest>,
    /// Every object of these kinds.
    pub all_of_kinds: Vec<String>,
}

/// One selector in use.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SelectorRow {
    pub selector: String,
    /// Objects that use it.
    pub users: Vec<String>,
    #[schemars(with = "Vec<u32>")]
    pub identities: Vec<Identity>,
}

/// Waits until every endpoint enforces a revision.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WaitRequest {
    pub revision: u64,
    /// Gives up with status 504 after this time; at most 600 s.
    pub timeout_seconds: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WaitReply {
    pub revision: u64,
}
