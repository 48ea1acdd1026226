//! Flows to receivers of Fluentd's protocol and of OTLP made from other people's packages, which are stopped and started meanwhile.

#![expect(clippy::unwrap_used, clippy::arithmetic_side_effects, reason = "a test")]

#[path = "support/outage.rs"]
mod outage;
#[path = "support/place.rs"]
#[expect(dead_code, reason = "shared with tests that use all of it")]
mod place;
#[path = "support/receiver.rs"]
mod receiver;

use outage::{Case, survives};
use place::{Place, until};
use receiver::{Receiver, free_port};
use serde_json::Value;
use std::{fs, path::Path};

/// One of the programs in `receivers`.
fn program(name: &str, arguments: &[&str]) -> Receiver {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let script = root.join("tests/receivers").join(name).display().to_string();
    let all: Vec<String> =
        ["run", &script].iter().chain(arguments).map(|argument| (*argument).to_owned()).collect();
    Receiver::new(&root.join("../../scripts/python-peers").display().to_string(), &all)
}

fn lines(path: &Path) -> Vec<Value> {
    let text = fs::read_to_string(path).unwrap_or_default();
    let lines = text.split_inclusive('\n').filter(|line| line.ends_with('\n'));
    lines.map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Of a line that `fluentd.py` wrote.
fn fluentd_second(line: &Value) -> Option<u64> {
    line.get("flow")?;
    assert_eq!(line["tag"], "ciliate.flow");
    place::second(line).inspect(|second| assert_eq!(line["second"], *second))
}

/// Of a line that `otlp.py` wrote.
fn otlp_second(line: &Value) -> Option<u64> {
    let nanoseconds: u64 = line.get("timeUnixNano").map_or(0, |text| text.as_str().unwrap().parse().unwrap());
    (line["eventName"] == "cilium.flow").then_some(nanoseconds / 1_000_000_000)
}

fn config(rest: &str) -> String {
    format!("flowLogs:\n- name: logs\n  buffer: 500\n  fieldMask: [time, verdict, uuid]\n{rest}")
}

#[test]
fn fluentd_with_acknowledgements() {
    let folder = tempfile::tempdir().unwrap();
    let (port, out) = (free_port(), folder.path().join("out"));
    let receiver = program("fluentd.py", &[&port.to_string(), out.to_str().unwrap()]);
    let config = config(&format!("  fluentd: {{address: 'tcp://127.0.0.1:{port}'}}\n"));
    let read = || lines(&out).iter().filter_map(fluentd_second).collect();
    survives(Case { folder: folder.path(), receiver, config: &config, read: &read });
    let gap = lines(&out).into_iter().find(|line| line.get("lost_events").is_some()).unwrap();
    assert_eq!(gap["lost_events"]["num_events_lost"], "300");
}

#[test]
fn fluentd_with_a_shared_key_and_without_acknowledgements() {
    let folder = tempfile::tempdir().unwrap();
    let (port, out, key) = (free_port(), folder.path().join("out"), folder.path().join("key"));
    fs::write(&key, "secret\n").unwrap();
    let receiver = program("fluentd.py", &[&port.to_string(), out.to_str().unwrap(), "secret"]);
    let config = config(&format!(
        "  fluentd: {{address: 'tcp://127.0.0.1:{port}', sharedKeyFile: {}, acknowledge: false}}\n",
        key.display()
    ));
    let read = || lines(&out).iter().filter_map(fluentd_second).collect();
    survives(Case { folder: folder.path(), receiver, config: &config, read: &read });
}

#[test]
fn otlp_by_grpc() {
    let folder = tempfile::tempdir().unwrap();
    let (port, out) = (free_port(), folder.path().join("out"));
    let receiver = program("otlp.py", &[&port.to_string(), "grpc", out.to_str().unwrap()]);
    let config = config(&format!("  otlp: {{endpoint: 'http://127.0.0.1:{port}', resource: {{a: b}}}}\n"));
    let read = || lines(&out).iter().filter_map(otlp_second).collect();
    survives(Case { folder: folder.path(), receiver, config: &config, read: &read });
    let lines = lines(&out);
    let attribute = |of: &Value, key: &str| {
        let all = of["attributes"].as_array().unwrap();
        all.iter().find(|one| one["key"] == key).map(|one| one["value"].clone())
    };
    assert_eq!(attribute(&lines[0], "cilium.verdict").unwrap()["stringValue"], "DROPPED");
    assert_eq!(attribute(&lines[0]["resource"], "host.name").unwrap()["stringValue"], "node-1");
    assert_eq!(attribute(&lines[0]["resource"], "a").unwrap()["stringValue"], "b");
    let gap = lines.iter().find(|line| line["eventName"] == "cilium.lost_events").unwrap();
    assert_eq!(attribute(gap, "cilium.lost_events").unwrap()["intValue"], "300");
}

#[test]
fn otlp_by_http() {
    let folder = tempfile::tempdir().unwrap();
    let (port, out) = (free_port(), folder.path().join("out"));
    let receiver = program("otlp.py", &[&port.to_string(), "http", out.to_str().unwrap()]);
    let endpoint = format!("endpoint: 'http://127.0.0.1:{port}', protocol: http/protobuf");
    let config = config(&format!("  otlp: {{{endpoint}}}\n"));
    let read = || lines(&out).iter().filter_map(otlp_second).collect();
    survives(Case { folder: folder.path(), receiver, config: &config, read: &read });
}

/// What a receiver will never take is counted, and not sent for ever.
#[test]
fn what_is_refused_is_lost_and_counted() {
    for (header, lost) in [("x-reject", 1), ("x-refuse", 10)] {
        let folder = tempfile::tempdir().unwrap();
        let (port, out) = (free_port(), folder.path().join("out"));
        let mut receiver = program("otlp.py", &[&port.to_string(), "grpc", out.to_str().unwrap()]);
        receiver.start();
        let file = folder.path().join("flowlogs.yaml");
        let rest = format!("  otlp: {{endpoint: 'http://127.0.0.1:{port}', headers: {{{header}: '1'}}}}\n");
        fs::write(&file, config(&rest)).unwrap();
        let mut place = Place::new(100);
        place.see(0..10);
        let service = place.start(ciliate_export::Sources { fixed: None, file: Some(file) });
        let report = || service.reports().report().exporters.remove(0);
        until("the receiver has answered", || report().lost[2] == ("refused", lost));
        until("the rest arrived", || report().exported == 10 - lost && report().buffered == 0);
        drop(service);
    }
}
