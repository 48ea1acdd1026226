//! Recordings of packets: has the kernel hand them over, says what became of each, and writes files.
//!
//! It wants a thread of its own, so that many packets keep nobody else waiting. While nothing is recorded it sleeps, and
//! the kernel's programs look at one row.

mod active;
mod comment;

use crate::{
    engine::Requests,
    events::{boot_time, rules::Rules},
    flows::{self, Flows},
    shutdown::Shutdown,
    state::State,
};
use active::Active;
use anyhow::Context as _;
use ciliate_abi::Fate;
use ciliate_api::settings::Config;
use ciliate_bpf::{RecordBatch, RecordControl, RecordReader, RecordTerms, Records};
use ciliate_flow::{Node, Time};
use ciliate_recorder::{Command, End, RecordingId, Refusal, Request, Seen, Started, Storage, View};
use nix::time::{ClockId, clock_gettime};
use std::{
    collections::VecDeque,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::{
    io::{Interest, unix::AsyncFd},
    sync::{mpsc, watch},
    time,
};

/// How long a packet waits for others, so that many cost one wake-up.
const DELAY: Duration = Duration::from_millis(50);
/// Packets that are dealt with at once.
const BATCH: usize = 256;
/// Batches after which it is looked what else there is to do: some times what the ring holds of small packets.
const IN_A_ROW: usize = 256;
/// How often what the kernel counts is read.
const COUNT_INTERVAL: Duration = Duration::from_millis(500);
/// Recordings that are remembered after their end.
const REMEMBERED: usize = 32;
/// By how much the kernel goes on longer than a recording may take, if nobody ends it.
const SPARE: Duration = Duration::from_secs(1);

/// What recording takes.
pub struct Parts {
    pub records: Records,
    pub storage: Storage,
    pub node: Arc<Node>,
    pub cluster: String,
    pub state: watch::Receiver<Arc<State>>,
    pub requests: Requests,
    pub commands: mpsc::Receiver<Command>,
    pub shutdown: Shutdown,
}

/// Where recordings of this node are kept.
pub fn storage(config: &Config, node: &str) -> Storage {
    Storage {
        folder: config.recorder_dir(),
        largest: u64::from(config.recorder_max_megabytes.0) << 20,
        node: node.to_owned(),
    }
}

/// Records until the agent ends, and completes the files of what goes on then.
pub async fn run(parts: Parts) -> anyhow::Result<()> {
    let Parts { records, storage, node, cluster, state, requests, mut commands, shutdown } = parts;
    #[expect(
        deprecated,
        reason = "what replaces it is unsafe; the reader keeps its one descriptor while it lives"
    )]
    let mut reader = AsyncFd::with_interest(records.reader, Interest::READABLE)
        .context("cannot wait for recorded packets")?;
    let mut desk = Desk {
        control: records.control,
        storage,
        state,
        rules: Rules::new(requests),
        flows: Flows::new(node, &cluster),
        active: Vec::new(),
        ended: VecDeque::new(),
        last: 0,
        batch: RecordBatch::default(),
        comment: String::new(),
        counted: Instant::now(),
    };
    loop {
        let busy = !desk.active.is_empty();
        tokio::select! {
            command = commands.recv() => match command {
                Some(command) => desk.obey(command, reader.get_mut()).await,
                None => break,
            },
            () = shutdown.begun() => break,
            () = time::sleep(DELAY), if busy => {}
            // It shows only that much is waiting; that less is, the clock has to tell.
            ready = reader.readable(), if busy => {
                ready.context("cannot wait for recorded packets")?.clear_ready();
            }
        }
        desk.take(reader.get_mut()).await;
        desk.look_at_clock(reader.get_mut()).await;
    }
    for id in desk.active.iter().map(|active| active.id).collect::<Vec<_>>() {
        desk.end(id, End::AgentEnds, reader.get_mut()).await;
    }
    Ok(())
}

/// Everything about recordings that go on.
struct Desk {
    control: RecordControl,
    storage: Storage,
    state: watch::Receiver<Arc<State>>,
    rules: Rules,
    flows: Flows,
    active: Vec<Active>,
    /// The last ones, oldest first.
    ended: VecDeque<View>,
    /// The number that was given last.
    last: u64,
    batch: RecordBatch,
    comment: String,
    /// When the kernel's counts were read last.
    counted: Instant,
}

impl Desk {
    async fn obey(&mut self, command: Command, reader: &mut RecordReader) {
        // Who asked and did not wait for the answer does not want it.
        match command {
            Command::Start { request, reply } => {
                let started = self.begin(&request);
                let id = started.as_ref().ok().map(|started| started.id);
                if let (Err(_), Some(id)) = (reply.send(started), id) {
                    self.end(id, End::ClientGone, reader).await;
                }
            }
            Command::Stop { id, end, reply } => {
                let _ = reply.send(self.end(id, end, reader).await);
            }
            Command::List { reply } => {
                let running = self.active.iter().map(Active::view);
                let _ = reply.send(self.ended.iter().cloned().chain(running).collect());
            }
        }
    }

    fn begin(&mut self, request: &Request) -> Result<Started, Refusal> {
        let time = request.limits.or_default().time;
        let now = clock_gettime(ClockId::CLOCK_MONOTONIC).map(Duration::from).unwrap_or_default();
        let until = now.saturating_add(time).saturating_add(SPARE);
        let terms = RecordTerms {
            until: u64::try_from(until.as_nanos()).unwrap_or(u64::MAX),
            snap: request.snap.get(),
            one_of: request.one_of.get(),
        };
        let id = RecordingId(self.last.saturating_add(1));
        // The file first: without it there is nothing to ask the kernel for.
        let mut active = Active::begin(id, &self.storage, request, wall_clock())?;
        let rules: Vec<_> = request.filters.iter().map(active::rule).collect();
        match self.control.start(&terms, &rules) {
            Ok(slot) => active.slot = Some(slot),
            Err(error) => {
                active.discard();
                return Err(match error {
                    ciliate_bpf::Error::RecordingsFull { .. } => Refusal::Full(error.to_string()),
                    _ => Refusal::Storage(format!("cannot ask the kernel for packets: {error}")),
                });
            }
        }
        self.last = id.0;
        let started = Started { id, path: active.path().to_owned(), progress: active.progress.subscribe() };
        tracing::info!(%id, path = %started.path.display(), "recording");
        self.active.push(active);
        Ok(started)
    }

    /// Completes a recording; what the kernel has handed over belongs to it. None if it does not go on.
    async fn end(&mut self, id: RecordingId, end: End, reader: &mut RecordReader) -> Option<View> {
        self.halt(id);
        self.take(reader).await;
        // A limit may have ended it just now.
        match self.active.iter().position(|active| active.id == id) {
            Some(place) => Some(self.complete(place, end)),
            None => self.ended.iter().find(|view| view.id == id).cloned(),
        }
    }

    /// Has the kernel hand over no more for a recording.
    fn halt(&mut self, id: RecordingId) {
        let slot = self.active.iter().find(|active| active.id == id).and_then(|active| active.slot);
        if let Some(slot) = slot
            && let Err(error) = self.control.stop(slot)
        {
            tracing::warn!(%id, %error, "the kernel goes on recording until the recording's time is over");
        }
    }

    fn complete(&mut self, place: usize, end: End) -> View {
        let active = self.active.remove(place);
        let counted = active.counted(&self.control);
        let state = Arc::clone(&self.state.borrow());
        let view = active.end(end, wall_clock(), &counted, |ifindex| active::device(&state, ifindex));
        let statistics = view.progress.statistics;
        let (packets, lost) = (statistics.packets, statistics.counted.lost);
        match &view.progress.end {
            Some(end @ End::Failed(_)) => {
                let path = view.path.display();
                tracing::warn!(id = %view.id, %path, packets, lost, "a recording is not complete: {end}");
            }
            Some(end) => tracing::info!(id = %view.id, packets, lost, "recorded: {end}"),
            None => {}
        }
        if self.ended.len() == REMEMBERED {
            self.ended.pop_front();
        }
        self.ended.push_back(view.clone());
        view
    }

    /// Writes what waits.
    async fn take(&mut self, reader: &mut RecordReader) {
        for _ in 0..IN_A_ROW {
            self.batch.clear();
            reader.read(&mut self.batch, BATCH);
            if self.batch.is_empty() {
                break;
            }
            self.write().await;
        }
        for place in (0..self.active.len()).rev() {
            if let Some(end) = self.active.get_mut(place).and_then(Active::flush) {
                self.finish(place, end);
            }
        }
    }

    async fn write(&mut self) {
        let state = Arc::clone(&self.state.borrow());
        let numbers =
            self.batch.iter().flat_map(|(head, _)| [head.event.egress_rule, head.event.ingress_rule]);
        self.rules.learn(&state, numbers).await;
        let boot = boot_time();
        let batch = std::mem::take(&mut self.batch);
        let mut comment = std::mem::take(&mut self.comment);
        for (head, bytes) in batch.iter() {
            let event = &head.event;
            let time = boot.saturating_add(event.time);
            let rules = flows::Rules {
                egress: self.rules.get(event.egress_rule),
                ingress: self.rules.get(event.ingress_rule),
            };
            // What policies said comes first, what became of the packet last.
            let mut fate = None;
            self.flows.of(&state, event, Time(time), rules, |flow| fate = Some(flow));
            let Some(flow) = fate else { continue };
            comment.clear();
            comment::write(&mut comment, &flow, Fate::from_number(head.fate), event.flags);
            let seen = Seen { ifindex: event.ifindex, time, length: head.length, bytes, comment: &comment };
            for place in (0..self.active.len()).rev() {
                let Some(active) = self.active.get_mut(place).filter(|active| active.wants(head)) else {
                    continue;
                };
                if let Some(end) = active.put(&seen, || active::device(&state, event.ifindex)) {
                    self.finish(place, end);
                }
            }
        }
        self.batch = batch;
        self.comment = comment;
    }

    /// Ends a recording that may take no more.
    fn finish(&mut self, place: usize, end: End) {
        if let Some(id) = self.active.get(place).map(|active| active.id) {
            self.halt(id);
            self.complete(place, end);
        }
    }

    /// Ends what has had its time, and tells how the others go.
    async fn look_at_clock(&mut self, reader: &mut RecordReader) {
        let over: Vec<_> =
            self.active.iter().filter(|active| active.is_over()).map(|active| active.id).collect();
        for id in over {
            self.end(id, End::TimeLimit, reader).await;
        }
        let count = self.counted.elapsed() >= COUNT_INTERVAL;
        if count {
            self.counted = Instant::now();
        }
        for active in &mut self.active {
            active.tell(count.then_some(&self.control));
        }
    }
}

/// Nanoseconds since 1970.
fn wall_clock() -> u64 {
    let now = clock_gettime(ClockId::CLOCK_REALTIME).map(Duration::from).unwrap_or_default();
    u64::try_from(now.as_nanos()).unwrap_or(u64::MAX)
}
