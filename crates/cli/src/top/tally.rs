//! What is counted of one row.

/// What it adds to the row; latencies in nanoseconds, 0 = not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    Forwarded,
    Dropped,
    Audited,
    Answered { latency: u64 },
    Failed { latency: u64 },
    Broken { latency: u64 },
}

/// One row's numbers.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tally {
    /// Flows, drops, verdicts, queries or requests.
    pub events: u64,
    pub forwarded: u64,
    pub dropped: u64,
    pub audited: u64,
    pub answers: u64,
    /// Answers that blame the client, or the name.
    pub failed: u64,
    /// Answers that blame the server.
    pub broken: u64,
    /// Nanoseconds, of those answers that say it.
    pub latency_sum: u64,
    pub latency_count: u64,
    pub latency_max: u64,
    /// Seconds since 1970 of the latest flow.
    pub last: i64,
    /// Events a second at the last refresh.
    pub rate: f64,
    /// Events since then.
    pub recent: u64,
}

impl Tally {
    pub fn add(&mut self, what: What, at: i64) {
        self.last = self.last.max(at);
        let (count, is_event) = match what {
            What::Forwarded => (&mut self.forwarded, true),
            What::Dropped => (&mut self.dropped, true),
            What::Audited => (&mut self.audited, true),
            What::Answered { .. } => (&mut self.answers, false),
            What::Failed { .. } => (&mut self.failed, false),
            What::Broken { .. } => (&mut self.broken, false),
        };
        *count = count.saturating_add(1);
        if is_event {
            self.events = self.events.saturating_add(1);
            self.recent = self.recent.saturating_add(1);
        }
        if let What::Failed { latency } | What::Broken { latency } | What::Answered { latency } = what {
            if !matches!(what, What::Answered { .. }) {
                self.answers = self.answers.saturating_add(1);
            }
            if latency > 0 {
                self.latency_sum = self.latency_sum.saturating_add(latency);
                self.latency_count = self.latency_count.saturating_add(1);
                self.latency_max = self.latency_max.max(latency);
            }
        }
    }
}
