//! What watchers are told of requests.

use super::TraceId;
use ciliate_types::{EndpointId, Identity};
use serde::{Deserialize, Serialize};
use std::{
    fmt,
    net::{IpAddr, SocketAddr},
};

/// One request, or the response to one, and what became of it.
///
/// The order of fields and variants is what packed accesses consist of: a change of it is another version of these.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Access<W = What> {
    /// Nanoseconds since 1970.
    pub time: u64,
    pub message: Message,
    pub client: SocketAddr,
    pub server: SocketAddr,
    pub client_identity: Identity,
    pub server_identity: Identity,
    pub client_endpoint: Option<EndpointId>,
    pub server_endpoint: Option<EndpointId>,
    /// TCP or UDP, as IANA numbers them.
    pub transport: u8,
    pub verdict: Verdict,
    /// Of whose policy the rule is, or which found none.
    pub direction: Side,
    /// The kernel's number of the rule that decided; 0 = none allowed it.
    pub rule: u32,
    /// The kernel's numbers of the rules of which one would have had to match, if none did.
    pub closed_by: Vec<u32>,
    /// Of a response: nanoseconds since the request.
    pub latency: Option<u64>,
    pub what: W,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Message {
    Request,
    Response,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Verdict {
    Forwarded,
    Denied,
    /// Would have been denied.
    Audited,
    Refused,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Side {
    Egress,
    Ingress,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum What {
    Http {
        version: HttpVersion,
        method: String,
        /// With its query string.
        path: String,
        /// The host with its port, if it has one.
        authority: String,
        /// Of the answer, where there is one already.
        status: Option<u16>,
        /// Of a call of gRPC that has come to its end, if the server has said it; of one that was denied: 7, `PERMISSION_DENIED`.
        grpc_status: Option<u16>,
        /// Names and values; of all headers if a setting about headers is given, else none.
        headers: Vec<(String, String)>,
        /// That the request belongs to, also of its response.
        trace: Option<TraceId>,
    },
    /// Malformed, for the named reason.
    Malformed {
        reason: String,
    },
    Kafka {
        api: String,
        version: i16,
        correlation_id: i32,
        client_id: Option<String>,
        topics: Vec<String>,
        /// Of a response: the first error in it, 0 = none. None where it is not known.
        error: Option<i16>,
    },
    Tls {
        server_name: Option<String>,
    },
    Dns {
        /// Without the dot of the root.
        name: String,
        /// The type that was asked for, such as `AAAA`.
        kind: String,
        /// What the client is told, where that is known already.
        answer: Option<DnsAnswer>,
    },
}

impl What {
    /// How many kinds there are.
    pub const KINDS: usize = 5;

    /// Its kind as an index.
    #[must_use]
    pub const fn kind(&self) -> usize {
        match self {
            Self::Http { .. } => 0,
            Self::Malformed { .. } => 1,
            Self::Kafka { .. } => 2,
            Self::Tls { .. } => 3,
            Self::Dns { .. } => 4,
        }
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DnsAnswer {
    /// As the registry numbers it: 0 is no error, 3 no such name.
    pub code: u8,
    /// Of the name, however many aliases are on the way.
    pub addresses: Vec<IpAddr>,
    /// The least of the addresses', seconds.
    pub ttl: u32,
    /// Aliases on the way to the addresses, without the dot of the root.
    pub aliases: Vec<String>,
    /// Types of the records in the answer, each once.
    pub kinds: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum HttpVersion {
    Http10,
    Http11,
    Http2,
}

impl fmt::Display for HttpVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Http10 => "HTTP/1.0",
            Self::Http11 => "HTTP/1.1",
            Self::Http2 => "HTTP/2",
        })
    }
}
