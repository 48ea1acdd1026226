//! What it costs that somebody reads the requests: Ciliate's proxy beside nginx and haproxy as plain reverse proxies.

mod measure;
mod place;

use crate::{
    paired::{self, Better, Compared, Series, in_turns},
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
    /// Connections that idle while memory is measured; a process may have to open twice as many files
    #[arg(long, default_value_t = 10_000)]
    idle: usize,
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
    eprintln!("measured requests per second");
    report.rows.push(COMPARED.row(
        "requests/s, 64 keep-alive connections",
        "k/s",
        1e3,
        &rates,
        Better::More,
        Some(">= 1.0"),
    ));
    report.rows.push(COMPARED.row(
        "processor time of the proxy, a request",
        "us",
        1.0,
        &costs,
        Better::Less,
        None,
    ));
    report.rows.push(ratio_row("requests/s with 500 rules, to those with one", &rates, Some(">= 0.9")));

    let slowest = rates.values().filter_map(|values| statistics::median(values)).fold(f64::MAX, f64::min);
    let (mut p50, mut p99) = (Series::new(), Series::new());
    in_turns(args.rounds, &Way::ALL, |way| {
        let outcome = measure::latency(&place, way, slowest / 2.0, args.seconds)?;
        p50.entry(way).or_default().extend(outcome.p50_us);
        p99.entry(way).or_default().extend(outcome.p99_us);
        Ok(())
    })?;
    eprintln!("measured latency at {:.0} requests/s", slowest / 2.0);
    for (name, series) in [("p50", &p50), ("p99", &p99)] {
        let what = format!("added latency {name} at {:.0}/s", slowest / 2.0);
        report.rows.push(COMPARED.row(&what, "us", 1.0, &added(series), Better::Less, Some("<= 1.0")));
    }

    let mut bulk = Series::new();
    let ways = [Way::Direct, Way::Nginx, Way::Haproxy, Way::Ciliate];
    in_turns(args.rounds, &ways, |way| {
        bulk.entry(way).or_default().push(measure::bulk(&place, way)?);
        Ok(())
    })?;
    eprintln!("measured bulk");
    report.rows.push(COMPARED.row("body of 1 GiB", "Gbit/s", 1.0, &bulk, Better::More, Some(">= 1.0")));
    report.rows.push(measure::memory(&place, args.idle)?);

    print!("{}", report.rows_table());
    if let Some(file) = &args.json {
        std::fs::write(file, serde_json::to_string_pretty(&report)?)
            .with_context(|| format!("cannot write {}", file.display()))?;
    }
    Ok(())
}

fn ratio_row(what: &str, series: &Series<Way>, must: Option<&str>) -> Row {
    let ratio = series.get(&Way::CiliateMany).zip(series.get(&Way::Ciliate));
    let ratio = ratio.and_then(|(many, one)| statistics::ratio(many, one));
    paired::finished(what, &ratio.map_or_else(|| "-".to_owned(), |ratio| paired::shown(&ratio)), series, must)
}

/// What each way takes longer than none, each round with itself.
fn added(series: &Series<Way>) -> Series<Way> {
    let direct = series.get(&Way::Direct).cloned().unwrap_or_default();
    let beyond =
        |values: &Vec<f64>| values.iter().zip(&direct).map(|(value, direct)| value - direct).collect();
    series
        .iter()
        .filter(|(way, _)| **way != Way::Direct)
        .map(|(way, values)| (*way, beyond(values)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_added_is_beyond_the_direct_way_of_the_same_round() {
        let series = Series::from([(Way::Direct, vec![1.0, 2.0]), (Way::Ciliate, vec![4.0, 4.0])]);
        assert_eq!(added(&series), Series::from([(Way::Ciliate, vec![3.0, 2.0])]));
    }
}
