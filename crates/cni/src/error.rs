//! Errors as CNI has them: a code, what failed, and why.

use crate::version::Version;
use ciliate_api::ClientError;
use serde_json::json;

/// Codes of the CNI specification; from 100 on they are the plug-in's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Code {
    IncompatibleVersion = 1,
    UnsupportedField = 2,
    UnknownContainer = 3,
    InvalidEnvironment = 4,
    Io = 5,
    Decode = 6,
    InvalidConfig = 7,
    TryAgainLater = 11,
    Unavailable = 50,
    LimitedConnectivity = 51,
    /// The agent refused, with reasons.
    Refused = 100,
    /// CHECK found something that is not as it was made.
    Changed = 101,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    pub code: Code,
    pub message: String,
    pub details: String,
}

impl Error {
    pub fn new(code: Code, message: impl Into<String>, details: impl Into<String>) -> Self {
        Self { code, message: message.into(), details: details.into() }
    }

    /// Runtimes show the message and often nothing else, so it holds all.
    pub(crate) fn to_json(&self, version: Version) -> String {
        let message = match self.details.is_empty() {
            true => self.message.clone(),
            false => format!("{}: {}", self.message, self.details),
        };
        let code = self.code as u32;
        json!({"cniVersion": version.to_string(), "code": code, "msg": message, "details": self.details})
            .to_string()
    }

    pub(crate) fn of_agent(message: impl Into<String>, error: &ClientError) -> Self {
        let code = match error {
            // It may be starting, or be replaced by a newer one; what it enforced stays in force.
            ClientError::Connect { .. } | ClientError::Io(_) => Code::TryAgainLater,
            ClientError::Answer { .. } => Code::Refused,
            ClientError::Refused(refusal) => match refusal.status {
                400 => Code::InvalidConfig,
                404 => Code::UnknownContainer,
                502..=504 => Code::TryAgainLater,
                _ => Code::Refused,
            },
        };
        Self::new(code, message, error.to_string())
    }
}

/// Whether nobody listens at the agent's socket.
pub(crate) fn agent_is_down(error: &ClientError) -> bool {
    use std::io::ErrorKind::{ConnectionRefused, NotFound};
    matches!(error, ClientError::Connect { source, .. } if matches!(source.kind(), NotFound | ConnectionRefused))
}

/// Whether the agent does not know what was asked about.
pub(crate) fn is_unknown(error: &ClientError) -> bool {
    matches!(error, ClientError::Refused(refusal) if refusal.status == 404)
}
