//! `rules.http`.

use super::{
    super::{each, names},
    said,
};
use crate::{
    l7::is_token,
    object::l7::{self, Secret},
    parse::path::Problems,
};
use ciliate_http::RuleSet;
use ciliate_types::{HeaderMatch, HeaderValue, HttpRule, Mismatch};

/// `namespace` is where secrets are looked for that name none.
pub fn rule(written: &l7::HttpRule, namespace: Option<&str>, problems: &mut Problems) -> HttpRule {
    let l7::HttpRule { method, path, host, headers, header_matches } = written;
    let none = HttpRule::default;
    let text = |written: &Option<String>| said(written.as_ref()).map(ToOwned::to_owned);
    let (method, path, host) = (text(method), text(path), text(host));
    for (field, text, part) in [
        ("method", &method, HttpRule { method: method.clone(), ..none() }),
        ("path", &path, HttpRule { path: path.clone(), ..none() }),
        ("host", &host, HttpRule { host: host.clone(), ..none() }),
    ] {
        if let Some(text) = text {
            problems.at(field, |p| compile(text, part, p));
        }
    }
    HttpRule {
        method,
        path,
        host,
        headers: problems.at("headers", |p| each(headers, p, |text, p| header(text, p))),
        header_matches: problems.at("headerMatches", |p| {
            each(header_matches, p, |written, p| header_match(written, namespace, p))
        }),
    }
}

/// Asks the proxy's own code, so that what is accepted here can be enforced there.
fn compile(text: &str, part: HttpRule, problems: &mut Problems) {
    if let Err(error) = RuleSet::compile(&[part], &|_, _| None) {
        let front = error.position.and_then(|bytes| text.get(..bytes));
        problems.fail(match front.map(|front| front.chars().count().saturating_add(1)) {
            Some(at) => format!("{text:?} is not a regular expression: at character {at}: {}", error.problem),
            None => format!("{text:?} {}", error.problem),
        });
    }
}

/// `Name`, or `Name: value`; the colon and the blank may each be left out. The result has both.
fn header(text: &str, problems: &mut Problems) -> String {
    let (name, value) = match text.find([':', ' ']) {
        Some(end) => {
            let (name, rest) = text.split_at(end);
            (name, Some(rest.strip_prefix(':').unwrap_or(rest).trim()))
        }
        None => (text, None),
    };
    header_name(name, problems);
    match value {
        Some("") => {
            problems.fail(format!(
                "{text:?} has no value: write \"{name}\" for a header that only has to be there"
            ));
            text.to_owned()
        }
        Some(value) => {
            header_value(value, problems);
            format!("{name}: {value}")
        }
        None => name.to_owned(),
    }
}

fn header_name(name: &str, problems: &mut Problems) {
    if !is_token(name) {
        problems.fail(format!("{name:?} is not the name of a header: write letters, digits and dashes"));
    }
}

/// What a header's value may be made of (RFC 9110, 5.5).
fn header_value(value: &str, problems: &mut Problems) {
    let outer = |c: Option<char>| c.is_some_and(|c| matches!(c, ' ' | '\t'));
    let control = |c: char| c != '\t' && c.is_control();
    if value.chars().any(control) || outer(value.chars().next()) || outer(value.chars().next_back()) {
        problems.fail(format!(
            "{value:?} is not the value of a header: it has control characters, or blanks at an end"
        ));
    }
}

fn header_match(written: &l7::HeaderMatch, namespace: Option<&str>, problems: &mut Problems) -> HeaderMatch {
    let before = problems.errors.len();
    let l7::HeaderMatch { name, value, regex, secret, mismatch } = written;
    problems.at("name", |p| header_name(name, p));
    let literal = said(value.as_ref()).map(|text| {
        problems.at("value", |p| header_value(text, p));
        text.to_owned()
    });
    if regex.is_some() && (literal.is_some() || secret.is_some()) {
        problems.at("regex", |p| p.fail("cannot stand beside value or secret"));
    }
    let value = match (said(regex.as_ref()), secret, literal) {
        (Some(text), _, _) => HeaderValue::Regex(text.to_owned()),
        (None, Some(secret), fallback) => {
            problems.at("secret", |p| from_secret(secret, namespace, fallback, p))
        }
        (None, None, Some(value)) => HeaderValue::Exact(value),
        (None, None, None) => HeaderValue::Present,
    };
    let mismatch =
        said(mismatch.as_ref()).and_then(|text| problems.at("mismatch", |p| read_mismatch(text, &value, p)));
    let wanted = HeaderMatch { name: name.clone(), value, mismatch };
    if problems.errors.len() == before {
        let part = HttpRule { header_matches: vec![wanted.clone()], ..HttpRule::default() };
        match &wanted.value {
            HeaderValue::Regex(text) => problems.at("regex", |p| compile(text, part, p)),
            HeaderValue::Present | HeaderValue::Exact(_) | HeaderValue::Secret { .. } => {
                compile(name, part, problems)
            }
        }
    }
    wanted
}

fn from_secret(
    secret: &Secret,
    namespace: Option<&str>,
    fallback: Option<String>,
    problems: &mut Problems,
) -> HeaderValue {
    problems.at("name", |p| names::dns_subdomain(&secret.name, p));
    let namespace = problems.at("namespace", |p| match said(secret.namespace.as_ref()).or(namespace) {
        Some(namespace) => {
            names::dns_label(namespace, p);
            namespace.to_owned()
        }
        None => {
            p.fail("is missing: a clusterwide policy has no namespace of its own");
            String::new()
        }
    });
    HeaderValue::Secret { namespace, name: secret.name.clone(), fallback }
}

fn read_mismatch(text: &str, value: &HeaderValue, problems: &mut Problems) -> Option<Mismatch> {
    let mismatch = match text {
        "LOG" => Mismatch::Log,
        "ADD" => Mismatch::Add,
        "DELETE" => Mismatch::Delete,
        "REPLACE" => Mismatch::Replace,
        _ => {
            problems.fail(format!("{text:?} is unknown: write LOG, ADD, DELETE or REPLACE"));
            return None;
        }
    };
    let writes = matches!(mismatch, Mismatch::Add | Mismatch::Replace);
    if writes && matches!(value, HeaderValue::Present | HeaderValue::Regex(_)) {
        problems.fail(format!("{text} needs the value to write: give value or secret"));
    }
    Some(mismatch)
}
