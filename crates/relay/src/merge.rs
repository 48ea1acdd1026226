//! Many streams into one, in the order of time as far as waiting for it is worth it.
//!
//! The earliest answer goes on as soon as every open stream has one waiting: nothing earlier can come then. A stream that has
//! nothing to say holds the others up for the drain time and no longer; more than so many answers never wait.

use crate::{
    answer::{Answer, Moment},
    question::Pace,
};
use std::{
    cmp::Reverse,
    collections::{BinaryHeap, VecDeque},
    time::{Duration, Instant},
};

/// How much order is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sorting {
    /// Answers that wait at most, of all nodes together.
    pub most: usize,
    /// How long one waits at most.
    pub drain: Duration,
}

impl Default for Sorting {
    fn default() -> Self {
        Self { most: 8192, drain: Duration::from_secs(1) }
    }
}

/// One of the streams, by its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lane(usize);

impl Lane {
    pub fn index(self) -> usize {
        self.0
    }
}

pub struct Merge {
    sorting: Sorting,
    pace: Pace,
    waiting: BinaryHeap<Reverse<Entry>>,
    lanes: Vec<LaneState>,
    /// When groups of answers came, and the latest moment in each.
    groups: VecDeque<(Instant, Moment)>,
    /// Up to this moment nothing waits any longer.
    due: Moment,
    /// Of the entry that comes next.
    number: u64,
}

struct LaneState {
    open: bool,
    waiting: usize,
    heard: Instant,
}

struct Entry {
    time: Moment,
    number: u64,
    lane: usize,
    answer: Answer,
}

impl Entry {
    fn key(&self) -> (Moment, u64) {
        (self.time, self.number)
    }
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for Entry {}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Entry {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.key().cmp(&other.key())
    }
}

impl Merge {
    pub fn new(sorting: Sorting, pace: Pace) -> Self {
        Self {
            sorting,
            pace,
            waiting: BinaryHeap::new(),
            lanes: Vec::new(),
            groups: VecDeque::new(),
            due: Moment::default(),
            number: 0,
        }
    }

    /// One more stream.
    pub fn add(&mut self, now: Instant) -> Lane {
        self.lanes.push(LaneState { open: true, waiting: 0, heard: now });
        Lane(self.lanes.len().saturating_sub(1))
    }

    /// From now on there may be more of this stream, or no more.
    pub fn set_open(&mut self, lane: Lane, open: bool, now: Instant) {
        if let Some(lane) = self.lanes.get_mut(lane.0) {
            lane.open = open;
            lane.heard = now;
        }
    }

    /// What came of a stream. `clock` is the time of day: a node whose clock is ahead is taken to speak of now, for otherwise all
    /// others would be late.
    pub fn put(&mut self, lane: Lane, answers: Vec<Answer>, now: Instant, clock: Moment) {
        let Some(state) = self.lanes.get_mut(lane.0) else { return };
        state.waiting = state.waiting.saturating_add(answers.len());
        state.heard = now;
        let mut latest = Moment::default();
        for answer in answers {
            let time = answer.time.min(clock);
            latest = latest.max(time);
            self.waiting.push(Reverse(Entry { time, number: self.number, lane: lane.0, answer }));
            self.number = self.number.saturating_add(1);
        }
        self.groups.push_back((now, latest));
    }

    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// What need not wait any longer, at most so much, each with its stream.
    pub fn take(&mut self, now: Instant, most: usize, mut each: impl FnMut(Lane, Answer)) {
        while let Some((came, latest)) = self.groups.front().copied()
            && now.saturating_duration_since(came) >= self.sorting.drain
        {
            self.due = self.due.max(latest);
            self.groups.pop_front();
        }
        let mut silent = self.lanes.iter().filter(|lane| self.holds_up(lane, now)).count();
        for _ in 0..most {
            let Some(Reverse(first)) = self.waiting.peek() else { break };
            if silent > 0 && first.time > self.due && self.waiting.len() <= self.sorting.most {
                break;
            }
            let Some(Reverse(entry)) = self.waiting.pop() else { break };
            if let Some(lane) = self.lanes.get_mut(entry.lane) {
                lane.waiting = lane.waiting.saturating_sub(1);
            }
            if self.lanes.get(entry.lane).is_some_and(|lane| self.holds_up(lane, now)) {
                silent = silent.saturating_add(1);
            }
            each(Lane(entry.lane), entry.answer);
        }
        if self.waiting.is_empty() {
            self.groups.clear();
        }
    }

    /// Whether something earlier than all that waits may still come from there. Who follows waits for every node; of what is past,
    /// a node that has been silent for the drain time is not waited for.
    fn holds_up(&self, lane: &LaneState, now: Instant) -> bool {
        let expected = match self.pace {
            Pace::Follow => true,
            Pace::Past => now.saturating_duration_since(lane.heard) < self.sorting.drain,
        };
        lane.open && lane.waiting == 0 && expected
    }

    /// When there is something to take at the latest, if nothing more comes.
    pub fn wakes(&self) -> Option<Instant> {
        if self.waiting.is_empty() {
            return None;
        }
        let group = self.groups.front().map(|(came, _)| *came);
        let heard =
            self.lanes.iter().filter(|lane| lane.open && lane.waiting == 0).map(|lane| lane.heard).max();
        let since = match self.pace {
            Pace::Follow => group,
            Pace::Past => group.into_iter().chain(heard).min(),
        };
        since?.checked_add(self.sorting.drain)
    }
}

#[cfg(test)]
mod tests;
