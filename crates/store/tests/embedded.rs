//! The store as its users see it, and what becomes of it in bad times.

#![expect(clippy::unwrap_used, clippy::arithmetic_side_effects, reason = "a test fails by panicking")]

use ciliate_store::{Document, Embedded, Error, Event, Expect, Revision, Write};
use nix::{
    mount::{MsFlags, mount},
    sched::{CloneFlags, unshare},
};
use serde_json::{Value, json};
use std::{
    fs,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

const NOW: Duration = Duration::ZERO;

/// A folder that goes with its test.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("cil-test-store-{}-{number}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn file(&self) -> PathBuf {
        self.0.join("ciliate.redb")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn policy(number: usize) -> Value {
    json!({"metadata": {"name": format!("rule{number}")}, "spec": {"description": "x".repeat(number % 700)}})
}

fn keys(store: &Embedded, kind: &str) -> Vec<String> {
    store.list(kind).unwrap().into_iter().map(|d| d.key).collect()
}

#[test]
fn documents_outlive_the_process_with_their_revisions() {
    let folder = Folder::new();
    let store = Embedded::open(&folder.0).unwrap();
    assert_eq!((store.revision(), store.list("cnp").unwrap()), (Revision(0), vec![]));
    let writes = [Write::put("cnp", "default/b", policy(1)), Write::put("cnp", "default/a", policy(2))];
    assert_eq!(store.commit(&writes).unwrap(), Revision(1));
    assert_eq!(store.commit(&[Write::put("endpoint", "65", json!(null))]).unwrap(), Revision(2));
    assert_eq!(store.commit(&writes).unwrap(), Revision(2), "nothing changed");
    assert_eq!(
        store.commit(&[Write::delete("cnp", "default/c"), Write::delete("ns", "x")]).unwrap(),
        Revision(2)
    );
    drop(store);

    let store = Embedded::open(&folder.0).unwrap();
    assert_eq!(store.revision(), Revision(2));
    assert_eq!(keys(&store, "cnp"), ["default/a", "default/b"]);
    assert_eq!(store.kinds().unwrap(), ["cnp", "endpoint"]);
    let a = store.get("cnp", "default/a").unwrap().unwrap();
    assert_eq!((a.value, a.revision), (policy(2), Revision(1)));
    assert_eq!(store.get("endpoint", "65").unwrap().unwrap().value, Value::Null);
    assert_eq!(store.get("cnp", "65").unwrap(), None);
    store.commit(&[Write::delete("cnp", "default/a")]).unwrap();
    assert_eq!(keys(&store, "cnp"), ["default/b"]);
    let mode = std::os::unix::fs::PermissionsExt::mode(&fs::metadata(folder.file()).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn a_write_that_finds_something_else_refuses_its_batch() {
    let folder = Folder::new();
    let store = Embedded::open(&folder.0).unwrap();
    let first = store.commit(&[Write::put("id", "256", json!(1)).expect(Expect::Absent)]).unwrap();
    let error = store
        .commit(&[
            Write::put("id", "257", json!(1)),
            Write::put("id", "256", json!(2)).expect(Expect::Absent),
        ])
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "id 256 was changed by somebody else: expected no document, found revision 1; read it again"
    );
    assert_eq!(keys(&store, "id"), ["256"], "all or nothing");
    let swap = |revision| Write::put("id", "256", json!(3)).expect(Expect::Revision(revision));
    let second = store.commit(&[swap(first)]).unwrap();
    assert!(
        matches!(store.commit(&[swap(first)]), Err(Error::Conflict { found: Some(r), .. }) if r == second)
    );
    let gone = Write::delete("id", "999").expect(Expect::Revision(first));
    assert!(matches!(store.commit(&[gone]), Err(Error::Conflict { found: None, .. })));
    assert_eq!(store.revision(), second);
    assert_eq!(store.get("id", "256").unwrap().unwrap().value, json!(3));
}

#[test]
fn writes_of_one_batch_see_those_before_them() {
    let folder = Folder::new();
    let store = Embedded::open(&folder.0).unwrap();
    let mut watch = store.watch(store.revision());
    let batch = [
        Write::put("b", "1", json!(1)),
        Write::put("a", "1", json!(1)),
        Write::delete("b", "1").expect(Expect::Revision(Revision(1))),
    ];
    store.commit(&batch).unwrap();
    assert_eq!(store.get("b", "1").unwrap(), None);
    let Some(Event::Changes(changes, Revision(1))) = watch.next(NOW) else { panic!("one batch") };
    let seen: Vec<_> = changes.iter().map(|c| (c.kind.as_str(), c.document.is_some())).collect();
    assert_eq!(seen, [("b", true), ("a", true), ("b", false)], "in the order of the batch");
}

#[test]
fn watchers_see_every_batch_or_that_they_missed_some() {
    let folder = Folder::new();
    let store = Embedded::open(&folder.0).unwrap();
    let (mut fast, mut slow) = (store.watch(Revision(0)), store.watch(Revision(0)));
    assert_eq!(fast.next(NOW), None);
    for number in 0..3 {
        store.commit(&[Write::put("cnp", &number.to_string(), json!(number))]).unwrap();
        let Some(Event::Changes(changes, revision)) = fast.next(NOW) else { panic!("a change") };
        assert_eq!((revision, changes.len()), (Revision(number + 1), 1));
        assert_eq!(changes[0].document.as_ref().unwrap().revision, revision);
    }
    assert_eq!(fast.next(NOW), None);
    // More than is kept for the slow one.
    for batch in 0..2 {
        let many: Vec<_> = (0..4000).map(|n| Write::put("many", &format!("{batch}/{n}"), json!(n))).collect();
        store.commit(&many).unwrap();
    }
    assert_eq!(slow.next(NOW), Some(Event::Missed { batches: 4 }));
    assert!(matches!(slow.next(NOW), Some(Event::Changes(changes, Revision(5))) if changes.len() == 4000));
    assert_eq!(slow.next(NOW), None);

    let mut waiting = store.watch(store.revision());
    std::thread::scope(|scope| {
        let waiter = scope.spawn(move || waiting.next(Duration::from_secs(10)));
        store.commit(&[Write::delete("cnp", "0")]).unwrap();
        assert!(matches!(waiter.join().unwrap(), Some(Event::Changes(c, _)) if c[0].document.is_none()));
    });
}

#[test]
fn a_second_agent_is_told_who_holds_the_store() {
    let folder = Folder::new();
    let store = Embedded::open(&folder.0).unwrap();
    let error = Embedded::open(&folder.0).unwrap_err();
    assert!(matches!(&error, Error::Locked { pid: Some(pid), .. } if *pid == std::process::id()), "{error}");
    assert!(error.to_string().contains("`ciliate down`"), "{error}");
    drop(store);
    Embedded::open(&folder.0).unwrap();
}

/// A store with some history: many commits, deletions, long documents.
fn lived_in(folder: &Folder) -> Vec<Document> {
    let store = Embedded::open(&folder.0).unwrap();
    for batch in 0..10 {
        let puts = (0..30).map(|n| Write::put("cnp", &format!("{n}"), policy(batch * 97 + n)));
        store.commit(&puts.collect::<Vec<_>>()).unwrap();
    }
    store.commit(&(0..10).map(|n| Write::delete("cnp", &format!("{n}"))).collect::<Vec<_>>()).unwrap();
    store.list("cnp").unwrap()
}

#[test]
fn a_file_cut_off_anywhere_is_damaged_or_whole_and_never_new() {
    let folder = Folder::new();
    let documents = lived_in(&folder);
    let bytes = fs::read(folder.file()).unwrap();
    let step = bytes.len() / 150;
    let mut refused = 0;
    for length in (0..bytes.len()).step_by(step).chain([1, 9, 64, 320, 511, 4095, 4096, bytes.len() - 1]) {
        fs::write(folder.file(), &bytes[..length]).unwrap();
        match Embedded::open(&folder.0) {
            // Only unused space was cut.
            Ok(store) => assert_eq!(store.list("cnp").unwrap(), documents, "cut at {length}"),
            Err(error @ Error::Corrupt { .. }) => {
                refused += 1;
                let text = error.to_string();
                assert!(text.contains(folder.file().to_str().unwrap()) && text.contains("backup"), "{text}");
            }
            Err(error) => panic!("cut at {length}: {error}"),
        }
        // What is damaged stays, for whoever may repair it.
        assert!(fs::metadata(folder.file()).unwrap().len() >= length as u64);
    }
    assert!(refused > 20, "{refused}");
    fs::write(folder.file(), &bytes).unwrap();
    assert_eq!(Embedded::open(&folder.0).unwrap().list("cnp").unwrap(), documents);
}

/// What some file systems leave of a file after the power failed.
#[test]
fn a_file_with_holes_is_damaged_or_whole() {
    let folder = Folder::new();
    let documents = lived_in(&folder);
    let bytes = fs::read(folder.file()).unwrap();
    let mut refused = 0;
    for hole in (0..bytes.len()).step_by(4096) {
        let mut holed = bytes.clone();
        let end = bytes.len().min(hole + 4096);
        holed[hole..end].fill(0);
        fs::write(folder.file(), &holed).unwrap();
        match Embedded::open(&folder.0) {
            Ok(store) => assert!(store.list("cnp").unwrap() == documents, "hole at {hole}"),
            Err(Error::Corrupt { .. }) => refused += 1,
            Err(error) => panic!("hole at {hole}: {error}"),
        }
    }
    assert!(refused > 3, "{refused}");
}

#[test]
fn other_files_in_its_place_are_damaged_ones() {
    let folder = Folder::new();
    for content in [&b"hello"[..], &[0; 100_000], &b"x".repeat(1 << 20)] {
        fs::write(folder.file(), content).unwrap();
        let error = Embedded::open(&folder.0).unwrap_err();
        assert!(matches!(error, Error::Corrupt { .. }), "{error}");
        assert!(fs::read(folder.file()).unwrap() == content, "left as it was");
    }
    fs::remove_file(folder.file()).unwrap();
    fs::create_dir(folder.file()).unwrap();
    Embedded::open(&folder.0).unwrap_err();
}

/// What a crash leaves: the file as it is while the store is open.
#[test]
fn a_killed_process_loses_nothing_that_was_committed() {
    let (folder, copy) = (Folder::new(), Folder::new());
    let store = Embedded::open(&folder.0).unwrap();
    for number in 0..50 {
        store.commit(&[Write::put("cnp", &format!("{number:03}"), policy(number))]).unwrap();
        fs::copy(folder.file(), copy.file()).unwrap();
        let survivor = Embedded::open(&copy.0).unwrap();
        assert_eq!(survivor.list("cnp").unwrap(), store.list("cnp").unwrap());
        assert_eq!(survivor.revision(), store.revision());
    }
    // The remains of a first start that was cut short are no store.
    fs::remove_file(copy.file()).unwrap();
    fs::write(copy.0.join("ciliate.new"), "half").unwrap();
    assert_eq!(Embedded::open(&copy.0).unwrap().revision(), Revision(0));
}

#[test]
fn a_newer_format_is_not_touched() {
    let folder = Folder::new();
    drop(Embedded::open(&folder.0).unwrap());
    {
        let database = redb::Database::open(folder.file()).unwrap();
        let transaction = database.begin_write().unwrap();
        let meta = redb::TableDefinition::<&str, u64>::new("meta");
        transaction.open_table(meta).unwrap().insert("format", 9).unwrap();
        transaction.commit().unwrap();
    }
    let error = Embedded::open(&folder.0).unwrap_err();
    assert!(matches!(error, Error::Version { found: 9, known: 1, .. }), "{error}");
}

/// Runs on a thread with mounts of its own. Needs root.
fn with_mounts(work: impl FnOnce() + Send) {
    std::thread::scope(|scope| {
        scope.spawn(|| {
            unshare(CloneFlags::CLONE_NEWNS).unwrap();
            let flags = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
            mount(None::<&str>, "/", None::<&str>, flags, None::<&str>).unwrap();
            work();
        });
    });
}

fn tmpfs(at: &Path, options: &str) {
    mount(Some("tmpfs"), at, Some("tmpfs"), MsFlags::empty(), Some(options)).unwrap();
}

#[test]
fn a_full_disk_changes_nothing_and_is_overcome() {
    let folder = Folder::new();
    with_mounts(|| {
        tmpfs(&folder.0, "size=4m");
        let store = Embedded::open(&folder.0).unwrap();
        store.commit(&[Write::put("cnp", "kept", json!("kept"))]).unwrap();
        let large = json!("x".repeat(300_000));
        let mut done = vec!["kept".to_owned()];
        let error = (0..100)
            .find_map(|n| {
                let key = format!("large{n:02}");
                let outcome = store.commit(&[Write::put("cnp", &key, large.clone())]);
                outcome.map(|_| done.push(key)).err()
            })
            .unwrap();
        assert!(matches!(error, Error::Full { .. }), "{error}");
        assert_eq!(keys(&store, "cnp"), done, "what was committed is still read");
        assert!(store.commit(&[Write::put("cnp", "large99", large.clone())]).is_err());
        let revision = store.revision();
        drop(store);

        // Filled up to the last byte, it still opens and reads.
        let ballast = folder.0.join("ballast");
        let _ = fs::write(&ballast, vec![0; 4 << 20]);
        let store = Embedded::open(&folder.0).unwrap();
        assert_eq!((keys(&store, "cnp"), store.revision()), (done.clone(), revision));
        let mut watch = store.watch(revision);
        let refused = store.commit(&[Write::put("cnp", "large99", large.clone())]);
        assert!(matches!(refused, Err(Error::Full { .. })), "{refused:?}");

        mount(None::<&str>, &folder.0, None::<&str>, MsFlags::MS_REMOUNT, Some("size=64m")).unwrap();
        fs::remove_file(&ballast).unwrap();
        store.commit(&[Write::put("cnp", "large99", large)]).unwrap();
        done.push("large99".into());
        assert_eq!(keys(&store, "cnp"), done, "space again: it goes on without a restart");
        assert!(matches!(watch.next(NOW), Some(Event::Changes(..))));
    });
}

#[test]
fn a_disk_that_is_full_from_the_start_is_named() {
    let folder = Folder::new();
    with_mounts(|| {
        tmpfs(&folder.0, "size=8k");
        let error = Embedded::open(&folder.0).unwrap_err();
        assert!(matches!(error, Error::Full { .. }), "{error}");
        assert!(!folder.file().exists(), "nothing half done");
    });
}

#[test]
fn a_read_only_disk_is_named() {
    let folder = Folder::new();
    let documents = lived_in(&folder);
    with_mounts(|| {
        let read_only = MsFlags::MS_BIND | MsFlags::MS_REMOUNT | MsFlags::MS_RDONLY;
        mount(Some(&folder.0), &folder.0, None::<&str>, MsFlags::MS_BIND, None::<&str>).unwrap();
        mount(None::<&str>, &folder.0, None::<&str>, read_only, None::<&str>).unwrap();
        let error = Embedded::open(&folder.0).unwrap_err();
        assert!(matches!(error, Error::ReadOnly { .. }), "{error}");
        assert!(error.to_string().contains("--state-dir"), "{error}");
        let error = Embedded::open(&folder.0.join("deeper")).unwrap_err();
        assert!(matches!(error, Error::ReadOnly { .. }), "{error}");
    });
    assert_eq!(Embedded::open(&folder.0).unwrap().list("cnp").unwrap(), documents);
}
