//! Recording packets: which ones the programs are asked for, and what they hand over.

use crate::{
    Error,
    maps::{self, operation},
    pins::Pins,
};
use aya::maps::{Array, MapData, MapError, PerCpuHashMap, RingBuf};
use ciliate_abi::{
    Address, RECORD_BYTES_MAX, RECORD_FILTERS_MAX, RECORDINGS_MAX, RecordFilter, RecordTally, RecordTallyKey,
    Recorded, Recorder, Recording,
};
use ipnet::IpNet;
use std::{
    collections::BTreeMap,
    mem::size_of,
    num::NonZeroU32,
    os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd},
};

/// Both ends of what is recorded.
pub struct Records {
    pub reader: RecordReader,
    pub control: RecordControl,
}

impl Records {
    /// Ends what an earlier process had recorded.
    pub(crate) fn open(pins: &Pins, ring_bytes: u32) -> Result<Self, Error> {
        let ring = RingBuf::try_from(maps::open(pins, "RECORDS")?).map_err(operation("use", "RECORDS"))?;
        let row = Array::try_from(maps::open(pins, "RECORDER")?).map_err(operation("use", "RECORDER"))?;
        let tallies = PerCpuHashMap::try_from(maps::open(pins, "RECORD_TALLIES")?)
            .map_err(operation("use", "RECORD_TALLIES"))?;
        let mut control = RecordControl { row, tallies, now: Recorder::default(), wake: ring_bytes / 4 };
        control.write()?;
        let mut reader = RecordReader { ring };
        reader.discard();
        Ok(Self { reader, control })
    }
}

/// One of the recordings that may run at the same time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RecordingSlot(u8);

impl RecordingSlot {
    /// Whether a packet is for this recording.
    #[must_use]
    pub fn gets(self, recorded: &Recorded) -> bool {
        recorded.recordings >> self.0 & 1 != 0
    }
}

/// Packets in one direction, by the headers of network and transport.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordRule {
    /// Of the same family as the destination.
    pub source: IpNet,
    pub destination: IpNet,
    /// 0 = any.
    pub source_port: u16,
    pub destination_port: u16,
    /// 0 = any.
    pub protocol: u8,
}

impl RecordRule {
    /// As the programs read it, for no recording yet.
    #[must_use]
    pub fn filter(&self) -> RecordFilter {
        let (source, source_mask) = masked(&self.source);
        let (destination, destination_mask) = masked(&self.destination);
        RecordFilter {
            source,
            source_mask,
            destination,
            destination_mask,
            source_port: self.source_port,
            destination_port: self.destination_port,
            protocol: self.protocol,
            family: match self.destination {
                IpNet::V4(_) => 4,
                IpNet::V6(_) => 6,
            },
            recording: 0,
            pad: 0,
        }
    }
}

fn masked(net: &IpNet) -> ([u64; 2], [u64; 2]) {
    let bits = crate::prefix_bits(net);
    let mask = u128::MAX.checked_shl(128_u32.saturating_sub(bits)).unwrap_or(0);
    (Address::from(net.network()).halves(), Address(mask.to_be_bytes()).halves())
}

/// How a recording goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordTerms {
    /// Monotonic clock, ns.
    pub until: u64,
    /// Most bytes of a packet; cut to what the programs can do.
    pub snap: NonZeroU32,
    /// One packet of so many.
    pub one_of: NonZeroU32,
}

/// Tells the programs what to record. Nothing to record costs them a look at one row.
pub struct RecordControl {
    row: Array<MapData, Recorder>,
    tallies: PerCpuHashMap<MapData, RecordTallyKey, RecordTally>,
    /// What the row holds.
    now: Recorder,
    /// Bytes that may wait before the reader is woken.
    wake: u32,
}

impl RecordControl {
    /// From its return on the programs record what any of the rules matches.
    ///
    /// # Errors
    /// [`Error::RecordingsFull`] with what there is no room for.
    pub fn start(&mut self, terms: &RecordTerms, rules: &[RecordRule]) -> Result<RecordingSlot, Error> {
        let Some(number) = self.now.recordings.iter().position(|recording| recording.until == 0) else {
            return Err(Error::RecordingsFull { what: "recordings", max: RECORDINGS_MAX });
        };
        let free = self.now.filter.iter().filter(|filter| filter.family == 0).count();
        if free < rules.len() {
            return Err(Error::RecordingsFull { what: "filters of all recordings", max: RECORD_FILTERS_MAX });
        }
        let slot = RecordingSlot(u8::try_from(number).unwrap_or(u8::MAX));
        self.forget(slot)?;
        let overflow = RecordTallyKey { recording: slot.0.into(), ifindex: 0 };
        let nothing = aya::util::nr_cpus()
            .ok()
            .and_then(|count| aya::maps::PerCpuValues::try_from(vec![RecordTally::default(); count]).ok());
        if let Some(nothing) = nothing {
            self.tallies.insert(overflow, nothing, 0).map_err(operation("write", "RECORD_TALLIES"))?;
        }
        let places = self.now.filter.iter_mut().filter(|filter| filter.family == 0);
        for (place, rule) in places.zip(rules) {
            *place = RecordFilter { recording: slot.0, ..rule.filter() };
        }
        if let Some(recording) = self.now.recordings.get_mut(number) {
            *recording = Recording {
                until: terms.until.max(1),
                snap: terms.snap.get().min(RECORD_BYTES_MAX),
                one_of: terms.one_of.get(),
            };
        }
        self.write().inspect_err(|_| self.release(slot))?;
        Ok(slot)
    }

    /// Packets that the programs were already busy with may still come.
    pub fn stop(&mut self, slot: RecordingSlot) -> Result<(), Error> {
        self.release(slot);
        self.write()
    }

    /// What was counted by device; 0 stands for all those that found no room in the map.
    pub fn tallies(&self, slot: RecordingSlot) -> Result<BTreeMap<u32, RecordTally>, Error> {
        let mut found = BTreeMap::new();
        for row in self.tallies.iter() {
            let (key, values) = row.map_err(operation("read", "RECORD_TALLIES"))?;
            if key.recording == u32::from(slot.0) {
                let sum = values.iter().fold(RecordTally::default(), |sum, one| RecordTally {
                    matched: sum.matched.saturating_add(one.matched),
                    lost: sum.lost.saturating_add(one.lost),
                    lost_bytes: sum.lost_bytes.saturating_add(one.lost_bytes),
                });
                found.insert(key.ifindex, sum);
            }
        }
        Ok(found)
    }

    fn forget(&mut self, slot: RecordingSlot) -> Result<(), Error> {
        let keys: Vec<_> = self.tallies.keys().flatten().collect();
        for key in keys.into_iter().filter(|key| key.recording == u32::from(slot.0)) {
            match self.tallies.remove(&key) {
                Ok(()) | Err(MapError::KeyNotFound) => {}
                Err(error) => return Err(operation("write", "RECORD_TALLIES")(error)),
            }
        }
        Ok(())
    }

    fn release(&mut self, slot: RecordingSlot) {
        if let Some(recording) = self.now.recordings.get_mut(usize::from(slot.0)) {
            *recording = Recording::default();
        }
        for filter in self.now.filter.iter_mut().filter(|filter| filter.recording == slot.0) {
            *filter = RecordFilter::default();
        }
    }

    fn write(&mut self) -> Result<(), Error> {
        let used = self.now.filter.iter().rposition(|filter| filter.family != 0);
        let filters = used.map_or(0, |last| last.saturating_add(1));
        self.now.filters = u32::try_from(filters).unwrap_or(u32::MAX);
        self.now.wake = self.wake;
        self.row.set(0, self.now, 0).map_err(operation("write", "RECORDER"))
    }
}

/// Reads recorded packets. Its descriptor becomes readable only when much waits.
pub struct RecordReader {
    ring: RingBuf<MapData>,
}

/// Packets in the order of the ring.
#[derive(Debug, Default)]
pub struct RecordBatch {
    heads: Vec<Recorded>,
    /// Of all packets, one after the other.
    bytes: Vec<u8>,
}

impl RecordBatch {
    pub fn clear(&mut self) {
        self.heads.clear();
        self.bytes.clear();
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.heads.is_empty()
    }

    /// Each packet with its bytes from the Ethernet header on.
    pub fn iter(&self) -> impl Iterator<Item = (&Recorded, &[u8])> {
        let mut rest = self.bytes.as_slice();
        self.heads.iter().map(move |head| {
            let (bytes, behind) = rest.split_at_checked(length(head)).unwrap_or((rest, &[]));
            rest = behind;
            (head, bytes)
        })
    }
}

fn length(head: &Recorded) -> usize {
    usize::try_from(head.captured).unwrap_or(usize::MAX)
}

impl RecordReader {
    /// Adds up to `most` packets that wait.
    pub fn read(&mut self, batch: &mut RecordBatch, most: usize) {
        for _ in 0..most {
            let Some(item) = self.ring.next() else { return };
            let Some((head, behind)) = item.split_at_checked(size_of::<Recorded>()) else { continue };
            // SAFETY: as many bytes as the layout has, which is plain data; the read need not be aligned.
            let head: Recorded = unsafe { std::ptr::read_unaligned(head.as_ptr().cast()) };
            let Some(bytes) = behind.get(..length(&head)) else { continue };
            batch.bytes.extend_from_slice(bytes);
            batch.heads.push(head);
        }
    }

    /// Drops what waits.
    pub fn discard(&mut self) {
        while self.ring.next().is_some() {}
    }
}

impl AsFd for RecordReader {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.ring.as_fd()
    }
}

impl AsRawFd for RecordReader {
    fn as_raw_fd(&self) -> RawFd {
        self.ring.as_raw_fd()
    }
}
