//! What exporters did, for metrics and messages.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Of one exporter; it outlives changes of its configuration.
#[derive(Debug, Default)]
pub struct Counts {
    /// Flows that the receiver has, as far as it says.
    pub exported: Count,
    /// Flows that there was no room for in the buffer, or that were left in it at the end.
    pub lost_buffer: Count,
    /// Flows that left the log before they were read; filters were not asked about them.
    pub lost_log: Count,
    /// Flows that the receiver will never take, or that cannot be written in its form.
    pub lost_refused: Count,
    /// Entries that were sent once more because they may not have arrived.
    pub repeated: Count,
    /// Attempts that failed.
    pub faults: Count,
    /// Flows that are in the buffer.
    pub buffered: Count,
    /// Whether the last attempt succeeded.
    pub working: AtomicBool,
    /// Whether its time is over.
    pub ended: AtomicBool,
}

#[derive(Debug, Default)]
pub struct Count(AtomicU64);

impl Count {
    pub fn add(&self, count: usize) {
        self.0.fetch_add(u64::try_from(count).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    pub fn set(&self, count: usize) {
        self.0.store(u64::try_from(count).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// One exporter at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExporterReport {
    pub name: String,
    /// Flows delivered.
    pub exported: u64,
    /// Flows lost, by reason: `buffer_full`, `log_overrun`, `refused`.
    pub lost: [(&'static str, u64); 3],
    /// Flows and gaps sent more than once.
    pub repeated: u64,
    /// Failed attempts.
    pub faults: u64,
    /// Flows that wait or may not have arrived.
    pub buffered: u64,
    /// 1 if the last attempt succeeded, or there was none yet.
    pub up: u64,
    /// False once the exporter's end has come.
    pub active: bool,
}

/// All exporters at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    pub exporters: Vec<ExporterReport>,
    /// Changes of configuration since the start, by Cilium's names for them: `add`, `update`, `remove`, `failure`.
    pub reconfigurations: [(&'static str, u64); 4],
    /// When the file was applied last, in seconds since 1970; 0 = never.
    pub last_applied: u64,
}

impl Counts {
    pub fn report(&self, name: &str) -> ExporterReport {
        ExporterReport {
            name: name.to_owned(),
            exported: self.exported.get(),
            lost: [
                ("buffer_full", self.lost_buffer.get()),
                ("log_overrun", self.lost_log.get()),
                ("refused", self.lost_refused.get()),
            ],
            repeated: self.repeated.get(),
            faults: self.faults.get(),
            buffered: self.buffered.get(),
            up: u64::from(self.working.load(Ordering::Relaxed)),
            active: !self.ended.load(Ordering::Relaxed),
        }
    }

    /// All losses together.
    pub fn lost(&self) -> u64 {
        self.lost_buffer.get().saturating_add(self.lost_log.get()).saturating_add(self.lost_refused.get())
    }
}
