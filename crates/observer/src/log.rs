//! The last flows, or other events, in memory.
//!
//! One writer appends to chunks; what is in a chunk never changes. Readers walk over chunks at their own pace and take no lock:
//! one that is slow keeps the chunk that it reads alive, and nothing else. A chunk is dropped as a whole once all of it is
//! older than what the log promises to keep.

mod cursor;

pub use cursor::{Cursor, Lost, Step};

use arc_swap::ArcSwap;
use ciliate_flow::{Flow, FlowId, Run, Time};
use std::sync::{
    Arc, OnceLock,
    atomic::{AtomicU64, Ordering},
};
use tokio::sync::watch;

/// Entries of a chunk.
const CHUNK: u64 = 1024;

/// What a log can keep.
pub trait Entry {
    fn time(&self) -> Time;

    /// It has this place from now on.
    fn placed(&mut self, run: Run, sequence: u64);
}

impl Entry for Flow {
    fn time(&self) -> Time {
        self.time
    }

    fn placed(&mut self, run: Run, sequence: u64) {
        self.id = FlowId { run, sequence };
    }
}

/// Entries one after the other, numbered from the log's beginning.
struct Chunk<T> {
    first: u64,
    /// Latest time of all entries of earlier chunks; 0 without any.
    before: Time,
    entries: Box<[OnceLock<T>]>,
}

impl<T> Chunk<T> {
    fn new(first: u64, before: Time) -> Self {
        Self { first, before, entries: (0..CHUNK).map(|_| OnceLock::new()).collect() }
    }

    fn end(&self) -> u64 {
        self.first.saturating_add(CHUNK)
    }

    /// None of one that has not come yet.
    fn entry(&self, sequence: u64) -> Option<&T> {
        self.slot(sequence)?.get()
    }

    fn slot(&self, sequence: u64) -> Option<&OnceLock<T>> {
        let offset = usize::try_from(sequence.checked_sub(self.first)?).ok()?;
        self.entries.get(offset)
    }
}

struct Shared<T> {
    run: Run,
    capacity: u64,
    /// From the oldest on, without gaps; never empty.
    chunks: ArcSwap<Vec<Arc<Chunk<T>>>>,
    /// Sequence of the next entry.
    next: AtomicU64,
    /// Rings for those who wait.
    bell: watch::Sender<u64>,
}

/// Reads the log.
pub struct Log<T>(Arc<Shared<T>>);

impl<T> Clone for Log<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

/// Writes the log.
pub struct Writer<T> {
    shared: Arc<Shared<T>>,
    chunk: Arc<Chunk<T>>,
    /// Latest time of all entries.
    latest: Time,
}

/// A log that keeps the last `capacity` entries.
#[must_use]
pub fn log<T: Entry>(run: Run, capacity: u64) -> (Writer<T>, Log<T>) {
    let chunk = Arc::new(Chunk::new(0, Time(0)));
    let shared = Arc::new(Shared {
        run,
        capacity: capacity.max(1),
        chunks: ArcSwap::from_pointee(vec![Arc::clone(&chunk)]),
        next: AtomicU64::new(0),
        bell: watch::Sender::new(0),
    });
    (Writer { shared: Arc::clone(&shared), chunk, latest: Time(0) }, Log(shared))
}

impl<T: Entry> Writer<T> {
    /// Gives the entry its place and keeps it. Readers find it at once; those who wait learn of it by [`Writer::ring`].
    pub fn append(&mut self, mut entry: T) {
        let sequence = self.shared.next.load(Ordering::Relaxed);
        entry.placed(self.shared.run, sequence);
        if sequence == self.chunk.end() {
            self.chunk = Arc::new(Chunk::new(sequence, self.latest));
            self.shared.rotate(&self.chunk, sequence);
        }
        self.latest = self.latest.max(entry.time());
        if let Some(slot) = self.chunk.slot(sequence) {
            // Empty: nobody else writes, and no sequence comes twice.
            let _ = slot.set(entry);
        }
        self.shared.next.store(sequence.saturating_add(1), Ordering::Release);
    }

    /// Wakes those who wait: once for many flows.
    pub fn ring(&self) {
        let next = self.shared.next.load(Ordering::Relaxed);
        self.shared.bell.send_if_modified(|rung| std::mem::replace(rung, next) != next);
    }
}

impl<T> Shared<T> {
    fn rotate(&self, chunk: &Arc<Chunk<T>>, next: u64) {
        let oldest = next.saturating_sub(self.capacity);
        let old = self.chunks.load();
        let kept = old.iter().filter(|chunk| chunk.end() > oldest).cloned();
        self.chunks.store(Arc::new(kept.chain([Arc::clone(chunk)]).collect()));
    }
}

impl<T: Entry> Log<T> {
    #[must_use]
    pub fn run(&self) -> Run {
        self.0.run
    }

    /// Entries that it keeps at most.
    #[must_use]
    pub fn capacity(&self) -> u64 {
        self.0.capacity
    }

    /// All entries there ever were, which is the sequence of the next one.
    #[must_use]
    pub fn seen(&self) -> u64 {
        self.0.next.load(Ordering::Acquire)
    }

    /// Sequence of the oldest entry that is kept.
    #[must_use]
    pub fn oldest(&self) -> u64 {
        self.seen().saturating_sub(self.0.capacity)
    }

    /// Entries that are kept.
    #[must_use]
    pub fn kept(&self) -> u64 {
        self.seen().min(self.0.capacity)
    }

    /// Latest time of the entries that are no longer kept. Where clocks are set back that may be later than those that are.
    #[must_use]
    pub fn departed(&self) -> Option<Time> {
        loop {
            let oldest = self.oldest();
            if oldest == 0 {
                return None;
            }
            // The writer may have dropped it in this very moment.
            let Some(chunk) = self.chunk(oldest) else { continue };
            let times = (chunk.first..oldest).filter_map(|sequence| chunk.entry(sequence).map(T::time));
            return Some(times.fold(chunk.before, Time::max));
        }
    }

    /// A place to read on from: the entry of this sequence.
    #[must_use]
    pub fn cursor(&self, sequence: u64) -> Cursor<T> {
        Cursor::new(self.clone(), sequence)
    }

    /// Tells of entries that come from now on.
    #[must_use]
    pub fn bell(&self) -> watch::Receiver<u64> {
        self.0.bell.subscribe()
    }

    fn chunk(&self, sequence: u64) -> Option<Arc<Chunk<T>>> {
        let chunks = self.0.chunks.load();
        let first = chunks.first()?.first;
        let index = usize::try_from(sequence.checked_sub(first)? / CHUNK).ok()?;
        chunks.get(index).cloned()
    }
}

#[cfg(test)]
mod tests;
