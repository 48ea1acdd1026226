//! What the engine says of itself: rules, filters, selectors and names, with who uses them.

use super::{Engine, Subject};
use crate::{
    ObjectKey,
    rule_set::{Action, Filter, FilterDigest, RuleId},
    selector::Selector,
    selectors::Selected,
};
use ciliate_types::{Direction, Identity, L7Rules, NamePattern};
use ipnet::IpNet;
use serde::Serialize;
use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    sync::Arc,
};

/// Where a rule comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RuleRef {
    /// None for a setting.
    pub object: Option<ObjectKey>,
    pub direction: Direction,
    pub action: Action,
    /// The field, such as `spec.ingress[0].toPorts[0]`, or the name of the setting.
    pub section: String,
    pub description: String,
    /// The text of the policy's field `log`.
    pub log: String,
    pub labels: Vec<String>,
    /// What requests have to be like, where the rule says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub l7: Option<Arc<L7Rules>>,
    /// Of the change that brought the object.
    pub revision: u64,
    pub scope: RuleScope,
}

/// What a rule looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RuleScope {
    pub peers: PeerScope,
    pub traffic: TrafficScope,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum PeerScope {
    Any,
    Some,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum TrafficScope {
    Any,
    /// Whole protocols.
    Protocols,
    Ports,
}

/// A pattern of names that rules choose peers by, and who uses it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FqdnSelectorRow {
    pub pattern: NamePattern,
    pub users: Vec<ObjectKey>,
}

/// A selector with who uses it and whom it selects.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SelectorRow {
    pub selector: String,
    pub users: Vec<ObjectKey>,
    pub identities: Vec<Identity>,
}

impl Engine {
    /// The policies that isolate the subject in the direction.
    #[must_use]
    pub fn isolating(&self, subject: &Subject<'_>, direction: Direction) -> Vec<ObjectKey> {
        if !self.is_subject(subject) {
            return Vec::new();
        }
        let specs = self.policies.selecting(subject.labels);
        let isolating = specs.iter().filter_map(|id| self.policies.spec(*id));
        let keys: BTreeSet<&ObjectKey> =
            isolating.filter(|spec| spec.isolates.contains(&direction)).map(|spec| &*spec.object).collect();
        keys.into_iter().cloned().collect()
    }

    /// Where a rule of a rule set comes from.
    #[must_use]
    pub fn rule(&self, id: RuleId) -> Option<RuleRef> {
        if id == RuleId::LOCALHOST {
            return Some(RuleRef {
                object: None,
                direction: Direction::Ingress,
                action: Action::Allow,
                section: "allow-localhost".to_owned(),
                description: "the local host may reach its endpoints".to_owned(),
                log: String::new(),
                labels: Vec::new(),
                l7: None,
                revision: 0,
                scope: RuleScope { peers: PeerScope::Some, traffic: TrafficScope::Any },
            });
        }
        let (spec, rule) = self.policies.rule(id)?;
        Some(RuleRef {
            object: Some(ObjectKey::clone(&spec.object)),
            direction: rule.direction,
            action: rule.effect.action(),
            section: rule.section.to_string(),
            description: spec.description.to_string(),
            log: spec.log.to_string(),
            labels: spec.labels.to_vec(),
            l7: rule.effect.l7().cloned(),
            revision: spec.revision,
            scope: rule.scope(),
        })
    }

    /// What the digest of an entry stands for, as long as somebody holds a rule set with such an entry.
    #[must_use]
    pub fn filter(&self, digest: FilterDigest) -> Option<Arc<Filter>> {
        self.cache.filter(digest)
    }

    /// The filters of all rule sets that somebody holds.
    #[must_use]
    pub fn filters(&self) -> BTreeMap<FilterDigest, Arc<Filter>> {
        self.cache.filters()
    }

    /// Every distinct pattern of `toFQDNs`. An address that was found under a name of some of them needs an identity with
    /// [`crate::fqdn_labels`].
    #[must_use]
    pub fn fqdn_selectors(&self) -> Vec<FqdnSelectorRow> {
        let row = |row: &Selected| match &*row.selector {
            Selector::Fqdn(pattern) => {
                Some(FqdnSelectorRow { pattern: pattern.clone(), users: self.users(row) })
            }
            Selector::Labels(_) | Selector::Entity(_) | Selector::Cidr(_) => None,
        };
        let mut rows: Vec<_> = self.selectors.iter().filter_map(row).collect();
        rows.sort_by(|a, b| a.pattern.cmp(&b.pattern));
        rows
    }

    /// The longest of the [`Self::prefixes`] around an address.
    #[must_use]
    pub fn covering_prefix(&self, address: IpAddr) -> Option<IpNet> {
        let mut around = Some(IpNet::from(address));
        while let Some(net) = around {
            if self.selectors.has_prefix(&net) {
                return Some(net);
            }
            around = net.supernet();
        }
        None
    }

    fn users(&self, row: &Selected) -> Vec<ObjectKey> {
        let specs = row.users.iter().filter_map(|id| self.policies.spec(*id));
        let users: BTreeSet<&ObjectKey> = specs.map(|spec| &*spec.object).collect();
        users.into_iter().cloned().collect()
    }

    /// Every distinct selector of peers.
    #[must_use]
    pub fn selectors(&self) -> Vec<SelectorRow> {
        let row = |row: &Selected| SelectorRow {
            selector: row.selector.to_string(),
            users: self.users(row),
            identities: row.identities.clone(),
        };
        let mut rows: Vec<_> = self.selectors.iter().map(row).collect();
        rows.sort_by(|a, b| a.selector.cmp(&b.selector));
        rows
    }
}
