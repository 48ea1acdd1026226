//! The agent is killed, stopped, replaced and started again and again while packets flow: none may be lost, none let through.

use super::{PORT, life};
use crate::{
    lab::{Netns, Service, ciliate::Node, policies, run},
    load::Outcome,
    place,
    report::Row,
};
use anyhow::{Context, Result, ensure};
use std::{
    io::ErrorKind,
    net::{Ipv4Addr, SocketAddr, TcpStream, UdpSocket},
    path::Path,
    process::{Child, Stdio},
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

const IPERF_PORT: u16 = 5330;
const CONNECTIONS_PORT: u16 = 5340;
const PACED_PORT: u16 = 5350;
/// Between two numbered datagrams.
const PACE: Duration = Duration::from_millis(1);

pub fn measure(work: &Path, seconds: f64) -> Result<Vec<Row>> {
    let node = Node::start("disturbed", work)?;
    let [client, server, stranger] =
        [Netns::new("d-client")?, Netns::new("d-server")?, Netns::new("d-stranger")?];
    node.endpoint(&client, "client", 1)?;
    let (address, _) = node.endpoint(&server, "server", 2)?;
    node.endpoint(&stranger, "stranger", 3)?;
    node.apply(&[policies::both_ends("client", "server")])?;
    let mut services = Vec::new();
    for port in [PORT, CONNECTIONS_PORT] {
        let mut serve = server.tool(None)?;
        serve.args(["serve", "--port", &port.to_string()]);
        services.push(Service::start(serve, "ready")?);
    }
    let mut iperf = server.tool(None)?;
    iperf.args(["exec", "--", "iperf3", "--server", "--forceflush", "--port", &IPERF_PORT.to_string()]);
    services.push(Service::start(iperf, "listening")?);

    let calm = observe(&node, &client, &server, &stranger, address, seconds / 2.0, || Ok(0))?;
    let end = Instant::now().checked_add(Duration::from_secs_f64(seconds)).context("too many seconds")?;
    let stormy = observe(&node, &client, &server, &stranger, address, seconds + 5.0, || {
        let mut times = 0_u32;
        while Instant::now() < end {
            life::kill_agent(&node)?;
            run(node.ciliate()?.arg("up"))?;
            run(node.ciliate()?.args(["down", "--keep"]))?;
            // What a new version finds: none of its own programs, so it has its own verified and puts them in place.
            node.forget_programs()?;
            run(node.ciliate()?.arg("up"))?;
            times = times.saturating_add(2);
        }
        Ok(times)
    })?;
    drop(services);
    Ok(vec![calm.row("undisturbed, under load"), stormy.row("agent killed, restarted, replaced under load")])
}

struct Observed {
    starts: u32,
    requests: Outcome,
    connections: Outcome,
    stream_gbits: f64,
    datagrams: u64,
    lost: u64,
    attempts: u64,
    wrong: u64,
}

impl Observed {
    fn row(&self, name: &str) -> Row {
        let Self { starts, requests, connections, stream_gbits, datagrams, lost, attempts, wrong } = self;
        let failures = requests.failures.len().saturating_add(connections.failures.len());
        let examples: String = requests
            .failures
            .iter()
            .chain(&connections.failures)
            .take(3)
            .map(|text| format!("; {text}"))
            .collect();
        let text = format!(
            "{starts} starts; {lost} of {datagrams} paced datagrams lost; {failures} failures in {} requests and {} \
             connections{examples}; stream {stream_gbits:.1} Gbit/s; {wrong} of {attempts} forbidden attempts let through",
            requests.count, connections.count
        );
        Row { must: Some("0 lost, 0 wrong".to_owned()), ..Row::text(name, &text) }
    }
}

/// Load of every kind for some seconds, while `disturbance` goes on; its result is the number of starts.
fn observe(
    node: &Node,
    client: &Netns,
    server: &Netns,
    stranger: &Netns,
    address: Ipv4Addr,
    seconds: f64,
    disturbance: impl FnOnce() -> Result<u32>,
) -> Result<Observed> {
    node.pid().context("the agent does not run")?;
    let length = seconds.to_string();
    let tool = |verb: &str, port: u16| -> Result<Child> {
        let to = SocketAddr::from((address, port)).to_string();
        let mut tool = client.tool(None)?;
        Ok(tool.args([verb, &to, "--seconds", &length]).stdout(Stdio::piped()).spawn()?)
    };
    let requests = tool("rr", PORT)?;
    let connections = tool("crr", CONNECTIONS_PORT)?;
    let stream = client
        .command("iperf3")?
        .args(["--json", "--client", &address.to_string(), "--port", &IPERF_PORT.to_string()])
        .args(["--time", &format!("{:.0}", seconds.ceil()), "--bitrate", "1G"])
        .stdout(Stdio::piped())
        .spawn()?;
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        let paced = scope.spawn(|| paced(client, server, address, &over));
        let forbidden = scope.spawn(|| forbidden(stranger, address, &over));
        let starts = disturbance();
        let outcomes = (finish(requests), finish(connections), finish_text(stream));
        over.store(true, Ordering::Relaxed);
        let panicked = |_| anyhow::anyhow!("an observer panicked");
        let (datagrams, lost) = paced.join().map_err(panicked)??;
        let (attempts, wrong) = forbidden.join().map_err(panicked)??;
        let stream: serde_json::Value = serde_json::from_str(&outcomes.2?)?;
        let bits = stream.pointer("/end/sum_received/bits_per_second").and_then(serde_json::Value::as_f64);
        Ok(Observed {
            starts: starts?,
            requests: outcomes.0?,
            connections: outcomes.1?,
            stream_gbits: bits.context("the stream broke off")? / 1e9,
            datagrams,
            lost,
            attempts,
            wrong,
        })
    })
}

fn finish(process: Child) -> Result<Outcome> {
    Ok(serde_json::from_str(&finish_text(process)?)?)
}

fn finish_text(process: Child) -> Result<String> {
    let output = process.wait_with_output()?;
    ensure!(output.status.success(), "a tool failed: {}", String::from_utf8_lossy(&output.stdout));
    Ok(String::from_utf8(output.stdout)?)
}

/// Numbered datagrams at a pace that no queue is too short for; how many were sent and how many never came.
fn paced(client: &Netns, server: &Netns, address: Ipv4Addr, over: &AtomicBool) -> Result<(u64, u64)> {
    let receiver =
        place::inside(&server.path(), || Ok(UdpSocket::bind((Ipv4Addr::UNSPECIFIED, PACED_PORT))?))?;
    let sender = place::inside(&client.path(), || Ok(UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?))?;
    receiver.set_read_timeout(Some(Duration::from_secs(1)))?;
    thread::scope(|scope| {
        let receiving = scope.spawn(|| {
            let mut received = 0_u64;
            // Ends a second after the last datagram.
            while receiver.recv(&mut [0; 8]).is_ok() {
                received = received.saturating_add(1);
            }
            received
        });
        let mut sent = 0_u64;
        while !over.load(Ordering::Relaxed) {
            sender.send_to(&sent.to_be_bytes(), (address, PACED_PORT))?;
            sent = sent.saturating_add(1);
            thread::sleep(PACE);
        }
        let received = receiving.join().map_err(|_| anyhow::anyhow!("the receiver panicked"))?;
        Ok((sent, sent.saturating_sub(received)))
    })
}

/// What policy forbids, tried again and again; how often, and how often it was let through.
fn forbidden(stranger: &Netns, address: Ipv4Addr, over: &AtomicBool) -> Result<(u64, u64)> {
    place::inside(&stranger.path(), || {
        let (mut attempts, mut wrong) = (0_u64, 0_u64);
        while !over.load(Ordering::Relaxed) {
            attempts = attempts.saturating_add(1);
            match TcpStream::connect_timeout(&SocketAddr::from((address, PORT)), Duration::from_millis(20)) {
                Err(error) if error.kind() == ErrorKind::TimedOut => {}
                // A refusal came from the server too: the packet was let through.
                Ok(_) | Err(_) => wrong = wrong.saturating_add(1),
            }
        }
        Ok((attempts, wrong))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_counts_what_went_wrong() {
        let outcome = |failures: &[&str]| Outcome {
            count: 7,
            seconds: 1.0,
            per_second: 7.0,
            p50_us: None,
            p99_us: None,
            failures: failures.iter().map(|text| (*text).to_owned()).collect(),
        };
        let observed = Observed {
            starts: 4,
            requests: outcome(&[]),
            connections: outcome(&["0.5 s: timed out"]),
            stream_gbits: 1.0,
            datagrams: 1000,
            lost: 2,
            attempts: 50,
            wrong: 0,
        };
        let text = observed.row("x").measured;
        for part in ["4 starts", "2 of 1000", "1 failures in 7 requests", "timed out", "0 of 50 forbidden"] {
            assert!(text.contains(part), "{text}");
        }
    }
}
