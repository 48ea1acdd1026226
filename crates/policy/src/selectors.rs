//! Every distinct selector that some rule uses, with the identities it selects at this moment.

use crate::{
    identities::{Identities, Row},
    selector::{Block, LabelMatch, Selector, is_named},
};
use ciliate_types::{Identity, IdentityScope, Label, NamePattern};
use ipnet::IpNet;
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SelectorId(u32);

/// The number of a spec in the engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SpecId(pub u32);

#[derive(Debug)]
pub struct Selected {
    pub selector: Arc<Selector>,
    /// Once for every use.
    pub users: Vec<SpecId>,
    /// Ascending.
    pub identities: Vec<Identity>,
}

/// Things that are found by one label that all of their matches have.
#[derive(Debug)]
pub struct AnchorIndex<T> {
    anchored: HashMap<Box<str>, HashMap<Box<str>, Vec<T>>>,
    /// Those without such a label.
    loose: BTreeSet<T>,
}

impl<T> Default for AnchorIndex<T> {
    fn default() -> Self {
        Self { anchored: HashMap::new(), loose: BTreeSet::new() }
    }
}

impl<T: Copy + Ord> AnchorIndex<T> {
    pub fn insert(&mut self, anchor: Option<(&str, &str)>, item: T) {
        match anchor {
            Some((key, value)) => {
                self.anchored.entry(key.into()).or_default().entry(value.into()).or_default().push(item);
            }
            None => {
                self.loose.insert(item);
            }
        }
    }

    pub fn remove(&mut self, anchor: Option<(&str, &str)>, item: T) {
        let Some((key, value)) = anchor else {
            self.loose.remove(&item);
            return;
        };
        let Some(values) = self.anchored.get_mut(key) else { return };
        if let Some(items) = values.get_mut(value) {
            items.retain(|i| *i != item);
            if items.is_empty() {
                values.remove(value);
            }
        }
        if values.is_empty() {
            self.anchored.remove(key);
        }
    }

    /// Everything that may match these labels, ascending.
    pub fn candidates<'a>(&self, labels: impl Iterator<Item = &'a Label>) -> BTreeSet<T> {
        let anchored = labels.filter_map(|l| self.anchored.get(l.key())?.get(l.value())).flatten();
        anchored.chain(&self.loose).copied().collect()
    }
}

#[derive(Debug, Default)]
pub struct Selectors {
    cluster: String,
    rows: Vec<Option<Selected>>,
    free: Vec<SelectorId>,
    ids: HashMap<Arc<Selector>, SelectorId>,
    labels: AnchorIndex<SelectorId>,
    /// Selectors of addresses by their prefix.
    cidrs: HashMap<IpNet, Vec<SelectorId>>,
    /// How many selectors speak of the prefix.
    prefixes: BTreeMap<IpNet, u32>,
    moved_prefixes: Moved<IpNet>,
    moved_names: Moved<NamePattern>,
}

/// Things that appeared (true) or vanished since the last question.
#[derive(Debug)]
struct Moved<T>(BTreeMap<T, bool>);

impl<T> Default for Moved<T> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<T: Ord> Moved<T> {
    fn note(&mut self, thing: T, appeared: bool) {
        // What comes and goes, or goes and comes back, has not moved.
        if self.0.remove(&thing).is_none() {
            self.0.insert(thing, appeared);
        }
    }

    /// What appeared, and what vanished.
    fn take(&mut self) -> (Vec<T>, Vec<T>) {
        let moved = std::mem::take(&mut self.0);
        let (added, removed): (Vec<_>, Vec<_>) = moved.into_iter().partition(|(_, appeared)| *appeared);
        let things = |list: Vec<(T, bool)>| list.into_iter().map(|(thing, _)| thing).collect();
        (things(added), things(removed))
    }
}

impl Selectors {
    pub fn new(cluster: String) -> Self {
        Self { cluster, ..Self::default() }
    }

    pub fn get(&self, id: SelectorId) -> Option<&Selected> {
        self.rows.get(usize::try_from(id.0).ok()?)?.as_ref()
    }

    fn get_mut(&mut self, id: SelectorId) -> Option<&mut Selected> {
        self.rows.get_mut(usize::try_from(id.0).ok()?)?.as_mut()
    }

    pub fn iter(&self) -> impl Iterator<Item = &Selected> {
        self.rows.iter().flatten()
    }

    pub fn has_prefix(&self, net: &IpNet) -> bool {
        self.prefixes.contains_key(net)
    }

    pub fn prefixes(&self) -> impl Iterator<Item = &IpNet> {
        self.prefixes.keys()
    }

    /// What [`Self::prefixes`] gained and lost since this was last asked.
    pub fn take_moved_prefixes(&mut self) -> (Vec<IpNet>, Vec<IpNet>) {
        self.moved_prefixes.take()
    }

    /// The patterns that were first used and last used since this was last asked.
    pub fn take_moved_names(&mut self) -> (Vec<NamePattern>, Vec<NamePattern>) {
        self.moved_names.take()
    }

    pub fn acquire(&mut self, selector: &Selector, user: SpecId, identities: &Identities) -> SelectorId {
        if let Some(id) = self.ids.get(selector).copied() {
            if let Some(row) = self.get_mut(id) {
                row.users.push(user);
            }
            return id;
        }
        let selector = Arc::new(selector.clone());
        let selected = self.select(&selector, identities);
        let row = Selected { selector: Arc::clone(&selector), users: vec![user], identities: selected };
        let id = match self.free.pop() {
            Some(id) => {
                if let Some(slot) = usize::try_from(id.0).ok().and_then(|at| self.rows.get_mut(at)) {
                    *slot = Some(row);
                }
                id
            }
            None => {
                self.rows.push(Some(row));
                // Four thousand million selectors do not fit into memory.
                SelectorId(u32::try_from(self.rows.len()).unwrap_or(u32::MAX).saturating_sub(1))
            }
        };
        match &*selector {
            Selector::Labels(labels) => self.labels.insert(labels.anchor(), id),
            Selector::Entity(_) => self.labels.insert(None, id),
            Selector::Cidr(block) => self.cidrs.entry(block.net).or_default().push(id),
            Selector::Fqdn(pattern) => {
                self.labels.insert(Some((pattern.as_str(), "")), id);
                self.moved_names.note(pattern.clone(), true);
            }
        }
        selector.prefixes().for_each(|net| self.count_prefix(net));
        self.ids.insert(selector, id);
        id
    }

    pub fn release(&mut self, id: SelectorId, user: SpecId) {
        let Some(row) = self.get_mut(id) else { return };
        if let Some(at) = row.users.iter().position(|u| *u == user) {
            row.users.swap_remove(at);
        }
        if !row.users.is_empty() {
            return;
        }
        let selector = Arc::clone(&row.selector);
        self.ids.remove(&selector);
        if let Some(slot) = usize::try_from(id.0).ok().and_then(|at| self.rows.get_mut(at)) {
            *slot = None;
        }
        self.free.push(id);
        match &*selector {
            Selector::Labels(labels) => self.labels.remove(labels.anchor(), id),
            Selector::Entity(_) => self.labels.remove(None, id),
            Selector::Cidr(block) => {
                if let Some(ids) = self.cidrs.get_mut(&block.net) {
                    ids.retain(|i| *i != id);
                    if ids.is_empty() {
                        self.cidrs.remove(&block.net);
                    }
                }
            }
            Selector::Fqdn(pattern) => {
                self.labels.remove(Some((pattern.as_str(), "")), id);
                self.moved_names.note(pattern.clone(), false);
            }
        }
        selector.prefixes().for_each(|net| self.discount_prefix(net));
    }

    fn count_prefix(&mut self, net: IpNet) {
        let count = self.prefixes.entry(net).or_insert(0);
        *count = count.saturating_add(1);
        if *count == 1 {
            self.moved_prefixes.note(net, true);
        }
    }

    fn discount_prefix(&mut self, net: IpNet) {
        let Some(count) = self.prefixes.get_mut(&net) else { return };
        *count = count.saturating_sub(1);
        if *count == 0 {
            self.prefixes.remove(&net);
            self.moved_prefixes.note(net, false);
        }
    }

    fn select(&self, selector: &Selector, identities: &Identities) -> Vec<Identity> {
        let mut found: Vec<_> = match selector {
            Selector::Labels(labels) => select_labels(labels, identities),
            Selector::Entity(entity) => {
                let matching =
                    identities.iter().filter(|(_, row)| entity.matches(row.labels(), &self.cluster));
                matching.map(|(identity, _)| identity).collect()
            }
            Selector::Cidr(block) => select_block(block, identities),
            Selector::Fqdn(pattern) => {
                let named = |identity: &Identity| {
                    identities.get(*identity).is_some_and(|row| has_name(*identity, row, pattern))
                };
                identities.with_label(pattern.as_str(), "").filter(named).collect()
            }
        };
        found.sort_unstable();
        found.dedup();
        found
    }

    /// Adds the identity wherever it belongs; returns the selectors that gained it.
    pub fn identity_added(&mut self, identity: Identity, row: &Row) -> Vec<SelectorId> {
        let mut gained = Vec::new();
        for id in self.candidates(row) {
            let Some(selected) = self.get(id) else { continue };
            let belongs = match &*selected.selector {
                Selector::Labels(labels) => labels.matches(row.labels()),
                Selector::Entity(entity) => entity.matches(row.labels(), &self.cluster),
                Selector::Cidr(block) => row.prefix.is_some_and(|prefix| block.contains(&prefix)),
                Selector::Fqdn(pattern) => has_name(identity, row, pattern),
            };
            if belongs
                && let Some(selected) = self.get_mut(id)
                && let Err(at) = selected.identities.binary_search(&identity)
            {
                selected.identities.insert(at, identity);
                gained.push(id);
            }
        }
        gained
    }

    /// Takes the identity away wherever it is; returns the selectors that lost it.
    pub fn identity_removed(&mut self, identity: Identity, row: &Row) -> Vec<SelectorId> {
        let mut lost = Vec::new();
        for id in self.candidates(row) {
            if let Some(selected) = self.get_mut(id)
                && let Ok(at) = selected.identities.binary_search(&identity)
            {
                selected.identities.remove(at);
                lost.push(id);
            }
        }
        lost
    }

    fn candidates(&self, row: &Row) -> BTreeSet<SelectorId> {
        let mut candidates = self.labels.candidates(row.labels());
        if let Some(prefix) = row.prefix {
            let mut around = Some(prefix);
            while let Some(net) = around {
                candidates.extend(self.cidrs.get(&net).into_iter().flatten());
                around = net.supernet();
            }
        }
        candidates
    }
}

/// Only addresses outside of the cluster have names, whatever labels somebody gives to an endpoint.
fn has_name(identity: Identity, row: &Row, pattern: &NamePattern) -> bool {
    identity.scope() == IdentityScope::Local && is_named(pattern, row.labels())
}

fn select_labels(labels: &LabelMatch, identities: &Identities) -> Vec<Identity> {
    let fewest = labels.equalities().min_by_key(|(key, value)| identities.count_with_label(key, value));
    match fewest {
        Some((key, value)) => {
            let belongs = |identity: &Identity| {
                identities.get(*identity).is_some_and(|row| labels.matches(row.labels()))
            };
            identities.with_label(key, value).filter(belongs).collect()
        }
        None => {
            let matching = identities.iter().filter(|(_, row)| labels.matches(row.labels()));
            matching.map(|(identity, _)| identity).collect()
        }
    }
}

fn select_block(block: &Block, identities: &Identities) -> Vec<Identity> {
    let inside = identities.within(block.net).filter(|(prefix, _)| block.contains(prefix));
    inside.map(|(_, identity)| identity).collect()
}
