//! A relay as a process of its own, between many simulated nodes and one follower that are all in this process.

mod certificates;
mod follower;
mod message;
mod nodes;

use crate::{
    lab::{Service, ciliate::beside},
    process::{processor_ns, resident, threads_ns},
    report::{Report, Row},
    statistics,
};
use anyhow::{Context, Result};
use certificates::Certificates;
use ciliate_transport::Address;
use follower::{Follower, Heard};
use nodes::{Door, Nodes, Rhythm};
use std::{
    fs,
    net::{Ipv4Addr, TcpListener},
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::{Duration, Instant},
};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Folder for sockets, certificates and the list of nodes; what is made there is removed at the end
    #[arg(long)]
    work: PathBuf,
    #[arg(long, default_value_t = 200)]
    nodes: u64,
    /// Flows a second of each node
    #[arg(long, default_value_t = 500)]
    rate: u64,
    /// How often a node hands on what it has seen; an agent looks every 50 ms (monitor-delay)
    #[arg(long, value_name = "MILLISECONDS", default_value_t = 50)]
    interval: u64,
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Seconds of each round
    #[arg(long, default_value_t = 5.0)]
    seconds: f64,
    /// Only these
    #[arg(long, value_delimiter = ',')]
    only: Vec<Way>,
    /// Further flags of `ciliate relay serve`, separated by commas
    #[arg(long, value_delimiter = ',', allow_hyphen_values = true)]
    flags: Vec<String>,
    /// Wait so many seconds before the first round: for a profiler
    #[arg(long, default_value_t = 0)]
    pause: u64,
    /// File for every number, as JSON
    #[arg(long)]
    json: Option<PathBuf>,
}

/// How the relay speaks with nodes and with the follower.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Way {
    /// TCP over the loopback, mutual TLS
    Tls,
    /// Sockets of this machine
    Sockets,
}

/// Until every node is connected.
const PATIENCE: Duration = Duration::from_secs(30);
/// Without a flow, after which no more are waited for.
const SILENCE: Duration = Duration::from_secs(3);
/// Before the first round: queues and windows find their sizes.
const WARM_UP: Duration = Duration::from_secs(2);

pub fn run(args: &Args) -> Result<()> {
    let mut report = Report::of_this_machine()?;
    for way in [Way::Tls, Way::Sockets] {
        if !args.only.is_empty() && !args.only.contains(&way) {
            continue;
        }
        let folder = args.work.join("relay");
        fs::create_dir(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        let rows = measure(args, way, &folder).with_context(|| format!("{way:?}"));
        fs::remove_dir_all(&folder).with_context(|| format!("cannot remove {}", folder.display()))?;
        report.rows.extend(rows?);
    }
    print!("{}", report.rows_table());
    if let Some(path) = &args.json {
        fs::write(path, serde_json::to_string_pretty(&report)?)
            .with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}

/// What a relay needs to be told, and who asks it.
struct Place {
    door: Door,
    address: Address,
    certificates: Option<Certificates>,
}

impl Place {
    fn new(way: Way, folder: &Path) -> Result<Self> {
        Ok(match way {
            Way::Sockets => Self {
                door: Door::Sockets(folder.to_owned()),
                address: Address::Socket(folder.join("relay.sock")),
                certificates: None,
            },
            Way::Tls => {
                let certificates = Certificates::new(folder)?;
                // Free a moment ago, and nobody else is here.
                let free =
                    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("no address: is the loopback up?")?;
                Self {
                    door: Door::Tls(certificates.server()?),
                    address: Address::from(free.local_addr()?),
                    certificates: Some(certificates),
                }
            }
        })
    }

    fn relay(&self, folder: &Path, nodes: &Nodes, flags: &[String]) -> Result<Service> {
        let peers = folder.join("peers.yaml");
        fs::write(&peers, nodes.list()).with_context(|| format!("cannot write {}", peers.display()))?;
        let mut command = Command::new(beside("ciliate")?);
        command
            .args(["relay", "serve", "--listen-address", &self.address.to_string(), "--peers-file"])
            .arg(&peers)
            .args(flags)
            .env("CILIATE_RUN_DIR", folder)
            .env("CILIATE_LOG_LEVEL", "warn");
        if let Some(certificates) = &self.certificates {
            command.args(certificates.flags());
        }
        Service::spawn(command)
    }
}

fn measure(args: &Args, way: Way, folder: &Path) -> Result<Vec<Row>> {
    let place = Place::new(way, folder)?;
    let rhythm = Rhythm { rate: args.rate, interval: Duration::from_millis(args.interval) };
    let nodes = Nodes::start(args.nodes, rhythm, &place.door)?;
    let relay = place.relay(folder, &nodes, &args.flags)?;
    let tls = place.certificates.as_ref().map(Certificates::client).transpose()?;
    let follower = Follower::start(place.address.clone(), tls, args.nodes, PATIENCE)?;
    let idle = resident(relay.id())?;
    thread::sleep(WARM_UP.saturating_add(Duration::from_secs(args.pause)));
    let (mut shares, mut rates, mut memory) = (Vec::new(), Vec::new(), 0.0_f64);
    let mut heard = Heard::default();
    let threads = threads_ns(relay.id())?;
    for _ in 0..args.rounds {
        follower.take();
        let (begun, before) = (Instant::now(), processor_ns(relay.id())?);
        thread::sleep(Duration::from_secs_f64(args.seconds));
        let lasted = begun.elapsed().as_secs_f64();
        shares.push((processor_ns(relay.id())? - before) / 1e9 / lasted);
        let round = follower.take();
        rates.push(round.delays.len() as f64 / lasted);
        heard.add(round);
        memory = memory.max(resident(relay.id())?);
    }
    for (name, now) in threads_ns(relay.id())? {
        let before = threads.iter().find(|(known, _)| *known == name).map_or(0.0, |(_, before)| *before);
        eprintln!("{name}: {:.0} ms", (now - before) / 1e6);
    }
    let sent = nodes.stop();
    let came = follower.rest(sent.handed_on, SILENCE)?;
    let median = |values: &[f64]| statistics::median(values).context("no rounds");
    let (share, rate) = (median(&shares)?, median(&rates)?);
    let by = match way {
        Way::Tls => "mutual TLS",
        Way::Sockets => "sockets, no TLS",
    };
    let what = format!("relay, {} nodes of {} flows/s, one follower, {by}", args.nodes, args.rate);
    let at = |values: &[f64], share| statistics::quantile(values, share).context("no flow came");
    Ok(vec![
        Row {
            must: Some("<= 1 core".to_owned()),
            values: shares.clone(),
            ..Row::text(
                &format!("{what}: processor"),
                &format!(
                    "{share:.2} of a core ({:.1} us a flow at {:.1} k/s)",
                    share / rate * 1e6,
                    rate / 1e3
                ),
            )
        },
        Row {
            values: vec![memory],
            ..Row::text(
                "its memory (RSS)",
                &format!("{:.1} MB, {:.1} MB before anybody followed", memory / 1e6, idle / 1e6),
            )
        },
        Row {
            values: heard.delays.clone(),
            ..Row::text(
                "delay of a flow, from the node's word to the follower's ear",
                &format!("p50 {:.0} ms, p99 {:.0} ms", at(&heard.delays, 0.5)?, at(&heard.delays, 0.99)?),
            )
        },
        Row {
            values: heard.ages.clone(),
            ..Row::text(
                &format!("age of a flow when it is heard; nodes look every {} ms", args.interval),
                &format!("p50 {:.0} ms, p99 {:.0} ms", at(&heard.ages, 0.5)?, at(&heard.ages, 0.99)?),
            )
        },
        Row {
            must: Some("0 lost".to_owned()),
            ..Row::text(
                "flows that did not come, and that came after a later one",
                &format!(
                    "{} of {} lost, {} refused by full queues of nodes; {:.2} % late",
                    sent.handed_on.saturating_sub(came),
                    sent.handed_on,
                    sent.refused,
                    heard.late as f64 / heard.delays.len().max(1) as f64 * 100.0
                ),
            )
        },
    ])
}
