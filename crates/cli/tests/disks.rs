//! An agent whose disks are full: what it writes to them stops and goes on again, and nothing else does. Needs root and tshark.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests state plainly what they expect")]

#[path = "recorder/capture.rs"]
#[expect(dead_code, reason = "shared with tests that use all of it")]
mod capture;
#[path = "end_to_end/stage.rs"]
#[expect(dead_code, reason = "shared with tests that use all of it")]
mod stage;

use capture::{Recording, Talker, read};
use serde_json::Value;
use stage::{Stage, eventually, inside, shell};
use std::{
    collections::BTreeSet,
    fs::{self, File},
    io::Write as _,
    ops::Range,
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

const PAUSED: &str = "history keeps no flows until this is mended";
const RESUMED: &str = "history keeps flows again; ";
const WAITS: &str = "flows wait in the buffer, it is tried again";

/// A small file system below the stage's folder.
fn small(stage: &Stage, folder: &str, size: &str) -> PathBuf {
    let path = stage.folder.join(folder);
    fs::create_dir_all(&path).unwrap();
    shell(&format!("mount -t tmpfs -o mode=0700,size={size} small {}", path.display()));
    path
}

/// Takes all the room of a folder but so many bytes.
fn fill(folder: &Path, left: u64) -> PathBuf {
    let path = folder.join("filler");
    let mut file = File::create(&path).unwrap();
    while file.write_all(&[0; 4096]).is_ok() {}
    let length = file.metadata().unwrap().len();
    file.set_len(length.saturating_sub(left)).unwrap();
    path
}

fn said(stage: &Stage, part: &str) -> usize {
    let log = fs::read_to_string(stage.folder.join("run/ciliate/agent.log")).unwrap();
    log.lines().filter(|line| line.contains(part)).count()
}

/// A connection to each of the ports.
fn talk(talker: &Talker, to: &str, ports: Range<u16>) {
    ports.for_each(|port| talker.send(to, port, 1));
}

/// Destination ports of flows in lines of JSON, alone or in answers; a line that is being written has none yet.
fn ports(lines: &str) -> BTreeSet<u64> {
    let answers = lines.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let port = |answer: Value| {
        let flow = answer.get("flow").unwrap_or(&answer);
        flow["l4"]["UDP"]["destination_port"].as_u64()
    };
    answers.filter_map(port).collect()
}

fn all(ports: Range<u16>) -> BTreeSet<u64> {
    ports.map(u64::from).collect()
}

#[test]
fn a_recording_says_what_it_has_when_the_disk_is_full() {
    inside("a_recording_says_what_it_has_when_the_disk_is_full", |stage| {
        let pcaps = small(stage, "run/ciliate/pcaps", "512k");
        stage.done(&["up"]);
        stage.done(&["run", "--detach", "--name", "a", "--", "sleep", "infinity"]);
        stage.done(&["run", "--detach", "--name", "b", "--", "sleep", "infinity"]);
        let to = stage.json(&["endpoint", "get", "b"])[0]["ipv4"].as_str().unwrap().to_owned();
        let filter = format!("0.0.0.0/0 0 {to} 9 UDP");
        let talker = Talker::new(stage, "a");
        let filler = fill(&pcaps, 64 << 10);
        let mut recording = Recording::start(stage, &[&filter]);
        talker.send(&to, 9, 1000);
        let (told, error) = recording.fails();
        let frames = read(&recording.path);
        let path = recording.path.display().to_string();
        assert!((50..1000).contains(&frames.len()), "{}", frames.len());
        let bytes: u32 = frames.iter().map(|frame| frame.captured).sum();
        let result = format!("Result: {} packets ({bytes} bytes) written", frames.len());
        assert!(told.contains(&result) && told.contains(&format!("Output: {path}")), "{result}: {told}");
        let why = "Ended because the file could not be written: No space left on device";
        assert!(told.contains(why), "{told}");
        assert!(error.contains(&format!("the recording {path} is not complete")), "{error}");
        let view = &stage.json(&["recorder", "list"])[0];
        assert_eq!(
            (&view["packets"], &view["end"]["reason"]),
            (&frames.len().into(), &"failed".into()),
            "{view}"
        );
        assert_eq!(said(stage, "a recording is not complete"), 1);

        // None at all can begin, and nothing is left of one that tried.
        fill(&pcaps, 0);
        let files = fs::read_dir(&pcaps).unwrap().count();
        let (_, error) = stage.fails(&["recorder", "start", &filter]);
        assert!(error.contains("No space left on device") && error.contains("/pcaps/"), "{error}");
        assert_eq!(fs::read_dir(&pcaps).unwrap().count(), files);

        fs::remove_file(filler).unwrap();
        let mut recording = Recording::start(stage, &[&filter]);
        talker.send(&to, 9, 5);
        assert!(recording.stop().contains("Ended because it was stopped"));
        assert_eq!(read(&recording.path).len(), 5);
        stage.done(&["down"]);
    });
}

#[test]
fn history_and_exporters_wait_for_room_and_say_so_once() {
    inside("history_and_exporters_wait_for_room_and_say_so_once", |stage| {
        let history = small(stage, "state/history", "1m");
        let export = small(stage, "export", "1m");
        let file = export.join("flows.json");
        stage.done(&["up", &format!("--hubble-export-file-path={}", file.display())]);
        stage.done(&["run", "--detach", "--name", "a", "--", "sleep", "infinity"]);
        stage.done(&["run", "--detach", "--name", "b", "--", "sleep", "infinity"]);
        let to = stage.json(&["endpoint", "get", "b"])[0]["ipv4"].as_str().unwrap().to_owned();
        let talker = Talker::new(stage, "a");
        let exported = || ports(&fs::read_to_string(&file).unwrap_or_default());
        let kept = || ports(&stage.done(&["history", "export", "-"]));
        talk(&talker, &to, 1000..1050);
        eventually("flows are exported", || exported().is_superset(&all(1000..1050)));
        eventually("and kept", || kept().is_superset(&all(1000..1050)));

        let fillers = [fill(&history, 0), fill(&export, 0)];
        // More than what is left of a page of each.
        talk(&talker, &to, 2000..2300);
        eventually("the history is paused", || said(stage, PAUSED) >= 1);
        eventually("the exporter waits", || said(stage, WAITS) == 1);
        assert!(said(stage, "No space left on device") >= 2);
        // Meanwhile all is as ever: flows are seen, endpoints come and go.
        talk(&talker, &to, 3000..3300);
        eventually("flows are seen", || {
            ports(&stage.done(&["observe", "--last", "2000", "-o", "json"])).is_superset(&all(3000..3300))
        });
        stage.done(&["run", "--name", "c", "--", "true"]);
        thread::sleep(Duration::from_secs(1));
        assert_eq!(said(stage, WAITS), 1, "it is tried again and again, and told once");
        // The rest of a page may have had room for a few flows in between.
        let told = said(stage, PAUSED);
        assert!(told <= 3 && told - said(stage, RESUMED) <= 1, "each time is told once: {told}");

        fillers.iter().for_each(|filler| fs::remove_file(filler).unwrap());
        talk(&talker, &to, 4000..4050);
        let every = [1000..1050, 2000..2300, 3000..3300, 4000..4050].into_iter().flat_map(all).collect();
        eventually("nothing is missing from the file", || exported().is_superset(&every));
        let lines = fs::read_to_string(&file).unwrap();
        assert!(lines.lines().all(|line| serde_json::from_str::<Value>(line).is_ok()), "no line is torn");
        eventually("the history goes on", || said(stage, PAUSED) == said(stage, RESUMED));
        talk(&talker, &to, 5000..5050);
        eventually("flows are kept again", || kept().is_superset(&all(5000..5050)));
        let kept = kept();
        assert!(kept.is_superset(&all(1000..1050)), "what was before still is");
        assert!(
            !kept.is_superset(&every) && said(stage, "again; 0 were lost") == 0,
            "the others are counted"
        );
        stage.done(&["down"]);
    });
}
