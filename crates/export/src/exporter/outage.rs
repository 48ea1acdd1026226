//! A time in which a receiver takes nothing: told when it begins and when it ends, and not in between.

use crate::{counts::Counts, fault::Fault};
use ciliate_transport::Backoff;
use std::{
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

pub struct Outage {
    name: String,
    counts: Arc<Counts>,
    backoff: Backoff,
    begun: Option<Instant>,
    /// What was said of it last.
    told: String,
    refusal: Option<Instant>,
}

/// Between two attempts to deliver something.
const SHORTEST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);
/// How often refusals are told.
const TELL: Duration = Duration::from_secs(10);

impl Outage {
    pub fn new(name: &str, counts: Arc<Counts>) -> Self {
        let (name, told) = (name.to_owned(), String::new());
        let backoff = Backoff::between(SHORTEST_PAUSE, LONGEST_PAUSE);
        Self { name, counts, backoff, begun: None, told, refusal: None }
    }

    /// One more attempt failed. Returns how long to wait before the next one.
    pub fn begin(&mut self, fault: &Fault, waiting: usize) -> Duration {
        self.counts.faults.add(1);
        self.counts.working.store(false, Ordering::Relaxed);
        self.begun.get_or_insert_with(Instant::now);
        let text = fault.to_string();
        if text != self.told {
            tracing::warn!(
                exporter = self.name,
                waiting,
                "{text}; flows wait in the buffer, it is tried again"
            );
            self.told = text;
        }
        let wait = self.backoff.wait();
        fault.wait().map_or(wait, |wanted| wanted.max(wait))
    }

    /// Something was delivered.
    pub fn end(&mut self) {
        if let Some(begun) = self.begun.take() {
            self.counts.working.store(true, Ordering::Relaxed);
            self.backoff.reset();
            self.told.clear();
            let seconds = begun.elapsed().as_secs_f32();
            tracing::info!(exporter = self.name, "works again after {seconds:.1} s");
        }
    }

    /// The receiver answers, but does not want some.
    pub fn refused(&mut self, flows: usize, why: &str) {
        self.end();
        if self.refusal.is_none_or(|at| at.elapsed() >= TELL) {
            self.refusal = Some(Instant::now());
            tracing::warn!(exporter = self.name, flows, "flows were refused for good: {why}");
        }
    }
}
