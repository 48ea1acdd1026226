//! What it costs that somebody reads the requests: Ciliate's proxy beside nginx and haproxy as plain reverse proxies.

mod measure;
mod place;

use crate::{
    report::{Report, Row},
    statistics::{self, Ratio},
};
use anyhow::{Context, Result};
use measure::Sample;
use place::{Place, Way};
use std::{collections::BTreeMap, path::PathBuf};

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

/// A number of each round.
type Series = BTreeMap<Way, Vec<f64>>;

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
    report.rows.push(row(
        "requests/s, 64 keep-alive connections",
        "k/s",
        1e3,
        &rates,
        Better::More,
        Some(">= 1.0"),
    ));
    report.rows.push(row("processor time of the proxy, a request", "us", 1.0, &costs, Better::Less, None));
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
        report.rows.push(row(&what, "us", 1.0, &added(series), Better::Less, Some("<= 1.0")));
    }

    let mut bulk = Series::new();
    let ways = [Way::Direct, Way::Nginx, Way::Haproxy, Way::Ciliate];
    in_turns(args.rounds, &ways, |way| {
        bulk.entry(way).or_default().push(measure::bulk(&place, way)?);
        Ok(())
    })?;
    eprintln!("measured bulk");
    report.rows.push(row("body of 1 GiB", "Gbit/s", 1.0, &bulk, Better::More, Some(">= 1.0")));
    report.rows.push(measure::memory(&place, args.idle)?);

    print!("{}", report.rows_table());
    if let Some(file) = &args.json {
        std::fs::write(file, serde_json::to_string_pretty(&report)?)
            .with_context(|| format!("cannot write {}", file.display()))?;
    }
    Ok(())
}

/// Every way once in each round, each round beginning with another one.
fn in_turns(rounds: usize, ways: &[Way], mut measure: impl FnMut(Way) -> Result<()>) -> Result<()> {
    for round in 0..rounds {
        let first = round.checked_rem(ways.len()).unwrap_or(0);
        for way in ways.iter().cycle().skip(first).take(ways.len()) {
            measure(*way).with_context(|| format!("{way:?}"))?;
        }
    }
    Ok(())
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Better {
    More,
    Less,
}

/// Medians of all ways, and Ciliate's to the better reference of each round.
fn row(what: &str, unit: &str, scale: f64, series: &Series, better: Better, must: Option<&str>) -> Row {
    let medians: Vec<String> = series
        .iter()
        .filter_map(|(way, values)| Some(format!("{way:?} {:.1}", statistics::median(values)? / scale)))
        .collect();
    let references: Vec<&Vec<f64>> = Way::REFERENCES.iter().filter_map(|way| series.get(way)).collect();
    let best =
        references.iter().skip(1).fold(references.first().map(|first| (*first).clone()), |best, next| {
            let pick = |(a, b): (&f64, &f64)| if better == Better::More { a.max(*b) } else { a.min(*b) };
            best.map(|best| best.iter().zip(*next).map(pick).collect())
        });
    let ratio = series.get(&Way::Ciliate).zip(best).and_then(|(ours, best)| statistics::ratio(ours, &best));
    let ratio = ratio.map_or_else(String::new, |ratio| format!("; to the better one {}", shown(&ratio)));
    finished(what, &format!("{} {unit}{ratio}", medians.join(", ")), series, must)
}

fn ratio_row(what: &str, series: &Series, must: Option<&str>) -> Row {
    let ratio = series.get(&Way::CiliateMany).zip(series.get(&Way::Ciliate));
    let ratio = ratio.and_then(|(many, one)| statistics::ratio(many, one));
    finished(what, &ratio.map_or_else(|| "-".to_owned(), |ratio| shown(&ratio)), series, must)
}

fn finished(what: &str, measured: &str, series: &Series, must: Option<&str>) -> Row {
    Row {
        must: must.map(str::to_owned),
        values: series.values().flatten().copied().collect(),
        ..Row::text(what, measured)
    }
}

fn shown(Ratio { median, least, most }: &Ratio) -> String {
    format!("{median:.2} ({least:.2}-{most:.2})")
}

/// What each way takes longer than none, each round with itself.
fn added(series: &Series) -> Series {
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
    fn ours_stands_beside_the_better_reference_of_each_round() {
        let series = Series::from([
            (Way::Nginx, vec![10.0, 40.0, 10.0]),
            (Way::Haproxy, vec![20.0, 20.0, 20.0]),
            (Way::Ciliate, vec![30.0, 40.0, 40.0]),
        ]);
        let text = |better| row("", "k/s", 1.0, &series, better, None).measured;
        assert_eq!(
            text(Better::More),
            "Nginx 10.0, Haproxy 20.0, Ciliate 40.0 k/s; to the better one 1.50 (1.00-2.00)"
        );
        assert!(text(Better::Less).ends_with("3.00 (2.00-4.00)"));
        let series = Series::from([(Way::Direct, vec![1.0, 2.0]), (Way::Ciliate, vec![4.0, 4.0])]);
        assert_eq!(added(&series), Series::from([(Way::Ciliate, vec![3.0, 2.0])]));
    }
}
