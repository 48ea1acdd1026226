//! Exporters to files as a service keeps them: settings, a file of flow logs that changes, and what becomes of flows meanwhile.

#![expect(clippy::unwrap_used, clippy::arithmetic_side_effects, reason = "a test")]

#[path = "support/place.rs"]
mod place;

use ciliate_export::{Bounds, Compression, FileTarget, Sources, Spec, Target};
use place::{Place, flows_in, until};
use std::{fs, path::Path};

fn log(folder: &Path, name: &str, rest: &str) -> String {
    format!(
        "- name: {name}\n  filePath: {}/{name}.json\n  fieldMask: [time, verdict, uuid]\n{rest}",
        folder.display()
    )
}

#[test]
fn a_file_that_changes_changes_what_it_is_about_and_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("flowlogs.yaml");
    let write = |logs: &[String]| fs::write(&config, format!("flowLogs:\n{}", logs.concat())).unwrap();
    let drops = "  includeFilters:\n  - verdict: [DROPPED]\n";
    write(&[log(folder.path(), "all", ""), log(folder.path(), "drops", drops)]);
    let mut place = Place::new(100_000);
    let service = place.start(Sources { fixed: None, file: Some(config.clone()) });
    let file = |name: &str| folder.path().join(format!("{name}.json"));
    place.see(0..3000);
    until("all flows are written", || flows_in(&file("all")) == (0..3000).collect::<Vec<_>>());
    assert_eq!(flows_in(&file("drops")), (0..3000).step_by(3).collect::<Vec<_>>());

    // A mistake changes nothing and is counted once.
    fs::write(&config, "flowLogs:\n- name: x\n").unwrap();
    let count = |op: &str| {
        let report = service.reports().report();
        report.reconfigurations.into_iter().find(|(name, _)| *name == op).unwrap().1
    };
    until("the mistake is seen", || count("failure") == 1);
    place.see(3000..4000);
    until("flows are written", || flows_in(&file("all")).len() == 4000);

    // One is changed while flows come, one goes, one is new.
    let few = "  buffer: 5000\n";
    write(&[log(folder.path(), "all", few), log(folder.path(), "late", "")]);
    for second in 4000..6000 {
        place.see(second..second + 1);
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    until("the change is seen", || (count("add"), count("update"), count("remove")) == (3, 1, 1));
    place.see(6000..6500);
    until("all flows are written", || flows_in(&file("all")) == (0..6500).collect::<Vec<_>>());
    until("so is what came since", || flows_in(&file("late")).last() == Some(&6499));
    let late = flows_in(&file("late"));
    assert_eq!(late, (late[0]..6500).collect::<Vec<_>>());
    assert_eq!(count("failure"), 1);
    drop(service);
}

#[test]
fn an_exporter_has_an_end() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("flowlogs.yaml");
    let text = format!("flowLogs:\n{}", log(folder.path(), "a", "  end: 1970-01-01T00:00:10Z\n"));
    fs::write(&config, text).unwrap();
    let mut place = Place::new(1000);
    place.see(0..20);
    let service = place.start(Sources { fixed: None, file: Some(config) });
    until("its end is seen", || !service.reports().report().exporters[0].active);
    place.see(20..30);
    let file = folder.path().join("a.json");
    until("flows up to it are written", || flows_in(&file) == (0..=10).collect::<Vec<_>>());
    drop(service);
    assert_eq!(flows_in(&file).len(), 11);
}

/// `/dev/full` is a disk without room; what does not fit into the buffer meanwhile is one gap in the file.
#[test]
fn a_full_disk_costs_what_the_buffer_has_no_room_for_and_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("flows.json");
    std::os::unix::fs::symlink("/dev/full", &path).unwrap();
    let target =
        FileTarget { path: path.clone(), most_bytes: 100 << 20, backups: 0, compression: Compression::None };
    let fixed = Spec {
        name: "fixed".to_owned(),
        target: Target::File(target),
        allow: Vec::new(),
        deny: Vec::new(),
        mask: vec!["time".to_owned()],
        end: None,
        bounds: Bounds::of_flows(100),
    };
    let mut place = Place::new(10_000);
    let service = place.start(Sources { fixed: Some(fixed), file: None });
    place.see(0..250);
    let report = || service.reports().report().exporters.remove(0);
    until("the disk is full", || report().faults > 1 && report().lost[0] == ("buffer_full", 150));
    assert_eq!((report().buffered, report().exported, report().up), (100, 0, 0));
    fs::remove_file(&path).unwrap();
    until("there is room", || report().exported == 100);
    place.see(250..260);
    until("it goes on", || report().exported == 110);
    assert_eq!(flows_in(&path), (0..100).chain(250..260).collect::<Vec<_>>());
    let text = fs::read_to_string(&path).unwrap();
    let gap = text.lines().nth(100).unwrap();
    assert!(
        gap.starts_with(r#"{"lost_events":{"source":"HUBBLE_RING_BUFFER","num_events_lost":"150","first":"1970-01-01T00:01:40Z","last":"1970-01-01T00:04:09Z"}"#),
        "{gap}"
    );
    drop(service);
}

/// A reader that was away for longer than the log is long.
#[test]
fn what_left_the_log_too_soon_is_counted() {
    let folder = tempfile::tempdir().unwrap();
    let mut place = Place::new(1000);
    place.see(0..5000);
    let config = folder.path().join("flowlogs.yaml");
    fs::write(&config, format!("flowLogs:\n{}", log(folder.path(), "a", ""))).unwrap();
    let service = place.start(Sources { fixed: None, file: Some(config) });
    let file = folder.path().join("a.json");
    until("the rest is written", || flows_in(&file).len() == 1000);
    assert_eq!(service.reports().report().exporters[0].lost[1], ("log_overrun", 4000));
    drop(service);
}
