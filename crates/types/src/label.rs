//! Labels with their source, as in `k8s:org=empire`.

use serde::{Deserialize, Serialize, de, ser};
use std::{collections::BTreeSet, fmt, str::FromStr};
use thiserror::Error;

/// Sources that have a meaning of their own.
pub mod source {
    pub const K8S: &str = "k8s";
    pub const RESERVED: &str = "reserved";
    pub const CIDR: &str = "cidr";
    pub const CIDR_GROUP: &str = "cidrgroup";
    pub const CONTAINER: &str = "container";
    /// In selectors: any source.
    pub const ANY: &str = "any";
    pub const UNSPECIFIED: &str = "unspec";
}

/// One label. The source says who gave it; key and source together are unique in a set.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Label {
    source: Box<str>,
    key: Box<str>,
    value: Box<str>,
}

#[derive(Debug, Error, PartialEq, Eq)]
pub enum LabelError {
    #[error("label {0:?} has no key: write [source:]key[=value]")]
    NoKey(String),
    #[error("label {text:?} has {what} {at:?} in its {part}")]
    Character { text: String, what: &'static str, at: char, part: &'static str },
}

impl Label {
    #[must_use]
    pub fn new(source: &str, key: &str, value: &str) -> Self {
        Self { source: source.into(), key: key.into(), value: value.into() }
    }

    #[must_use]
    pub fn reserved(identity: crate::ReservedIdentity) -> Self {
        Self::new(source::RESERVED, identity.key(), "")
    }

    /// Reads `[source:]key[=value]`; a label without a source gets `default_source`.
    pub fn parse(text: &str, default_source: &str) -> Result<Self, LabelError> {
        let (name, value) = text.split_once('=').unwrap_or((text, ""));
        let (source, key) = match name.split_once(':') {
            Some((source, key)) if !source.is_empty() => (source, key),
            Some((_, key)) => (default_source, key),
            None => (default_source, name),
        };
        if key.is_empty() {
            return Err(LabelError::NoKey(text.to_owned()));
        }
        for (part, content) in [("source", source), ("key", key), ("value", value)] {
            if let Some(at) = content.chars().find(|c| c.is_whitespace() || c.is_control()) {
                return Err(LabelError::Character { text: text.to_owned(), what: "white space", at, part });
            }
        }
        Ok(Self::new(source, key, value))
    }

    #[must_use]
    pub fn source(&self) -> &str {
        &self.source
    }

    #[must_use]
    pub fn key(&self) -> &str {
        &self.key
    }

    #[must_use]
    pub fn value(&self) -> &str {
        &self.value
    }
}

impl fmt::Display for Label {
    /// `source:key=value`, or `source:key` where the value is empty.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.source, self.key)?;
        if !self.value.is_empty() {
            write!(f, "={}", self.value)?;
        }
        Ok(())
    }
}

impl FromStr for Label {
    type Err = LabelError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text, source::UNSPECIFIED)
    }
}

impl Serialize for Label {
    fn serialize<S: ser::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Label {
    fn deserialize<D: de::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

/// A set of labels in their order: source, key, value.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Labels(BTreeSet<Label>);

impl Labels {
    /// Adds a label; one with the same source and key gives way.
    pub fn insert(&mut self, label: Label) {
        self.0.retain(|l| (l.source(), l.key()) != (label.source(), label.key()));
        self.0.insert(label);
    }

    /// The value of a key. Source [`source::ANY`] finds the first label with that key.
    #[must_use]
    pub fn get(&self, source: &str, key: &str) -> Option<&str> {
        self.iter()
            .find(|l| l.key() == key && (source == source::ANY || l.source() == source))
            .map(Label::value)
    }

    #[must_use]
    pub fn has(&self, source: &str, key: &str) -> bool {
        self.get(source, key).is_some()
    }

    pub fn iter(&self) -> impl Iterator<Item = &Label> + Clone {
        self.0.iter()
    }

    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl FromIterator<Label> for Labels {
    fn from_iter<I: IntoIterator<Item = Label>>(labels: I) -> Self {
        let mut set = Self::default();
        labels.into_iter().for_each(|label| set.insert(label));
        set
    }
}

impl fmt::Display for Labels {
    /// Comma-separated.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.iter().enumerate().try_for_each(|(i, label)| match i {
            0 => write!(f, "{label}"),
            _ => write!(f, ",{label}"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_read_with_source_and_value() {
        for (text, shown) in [
            ("org=empire", "k8s:org=empire"),
            ("reserved:host", "reserved:host"),
            ("any:a=b=c", "any:a=b=c"),
            ("key", "k8s:key"),
            ("io.kubernetes.pod.namespace=a", "k8s:io.kubernetes.pod.namespace=a"),
            ("cidr:fd00::/8", "cidr:fd00::/8"),
        ] {
            assert_eq!(Label::parse(text, source::K8S).map(|l| l.to_string()), Ok(shown.to_owned()));
        }
        for text in ["", "=x", "k8s:", "a b=c"] {
            assert!(Label::parse(text, source::K8S).is_err(), "{text:?}");
        }
    }

    #[test]
    fn the_last_label_of_a_key_wins() {
        let labels: Labels =
            ["k8s:a=1", "k8s:a=2", "any:a=3"].map(|l| l.parse().unwrap()).into_iter().collect();
        assert_eq!(labels.to_string(), "any:a=3,k8s:a=2");
        assert_eq!(labels.get(source::K8S, "a"), Some("2"));
    }
}
