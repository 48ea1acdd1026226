//! Rule sets that were built, by who asked for them.

use super::Subject;
use crate::{
    identities::NamedPorts,
    rule_set::{Filter, FilterDigest, RuleSet},
    selectors::SpecId,
};
use ciliate_types::Labels;
use std::{
    collections::{BTreeMap, HashMap},
    hash::{DefaultHasher, Hash, Hasher},
    sync::{Arc, Weak},
};

/// Forgotten rule sets are swept from the table when it has grown by this much.
const SWEEP_AFTER: usize = 256;

#[derive(Debug)]
struct Row {
    specs: Arc<[SpecId]>,
    /// By the port names of the subject.
    rule_sets: ByNames,
}

/// Rule sets by the port names that made a difference to them.
type ByNames = Vec<(NamedPorts, Arc<RuleSet>)>;

#[derive(Debug, Default)]
pub struct Cache {
    subjects: HashMap<Arc<Labels>, Row>,
    /// What a list of specs comes to, with the port names that its rules use.
    built: HashMap<Arc<[SpecId]>, ByNames>,
    /// Every rule set that somebody holds, by hash.
    shared: HashMap<u64, Vec<Weak<RuleSet>>>,
    sweep_at: usize,
    /// The filters of those.
    filters: HashMap<FilterDigest, Weak<Filter>>,
    sweep_filters_at: usize,
}

impl Cache {
    pub fn is_empty(&self) -> bool {
        self.subjects.is_empty()
    }

    pub fn get(&self, labels: &Labels, ports: &NamedPorts) -> Option<Arc<RuleSet>> {
        let row = self.subjects.get(labels)?;
        row.rule_sets.iter().find(|(p, _)| p == ports).map(|(_, set)| Arc::clone(set))
    }

    pub fn specs(&self, labels: &Labels) -> Option<Arc<[SpecId]>> {
        self.subjects.get(labels).map(|row| Arc::clone(&row.specs))
    }

    pub fn keep(&mut self, subject: &Subject<'_>, specs: &Arc<[SpecId]>, built: &Arc<RuleSet>) {
        let entry = (subject.named_ports.clone(), Arc::clone(built));
        match self.subjects.get_mut(subject.labels) {
            Some(row) => row.rule_sets.push(entry),
            None => {
                let row = Row { specs: Arc::clone(specs), rule_sets: vec![entry] };
                self.subjects.insert(Arc::new(subject.labels.clone()), row);
            }
        }
    }

    /// The one allocation of a list of specs, so that it is known how many subjects have it.
    pub fn one(&self, specs: Arc<[SpecId]>) -> Arc<[SpecId]> {
        self.built.get_key_value(&specs).map_or(specs, |(one, _)| Arc::clone(one))
    }

    pub fn built(&self, specs: &Arc<[SpecId]>, names: &NamedPorts) -> Option<Arc<RuleSet>> {
        self.built.get(specs)?.iter().find(|(n, _)| n == names).map(|(_, set)| Arc::clone(set))
    }

    pub fn keep_built(&mut self, specs: &Arc<[SpecId]>, names: NamedPorts, built: &Arc<RuleSet>) {
        self.built.entry(Arc::clone(specs)).or_default().push((names, Arc::clone(built)));
    }

    /// The one allocation of a rule set.
    pub fn share(&mut self, mut rule_set: RuleSet) -> Arc<RuleSet> {
        for direction in [&mut rule_set.ingress, &mut rule_set.egress] {
            direction.filters.iter_mut().for_each(|(digest, filter)| self.share_filter(*digest, filter));
        }
        let mut hasher = DefaultHasher::new();
        rule_set.hash(&mut hasher);
        let alike = self.shared.entry(hasher.finish()).or_default();
        alike.retain(|weak| weak.strong_count() > 0);
        if let Some(same) = alike.iter().filter_map(Weak::upgrade).find(|held| **held == rule_set) {
            return same;
        }
        let rule_set = Arc::new(rule_set);
        alike.push(Arc::downgrade(&rule_set));
        if self.shared.len() > self.sweep_at {
            self.shared.retain(|_, alike| alike.iter().any(|weak| weak.strong_count() > 0));
            self.sweep_at = self.shared.len().saturating_add(SWEEP_AFTER);
        }
        rule_set
    }

    fn share_filter(&mut self, digest: FilterDigest, filter: &mut Arc<Filter>) {
        match self.filters.get(&digest).and_then(Weak::upgrade) {
            Some(known) => *filter = known,
            None => {
                self.filters.insert(digest, Arc::downgrade(filter));
                if self.filters.len() > self.sweep_filters_at {
                    self.filters.retain(|_, weak| weak.strong_count() > 0);
                    self.sweep_filters_at = self.filters.len().saturating_add(SWEEP_AFTER);
                }
            }
        }
    }

    pub fn filter(&self, digest: FilterDigest) -> Option<Arc<Filter>> {
        self.filters.get(&digest)?.upgrade()
    }

    pub fn filters(&self) -> BTreeMap<FilterDigest, Arc<Filter>> {
        self.filters.iter().filter_map(|(digest, weak)| Some((*digest, weak.upgrade()?))).collect()
    }

    /// Drops what is kept for subjects by their specs or their labels, and says for whom.
    pub fn drop_rows(
        &mut self,
        mut by_specs: impl FnMut(&[SpecId]) -> bool,
        mut by_labels: impl FnMut(&Labels) -> bool,
    ) -> Vec<Arc<Labels>> {
        // Subjects share lists of specs, so each list is looked at once.
        self.built.retain(|specs, _| !by_specs(specs));
        let built = &self.built;
        let stale: Vec<_> = self
            .subjects
            .extract_if(|labels, row| !built.contains_key(&row.specs) || by_labels(labels))
            .map(|(labels, _)| labels)
            .collect();
        if !stale.is_empty() {
            // A list that nobody but this table holds belongs to no subject.
            self.built.retain(|specs, _| Arc::strong_count(specs) > 1);
        }
        stale
    }

    pub fn clear(&mut self) -> Vec<Arc<Labels>> {
        self.built.clear();
        self.subjects.drain().map(|(labels, _)| labels).collect()
    }

    pub fn forget(&mut self, labels: &Labels) {
        self.subjects.remove(labels);
        self.built.retain(|specs, _| Arc::strong_count(specs) > 1);
    }
}
