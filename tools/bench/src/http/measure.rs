//! One measurement of one way.

use super::place::{BULK, END_CORE, Place, Port, REQUESTED, Way};
use crate::{
    lab::{self, Service},
    load::Outcome,
    process,
    report::Row,
};
use anyhow::{Context, Result, bail, ensure};
use std::{fs, thread, time::Duration};

pub struct Sample {
    pub per_second: f64,
    /// Of the process between the ends, a request.
    pub processor_us: Option<f64>,
}

/// As fast as it goes, on 64 connections.
pub fn throughput(place: &Place, way: Way, seconds: u32) -> Result<Sample> {
    let mut wrk = place.client.tool(Some(END_CORE))?;
    wrk.args(["exec", "--", "wrk", "-t1", "-c64"]).arg(format!("-d{seconds}s"));
    wrk.arg(format!("http://{}{REQUESTED}", place.address(way, Port::Http1)));
    let (text, processor) = beside(place, way, || lab::output(&mut wrk))?;
    let wrong = text.lines().find(|line| line.contains("Non-2xx") || line.contains("Socket errors"));
    ensure!(wrong.is_none(), "{}", wrong.unwrap_or_default().trim());
    let words: Vec<&str> = text.split_whitespace().collect();
    let number_at = |word: &str, distance: isize| {
        let at = words.iter().position(|found| *found == word)?.checked_add_signed(distance)?;
        words.get(at)?.parse::<f64>().ok()
    };
    let per_second = number_at("Requests/sec:", 1).context("wrk names no rate")?;
    let requests = number_at("requests", -1).context("wrk names no number of requests")?;
    Ok(Sample { per_second, processor_us: processor.map(|us| us / requests) })
}

/// Requests over HTTP/2 as fast as they go, on 16 connections with four at a time.
pub fn http2(place: &Place, way: Way, seconds: u32) -> Result<Sample> {
    let mut h2load = place.client.tool(Some(END_CORE))?;
    h2load.args(["exec", "--", "h2load", "-t1", "-c16", "-m4"]).arg(format!("-D{seconds}"));
    h2load.arg(format!("http://{}{REQUESTED}", place.address(way, Port::Http2)));
    let (text, processor) = beside(place, way, || lab::output(&mut h2load))?;
    let number_in = |line: &str, before: &str| {
        let line = text.lines().find_map(|found| found.trim().strip_prefix(line))?;
        let number = line.split(before).next()?.rsplit([' ', ',']).next()?;
        number.parse::<f64>().ok()
    };
    let failed = number_in("requests:", " failed").context("h2load names no failures")?;
    let requests = number_in("status codes:", " 2xx").context("h2load names no statuses")?;
    ensure!(failed == 0.0 && requests > 0.0, "{text}");
    let per_second = number_in("finished in", " req/s").context("h2load names no rate")?;
    Ok(Sample { per_second, processor_us: processor.map(|us| us / requests) })
}

/// Unary gRPC calls on 16 connections with four at a time, as fast as they go or at a rate.
pub fn calls(place: &Place, way: Way, rate: Option<f64>, seconds: u32) -> Result<(Sample, Outcome)> {
    let mut grpc = place.client.tool(Some(END_CORE))?;
    grpc.args(["grpc", &place.address(way, Port::Grpc).to_string(), "--seconds", &seconds.to_string()]);
    if let Some(rate) = rate {
        grpc.args(["--rate", &format!("{rate:.0}")]);
    }
    let (text, processor) = beside(place, way, || lab::output(&mut grpc))?;
    let outcome: Outcome = serde_json::from_str(&text)?;
    ensure!(outcome.failures.is_empty(), "{}", outcome.failures.join("; "));
    let processor_us = processor.map(|us| us / outcome.count as f64);
    Ok((Sample { per_second: outcome.per_second, processor_us }, outcome))
}

/// Does something, and says how many microseconds of a processor the process between the ends has had meanwhile.
fn beside<T>(place: &Place, way: Way, work: impl FnOnce() -> Result<T>) -> Result<(T, Option<f64>)> {
    let before = place.process(way).map(process::processor_ns).transpose()?;
    let done = work()?;
    let after = place.process(way).map(process::processor_ns).transpose()?;
    Ok((done, before.zip(after).map(|(before, after)| (after - before) / 1e3)))
}

/// At a rate that nothing is overloaded by.
pub fn latency(place: &Place, way: Way, rate: f64, seconds: u32) -> Result<Outcome> {
    let mut paced = place.client.tool(Some(END_CORE))?;
    paced.args(["paced", &place.address(way, Port::Http1).to_string(), "--path", REQUESTED]);
    paced.args(["--rate", &format!("{rate:.0}"), "--seconds", &seconds.to_string()]);
    let outcome: Outcome = serde_json::from_str(&lab::output(&mut paced)?)?;
    ensure!(outcome.failures.is_empty(), "{}", outcome.failures.join("; "));
    Ok(outcome)
}

/// One body of 1 GiB: Gbit/s, and milliseconds of a processor that the process between the ends took for it.
pub fn bulk(place: &Place, way: Way) -> Result<(f64, Option<f64>)> {
    let mut curl = place.client.tool(Some(END_CORE))?;
    curl.args(["exec", "--", "curl", "-s", "-f", "-o", "/dev/null", "-w", "%{speed_download}"]);
    curl.arg(format!("http://{}{BULK}", place.address(way, Port::Http1)));
    let (text, processor_us) = beside(place, way, || lab::output(&mut curl))?;
    let bytes: f64 = text.trim().parse().with_context(|| format!("curl names no speed: {text:?}"))?;
    Ok((bytes * 8.0 / 1e9, processor_us.map(|us| us / 1e3)))
}

/// Connections that do nothing.
pub fn idle(place: &Place, connections: usize) -> Result<Service> {
    let mut idle = place.client.tool(Some(END_CORE))?;
    idle.args(["idle", &place.address(Way::Ciliate, Port::Http1).to_string(), "--path", REQUESTED]);
    idle.args(["--connections", &connections.to_string()]);
    Service::start(idle, "ready")
}

/// Ends them, and waits until the proxy has closed its sides: they count towards its limit.
pub fn end(place: &Place, idle: Service) -> Result<()> {
    let process = place.process(Way::Ciliate).context("there is no proxy")?;
    drop(idle);
    for _ in 0..100 {
        if fs::read_dir(format!("/proc/{process}/fd"))?.count() < FEW_FILES {
            return Ok(());
        }
        thread::sleep(Duration::from_millis(100));
    }
    bail!("the proxy still has more than {FEW_FILES} files open 10 s after its idle connections have ended")
}

/// More than a proxy without connections has open.
const FEW_FILES: usize = 500;

/// What they cost the proxy, and they themselves.
pub fn memory(place: &Place, connections: usize) -> Result<(Row, Service)> {
    let process = place.process(Way::Ciliate).context("there is no proxy")?;
    let before = process::resident(process)?;
    let idle = idle(place, connections)?;
    let after = process::resident(process)?;
    let each = (after - before) / connections as f64 / 1024.0;
    let measured = format!("{each:.1} KiB ({connections} connections, {:.1} MB before)", before / 1e6);
    let row = Row {
        must: Some("<= 24 KiB".to_owned()),
        values: vec![before, after],
        ..Row::text("memory of the proxy, an idle connection", &measured)
    };
    Ok((row, idle))
}
