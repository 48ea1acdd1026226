//! C: two endpoints of a Ciliate of their own in a namespace, policy on, both directions isolated.

use super::{Between, Netns, Route, output, policies, run, run_with_input};
use anyhow::{Context, Result};
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
        Self::start_with(name, work, &[])
    }

    /// With flags of `ciliate up`.
    pub fn start_with(name: &str, work: &Path, flags: &[&str]) -> Result<Self> {
        let node = Self { netns: Netns::new(&format!("{name}-node"))?, folder: work.join(name) };
        let bpf = node.folder.join("bpf");
        fs::create_dir_all(&bpf).with_context(|| format!("cannot make {}", bpf.display()))?;
        run(Command::new("mount").args(["-t", "bpf", "bpf"]).arg(&bpf))?;
        run(node.ciliate()?.arg("up").args(flags))?;
        Ok(node)
    }

    /// The `ciliate` beside this program, as this node's.
    pub fn ciliate(&self) -> Result<Command> {
        let mut command = self.netns.command(beside("ciliate")?)?;
        command
            .env("CILIATE_STATE_DIR", self.folder.join("state"))
            .env("CILIATE_RUN_DIR", self.folder.join("run"))
            .env("CILIATE_BPF_ROOT", self.folder.join("bpf/ciliate"))
            .env("CILIATE_LOG_LEVEL", "warn");
        Ok(command)
    }

    /// This program, on the node itself and on a processor.
    pub fn tool(&self, core: Option<usize>) -> Result<Command> {
        self.netns.tool(core)
    }

    /// Where Hubble's clients are answered.
    pub fn hubble_socket(&self) -> PathBuf {
        self.folder.join("run/hubble.sock")
    }

    pub fn socket(&self) -> PathBuf {
        self.folder.join("run/ciliate.sock")
    }

    /// Removes the pinned programs, not those that are attached.
    pub fn forget_programs(&self) -> Result<()> {
        let files = |folder: PathBuf| {
            fs::read_dir(&folder).with_context(|| format!("cannot read {}", folder.display()))
        };
        // Below a folder for each version of the layout.
        for version in files(self.folder.join("bpf/ciliate"))? {
            for file in files(version?.path().join("programs"))? {
                fs::remove_file(file?.path()).context("cannot remove a pinned program")?;
            }
        }
        Ok(())
    }

    /// What `ciliate status` says.
    pub fn status(&self) -> Result<serde_json::Value> {
        Ok(serde_json::from_str(&output(self.ciliate()?.args(["status", "-o", "json"]))?)?)
    }

    /// The agent's process.
    pub fn pid(&self) -> Result<i32> {
        let pid = self.status()?.get("pid").and_then(serde_json::Value::as_i64);
        pid.and_then(|pid| i32::try_from(pid).ok()).context("the status names no pid")
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

/// A program of ours that was built with this one.
pub fn beside(name: &str) -> Result<PathBuf> {
    Ok(std::env::current_exe().context("this program's own file is gone")?.with_file_name(name))
}

/// How much policy there is besides what the two ends need.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Load {
    OnePolicy,
    /// 1,000 policies that select the server, with 10,000 prefixes, each an identity of its own.
    ManyPolicies,
}

pub fn set_up(name: &str, work: &Path, load: Load) -> Result<Route> {
    set_up_with(name, work, load, &[])
}

/// With flags of `ciliate up`.
pub fn set_up_with(name: &str, work: &Path, load: Load, flags: &[&str]) -> Result<Route> {
    let node = Node::start_with(name, work, flags)?;
    let client = Netns::new(&format!("{name}-client"))?;
    let server = Netns::new(&format!("{name}-server"))?;
    node.endpoint(&client, "client", 1)?;
    let (server_ipv4, server_ipv6) = node.endpoint(&server, "server", 2)?;
    let mut objects = vec![policies::both_ends("client", "server")];
    match load {
        Load::OnePolicy => {}
        Load::ManyPolicies => objects.extend(policies::crowd("server")),
    }
    node.apply(&objects)?;
    Ok(Route { client, server, server_ipv4, server_ipv6, _between: vec![Between::Node(node)] })
}
