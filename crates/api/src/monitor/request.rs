//! Requests that the proxy has read.

use super::PeerView;
use crate::RuleView;
use ciliate_types::Direction;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::{fmt, net::IpAddr};

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
    /// Of which rules one would have had to match, if none did.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub denied_by: Vec<RuleView>,
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
        /// Such as `HTTP/1.1`.
        #[serde(default)]
        version: String,
        method: String,
        /// With its query string.
        path: String,
        /// With its port, if the client names one.
        host: String,
        /// Status of the answer, where there is one already.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        status: Option<u16>,
        /// Of a call of gRPC that has come to its end, if the server has said it; of one that was denied: 7, `PERMISSION_DENIED`.
        #[serde(default, rename = "grpcStatus", skip_serializing_if = "Option::is_none")]
        grpc_status: Option<u16>,
        /// Names and values, if settings ask for headers.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        headers: Vec<(String, String)>,
    },
    Kafka {
        /// Name of the API, such as `produce`.
        api: String,
        version: i16,
        #[serde(default, rename = "correlationID")]
        correlation_id: i32,
        #[serde(default, rename = "clientID", skip_serializing_if = "Option::is_none")]
        client_id: Option<String>,
        topics: Vec<String>,
        /// Of an answer or a denial, where it is known; 0 = none.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        error: Option<i16>,
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
        /// What the client is told, where that is known already.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        answer: Option<DnsAnswerView>,
    },
    Malformed {
        reason: String,
    },
}

/// What a DNS server, or the proxy in its place, said.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DnsAnswerView {
    /// As the registry numbers it: 0 is no error, 3 no such name.
    pub code: u8,
    /// Of the name, however many aliases are on the way.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub addresses: Vec<IpAddr>,
    /// The least of the addresses', seconds.
    #[serde(default)]
    pub ttl: u32,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub aliases: Vec<String>,
    /// Of the records in the answer.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub types: Vec<String>,
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
