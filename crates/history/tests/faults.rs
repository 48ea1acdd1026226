//! Files that are damaged, disks that are full, clocks that jump, and too much of everything.
#![expect(clippy::unwrap_used, clippy::arithmetic_side_effects, reason = "tests")]

#[path = "../../../tools/bench/src/history/traffic.rs"]
mod traffic;

use ciliate_flow::{Flow, Run, Time};
use ciliate_history::{Hints, History, HistoryError, Notice, Order, Reader, Settings};
use nix::{
    mount::{MsFlags, mount},
    sched::{CloneFlags, unshare},
};
use std::{
    fs,
    io::Write,
    ops::ControlFlow,
    path::{Path, PathBuf},
    thread,
    time::{Duration, SystemTime, UNIX_EPOCH},
};
use traffic::Traffic;

const HOUR: u64 = 3_600_000_000_000;
/// 2100-01-01 10:00 UTC: neither this hour nor too old, whenever this runs.
const START: u64 = 4_102_480_800_000_000_000;

fn open(directory: &Path, settings: Settings) -> History {
    History::open(directory, Run::new(1), settings).unwrap()
}

fn count(reader: &Reader) -> usize {
    let mut flows = 0;
    reader
        .query(&Hints::default(), Order::NewestFirst, &mut |_| {
            flows += 1;
            ControlFlow::Continue(())
        })
        .unwrap();
    flows
}

fn at(nanoseconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_nanos(nanoseconds)
}

/// So many flows from a moment on.
fn flows(start: u64, number: usize) -> Vec<Flow> {
    Traffic::new(1, Time(start), 1000).take(number).collect()
}

/// The files whose names end so.
fn files(directory: &Path, end: &str) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> =
        fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    found.retain(|path| path.to_str().unwrap().ends_with(end));
    found.sort();
    found
}

/// Three hours with a file of 500 flows each.
fn three_hours(directory: &Path) -> History {
    let mut history = open(directory, Settings::default());
    for hour in 0..3 {
        history.append(&flows(START + hour * HOUR, 500));
        history.flush().unwrap();
    }
    history
}

#[test]
fn a_torn_file_is_set_aside_and_the_others_are_read() {
    let directory = tempfile::tempdir().unwrap();
    drop(three_hours(directory.path()));
    let torn = files(directory.path(), ".parquet").remove(1);
    let bytes = fs::read(&torn).unwrap();
    fs::write(&torn, &bytes[..bytes.len() / 2]).unwrap();
    assert_eq!(count(&Reader::new(directory.path())), 1000, "who only reads leaves it out too");
    let mut history = open(directory.path(), Settings::default());
    let notices = history.notices();
    let [Notice::SetAside { path, .. }] = notices.as_slice() else { panic!("{notices:?}") };
    assert_eq!(path.to_str().unwrap(), format!("{}.torn", torn.display()));
    assert!(path.exists() && notices[0].to_string().contains("2100-01-01T11Z"), "{}", notices[0]);
    assert_eq!(count(&history.reader()), 1000);
    assert_eq!(history.reader().stats().unwrap().torn.len(), 1);
}

#[test]
fn damage_inside_of_a_file_is_found_by_who_reads_it() {
    let directory = tempfile::tempdir().unwrap();
    let mut history = three_hours(directory.path());
    let path = files(directory.path(), ".parquet").remove(0);
    let mut bytes = fs::read(&path).unwrap();
    // Pages, not the index at the end.
    bytes[100..10_000].fill(0x5a);
    fs::write(&path, bytes).unwrap();
    assert_eq!(count(&history.reader()), 1000);
    history.tick(SystemTime::now());
    assert!(!path.exists() && files(directory.path(), ".torn").len() == 1, "{:?}", history.notices());
}

#[test]
fn a_journal_is_kept_up_to_where_it_is_damaged() {
    let directory = tempfile::tempdir().unwrap();
    let journal = |size: usize, cut: &dyn Fn(&mut Vec<u8>)| {
        let mut history = open(directory.path(), Settings::default());
        let before = count(&history.reader());
        let flows = flows(START, size);
        let (first, second) = flows.split_at(size / 2);
        history.append(first);
        history.tick(SystemTime::now());
        history.append(second);
        drop(history);
        let path = files(directory.path(), ".journal").remove(0);
        let mut bytes = fs::read(&path).unwrap();
        cut(&mut bytes);
        fs::write(&path, bytes).unwrap();
        let mut history = open(directory.path(), Settings::default());
        (count(&history.reader()) - before, history.notices())
    };
    let (found, notices) = journal(100, &|bytes| bytes.truncate(bytes.len() - 3));
    assert_eq!(found, 50, "a writer was killed in the middle of a frame");
    assert!(notices.is_empty(), "{notices:?}");
    let (found, notices) = journal(100, &|bytes| *bytes.last_mut().unwrap() ^= 1);
    assert_eq!(found, 50);
    assert!(matches!(notices.as_slice(), [Notice::SetAside { .. }]), "{notices:?}");
    let (found, notices) = journal(100, &|bytes| bytes.truncate(5));
    assert_eq!(found, 0);
    assert!(notices.is_empty(), "{notices:?}");
}

#[test]
fn one_writer_at_a_time() {
    let directory = tempfile::tempdir().unwrap();
    let first = open(directory.path(), Settings::default());
    let second = History::open(directory.path(), Run::new(2), Settings::default());
    assert!(matches!(second, Err(HistoryError::Locked { .. })));
    drop(first);
    open(directory.path(), Settings::default());
}

/// Needs root, for a file system of its own.
#[test]
fn a_full_disk_is_waited_for() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().to_owned();
    // A thread of its own has the mount to itself, and its end removes it.
    let thread = thread::spawn(move || {
        unshare(CloneFlags::CLONE_NEWNS).expect("this test mounts a tmpfs, for which it needs root");
        mount(None::<&str>, "/", None::<&str>, MsFlags::MS_REC | MsFlags::MS_PRIVATE, None::<&str>).unwrap();
        mount(Some("none"), &path, Some("tmpfs"), MsFlags::empty(), Some("size=4m")).unwrap();
        let directory = path.join("history");
        let mut history = open(&directory, Settings::default());
        let all = flows(START, 6000);
        for chunk in all[..2000].chunks(1000) {
            history.append(chunk);
            history.tick(at(START));
        }
        let filler = path.join("filler");
        let mut file = fs::File::create(&filler).unwrap();
        while file.write_all(&[0; 4096]).is_ok() {}
        for chunk in all[2000..5000].chunks(500) {
            history.append(chunk);
            history.tick(at(START));
        }
        let lost = history.lost();
        assert!((1..=3000).contains(&lost), "{lost}");
        let notices = history.notices();
        assert!(matches!(notices.first(), Some(Notice::Paused(error)) if error.is_no_room()), "{notices:?}");
        assert!(notices[0].to_string().contains("No space left"), "{}", notices[0]);
        assert_eq!(notices.len(), 1, "said once: {notices:?}");
        // Nor can files be made.
        assert!(history.flush().unwrap_err().is_no_room());
        drop(file);
        fs::remove_file(&filler).unwrap();
        history.tick(at(START));
        history.append(&all[5000..]);
        history.tick(at(START));
        let notices = history.notices();
        assert!(matches!(notices.as_slice(), [Notice::Resumed { lost: n }] if *n == lost), "{notices:?}");
        history.flush().unwrap();
        assert_eq!(count(&history.reader()), 6000 - usize::try_from(lost).unwrap());
    });
    thread.join().unwrap();
}

#[test]
fn what_is_too_old_goes_an_hour_at_a_time() {
    let directory = tempfile::tempdir().unwrap();
    let settings = Settings { max_age: Duration::from_secs(10 * 3600), ..Settings::default() };
    let mut history = open(directory.path(), settings);
    for hour in 0..3 {
        history.append(&flows(START + hour * HOUR, 100));
    }
    history.tick(at(START + 2 * HOUR));
    assert_eq!(files(directory.path(), ".parquet").len(), 3);
    // The clock is a year ahead for a moment.
    history.tick(at(START + 8766 * HOUR));
    history.tick(at(START + 2 * HOUR));
    assert_eq!(count(&history.reader()), 200);
    let notices = history.notices();
    assert!(matches!(notices.as_slice(), [Notice::Removed { .. }]), "{notices:?}");
    history.tick(at(START + 20 * HOUR));
    history.tick(at(START + 21 * HOUR));
    assert_eq!(count(&history.reader()), 0);
}

#[test]
fn what_is_too_much_goes_the_oldest_first() {
    let directory = tempfile::tempdir().unwrap();
    drop(three_hours(directory.path()));
    let size = |path: &PathBuf| fs::metadata(path).unwrap().len();
    let all = files(directory.path(), ".parquet");
    let newest = size(all.last().unwrap());
    let mut history = open(directory.path(), Settings { max_size: newest + 1000, ..Settings::default() });
    history.tick(at(START + 3 * HOUR));
    assert_eq!(files(directory.path(), ".parquet"), all[2..]);
    assert_eq!(count(&history.reader()), 500);
}

#[test]
fn a_clock_that_jumps_back_loses_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let mut history = open(directory.path(), Settings::default());
    for hour in [5, 1, 4, 1] {
        history.append(&flows(START + hour * HOUR, 100));
        history.tick(at(START + hour * HOUR));
        let newest = history.reader().newest().unwrap().unwrap();
        assert!((START + 5 * HOUR..START + 6 * HOUR).contains(&newest.0), "{newest:?}");
    }
    let newest = history.reader().newest().unwrap();
    history.flush().unwrap();
    assert_eq!(history.reader().newest().unwrap(), newest, "also in files");
    assert_eq!(history.reader().stats().unwrap().newest, newest);
    assert_eq!(Reader::new(&directory.path().join("none")).newest().unwrap(), None);
    assert_eq!(count(&history.reader()), 400);
    assert_eq!(history.lost(), 0);
}

#[test]
fn a_journal_of_more_hours_than_a_clock_has_is_bounded() {
    let directory = tempfile::tempdir().unwrap();
    let mut history = open(directory.path(), Settings::default());
    for hour in 0..70 {
        history.append(&flows(START + hour * HOUR, 1));
    }
    history.flush().unwrap();
    assert_eq!((files(directory.path(), ".parquet").len(), history.lost()), (64, 6));
    assert!(matches!(history.notices().as_slice(), [Notice::Scattered { lost: 6 }]));
}

#[test]
fn what_a_killed_merge_left_is_not_read_twice() {
    let directory = tempfile::tempdir().unwrap();
    let mut history = open(directory.path(), Settings::default());
    for part in flows(START, 300).chunks(100) {
        history.append(part);
        history.flush().unwrap();
    }
    let parts: Vec<(PathBuf, Vec<u8>)> = files(directory.path(), ".parquet")
        .into_iter()
        .map(|path| (path.clone(), fs::read(path).unwrap()))
        .collect();
    assert_eq!(parts.len(), 3);
    assert_eq!(history.compact().unwrap(), 2);
    drop(history);
    for (path, bytes) in &parts {
        fs::write(path, bytes).unwrap();
    }
    fs::write(directory.path().join("x.parquet.unfinished"), "").unwrap();
    assert_eq!(count(&Reader::new(directory.path())), 300);
    let history = open(directory.path(), Settings::default());
    assert_eq!(count(&history.reader()), 300);
    assert_eq!(
        (files(directory.path(), ".parquet").len(), files(directory.path(), ".unfinished").len()),
        (1, 0)
    );
}

#[test]
fn nobody_else_reads_it() {
    use std::os::unix::fs::PermissionsExt;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("history");
    let mut history = open(&path, Settings::default());
    history.append(&flows(START, 10));
    history.flush().unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&path), 0o700);
    for entry in fs::read_dir(&path).unwrap() {
        let entry = entry.unwrap().path();
        assert_eq!(mode(&entry), 0o600, "{}", entry.display());
    }
}
