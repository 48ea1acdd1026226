//! HTTP requests, judged by the code of the proxy itself: what it refuses, rewrites and matches, it does here too.

use super::{HttpRequest, judge::Fit, judge::any};
use ciliate_http::{
    RuleSet, Scratch, Settings,
    h1::{ClientNext, Connection, Decision},
};
use ciliate_types::{HeaderMatch, HeaderValue, HttpRule};
use std::sync::Arc;

/// Stands for a host that is not known; no rule about hosts is asked then.
const SOME_HOST: &str = "host.invalid";

pub fn judge(request: &HttpRequest, rules: &[HttpRule]) -> Fit {
    match matches(request, &certain(request, rules)) {
        Ok(true) => Fit::Matches,
        Ok(false) => any(rules.iter().map(|rule| reason(request, rule))),
        Err(refused) => Fit::Differs(refused),
    }
}

/// The rules that nothing has to be known about but the request.
fn certain(request: &HttpRequest, rules: &[HttpRule]) -> Vec<HttpRule> {
    let known = |rule: &&HttpRule| {
        let secret = |header: &HeaderMatch| matches!(header.value, HeaderValue::Secret { .. });
        !rule.header_matches.iter().any(secret) && (rule.host.is_none() || request.host.is_some())
    };
    rules.iter().filter(known).cloned().collect()
}

/// Why a rule does not match, one field after the other.
fn reason(request: &HttpRequest, rule: &HttpRule) -> Fit {
    let HttpRule { method, path, host, headers, header_matches } = rule;
    let fits = |part: HttpRule| matches(request, &[part]) == Ok(true);
    let part = HttpRule::default;
    if let Some(wanted) = method
        && !fits(HttpRule { method: Some(wanted.clone()), ..part() })
    {
        return Fit::Differs(format!("method {} is not {wanted}", request.method));
    }
    if let Some(wanted) = path
        && !fits(HttpRule { path: Some(wanted.clone()), ..part() })
    {
        return Fit::Differs(format!("path {} is not {wanted}", request.path));
    }
    let mut unknown = None;
    match (host, &request.host) {
        (Some(wanted), Some(host)) if !fits(HttpRule { host: Some(wanted.clone()), ..part() }) => {
            return Fit::Differs(format!("host {host} is not {wanted}"));
        }
        (Some(wanted), None) => unknown = Some(format!("the host has to be {wanted}")),
        (Some(_), Some(_)) | (None, _) => {}
    }
    for wanted in headers {
        if !fits(HttpRule { headers: vec![wanted.clone()], ..part() }) {
            return Fit::Differs(format!("header is not {wanted:?}"));
        }
    }
    for wanted in header_matches {
        let name = &wanted.name;
        let known = match &wanted.value {
            HeaderValue::Secret { namespace, name: secret, fallback: _ } => {
                unknown = Some(format!("header {name} has to have the value of secret {namespace}/{secret}"));
                HeaderMatch { value: HeaderValue::Present, ..wanted.clone() }
            }
            HeaderValue::Present | HeaderValue::Exact(_) | HeaderValue::Regex(_) => wanted.clone(),
        };
        // Of a secret only the presence of the header can be told, and a mismatch that is mended is none.
        if known.mismatch.is_none() && !fits(HttpRule { header_matches: vec![known], ..part() }) {
            return Fit::Differs(format!("header {name} is not as wanted"));
        }
    }
    match unknown {
        Some(why) => Fit::Unknown(why),
        None => Fit::Differs("its parts match, but not together".to_owned()),
    }
}

/// What the proxy does with the request under these rules; an error is what it refuses whatever the rules say.
fn matches(request: &HttpRequest, rules: &[HttpRule]) -> Result<bool, String> {
    let rules = RuleSet::compile(rules, &|_, _| None).map_err(|error| error.to_string())?;
    let mut connection = Connection::<()>::new(Arc::new(Settings::default()));
    let (mut to_server, mut to_client, mut judged) = (Vec::new(), Vec::new(), None);
    let step = connection.client(&head(request), &mut to_server, &mut to_client, |seen| {
        judged = Some(rules.judge(seen, &mut Scratch::default()).is_some());
        Decision::Deny
    });
    match (judged, step.next) {
        (Some(matches), _) => Ok(matches),
        (None, ClientNext::Refused(refusal) | ClientNext::Abort(refusal)) => {
            Err(format!("is refused before any rule is asked: {refusal}"))
        }
        (None, ClientNext::More | ClientNext::Again | ClientNext::Wait | ClientNext::Last) => {
            Err("is no whole request".to_owned())
        }
    }
}

/// The request as a client would send it.
fn head(request: &HttpRequest) -> Vec<u8> {
    let HttpRequest { method, path, host, headers } = request;
    let host = host.as_deref().unwrap_or(SOME_HOST);
    let mut head = format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\n");
    for (name, value) in headers.iter().filter(|(name, _)| !name.eq_ignore_ascii_case("host")) {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str("\r\n");
    head.into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_proxy_refuses_matches_no_rule() {
        let rules = [HttpRule::default()];
        for (text, part) in [
            ("GET /a/../b", "before any rule is asked"),
            ("CONNECT /", "before any rule is asked"),
            ("GET /\nTransfer-Encoding: chunked\nContent-Length: 3", "before any rule is asked"),
        ] {
            let super::super::Request::Http(request) = text.parse().unwrap() else { continue };
            let fit = judge(&request, &rules);
            assert!(matches!(&fit, Fit::Differs(why) if why.contains(part)), "{text}: {fit:?}");
        }
    }
}
