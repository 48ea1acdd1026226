//! From the kernel's events to flows in the log, and from there to the disk: processor time of the threads that do it.

use super::Args;
use crate::{process::thread_ns, report::Row, statistics};
use anyhow::{Context, Result, ensure};
use ciliate_agent::measure::{Connections, Decoding};
use ciliate_flow::{Flow, Node, Run};
use ciliate_history::{History, Reader, Settings};
use ciliate_observer::{
    keep_history,
    log::{self, Log},
    make_history_files,
};
use std::{
    fs,
    ops::ControlFlow,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

const ENDPOINTS: u16 = 250;
const RULES: u16 = 100;
/// Flows in memory, as it is by default.
const CAPACITY: u64 = 16_383;
/// Events that the agent decodes at once.
const BATCH: usize = 256;
/// Flows that may wait for the history before the next are decoded: they come far faster here than in life.
const AHEAD: u64 = 8_192;
/// Bytes of an event.
const EVENT: usize = 80;

pub fn measure(args: &Args) -> Result<Vec<Row>> {
    let (mut alone, mut kept) = (Vec::new(), Vec::new());
    for round in 0..args.rounds {
        alone.push(one(args.flows, None)?);
        let directory = args.work.join(format!("decode-{round}"));
        kept.push(one(args.flows, Some(&directory))?);
        fs::remove_dir_all(&directory)?;
    }
    let rows = [("without history", &alone), ("and on disk, all threads together", &kept)];
    let row = |(what, times): (&str, &Vec<f64>)| {
        let each = statistics::median(times).context("no rounds")?;
        Ok(Row {
            must: Some(">= 400 k/s".to_owned()),
            values: times.clone(),
            ..Row::text(
                &format!("flows/s decoded and kept by one processor, {what}"),
                &format!("{:.0} k/s, {each:.0} ns a flow", 1e6 / each),
            )
        })
    };
    rows.into_iter().map(row).collect()
}

/// Nanoseconds of processor time a flow.
fn one(flows: u64, history: Option<&Path>) -> Result<f64> {
    let node = Arc::new(Node { name: "node-1".to_owned(), labels: Vec::new() });
    let run = Run::begun("node-1", 1);
    let (writer, log) = log::log(run, CAPACITY);
    let mut decoding = Decoding::new(node, writer, ENDPOINTS, RULES)?;
    let keeper = history.map(|directory| Keeper::start(directory, run, &log)).transpose()?;
    let mut connections = Connections::new(ENDPOINTS, RULES);
    let (mut events, mut used, mut now) = (Vec::with_capacity(BATCH * EVENT), 0.0, clock()?);
    while log.seen() < flows {
        events.clear();
        while events.len() < BATCH * EVENT {
            now = now.saturating_add(300_000);
            connections.next(now, |event| events.extend_from_slice(event));
        }
        let begun = thread_ns()?;
        decoding.decode(events.chunks(EVENT));
        used += thread_ns()? - begun;
        if let Some(keeper) = &keeper {
            keeper.wait_for(log.seen().saturating_sub(AHEAD));
        }
    }
    let count = log.seen() as f64;
    if let Some(keeper) = keeper {
        used += keeper.end()?;
    }
    Ok(used / count)
}

/// The monotonic clock at which now is, as the kernel's programs read it.
fn clock() -> Result<u64> {
    let now = nix::time::clock_gettime(nix::time::ClockId::CLOCK_MONOTONIC)?;
    Ok(u64::try_from(Duration::from(now).as_nanos())?)
}

/// The threads of the history: one writes what comes, the other makes files of it.
struct Keeper {
    threads: [thread::JoinHandle<Result<f64>>; 2],
    ended: Arc<AtomicBool>,
    log: Log<Flow>,
    reader: Reader,
    taken: Arc<AtomicU64>,
}

impl Keeper {
    fn start(directory: &Path, run: Run, log: &Log<Flow>) -> Result<Self> {
        let settings = Settings { max_size: u64::MAX, ..Settings::default() };
        let mut history = History::open(directory, run, settings)?;
        let maker = history.file_maker();
        let reader = history.reader();
        let (ended, log) = (Arc::new(AtomicBool::new(false)), log.clone());
        let (over, of_thread) = (Arc::clone(&ended), log.clone());
        let taken = Arc::new(AtomicU64::new(0));
        let place = Arc::clone(&taken);
        let of_maker = Arc::clone(&ended);
        let writer = thread::spawn(move || {
            // What had come by the last look has been taken when it is time to look again.
            let mut seen = 0;
            keep_history(history, of_thread.cursor(0), || {
                place.store(seen, Ordering::Release);
                while of_thread.seen().saturating_sub(seen) < AHEAD / 2 && !over.load(Ordering::Acquire) {
                    thread::sleep(Duration::from_micros(100));
                }
                seen = of_thread.seen();
                match over.load(Ordering::Acquire) {
                    true => ControlFlow::Break(()),
                    false => ControlFlow::Continue(()),
                }
            });
            thread_ns()
        });
        let maker = thread::spawn(move || {
            make_history_files(&maker, || {
                thread::sleep(Duration::from_millis(1));
                match of_maker.load(Ordering::Acquire) {
                    true => ControlFlow::Break(()),
                    false => ControlFlow::Continue(()),
                }
            });
            thread_ns()
        });
        Ok(Self { threads: [writer, maker], ended, log, reader, taken })
    }

    fn wait_for(&self, sequence: u64) {
        while self.taken.load(Ordering::Acquire) < sequence
            && !self.threads.iter().any(thread::JoinHandle::is_finished)
        {
            thread::sleep(Duration::from_micros(100));
        }
    }

    /// Their processor time, nanoseconds.
    fn end(self) -> Result<f64> {
        self.ended.store(true, Ordering::Release);
        let mut used = 0.0;
        for thread in self.threads {
            used += thread.join().map_err(|_| anyhow::anyhow!("a thread of the history panicked"))??;
        }
        let stats = self.reader.stats()?;
        let kept = stats.files().flows.saturating_add(stats.journal.flows);
        ensure!(kept == self.log.seen(), "{kept} of {} flows came to the disk", self.log.seen());
        Ok(used)
    }
}
