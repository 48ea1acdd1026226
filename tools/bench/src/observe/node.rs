//! A node whose agent follows everything: what that takes of its processors and memory, and whether it misses anything.

use super::{Args, follow};
use crate::{
    lab::{Netns, Service, ciliate::Node, output, policies},
    load::Outcome,
    process::{processor_ns, resident, threads_ns},
    report::Row,
    statistics,
};
use anyhow::{Context, Result, ensure};
use std::{net::SocketAddr, path::Path, thread, time::Duration};

const PORT: u16 = 5305;
/// Each datagram is three flows: two verdicts, and what became of it.
const FLOWS: f64 = 3.0;
const USUAL: f64 = 1_500.0;
const HIGH: f64 = 30_000.0;
/// Until all that was sent has come to whoever follows.
const PATIENCE: Duration = Duration::from_secs(5);

/// Two endpoints and the agent between them.
struct Place {
    node: Node,
    client: Netns,
    to: SocketAddr,
    _server: Netns,
    _deaf: Service,
}

/// Whether the agent keeps flows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Observer {
    On,
    Off,
}

impl Place {
    fn new(name: &str, work: &Path, observer: Observer, more: &[&str]) -> Result<Self> {
        let flags: &[&str] = match observer {
            Observer::On => &["--hubble-metrics-server", "127.0.0.1:9965"],
            Observer::Off => &["--enable-hubble", "false"],
        };
        let node = Node::start_with(name, work, &[flags, more].concat())?;
        let (client, server) =
            (Netns::new(&format!("{name}-client"))?, Netns::new(&format!("{name}-server"))?);
        node.endpoint(&client, "client", 1)?;
        let (address, _) = node.endpoint(&server, "server", 2)?;
        node.apply(&[policies::both_ends("client", "server")])?;
        client.sysctl("net.ipv4.ip_local_port_range", "10000 65000")?;
        let mut deaf = server.tool(None)?;
        deaf.args(["deaf", "--port", &PORT.to_string()]);
        let _deaf = Service::start(deaf, "ready")?;
        Ok(Self { node, client, to: (address, PORT).into(), _server: server, _deaf })
    }

    /// Datagrams that were sent.
    fn send(&self, rate: f64, seconds: f64) -> Result<u64> {
        let mut tool = self.client.tool(None)?;
        tool.args(["strangers", &self.to.to_string(), "--rate", &format!("{rate}")]);
        let text = output(tool.args(["--seconds", &format!("{seconds}")]))?;
        let outcome: Outcome = serde_json::from_str(&text)?;
        ensure!(outcome.failures.is_empty(), "{}", outcome.failures.join("; "));
        Ok(outcome.count)
    }

    fn agent(&self) -> Result<u32> {
        Ok(u32::try_from(self.node.pid()?)?)
    }

    /// Share of a processor that the agent takes meanwhile.
    fn share(&self, rate: f64, seconds: f64) -> Result<f64> {
        let (agent, begun) = (self.agent()?, std::time::Instant::now());
        let before = processor_ns(agent)?;
        self.send(rate, seconds)?;
        Ok((processor_ns(agent)? - before) / 1e9 / begun.elapsed().as_secs_f64())
    }
}

pub fn measure(args: &Args) -> Result<Vec<Row>> {
    let on = Place::new("on", &args.work, Observer::On, &[])?;
    let off = Place::new("off", &args.work, Observer::Off, &[])?;
    let follower = follow::Follower::start(on.node.hubble_socket())?;
    let (mut with, mut without, mut added) = (Vec::new(), Vec::new(), Vec::new());
    let threads = threads_ns(on.agent()?)?;
    for _ in 0..args.rounds {
        let pair = (on.share(USUAL / FLOWS, args.seconds)?, off.share(USUAL / FLOWS, args.seconds)?);
        with.push(pair.0 * 100.0);
        without.push(pair.1 * 100.0);
        added.push((pair.0 - pair.1) * 100.0);
    }
    let total: f64 = args.seconds * args.rounds as f64 * 1e9;
    let shares: Vec<String> = threads_ns(on.agent()?)?
        .into_iter()
        .filter_map(|(name, now)| {
            let before = threads.iter().find(|(known, _)| *known == name).map_or(0.0, |(_, before)| *before);
            let share = (now - before) / total * 100.0;
            (share >= 0.05).then(|| format!("{name} {share:.1} %"))
        })
        .collect();
    let median = |values: &[f64]| statistics::median(values).context("no rounds");
    let text = format!(
        "{:.1} % ({:.1} % with, {:.1} % without; {})",
        median(&added)?,
        median(&with)?,
        median(&without)?,
        shares.join(", ")
    );
    let usual = Row {
        must: Some("<= 3 %".to_owned()),
        values: added,
        ..Row::text("processor time added at 1,500 flows/s, one follower, default metrics", &text)
    };
    eprintln!("{}: {}", usual.what, usual.measured);
    Ok(vec![usual, high(&on, &follower, args.seconds)?])
}

/// Every flow that the agent saw has to come to the follower, and every event of the kernel to the agent.
fn high(place: &Place, follower: &follow::Follower, seconds: f64) -> Result<Row> {
    let socket = place.node.hubble_socket();
    thread::sleep(PATIENCE);
    let before = (follow::status(&socket)?.seen_flows, follower.flows(), follower.lost(), lost(place)?);
    let agent = place.agent()?;
    let used = processor_ns(agent)?;
    let sent = place.send(HIGH / FLOWS, seconds)?;
    let used = processor_ns(agent)? - used;
    thread::sleep(PATIENCE);
    let after = (follow::status(&socket)?.seen_flows, follower.flows(), follower.lost(), lost(place)?);
    let (seen, followed) = (after.0.saturating_sub(before.0), after.1.saturating_sub(before.1));
    let in_kernel = after.3 - before.3;
    let text = format!(
        "{} of {seen} flows lost to the follower ({} told), {in_kernel} events lost in the kernel; {:.0} flows/s of \
         {sent} datagrams, {:.0} % of a processor",
        seen.saturating_sub(followed),
        after.2.saturating_sub(before.2),
        seen as f64 / seconds,
        used / seconds / 1e7,
    );
    Ok(Row {
        must: Some("0".to_owned()),
        values: vec![seen.saturating_sub(followed) as f64, in_kernel],
        ..Row::text("flows lost at 30,000 flows/s, one follower", &text)
    })
}

/// Events that the kernel's programs found no room for.
fn lost(place: &Place) -> Result<f64> {
    let lost = place.node.status()?.pointer("/lostEvents/kernel").and_then(serde_json::Value::as_f64);
    lost.context("the status does not say how many events were lost")
}

/// What the agent takes more when the ring is full.
pub fn memory(args: &Args) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for (what, flags) in [("no history", &["--history", "false"][..]), ("with the history", &[])] {
        let (mut added, mut all) = (Vec::new(), Vec::new());
        for round in 0..args.rounds.min(3) {
            let on = Place::new(&format!("memory-on-{round}"), &args.work, Observer::On, flags)?;
            let off = Place::new(&format!("memory-off-{round}"), &args.work, Observer::Off, &[])?;
            let follower = follow::Follower::start(on.node.hubble_socket())?;
            // More than the ring holds, and more than the history takes to make a file.
            for place in [&on, &off] {
                place.send(8_000.0, 4.0)?;
            }
            thread::sleep(PATIENCE);
            let status = follow::status(&on.node.hubble_socket())?;
            ensure!(status.num_flows == status.max_flows, "the ring is not full: {status:?}");
            let pair = (resident(on.agent()?)? / 1e6, resident(off.agent()?)? / 1e6);
            follower.end()?;
            added.push(pair.0 - pair.1);
            all.push(pair.0);
        }
        let median = |values: &[f64]| statistics::median(values).context("no rounds");
        rows.push(Row {
            must: Some("<= 32 MB".to_owned()),
            values: added.clone(),
            ..Row::text(
                &format!("memory added by a full ring of 16,383, one follower, {what}"),
                &format!("{:.1} MB (of {:.1} MB)", median(&added)?, median(&all)?),
            )
        });
    }
    Ok(rows)
}
