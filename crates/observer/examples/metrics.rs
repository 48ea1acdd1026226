//! What metrics cost: nanoseconds per flow with the default metrics, and with labels of who took part.
//!
//! Run with `cargo run --release -p ciliate-observer --example metrics [FLOWS]`.

use anyhow::Context as _;
use ciliate_flow::{
    Answer, Content, End, Event, Flow, FlowId, Http, MatchType, Node, Party, Request, Run, Stage, TcpFlags,
    Time, TraceObservationPoint, TraceReason, TrafficDirection, Transport, Verdict, Workload,
};
use ciliate_observer::{
    log,
    metrics::{Bounds, Config, Format, Metrics},
};
use std::{env, net::Ipv4Addr, sync::Arc, time::Instant};

const DEFAULT: &str = "dns drop tcp flow icmp http";
const WITH_CONTEXT: &str = "dns drop tcp:sourceContext=workload|dns|ip flow:sourceContext=pod;destinationContext=pod icmp \
                            httpV2:labelsContext=source_workload,destination_workload,traffic_direction";
const PARTIES: u8 = 50;

fn main() -> anyhow::Result<()> {
    let count: u32 =
        env::args().nth(1).map_or(Ok(2_000_000), |text| text.parse()).context("FLOWS is no number")?;
    for (name, config) in [("none", ""), ("default", DEFAULT), ("with contexts", WITH_CONTEXT)] {
        let (mut writer, log) = log::log(Run::new(1), count.into());
        let bounds = Bounds { series: 10_000, ttl: None };
        let metrics = Metrics::new(&log, Config::parse(config, bounds)?)?;
        let parties: Vec<Arc<Party>> = (0..PARTIES).map(|number| Arc::new(party(number))).collect();
        let node = Arc::new(Node::default());
        for (number, (source, destination)) in
            (0..count).zip(parties.iter().cycle().zip(parties.iter().cycle().skip(7)))
        {
            writer.append(flow(number, &node, source, destination));
        }
        let begun = Instant::now();
        let text = metrics.text(Format::Text, &[]);
        let each = begun.elapsed().as_secs_f64() * 1e9 / f64::from(count);
        println!("{name}: {each:.0} ns per flow, {} lines", text.lines().count());
    }
    Ok(())
}

fn party(number: u8) -> Party {
    Party {
        endpoint: number.into(),
        identity: u32::from(number).saturating_add(1000),
        namespace: "demo".to_owned(),
        pod: format!("web-{number}-5d9f7c6b4-x2x7q"),
        labels: vec![format!("k8s:app=web-{number}"), "k8s:io.kubernetes.pod.namespace=demo".to_owned()],
        workloads: vec![Workload { name: format!("web-{number}"), kind: "Deployment".to_owned() }],
        ..Party::default()
    }
}

/// Of ten: eight packets of TCP that were let through, a policy verdict, an HTTP answer.
fn flow(number: u32, node: &Arc<Node>, source: &Arc<Party>, destination: &Arc<Party>) -> Flow {
    let end = |party: &Arc<Party>| End {
        address: Some(Ipv4Addr::from_bits(0x0a00_0000 | party.endpoint).into()),
        party: Arc::clone(party),
        names: None,
    };
    let turn = number % 10;
    let (event, request) = match turn {
        8 => (Event::PolicyVerdict(None), None),
        9 => (Event::Request, Some(Box::new(answer()))),
        _ => (Event::Trace(TraceObservationPoint::ToEndpoint, TraceReason::Established), None),
    };
    Flow {
        id: FlowId::default(),
        time: Time(number.into()),
        node: Arc::clone(node),
        source: end(source),
        destination: end(destination),
        event,
        verdict: Verdict::Forwarded,
        direction: TrafficDirection::Egress,
        answer: Answer::No,
        transport: Transport::Tcp {
            source: 40_000,
            destination: 80,
            flags: TcpFlags(if turn < 4 { 2 } else { 16 }),
        },
        interface: None,
        egress: None,
        ingress: None,
        match_type: MatchType::None,
        request,
        rare: None,
    }
}

fn answer() -> Request {
    let http =
        Http { code: 200, method: "GET".to_owned(), protocol: "HTTP/1.1".to_owned(), ..Http::default() };
    Request { stage: Stage::Response, latency: 3_000_000, content: Content::Http(http) }
}
