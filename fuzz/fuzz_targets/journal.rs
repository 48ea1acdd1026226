//! Journals of the history that are torn, damaged or made up: what is whole is read, the rest is left out, no panic.
#![no_main]

use ciliate_flow::{Flow, Run};
use ciliate_history::{Hints, History, Order, Reader, Settings};
use libfuzzer_sys::fuzz_target;
use std::{fs, ops::ControlFlow, sync::LazyLock, time::SystemTime};
use tempfile::TempDir;

const MAGIC: &[u8] = b"CILFLOW2";
/// Length and CRC-32.
const HEADER: usize = 8;
/// First and last moment, and whether the frame can be read alone.
const HEAD: usize = 17;

static FOLDER: LazyLock<TempDir> = LazyLock::new(|| TempDir::new().expect("a folder"));

/// What the writer makes of two flows, without what stands before a frame's body.
static WRITTEN: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let folder = TempDir::new().expect("a folder");
    let mut history = History::open(folder.path(), Run::new(1), Settings::default()).expect("a history");
    history.append(&[1, 2].map(|second| {
        let mut flow = Flow::from_message(&Default::default()).expect("a flow");
        flow.time.0 = second * 1_000_000_000;
        flow
    }));
    history.tick(SystemTime::now());
    let files = fs::read_dir(folder.path()).expect("a folder").filter_map(Result::ok);
    let journal = files.map(|file| file.path()).find(|path| path.extension().is_some_and(|e| e == "journal"));
    let bytes = fs::read(journal.expect("a journal")).expect("a journal");
    bytes[MAGIC.len() + HEADER + HEAD..].to_vec()
});

/// One frame, with the sum that makes a reader look into it.
fn frame(body: &[u8]) -> Vec<u8> {
    let mut checked = [1_u64.to_le_bytes(), u64::MAX.to_le_bytes()].concat();
    checked.push(1);
    checked.extend_from_slice(body);
    let length = u32::try_from(body.len()).expect("a small frame");
    [&length.to_le_bytes(), &crc32fast::hash(&checked).to_le_bytes(), checked.as_slice()].concat()
}

fuzz_target!(|input: (Vec<(u8, u8)>, &[u8], &[u8])| {
    let (changes, body, rest) = input;
    let mut damaged = WRITTEN.clone();
    for (at, value) in changes {
        let length = damaged.len();
        damaged[usize::from(at) % length] = value;
    }
    let whole = frame(&WRITTEN);
    let bytes = [MAGIC, &whole, &frame(&damaged), &frame(body), rest].concat();
    let path = FOLDER.path().join("000000000000001-000001.journal");
    fs::write(path, bytes).expect("a journal");
    let mut flows = 0_u64;
    let outcome = Reader::new(FOLDER.path()).query(&Hints::default(), Order::OldestFirst, &mut |_| {
        flows += 1;
        ControlFlow::Continue(())
    });
    assert!(outcome.is_ok());
    assert!(flows >= 2, "the whole frame is read: {flows}");
});
