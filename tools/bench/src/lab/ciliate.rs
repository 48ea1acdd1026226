//! C: two endpoints of a Ciliate of their own in a namespace, policy on, both directions isolated.

use super::{Between, Netns, Route, run, run_with_input};
use anyhow::{Context, Result};
use serde_json::json;
use std::{
    fs,
    net::{Ipv4Addr, Ipv6Addr},
    path::{Path, PathBuf},
    process::Command,
};

/// A namespace in which an agent runs.
pub struct Node {
    netns: Netns,
    folder: PathBuf,
}

impl Node {
    /// `work` lies on a file system of its own: state, socket and the node's bpffs go below it.
    pub fn start(name: &str, work: &Path) -> Result<Self> {
        let node = Self { netns: Netns::new(&format!("{name}-node"))?, folder: work.join(name) };
        let bpf = node.folder.join("bpf");
        fs::create_dir_all(&bpf).with_context(|| format!("cannot make {}", bpf.display()))?;
        run(Command::new("mount").args(["-t", "bpf", "bpf"]).arg(&bpf))?;
        run(node.ciliate()?.arg("up"))?;
        Ok(node)
    }

    /// The `ciliate` beside this program, as this node's.
    pub fn ciliate(&self) -> Result<Command> {
        self.program("ciliate")
    }

    pub fn program(&self, name: &str) -> Result<Command> {
        let own = std::env::current_exe().context("this program's own file is gone")?;
        let mut command = self.netns.command(own.with_file_name(name))?;
        command
            .env("CILIATE_STATE_DIR", self.folder.join("state"))
            .env("CILIATE_RUN_DIR", self.folder.join("run"))
            .env("CILIATE_BPF_ROOT", self.folder.join("bpf/ciliate"))
            .env("CILIATE_LOG_LEVEL", "warn");
        Ok(command)
    }

    pub fn endpoint(&self, netns: &Netns, name: &str, number: u8) -> Result<(Ipv4Addr, Ipv6Addr)> {
        let ipv4 = Ipv4Addr::new(10, 201, 77, number);
        let ipv6 = Ipv6Addr::new(0xfd10, 0x201, 0, 0, 0, 0, 77, number.into());
        run(self
            .ciliate()?
            .args(["endpoint", "add", "--name", name, "--label", &format!("app={name}"), "--netns"])
            .arg(netns.path())
            .args(["--ip", &ipv4.to_string(), "--ip", &ipv6.to_string()]))?;
        Ok((ipv4, ipv6))
    }

    pub fn apply(&self, objects: &[serde_json::Value]) -> Result<()> {
        let documents: Vec<String> = objects.iter().map(ToString::to_string).collect();
        run_with_input(self.ciliate()?.args(["apply", "-f", "-"]), &documents.join("\n---\n"))
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        // A failed `down` cannot be helped here; the namespaces go away in any case.
        let _ = self.ciliate().and_then(|mut ciliate| run(ciliate.arg("down")));
        let _ = run(Command::new("umount").arg(self.folder.join("bpf")));
    }
}

/// How much policy there is besides what the two ends need.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Load {
    OnePolicy,
    /// 1,000 policies that select the server, with 10,000 prefixes, each an identity of its own.
    ManyPolicies,
}

pub fn set_up(name: &str, work: &Path, load: Load) -> Result<Route> {
    let node = Node::start(name, work)?;
    let client = Netns::new(&format!("{name}-client"))?;
    let server = Netns::new(&format!("{name}-server"))?;
    node.endpoint(&client, "client", 1)?;
    let (server_ipv4, server_ipv6) = node.endpoint(&server, "server", 2)?;
    let mut objects = vec![both_ends()];
    match load {
        Load::OnePolicy => {}
        Load::ManyPolicies => objects.extend((0..999).map(crowd)),
    }
    node.apply(&objects)?;
    Ok(Route { client, server, server_ipv4, server_ipv6, _between: vec![Between::Node(node)] })
}

/// Isolates client and server and lets exactly the measurements through.
fn both_ends() -> serde_json::Value {
    let ports = json!([{"ports": [{"port": "5300", "endPort": 5399, "protocol": "ANY"}]}]);
    json!({
        "apiVersion": "cilium.io/v2", "kind": "CiliumNetworkPolicy", "metadata": {"name": "measurement"},
        "specs": [
            {"endpointSelector": {"matchLabels": {"app": "server"}},
             "ingress": [{"fromEndpoints": [{"matchLabels": {"app": "client"}}], "toPorts": ports}]},
            {"endpointSelector": {"matchLabels": {"app": "client"}},
             "egress": [{"toEndpoints": [{"matchLabels": {"app": "server"}}], "toPorts": ports}]},
        ],
    })
}

/// A policy of the crowd: ten or eleven prefixes, so that 999 of them make 10,000.
fn crowd(number: u16) -> serde_json::Value {
    let prefixes = if number < 10 { 11_u16 } else { 10 };
    let first = number.saturating_mul(10).saturating_add(number.min(10));
    let cidrs: Vec<String> = (0..prefixes)
        .map(|step| {
            let [high, low] = first.saturating_add(step).to_be_bytes();
            format!("192.{}.{low}.0/24", high.saturating_add(100))
        })
        .collect();
    json!({
        "apiVersion": "cilium.io/v2", "kind": "CiliumNetworkPolicy", "metadata": {"name": format!("crowd-{number}")},
        "spec": {
            "endpointSelector": {"matchLabels": {"app": "server"}},
            "ingress": [{"fromCIDR": cidrs, "toPorts": [{"ports": [{"port": "80", "protocol": "TCP"}]}]}],
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn the_crowd_has_ten_thousand_prefixes() {
        let mut prefixes = BTreeSet::new();
        for number in 0..999 {
            let policy = crowd(number);
            for cidr in policy["spec"]["ingress"][0]["fromCIDR"].as_array().expect("a list") {
                assert!(prefixes.insert(cidr.as_str().expect("text").to_owned()), "{cidr} comes twice");
            }
        }
        assert_eq!(prefixes.len(), 10_000);
    }
}
