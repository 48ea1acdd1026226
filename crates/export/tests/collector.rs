//! Flows to OpenTelemetry's own collector, by OTLP and by Fluentd's forward protocol: `make test-receivers`.

#![expect(clippy::unwrap_used, clippy::arithmetic_side_effects, reason = "a test")]

#[path = "support/outage.rs"]
mod outage;
#[path = "support/place.rs"]
#[expect(dead_code, reason = "shared with tests that use all of it")]
mod place;
#[path = "support/receiver.rs"]
mod receiver;

use outage::{Case, survives};
use receiver::{Receiver, free_port};
use serde_json::Value;
use std::{collections::BTreeSet, fs, path::Path};

/// With one receiver, which writes what it takes to a file.
fn collector(folder: &Path, name: &str, receiver: &str) -> Receiver {
    let config = format!(
        "receivers:\n  {receiver}\nexporters:\n  file: {{path: {}, append: true, flush_interval: 100ms}}\n\
         service:\n  telemetry: {{logs: {{level: warn}}, metrics: {{level: none}}}}\n  pipelines:\n    logs: {{receivers: [{name}], exporters: [file]}}\n",
        folder.join("out").display()
    );
    let path = folder.join("collector.yaml");
    fs::write(&path, config).unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scripts/otel-collector");
    Receiver::new(&script.display().to_string(), &["run".to_owned(), path.display().to_string()])
}

/// Every record that it wrote.
fn records(folder: &Path) -> Vec<Value> {
    let text = fs::read_to_string(folder.join("out")).unwrap_or_default();
    let lines = text.split_inclusive('\n').filter(|line| line.ends_with('\n'));
    let requests = lines.map(|line| serde_json::from_str::<Value>(line).unwrap());
    let list = |of: &Value, key: &str| of[key].as_array().cloned().unwrap_or_default();
    requests
        .flat_map(|request| list(&request, "resourceLogs"))
        .flat_map(|logs| list(&logs, "scopeLogs"))
        .flat_map(|scope| list(&scope, "logRecords"))
        .collect()
}

fn seconds(folder: &Path, is_flow: impl Fn(&Value) -> bool) -> BTreeSet<u64> {
    let second = |record: &Value| {
        let nanoseconds = record.get("timeUnixNano").map_or("0", |time| time.as_str().unwrap());
        nanoseconds.parse::<u64>().unwrap() / 1_000_000_000
    };
    records(folder).iter().filter(|record| is_flow(record)).map(second).collect()
}

fn attribute<'a>(record: &'a Value, key: &str) -> Option<&'a Value> {
    record["attributes"].as_array()?.iter().find(|one| one["key"] == key)
}

fn config(rest: &str) -> String {
    format!("flowLogs:\n- name: logs\n  buffer: 500\n  fieldMask: [time, verdict, uuid]\n{rest}")
}

fn otlp(protocol: &str, receiver: &str) {
    let folder = tempfile::tempdir().unwrap();
    let port = free_port();
    let endpoint = format!("otlp: {{protocols: {{{receiver}: {{endpoint: '127.0.0.1:{port}'}}}}}}");
    let receiver = collector(folder.path(), "otlp", &endpoint);
    let config = config(&format!("  otlp: {{endpoint: 'http://127.0.0.1:{port}', protocol: {protocol}}}\n"));
    let read = || seconds(folder.path(), |record| attribute(record, "cilium.verdict").is_some());
    survives(Case { folder: folder.path(), receiver, config: &config, read: &read });
    let lost =
        |record: &Value| attribute(record, "cilium.lost_events").map(|one| one["value"]["intValue"].clone());
    assert_eq!(records(folder.path()).iter().find_map(lost).unwrap(), "300");
}

#[test]
fn otlp_by_grpc() {
    otlp("grpc", "grpc");
}

#[test]
fn otlp_by_http() {
    otlp("http/protobuf", "http");
}

#[test]
fn fluentd_with_acknowledgements() {
    let folder = tempfile::tempdir().unwrap();
    let port = free_port();
    let receiver = format!("fluentforward: {{endpoint: '127.0.0.1:{port}'}}");
    let receiver = collector(folder.path(), "fluentforward", &receiver);
    let config = config(&format!("  fluentd: {{address: 'tcp://127.0.0.1:{port}'}}\n"));
    let read = || seconds(folder.path(), |record| attribute(record, "flow").is_some());
    survives(Case { folder: folder.path(), receiver, config: &config, read: &read });
    let tag = |record: &Value| attribute(record, "fluent.tag").map(|one| one["value"]["stringValue"].clone());
    assert_eq!(records(folder.path()).iter().find_map(tag).unwrap(), "ciliate.flow");
}
