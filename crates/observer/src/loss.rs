//! What never became a flow: told to clients beside the flows, and counted.

use crate::log::{Entry, Log, Writer, log};
use ciliate_flow::{Run, Time};
use ciliate_hubble::flow::LostEventSource;
use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

/// Losses that are kept, each of at least a second.
const KEPT: u64 = 1023;

/// Where events were lost, by Hubble's names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LossSource {
    /// Between the kernel and the agent.
    PerfEventRingBuffer,
    /// Inside the agent or its proxy, before they became flows.
    ObserverEventsQueue,
    /// Between the log of flows and who reads it.
    HubbleRingBuffer,
}

impl LossSource {
    /// As metrics have it.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::PerfEventRingBuffer => "perf_event_ring_buffer",
            Self::ObserverEventsQueue => "observer_events_queue",
            Self::HubbleRingBuffer => "hubble_ring_buffer",
        }
    }
}

impl From<LossSource> for LostEventSource {
    fn from(source: LossSource) -> Self {
        match source {
            LossSource::PerfEventRingBuffer => Self::PerfEventRingBuffer,
            LossSource::ObserverEventsQueue => Self::ObserverEventsQueue,
            LossSource::HubbleRingBuffer => Self::HubbleRingBuffer,
        }
    }
}

/// Events that a node lost at one place in a stretch of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Loss {
    pub source: LossSource,
    pub count: u64,
    /// They are not older than this.
    pub first: Time,
    /// They are not younger than this.
    pub last: Time,
}

impl Entry for Loss {
    fn time(&self) -> Time {
        self.last
    }

    fn placed(&mut self, _: Run, _: u64) {}
}

/// What was lost in all, by source.
#[derive(Debug, Default)]
struct Totals {
    kernel: AtomicU64,
    queue: AtomicU64,
}

impl Totals {
    /// None of what only a reader can lose.
    fn of(&self, source: LossSource) -> Option<&AtomicU64> {
        match source {
            LossSource::PerfEventRingBuffer => Some(&self.kernel),
            LossSource::ObserverEventsQueue => Some(&self.queue),
            LossSource::HubbleRingBuffer => None,
        }
    }
}

/// Where a node says what it lost.
pub struct LossWriter {
    writer: Writer<Loss>,
    totals: Arc<Totals>,
}

impl LossWriter {
    /// Nothing where nothing was lost. Those who follow are told, each at its own pace.
    pub fn put(&mut self, loss: Loss) {
        if loss.count == 0 {
            return;
        }
        if let Some(total) = self.totals.of(loss.source) {
            total.fetch_add(loss.count, Ordering::Relaxed);
        }
        self.writer.append(loss);
        self.writer.ring();
    }
}

/// What a node lost.
#[derive(Clone)]
pub struct Losses {
    log: Log<Loss>,
    totals: Arc<Totals>,
}

impl Losses {
    pub(crate) fn new(run: Run) -> (LossWriter, Self) {
        let (writer, log) = log(run, KEPT);
        let totals = Arc::<Totals>::default();
        (LossWriter { writer, totals: Arc::clone(&totals) }, Self { log, totals })
    }

    pub(crate) fn log(&self) -> &Log<Loss> {
        &self.log
    }

    /// Events that were lost at each place since the node began: the sum of what clients are told.
    pub fn totals(&self) -> impl Iterator<Item = (LossSource, u64)> {
        let Totals { kernel, queue } = &*self.totals;
        [(LossSource::PerfEventRingBuffer, kernel), (LossSource::ObserverEventsQueue, queue)]
            .map(|(source, total)| (source, total.load(Ordering::Relaxed)))
            .into_iter()
    }
}
