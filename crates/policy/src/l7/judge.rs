//! Whether a request is one that rules allow.

use super::{KafkaRequest, Request, api_name, describe::role_name, http};
use ciliate_types::{KafkaRule, L7Rules, NamePattern};
use serde::Serialize;
use std::collections::BTreeSet;

/// What a set of rules says of a request.
#[must_use]
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "fit", content = "why", rename_all = "lowercase")]
pub enum Fit {
    Matches,
    /// Why not.
    Differs(String),
    /// What would have to be known.
    Unknown(String),
}

/// Asks several sets of rules that stand for one connection. The request is allowed if one of them matches.
///
/// Sets are asked together because a request of Kafka may name several topics, each of which some rule has to allow.
pub fn judge(request: &Request, sets: &[&L7Rules]) -> Vec<Fit> {
    let covered = match request {
        Request::Kafka(request) => covered_topics(request, sets),
        Request::Http(_) | Request::Dns(_) | Request::Tls(_) => BTreeSet::new(),
    };
    sets.iter().map(|rules| one(request, rules, &covered)).collect()
}

fn one(request: &Request, rules: &L7Rules, covered: &BTreeSet<&str>) -> Fit {
    match (request, rules) {
        (Request::Http(request), L7Rules::Http(rules)) => http::judge(request, rules),
        (Request::Kafka(request), L7Rules::Kafka(rules)) => {
            any(rules.iter().map(|rule| kafka(request, rule, covered)))
        }
        (Request::Dns(name), L7Rules::Dns(patterns)) => names(name.as_str(), patterns),
        (Request::Tls(Some(name)), L7Rules::Tls(patterns)) => names(name.as_str(), patterns),
        (Request::Tls(None), L7Rules::Tls(_)) => Fit::Differs("there is no server name".to_owned()),
        (Request::Http(_) | Request::Kafka(_) | Request::Dns(_) | Request::Tls(_), _) => {
            let wanted = match rules {
                L7Rules::Http(_) => "http",
                L7Rules::Kafka(_) => "kafka",
                L7Rules::Dns(_) => "dns",
                L7Rules::Tls(_) => "tls",
            };
            Fit::Differs(format!("is not {wanted}"))
        }
    }
}

/// The best of all, with the reasons of the others.
pub fn any(fits: impl Iterator<Item = Fit>) -> Fit {
    let (mut differs, mut unknown) = (Vec::new(), Vec::new());
    for fit in fits {
        match fit {
            Fit::Matches => return Fit::Matches,
            Fit::Differs(why) => differs.push(why),
            Fit::Unknown(why) => unknown.push(why),
        }
    }
    match unknown.is_empty() {
        true => Fit::Differs(differs.join("; ")),
        false => Fit::Unknown(unknown.join("; ")),
    }
}

fn names(name: &str, patterns: &[NamePattern]) -> Fit {
    match patterns.iter().any(|pattern| pattern.matches(name)) {
        true => Fit::Matches,
        false => {
            let wanted: Vec<_> = patterns.iter().map(ToString::to_string).collect();
            Fit::Differs(format!("{name} is not {}", wanted.join(" or ")))
        }
    }
}

/// Everything of a rule but its topic.
fn kafka_but_topic(request: &KafkaRequest, rule: &KafkaRule) -> Fit {
    let KafkaRule { role, api_key, api_version, client_id, topic: _ } = rule;
    let key = request.api_key;
    if let Some(role) = role.filter(|role| !ciliate_kafka::role_keys(*role).contains(&key)) {
        return Fit::Differs(format!("{} is not part of role {}", api_name(key), role_name(role)));
    }
    if let Some(wanted) = api_key.filter(|wanted| *wanted != key) {
        return Fit::Differs(format!("{} is not {}", api_name(key), api_name(wanted)));
    }
    if let Some(wanted) = client_id
        && request.client_id.as_ref() != Some(wanted)
    {
        return Fit::Differs(format!(
            "the client is {:?}, not {wanted:?}",
            request.client_id.as_deref().unwrap_or_default()
        ));
    }
    match (api_version, request.api_version) {
        (Some(wanted), Some(version)) if *wanted != version => {
            Fit::Differs(format!("version {version} is not {wanted}"))
        }
        (Some(wanted), None) => Fit::Unknown(format!("the version has to be {wanted}")),
        (Some(_), Some(_)) | (None, _) => Fit::Matches,
    }
}

/// The topics of the request that rules about single topics allow.
fn covered_topics<'a>(request: &'a KafkaRequest, sets: &[&L7Rules]) -> BTreeSet<&'a str> {
    let rules = sets.iter().flat_map(|rules| match rules {
        L7Rules::Kafka(rules) => rules.as_slice(),
        L7Rules::Http(_) | L7Rules::Dns(_) | L7Rules::Tls(_) => &[],
    });
    let fitting: BTreeSet<&str> = rules
        .filter(|rule| kafka_but_topic(request, rule) == Fit::Matches)
        .filter_map(|rule| rule.topic.as_deref())
        .collect();
    request.topics.iter().map(String::as_str).filter(|topic| fitting.contains(topic)).collect()
}

fn kafka(request: &KafkaRequest, rule: &KafkaRule, covered: &BTreeSet<&str>) -> Fit {
    let fit = kafka_but_topic(request, rule);
    let Some(topic) = &rule.topic else { return fit };
    if matches!(fit, Fit::Differs(_)) || request.topics.is_empty() {
        return fit;
    }
    if !request.topics.contains(topic) {
        return Fit::Differs(format!("topic {} is not {topic}", request.topics.join(", ")));
    }
    match request.topics.iter().find(|asked| *asked != topic && !covered.contains(asked.as_str())) {
        Some(other) => Fit::Differs(format!("no rule allows topic {other} as well")),
        None => fit,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ciliate_types::{HeaderMatch, HeaderValue, HttpRule, KafkaRole, Mismatch};

    fn ask(text: &str, sets: &[&L7Rules]) -> Vec<bool> {
        judge(&text.parse().unwrap(), sets).into_iter().map(|fit| fit == Fit::Matches).collect()
    }

    #[test]
    fn every_field_of_an_http_rule_has_to_match() {
        let all = HttpRule {
            method: Some("GET|HEAD".into()),
            path: Some("/v[12]/.*".into()),
            host: Some(r".*\.example\.com".into()),
            headers: vec!["X-A: b: c".into(), "X-There".into()],
            header_matches: vec![
                HeaderMatch {
                    name: "X-N".into(),
                    value: HeaderValue::Regex("[0-9]+".into()),
                    mismatch: None,
                },
                HeaderMatch {
                    name: "X-L".into(),
                    value: HeaderValue::Exact("l".into()),
                    mismatch: Some(Mismatch::Log),
                },
            ],
        };
        let rules = L7Rules::Http(vec![all]);
        let good = "HEAD http://a.example.com/v1/x?y\nx-a: b: c\nx-there:\nx-n: 7\nx-l: other";
        assert_eq!(ask(good, &[&rules]), [true]);
        for (from, to) in [
            ("HEAD", "HEADS"),
            ("/v1/", "/v3/"),
            ("a.example.com", "example.com"),
            ("b: c", "b"),
            ("x-there:", "x-else:"),
            ("x-n: 7", "x-n: 7\nx-n: seven"),
        ] {
            assert_eq!(ask(&good.replace(from, to), &[&rules]), [false], "{from} {to}");
        }
        let unknown = good.replace("http://a.example.com", "");
        assert!(
            matches!(&judge(&unknown.parse().unwrap(), &[&rules])[..], [Fit::Unknown(why)] if why.contains("host"))
        );
        assert_eq!(ask("dns:a.example.com", &[&rules]), [false]);
        assert_eq!(ask("BREW /", &[&L7Rules::Http(vec![HttpRule::default()])]), [true]);
    }

    #[test]
    fn topics_are_allowed_together() {
        let rule = |role, topic: &str| KafkaRule {
            role: Some(role),
            topic: Some(topic.into()),
            ..KafkaRule::default()
        };
        let one = L7Rules::Kafka(vec![rule(KafkaRole::Produce, "a")]);
        let two = L7Rules::Kafka(vec![rule(KafkaRole::Produce, "b"), rule(KafkaRole::Consume, "c")]);
        let client = L7Rules::Kafka(vec![KafkaRule { client_id: Some("x".into()), ..KafkaRule::default() }]);
        let sets = [&one, &two, &client];
        for (text, expected) in [
            ("kafka:produce topic=a", [true, false, false]),
            ("kafka:produce topic=a topic=b", [true, true, false]),
            ("kafka:produce topic=a topic=c", [false, false, false]),
            ("kafka:fetch topic=c client=x", [false, true, true]),
            ("kafka:fetch topic=a", [false, false, false]),
            ("kafka:apiversions", [true, true, false]),
            ("kafka:deletetopics topic=a", [false, false, false]),
        ] {
            assert_eq!(ask(text, &sets), expected, "{text}");
        }
    }

    #[test]
    fn names_are_matched_and_missing_ones_are_not() {
        let patterns = vec![NamePattern::MatchPattern("*.example.com".parse().unwrap())];
        let (dns, tls) = (L7Rules::Dns(patterns.clone()), L7Rules::Tls(patterns));
        assert_eq!(ask("dns:a.example.com", &[&dns, &tls]), [true, false]);
        assert_eq!(ask("sni:A.example.com", &[&dns, &tls]), [false, true]);
        assert_eq!(ask("sni:", &[&tls]), [false]);
        assert_eq!(ask("dns:example.com", &[&dns]), [false]);
    }
}
