//! What it costs that somebody reads the queries: Ciliate's proxy beside dnsmasq and unbound as forwarders.

mod measure;
mod place;

use crate::{
    paired::{Better, Compared, Series, in_turns},
    report::{Report, Row},
    statistics,
};
use anyhow::{Context, Result};
use measure::Sample;
use place::{Place, Way};
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
    /// File for every number, as JSON
    #[arg(long)]
    json: Option<PathBuf>,
}

const COMPARED: Compared<Way> = Compared { ours: Way::Ciliate, references: &Way::REFERENCES };

pub fn run(args: &Args) -> Result<()> {
    let place = Place::new(&args.work)?;
    let mut report = Report::of_this_machine()?;
    let (mut rates, mut costs) = (Series::new(), Series::new());
    in_turns(args.rounds, &Way::ALL, |way| {
        let Sample { per_second, processor_us } = measure::throughput(&place, way, args.seconds)?;
        rates.entry(way).or_default().push(per_second);
        costs.entry(way).or_default().extend(processor_us);
        Ok(())
    })?;
    eprintln!("measured queries per second");
    let must = Some(">= 1.0");
    report.rows.push(COMPARED.row("queries/s by UDP", "k/s", 1e3, &rates, Better::More, must));
    report.rows.push(COMPARED.row(
        "processor time of the forwarder, a query",
        "us",
        1.0,
        &costs,
        Better::Less,
        None,
    ));
    let slowest = rates.values().filter_map(|values| statistics::median(values)).fold(f64::MAX, f64::min);
    let (mut p50, mut p99) = (Series::new(), Series::new());
    in_turns(args.rounds, &Way::ALL, |way| {
        let latency = measure::latency(&place, way, slowest / 2.0, args.seconds)?;
        p50.entry(way).or_default().push(latency.p50_us);
        p99.entry(way).or_default().push(latency.p99_us);
        Ok(())
    })?;
    eprintln!("measured latency at {:.0} queries/s", slowest / 2.0);
    for (name, series) in [("p50", &p50), ("p99", &p99)] {
        let what = format!("latency {name} at {:.0}/s", slowest / 2.0);
        report.rows.push(COMPARED.row(&what, "us", 1.0, series, Better::Less, Some("<= 1.0")));
    }
    let memory = measure::memory(&place)?;
    let (mut rates, mut costs) = (Vec::new(), Vec::new());
    for round in 0..args.rounds {
        let Sample { per_second, processor_us } = measure::new_names(&place, round)?;
        rates.push(per_second);
        costs.extend(processor_us);
    }
    report.rows.push(Row {
        values: [rates.clone(), costs.clone()].concat(),
        ..Row::text("names that nobody has asked for before", &new_names(&rates, &costs))
    });
    report.rows.push(memory);
    report.rows.push(measure::many_names(&place)?);

    print!("{}", report.rows_table());
    if let Some(file) = &args.json {
        std::fs::write(file, serde_json::to_string_pretty(&report)?)
            .with_context(|| format!("cannot write {}", file.display()))?;
    }
    Ok(())
}

fn new_names(rates: &[f64], costs: &[f64]) -> String {
    let median = |values| statistics::median(values).unwrap_or(f64::NAN);
    format!("{:.1} k/s, {:.1} us of the proxy each", median(rates) / 1e3, median(costs))
}
