//! What settings of the observer say: filters, fields, metrics, headers and labels.

use super::SettingValue;

/// Name of an HTTP header.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct HeaderName(pub String);

impl SettingValue for HeaderName {
    const FORM: &'static str = "NAME";

    fn read(text: &str) -> Result<Self, String> {
        // RFC 9110, 5.6.2.
        let is_token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
        match !text.is_empty() && text.chars().all(is_token) {
            true => Ok(Self(text.to_owned())),
            false => Err("names of HTTP headers".to_owned()),
        }
    }

    fn show(&self) -> String {
        self.0.clone()
    }
}

/// `key=value` of a node, or `key` alone.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct NodeLabel(pub String);

impl SettingValue for NodeLabel {
    const FORM: &'static str = "KEY=VALUE";

    fn read(text: &str) -> Result<Self, String> {
        // As Kubernetes has them: a key may have a domain in front, a value may be empty.
        let (key, value) = text.split_once('=').unwrap_or((text, ""));
        let (domain, name) = key.split_once('/').unwrap_or(("x", key));
        let is_word = |part: &str| part.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c));
        match ![domain, name].contains(&"") && [domain, name, value].into_iter().all(is_word) {
            true => Ok(Self(format!("{key}={value}"))),
            false => Err("labels such as topology.kubernetes.io/zone=a".to_owned()),
        }
    }

    fn show(&self) -> String {
        self.0.clone()
    }
}

/// Filters of flows in JSON, one after the other; what each says the agent understands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FilterList(pub String);

/// Bytes of a list of filters: no more are taken of a client, either.
const LONGEST_FILTERS: usize = 128 << 10;

impl SettingValue for FilterList {
    const FORM: &'static str = "FILTERS";

    fn read(text: &str) -> Result<Self, String> {
        match text.len() <= LONGEST_FILTERS {
            true => Ok(Self(text.trim().to_owned())),
            false => {
                Err("at most 128 KiB of filters in JSON, such as {\"verdict\":[\"DROPPED\"]}".to_owned())
            }
        }
    }

    fn show(&self) -> String {
        self.0.clone()
    }
}

/// Name of a field of flows.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct FieldPath(pub String);

impl SettingValue for FieldPath {
    const FORM: &'static str = "FIELD";

    fn read(text: &str) -> Result<Self, String> {
        match !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || "_.".contains(c)) {
            true => Ok(Self(text.to_owned())),
            false => Err("names of fields, such as source.pod_name".to_owned()),
        }
    }

    fn show(&self) -> String {
        self.0.clone()
    }
}

/// Metrics with a space between them; what each says the agent understands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MetricList(pub String);

/// Bytes of a list of metrics.
const LONGEST_METRICS: usize = 16 << 10;

impl SettingValue for MetricList {
    const FORM: &'static str = "METRICS";

    fn read(text: &str) -> Result<Self, String> {
        match text.len() <= LONGEST_METRICS && !text.contains(|c: char| c.is_control()) {
            true => Ok(Self(text.split_whitespace().collect::<Vec<_>>().join(" "))),
            false => Err("names of metrics with spaces between them, such as \"dns:query drop\"".to_owned()),
        }
    }

    fn show(&self) -> String {
        self.0.clone()
    }
}
