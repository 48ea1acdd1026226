//! One table: rows by key, and the order in which they changed.

use imbl::{OrdMap, OrdSet};

/// Rows by key. Cloning takes constant time and shares all rows.
#[derive(Clone, Debug)]
pub struct Table<K: Ord, V> {
    name: &'static str,
    revision: u64,
    rows: OrdMap<K, Row<V>>,
    /// The last change of every key, also of deleted ones; the keys of rows say which is which.
    changes: OrdMap<u64, K>,
    deleted: OrdMap<K, u64>,
    /// Who has yet to list what it knows.
    waiting_for: OrdSet<&'static str>,
}

/// A value and the revision of its last change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row<V> {
    pub revision: u64,
    pub value: V,
}

/// The last thing that happened to a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change<'a, K, V> {
    Put(&'a K, &'a V),
    Delete(&'a K),
}

/// Proof that a table holds everything, so that what is not in it may be removed elsewhere.
#[derive(Clone, Copy, Debug)]
pub struct Initialised<'a, K: Ord, V>(&'a Table<K, V>);

impl<K: Ord + Clone, V: Clone + PartialEq> Table<K, V> {
    /// An empty table that is initialised once each of `sources` has called [`Table::listed`].
    #[must_use]
    pub fn new(name: &'static str, sources: &[&'static str]) -> Self {
        Self {
            name,
            revision: 0,
            rows: OrdMap::new(),
            changes: OrdMap::new(),
            deleted: OrdMap::new(),
            waiting_for: sources.iter().copied().collect(),
        }
    }

    #[must_use]
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Of the last change; 0 before any.
    #[must_use]
    pub fn revision(&self) -> u64 {
        self.revision
    }

    #[must_use]
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    #[must_use]
    pub fn get(&self, key: &K) -> Option<&V> {
        self.rows.get(key).map(|row| &row.value)
    }

    /// In the order of the keys.
    pub fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.rows.iter().map(|(key, row)| (key, &row.value))
    }

    pub fn values(&self) -> impl Iterator<Item = &V> {
        self.rows.values().map(|row| &row.value)
    }

    pub(crate) fn rows(&self) -> impl Iterator<Item = (&K, &Row<V>)> {
        self.rows.iter()
    }

    /// Returns the value that was there. Putting an equal value changes nothing.
    pub fn put(&mut self, key: K, value: V) -> Option<V> {
        let old = self.rows.get(&key).cloned();
        if old.as_ref().is_some_and(|row| row.value == value) {
            return old.map(|row| row.value);
        }
        let seen = old.as_ref().map(|row| row.revision).or_else(|| self.deleted.get(&key).copied());
        let revision = self.note(&key, seen);
        self.deleted.remove(&key);
        self.rows.insert(key, Row { revision, value });
        old.map(|row| row.value)
    }

    /// Changes a value in place; `None` where there is no such row.
    pub fn update<T>(&mut self, key: &K, change: impl FnOnce(&mut V) -> T) -> Option<T> {
        let mut value = self.get(key)?.clone();
        let result = change(&mut value);
        self.put(key.clone(), value);
        Some(result)
    }

    pub fn remove(&mut self, key: &K) -> Option<V> {
        let old = self.rows.remove(key)?;
        let revision = self.note(key, Some(old.revision));
        self.deleted.insert(key.clone(), revision);
        Some(old.value)
    }

    fn note(&mut self, key: &K, seen: Option<u64>) -> u64 {
        if let Some(seen) = seen {
            self.changes.remove(&seen);
        }
        self.revision = self.revision.saturating_add(1);
        self.changes.insert(self.revision, key.clone());
        self.revision
    }

    /// What happened after `revision`, oldest first; of several changes of a key only the last.
    pub fn changes_since(&self, revision: u64) -> impl Iterator<Item = Change<'_, K, V>> {
        self.changes.range(revision.saturating_add(1)..).map(|(_, key)| match self.get(key) {
            Some(value) => Change::Put(key, value),
            None => Change::Delete(key),
        })
    }

    /// Drops the memory of deletions up to `revision`, when every reconciler has dealt with them.
    pub fn forget_deletions(&mut self, revision: u64) {
        let old: Vec<(K, u64)> = self
            .deleted
            .iter()
            .filter(|(_, at)| **at <= revision)
            .map(|(key, at)| (key.clone(), *at))
            .collect();
        for (key, at) in old {
            self.deleted.remove(&key);
            self.changes.remove(&at);
        }
    }

    /// `source` has put everything that it knows into the table.
    pub fn listed(&mut self, source: &'static str) {
        self.waiting_for.remove(source);
    }

    #[must_use]
    pub fn initialised(&self) -> Option<Initialised<'_, K, V>> {
        self.waiting_for.is_empty().then_some(Initialised(self))
    }
}

impl<K: Ord + Clone, V: Clone + PartialEq> Initialised<'_, K, V> {
    /// Of what is found outside, that which has no row and is to be removed there.
    pub fn prune<'b, Q>(&self, found: impl IntoIterator<Item = Q>, key: impl Fn(&Q) -> K + 'b) -> Vec<Q> {
        found.into_iter().filter(|item| self.0.get(&key(item)).is_none()).collect()
    }
}
