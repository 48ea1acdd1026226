//! What a proxy read in a connection.

use std::borrow::Cow;

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
    /// Path of the URL without its query, `%2F` and the like decoded; none where the URL is none that a request may have
    /// (RFC 9112, section 3.2).
    #[must_use]
    pub fn path(&self) -> Option<Cow<'_, str>> {
        let whole = self.url.split('?').next().unwrap_or_default();
        let path = match whole.split_once("://") {
            Some((_, rest)) => rest.find('/').map_or("", |at| rest.get(at..).unwrap_or_default()),
            None if whole.starts_with('/') || whole == "*" => whole,
            // Host and port, as CONNECT has them.
            None if whole.contains(':') => "",
            None => return None,
        };
        if path.bytes().any(|byte| byte.is_ascii_control()) {
            return None;
        }
        decoded(path)
    }
}

/// What is no text once it is decoded has replacement characters.
fn decoded(path: &str) -> Option<Cow<'_, str>> {
    if !path.contains('%') {
        return Some(Cow::Borrowed(path));
    }
    let digit = |byte: Option<u8>| char::from(byte?).to_digit(16);
    let (mut bytes, mut rest) = (Vec::with_capacity(path.len()), path.bytes());
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => {
                let (high, low) = (digit(rest.next())?, digit(rest.next())?);
                u8::try_from(high << 4 | low).ok()?
            }
            byte => byte,
        });
    }
    Some(Cow::Owned(String::from_utf8_lossy(&bytes).into_owned()))
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
            ("http://deathstar/v1/landing?x=/y", Some("/v1/landing")),
            ("http://deathstar", Some("")),
            ("http://deathstar?x=/y", Some("")),
            ("/v1?x", Some("/v1")),
            ("https://a:8080/", Some("/")),
            ("http://a/page%2F12/%C3%A4%20b", Some("/page/12/ä b")),
            ("/%ff", Some("/\u{fffd}")),
            ("*", Some("*")),
            ("deathstar:443", Some("")),
            ("/100%", None),
            ("/%zz", None),
            ("/a\nb", None),
            ("page", None),
            ("", None),
        ] {
            assert_eq!(Http { url: url.to_owned(), ..Http::default() }.path().as_deref(), path, "{url}");
        }
    }
}
