//! What a request is answered with when it fails, and what can go wrong on the way.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::{fmt, io, path::PathBuf};
use thiserror::Error;

/// The agent refused or failed; nothing has changed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ApiError {
    /// HTTP status: 400 bad input, 404 not there, 409 in conflict, 503 not ready (try again), 500 anything else.
    pub status: u16,
    /// What failed, on what, why, and what to do.
    pub message: String,
    /// Each mistake of the input with its place.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub problems: Vec<Problem>,
}

/// One mistake in the input.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Problem {
    /// File or other source.
    pub origin: String,
    /// Which document of the source, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub document: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<usize>,
    /// Path of the field, such as `spec.ingress[0].toPorts`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// What is wrong and what would be right.
    pub message: String,
}

impl ApiError {
    #[must_use]
    pub fn new(status: u16, message: impl Into<String>) -> Self {
        Self { status, message: message.into(), problems: Vec::new() }
    }
}

impl fmt::Display for ApiError {
    /// The message, then one line per problem.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        self.problems.iter().try_for_each(|problem| write!(f, "\n  {problem}"))
    }
}

impl std::error::Error for ApiError {}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.origin)?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        if let Some(document) = self.document {
            write!(f, " (document {document})")?;
        }
        if let Some(field) = &self.field {
            write!(f, ": {field}")?;
        }
        write!(f, ": {}", self.message)
    }
}

/// Why a call of [`Client`](crate::Client) failed.
#[derive(Debug, Error)]
pub enum ClientError {
    #[error("cannot reach the agent at {}: {source}; is it running (`ciliate up`), and may this user open the socket?", path.display())]
    Connect { path: PathBuf, source: io::Error },
    #[error("the connection to the agent broke: {0}")]
    Io(#[from] io::Error),
    #[error(
        "the agent's answer to {route} is not what this client understands: {reason}; are both of the same version?"
    )]
    Answer { route: String, reason: String },
    #[error("{0}")]
    Refused(ApiError),
}
