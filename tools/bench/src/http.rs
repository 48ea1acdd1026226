//! What it costs that somebody reads the requests: Ciliate's proxy beside nginx and haproxy as plain reverse proxies.

mod measure;
mod place;
mod references;
mod rows;

use crate::{
    paired::{self, Better, Compared, in_turns},
    report::{Report, Row},
    statistics,
};
use anyhow::{Context, Result};
use measure::Sample;
use place::{Place, Way};
use rows::{added, ratio_row};
use std::path::PathBuf;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Folder on a file system of its own, for what the node writes
    #[arg(long)]
    work: PathBuf,
    /// Rounds; the medians are over these
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Seconds of each measurement
    #[arg(long, default_value_t = 3)]
    seconds: u32,
    /// Connections that idle while others are measured; a process may have to open twice as many files
    #[arg(long, default_value_t = 9_000)]
    idle: usize,
    /// Only these parts; all if none is named
    #[arg(long, value_enum, value_delimiter = ',')]
    only: Vec<Part>,
    /// Only these ways, for a look at one of them; all if none is named
    #[arg(long, value_enum, value_delimiter = ',')]
    ways: Vec<Way>,
    /// Requests a second at which latency is measured, instead of half of the slowest way's
    #[arg(long)]
    rate: Option<f64>,
    /// File for every number, as JSON
    #[arg(long)]
    json: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Part {
    /// HTTP/1.1 requests per second
    Requests,
    /// What each way adds to a request, at half the rate of the slowest
    Latency,
    /// One large body
    Bulk,
    /// HTTP/2 requests per second
    Http2,
    /// Unary gRPC calls
    Grpc,
    /// Idle connections: their memory, and what they cost others
    Idle,
}

/// A number of each round.
type Series = paired::Series<Way>;

const COMPARED: Compared<Way> = Compared { ours: Way::Ciliate, references: &Way::REFERENCES };

pub fn run(args: &Args) -> Result<()> {
    let bench = Bench { args, place: Place::new(&args.work)? };
    let mut report = Report::of_this_machine()?;
    // What was measured before something failed is worth seeing.
    let outcome = bench.parts(&mut report);
    print!("{}", report.rows_table());
    if let Some(file) = &args.json {
        std::fs::write(file, serde_json::to_string_pretty(&report)?)
            .with_context(|| format!("cannot write {}", file.display()))?;
    }
    outcome
}

struct Bench<'a> {
    args: &'a Args,
    place: Place,
}

impl Bench<'_> {
    fn parts(&self, report: &mut Report) -> Result<()> {
        let wanted = |part| self.args.only.is_empty() || self.args.only.contains(&part);
        let mut rate = self.args.rate;
        if wanted(Part::Requests) || (wanted(Part::Latency) && rate.is_none()) {
            let rates = self.requests(report)?;
            rate = rate.or_else(|| half_of_slowest(&rates));
        }
        if wanted(Part::Latency) {
            self.latency(report, rate)?;
        }
        if wanted(Part::Bulk) {
            self.bulk(report)?;
        }
        if wanted(Part::Http2) {
            self.http2(report)?;
        }
        if wanted(Part::Grpc) {
            self.grpc(report)?;
        }
        if wanted(Part::Idle) {
            self.idle(report)?;
        }
        Ok(())
    }

    fn requests(&self, report: &mut Report) -> Result<Series> {
        let (rates, costs) =
            self.samples(&Way::ALL, |way| measure::throughput(&self.place, way, self.args.seconds))?;
        eprintln!("measured requests per second");
        add_rates(report, ("requests/s, 64 keep-alive connections", "request"), &rates, &costs);
        report.rows.push(ratio_row("requests/s with 500 rules, to those with one", &rates, Some(">= 0.9")));
        Ok(rates)
    }

    fn latency(&self, report: &mut Report, rate: Option<f64>) -> Result<()> {
        let rate = rate.context("no way was measured")?;
        let measure = |way| measure::latency(&self.place, way, rate, self.args.seconds);
        self.added_latency(report, &Way::ALL, &format!("at {rate:.0}/s"), measure)
    }

    fn bulk(&self, report: &mut Report) -> Result<()> {
        let (mut bulk, mut costs) = (Series::new(), Series::new());
        self.in_turns(&[Way::Direct, Way::Nginx, Way::Haproxy, Way::Ciliate], |way| {
            let (rate, cost) = measure::bulk(&self.place, way)?;
            bulk.entry(way).or_default().push(rate);
            costs.entry(way).or_default().extend(cost);
            Ok(())
        })?;
        eprintln!("measured bulk");
        report.rows.push(COMPARED.row("body of 1 GiB", "Gbit/s", 1.0, &bulk, Better::More, Some(">= 1.0")));
        report.rows.push(COMPARED.row(
            "processor time of the proxy for it",
            "ms",
            1.0,
            &costs,
            Better::Less,
            None,
        ));
        Ok(())
    }

    fn http2(&self, report: &mut Report) -> Result<()> {
        let (rates, costs) =
            self.samples(&Way::HTTP2, |way| measure::http2(&self.place, way, self.args.seconds))?;
        eprintln!("measured HTTP/2");
        add_rates(report, ("HTTP/2 requests/s, 16 connections of 4 streams", "request"), &rates, &costs);
        Ok(())
    }

    fn grpc(&self, report: &mut Report) -> Result<()> {
        let calls = |way, rate| measure::calls(&self.place, way, rate, self.args.seconds);
        let (rates, costs) = self.samples(&Way::HTTP2, |way| calls(way, None).map(|(sample, _)| sample))?;
        eprintln!("measured gRPC calls per second");
        add_rates(report, ("gRPC unary calls/s, 16 connections of 4 streams", "call"), &rates, &costs);
        let rate = half_of_slowest(&rates).context("no way was measured")?;
        let measure = |way| calls(way, Some(rate)).map(|(_, outcome)| outcome);
        self.added_latency(report, &Way::HTTP2, &format!("of a call, at {rate:.0}/s"), measure)
    }

    fn added_latency(
        &self,
        report: &mut Report,
        ways: &[Way],
        what: &str,
        measure: impl Fn(Way) -> Result<crate::load::Outcome>,
    ) -> Result<()> {
        let (mut p50, mut p99) = (Series::new(), Series::new());
        self.in_turns(ways, |way| {
            let outcome = measure(way)?;
            p50.entry(way).or_default().extend(outcome.p50_us);
            p99.entry(way).or_default().extend(outcome.p99_us);
            Ok(())
        })?;
        eprintln!("measured latency {what}");
        for (name, series) in [("p50", &p50), ("p99", &p99)] {
            let what = format!("added latency {name} {what}");
            report.rows.push(COMPARED.row(&what, "us", 1.0, &added(series), Better::Less, Some("<= 1.0")));
        }
        Ok(())
    }

    /// Rates and the proxy's processor time.
    fn samples(&self, ways: &[Way], measure: impl Fn(Way) -> Result<Sample>) -> Result<(Series, Series)> {
        let (mut rates, mut costs) = (Series::new(), Series::new());
        self.in_turns(ways, |way| {
            let Sample { per_second, processor_us } = measure(way)?;
            rates.entry(way).or_default().push(per_second);
            costs.entry(way).or_default().extend(processor_us);
            Ok(())
        })?;
        Ok((rates, costs))
    }

    fn idle(&self, report: &mut Report) -> Result<()> {
        let (memory, idle) = measure::memory(&self.place, self.args.idle)?;
        report.rows.push(memory);
        measure::end(&self.place, idle)?;
        let (mut alone, mut beside) = (Vec::new(), Vec::new());
        for _ in 0..self.args.rounds {
            let rate = || measure::throughput(&self.place, Way::Ciliate, self.args.seconds);
            alone.push(rate()?.per_second);
            let idle = measure::idle(&self.place, self.args.idle)?;
            beside.push(rate()?.per_second);
            measure::end(&self.place, idle)?;
        }
        eprintln!("measured idle connections");
        let ratio = statistics::ratio(&beside, &alone).as_ref().map_or_else(String::new, paired::shown);
        let what = format!("requests/s beside {} idle connections, to those without", self.args.idle);
        report.rows.push(Row::text(&what, &ratio));
        Ok(())
    }

    fn in_turns(&self, ways: &[Way], measure: impl FnMut(Way) -> Result<()>) -> Result<()> {
        let wanted = |way: &Way| self.args.ways.is_empty() || self.args.ways.contains(way);
        let ways: Vec<Way> = ways.iter().copied().filter(wanted).collect();
        in_turns(self.args.rounds, &ways, measure)
    }
}

/// Rates of something, and what one of it costs the proxy.
fn add_rates(report: &mut Report, (what, one): (&str, &str), rates: &Series, costs: &Series) {
    report.rows.push(COMPARED.row(what, "k/s", 1e3, rates, Better::More, Some(">= 1.0")));
    let cost = format!("processor time of the proxy, a {one}");
    report.rows.push(COMPARED.row(&cost, "us", 1.0, costs, Better::Less, None));
}

/// A rate that overloads none of these.
fn half_of_slowest(rates: &Series) -> Option<f64> {
    rates.values().filter_map(|values| statistics::median(values)).reduce(f64::min).map(|rate| rate / 2.0)
}
