//! What is told of requests, and what the proxy keeps to itself: a secret never leaves the process that read it.

use crate::message::{HttpVersion, TRACE_HEADER, TraceId, What};
use ciliate_http::{Request, Version};
use ciliate_kafka::{Judged, api_name};
use std::borrow::Cow;

/// What stands in the place of a secret, as in Cilium.
const REDACTED: &str = "HUBBLE_REDACTED";

/// How requests are put into words. By default everything is shown but headers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Redaction {
    /// Query strings of URLs.
    pub query: Shown,
    /// Passwords in URLs.
    pub user_info: Shown,
    /// Which requests of Kafka these are.
    pub api_key: Shown,
    pub headers: Headers,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Shown {
    #[default]
    Yes,
    No,
}

/// Which headers are told. Names are compared without regard to case.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Headers {
    #[default]
    None,
    /// All, with the values of these.
    ValuesOf(Vec<String>),
    /// All, without the values of these.
    ValuesExcept(Vec<String>),
}

impl Redaction {
    #[must_use]
    pub fn http(&self, request: &Request<'_>) -> What {
        let path = text(request.path);
        let path = match (self.query, path.split_once('?')) {
            (Shown::No, Some((path, _))) => path.to_owned(),
            _ => path.into_owned(),
        };
        let authority = text(request.authority);
        What::Http {
            version: match request.version {
                Version::Http10 => HttpVersion::Http10,
                Version::Http11 => HttpVersion::Http11,
                Version::Http2 => HttpVersion::Http2,
            },
            method: text(request.method).into_owned(),
            path: self.without_password(path),
            authority: match self.user_info {
                Shown::Yes => authority.into_owned(),
                Shown::No => conceal_password(&authority),
            },
            status: None,
            grpc_status: None,
            headers: self.headers(request),
            trace: trace(request),
        }
    }

    #[must_use]
    pub fn kafka(&self, judged: &Judged) -> What {
        What::Kafka {
            api: match self.api_key {
                Shown::No => REDACTED.to_owned(),
                Shown::Yes => {
                    api_name(judged.api_key).map_or_else(|| judged.api_key.to_string(), str::to_owned)
                }
            },
            version: judged.api_version,
            correlation_id: judged.correlation_id,
            client_id: judged.client_id.as_deref().map(str::to_owned),
            topics: judged.topics.iter().map(ToString::to_string).collect(),
            error: judged.error(),
        }
    }

    /// A target may be a whole URL.
    fn without_password(&self, path: String) -> String {
        match (self.user_info, path.split_once("://")) {
            (Shown::No, Some((scheme, rest))) if !scheme.contains(['/', '?']) => {
                let (authority, rest) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
                format!("{scheme}://{}{rest}", conceal_password(authority))
            }
            _ => path,
        }
    }

    fn headers(&self, request: &Request<'_>) -> Vec<(String, String)> {
        let shows = |name: &[u8]| {
            let listed = |names: &[String]| names.iter().any(|own| name.eq_ignore_ascii_case(own.as_bytes()));
            match &self.headers {
                Headers::None => false,
                Headers::ValuesOf(names) => listed(names),
                Headers::ValuesExcept(names) => !listed(names),
            }
        };
        if self.headers == Headers::None {
            return Vec::new();
        }
        let shown = |(name, value): (&[u8], &[u8])| {
            let value = if shows(name) { text(value).into_owned() } else { REDACTED.to_owned() };
            (text(name).into_owned(), value)
        };
        request.headers.iter().map(shown).collect()
    }
}

/// Said once; two of them say nothing.
fn trace(request: &Request<'_>) -> Option<TraceId> {
    let mut said = request.headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case(TRACE_HEADER));
    match (said.next(), said.next()) {
        (Some((_, value)), None) => TraceId::of_header(value),
        (Some(_), Some(_)) | (None, _) => None,
    }
}

/// `user:password@host` without the password.
fn conceal_password(authority: &str) -> String {
    let concealed = authority.rsplit_once('@').and_then(|(user, host)| {
        let (name, _) = user.split_once(':')?;
        Some(format!("{name}:{REDACTED}@{host}"))
    });
    concealed.unwrap_or_else(|| authority.to_owned())
}

fn text(bytes: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ciliate_http::h1::{Connection, Decision};
    use std::sync::Arc;

    /// URL and headers.
    fn told(redaction: &Redaction, target: &str) -> (String, String) {
        let request =
            format!("GET {target} HTTP/1.1\r\nHost: x:8080\r\nAuthorization: Bearer t\r\nAccept: a\r\n\r\n");
        let mut what = None;
        let mut connection = Connection::<()>::new(Arc::default());
        let _step = connection.client(request.as_bytes(), &mut Vec::new(), &mut Vec::new(), |request| {
            what = Some(redaction.http(request));
            Decision::Deny
        });
        let Some(What::Http { path, authority, headers, .. }) = what else { panic!("{what:?}") };
        let headers = headers.iter().map(|(name, value)| format!("{}={value}", name.to_lowercase()));
        (format!("{authority}{path}"), headers.collect::<Vec<_>>().join(" "))
    }

    #[test]
    fn what_settings_name_is_not_told() {
        let names = |name: &str| vec![name.to_owned()];
        let all = Redaction::default();
        assert_eq!(told(&all, "/a?token=b"), ("x:8080/a?token=b".to_owned(), String::new()));
        let query = Redaction { query: Shown::No, ..Redaction::default() };
        assert_eq!(told(&query, "/a?token=b").0, "x:8080/a");
        let allow = Redaction { headers: Headers::ValuesOf(names("accept")), ..Redaction::default() };
        let (_, headers) = told(&allow, "/");
        assert!(
            headers.contains("accept=a") && headers.contains("authorization=HUBBLE_REDACTED"),
            "{headers}"
        );
        let deny =
            Redaction { headers: Headers::ValuesExcept(names("AUTHORIZATION")), ..Redaction::default() };
        assert_eq!(told(&deny, "/").1, headers.replace("host=HUBBLE_REDACTED", "host=x:8080"));
    }

    #[test]
    fn passwords_are_concealed_wherever_a_url_may_have_them() {
        let hide = Redaction { user_info: Shown::No, ..Redaction::default() };
        for (path, expected) in [
            ("http://me:secret@x/a?b", "http://me:HUBBLE_REDACTED@x/a?b"),
            ("http://me@x/", "http://me@x/"),
            ("http://me:se@cret@x", "http://me:HUBBLE_REDACTED@x"),
            ("/a?to=http://me:secret@x", "/a?to=http://me:secret@x"),
        ] {
            assert_eq!(hide.without_password(path.to_owned()), expected);
            assert_eq!(Redaction::default().without_password(path.to_owned()), path);
        }
        assert_eq!(conceal_password("me:secret@x:80"), "me:HUBBLE_REDACTED@x:80");
        assert_eq!(conceal_password("x:80"), "x:80");
    }

    #[test]
    fn the_kind_of_a_request_of_kafka_is_not_told() {
        let judged = Judged {
            api_key: 0,
            api_version: 9,
            correlation_id: 4,
            client_id: None,
            topics: vec!["t".into()],
            verdict: ciliate_kafka::Verdict::Denied(ciliate_kafka::Reason::Topic("t".into())),
        };
        let told = |shown| {
            let redaction = Redaction { api_key: shown, ..Redaction::default() };
            let What::Kafka { api, error, correlation_id, .. } = redaction.kafka(&judged) else {
                return None;
            };
            Some((api, error, correlation_id))
        };
        assert_eq!(told(Shown::Yes).unwrap(), ("Produce".to_owned(), Some(29), 4));
        assert_eq!(told(Shown::No).unwrap(), (REDACTED.to_owned(), Some(29), 4));
    }
}
