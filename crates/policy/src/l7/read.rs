//! Requests from text.

use super::{HttpRequest, KafkaRequest, Request};
use ciliate_types::DomainNameError;
use std::str::FromStr;
use thiserror::Error;

#[derive(Debug, Error, PartialEq, Eq)]
pub enum RequestError {
    #[error(
        "{0:?} is no request: write METHOD PATH or METHOD http://HOST/PATH with a header on each further line, \
         dns:NAME, sni:NAME, or kafka:REQUEST with topic=, client= and version="
    )]
    Form(String),
    #[error("header {0:?} has no name and value: write NAME: VALUE")]
    Header(String),
    #[error("{0:?} is no request of Kafka: write a name such as produce, or its number")]
    ApiKey(String),
    #[error("{0:?} says nothing about a request of Kafka: write topic=NAME, client=NAME or version=NUMBER")]
    Word(String),
    #[error(transparent)]
    Name(#[from] DomainNameError),
}

impl FromStr for Request {
    type Err = RequestError;

    /// Reads `POST /v1/x`, `GET http://host/x` (each with headers on further lines), `dns:www.example.com`,
    /// `sni:www.example.com`, `sni:` for a handshake without a name, and `kafka:produce topic=a client=b version=3`.
    fn from_str(text: &str) -> Result<Self, RequestError> {
        let text = text.trim();
        if let Some(name) = text.strip_prefix("dns:") {
            return Ok(Self::Dns(name.parse()?));
        }
        if let Some(name) = text.strip_prefix("sni:") {
            return Ok(Self::Tls(if name.is_empty() { None } else { Some(name.parse()?) }));
        }
        match text.strip_prefix("kafka:") {
            Some(words) => kafka(words).map(Self::Kafka),
            None => http(text).map(Self::Http),
        }
    }
}

fn http(text: &str) -> Result<HttpRequest, RequestError> {
    let wrong = || RequestError::Form(text.to_owned());
    let mut lines = text.lines();
    let (method, target) = lines.next().and_then(|line| line.trim().split_once(' ')).ok_or_else(wrong)?;
    let target = target.trim();
    if !is_token(method) || target.contains(char::is_whitespace) {
        return Err(wrong());
    }
    let absolute = target.strip_prefix("http://").or_else(|| target.strip_prefix("https://"));
    let (mut host, path) = match absolute {
        Some(rest) => {
            let (authority, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
            let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
            (Some(without_port(authority)), path)
        }
        None if target.starts_with('/') || target == "*" => (None, target.to_owned()),
        None => return Err(wrong()),
    };
    let mut headers = Vec::new();
    for line in lines.filter(|line| !line.trim().is_empty()) {
        let header = || RequestError::Header(line.to_owned());
        let (name, value) = line.split_once(':').ok_or_else(header)?;
        if !is_token(name.trim()) {
            return Err(header());
        }
        let (name, value) = (name.trim().to_owned(), value.trim().to_owned());
        if name.eq_ignore_ascii_case("host") && host.is_none() {
            host = Some(without_port(&value));
        }
        headers.push((name, value));
    }
    Ok(HttpRequest { method: method.to_owned(), path, host, headers })
}

/// Whether it may be the name of a header or of a method (RFC 9110, 5.6.2).
pub fn is_token(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !text.is_empty() && text.bytes().all(allowed)
}

fn without_port(authority: &str) -> String {
    let digits = |port: &str| port.bytes().all(|byte| byte.is_ascii_digit());
    let host = match authority.rsplit_once(':') {
        Some((host, port)) if digits(port) => host,
        Some(_) | None => authority,
    };
    host.to_ascii_lowercase()
}

fn kafka(words: &str) -> Result<KafkaRequest, RequestError> {
    let mut words = words.split_whitespace();
    let key = words.next().unwrap_or_default();
    let api_key = ciliate_kafka::api_key(key).ok_or_else(|| RequestError::ApiKey(key.to_owned()))?;
    let mut request = KafkaRequest { api_key, ..KafkaRequest::default() };
    for word in words {
        let wrong = || RequestError::Word(word.to_owned());
        match word.split_once('=').ok_or_else(wrong)? {
            ("topic", topic) => request.topics.push(topic.to_owned()),
            ("client", client) => request.client_id = Some(client.to_owned()),
            ("version", version) => request.api_version = Some(version.parse().map_err(|_| wrong())?),
            _ => return Err(wrong()),
        }
    }
    Ok(request)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_read_and_shown() {
        for (text, shown) in [
            ("POST /v1/request-landing", "http POST /v1/request-landing"),
            ("GET http://Deathstar:80/v1?a=b", "http GET deathstar/v1?a=b"),
            ("GET http://[fd00::1]:80", "http GET [fd00::1]/"),
            ("GET /\nHost: Deathstar:8080\nX-A:  b ", "http GET deathstar/, Host: Deathstar:8080, X-A: b"),
            ("OPTIONS *", "http OPTIONS *"),
            ("dns:WWW.Example.com.", "dns www.example.com"),
            ("sni:www.example.com", "tls www.example.com"),
            ("sni:", "tls without a server name"),
            (
                "kafka:produce topic=a topic=b client=c version=3",
                "kafka Produce version=3 client=c topic=a topic=b",
            ),
            ("kafka:18", "kafka ApiVersions"),
        ] {
            assert_eq!(text.parse::<Request>().map(|r| r.to_string()), Ok(shown.to_owned()), "{text}");
        }
        for (text, part) in [
            ("", "METHOD PATH"),
            ("/v1", "METHOD PATH"),
            ("GET v1", "METHOD PATH"),
            ("GET /a b", "METHOD PATH"),
            ("GET /a\nnothing", "NAME: VALUE"),
            ("dns:a b", "' '"),
            ("dns:", "must not be empty"),
            ("kafka:eat", "\"eat\""),
            ("kafka:fetch group=a", "topic=NAME"),
            ("kafka:fetch version=x", "version=NUMBER"),
        ] {
            let error = text.parse::<Request>().unwrap_err().to_string();
            assert!(error.contains(part), "{text}: {error}");
        }
    }
}
