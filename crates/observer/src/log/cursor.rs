//! A reader's place in the log.

use super::{Chunk, Entry, Log};
use ciliate_flow::Time;
use std::sync::Arc;

/// Reads entries one after the other, forwards or backwards.
pub struct Cursor<T> {
    log: Log<T>,
    /// Of the entry that [`Cursor::next`] reads.
    sequence: u64,
    chunk: Option<Arc<Chunk<T>>>,
    /// Of the entry read last.
    time: Option<Time>,
}

/// What [`Cursor::next`] came upon.
#[derive(Debug, PartialEq)]
pub enum Step<'a, T> {
    Entry(&'a T),
    /// These were dropped before the reader came to them; the next step goes on behind them.
    Lost(Lost),
    /// There are no more at present.
    End,
}

/// Entries that a reader missed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lost {
    pub count: u64,
    /// They are not older than this, if that is known.
    pub first: Option<Time>,
    /// They are not younger than this.
    pub last: Option<Time>,
}

impl<T: Entry> Cursor<T> {
    pub(super) fn new(log: Log<T>, sequence: u64) -> Self {
        Self { log, sequence, chunk: None, time: None }
    }

    /// Sequence of the entry that comes next.
    #[must_use]
    pub fn sequence(&self) -> u64 {
        self.sequence
    }

    /// Reads the entry at its place and goes behind it.
    #[expect(
        clippy::should_implement_trait,
        reason = "an iterator could not lend what is in the chunk it holds"
    )]
    pub fn next(&mut self) -> Step<'_, T> {
        let oldest = self.log.oldest();
        if self.sequence < oldest {
            return Step::Lost(self.skip_to(oldest));
        }
        if self.sequence >= self.log.seen() {
            return Step::End;
        }
        if !self.load() {
            // It was dropped in this very moment.
            let oldest = self.log.oldest().max(self.sequence.saturating_add(1));
            return Step::Lost(self.skip_to(oldest));
        }
        let Some(entry) = self.chunk.as_deref().and_then(|chunk| chunk.entry(self.sequence)) else {
            return Step::End;
        };
        self.sequence = self.sequence.saturating_add(1);
        self.time = Some(entry.time());
        Step::Entry(entry)
    }

    /// Reads the entry before its place and goes to it; none at the oldest one.
    pub fn previous(&mut self) -> Option<&T> {
        let before = self.sequence.checked_sub(1)?;
        if before < self.log.oldest() {
            return None;
        }
        self.sequence = before;
        if !self.load() {
            return None;
        }
        self.chunk.as_deref().and_then(|chunk| chunk.entry(before))
    }

    fn skip_to(&mut self, oldest: u64) -> Lost {
        let count = oldest.saturating_sub(self.sequence);
        self.sequence = oldest;
        let last = match self.load() {
            true => self.chunk.as_deref().and_then(|chunk| chunk.entry(oldest)).map(T::time),
            false => None,
        };
        Lost { count, first: self.time, last }
    }

    /// Holds the chunk of its place; false if that is no longer, or not yet, there.
    fn load(&mut self) -> bool {
        let holds = |chunk: &Arc<Chunk<T>>| chunk.first <= self.sequence && self.sequence < chunk.end();
        if !self.chunk.as_ref().is_some_and(holds) {
            self.chunk = self.log.chunk(self.sequence);
        }
        self.chunk.is_some()
    }
}
