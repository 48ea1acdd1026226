//! Files that another thread makes.
#![expect(clippy::unwrap_used, clippy::arithmetic_side_effects, reason = "tests")]

#[path = "../../../tools/bench/src/history/traffic.rs"]
mod traffic;

use ciliate_flow::{Flow, Run, Time};
use ciliate_history::{Hints, History, Order, Reader, Settings};
use std::{
    fs,
    ops::ControlFlow,
    path::Path,
    sync::atomic::{AtomicBool, Ordering::Relaxed},
    thread,
    time::{Duration, SystemTime, UNIX_EPOCH},
};
use traffic::Traffic;

/// 2100-01-01 10:00 UTC: neither this hour nor too old, whenever this runs.
const START: u64 = 4_102_480_800_000_000_000;
/// Flows in a journal.
const FULL: usize = 100;

fn open(directory: &Path) -> History {
    History::open(directory, Run::new(1), Settings { group_rows: FULL, ..Settings::default() }).unwrap()
}

fn now() -> SystemTime {
    UNIX_EPOCH + Duration::from_nanos(START)
}

fn flows(number: usize) -> Vec<Flow> {
    Traffic::new(1, Time(START), 1000).take(number).collect()
}

fn count(reader: &Reader) -> usize {
    let mut flows = 0;
    let mut each = |_| {
        flows += 1;
        ControlFlow::Continue(())
    };
    reader.query(&Hints::default(), Order::NewestFirst, &mut each).unwrap();
    flows
}

/// Journals and files.
fn on_disk(directory: &Path) -> (usize, usize) {
    let names = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    let names: Vec<_> = names.collect();
    let count = |end| names.iter().filter(|path| path.extension().is_some_and(|found| found == end)).count();
    (count("journal"), count("parquet"))
}

#[test]
fn what_waits_for_its_file_is_read_from_its_journal() {
    let directory = tempfile::tempdir().unwrap();
    let mut history = open(directory.path());
    let maker = history.file_maker();
    history.append(&flows(5 * FULL));
    history.tick(now());
    assert_eq!((on_disk(directory.path()), count(&history.reader())), ((6, 0), 5 * FULL));
    maker.work(now());
    assert_eq!((on_disk(directory.path()), count(&history.reader())), ((1, 5), 5 * FULL));
    assert!(history.notices().is_empty());
}

#[test]
fn a_writer_whose_maker_is_behind_makes_files_itself() {
    let directory = tempfile::tempdir().unwrap();
    let mut history = open(directory.path());
    let maker = history.file_maker();
    history.append(&flows(20 * FULL));
    history.tick(now());
    assert_eq!((on_disk(directory.path()), count(&history.reader())), ((9, 12), 20 * FULL));
    drop((history, maker));
    // The next one makes files of what was left.
    assert_eq!(count(&open(directory.path()).reader()), 20 * FULL);
    assert_eq!(on_disk(directory.path()).1, 20);
}

#[test]
fn queries_beside_writer_and_maker_see_each_flow_once() {
    let directory = tempfile::tempdir().unwrap();
    let mut history = open(directory.path());
    let (maker, reader) = (history.file_maker(), history.reader());
    let (all, over) = (flows(30 * FULL), AtomicBool::new(false));
    thread::scope(|scope| {
        scope.spawn(|| {
            for some in all.chunks(FULL / 2) {
                history.append(some);
                history.tick(now());
            }
            over.store(true, Relaxed);
        });
        scope.spawn(|| {
            while !over.load(Relaxed) {
                maker.work(now());
            }
        });
        let mut seen = 0;
        while !over.load(Relaxed) {
            let now = count(&reader);
            assert!(now >= seen && now <= all.len(), "{now} after {seen}");
            seen = now;
        }
    });
    assert_eq!((count(&reader), history.lost()), (all.len(), 0));
}
