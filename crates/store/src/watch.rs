//! Word of changes: a log of the last ones, read by watchers at their own pace.

use crate::{Change, Revision};
use std::{
    collections::VecDeque,
    sync::{Arc, Condvar, Mutex, PoisonError},
    time::Duration,
};

/// Changes that are kept for slow watchers.
const KEPT: usize = 4096;

#[derive(Debug, Default)]
pub(crate) struct Log {
    entries: Mutex<Entries>,
    news: Condvar,
}

#[derive(Debug, Default)]
struct Entries {
    /// Ascending, without gaps after `forgotten`.
    batches: VecDeque<(Revision, Arc<[Change]>)>,
    /// Changes in `batches`.
    kept: usize,
    /// The last revision that is no longer in `batches`.
    forgotten: Revision,
}

/// What a watcher learns.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// One committed batch.
    Changes(Arc<[Change]>, Revision),
    /// It was too slow: list everything, then watch on from the revision of that.
    Missed { batches: u64 },
}

/// Follows a store's changes from some revision on.
#[derive(Debug)]
pub struct Watch {
    log: Arc<Log>,
    seen: Revision,
}

impl Log {
    pub(crate) fn starting_at(revision: Revision) -> Self {
        Self {
            entries: Mutex::new(Entries { forgotten: revision, ..Entries::default() }),
            news: Condvar::new(),
        }
    }

    pub(crate) fn append(&self, revision: Revision, changes: Arc<[Change]>) {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        entries.kept = entries.kept.saturating_add(changes.len());
        entries.batches.push_back((revision, changes));
        while entries.kept > KEPT && entries.batches.len() > 1 {
            let Some((forgotten, changes)) = entries.batches.pop_front() else { break };
            entries.kept = entries.kept.saturating_sub(changes.len());
            entries.forgotten = forgotten;
        }
        drop(entries);
        self.news.notify_all();
    }

    /// Forgets everything up to a revision, of which nobody knows how it came about.
    pub(crate) fn restart(&self, revision: Revision) {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        *entries = Entries { forgotten: revision, ..Entries::default() };
        drop(entries);
        self.news.notify_all();
    }
}

impl Watch {
    pub(crate) fn new(log: Arc<Log>, after: Revision) -> Self {
        Self { log, seen: after }
    }

    /// The next event, or none within that time.
    pub fn next(&mut self, timeout: Duration) -> Option<Event> {
        let entries = self.log.entries.lock().unwrap_or_else(PoisonError::into_inner);
        let nothing_new = |e: &mut Entries| {
            e.forgotten <= self.seen && e.batches.back().is_none_or(|(last, _)| *last <= self.seen)
        };
        let (entries, _) = self
            .log
            .news
            .wait_timeout_while(entries, timeout, nothing_new)
            .unwrap_or_else(PoisonError::into_inner);
        if entries.forgotten > self.seen {
            let batches = entries.forgotten.0.saturating_sub(self.seen.0);
            self.seen = entries.forgotten;
            return Some(Event::Missed { batches });
        }
        let at = entries.batches.partition_point(|(revision, _)| *revision <= self.seen);
        let (revision, changes) = entries.batches.get(at)?;
        self.seen = *revision;
        Some(Event::Changes(Arc::clone(changes), *revision))
    }
}
