//! What the programs report, and what they are asked to.

use crate::{Error, Records, maps::operation};
use aya::maps::{Array, MapData, RingBuf};
use ciliate_abi::{CAPTURE_MAX, Captured, Event, EventLimit, Watch, watched};
use std::{
    mem::{offset_of, size_of},
    num::NonZeroU32,
    os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd},
};

/// Both ends of the programs' reports.
pub struct Events {
    pub reader: EventReader,
    pub watch: EventWatch,
    /// Whole packets, for those who record them.
    pub records: Records,
}

/// Reads the ring buffer. The programs make its descriptor readable only when much waits: whoever does not want to
/// wait for that looks from time to time.
pub struct EventReader {
    ring: RingBuf<MapData>,
}

/// Events in the order of the ring, with what was captured of their packets.
#[derive(Debug, Default)]
pub struct Batch {
    events: Vec<Event>,
    /// Of all packets, one after the other.
    bytes: Vec<u8>,
}

impl Batch {
    pub fn clear(&mut self) {
        self.events.clear();
        self.bytes.clear();
    }

    #[must_use]
    pub fn len(&self) -> usize {
        self.events.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    /// Adds what the programs put into the ring; nothing if that is no event of this version.
    pub fn put(&mut self, record: &[u8]) {
        if record.len() != size_of::<Event>() && record.len() != size_of::<Captured>() {
            return;
        }
        // SAFETY: both layouts begin with an event, which is plain data; the read need not be aligned.
        let event: Event = unsafe { std::ptr::read_unaligned(record.as_ptr().cast()) };
        let start = offset_of!(Captured, bytes);
        let bytes = record.get(start..).and_then(|bytes| bytes.get(..event.captured.into()));
        self.bytes.extend_from_slice(bytes.unwrap_or_default());
        let captured = if bytes.is_some() { event.captured } else { 0 };
        self.events.push(Event { captured, ..event });
    }

    /// Each event and the first bytes of its packet, from the Ethernet header on; none if nobody wanted them.
    pub fn iter(&self) -> impl Iterator<Item = (&Event, &[u8])> {
        let mut rest = self.bytes.as_slice();
        self.events.iter().map(move |event| {
            let (bytes, behind) = rest.split_at_checked(event.captured.into()).unwrap_or((rest, &[]));
            rest = behind;
            (event, bytes)
        })
    }
}

impl EventReader {
    pub(crate) fn new(ring: RingBuf<MapData>) -> Self {
        Self { ring }
    }

    /// Adds up to `most` events that wait.
    pub fn read(&mut self, batch: &mut Batch, most: usize) {
        for _ in 0..most {
            let Some(item) = self.ring.next() else { return };
            batch.put(&item);
        }
    }

    /// Drops what waits.
    pub fn discard(&mut self) {
        while self.ring.next().is_some() {}
    }
}

impl AsFd for EventReader {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.ring.as_fd()
    }
}

impl AsRawFd for EventReader {
    fn as_raw_fd(&self) -> RawFd {
        self.ring.as_raw_fd()
    }
}

/// An event as the programs put it into the ring.
#[must_use]
pub fn encoded(event: &Event) -> &[u8] {
    // SAFETY: it is plain data without padding, as its size, asserted where it is defined, says.
    unsafe { std::slice::from_raw_parts(std::ptr::from_ref(event).cast(), size_of::<Event>()) }
}

/// Which events the programs report at all, whoever wants them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EventBounds {
    pub drops: EventBound,
    pub traces: EventBound,
    pub verdicts: EventBound,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EventBound {
    /// None.
    Off,
    #[default]
    All,
    /// So many a second, and so many at once.
    Rate { rate: NonZeroU32, burst: NonZeroU32 },
}

/// Events that nobody is told of, since the programs were loaded first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LostEvents {
    /// That found the ring buffer full.
    pub ring: u64,
    pub suppressed: Suppressed,
}

impl LostEvents {
    #[must_use]
    pub const fn sum(self) -> u64 {
        self.ring.saturating_add(self.suppressed.sum())
    }
}

/// Events that were over the limit of their kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Suppressed {
    pub drops: u64,
    pub traces: u64,
    pub verdicts: u64,
}

impl Suppressed {
    #[must_use]
    pub const fn sum(self) -> u64 {
        self.drops.saturating_add(self.traces).saturating_add(self.verdicts)
    }
}

impl EventBounds {
    fn by_kind(self) -> [(u32, EventBound); 3] {
        [(watched::DROPS, self.drops), (watched::TRACES, self.traces), (watched::VERDICTS, self.verdicts)]
    }

    /// The kinds whose bound is like that.
    fn kinds(self, like: impl Fn(EventBound) -> bool) -> u32 {
        self.by_kind().into_iter().filter(|(_, bound)| like(*bound)).fold(0, |all, (kind, _)| all | kind)
    }
}

impl EventBound {
    /// As the programs keep it.
    fn limit(self) -> EventLimit {
        match self {
            Self::Off | Self::All => EventLimit::default(),
            Self::Rate { rate, burst } => {
                let interval = 1_000_000_000_u64.checked_div(rate.get().into()).unwrap_or(0);
                EventLimit { interval, burst: interval.saturating_mul(burst.get().into()), used: 0 }
            }
        }
    }
}

/// Tells the programs what to report. What nobody wants costs them a look at one row.
pub struct EventWatch {
    row: Array<MapData, Watch>,
    limits: Array<MapData, EventLimit>,
    bounds: EventBounds,
    /// Bytes that may wait before the reader is woken.
    wake: u32,
}

impl EventWatch {
    pub(crate) fn new(
        row: Array<MapData, Watch>,
        limits: Array<MapData, EventLimit>,
        ring_bytes: u32,
    ) -> Self {
        // Early enough for the reader to get to it before the rest is full.
        Self { row, limits, bounds: EventBounds::default(), wake: ring_bytes / 4 }
    }

    /// Has the programs report so much at most from the next [`EventWatch::set`] on.
    pub fn bound(&mut self, bounds: EventBounds) -> Result<(), Error> {
        for (kind, bound) in bounds.by_kind() {
            let written = self.limits.set(watched::row(kind), bound.limit(), 0);
            written.map_err(operation("write", "EVENT_LIMITS"))?;
        }
        self.bounds = bounds;
        Ok(())
    }

    /// `kinds` are of [`ciliate_abi::watched`]; `capture` bytes of each packet, at most [`CAPTURE_MAX`].
    pub fn set(&mut self, kinds: u32, capture: u32) -> Result<(), Error> {
        let capture = capture.min(u32::try_from(CAPTURE_MAX).unwrap_or(u32::MAX));
        let off = self.bounds.kinds(|bound| bound == EventBound::Off);
        let limited = self.bounds.kinds(|bound| matches!(bound, EventBound::Rate { .. }));
        let row = Watch { kinds: kinds & !off, capture, wake: self.wake, limited };
        self.row.set(0, row, 0).map_err(operation("write", "WATCH"))
    }
}
