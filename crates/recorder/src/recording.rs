//! One recording: a file that grows until a limit ends it.

use crate::{
    End, Limits, Refusal, Request, Storage,
    pcapng::{self, Interface, InterfaceId, Packet, Section, WholeBlocks, Writer},
};
use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

/// A packet that was seen.
#[derive(Clone, Debug)]
pub struct Seen<'a> {
    pub ifindex: u32,
    /// Nanoseconds since 1970.
    pub time: u64,
    /// Bytes that it had, from its Ethernet header on.
    pub length: u32,
    /// As many of them as there are.
    pub bytes: &'a [u8],
    /// What became of it.
    pub comment: &'a str,
}

/// How a device is called, and what it leads to.
#[derive(Clone, Debug, Default)]
pub struct Device {
    pub name: String,
    pub description: String,
}

/// What the kernel counted at a device.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counted {
    /// Packets that match, also those that sampling left out.
    pub matched: u64,
    /// Packets that match and that there was no room for in the ring.
    pub lost: u64,
    /// Bytes of those, as long as they were seen.
    pub lost_bytes: u64,
}

/// How far a recording is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Statistics {
    /// Packets in the file.
    pub packets: u64,
    /// Of packets, as many as were kept.
    pub bytes: u64,
    /// What the kernel counted at all devices.
    pub counted: Counted,
}

/// A file that packets are being put into, and how much of its limits they have used.
pub struct Recording {
    writer: Writer<WholeBlocks>,
    path: PathBuf,
    filter: String,
    snap: u32,
    one_of: u32,
    limits: Limits,
    /// Most bytes of the file.
    largest: u64,
    /// Nanoseconds since 1970.
    begun: u64,
    devices: BTreeMap<u32, Written>,
    statistics: Statistics,
}

/// A device in the file.
struct Written {
    id: InterfaceId,
    packets: u64,
    /// Of packets, as many as were kept.
    bytes: u64,
}

/// Bytes of a block besides a packet and its comment, and of what still has to fit behind the last one.
const MARGIN: u64 = 4096;

impl Recording {
    /// Makes the file; what begins now, `begun` nanoseconds after 1970, ends by its limits.
    ///
    /// # Errors
    /// [`Refusal`] if the file cannot be made.
    pub fn begin(storage: &Storage, request: &Request, begun: u64) -> Result<Self, Refusal> {
        let seconds = Duration::from_nanos(begun).as_secs();
        let (path, file) = storage.create(&request.prefix, seconds)?;
        let filters: Vec<String> = request.filters.iter().map(ToString::to_string).collect();
        let filter = filters.join(", ");
        let one_of = request.one_of.get().get();
        let comment = match one_of {
            1 => format!("node {}; filter {filter}", storage.node),
            _ => format!("node {}; filter {filter}; one packet of {one_of}, chosen at random", storage.node),
        };
        let section = Section {
            application: concat!("ciliate ", env!("CARGO_PKG_VERSION")),
            system: "Linux",
            comment: &comment,
        };
        let begun_file = Writer::new(WholeBlocks::new(file), &section).and_then(|mut writer| {
            writer.flush()?;
            Ok(writer)
        });
        let writer = begun_file.map_err(|error| {
            // It holds nothing, and nobody is told of it.
            let _ = fs::remove_file(&path);
            Refusal::Storage(format!("cannot write {}: {error}", path.display()))
        })?;
        Ok(Self {
            writer,
            path,
            filter,
            snap: request.snap.get().get(),
            one_of,
            limits: request.limits.or_default(),
            largest: storage.largest,
            begun,
            devices: BTreeMap::new(),
            statistics: Statistics::default(),
        })
    }

    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    #[must_use]
    pub fn statistics(&self) -> Statistics {
        self.statistics
    }

    /// Takes up what the kernel has counted so far.
    pub fn count(&mut self, counted: &BTreeMap<u32, Counted>) {
        self.statistics.counted = counted.values().fold(Counted::default(), |sum, one| Counted {
            matched: sum.matched.saturating_add(one.matched),
            lost: sum.lost.saturating_add(one.lost),
            lost_bytes: sum.lost_bytes.saturating_add(one.lost_bytes),
        });
    }

    /// Adds a packet; says so if that, or one more, is the end.
    pub fn put(&mut self, seen: &Seen<'_>, device: impl FnOnce() -> Device) -> Option<End> {
        let kept = usize::try_from(self.snap).unwrap_or(usize::MAX).min(seen.bytes.len());
        let bytes = seen.bytes.get(..kept).unwrap_or_default();
        let needed = bytes.len().saturating_add(seen.comment.len());
        let size = self.writer.size().saturating_add(u64::try_from(needed).unwrap_or(u64::MAX));
        if size.saturating_add(MARGIN) > self.largest {
            return Some(End::FileLimit);
        }
        if let Err(error) = self.write(seen, bytes, device) {
            return Some(self.failed(&error));
        }
        let statistics = &self.statistics;
        if statistics.packets >= self.limits.packets {
            Some(End::PacketLimit)
        } else if statistics.bytes >= self.limits.bytes {
            Some(End::ByteLimit)
        } else {
            None
        }
    }

    fn write(&mut self, seen: &Seen<'_>, bytes: &[u8], device: impl FnOnce() -> Device) -> io::Result<()> {
        self.describe(seen.ifindex, device)?;
        let Some(device) = self.devices.get_mut(&seen.ifindex) else { return Ok(()) };
        device.packets = device.packets.saturating_add(1);
        let kept = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        device.bytes = device.bytes.saturating_add(kept);
        let statistics = &mut self.statistics;
        statistics.packets = statistics.packets.saturating_add(1);
        statistics.bytes = statistics.bytes.saturating_add(kept);
        self.writer.packet(&Packet {
            interface: device.id,
            time: seen.time,
            length: seen.length,
            bytes,
            comment: seen.comment,
        })
    }

    /// A device has to be in the file before its packets are.
    fn describe(&mut self, ifindex: u32, device: impl FnOnce() -> Device) -> io::Result<()> {
        if self.devices.contains_key(&ifindex) {
            return Ok(());
        }
        let Device { name, description } = device();
        let interface =
            Interface { name: &name, description: &description, snap: self.snap, filter: &self.filter };
        let id = self.writer.interface(&interface)?;
        self.devices.insert(ifindex, Written { id, packets: 0, bytes: 0 });
        Ok(())
    }

    /// Has readers see what was put so far.
    pub fn flush(&mut self) -> Option<End> {
        self.writer.flush().err().map(|error| self.failed(&error))
    }

    /// The file takes no more: from now on this knows of what it holds only.
    fn failed(&mut self, error: &io::Error) -> End {
        let lost = self.writer.get_ref().lost();
        let described = self.writer.interfaces().saturating_sub(lost.interfaces);
        let mut statistics = Statistics { counted: self.statistics.counted, ..Statistics::default() };
        self.devices.retain(|_, device| {
            let (packets, bytes) = lost.packets.get(&device.id).copied().unwrap_or_default();
            device.packets = device.packets.saturating_sub(packets);
            device.bytes = device.bytes.saturating_sub(bytes);
            device.id.is_before(described)
        });
        for device in self.devices.values() {
            statistics.packets = statistics.packets.saturating_add(device.packets);
            statistics.bytes = statistics.bytes.saturating_add(device.bytes);
        }
        self.statistics = statistics;
        End::Failed(error.to_string())
    }

    /// Writes what was counted, device by device, and ends the file. What comes back is why the recording ended: what
    /// was to be the reason, or that the file could not be completed. Then it ends behind the last packet that it has room for.
    pub fn end(
        mut self,
        end: End,
        now: u64,
        counted: &BTreeMap<u32, Counted>,
        device: impl Fn(u32) -> Device,
    ) -> (End, Statistics) {
        self.count(counted);
        if let End::Failed(_) = end {
            // There may be room for this.
            let _ = self.conclude(&end, now, counted);
            return (end, self.statistics);
        }
        let completed = self.describe_all(counted, device).and_then(|()| self.conclude(&end, now, counted));
        match completed {
            Ok(()) => (end, self.statistics),
            Err(error) => {
                let end = self.failed(&error);
                let _ = self.conclude(&end, now, counted);
                (end, self.statistics)
            }
        }
    }

    /// Also those at which the kernel counted and no packet was taken.
    fn describe_all(
        &mut self,
        counted: &BTreeMap<u32, Counted>,
        device: impl Fn(u32) -> Device,
    ) -> io::Result<()> {
        for ifindex in counted.keys().filter(|ifindex| **ifindex != 0) {
            self.describe(*ifindex, || device(*ifindex))?;
        }
        let spared = counted.get(&0).copied().unwrap_or_default();
        // A file without a packet says why it ended, too.
        if spared != Counted::default() || self.devices.is_empty() {
            self.describe(0, || Device { name: "others".to_owned(), ..Device::default() })?;
        }
        Ok(())
    }

    fn conclude(&mut self, end: &End, now: u64, counted: &BTreeMap<u32, Counted>) -> io::Result<()> {
        for (ifindex, written) in &self.devices {
            let at = counted.get(ifindex).copied().unwrap_or_default();
            let sample = match self.one_of {
                1 => String::new(),
                one_of => format!("; one packet of {one_of} was taken, chosen at random"),
            };
            let comment = format!(
                "ended because {end} [{}]; {} packets match, {} are here, {} ({} bytes) were lost{sample}",
                end.name(),
                at.matched,
                written.packets,
                at.lost,
                at.lost_bytes
            );
            let seen = pcapng::Statistics {
                begin: self.begun,
                end: now,
                matched: at.matched,
                lost: at.lost,
                written: written.packets,
                comment: &comment,
            };
            self.writer.statistics(written.id, &seen)?;
        }
        self.writer.get_mut().sync()
    }
}

#[cfg(test)]
mod tests;
