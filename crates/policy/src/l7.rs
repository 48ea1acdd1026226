//! Requests as people ask about them, and whether L7 rules allow them. Made for explanations: the proxy has its own, faster way.

mod describe;
mod http;
mod judge;
mod read;

pub use describe::describe;
pub use judge::{Fit, judge};
pub use read::RequestError;
pub(crate) use read::is_token;

use ciliate_types::DomainName;
use std::fmt;

/// What somebody asks for within an allowed connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    Http(HttpRequest),
    Kafka(KafkaRequest),
    /// A name that is asked for.
    Dns(DomainName),
    /// The server name of a TLS handshake; none if there is none, or if it is encrypted.
    Tls(Option<DomainName>),
}

/// A request as it would be forwarded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HttpRequest {
    pub method: String,
    /// With its query.
    pub path: String,
    /// In lower case, without port; none if nothing is known about it.
    pub host: Option<String>,
    /// Every value of a header that is repeated is an element of its own.
    pub headers: Vec<(String, String)>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KafkaRequest {
    pub api_key: i16,
    /// None if nothing is known about it.
    pub api_version: Option<i16>,
    pub client_id: Option<String>,
    /// Empty if the request is not about topics.
    pub topics: Vec<String>,
}

/// What Kafka calls the request, or its number where it has no name.
pub(crate) fn api_name(key: i16) -> String {
    ciliate_kafka::api_name(key).map_or_else(|| key.to_string(), ToOwned::to_owned)
}

impl fmt::Display for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Http(request) => {
                let HttpRequest { method, path, host, headers } = request;
                write!(f, "http {method} {}{path}", host.as_deref().unwrap_or_default())?;
                headers.iter().try_for_each(|(name, value)| write!(f, ", {name}: {value}"))
            }
            Self::Kafka(request) => {
                let KafkaRequest { api_key, api_version, client_id, topics } = request;
                write!(f, "kafka {}", api_name(*api_key))?;
                api_version.iter().try_for_each(|version| write!(f, " version={version}"))?;
                client_id.iter().try_for_each(|client| write!(f, " client={client}"))?;
                topics.iter().try_for_each(|topic| write!(f, " topic={topic}"))
            }
            Self::Dns(name) => write!(f, "dns {name}"),
            Self::Tls(Some(name)) => write!(f, "tls {name}"),
            Self::Tls(None) => f.write_str("tls without a server name"),
        }
    }
}
