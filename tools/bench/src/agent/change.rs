//! A policy applied until every endpoint it selects enforces it, seen by packets: one probe to each, again and again.

use super::attach::Member;
use crate::{
    lab::{Netns, ciliate::Node},
    place,
    report::Row,
};
use anyhow::{Context, Result, ensure};
use serde_json::json;
use std::{
    fs,
    net::{Ipv4Addr, SocketAddr, UdpSocket},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

/// Not the port of the servers; the same policies let it through.
const PROBE_PORT: u16 = 5390;
/// A change that takes longer has failed.
const PATIENCE: Duration = Duration::from_secs(20);
/// Silence after which nothing more is expected to arrive.
const SILENCE: Duration = Duration::from_millis(300);

struct Probes<'a> {
    sender: UdpSocket,
    receivers: Vec<(&'a Member, UdpSocket)>,
    epoch: Instant,
}

pub fn measure(
    node: &Node,
    work: &Path,
    prober: &Netns,
    members: &[Member],
    repeat: usize,
    beside: &str,
) -> Result<Vec<Row>> {
    let open = |netns: &Netns, port: u16| {
        place::inside(&netns.path(), || {
            let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, port))?;
            socket.set_nonblocking(true)?;
            Ok(socket)
        })
    };
    let receivers = members.iter().map(|member| Ok((member, open(&member.netns, PROBE_PORT)?)));
    let probes = Probes {
        sender: open(prober, 0)?,
        receivers: receivers.collect::<Result<_>>()?,
        epoch: Instant::now(),
    };
    let selector = json!({"matchLabels": {"app": "member"}});
    let closed = write(
        work,
        "closed",
        &json!({"endpointSelector": selector, "ingress": [], "enableDefaultDeny": {"ingress": true}}),
    )?;
    let opened = write(
        work,
        "opened",
        &json!({"endpointSelector": selector, "ingress": [{
            "fromEndpoints": [{"matchLabels": {"app": "prober"}}],
            "toPorts": [{"ports": [{"port": PROBE_PORT.to_string(), "protocol": "UDP"}]}],
        }]}),
    )?;
    crate::lab::run(node.ciliate()?.args(["apply", "-f"]).arg(&closed))?;
    let (mut allowing, mut revoking) = (Vec::new(), Vec::new());
    for _ in 0..repeat {
        allowing.push(probes.until_all_hear(node.ciliate()?.args(["apply", "-f"]).arg(&opened))?);
        revoking.push(probes.until_none_hears(node.ciliate()?.args(["delete", "-f"]).arg(&opened))?);
    }
    let name = |what| format!("policy {what} until enforced on {} endpoints, beside {beside}", members.len());
    Ok(vec![
        Row::times(&name("applied"), &allowing, Some("<= 50 ms")),
        Row::times(&name("revoked"), &revoking, Some("<= 50 ms")),
    ])
}

/// A policy that selects the members, in a file.
fn write(work: &Path, name: &str, spec: &serde_json::Value) -> Result<PathBuf> {
    let policy = json!({
        "apiVersion": "cilium.io/v2", "kind": "CiliumNetworkPolicy", "metadata": {"name": name}, "spec": spec,
    });
    let path = work.join(format!("{name}.json"));
    fs::write(&path, policy.to_string()).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(path)
}

impl Probes<'_> {
    /// A probe to every member, carrying the time it was sent.
    fn send(&self) {
        let now = u64::try_from(self.epoch.elapsed().as_nanos()).unwrap_or(u64::MAX).to_be_bytes();
        for (member, _) in &self.receivers {
            // What policy drops is not an error here, and a full queue is asked again in a moment.
            let _ = self.sender.send_to(&now, SocketAddr::from((member.address, PROBE_PORT)));
        }
    }

    /// The latest time of sending among what one member got, since the last call.
    fn latest(&self, socket: &UdpSocket) -> Option<Duration> {
        let mut message = [0; 8];
        let mut latest = None;
        while let Ok(8) = socket.recv(&mut message) {
            latest = latest.max(Some(Duration::from_nanos(u64::from_be_bytes(message))));
        }
        latest
    }

    /// Milliseconds from starting the command until the last member has heard.
    fn until_all_hear(&self, command: &mut Command) -> Result<f64> {
        let start = Instant::now();
        let mut process = command.stdout(Stdio::null()).spawn()?;
        let mut deaf: Vec<_> = self.receivers.iter().map(|(_, socket)| socket).collect();
        while !deaf.is_empty() {
            ensure!(start.elapsed() < PATIENCE, "{} endpoints never heard", deaf.len());
            self.send();
            deaf.retain(|socket| self.latest(socket).is_none());
            thread::sleep(Duration::from_micros(200));
        }
        let time = start.elapsed();
        ensure!(process.wait()?.success(), "{command:?} failed");
        Ok(time.as_secs_f64() * 1e3)
    }

    /// Milliseconds from starting the command until the last probe was sent that any member heard.
    fn until_none_hears(&self, command: &mut Command) -> Result<f64> {
        let start = Instant::now();
        let started = self.epoch.elapsed();
        let mut process = command.stdout(Stdio::null()).spawn()?;
        let mut last_heard = started;
        let mut ended = false;
        loop {
            ensure!(start.elapsed() < PATIENCE, "endpoints still hear");
            ended = ended || process.try_wait()?.is_some();
            self.send();
            let heard = self.receivers.iter().filter_map(|(_, socket)| self.latest(socket)).max();
            last_heard = last_heard.max(heard.unwrap_or_default());
            if ended && self.epoch.elapsed().saturating_sub(last_heard) > SILENCE {
                ensure!(process.wait()?.success(), "{command:?} failed");
                return Ok(last_heard.saturating_sub(started).as_secs_f64() * 1e3);
            }
            thread::sleep(Duration::from_micros(200));
        }
    }
}
