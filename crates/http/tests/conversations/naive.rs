//! The obvious readings, against which the real ones are held.

use crate::driver::Seen;
use ciliate_http::Request;
use ciliate_types::{HeaderValue, HttpRule};
use regex_automata::meta::Regex;

/// Requests as a plain server reads them from what it got: as many as are whole.
pub fn requests(mut bytes: &[u8]) -> Vec<Seen> {
    let mut found = Vec::new();
    while let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
        let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
        bytes = &bytes[end + 4..];
        let mut lines = head.split("\r\n");
        let words: Vec<_> = lines.next().unwrap().split(' ').collect();
        let header = |name: &str| {
            let own = lines.clone().filter_map(|line| line.split_once(':'));
            own.filter(|(key, _)| key.eq_ignore_ascii_case(name))
                .map(|(_, value)| value.trim().to_owned())
                .next()
        };
        let (authority, path) = match words[1].strip_prefix("http://") {
            Some(rest) => rest.split_at(rest.find('/').unwrap_or(rest.len())),
            None => ("", words[1]),
        };
        let host = header("host").unwrap_or(authority.to_owned());
        let host = host.rsplit_once(':').map_or(host.clone(), |(name, _)| name.to_owned());
        let path = if path.is_empty() { "/" } else { path };
        found.push((words[0].to_owned(), path.to_owned(), host));
        if let Some(length) = header("content-length") {
            bytes = bytes.get(length.parse().unwrap()..).unwrap_or_default();
        }
        if header("transfer-encoding").is_some() {
            loop {
                let line = bytes.windows(2).position(|two| two == b"\r\n");
                let Some(line) = line else { return found };
                let size = String::from_utf8(bytes[..line].to_vec()).unwrap();
                let size = usize::from_str_radix(size.split(';').next().unwrap(), 16).unwrap();
                if size == 0 {
                    let trailers = bytes.windows(4).position(|four| four == b"\r\n\r\n");
                    bytes = trailers.map_or(&[][..], |at| &bytes[at + 4..]);
                    break;
                }
                bytes = bytes.get(line + 2 + size + 2..).unwrap_or_default();
            }
        }
    }
    found
}

/// The first rule that a request matches, each field of each rule on its own. Rules have no mismatch actions.
pub fn judge(rules: &[HttpRule], request: &Request<'_>) -> Option<usize> {
    let whole =
        |expression: &str, value: &[u8]| Regex::new(&format!("^(?:{expression})$")).unwrap().is_match(value);
    let field = |expression: &Option<String>, value: &[u8]| {
        expression.as_ref().is_none_or(|expression| whole(expression, value))
    };
    let header = |name: &str, good: &dyn Fn(&[u8]) -> bool| {
        let values: Vec<_> =
            request.headers.iter().filter(|(own, _)| own.eq_ignore_ascii_case(name.as_bytes())).collect();
        !values.is_empty() && values.iter().all(|(_, value)| good(value))
    };
    rules.iter().position(|rule| {
        field(&rule.method, request.method)
            && field(&rule.path, request.path)
            && field(&rule.host, request.host)
            && rule.headers.iter().all(|text| match text.split_once(": ") {
                Some((name, wanted)) => header(name, &|value| value == wanted.as_bytes()),
                None => header(text, &|_| true),
            })
            && rule.header_matches.iter().all(|wanted| match &wanted.value {
                HeaderValue::Present => header(&wanted.name, &|_| true),
                HeaderValue::Exact(text) => header(&wanted.name, &|value| value == text.as_bytes()),
                HeaderValue::Regex(text) => header(&wanted.name, &|value| whole(text, value)),
                HeaderValue::Secret { .. } => false,
            })
    })
}
