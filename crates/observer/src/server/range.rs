//! Which part of a log a request asks for.

use super::turn::Turn;
use crate::log::{Cursor, Entry, Log};
use ciliate_flow::Time;
use ciliate_history::Order;
use ciliate_hubble::Timestamp;

/// `number`, `first`, `follow`, `since` and `until` of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    /// Entries at most; 0 = no such bound.
    number: u64,
    /// Whether these are the oldest, not the newest.
    from: Edge,
    pub after: After,
    pub since: Option<Time>,
    pub until: Option<Time>,
}

/// Where to begin.
pub struct Begin<T> {
    pub cursor: Cursor<T>,
    /// Entries that were found behind it, where they were counted.
    pub found: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Edge {
    Oldest,
    Newest,
}

/// What comes when the log is at its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum After {
    Follow,
    End,
}

impl Range {
    pub fn new(
        number: u64,
        first: bool,
        follow: bool,
        since: Option<&Timestamp>,
        until: Option<&Timestamp>,
    ) -> Self {
        Self {
            number,
            from: if first { Edge::Oldest } else { Edge::Newest },
            after: if follow { After::Follow } else { After::End },
            since: since.map(Time::from),
            until: until.map(Time::from),
        }
    }

    /// How many entries are sent; those that come while it follows do not count.
    pub fn most(&self) -> u64 {
        match (self.number, self.after) {
            (0, _) | (_, After::Follow) => u64::MAX,
            (number, After::End) => number,
        }
    }

    /// How many are to come from before the log, where so many were found in it.
    pub fn missing(&self, found: u64) -> u64 {
        match (self.number, self.from) {
            (0, _) => u64::MAX,
            (number, Edge::Newest) => number.saturating_sub(found),
            (number, Edge::Oldest) => number,
        }
    }

    /// In which order to read what lies before the log: the newest first, where not all are wanted.
    pub fn order_of_past(&self) -> Order {
        match (self.number, self.from) {
            (0 | u64::MAX, _) | (_, Edge::Oldest) => Order::OldestFirst,
            (_, Edge::Newest) => Order::NewestFirst,
        }
    }

    pub fn holds(&self, time: Time) -> bool {
        self.since.is_none_or(|since| since <= time) && self.until.is_none_or(|until| time <= until)
    }

    /// Whether who follows has come to its end. What is past ends with the log: the clock may have been ahead for a while.
    pub fn is_over(&self, time: Time) -> bool {
        self.after == After::Follow && self.until.is_some_and(|until| until < time)
    }

    /// Where to begin, so that going forward from there meets what is asked for. Looks back over the log if need be,
    /// and lets others have their turn meanwhile.
    pub async fn begin<T: Entry>(&self, log: &Log<T>, mut wanted: impl FnMut(&T) -> bool) -> Begin<T> {
        if self.from == Edge::Oldest {
            return Begin { cursor: log.cursor(log.oldest()), found: 0 };
        }
        let mut cursor = log.cursor(log.seen());
        if self.number == 0 && self.since.is_none() {
            let cursor = match self.after {
                After::Follow => cursor,
                After::End => log.cursor(log.oldest()),
            };
            return Begin { cursor, found: 0 };
        }
        let most = if self.number == 0 { u64::MAX } else { self.number };
        let (mut begin, mut found, mut turn) = (cursor.sequence(), 0_u64, Turn::new());
        while found < most {
            let Some(entry) = cursor.previous() else { break };
            // What is older does not end the search: the clock may have been set back since.
            if self.holds(entry.time()) && wanted(entry) {
                found = found.saturating_add(1);
                begin = cursor.sequence();
            }
            turn.pass().await;
        }
        Begin { cursor: log.cursor(begin), found }
    }
}
