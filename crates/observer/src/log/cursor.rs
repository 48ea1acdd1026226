//! A reader's place in the log.

use super::{Chunk, Log};
use ciliate_flow::{Flow, Time};
use std::sync::Arc;

/// Reads flows one after the other, forwards or backwards.
pub struct Cursor {
    log: Log,
    /// Of the flow that [`Cursor::next`] reads.
    sequence: u64,
    chunk: Option<Arc<Chunk>>,
    /// Of the flow read last.
    time: Option<Time>,
}

/// What [`Cursor::next`] came upon.
#[derive(Debug, PartialEq)]
pub enum Step<'a> {
    Flow(&'a Flow),
    /// These were dropped before the reader came to them; the next step goes on behind them.
    Lost(Lost),
    /// There are no more flows at present.
    End,
}

/// Flows that a reader missed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lost {
    pub count: u64,
    /// They are not older than this, if that is known.
    pub first: Option<Time>,
    /// They are not younger than this.
    pub last: Option<Time>,
}

impl Cursor {
    pub(super) fn new(log: Log, sequence: u64) -> Self {
        Self { log, sequence, chunk: None, time: None }
    }

    /// Sequence of the flow that comes next.
    #[must_use]
    pub fn sequence(&self) -> u64 {
        self.sequence
    }

    /// Reads the flow at its place and goes behind it.
    #[expect(
        clippy::should_implement_trait,
        reason = "an iterator could not lend flows of the chunk it holds"
    )]
    pub fn next(&mut self) -> Step<'_> {
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
        let Some(flow) = self.chunk.as_deref().and_then(|chunk| chunk.flow(self.sequence)) else {
            return Step::End;
        };
        self.sequence = self.sequence.saturating_add(1);
        self.time = Some(flow.time);
        Step::Flow(flow)
    }

    /// Reads the flow before its place and goes to it; none at the oldest one.
    pub fn previous(&mut self) -> Option<&Flow> {
        let before = self.sequence.checked_sub(1)?;
        if before < self.log.oldest() {
            return None;
        }
        self.sequence = before;
        if !self.load() {
            return None;
        }
        self.chunk.as_deref().and_then(|chunk| chunk.flow(before))
    }

    fn skip_to(&mut self, oldest: u64) -> Lost {
        let count = oldest.saturating_sub(self.sequence);
        self.sequence = oldest;
        let last = match self.load() {
            true => self.chunk.as_deref().and_then(|chunk| chunk.flow(oldest)).map(|flow| flow.time),
            false => None,
        };
        Lost { count, first: self.time, last }
    }

    /// Holds the chunk of its place; false if that is no longer, or not yet, there.
    fn load(&mut self) -> bool {
        let holds = |chunk: &Arc<Chunk>| chunk.first <= self.sequence && self.sequence < chunk.end();
        if !self.chunk.as_ref().is_some_and(holds) {
            self.chunk = self.log.chunk(self.sequence);
        }
        self.chunk.is_some()
    }
}
