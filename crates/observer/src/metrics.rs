//! Hubble's metrics for Prometheus: one more reader of the log of flows.
//!
//! Names, labels and options are Hubble's, so that dashboards made for Cilium show what Ciliate sees. To look up a series that
//! is known takes no memory; their number is bounded, and what there is no room for is counted as such.

mod config;
mod context;
mod exposition;
mod family;
mod foreign;
mod handler;
mod instrument;
mod key;
mod words;

pub use config::{Config, ConfigError};
pub use exposition::Format;
pub use family::Bounds;
pub use foreign::{Foreign, Kind as ForeignKind};

use crate::log::{Cursor, Log, Step};
use crate::loss::LossSource;
use ciliate_flow::{FilterError, Flow};
use exposition::{Sample, Text};
use family::Tick;
use handler::Counting;
use instrument::{Counter, Instrument as _};
use key::Key;
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};
use tokio::time;

/// How long flows wait for others, so that many cost one wake-up.
const REST: Duration = Duration::from_millis(20);
/// Flows that are counted before others of this thread have their turn.
const BATCH: usize = 1024;
/// How often series that nothing is counted in any more are looked for.
const SWEEP: u64 = 10;

/// The metrics of a node.
#[derive(Clone)]
pub struct Metrics(Arc<Mutex<Counts>>);

struct Counts {
    cursor: Cursor<Flow>,
    begun: Instant,
    swept: Tick,
    key: Key,
    config: Config,
    handlers: Vec<Counting>,
    lost: BTreeMap<LossSource, u64>,
}

/// Whether there is more to count at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rest {
    None,
    Some,
}

impl Metrics {
    /// Counts flows of the log that come from now on.
    ///
    /// # Errors
    /// Where a filter of the configuration cannot be used.
    pub fn new(log: &Log<Flow>, config: Config) -> Result<Self, FilterError> {
        let counts = Counts {
            cursor: log.cursor(log.seen()),
            begun: Instant::now(),
            swept: Tick::default(),
            key: Key::default(),
            handlers: handlers(&config)?,
            config,
            lost: BTreeMap::from([(LossSource::HubbleRingBuffer, 0)]),
        };
        Ok(Self(Arc::new(Mutex::new(counts))))
    }

    /// Has other metrics from now on. Those that stay, with the same labels, keep their series.
    ///
    /// # Errors
    /// Where a filter of the configuration cannot be used; then all stays as it is.
    pub fn configure(&self, config: Config) -> Result<(), FilterError> {
        let mut new = handlers(&config)?;
        let mut counts = self.counts();
        if counts.config == config {
            return Ok(());
        }
        // Under the old configuration, as they came when it was in force.
        while counts.catch_up() == Rest::Some {}
        for handler in &mut new {
            for old in &mut counts.handlers {
                handler.inherit(old);
            }
        }
        (counts.handlers, counts.config) = (new, config);
        Ok(())
    }

    /// Events that were lost at a place, since the agent began.
    pub fn set_lost(&self, source: LossSource, count: u64) {
        self.counts().lost.insert(source, count);
    }

    /// What a scrape shows: all that came until now is in it, and what others count.
    #[must_use]
    pub fn text(&self, format: Format, others: &[Foreign]) -> String {
        let mut counts = self.counts();
        while counts.catch_up() == Rest::Some {}
        counts.text(format, others)
    }

    /// Counts what comes, as long as it is polled.
    pub async fn run(self, log: Log<Flow>) {
        let mut bell = log.bell();
        loop {
            loop {
                let rest = self.counts().catch_up();
                if rest == Rest::None {
                    break;
                }
                tokio::task::yield_now().await;
            }
            if bell.changed().await.is_err() {
                return;
            }
            time::sleep(REST).await;
        }
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        // Counts are whole at every moment at which they can be given up.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn handlers(config: &Config) -> Result<Vec<Counting>, FilterError> {
    config.specs.iter().map(Counting::new).collect()
}

impl Counts {
    fn catch_up(&mut self) -> Rest {
        let now = Tick(self.begun.elapsed().as_secs());
        self.catch_up_at(now)
    }

    fn catch_up_at(&mut self, now: Tick) -> Rest {
        if now.0.saturating_sub(self.swept.0) >= SWEEP {
            self.swept = now;
            self.handlers.iter_mut().for_each(|handler| handler.sweep(now));
        }
        for _ in 0..BATCH {
            match self.cursor.next() {
                Step::Entry(flow) => {
                    for handler in &mut self.handlers {
                        handler.count(flow, &mut self.key, now);
                    }
                }
                Step::Lost(lost) => {
                    let count = self.lost.entry(LossSource::HubbleRingBuffer).or_default();
                    *count = count.saturating_add(lost.count);
                }
                Step::End => return Rest::None,
            }
        }
        Rest::Some
    }

    fn text(&self, format: Format, others: &[Foreign]) -> String {
        let mut text = Text::new(format);
        for handler in &self.handlers {
            handler.write(&mut text);
        }
        let lost = self.lost.iter().map(|(source, count)| (source.text(), *count));
        rows(&mut text, "hubble_lost_events_total", "Number of lost events", "source", lost);
        let families = self.handlers.iter().flat_map(Counting::families);
        let overflow =
            families.map(|family| (family.name(), family.overflow())).filter(|(_, count)| *count > 0);
        let help = "Number of events that are in no series, because their metric had as many as it may have";
        rows(&mut text, "hubble_metrics_overflow_total", help, "metric", overflow);
        others.iter().for_each(|other| other.write(&mut text));
        text.finish()
    }
}

/// A metric with one label; nothing if it has no rows.
fn rows<'a>(
    text: &mut Text,
    name: &str,
    help: &str,
    label: &'static str,
    rows: impl Iterator<Item = (&'a str, u64)>,
) {
    let mut rows = rows.peekable();
    if rows.peek().is_some() {
        text.metric(name, Counter::KIND, help);
    }
    for (value, count) in rows {
        let mut counter = Counter::default();
        counter.add(count);
        counter.write(&Sample { name, labels: &[label], values: &[value] }, text);
    }
}

#[cfg(test)]
mod tests;
