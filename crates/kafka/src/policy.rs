//! Rules, made ready for many requests.

use crate::{RequestHeader, api};
use ciliate_types::KafkaRule;
use std::collections::HashMap;

/// What a list of rules allows, or each of several lists, as for traffic whose both ends have one. One rule after the other costs a few comparisons
/// of numbers; topics cost a look-up each.
#[derive(Clone, Debug)]
pub struct Policy {
    lists: Vec<List>,
}

#[derive(Clone, Debug, Default)]
struct List {
    rules: Vec<Rule>,
    /// Rules by the topic that they are limited to.
    by_topic: HashMap<Box<str>, Vec<usize>>,
}

#[derive(Clone, Debug)]
struct Rule {
    keys: Keys,
    version: Option<i16>,
    client_id: Option<Box<str>>,
    any_topic: bool,
}

#[derive(Clone, Copy, Debug)]
enum Keys {
    Any,
    One(i16),
    /// A bit for each of the numbers 0 to 127.
    Set(u128),
    Never,
}

/// What the header alone says about a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum ByHeader {
    Allowed,
    /// Only rules that are limited to a topic match.
    DependsOnTopics,
    Denied,
}

impl Policy {
    /// A request is allowed if a rule matches it; of several topics each has to be allowed by some rule that matches all the rest of the request.
    #[must_use]
    pub fn new<'a>(rules: impl IntoIterator<Item = &'a KafkaRule>) -> Self {
        let mut list = List::default();
        for rule in rules {
            if let Some(topic) = &rule.topic {
                list.by_topic.entry(topic.as_str().into()).or_default().push(list.rules.len());
            }
            list.rules.push(Rule {
                keys: Keys::new(rule),
                version: rule.api_version,
                client_id: rule.client_id.as_deref().map(Into::into),
                any_topic: rule.topic.is_none(),
            });
        }
        Self { lists: vec![list] }
    }

    /// Allows what both allow.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        self.lists.extend(other.lists);
        self
    }

    pub(crate) fn by_header(&self, header: &RequestHeader<'_>) -> ByHeader {
        self.lists.iter().map(|list| list.by_header(header)).max().unwrap_or(ByHeader::Denied)
    }

    /// Whether, in each list, a rule that matches the header has this topic or every topic.
    pub(crate) fn allows_topic(&self, header: &RequestHeader<'_>, topic: &str) -> bool {
        !self.lists.is_empty() && self.lists.iter().all(|list| list.allows_topic(header, topic))
    }
}

impl List {
    fn by_header(&self, header: &RequestHeader<'_>) -> ByHeader {
        let mut found = ByHeader::Denied;
        for rule in self.rules.iter().filter(|rule| rule.matches(header)) {
            if rule.any_topic {
                return ByHeader::Allowed;
            }
            found = ByHeader::DependsOnTopics;
        }
        found
    }

    fn allows_topic(&self, header: &RequestHeader<'_>, topic: &str) -> bool {
        let named = self.by_topic.get(topic).is_some_and(|rules| {
            rules.iter().filter_map(|index| self.rules.get(*index)).any(|rule| rule.matches(header))
        });
        named || self.by_header(header) == ByHeader::Allowed
    }
}

impl Rule {
    fn matches(&self, header: &RequestHeader<'_>) -> bool {
        self.keys.contain(header.api_key)
            && self.version.is_none_or(|version| version == header.api_version)
            && self.client_id.as_deref().is_none_or(|id| Some(id) == header.client_id)
    }
}

impl Keys {
    fn new(rule: &KafkaRule) -> Self {
        let role =
            rule.role.map(|role| Self::Set(api::role_keys(role).iter().fold(0, |set, key| set | bit(*key))));
        match (role, rule.api_key) {
            (None, None) => Self::Any,
            (Some(set), None) => set,
            (None, Some(key)) => Self::One(key),
            (Some(set), Some(key)) if set.contain(key) => Self::One(key),
            (Some(_), Some(_)) => Self::Never,
        }
    }

    fn contain(self, key: i16) -> bool {
        match self {
            Self::Any => true,
            Self::One(own) => own == key,
            Self::Set(set) => set & bit(key) != 0,
            Self::Never => false,
        }
    }
}

fn bit(key: i16) -> u128 {
    u32::try_from(key).ok().and_then(|key| 1_u128.checked_shl(key)).unwrap_or(0)
}
