//! Rules for what travels inside of a connection, as policies state them.

use crate::NamePattern;
use serde::{Deserialize, Serialize};

/// What one element of `toPorts` says about the traffic on its ports. A request has to match one of the rules.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum L7Rules {
    Http(Vec<HttpRule>),
    Kafka(Vec<KafkaRule>),
    /// Names that may be asked for.
    Dns(Vec<NamePattern>),
    /// Server names of a TLS handshake (`serverNames`), matched like the patterns of DNS.
    Tls(Vec<NamePattern>),
}

/// What a request must be like; fields that are none match every request.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct HttpRule {
    /// A regular expression for the whole method.
    pub method: Option<String>,
    /// A regular expression for the whole path with its query.
    pub path: Option<String>,
    /// A regular expression for the whole host, without port.
    pub host: Option<String>,
    /// `Name: value`, exactly, or `Name` for a header that only has to be there.
    pub headers: Vec<String>,
    pub header_matches: Vec<HeaderMatch>,
}

/// A header with a value, and what happens to a request without it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HeaderMatch {
    pub name: String,
    pub value: HeaderValue,
    /// None: the rule does not match such a request.
    #[serde(default)]
    pub mismatch: Option<Mismatch>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum HeaderValue {
    /// The header has to be there, with whatever value.
    Present,
    Exact(String),
    /// A regular expression for the whole value.
    Regex(String),
    /// The value is the only entry of a secret.
    Secret {
        namespace: String,
        name: String,
        /// The value while there is no such secret; without it nothing matches then.
        fallback: Option<String>,
    },
}

/// What happens to a request that has a header otherwise than a rule wants, when that does not refuse it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Mismatch {
    /// It passes, and the flow says so.
    Log,
    /// The value is added beside others.
    Add,
    /// A header with another value is taken out.
    Delete,
    /// All values are replaced by the wanted one.
    Replace,
}

/// What a Kafka request must be like; fields that are none match every request.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct KafkaRule {
    pub role: Option<KafkaRole>,
    /// The number of the request's kind, as Kafka's protocol has it.
    pub api_key: Option<i16>,
    pub api_version: Option<i16>,
    pub client_id: Option<String>,
    /// Every topic of the request has to be this one; requests that name no topics match without it.
    pub topic: Option<String>,
}

/// The kinds of requests that a producer or a consumer makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum KafkaRole {
    Produce,
    Consume,
}
