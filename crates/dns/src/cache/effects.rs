//! What an operation on the cache asks its caller to do.

use super::SelectorSet;
use crate::matcher::SelectorId;
use std::net::IpAddr;

/// An address now falls under other selectors.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    pub address: IpAddr,
    /// Empty: the address was not known, or under no selector.
    pub before: SelectorSet,
    /// Empty: its entry in the kernel goes.
    pub after: SelectorSet,
}

/// Filled by operations, carried out and cleared by the caller; keeps its memory.
#[derive(Clone, Debug, Default)]
pub struct Effects {
    /// In the order in which they have to be carried out; within one operation each address at most once.
    pub changes: Vec<Change>,
    /// To be appended to the [`CacheFile`](crate::CacheFile), whole.
    pub log: Vec<u8>,
}

impl Change {
    /// Selectors that the address has come under.
    pub fn added(&self) -> impl Iterator<Item = SelectorId> {
        self.after.iter().copied().filter(|id| self.before.binary_search(id).is_err())
    }

    /// Selectors that the address is under no more.
    pub fn removed(&self) -> impl Iterator<Item = SelectorId> {
        self.before.iter().copied().filter(|id| self.after.binary_search(id).is_err())
    }
}

impl Effects {
    pub fn clear(&mut self) {
        self.changes.clear();
        self.log.clear();
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty() && self.log.is_empty()
    }
}
