//! A million flows: how large they are, how soon some are found, and that another program reads the same in them.
#![expect(clippy::unwrap_used, clippy::arithmetic_side_effects, reason = "tests")]

#[path = "../../../tools/bench/src/history/traffic.rs"]
mod traffic;

use ciliate_flow::{Content, Flow, Outcome, Run, Time, Verdict};
use ciliate_history::{Column, EndHint, Hint, Hints, History, Order, PodHint, Settings};
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    ops::ControlFlow,
    path::Path,
    process::Command,
    time::{Duration, Instant, UNIX_EPOCH},
};
use traffic::Traffic;

/// 2100-01-01 10:00 UTC.
const START: u64 = 4_102_480_800_000_000_000;
const HOUR: u64 = 3_600_000_000_000;
const FLOWS: usize = 1_000_000;
/// A second; all of them take two hours.
const RATE: u64 = 139;

/// What is in the flows, by looking at each.
#[derive(Default)]
struct Sums {
    sequences: u64,
    times: (u64, u64),
    verdicts: BTreeMap<&'static str, u64>,
    labelled: u64,
    errors: u64,
    ports: u64,
    denied: u64,
    /// Of the flow with number 123,456.
    uuid: String,
    /// By pod, in all and in the first hour.
    drops: BTreeMap<String, (u64, u64)>,
}

impl Sums {
    fn add(&mut self, flow: &Flow) {
        self.sequences += flow.id.sequence;
        if flow.id.sequence == 123_456 {
            self.uuid = flow.id.to_string();
        }
        if self.times.0 == 0 {
            self.times.0 = flow.time.0;
        }
        self.times.1 = flow.time.0;
        *self.verdicts.entry(flow.verdict.as_str_name()).or_default() += 1;
        self.labelled += u64::from(flow.source.party.labels.iter().any(|label| label == "k8s:tier=2"));
        if let Some(Content::Http(http)) = flow.request.as_ref().map(|request| &request.content) {
            self.errors += u64::from(http.code >= 500);
        }
        self.ports += flow.transport.ports().map_or(0, |(_, destination)| u64::from(destination));
        self.denied +=
            u64::from(flow.egress.as_ref().is_some_and(|judgement| judgement.outcome == Outcome::Denied));
        if flow.verdict == Verdict::Dropped {
            let mut pods = [&flow.source, &flow.destination].map(|end| &end.party.pod).to_vec();
            pods.dedup();
            for pod in pods {
                let (all, first) = self.drops.entry(pod.clone()).or_default();
                *all += 1;
                *first += u64::from(flow.time.0 < START + HOUR);
            }
        }
    }
}

fn duckdb(directory: &Path, pod: &str) -> Value {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/sums.py");
    let output = Command::new(root.join("scripts/python-peers"))
        .arg("run")
        .arg(script)
        .arg(directory)
        .arg(pod)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn a_million_flows_are_small_found_and_read_by_others() {
    let directory = tempfile::tempdir().unwrap();
    let mut history = History::open(directory.path(), Run::new(1), Settings::default()).unwrap();
    let mut traffic = Traffic::new(1, Time(START), RATE);
    let mut sums = Sums::default();
    let mut now = START;
    for _ in 0..FLOWS / 10_000 {
        let flows: Vec<Flow> = traffic.by_ref().take(10_000).collect();
        flows.iter().for_each(|flow| sums.add(flow));
        now = flows.last().unwrap().time.0;
        history.append(&flows);
        history.tick(UNIX_EPOCH + Duration::from_nanos(now));
    }
    history.compact().unwrap();
    let notices = history.notices();
    assert!(notices.is_empty() && history.lost() == 0, "{notices:?}");

    let stats = history.reader().stats().unwrap();
    assert_eq!((stats.files().flows, stats.journal.flows), (FLOWS as u64, 0));
    assert_eq!((stats.oldest, stats.newest), (Some(Time(sums.times.0)), Some(Time(sums.times.1))));
    assert!(now > START + HOUR, "there is a first hour to ask for");
    let hours = stats.hours.len() as u64;
    assert_eq!(stats.files().files, hours, "one file an hour");
    let size = stats.files().bytes_per_flow().unwrap();
    assert!(size <= 20.0, "{size} bytes a flow");

    let mut pods: Vec<(&String, &(u64, u64))> =
        sums.drops.iter().filter(|(pod, _)| !pod.is_empty()).collect();
    pods.sort_by_key(|(_, drops)| **drops);
    let (pod, (all, first)) = pods[pods.len() / 2];
    let end =
        || EndHint { pods: vec![PodHint { namespace: None, prefix: pod.clone() }], ..EndHint::default() };
    let drops = Hint { verdicts: vec![Verdict::Dropped], ..Hint::default() };
    let any_of = vec![Hint { source: end(), ..drops.clone() }, Hint { destination: end(), ..drops }];
    let hints = Hints { since: Some(Time(START)), until: Some(Time(START + HOUR - 1)), any_of };
    let mut found = 0;
    let start = Instant::now();
    let outcome = history
        .reader()
        .query(&hints, Order::NewestFirst, &mut |flow| {
            assert_eq!(flow.verdict, Verdict::Dropped);
            assert!([&flow.source, &flow.destination].into_iter().any(|end| end.party.pod == *pod));
            found += 1;
            ControlFlow::Continue(())
        })
        .unwrap();
    let took = start.elapsed();
    assert!(outcome.faults.is_empty());
    assert_eq!(found, *first);
    // This build is not optimised and may be one of several; `make bench` measures.
    assert!(took < Duration::from_secs(10), "{took:?}");

    let seen = duckdb(directory.path(), pod);
    let columns: Vec<Value> = Column::all().map(|column| json!([column.name, column.kind()])).collect();
    assert_eq!(seen["columns"], json!(columns));
    assert_eq!(seen["flows"], json!(FLOWS));
    assert_eq!(seen["sequences"], json!(sums.sequences));
    assert_eq!(seen["times"], json!([sums.times.0, sums.times.1]));
    assert_eq!(seen["verdicts"], json!(sums.verdicts));
    assert_eq!(seen["drops"], json!(all));
    assert_eq!(seen["labelled"], json!(sums.labelled));
    assert_eq!(seen["errors"], json!(sums.errors));
    assert_eq!(seen["ports"], json!(sums.ports));
    assert_eq!(seen["uuid"], json!(sums.uuid));
    assert_eq!(seen["denied"], json!(sums.denied));
}
