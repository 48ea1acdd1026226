//! Who was turned away or dropped, as the log tells it.

use std::{
    collections::BTreeMap,
    fmt::Display,
    time::{Duration, Instant},
};

/// How often the log tells of one reason.
const INTERVAL: Duration = Duration::from_secs(10);

/// Summed up by reason, for whoever knocks a thousand times a second shall not fill the log.
#[derive(Debug)]
pub(crate) struct Refusals {
    /// What became of them.
    what: &'static str,
    /// By what is said before a colon, of which there are a handful.
    reasons: BTreeMap<String, Sum>,
}

#[derive(Debug, Default)]
struct Sum {
    told: Option<Instant>,
    untold: u64,
}

impl Refusals {
    pub fn new(what: &'static str) -> Self {
        Self { what, reasons: BTreeMap::new() }
    }

    /// Names the client if nothing of this kind was told for a while, and says how many there were since.
    pub fn note(&mut self, client: impl Display, why: &str) {
        let reason = why.split(':').next().unwrap_or_default();
        let sum = self.reasons.entry(reason.to_owned()).or_default();
        sum.untold = sum.untold.saturating_add(1);
        if sum.told.is_some_and(|at| at.elapsed() < INTERVAL) {
            return;
        }
        tracing::warn!(from = %client, count = sum.untold, "{}: {why}", self.what);
        *sum = Sum { told: Some(Instant::now()), untold: 0 };
    }
}
