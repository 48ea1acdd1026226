//! Label selectors with the sources of their keys and the namespace they are limited to.

use super::{each, names};
use crate::{
    object::selector::{LabelSelector, MatchExpression},
    parse::path::Problems,
    selector::{LabelMatch, Requirement, Test, parse_label_key},
};
use ciliate_types::{NAMESPACE_KEY, NAMESPACE_LABELS_PREFIX, ReservedIdentity, source};
use std::collections::BTreeSet;

/// How the keys of a selector are read.
#[derive(Clone, Copy)]
pub enum Keys<'a> {
    /// `source:key`; without a source any will do.
    WithSource,
    /// The key as it stands, under this source and behind this prefix.
    Under { source: &'a str, prefix: &'a str },
}

/// Which keys may stand before a colon. Others are taken for a typing error.
const SOURCES: [&str; 9] = [
    source::K8S,
    source::ANY,
    source::RESERVED,
    source::CIDR,
    source::CIDR_GROUP,
    source::FQDN,
    source::CONTAINER,
    source::UNSPECIFIED,
    "node",
];

/// Checks a selector and puts it into the form it is matched in.
pub fn requirements(selector: &LabelSelector, keys: Keys<'_>, problems: &mut Problems) -> LabelMatch {
    let mut found = LabelMatch::default();
    problems.at("matchLabels", |p| {
        for (key, value) in &selector.match_labels {
            p.at(key, |p| {
                let test = Test::In([value.as_str().into()].into());
                found.add(requirement(key, keys, test, p));
            });
        }
    });
    problems.at("matchExpressions", |p| {
        each(&selector.match_expressions, p, |expression, p| {
            if let Some(test) = test(expression, p) {
                found.add(p.at("key", |p| requirement(&expression.key, keys, test, p)));
            }
        });
    });
    found
}

fn test(expression: &MatchExpression, problems: &mut Problems) -> Option<Test> {
    let values: BTreeSet<Box<str>> = expression.values.iter().map(|v| v.as_str().into()).collect();
    let (test, wants_values) = match expression.operator.as_str() {
        "In" => (Test::In(values), true),
        "NotIn" => (Test::NotIn(values), true),
        "Exists" => (Test::Exists, false),
        "DoesNotExist" => (Test::Missing, false),
        other => {
            problems.at("operator", |p| {
                p.fail(format!("{other:?} is unknown: write In, NotIn, Exists or DoesNotExist"));
            });
            return None;
        }
    };
    problems.at("values", |p| match (wants_values, expression.values.is_empty()) {
        (true, true) => p.fail(format!("{} wants at least one value", expression.operator)),
        (false, false) => p.fail(format!("{} wants no values: leave them out", expression.operator)),
        (true, false) | (false, true) => {}
    });
    Some(test)
}

fn requirement(written: &str, keys: Keys<'_>, test: Test, problems: &mut Problems) -> Requirement {
    let (source, key) = match keys {
        Keys::Under { source, prefix } => (source, format!("{prefix}{written}")),
        Keys::WithSource => match written.split_once(':') {
            Some((source, key)) => (source, key.to_owned()),
            None => (source::ANY, written.to_owned()),
        },
    };
    if !SOURCES.contains(&source) {
        problems.fail(format!("source {source:?} is unknown: write one of {}", SOURCES.join(", ")));
    }
    match source {
        source::CIDR => return within(&key, test, problems),
        source::RESERVED => {
            if !ReservedIdentity::ALL.iter().any(|reserved| reserved.key() == key) {
                let known = ReservedIdentity::ALL.map(ReservedIdentity::key).join(", ");
                problems.fail(format!("reserved label {key:?} is unknown: write one of {known}"));
            }
        }
        // Keys of address groups and names have signs that label keys have not.
        source::CIDR_GROUP | source::FQDN if !key.is_empty() => {}
        _ => {
            // A key behind the namespace prefix is checked as the user knows it.
            names::label_key(if matches!(keys, Keys::WithSource) { &key } else { written }, problems);
            match &test {
                Test::In(values) | Test::NotIn(values) => {
                    values.iter().for_each(|v| names::label_value(v, problems))
                }
                Test::Exists | Test::Missing | Test::Within(_) => {}
            }
        }
    }
    Requirement { source: source.into(), key: key.into(), test }
}

/// `cidr:10.0.0.0/8` holds for every prefix inside.
fn within(key: &str, test: Test, problems: &mut Problems) -> Requirement {
    let Some(net) = parse_label_key(key) else {
        problems.fail(format!("{key:?} is not an address prefix: write cidr:10.0.0.0/8 or cidr:fd00--0/8"));
        return Requirement::exists(source::CIDR, key);
    };
    let positive = match &test {
        Test::In(values) => values.iter().all(|v| v.is_empty()),
        Test::Exists | Test::Within(_) => true,
        Test::NotIn(_) | Test::Missing => false,
    };
    if !positive {
        problems.fail("addresses can only be chosen, not ruled out, by a label: use fromCIDRSet or toCIDRSet with except");
    }
    Requirement { source: source::CIDR.into(), key: key.into(), test: Test::Within(net) }
}

/// Limits a peer selector to the namespace of its policy unless it names namespaces itself, and to endpoints
/// unless it asks for something else: what is not there never matches the world or a host.
pub fn limit_peer(mut labels: LabelMatch, namespace: Option<&str>) -> LabelMatch {
    let is_k8s = |r: &Requirement| matches!(&*r.source, source::K8S | source::ANY);
    let elsewhere = [source::RESERVED, source::CIDR, source::CIDR_GROUP, source::FQDN];
    if labels.requirements().any(|r| r.is_positive() && elsewhere.contains(&&*r.source)) {
        return labels;
    }
    let names_namespace = labels
        .requirements()
        .any(|r| is_k8s(r) && (&*r.key == NAMESPACE_KEY || r.key.starts_with(NAMESPACE_LABELS_PREFIX)));
    labels.add(match namespace {
        Some(namespace) if !names_namespace => Requirement::equals(source::K8S, NAMESPACE_KEY, namespace),
        Some(_) | None => Requirement::managed(),
    });
    labels
}

/// Limits the selector of a policy's subject to the policy's namespace.
pub fn limit_subject(mut labels: LabelMatch, namespace: Option<&str>, problems: &mut Problems) -> LabelMatch {
    let Some(namespace) = namespace else { return labels };
    let init = ReservedIdentity::Init.key();
    if labels.requirements().any(|r| &*r.source == source::RESERVED && &*r.key == init && r.is_positive()) {
        return labels;
    }
    for r in labels.requirements().filter(|r| &*r.key == NAMESPACE_KEY) {
        if let Test::In(values) = &r.test
            && !values.contains(namespace)
        {
            problems.fail(format!(
                "selects another namespace than the policy's own, {namespace}: a CiliumNetworkPolicy applies \
                 to endpoints of its namespace; use a CiliumClusterwideNetworkPolicy"
            ));
        }
    }
    labels.add(Requirement::equals(source::K8S, NAMESPACE_KEY, namespace));
    labels
}
