use super::*;
use crate::{selection::Selection, spec::Compression};
use ciliate_flow::{Flow, Node, Time};
use flate2::read::GzDecoder;
use std::{collections::BTreeMap, io::Read as _, sync::Arc};

fn shape() -> Shape {
    let node = Arc::new(Node { name: "n".to_owned(), labels: Vec::new() });
    Shape { selection: Selection::new(&[], &[], &["time".to_owned()]).unwrap(), node }
}

fn flows(seconds: std::ops::Range<u64>) -> Vec<Entry> {
    let flow = |second: u64| {
        let mut flow = Flow::from_message(&Default::default()).unwrap();
        flow.time = Time(second.saturating_mul(1_000_000_000));
        Entry::Flow(flow)
    };
    seconds.map(flow).collect()
}

fn target(folder: &Path, compression: Compression) -> FileTarget {
    FileTarget { path: folder.join("sub/flows.json"), most_bytes: 1000, backups: 3, compression }
}

/// Writes all, in as many loads as it takes.
fn write(file: &mut File, entries: &[Entry]) -> Result<(), Fault> {
    let mut rest = entries;
    while !rest.is_empty() {
        let load = file.load(rest.iter(), &shape());
        assert_eq!(load.unfit, 0);
        assert_eq!(file.send()?, Sent::Settled);
        rest = &rest[load.entries..];
    }
    Ok(())
}

/// Names and contents, those put aside without their time.
fn contents(folder: &Path) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder.join("sub")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        let mut text = String::new();
        match name.ends_with(".gz") {
            true => GzDecoder::new(fs::File::open(&path).unwrap()).read_to_string(&mut text).unwrap(),
            false => fs::File::open(&path).unwrap().read_to_string(&mut text).unwrap(),
        };
        found.insert(name, text);
    }
    found
}

const LINE: usize = r#"{"flow":{"time":"1970-01-01T00:00:00Z"},"time":"1970-01-01T00:00:00Z"}"#.len() + 1;

#[test]
fn large_files_are_put_aside_and_the_oldest_go() {
    for compression in [Compression::None, Compression::Gzip] {
        let folder = tempfile::tempdir().unwrap();
        let mut file = File::new(target(folder.path(), compression));
        for first in (0..100).step_by(5) {
            write(&mut file, &flows(first..first + 5)).unwrap();
        }
        drop(file);
        let found = contents(folder.path());
        assert_eq!(found.len(), 4, "{:?}", found.keys());
        let (current, aside): (Vec<_>, Vec<_>) =
            found.iter().partition(|(name, _)| name.as_str() == "flows.json");
        assert_eq!(current.len(), 1);
        // The newest lines are there, without a gap.
        let all: String = aside.iter().chain(&current).map(|(_, text)| text.as_str()).collect();
        let seconds: Vec<u64> = all
            .lines()
            .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap())
            .map(|line| line["time"].as_str().unwrap().parse::<jiff::Timestamp>().unwrap().as_second() as u64)
            .collect();
        let first = seconds[0];
        assert_eq!(seconds, (first..100).collect::<Vec<_>>());
        for (name, text) in aside {
            assert!(text.len() <= 1000 && text.len() > 1000 - 6 * LINE, "{name}: {}", text.len());
            let ending = if compression == Compression::Gzip { ".json.gz" } else { ".json" };
            assert!(name.starts_with("flows-20") && name.ends_with(ending), "{name}");
        }
    }
}

#[test]
fn a_file_goes_on_where_it_was_and_is_made_again_if_it_is_gone() {
    let folder = tempfile::tempdir().unwrap();
    let path = target(folder.path(), Compression::None).path;
    let mut file = File::new(target(folder.path(), Compression::None));
    write(&mut file, &flows(0..2)).unwrap();
    let mut file = File::new(target(folder.path(), Compression::None));
    write(&mut file, &flows(2..4)).unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap().lines().count(), 4);
    fs::rename(&path, folder.path().join("moved")).unwrap();
    std::thread::sleep(LOOK);
    write(&mut file, &flows(4..5)).unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap().lines().count(), 1);
    assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
}

/// `/dev/full` takes nothing, and a directory is no file.
#[test]
fn what_cannot_be_written_is_said() {
    let full = FileTarget { path: "/dev/full".into(), ..target(Path::new("/"), Compression::None) };
    let error = write(&mut File::new(full), &flows(0..1)).unwrap_err().to_string();
    assert!(error.starts_with("cannot write to /dev/full: No space left"), "{error}");
    let folder = tempfile::tempdir().unwrap();
    let directory =
        FileTarget { path: folder.path().to_owned(), ..target(Path::new("/"), Compression::None) };
    assert!(write(&mut File::new(directory), &flows(0..1)).is_err());
}

/// What is put aside last has the last name, whatever the clock says.
#[test]
fn a_clock_that_was_set_back_costs_no_new_file() {
    let folder = tempfile::tempdir().unwrap();
    for ahead in ["flows-2199-01-01T00-00-00.000.json", "flows-2199-01-01T00-00-00.001.json"] {
        fs::create_dir_all(folder.path().join("sub")).unwrap();
        fs::write(folder.path().join("sub").join(ahead), "").unwrap();
    }
    let mut file = File::new(target(folder.path(), Compression::None));
    for first in (0..40).step_by(5) {
        write(&mut file, &flows(first..first + 5)).unwrap();
    }
    drop(file);
    let found = contents(folder.path());
    assert!(found.contains_key("flows-2199-01-01T00-00-00.002.json"), "{:?}", found.keys());
}
