//! Disks without room.

#![expect(clippy::arithmetic_side_effects, reason = "tests state plainly what they expect")]

use super::*;
use crate::{FilePrefix, OneOf, Snap};
use nix::{
    mount::{MsFlags, mount},
    sched::{CloneFlags, unshare},
};
use std::{io::Write as _, thread};

/// Most bytes of files in [`cramped`] folders.
const ROOM: usize = 256 << 10;

/// In a folder with little room that nobody else has. Needs root.
fn cramped(body: impl FnOnce(Storage) + Send + 'static) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_owned();
    // A thread of its own has the mount to itself, and its end removes it.
    let thread = thread::spawn(move || {
        unshare(CloneFlags::CLONE_NEWNS).expect("this test mounts a tmpfs, for which it needs root");
        mount(None::<&str>, "/", None::<&str>, MsFlags::MS_REC | MsFlags::MS_PRIVATE, None::<&str>).unwrap();
        mount(Some("none"), &path, Some("tmpfs"), MsFlags::empty(), Some(format!("size={ROOM}").as_str()))
            .unwrap();
        body(Storage { folder: path.join("pcaps"), largest: u64::MAX, node: "n".to_owned() });
    });
    thread.join().unwrap();
}

fn request() -> Request {
    Request {
        prefix: FilePrefix::default(),
        filters: vec!["0.0.0.0/0 0 0.0.0.0/0 0 ANY".parse().unwrap()],
        snap: Snap::new(0),
        one_of: OneOf::new(1),
        limits: Limits::default(),
    }
}

fn device(_: u32) -> Device {
    Device { name: "eth0".to_owned(), description: String::new() }
}

/// Packets and their bytes, and the comments of what was counted, of a file that is whole.
fn read(path: &Path) -> (u64, u64, Vec<String>) {
    let file = fs::read(path).unwrap();
    let (mut packets, mut bytes, mut comments) = (0, 0, Vec::new());
    let mut rest = file.as_slice();
    while !rest.is_empty() {
        let word = |at: usize| u32::from_le_bytes(rest[at..at + 4].try_into().unwrap());
        let length = word(4) as usize;
        assert_eq!(word(length - 4) as usize, length, "a whole block");
        match word(0) {
            6 => (packets, bytes) = (packets + 1, bytes + u64::from(word(20))),
            5 => comments.push(String::from_utf8_lossy(&rest[24..length]).into_owned()),
            _ => {}
        }
        rest = &rest[length..];
    }
    (packets, bytes, comments)
}

/// Packets of all lengths until the disk is full, handed over as often as is said.
fn fill(storage: &Storage, flush_each: u64) -> (Recording, u64, End) {
    let mut recording = Recording::begin(storage, &request(), 0).unwrap();
    let bytes = [7; 1500];
    let mut put = 0_u64;
    loop {
        let length = usize::try_from(put * 37 % 1500).unwrap();
        let ifindex = u32::try_from(put % 3).unwrap() + 1;
        let seen =
            Seen { ifindex, time: put, length: 1500, bytes: &bytes[..length], comment: "verdict=FORWARDED" };
        let end = recording.put(&seen, || device(ifindex));
        put += 1;
        let end = end.or_else(|| put.is_multiple_of(flush_each).then(|| recording.flush()).flatten());
        if let Some(end) = end {
            return (recording, put, end);
        }
        assert!(put < 1000, "the disk is not full");
    }
}

#[test]
fn a_full_disk_ends_a_recording_behind_its_last_whole_packet() {
    cramped(|storage| {
        for flush_each in [1, 7, 1_000_000] {
            let (recording, put, end) = fill(&storage, flush_each);
            let path = recording.path().to_owned();
            let End::Failed(why) = &end else { panic!("{end:?}") };
            assert!(why.contains("No space left"), "{why}");
            let told = recording.statistics();
            let counted =
                (1..=3).map(|ifindex| (ifindex, Counted { matched: put, ..Counted::default() })).collect();
            let (end, statistics) = recording.end(end, 1, &counted, device);
            assert!(matches!(end, End::Failed(_)), "{end:?}");
            let (packets, bytes, comments) = read(&path);
            assert_eq!((statistics.packets, statistics.bytes), (packets, bytes), "{flush_each}");
            assert_eq!((told.packets, told.bytes), (packets, bytes), "as it was told meanwhile");
            assert!(packets > 100 && packets < put, "{packets} of {put}");
            // A page may have had room for them.
            assert!(comments.iter().all(|comment| comment.contains("[failed]; ")), "{comments:?}");
            fs::remove_file(path).unwrap();
        }
    });
}

#[test]
fn a_disk_that_is_full_at_the_end_or_from_the_beginning() {
    cramped(|storage| {
        let mut recording = Recording::begin(&storage, &request(), 0).unwrap();
        let path = recording.path().to_owned();
        let mut filler = fs::File::create(storage.folder.join("filler")).unwrap();
        while filler.write_all(&[0; 4096]).is_ok() {}
        // More than what is left of the page that the file has.
        let bytes = [7; 1500];
        for time in 0..5 {
            let seen = Seen { ifindex: 1, time, length: 1500, bytes: &bytes, comment: "" };
            assert_eq!(recording.put(&seen, || device(1)), None, "they wait");
        }
        let (end, statistics) = recording.end(End::Stopped, 1, &BTreeMap::new(), device);
        assert!(matches!(end, End::Failed(_)), "{end:?}");
        let (packets, bytes, _) = read(&path);
        assert_eq!((statistics.packets, statistics.bytes), (packets, bytes));
        assert_eq!(packets, 2, "as many as the page had room for");

        let refused = Recording::begin(&storage, &request(), 0).err().unwrap();
        let Refusal::Storage(why) = &refused else { panic!("{refused:?}") };
        assert!(why.contains("No space left") && why.contains("pcaps/hubble_0_2_n.pcapng"), "{why}");
        assert_eq!(fs::read_dir(&storage.folder).unwrap().count(), 2, "nothing is left of it");
        drop(filler);
        fs::remove_file(storage.folder.join("filler")).unwrap();
        Recording::begin(&storage, &request(), 0).unwrap();
    });
}
