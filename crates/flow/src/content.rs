//! What a proxy read in a connection.

/// One request, or the answer to one.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    pub stage: Stage,
    /// Of an answer: nanoseconds since the request.
    pub latency: u64,
    pub content: Content,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Stage {
    Request,
    Response,
    /// One of many that was picked.
    Sample,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Content {
    Http(Http),
    Dns(Dns),
    Kafka(Kafka),
    /// The name of the server that a TLS client wants, if it says one.
    Tls(Option<String>),
    /// Bytes that two readers could read differently; why.
    Malformed(String),
    /// Another parser's.
    Other,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Http {
    /// 0 = there is no answer yet.
    pub code: u32,
    pub method: String,
    /// Whole, such as `http://deathstar/v1/request-landing`.
    pub url: String,
    /// Such as `HTTP/1.1`.
    pub protocol: String,
    pub headers: Vec<Header>,
}

impl Http {
    /// Path of the URL, without query and fragment.
    #[must_use]
    pub fn path(&self) -> &str {
        let rest = match self.url.split_once("://") {
            Some((_, rest)) => rest.find('/').map_or("", |at| rest.get(at..).unwrap_or_default()),
            None => &self.url,
        };
        rest.split(['?', '#']).next().unwrap_or_default()
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Header {
    pub name: String,
    pub value: String,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dns {
    /// With the dot of the root.
    pub query: String,
    pub addresses: Vec<String>,
    /// Seconds.
    pub ttl: u32,
    pub cnames: Vec<String>,
    /// Who read it: `proxy`.
    pub observer: String,
    pub rcode: u32,
    /// Types that were asked for, such as `AAAA`.
    pub query_types: Vec<String>,
    /// Types of the answer's records.
    pub record_types: Vec<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Kafka {
    pub error_code: i32,
    pub api_version: i32,
    /// Such as `produce`.
    pub api_key: String,
    pub correlation_id: i32,
    pub topic: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_path_of_a_url() {
        for (url, path) in [
            ("http://deathstar/v1/landing?x=/y#z", "/v1/landing"),
            ("http://deathstar", ""),
            ("/v1?x", "/v1"),
            ("https://a:8080/", "/"),
        ] {
            assert_eq!(Http { url: url.to_owned(), ..Http::default() }.path(), path, "{url}");
        }
    }
}
