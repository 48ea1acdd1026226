//! Prints what it costs to ask filters about a full ring of flows: `cargo run --release -p ciliate-flow --example filter_speed`.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::cast_precision_loss,
    reason = "a measurement, run by hand"
)]

use ciliate_flow::{Filter, Flow, Party, Verdict};
use ciliate_hubble::flow as hubble;
use serde_json::json;
use std::{hint::black_box, sync::Arc, time::Instant};

const RING: usize = 65_535;

fn main() {
    let message = json!({
        "IP": {"source": "10.0.0.5", "destination": "10.0.1.7", "ipVersion": "IPv4"},
        "l4": {"TCP": {"source_port": 40000, "destination_port": 443, "flags": {"SYN": true}}},
        "event_type": {"type": 4}, "trace_observation_point": "TO_STACK", "is_reply": false,
        "traffic_direction": "EGRESS", "node_name": "node-1",
    });
    let message: hubble::Flow = serde_json::from_value(message).unwrap();
    let base = Flow::from_message(&message).unwrap();
    let parties: Vec<Arc<Party>> = (0..500)
        .map(|number| {
            Arc::new(Party {
                identity: 10_000 + number,
                namespace: format!("team-{}", number % 20),
                pod: format!("web-{number}-7f9c"),
                labels: (0..8).map(|l| format!("k8s:label-{l}=value-{number}")).collect(),
                ..Party::default()
            })
        })
        .collect();
    let flows: Vec<Arc<Flow>> = (0..RING)
        .map(|at| {
            let mut flow = base.clone();
            flow.source.party = Arc::clone(&parties[at * 7 % parties.len()]);
            flow.destination.party = Arc::clone(&parties[at * 13 % parties.len()]);
            flow.verdict = if at % 50 == 0 { Verdict::Dropped } else { Verdict::Forwarded };
            Arc::new(flow)
        })
        .collect();
    for (what, filters) in [
        ("verdict and pod", json!([{"verdict": ["DROPPED"], "destination_pod": ["team-3/web"]}])),
        (
            "pod, either side",
            json!([{"source_pod": ["team-3/web-3"]}, {"destination_pod": ["team-3/web-3"]}]),
        ),
        (
            "label, either side",
            json!([{"source_label": ["label-5=value-3"]}, {"destination_label": ["label-5=value-3"]}]),
        ),
        ("prefix and port", json!([{"source_ip": ["10.9.0.0/16"], "destination_port": ["443"]}])),
        ("server name", json!([{"destination_fqdn": ["*.example.com"]}])),
        ("CEL", json!([{"experimental": {"cel_expression": ["_flow.verdict == Verdict.AUDIT"]}}])),
    ] {
        let filters: Vec<hubble::FlowFilter> = serde_json::from_value(filters).unwrap();
        let filter = Filter::new(&filters, &[]).unwrap();
        let rounds = if what == "CEL" { 1 } else { 21 };
        let mut times: Vec<(f64, usize)> = (0..rounds)
            .map(|_| {
                let start = Instant::now();
                let hits = flows.iter().filter(|flow| black_box(&filter).matches(flow)).count();
                (start.elapsed().as_nanos() as f64, hits)
            })
            .collect();
        times.sort_by(|a, b| a.0.total_cmp(&b.0));
        let (nanoseconds, hits) = times[times.len() / 2];
        println!(
            "{what:20} {:8.1} ns a flow, {:6.2} ms a ring, {hits} hits",
            nanoseconds / RING as f64,
            nanoseconds / 1e6
        );
    }
}
