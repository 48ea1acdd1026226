//! How much there is.

use crate::{
    HistoryError, Reader,
    decode::{Index, Table},
    error::io,
    journal,
    name::{Hour, list},
    query::superseded,
};
use ciliate_flow::Time;
use std::{fs, path::PathBuf};

/// Of a whole history.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// The oldest first.
    pub hours: Vec<HourStats>,
    /// What is not in files yet.
    pub journal: Amount,
    /// Files that were set aside.
    pub torn: Vec<PathBuf>,
    pub oldest: Option<Time>,
    pub newest: Option<Time>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HourStats {
    pub hour: Hour,
    pub amount: Amount,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Amount {
    pub files: u64,
    pub flows: u64,
    pub bytes: u64,
}

impl Amount {
    fn add(&mut self, flows: u64, bytes: u64) {
        self.files = self.files.saturating_add(1);
        self.flows = self.flows.saturating_add(flows);
        self.bytes = self.bytes.saturating_add(bytes);
    }

    /// None without flows.
    #[must_use]
    pub fn bytes_per_flow(&self) -> Option<f64> {
        (self.flows > 0).then(|| self.bytes as f64 / self.flows as f64)
    }
}

impl Stats {
    /// Without the journal.
    #[must_use]
    pub fn files(&self) -> Amount {
        self.hours.iter().fold(Amount::default(), |sum, HourStats { amount, .. }| Amount {
            files: sum.files.saturating_add(amount.files),
            flows: sum.flows.saturating_add(amount.flows),
            bytes: sum.bytes.saturating_add(amount.bytes),
        })
    }

    fn see(&mut self, first: u64, last: u64) {
        let (first, last) = (Time(first), Time(last));
        self.oldest = Some(self.oldest.map_or(first, |oldest| oldest.min(first)));
        self.newest = Some(self.newest.map_or(last, |newest| newest.max(last)));
    }
}

impl Reader {
    /// The latest time of its flows, found without reading them; none without flows. Files that cannot be read do not count.
    ///
    /// # Errors
    /// If the directory cannot be read.
    pub fn newest(&self) -> Result<Option<Time>, HistoryError> {
        let listing = list(self.directory())?;
        let last = listing.files.last().map(|name| name.hour);
        let mut newest = None;
        for name in listing.files.iter().rev().take_while(|name| Some(name.hour) == last) {
            let Ok(table) = Table::open(&self.directory().join(name.to_string()), Index::Groups) else {
                continue;
            };
            newest = newest.max(table.groups().map(|group| Time(group.times().1)).max());
        }
        for path in listing.journals {
            match journal::read(&path) {
                Ok(bytes) => newest = newest.max(journal::newest(&bytes).map(Time)),
                Err(error) if error.is_gone() => {}
                Err(error) => return Err(error),
            }
        }
        Ok(newest)
    }

    /// Counts what there is, without reading flows. Files that cannot be read are not counted.
    ///
    /// # Errors
    /// If the directory cannot be read.
    pub fn stats(&self) -> Result<Stats, HistoryError> {
        let mut stats = Stats::default();
        let listing = list(self.directory())?;
        let gone = superseded(self.directory(), &listing.files);
        for name in listing.files {
            let path = self.directory().join(name.to_string());
            if gone.contains(&name.to_string()) {
                continue;
            }
            let Ok(table) = Table::open(&path, Index::Groups) else { continue };
            let bytes = fs::metadata(&path).map_err(io("look at", &path));
            let bytes = match bytes {
                Ok(metadata) => metadata.len(),
                Err(error) if error.is_gone() => continue,
                Err(error) => return Err(error),
            };
            let mut flows = 0_u64;
            for group in table.groups() {
                flows = flows.saturating_add(u64::try_from(group.rows()).unwrap_or(0));
                let (first, last) = group.times();
                stats.see(first, last);
            }
            if stats.hours.last().is_none_or(|last| last.hour != name.hour) {
                stats.hours.push(HourStats { hour: name.hour, amount: Amount::default() });
            }
            if let Some(HourStats { amount, .. }) = stats.hours.last_mut() {
                amount.add(flows, bytes);
            }
        }
        for path in listing.journals {
            let bytes = match journal::read(&path) {
                Ok(bytes) => bytes,
                Err(error) if error.is_gone() => continue,
                Err(error) => return Err(error),
            };
            let flows = journal::replay(&bytes).flows;
            for flow in &flows {
                stats.see(flow.time.0, flow.time.0);
            }
            let length = |length: usize| u64::try_from(length).unwrap_or(0);
            stats.journal.add(length(flows.len()), length(bytes.len()));
        }
        stats.torn = listing.torn;
        Ok(stats)
    }
}
