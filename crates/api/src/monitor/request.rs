//! Requests that the proxy has read.

use super::PeerView;
use crate::RuleView;
use ciliate_types::Direction;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;

/// A request or a response in an event.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RequestEvent {
    pub message: Message,
    pub verdict: RequestVerdict,
    /// Of whose policy the rule is, or which found none.
    #[schemars(with = "String")]
    pub direction: Direction,
    /// Who sent the message: of a response, the server.
    pub source: PeerView,
    pub destination: PeerView,
    /// Which rule decided; none where no rule matched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<RuleView>,
    /// Of a response: nanoseconds since the request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency: Option<u64>,
    #[serde(flatten)]
    pub content: Content,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Message {
    Request,
    Response,
}

impl fmt::Display for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Request => "Request",
            Self::Response => "Response",
        })
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum RequestVerdict {
    Forwarded,
    Denied,
    /// Would have been denied.
    Audited,
    /// Malformed, or to be read in more than one way; no rule was asked.
    Refused,
}

impl fmt::Display for RequestVerdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Forwarded => "Forwarded",
            Self::Denied => "Denied",
            Self::Audited => "Audited",
            Self::Refused => "Refused",
        })
    }
}

/// What was asked for, by its protocol.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Content {
    Http {
        method: String,
        /// With its query string.
        path: String,
        host: String,
        /// Status of the answer, where there is one already.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        status: Option<u16>,
        /// Of a call of gRPC that was denied: 7, `PERMISSION_DENIED`.
        #[serde(default, rename = "grpcStatus", skip_serializing_if = "Option::is_none")]
        grpc_status: Option<u16>,
    },
    Kafka {
        /// Name of the API, such as `produce`.
        api: String,
        version: i16,
        #[serde(default, rename = "clientID", skip_serializing_if = "Option::is_none")]
        client_id: Option<String>,
        topics: Vec<String>,
    },
    Tls {
        /// The client's; none if it named none.
        #[serde(default, rename = "serverName", skip_serializing_if = "Option::is_none")]
        server_name: Option<String>,
    },
    Dns {
        name: String,
        /// Such as `AAAA`.
        #[serde(rename = "type")]
        kind: String,
    },
    Malformed {
        reason: String,
    },
}

impl Content {
    /// Name of the protocol, as in Cilium's events where it has one.
    #[must_use]
    pub fn protocol(&self) -> &'static str {
        match self {
            Self::Http { .. } => "http",
            Self::Kafka { .. } => "kafka",
            Self::Tls { .. } => "tls",
            Self::Dns { .. } => "dns",
            Self::Malformed { .. } => "malformed",
        }
    }
}
