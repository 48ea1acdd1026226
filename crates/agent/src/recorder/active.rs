//! A recording that goes on: its place in the kernel and its file.

use crate::state::State;
use ciliate_abi::{RecordFilter, Recorded, Tuple};
use ciliate_bpf::{RecordControl, RecordRule, RecordingSlot};
use ciliate_recorder::{
    Counted, Device, End, Filter, Progress, Recording, RecordingId, Refusal, Request, Seen, Storage, View,
};
use std::{
    collections::BTreeMap,
    fs,
    path::Path,
    time::{Duration, Instant},
};
use tokio::sync::watch;

pub struct Active {
    pub id: RecordingId,
    /// None until the kernel knows of it.
    pub slot: Option<RecordingSlot>,
    pub progress: watch::Sender<Progress>,
    recording: Recording,
    filters: Vec<Filter>,
    /// The same as the kernel has them.
    rules: Vec<RecordFilter>,
    /// Nanoseconds since 1970.
    begun: u64,
    start: Instant,
    time: Duration,
}

/// As the kernel is asked for it.
pub fn rule(filter: &Filter) -> RecordRule {
    let ((source, source_port), (destination, destination_port)) = (filter.source(), filter.destination());
    let protocol = filter.protocol().map_or(0, |protocol| protocol.number());
    RecordRule { source, destination, source_port, destination_port, protocol }
}

/// A device of this node by its number.
pub fn device(state: &State, ifindex: u32) -> Device {
    let name = nix::net::if_::if_indextoname(ifindex).ok().and_then(|name| name.into_string().ok());
    let row = state.endpoints.iter().find(|(_, row)| row.ifindex == ifindex);
    Device {
        name: name.unwrap_or_else(|| format!("if{ifindex}")),
        description: row.map_or_else(String::new, |(_, row)| format!("endpoint {}", row.stored.full_name())),
    }
}

impl Active {
    pub fn begin(id: RecordingId, storage: &Storage, request: &Request, now: u64) -> Result<Self, Refusal> {
        Ok(Self {
            id,
            slot: None,
            progress: watch::Sender::new(Progress::default()),
            recording: Recording::begin(storage, request, now)?,
            filters: request.filters.clone(),
            rules: request.filters.iter().map(|filter| rule(filter).filter()).collect(),
            begun: now,
            start: Instant::now(),
            time: request.limits.or_default().time,
        })
    }

    pub fn path(&self) -> &Path {
        self.recording.path()
    }

    /// Whether a packet is for it. The kernel's word is not enough: it may have read its row while that was being changed.
    pub fn wants(&self, head: &Recorded) -> bool {
        let event = &head.event;
        let tuple = Tuple {
            source: &event.source,
            destination: &event.destination,
            source_port: event.source_port,
            destination_port: event.destination_port,
            protocol: event.protocol,
        };
        self.slot.is_some_and(|slot| slot.gets(head)) && self.rules.iter().any(|rule| rule.matches(&tuple))
    }

    pub fn put(&mut self, seen: &Seen<'_>, device: impl FnOnce() -> Device) -> Option<End> {
        self.recording.put(seen, device)
    }

    pub fn flush(&mut self) -> Option<End> {
        self.recording.flush()
    }

    pub fn is_over(&self) -> bool {
        self.start.elapsed() >= self.time
    }

    /// What the kernel has counted by device; nothing where it does not say.
    pub fn counted(&self, control: &RecordControl) -> BTreeMap<u32, Counted> {
        let tallies = self.slot.map(|slot| control.tallies(slot)).transpose();
        let tallies = tallies.inspect_err(|error| {
            tracing::warn!(id = %self.id, %error, "what was lost of a recording is not known");
        });
        let counted = |tally: ciliate_abi::RecordTally| Counted {
            matched: tally.matched,
            lost: tally.lost,
            lost_bytes: tally.lost_bytes,
        };
        let tallies = tallies.ok().flatten().unwrap_or_default();
        tallies.into_iter().map(|(ifindex, tally)| (ifindex, counted(tally))).collect()
    }

    /// Publishes how far it is, with the kernel's counts if they are to be read.
    pub fn tell(&mut self, control: Option<&RecordControl>) {
        if let Some(control) = control {
            let counted = self.counted(control);
            self.recording.count(&counted);
        }
        let statistics = self.recording.statistics();
        self.progress.send_if_modified(|progress| {
            let changed = progress.statistics != statistics;
            progress.statistics = statistics;
            changed
        });
    }

    pub fn view(&self) -> View {
        View {
            id: self.id,
            path: self.path().to_owned(),
            filters: self.filters.clone(),
            begun: self.begun,
            progress: Progress { statistics: self.recording.statistics(), end: None },
        }
    }

    pub fn end(
        self,
        end: End,
        now: u64,
        counted: &BTreeMap<u32, Counted>,
        device: impl Fn(u32) -> Device,
    ) -> View {
        let mut view = self.view();
        let (end, statistics) = self.recording.end(end, now, counted, device);
        view.progress = Progress { statistics, end: Some(end) };
        self.progress.send_replace(view.progress.clone());
        view
    }

    /// Takes back what never began.
    pub fn discard(self) {
        if let Err(error) = fs::remove_file(self.path()) {
            tracing::warn!(path = %self.path().display(), %error, "an empty recording is left behind");
        }
    }
}
