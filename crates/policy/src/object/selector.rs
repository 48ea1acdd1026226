//! Label selectors as Kubernetes writes them.

use serde::Serialize;
use std::collections::BTreeMap;

/// All of `match_labels` and all of `match_expressions` must hold; an empty selector holds for everything.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LabelSelector {
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub match_labels: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub match_expressions: Vec<MatchExpression>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct MatchExpression {
    pub key: String,
    /// `In`, `NotIn`, `Exists` or `DoesNotExist`.
    pub operator: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub values: Vec<String>,
}
