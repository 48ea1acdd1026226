//! Which topic an id stands for.

use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock},
};

/// A topic's id as it is on the wire. All zero: none.
pub type TopicId = [u8; 16];

pub(crate) const NO_ID: TopicId = [0; 16];

/// Names of topic ids, learnt from what brokers said. Clients ask one broker for metadata and fetch from others over connections of their own,
/// so one of these belongs to all connections between the same client and the same cluster. A server that lies can only mislead about itself, as
/// long as it is not shared more widely than that.
#[derive(Debug)]
pub struct TopicIds {
    names: RwLock<HashMap<TopicId, Arc<str>>>,
    limit: usize,
}

impl TopicIds {
    /// Holds `limit` ids; when there are more, it forgets all and learns anew. A client whose id is not known is told so, asks for metadata
    /// again, and goes on.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self { names: RwLock::default(), limit }
    }

    #[must_use]
    pub fn name(&self, id: &TopicId) -> Option<Arc<str>> {
        self.names.read().unwrap_or_else(PoisonError::into_inner).get(id).cloned()
    }

    /// A name that is learnt later replaces one that was learnt before.
    pub fn learn(&self, id: TopicId, name: &str) {
        if id == NO_ID || self.name(&id).is_some_and(|known| &*known == name) {
            return;
        }
        let mut names = self.names.write().unwrap_or_else(PoisonError::into_inner);
        if names.len() >= self.limit && !names.contains_key(&id) {
            names.clear();
        }
        names.insert(id, name.into());
    }
}
