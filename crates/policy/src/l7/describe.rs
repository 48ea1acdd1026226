//! L7 rules in one line each, for people.

use super::api_name;
use ciliate_types::{HeaderMatch, HeaderValue, HttpRule, KafkaRole, KafkaRule, L7Rules, Mismatch};

/// One line for every rule, such as `http method POST path /v1/request-landing`.
#[must_use]
pub fn describe(rules: &L7Rules) -> Vec<String> {
    match rules {
        L7Rules::Http(rules) => rules.iter().map(http).collect(),
        L7Rules::Kafka(rules) => rules.iter().map(kafka).collect(),
        L7Rules::Dns(patterns) => patterns.iter().map(|pattern| format!("dns {pattern}")).collect(),
        L7Rules::Tls(patterns) => patterns.iter().map(|pattern| format!("tls {pattern}")).collect(),
    }
}

fn line(protocol: &str, parts: Vec<String>) -> String {
    match parts.is_empty() {
        true => format!("{protocol}, any request"),
        false => format!("{protocol} {}", parts.join(" ")),
    }
}

fn http(rule: &HttpRule) -> String {
    let HttpRule { method, path, host, headers, header_matches } = rule;
    let fields = [("method", method), ("path", path), ("host", host)];
    let fields = fields.into_iter().filter_map(|(name, value)| Some(format!("{name} {}", value.as_ref()?)));
    let headers = headers.iter().map(|header| format!("header {header:?}"));
    line("http", fields.chain(headers).chain(header_matches.iter().map(header)).collect())
}

fn header(wanted: &HeaderMatch) -> String {
    let HeaderMatch { name, value, mismatch } = wanted;
    let value = match value {
        HeaderValue::Present => String::new(),
        HeaderValue::Exact(value) => format!(": {value}"),
        HeaderValue::Regex(expression) => format!(" like {expression}"),
        HeaderValue::Secret { namespace, name, fallback: _ } => format!(" from secret {namespace}/{name}"),
    };
    let otherwise = match mismatch {
        None => "",
        Some(Mismatch::Log) => ", else logged",
        Some(Mismatch::Add) => ", else added",
        Some(Mismatch::Delete) => ", else deleted",
        Some(Mismatch::Replace) => ", else replaced",
    };
    format!("header \"{name}{value}\"{otherwise}")
}

fn kafka(rule: &KafkaRule) -> String {
    let KafkaRule { role, api_key, api_version, client_id, topic } = rule;
    let parts = [
        role.map(|role| format!("role {}", role_name(role))),
        api_key.map(|key| format!("apiKey {}", api_name(key))),
        api_version.map(|version| format!("apiVersion {version}")),
        client_id.as_ref().map(|client| format!("clientID {client}")),
        topic.as_ref().map(|topic| format!("topic {topic}")),
    ];
    line("kafka", parts.into_iter().flatten().collect())
}

pub const fn role_name(role: KafkaRole) -> &'static str {
    match role {
        KafkaRole::Produce => "produce",
        KafkaRole::Consume => "consume",
    }
}
