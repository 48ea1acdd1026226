//! A node without a kernel: a log of flows, one for each second, and exporters of it.

use ciliate_export::{Exports, Service, Sources};
use ciliate_flow::{Flow, Node, Run, TcpFlags, Time, Transport, Verdict};
use ciliate_observer::log::{self, Log, Writer};
use std::{
    ops::Range,
    path::Path,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

pub struct Place {
    writer: Writer<Flow>,
    log: Log<Flow>,
}

impl Place {
    pub fn new(capacity: u64) -> Self {
        let (writer, log) = log::log(Run::new(1), capacity);
        Self { writer, log }
    }

    /// The flows of these seconds, every third dropped.
    pub fn see(&mut self, seconds: Range<u64>) {
        for second in seconds {
            self.writer.append(flow(second));
        }
        self.writer.ring();
    }

    pub fn start(&self, sources: Sources) -> Service {
        let node = Arc::new(Node { name: "node-1".to_owned(), labels: Vec::new() });
        Service::start(sources, Exports::new(node, self.log.clone())).unwrap()
    }
}

fn flow(second: u64) -> Flow {
    let mut flow = Flow::from_message(&Default::default()).unwrap();
    flow.time = Time(second * 1_000_000_000);
    flow.node = Arc::new(Node { name: "node-1".to_owned(), labels: Vec::new() });
    flow.source.address = Some("10.0.0.1".parse().unwrap());
    flow.destination.address = Some("10.0.0.2".parse().unwrap());
    flow.verdict = if second.is_multiple_of(3) { Verdict::Dropped } else { Verdict::Forwarded };
    flow.transport = Transport::Tcp { source: 4000, destination: 80, flags: TcpFlags(2) };
    flow
}

/// Seconds of the flows in a file of JSON lines, in their order.
pub fn flows_in(path: &Path) -> Vec<u64> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    // What is being written has no end yet.
    let lines = text.split_inclusive('\n').filter(|line| line.ends_with('\n'));
    lines.filter_map(|line| second(&serde_json::from_str(line).unwrap())).collect()
}

/// Of a line of JSON about a flow; none if it is about lost ones.
pub fn second(line: &serde_json::Value) -> Option<u64> {
    let time = line.get("flow")?["time"].as_str().unwrap();
    Some(time.parse::<jiff::Timestamp>().unwrap().as_second().try_into().unwrap())
}

/// Waits for it, half a minute at most.
pub fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < Duration::from_secs(30), "half a minute went by before {what}");
        thread::sleep(Duration::from_millis(20));
    }
}
