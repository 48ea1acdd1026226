//! What L7 rules mean, a second time.

use crate::{
    l7::{HttpRequest, KafkaRequest, Request},
    object::{
        cilium::PortRule,
        l7::{FqdnSelector, HttpRule, KafkaRule},
    },
};
use regex_automata::meta::Regex;

/// Whether an element of `toPorts` asks for more than ports.
pub fn looks_inside(rule: &PortRule) -> bool {
    let kinds = rule.rules.as_ref().is_some_and(|r| r.http.is_some() || r.kafka.is_some() || r.dns.is_some());
    kinds || rule.server_names.is_some()
}

/// Whether one of the elements allows the request.
pub fn allowed(request: &Request, elements: &[PortRule]) -> bool {
    let rules = || elements.iter().filter_map(|element| element.rules.as_ref());
    match request {
        Request::Http(request) => {
            rules().filter_map(|r| r.http.as_ref()).flatten().any(|rule| http(rule, request))
        }
        Request::Kafka(request) => {
            let all: Vec<&KafkaRule> = rules().filter_map(|r| r.kafka.as_ref()).flatten().collect();
            let whole = all.iter().any(|rule| {
                (rule.topic.is_none() || request.topics.is_empty()) && kafka_but_topic(rule, request)
            });
            let each = |topic: &String| {
                all.iter().any(|rule| rule.topic.as_ref() == Some(topic) && kafka_but_topic(rule, request))
            };
            whole || (!request.topics.is_empty() && request.topics.iter().all(each))
        }
        Request::Dns(name) => {
            rules().filter_map(|r| r.dns.as_ref()).flatten().any(|rule| named(rule, name.as_str()))
        }
        Request::Tls(name) => name.as_ref().is_some_and(|name| {
            let patterns = elements.iter().filter_map(|element| element.server_names.as_ref()).flatten();
            patterns.into_iter().any(|pattern| glob(pattern, name.as_str()))
        }),
    }
}

/// Whether a name is what `toFQDNs` or a DNS rule says.
pub fn named(selector: &FqdnSelector, name: &str) -> bool {
    selector.match_name.as_ref().is_some_and(|wanted| wanted.trim_end_matches('.').to_lowercase() == name)
        || selector.match_pattern.as_ref().is_some_and(|pattern| glob(pattern, name))
}

/// As Cilium does it: by a regular expression.
fn glob(pattern: &str, name: &str) -> bool {
    let pattern = pattern.trim_end_matches('.');
    let (front, rest) = match pattern.strip_prefix("**.") {
        _ if pattern == "*" => return true,
        Some(rest) => (r"([-a-z0-9_]+\.)+", rest),
        None => ("", pattern),
    };
    let rest = rest.to_lowercase().replace('.', r"\.").replace('*', "[-a-z0-9_]*");
    matches(&format!("{front}{rest}"), name)
}

fn matches(expression: &str, text: &str) -> bool {
    Regex::new(&format!(r"\A(?:{expression})\z")).is_ok_and(|regex| regex.is_match(text))
}

fn http(rule: &HttpRule, request: &HttpRequest) -> bool {
    let fits =
        |wanted: &Option<String>, text: &str| wanted.as_ref().is_none_or(|wanted| matches(wanted, text));
    let values = |name: &str| -> Vec<&str> {
        let of = request.headers.iter().filter(|(n, _)| n.to_lowercase() == name.to_lowercase());
        of.map(|(_, value)| value.as_str()).collect()
    };
    let header = |name: &str, test: &dyn Fn(&str) -> bool| {
        let values = values(name);
        !values.is_empty() && values.into_iter().all(test)
    };
    fits(&rule.method, &request.method)
        && fits(&rule.path, &request.path)
        && fits(&rule.host, request.host.as_deref().unwrap_or_default())
        && rule.headers.iter().all(|wanted| match wanted.split_once(": ") {
            Some((name, value)) => header(name, &|v| v == value),
            None => header(wanted, &|_| true),
        })
        && rule.header_matches.iter().filter(|wanted| wanted.mismatch.is_none()).all(|wanted| {
            header(&wanted.name, &|v| {
                wanted.value.as_ref().is_none_or(|value| v == value)
                    && wanted.regex.as_ref().is_none_or(|regex| matches(regex, v))
            })
        })
}

fn kafka_but_topic(rule: &KafkaRule, request: &KafkaRequest) -> bool {
    let key = request.api_key;
    // The few that are generated.
    let of_role = match rule.role.as_deref() {
        Some("produce") => [0, 3, 18, 22].contains(&key),
        Some("consume") => [1, 2, 3, 8, 9, 10, 11, 12, 13, 14, 18, 23, 68].contains(&key),
        _ => true,
    };
    let of_key = match rule.api_key.as_deref() {
        Some("fetch") => key == 1,
        Some("metadata") => key == 3,
        _ => true,
    };
    let version = rule
        .api_version
        .as_ref()
        .is_none_or(|wanted| request.api_version.is_some_and(|version| version.to_string() == *wanted));
    of_role
        && of_key
        && version
        && rule.client_id.as_ref().is_none_or(|id| request.client_id.as_ref() == Some(id))
}
