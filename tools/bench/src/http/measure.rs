//! One measurement of one way.

use super::place::{BULK, END_CORE, Place, REQUESTED, Way};
use crate::{
    lab::{self, Service},
    load::Outcome,
    process,
    report::Row,
};
use anyhow::{Context, Result, ensure};

pub struct Sample {
    pub per_second: f64,
    /// Of the process between the ends, a request.
    pub processor_us: Option<f64>,
}

/// As fast as it goes, on 64 connections.
pub fn throughput(place: &Place, way: Way, seconds: u32) -> Result<Sample> {
    let mut wrk = place.client.tool(Some(END_CORE))?;
    wrk.args(["exec", "--", "wrk", "-t1", "-c64"]).arg(format!("-d{seconds}s"));
    wrk.arg(format!("http://{}{REQUESTED}", place.address(way)));
    let before = place.process(way).map(process::processor_ns).transpose()?;
    let text = lab::output(&mut wrk)?;
    let after = place.process(way).map(process::processor_ns).transpose()?;
    let wrong = text.lines().find(|line| line.contains("Non-2xx") || line.contains("Socket errors"));
    ensure!(wrong.is_none(), "{}", wrong.unwrap_or_default().trim());
    let words: Vec<&str> = text.split_whitespace().collect();
    let number_at = |word: &str, distance: isize| {
        let at = words.iter().position(|found| *found == word)?.checked_add_signed(distance)?;
        words.get(at)?.parse::<f64>().ok()
    };
    let per_second = number_at("Requests/sec:", 1).context("wrk names no rate")?;
    let requests = number_at("requests", -1).context("wrk names no number of requests")?;
    let processor_us = before.zip(after).map(|(before, after)| (after - before) / 1e3 / requests);
    Ok(Sample { per_second, processor_us })
}

/// At a rate that nothing is overloaded by.
pub fn latency(place: &Place, way: Way, rate: f64, seconds: u32) -> Result<Outcome> {
    let mut paced = place.client.tool(Some(END_CORE))?;
    paced.args(["paced", &place.address(way).to_string(), "--path", REQUESTED]);
    paced.args(["--rate", &format!("{rate:.0}"), "--seconds", &seconds.to_string()]);
    let outcome: Outcome = serde_json::from_str(&lab::output(&mut paced)?)?;
    ensure!(outcome.failures.is_empty(), "{}", outcome.failures.join("; "));
    Ok(outcome)
}

/// Gbit/s of one body of 1 GiB.
pub fn bulk(place: &Place, way: Way) -> Result<f64> {
    let mut curl = place.client.tool(Some(END_CORE))?;
    curl.args(["exec", "--", "curl", "-s", "-f", "-o", "/dev/null", "-w", "%{speed_download}"]);
    let text = lab::output(curl.arg(format!("http://{}{BULK}", place.address(way))))?;
    let bytes: f64 = text.trim().parse().with_context(|| format!("curl names no speed: {text:?}"))?;
    Ok(bytes * 8.0 / 1e9)
}

/// What connections that do nothing cost the proxy.
pub fn memory(place: &Place, connections: usize) -> Result<Row> {
    let process = place.process(Way::Ciliate).context("there is no proxy")?;
    let before = process::resident(process)?;
    let mut idle = place.client.tool(Some(END_CORE))?;
    idle.args(["idle", &place.address(Way::Ciliate).to_string(), "--path", REQUESTED]);
    idle.args(["--connections", &connections.to_string()]);
    let idle = Service::start(idle, "ready")?;
    let after = process::resident(process)?;
    drop(idle);
    let each = (after - before) / connections as f64 / 1024.0;
    let measured = format!("{each:.1} KiB ({connections} connections, {:.1} MB before)", before / 1e6);
    Ok(Row {
        must: Some("<= 24 KiB".to_owned()),
        values: vec![before, after],
        ..Row::text("memory of the proxy, an idle connection", &measured)
    })
}
