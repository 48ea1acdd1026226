//! Labels with their source, as in `k8s:org=empire`.

use serde::{Deserialize, Serialize, de, ser};
use std::{
    cmp::Ordering,
    fmt,
    hash::{Hash, Hasher},
    str::FromStr,
    sync::Arc,
};
use thiserror::Error;

/// Sources that have a meaning of their own.
pub mod source {
    pub const K8S: &str = "k8s";
    pub const RESERVED: &str = "reserved";
    pub const CIDR: &str = "cidr";
    pub const CIDR_GROUP: &str = "cidrgroup";
    /// The pattern of a rule that a name of the address matched.
    pub const FQDN: &str = "fqdn";
    pub const CONTAINER: &str = "container";
    /// In selectors: any source.
    pub const ANY: &str = "any";
    pub const UNSPECIFIED: &str = "unspec";
}

/// One label. The source says who gave it; key and source together are unique in a set.
#[derive(Clone)]
pub struct Label {
    /// Source, key and value one behind the other: a node may hold many thousand labels.
    text: Box<str>,
    source_end: u32,
    key_end: u32,
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
        // A text of 4 GiB is no label.
        let end = |bytes: usize| u32::try_from(bytes).unwrap_or(u32::MAX);
        let source_end = end(source.len());
        let key_end = end(source.len().saturating_add(key.len()));
        Self { text: [source, key, value].concat().into(), source_end, key_end }
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
        self.part(0, self.source_end)
    }

    #[must_use]
    pub fn key(&self) -> &str {
        self.part(self.source_end, self.key_end)
    }

    #[must_use]
    pub fn value(&self) -> &str {
        self.part(self.key_end, u32::MAX)
    }

    fn part(&self, from: u32, to: u32) -> &str {
        let position = |n| usize::try_from(n).unwrap_or(usize::MAX).min(self.text.len());
        self.text.get(position(from)..position(to)).unwrap_or_default()
    }

    fn parts(&self) -> (&str, &str, &str) {
        (self.source(), self.key(), self.value())
    }
}

impl PartialEq for Label {
    fn eq(&self, other: &Self) -> bool {
        self.parts() == other.parts()
    }
}

impl Eq for Label {}

impl Ord for Label {
    /// By source, then key, then value.
    fn cmp(&self, other: &Self) -> Ordering {
        self.parts().cmp(&other.parts())
    }
}

impl PartialOrd for Label {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Hash for Label {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.parts().hash(state);
    }
}

impl fmt::Debug for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (source, key, value) = self.parts();
        f.debug_struct("Label").field("source", &source).field("key", &key).field("value", &value).finish()
    }
}

impl fmt::Display for Label {
    /// `source:key=value`, or `source:key` where the value is empty.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.source(), self.key())?;
        if !self.value().is_empty() {
            write!(f, "={}", self.value())?;
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

/// A set of labels in their order: source, key, value. A copy shares them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Labels(Arc<[Label]>);

impl Labels {
    /// Adds a label; one with the same source and key gives way. To be called for a few labels only: it copies the
    /// set. Many are collected.
    pub fn insert(&mut self, label: Label) {
        *self = self.iter().cloned().chain([label]).collect();
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

impl Serialize for Labels {
    fn serialize<S: ser::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter())
    }
}

impl<'de> Deserialize<'de> for Labels {
    fn deserialize<D: de::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Vec::<Label>::deserialize(deserializer).map(Self::from_iter)
    }
}

impl FromIterator<Label> for Labels {
    fn from_iter<I: IntoIterator<Item = Label>>(labels: I) -> Self {
        let mut all: Vec<Label> = labels.into_iter().collect();
        // The last one of equal source and key is the first of its run now.
        all.reverse();
        all.sort_by(|a, b| (a.source(), a.key()).cmp(&(b.source(), b.key())));
        all.dedup_by(|a, b| (a.source(), a.key()) == (b.source(), b.key()));
        Self(all.into())
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
    fn labels_are_ordered_by_their_parts() {
        let label = Label::new;
        assert!(label("a", "b", "") < label("ab", "", ""), "by the source first");
        assert_ne!(label("a", "b", "c"), label("a", "bc", ""));
        let parts = label("ü", "ä=", ":");
        assert_eq!((parts.source(), parts.key(), parts.value()), ("ü", "ä=", ":"));
    }

    #[test]
    fn the_last_label_of_a_key_wins() {
        let labels: Labels =
            ["k8s:a=1", "k8s:a=2", "any:a=3"].map(|l| l.parse().unwrap()).into_iter().collect();
        assert_eq!(labels.to_string(), "any:a=3,k8s:a=2");
        let more = ["k8s:b=1", "k8s:b=0"].map(|l| l.parse().unwrap());
        let mut inserted = labels.clone();
        more.iter().cloned().for_each(|label| inserted.insert(label));
        assert_eq!(inserted, labels.iter().chain(&more).cloned().collect());
        assert_eq!(inserted.to_string(), "any:a=3,k8s:a=2,k8s:b=0");
        assert_eq!(labels.get(source::K8S, "a"), Some("2"));
    }
}
