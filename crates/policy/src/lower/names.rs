//! Names, label keys and label values, by the rules of the Kubernetes API server.

use crate::{
    object::{Kind, Object},
    parse::path::Problems,
};

const MAX_SUBDOMAIN: usize = 253;
const MAX_LABEL: usize = 63;

/// Checks name, namespace and labels of an object.
pub fn check_metadata(object: &Object, problems: &mut Problems) {
    let metadata = object.metadata();
    problems.at("name", |p| match object.kind() {
        Kind::Namespace => dns_label(&metadata.name, p),
        Kind::CiliumNetworkPolicy
        | Kind::CiliumClusterwideNetworkPolicy
        | Kind::NetworkPolicy
        | Kind::CiliumCidrGroup
        | Kind::Secret => dns_subdomain(&metadata.name, p),
    });
    problems.at("namespace", |p| match (&metadata.namespace, object.kind().namespaced()) {
        (Some(namespace), true) => dns_label(namespace, p),
        (None, true) => p.fail("is missing"),
        (Some(_), false) => p.fail(format!("a {} belongs to no namespace: leave it out", object.kind())),
        (None, false) => {}
    });
    problems.at("labels", |p| {
        for (key, value) in &metadata.labels {
            p.at(key, |p| {
                label_key(key, p);
                label_value(value, p);
            });
        }
    });
}

/// A label of a host name: lower case letters, digits, and dashes inside.
pub fn dns_label(text: &str, problems: &mut Problems) {
    if !is_dns_label(text) {
        problems.fail(format!(
            "{text:?} is not a name: write at most {MAX_LABEL} lower case letters, digits and dashes, \
             with a letter or digit at both ends"
        ));
    }
}

/// Labels of a host name with dots between them.
pub fn dns_subdomain(text: &str, problems: &mut Problems) {
    if !is_dns_subdomain(text) {
        problems.fail(format!(
            "{text:?} is not a name: write at most {MAX_SUBDOMAIN} lower case letters, digits, dashes and dots, \
             with a letter or digit at both ends of every part"
        ));
    }
}

fn is_dns_label(text: &str) -> bool {
    let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    (1..=MAX_LABEL).contains(&text.len())
        && text.chars().all(inner)
        && !text.starts_with('-')
        && !text.ends_with('-')
}

fn is_dns_subdomain(text: &str) -> bool {
    let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let part = |part: &str| {
        !part.is_empty() && part.chars().all(inner) && !part.starts_with('-') && !part.ends_with('-')
    };
    text.len() <= MAX_SUBDOMAIN && text.split('.').all(part)
}

/// `[prefix/]name`, the prefix a DNS name.
pub fn label_key(key: &str, problems: &mut Problems) {
    let (prefix, name) = match key.split_once('/') {
        Some((prefix, name)) => (Some(prefix), name),
        None => (None, key),
    };
    if name.is_empty() || !is_qualified(name) || prefix.is_some_and(|p| !is_dns_subdomain(p)) {
        problems.fail(format!(
            "{key:?} is not a label key: write [prefix/]name, the name at most {MAX_LABEL} letters, digits, \
             dashes, dots and underscores with a letter or digit at both ends, the prefix a DNS name"
        ));
    }
}

/// Empty, or as the name of a key.
pub fn label_value(value: &str, problems: &mut Problems) {
    if !is_qualified(value) {
        problems.fail(format!(
            "{value:?} is not a label value: write at most {MAX_LABEL} letters, digits, dashes, dots and \
             underscores, with a letter or digit at both ends, or nothing"
        ));
    }
}

fn is_qualified(text: &str) -> bool {
    let inner = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let end = |c: Option<char>| c.is_none_or(|c| c.is_ascii_alphanumeric());
    text.len() <= MAX_LABEL
        && text.chars().all(inner)
        && end(text.chars().next())
        && end(text.chars().next_back())
}

/// The name of a port: at most 15 letters, digits and single dashes inside, with at least one letter.
pub fn is_port_name(text: &str) -> bool {
    let inner = |c: char| c.is_ascii_alphanumeric() || c == '-';
    (1..=15).contains(&text.len())
        && text.chars().all(inner)
        && text.chars().any(|c| c.is_ascii_alphabetic())
        && !text.starts_with('-')
        && !text.ends_with('-')
        && !text.contains("--")
}
