//! Rows with a key, found by number or by key. Numbers are four bytes and are used again.

use hashbrown::HashTable;
use std::hash::{BuildHasher, Hash, RandomState};

/// A row that knows its key. Keys come from outside, so they are hashed in a way that nobody can steer.
pub(super) trait Row {
    type Key<'a>: Hash + PartialEq
    where
        Self: 'a;

    fn key(&self) -> Self::Key<'_>;
}

#[derive(Debug)]
pub(super) struct Table<T> {
    rows: Vec<Option<T>>,
    free: Vec<u32>,
    index: HashTable<u32>,
    hasher: RandomState,
}

impl<T> Default for Table<T> {
    fn default() -> Self {
        Self { rows: Vec::new(), free: Vec::new(), index: HashTable::new(), hasher: RandomState::new() }
    }
}

impl<T> Table<T> {
    pub fn len(&self) -> usize {
        self.index.len()
    }

    /// One more than the highest number that was ever in use.
    pub fn end(&self) -> u32 {
        u32::try_from(self.rows.len()).unwrap_or(u32::MAX)
    }

    pub fn get(&self, at: u32) -> Option<&T> {
        self.rows.get(usize::try_from(at).ok()?)?.as_ref()
    }

    /// The key must stay what it is.
    pub fn get_mut(&mut self, at: u32) -> Option<&mut T> {
        self.rows.get_mut(usize::try_from(at).ok()?)?.as_mut()
    }

    pub fn iter(&self) -> impl Iterator<Item = (u32, &T)> {
        (0..).zip(&self.rows).filter_map(|(at, row)| Some((at, row.as_ref()?)))
    }

    pub fn iter_mut(&mut self) -> impl Iterator<Item = (u32, &mut T)> {
        (0..).zip(&mut self.rows).filter_map(|(at, row)| Some((at, row.as_mut()?)))
    }
}

impl<T: Row> Table<T> {
    pub fn find<'a>(&'a self, key: T::Key<'a>) -> Option<u32> {
        let is_it = |at: &u32| self.get(*at).is_some_and(|row| row.key() == key);
        self.index.find(self.hasher.hash_one(&key), is_it).copied()
    }

    /// `row` has a key that is not there yet.
    pub fn insert(&mut self, row: T) -> u32 {
        let hash = self.hasher.hash_one(row.key());
        let at = match self.free.pop() {
            Some(at) => {
                if let Some(place) = usize::try_from(at).ok().and_then(|at| self.rows.get_mut(at)) {
                    *place = Some(row);
                }
                at
            }
            None => {
                let at = self.end();
                self.rows.push(Some(row));
                at
            }
        };
        let (rows, hasher) = (&self.rows, &self.hasher);
        self.index.insert_unique(hash, at, |at| hash_of(rows, hasher, *at));
        at
    }

    pub fn remove(&mut self, at: u32) -> Option<T> {
        let hash = hash_of(&self.rows, &self.hasher, at);
        self.index.find_entry(hash, |found| *found == at).ok()?.remove();
        self.free.push(at);
        self.rows.get_mut(usize::try_from(at).ok()?)?.take()
    }
}

fn hash_of<T: Row>(rows: &[Option<T>], hasher: &RandomState, at: u32) -> u64 {
    let row = usize::try_from(at).ok().and_then(|at| rows.get(at)?.as_ref());
    row.map_or(0, |row| hasher.hash_one(row.key()))
}
