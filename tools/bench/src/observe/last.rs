//! The last 20 flows that a filter lets pass, asked of a full ring over the socket.

use super::{Args, follow::connect};
use crate::{history::traffic::Traffic, report::Row, statistics};
use anyhow::{Context, Result, ensure};
use ciliate_flow::{Node, Run, Time};
use ciliate_hubble::{
    flow::{FlowFilter, flow_filter::Experimental},
    observer::GetFlowsRequest,
};
use ciliate_observer::{Observer, Peer, serve};
use ciliate_transport::{Limits, Listener, accept};
use std::{fs, sync::Arc, thread, time::Instant};
use tokio::{runtime, sync::oneshot};

const RING: u64 = 65_535;

pub fn measure(args: &Args) -> Result<Vec<Row>> {
    let socket = args.work.join("last.sock");
    let listener = std::os::unix::net::UnixListener::bind(&socket)
        .with_context(|| format!("cannot listen on {}", socket.display()))?;
    listener.set_nonblocking(true)?;
    let run = Run::begun("node-1", 1);
    let node = Arc::new(Node { name: "node-1".to_owned(), labels: Vec::new() });
    let (mut inlets, observer) = Observer::new(node, run, RING, None);
    let seen = usize::try_from(RING + RING / 2)?;
    for flow in Traffic::new(1, Time(1_795_219_200_000_000_000), 1000).take(seen) {
        inlets.flows.append(flow);
    }
    ensure!(observer.flows().kept() == RING, "the ring is not full");
    let peer = Peer { name: "node-1".to_owned(), address: String::new(), server_name: None };
    let (stop, stopped) = oneshot::channel::<()>();
    let server = thread::spawn(move || -> Result<()> {
        let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async move {
            let listener = tokio::net::UnixListener::from_std(listener)?;
            let end = async move {
                let _ = stopped.await;
            };
            let incoming = accept([Listener::Socket(listener)], Limits::default());
            serve(observer, peer, None, incoming, end).await;
            Ok(())
        })
    });
    let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
    let asked = runtime.block_on(async {
        let mut client = connect(&socket).await?;
        let mut rows = Vec::new();
        for (what, filters) in filters() {
            let (mut times, mut found) = (Vec::new(), 0_u64);
            for _ in 0..args.rounds.max(5) {
                let request =
                    GetFlowsRequest { number: 20, whitelist: filters.clone(), ..GetFlowsRequest::default() };
                let begun = Instant::now();
                let mut flows = client.get_flows(request).await?.into_inner();
                found = 0;
                while flows.message().await?.is_some() {
                    found = found.saturating_add(1);
                }
                times.push(begun.elapsed().as_secs_f64() * 1e3);
            }
            let least = times.iter().copied().fold(f64::INFINITY, f64::min);
            let median = statistics::median(&times).context("no rounds")?;
            rows.push(Row {
                must: Some("<= 20 ms".to_owned()),
                values: times,
                ..Row::text(
                    &format!("`--last 20` of {RING} flows, {what}: {found} found"),
                    &format!("{median:.1} ms, at the least {least:.1} ms"),
                )
            });
        }
        anyhow::Ok(rows)
    });
    // With the client's connection, for whose end the server waits.
    drop(runtime);
    let _ = stop.send(());
    server.join().map_err(|_| anyhow::anyhow!("the server panicked"))??;
    fs::remove_file(&socket)?;
    asked
}

/// None of them is answered before all of the ring was looked at.
fn filters() -> Vec<(&'static str, Vec<FlowFilter>)> {
    let texts = |text: &str| vec![text.to_owned()];
    let either = |source: FlowFilter, destination: FlowFilter| vec![source, destination];
    vec![
        (
            "a pod at either end",
            either(
                FlowFilter { source_pod: texts("team-3/nobody"), ..FlowFilter::default() },
                FlowFilter { destination_pod: texts("team-3/nobody"), ..FlowFilter::default() },
            ),
        ),
        (
            "a label at either end",
            either(
                FlowFilter { source_label: texts("k8s:app=nobody"), ..FlowFilter::default() },
                FlowFilter { destination_label: texts("k8s:app=nobody"), ..FlowFilter::default() },
            ),
        ),
        (
            "a prefix and a port",
            vec![FlowFilter {
                source_ip: texts("10.99.0.0/16"),
                destination_port: texts("443"),
                ..FlowFilter::default()
            }],
        ),
        (
            "a name at the other end",
            vec![FlowFilter { destination_fqdn: texts("*.nobody.example"), ..FlowFilter::default() }],
        ),
        (
            "an expression",
            vec![FlowFilter {
                experimental: Some(Experimental {
                    cel_expression: texts("_flow.verdict == Verdict.AUDIT && _flow.source.identity == 5u"),
                }),
                ..FlowFilter::default()
            }],
        ),
    ]
}
