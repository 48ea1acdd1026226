//! One measurement of one way.

use super::place::{END_CORE, MANY_NAMES, MANY_RULES, NAMES, Place, Way};
use crate::{lab, process, report::Row, statistics};
use anyhow::{Context, Result, ensure};
use std::{fs, path::Path, process::Command};

pub struct Sample {
    pub per_second: f64,
    /// Of the process between the ends, a query.
    pub processor_us: Option<f64>,
}

/// In microseconds.
pub struct Latency {
    pub p50_us: f64,
    pub p99_us: f64,
}

/// Queries under way at a time.
const OUTSTANDING: &str = "200";
/// Sockets of the client.
const SOCKETS: &str = "8";
/// Of queries that may be lost: datagrams are.
const MOST_LOST: f64 = 0.001;

/// As fast as it goes.
pub fn throughput(place: &Place, way: Way, seconds: u32) -> Result<Sample> {
    sample(place, way, dnsperf(place, way, &place.names)?.args(["-l", &seconds.to_string()]))
}

/// Each of these names is asked for once.
pub fn new_names(place: &Place, round: usize) -> Result<Sample> {
    let names = place.write_names(&format!("new-{round}"), NAMES)?;
    sample(place, Way::Ciliate, dnsperf(place, Way::Ciliate, &names)?.args(["-n", "1"]))
}

fn sample(place: &Place, way: Way, dnsperf: &mut Command) -> Result<Sample> {
    let before = place.process(way).map(process::processor_ns).transpose()?;
    let text = lab::output(dnsperf)?;
    let after = place.process(way).map(process::processor_ns).transpose()?;
    let queries = check(&text)?;
    let per_second = number(&text, "Queries per second:")?;
    let processor_us = before.zip(after).map(|(before, after)| (after - before) / 1e3 / queries);
    Ok(Sample { per_second, processor_us })
}

/// At a rate that nothing is overloaded by.
pub fn latency(place: &Place, way: Way, rate: f64, seconds: u32) -> Result<Latency> {
    let mut dnsperf = dnsperf(place, way, &place.names)?;
    dnsperf.args(["-v", "-Q", &format!("{rate:.0}"), "-l", &seconds.to_string()]);
    let text = lab::output(&mut dnsperf)?;
    check(&text)?;
    let seconds: Vec<f64> = text
        .lines()
        .filter(|line| line.starts_with("> NOERROR"))
        .filter_map(|line| line.split_whitespace().last()?.parse().ok())
        .collect();
    let at = |share| statistics::quantile(&seconds, share).map(|seconds| seconds * 1e6);
    let missing = "dnsperf names no times";
    Ok(Latency { p50_us: at(0.5).context(missing)?, p99_us: at(0.99).context(missing)? })
}

/// What the proxy needs for all names and all rules.
pub fn memory(place: &Place) -> Result<Row> {
    let process = place.process(Way::Ciliate).context("there is no proxy")?;
    let rules = place.apply_many_rules()?;
    let mut dnsperf = dnsperf(place, Way::Ciliate, &place.names)?;
    check(&lab::output(dnsperf.args(["-n", "1"]))?)?;
    let known = place.known_names()?;
    ensure!(known >= NAMES, "the proxy knows {known} names, not {NAMES}");
    let used = process::resident(process)?;
    let measured = format!("{:.1} MB ({known} names, {rules} rules)", used / 1e6);
    Ok(Row {
        must: Some("<= 48 MB".to_owned()),
        values: vec![used],
        ..Row::text(&format!("memory of the proxy, {NAMES} names, {MANY_RULES} rules"), &measured)
    })
}

/// What it needs for as many names as a busy node may come to know, and how fast the last of them are learned.
pub fn many_names(place: &Place) -> Result<Row> {
    let process = place.process(Way::Ciliate).context("there is no proxy")?;
    let missing = MANY_NAMES.saturating_sub(place.known_names()?);
    let names = place.write_names("many", missing)?;
    let learned = sample(place, Way::Ciliate, dnsperf(place, Way::Ciliate, &names)?.args(["-n", "1"]))?;
    let known = place.known_names()?;
    ensure!(known >= MANY_NAMES, "the proxy knows {known} names, not {MANY_NAMES}");
    let used = process::resident(process)?;
    let rate = learned.per_second / 1e3;
    let measured = format!("{:.1} MB ({known} names); {rate:.1} k/s for the last {missing}", used / 1e6);
    Ok(Row {
        values: vec![used, learned.per_second],
        ..Row::text(&format!("memory of the proxy, {MANY_NAMES} names, {MANY_RULES} rules"), &measured)
    })
}

fn dnsperf(place: &Place, way: Way, names: &Path) -> Result<Command> {
    let server = place.server(way);
    let mut command = place.client(way).tool(Some(END_CORE))?;
    command.args(["exec", "--", "dnsperf", "-s", &server.ip().to_string(), "-p", &server.port().to_string()]);
    command.args(["-c", SOCKETS, "-q", OUTSTANDING, "-d"]).arg(names);
    Ok(command)
}

/// That every answer is one, and nearly all came; how many did.
fn check(text: &str) -> Result<f64> {
    let completed = number(text, "Queries completed:")?;
    let lost = number(text, "Queries lost:")?;
    ensure!(lost <= completed * MOST_LOST, "{lost} of {completed} queries were lost");
    let codes = text.lines().find_map(|line| line.trim().strip_prefix("Response codes:"));
    let codes = codes.context("dnsperf names no response codes")?.trim();
    ensure!(codes.starts_with("NOERROR") && !codes.contains(','), "answers were {codes}");
    Ok(completed)
}

fn number(text: &str, label: &str) -> Result<f64> {
    let line = text.lines().find_map(|line| line.trim().strip_prefix(label));
    let number = line.and_then(|rest| rest.split_whitespace().next()?.parse().ok());
    number.with_context(|| format!("dnsperf says nothing of {label:?}"))
}

/// Names below the pattern that policy allows, one query a line.
pub fn write_names(file: &Path, word: &str, count: usize) -> Result<()> {
    let lines: String = (0..count).map(|number| format!("host-{number}.{word}.bench.example A\n")).collect();
    fs::write(file, lines).with_context(|| format!("cannot write {}", file.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refused_and_lost_queries_are_no_result() {
        let text = |lost: u32, codes: &str| {
            format!(
                "  Queries completed:    1000 (100%)\n  Queries lost:         {lost} (0%)\n\n  Response codes:       {codes}\n"
            )
        };
        assert_eq!(check(&text(1, "NOERROR 1000 (100.00%)")).ok(), Some(1000.0));
        assert!(check(&text(2, "NOERROR 1000 (100.00%)")).is_err());
        assert!(check(&text(0, "NOERROR 990 (99.00%), SERVFAIL 10 (1.00%)")).is_err());
        assert!(check(&text(0, "REFUSED 1000 (100.00%)")).is_err());
    }
}
