//! The last writes to each map.

use ciliate_api::MapEvent;
use jiff::Timestamp;
use std::{
    collections::{BTreeMap, VecDeque},
    fmt::Display,
};

/// Writes kept of each map.
const KEPT: usize = 128;

#[derive(Debug, Default)]
pub struct Journal {
    maps: BTreeMap<&'static str, Log>,
}

#[derive(Debug, Default)]
struct Log {
    events: VecDeque<MapEvent>,
    errors: u64,
}

impl Journal {
    pub fn note(
        &mut self,
        map: &'static str,
        action: &str,
        key: String,
        value: String,
        error: Option<&impl Display>,
    ) {
        let log = self.maps.entry(map).or_default();
        if error.is_some() {
            log.errors = log.errors.saturating_add(1);
        }
        if log.events.len() >= KEPT {
            log.events.pop_front();
        }
        let error = error.map(ToString::to_string).unwrap_or_default();
        log.events.push_back(MapEvent {
            time: Timestamp::now(),
            action: action.to_owned(),
            key,
            value,
            error,
        });
    }

    pub fn events(&self, map: &str) -> Vec<MapEvent> {
        self.maps.get(map).map(|log| log.events.iter().cloned().collect()).unwrap_or_default()
    }

    pub fn errors(&self, map: &str) -> u64 {
        self.maps.get(map).map_or(0, |log| log.errors)
    }
}
