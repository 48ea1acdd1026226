//! The paired comparison: every path measured in every round, in a rotating order, all on the same processors.

use crate::{
    lab::{self, Family, Route, Service, ciliate, routed},
    load::Outcome,
    report::{Measurement, Report},
};
use anyhow::{Context, Result};
use serde::Serialize;
use std::path::PathBuf;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Folder on a file system of its own, for what the nodes write
    #[arg(long)]
    work: PathBuf,
    /// Rounds; the medians are over these
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Seconds of each measurement
    #[arg(long, default_value_t = 2.0)]
    seconds: f64,
    /// Only these measurements
    #[arg(long, value_delimiter = ',')]
    only: Vec<Metric>,
    /// Only these paths
    #[arg(long, value_delimiter = ',')]
    paths: Vec<Path>,
    #[arg(long, value_delimiter = ',', default_values = ["ipv4", "ipv6"])]
    families: Vec<Family>,
    /// File for every number, as JSON
    #[arg(long)]
    json: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Metric {
    /// Requests and responses on one connection, per second
    Rr,
    /// One TCP stream, Gbit/s
    Stream,
    /// New connections per second
    Crr,
    /// Small datagrams per second
    Udp,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Path {
    /// A bare veth pair
    Veth,
    /// Host routing, no policy
    Routed,
    /// Host routing, 1,000 rules of iptables
    Iptables,
    /// Host routing, nftables with sets
    Nftables,
    /// Ciliate, one policy
    Ciliate,
    /// Ciliate, 1,000 policies and 10,000 identities
    CiliateFull,
}

impl Metric {
    pub const ALL: [Self; 4] = [Self::Rr, Self::Stream, Self::Crr, Self::Udp];
}

impl Path {
    pub const ALL: [Self; 6] =
        [Self::Veth, Self::Routed, Self::Iptables, Self::Nftables, Self::Ciliate, Self::CiliateFull];

    /// As it stands above its column.
    pub fn letter(self) -> &'static str {
        match self {
            Self::Veth => "V",
            Self::Routed => "R",
            Self::Iptables => "I",
            Self::Nftables => "N",
            Self::Ciliate => "C",
            Self::CiliateFull => "F",
        }
    }

    fn set_up(self, work: &std::path::Path) -> Result<Route> {
        match self {
            Self::Veth => lab::veth::set_up(),
            Self::Routed => routed::set_up("r", routed::Filter::Nothing),
            Self::Iptables => routed::set_up("i", routed::Filter::Iptables),
            Self::Nftables => routed::set_up("n", routed::Filter::Nftables),
            Self::Ciliate => ciliate::set_up("c", work, ciliate::Load::OnePolicy),
            Self::CiliateFull => ciliate::set_up("f", work, ciliate::Load::ManyPolicies),
        }
    }
}

/// Both ends of the request tools: wake-ups between processors would swamp what is measured.
const CLIENT_CORE: usize = 1;
/// The receiving end of what only flows one way.
const RECEIVER_CORE: usize = 0;
const SAME_CORE_PORT: u16 = 5300;
const OTHER_CORE_PORT: u16 = 5310;
const IPERF_PORT: u16 = 5320;

/// Two ends with their servers running.
pub struct Ready {
    route: Route,
    _servers: Vec<Service>,
}

impl Ready {
    pub fn over(route: Route) -> Result<Self> {
        route.client.sysctl("net.ipv4.ip_local_port_range", "10000 65000")?;
        let mut servers = Vec::new();
        for (core, port) in [(CLIENT_CORE, SAME_CORE_PORT), (RECEIVER_CORE, OTHER_CORE_PORT)] {
            let mut serve = route.server.tool(Some(core))?;
            serve.args(["serve", "--port", &port.to_string()]);
            servers.push(Service::start(serve, "ready")?);
        }
        let mut iperf = route.server.tool(Some(RECEIVER_CORE))?;
        iperf.args(["exec", "--", "iperf3", "--server", "--forceflush", "--port", &IPERF_PORT.to_string()]);
        servers.push(Service::start(iperf, "listening")?);
        Ok(Self { route, _servers: servers })
    }

    pub fn measure(&self, metric: Metric, family: Family, seconds: f64) -> Result<f64> {
        let to = self.route.server_address(family);
        let address = |port| std::net::SocketAddr::new(to, port).to_string();
        let mut tool = self.route.client.tool(Some(CLIENT_CORE))?;
        let length = seconds.to_string();
        match metric {
            Metric::Rr => rate(tool.args(["rr", &address(SAME_CORE_PORT), "--seconds", &length])),
            Metric::Crr => rate(tool.args(["crr", &address(SAME_CORE_PORT), "--seconds", &length])),
            Metric::Udp => rate(tool.args(["udp", &address(OTHER_CORE_PORT), "--seconds", &length])),
            Metric::Stream => {
                let port = IPERF_PORT.to_string();
                tool.args(["exec", "--", "iperf3", "--json", "--client", &to.to_string(), "--port", &port]);
                let text = lab::output(tool.args(["--time", &format!("{:.0}", seconds.max(1.0))]))?;
                let result: serde_json::Value = serde_json::from_str(&text)?;
                let bits = result.pointer("/end/sum_received/bits_per_second").and_then(|bits| bits.as_f64());
                Ok(bits.context("iperf3 names no rate")? / 1e9)
            }
        }
    }
}

fn rate(tool: &mut std::process::Command) -> Result<f64> {
    let outcome: Outcome = serde_json::from_str(&lab::output(tool)?)?;
    anyhow::ensure!(outcome.failures.is_empty(), "{tool:?}: {}", outcome.failures.join("; "));
    Ok(outcome.per_second)
}

pub fn run(args: &Args) -> Result<()> {
    let chosen = |all: &[Path]| -> Vec<Path> {
        all.iter().copied().filter(|path| args.paths.is_empty() || args.paths.contains(path)).collect()
    };
    let paths = chosen(&Path::ALL)
        .into_iter()
        .map(|path| {
            let ready = path.set_up(&args.work).and_then(Ready::over);
            Ok((path, ready.with_context(|| format!("cannot set up {path:?}"))?))
        })
        .collect::<Result<Vec<(Path, Ready)>>>()?;
    let mut report = Report::of_this_machine()?;
    for family in &args.families {
        for metric in
            Metric::ALL.into_iter().filter(|metric| args.only.is_empty() || args.only.contains(metric))
        {
            let measurement = rounds(args, &paths, metric, *family)?;
            eprintln!("measured {metric:?} over {family:?}");
            report.measurements.push(measurement);
        }
    }
    print!("{}", report.table());
    if let Some(file) = &args.json {
        let text = serde_json::to_string_pretty(&report)?;
        std::fs::write(file, text).with_context(|| format!("cannot write {}", file.display()))?;
    }
    Ok(())
}

/// Every path once in each round, each round beginning with another one.
fn rounds(args: &Args, paths: &[(Path, Ready)], metric: Metric, family: Family) -> Result<Measurement> {
    let mut measurement = Measurement::new(metric, family, paths.iter().map(|(path, _)| *path));
    // Caches, connections' first steps and the processor's clock settle.
    for (_, ready) in paths {
        ready.measure(metric, family, 0.2)?;
    }
    for round in 0..args.rounds {
        let first = round.checked_rem(paths.len()).unwrap_or(0);
        for (path, ready) in paths.iter().cycle().skip(first).take(paths.len()) {
            let value = ready
                .measure(metric, family, args.seconds)
                .with_context(|| format!("{metric:?} over {family:?} on {path:?}"))?;
            measurement.add(*path, value);
        }
    }
    Ok(measurement)
}
