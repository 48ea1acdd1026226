//! The last flows, in memory.
//!
//! One writer appends to chunks; what is in a chunk never changes. Readers walk over chunks at their own pace and take no lock:
//! one that is slow keeps the chunk that it reads alive, and nothing else. A chunk is dropped as a whole once all of it is
//! older than what the log promises to keep.

mod cursor;

pub use cursor::{Cursor, Lost, Step};

use arc_swap::ArcSwap;
use ciliate_flow::{Flow, FlowId, Run};
use std::sync::{
    Arc, OnceLock,
    atomic::{AtomicU64, Ordering},
};
use tokio::sync::watch;

/// Flows of a chunk.
const CHUNK: u64 = 1024;

/// Flows one after the other, numbered from the log's beginning.
struct Chunk {
    first: u64,
    flows: Box<[OnceLock<Flow>]>,
}

impl Chunk {
    fn new(first: u64) -> Self {
        Self { first, flows: (0..CHUNK).map(|_| OnceLock::new()).collect() }
    }

    fn end(&self) -> u64 {
        self.first.saturating_add(CHUNK)
    }

    /// None of one that has not come yet.
    fn flow(&self, sequence: u64) -> Option<&Flow> {
        self.slot(sequence)?.get()
    }

    fn slot(&self, sequence: u64) -> Option<&OnceLock<Flow>> {
        let offset = usize::try_from(sequence.checked_sub(self.first)?).ok()?;
        self.flows.get(offset)
    }
}

struct Shared {
    run: Run,
    capacity: u64,
    /// From the oldest on, without gaps; never empty.
    chunks: ArcSwap<Vec<Arc<Chunk>>>,
    /// Sequence of the next flow.
    next: AtomicU64,
    /// Rings for those who wait for flows.
    bell: watch::Sender<u64>,
}

/// Reads the log.
#[derive(Clone)]
pub struct Log(Arc<Shared>);

/// Writes the log.
pub struct Writer {
    shared: Arc<Shared>,
    chunk: Arc<Chunk>,
}

/// A log that keeps the last `capacity` flows.
#[must_use]
pub fn log(run: Run, capacity: u64) -> (Writer, Log) {
    let chunk = Arc::new(Chunk::new(0));
    let shared = Arc::new(Shared {
        run,
        capacity: capacity.max(1),
        chunks: ArcSwap::from_pointee(vec![Arc::clone(&chunk)]),
        next: AtomicU64::new(0),
        bell: watch::Sender::new(0),
    });
    (Writer { shared: Arc::clone(&shared), chunk }, Log(shared))
}

impl Writer {
    /// Numbers the flow and keeps it. Readers find it at once; those who wait learn of it by [`Writer::ring`].
    pub fn append(&mut self, mut flow: Flow) {
        let sequence = self.shared.next.load(Ordering::Relaxed);
        flow.id = FlowId { run: self.shared.run, sequence };
        if sequence == self.chunk.end() {
            self.chunk = Arc::new(Chunk::new(sequence));
            self.shared.rotate(&self.chunk, sequence);
        }
        if let Some(slot) = self.chunk.slot(sequence) {
            // Empty: nobody else writes, and no sequence comes twice.
            let _ = slot.set(flow);
        }
        self.shared.next.store(sequence.saturating_add(1), Ordering::Release);
    }

    /// Wakes those who wait: once for many flows.
    pub fn ring(&self) {
        let next = self.shared.next.load(Ordering::Relaxed);
        self.shared.bell.send_if_modified(|rung| std::mem::replace(rung, next) != next);
    }
}

impl Shared {
    fn rotate(&self, chunk: &Arc<Chunk>, next: u64) {
        let oldest = next.saturating_sub(self.capacity);
        let old = self.chunks.load();
        let kept = old.iter().filter(|chunk| chunk.end() > oldest).cloned();
        self.chunks.store(Arc::new(kept.chain([Arc::clone(chunk)]).collect()));
    }
}

impl Log {
    #[must_use]
    pub fn run(&self) -> Run {
        self.0.run
    }

    /// Flows that it keeps at most.
    #[must_use]
    pub fn capacity(&self) -> u64 {
        self.0.capacity
    }

    /// All flows there ever were, which is the sequence of the next one.
    #[must_use]
    pub fn seen(&self) -> u64 {
        self.0.next.load(Ordering::Acquire)
    }

    /// Sequence of the oldest flow that is kept.
    #[must_use]
    pub fn oldest(&self) -> u64 {
        self.seen().saturating_sub(self.0.capacity)
    }

    /// Flows that are kept.
    #[must_use]
    pub fn kept(&self) -> u64 {
        self.seen().min(self.0.capacity)
    }

    /// A place to read on from: the flow of this sequence.
    #[must_use]
    pub fn cursor(&self, sequence: u64) -> Cursor {
        Cursor::new(self.clone(), sequence)
    }

    /// Tells of flows that come from now on.
    #[must_use]
    pub fn bell(&self) -> watch::Receiver<u64> {
        self.0.bell.subscribe()
    }

    fn chunk(&self, sequence: u64) -> Option<Arc<Chunk>> {
        let chunks = self.0.chunks.load();
        let first = chunks.first()?.first;
        let index = usize::try_from(sequence.checked_sub(first)? / CHUNK).ok()?;
        chunks.get(index).cloned()
    }
}

#[cfg(test)]
mod tests;
