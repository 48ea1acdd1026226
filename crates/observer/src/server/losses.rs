//! What a client is told of losses: sums, once a second at most, never event by event.

use crate::{
    log::{Cursor, Log, Lost, Step},
    loss::{Loss, LossSource},
};
use ciliate_flow::Time;
use ciliate_hubble::{
    Timestamp,
    flow::{LostEvent, LostEventSource},
};
use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

/// How often a client is told what it missed, at most.
const INTERVAL: Duration = Duration::from_secs(1);

/// What one client has not been told yet.
pub struct Losses {
    node: Cursor<Loss>,
    /// What was over before is not told of.
    since: Option<Time>,
    until: Option<Time>,
    sums: BTreeMap<LossSource, Lost>,
    told: Option<Instant>,
}

impl Losses {
    /// From an entry of the node's losses on, of those that touch a stretch of time.
    pub fn new(node: &Log<Loss>, sequence: u64, since: Option<Time>, until: Option<Time>) -> Self {
        Self { node: node.cursor(sequence), since, until, sums: BTreeMap::new(), told: None }
    }

    /// Takes over what the node lost until now.
    pub fn look(&mut self) {
        loop {
            let loss = match self.node.next() {
                Step::End => return,
                // They were too many to be kept: of their number nothing is known here.
                Step::Lost(_) => continue,
                Step::Entry(loss) => *loss,
            };
            let over = self.since.is_some_and(|since| loss.last < since);
            let later = self.until.is_some_and(|until| until < loss.first);
            if !over && !later {
                let Loss { source, count, first, last } = loss;
                self.add(source, Lost { count, first: Some(first), last: Some(last) });
            }
        }
    }

    pub fn add(&mut self, source: LossSource, lost: Lost) {
        let sum = self.sums.entry(source).or_insert(Lost { count: 0, ..lost });
        sum.count = sum.count.saturating_add(lost.count);
        sum.last = lost.last.or(sum.last);
    }

    /// One sum for each place, if it is time.
    pub fn due(&mut self) -> Option<Vec<LostEvent>> {
        if self.sums.is_empty() || self.told.is_some_and(|at| at.elapsed() < INTERVAL) {
            return None;
        }
        self.told = Some(Instant::now());
        Some(self.rest())
    }

    /// When to ask again, if something waits to be told.
    pub fn wait(&self) -> Option<Duration> {
        let told = self.told.filter(|_| !self.sums.is_empty())?;
        Some(INTERVAL.saturating_sub(told.elapsed()))
    }

    /// All that has not been told.
    pub fn rest(&mut self) -> Vec<LostEvent> {
        let event = |(source, lost): (LossSource, Lost)| LostEvent {
            source: LostEventSource::from(source).into(),
            num_events_lost: lost.count,
            cpu: None,
            first: lost.first.map(Timestamp::from),
            last: lost.last.map(Timestamp::from),
        };
        std::mem::take(&mut self.sums).into_iter().map(event).collect()
    }
}
