//! Network namespaces that stand for hosts, and programs in them. All of it ends with the value that made it.

pub mod ciliate;
pub mod filter;
pub mod policies;
pub mod routed;
pub mod veth;

use anyhow::{Context, Result, bail};
use std::{
    ffi::OsStr,
    io::{BufRead, BufReader, Write},
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

/// A namespace under `/run/netns`, with loopback up.
#[derive(Debug)]
pub struct Netns {
    name: String,
}

impl Netns {
    pub fn new(name: &str) -> Result<Self> {
        let netns = Self { name: format!("cilbench-{}-{name}", std::process::id()) };
        run(Command::new("ip").args(["netns", "add", &netns.name]))?;
        netns.ip("link set lo up")?;
        Ok(netns)
    }

    pub fn path(&self) -> PathBuf {
        Path::new("/run/netns").join(&self.name)
    }

    /// `ip` with the words of a line, in here.
    pub fn ip(&self, line: &str) -> Result<()> {
        run(Command::new("ip").args(["-netns", &self.name]).args(line.split_whitespace()))
    }

    /// Another program, in here.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Result<Command> {
        let mut command = self.tool(None)?;
        command.args(["exec", "--"]).arg(program);
        Ok(command)
    }

    /// This program, in here and on a processor.
    pub fn tool(&self, core: Option<usize>) -> Result<Command> {
        let mut command = Command::new(std::env::current_exe().context("this program's own file is gone")?);
        command.arg("--netns").arg(self.path());
        if let Some(core) = core {
            command.args(["--core", &core.to_string()]);
        }
        Ok(command)
    }

    pub fn sysctl(&self, name: &str, value: &str) -> Result<()> {
        let path = format!("/proc/sys/{}", name.replace('.', "/"));
        run(self.command("sh")?.args(["-c", "printf %s \"$1\" >\"$2\"", "sh", value, &path]))
    }

    /// A veth pair with one end here and one there.
    pub fn connect(&self, device: &str, other: &Self, other_device: &str) -> Result<()> {
        self.ip(&format!("link add {device} type veth peer name {other_device} netns {}", other.name))?;
        for (netns, device) in [(self, device), (other, other_device)] {
            netns.ip(&format!("link set {device} up"))?;
        }
        Ok(())
    }

    pub fn address(&self, device: &str, address: IpAddr, length: u8) -> Result<()> {
        let no_detection = if address.is_ipv6() { "nodad" } else { "" };
        self.ip(&format!("address add {address}/{length} dev {device} {no_detection}"))
    }
}

impl Drop for Netns {
    fn drop(&mut self) {
        // Gone already or not, there is nothing more to do about it.
        let _ = Command::new("ip").args(["netns", "delete", &self.name]).stderr(Stdio::null()).status();
    }
}

/// Two ends and what is between them.
pub struct Route {
    pub client: Netns,
    pub server: Netns,
    pub server_ipv4: Ipv4Addr,
    pub server_ipv6: Ipv6Addr,
    /// What must live as long as the path does.
    pub _between: Vec<Between>,
}

pub enum Between {
    #[expect(dead_code, reason = "held for its end")]
    Router(Netns),
    #[expect(dead_code, reason = "held for its end")]
    Service(Service),
    #[expect(dead_code, reason = "held for its end")]
    Node(ciliate::Node),
}

impl Route {
    pub fn server_address(&self, family: Family) -> IpAddr {
        match family {
            Family::Ipv4 => self.server_ipv4.into(),
            Family::Ipv6 => self.server_ipv6.into(),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Family {
    Ipv4,
    Ipv6,
}

/// A program that runs beside the measurements until this is dropped.
pub struct Service {
    process: Child,
}

impl Service {
    /// Starts it and waits until a line of its output holds `sign`.
    pub fn start(mut command: Command, sign: &str) -> Result<Self> {
        let mut process =
            command.stdout(Stdio::piped()).spawn().with_context(|| format!("cannot start {command:?}"))?;
        let output = process.stdout.take().context("the output is not a pipe")?;
        let service = Self { process };
        for line in BufReader::new(output).lines() {
            if line.with_context(|| format!("cannot read from {command:?}"))?.contains(sign) {
                return Ok(service);
            }
        }
        bail!("{command:?} ended before it was ready")
    }
}

impl Service {
    /// Starts one that does not say when it is ready.
    pub fn spawn(mut command: Command) -> Result<Self> {
        let process = command.spawn().with_context(|| format!("cannot start {command:?}"))?;
        Ok(Self { process })
    }

    pub fn id(&self) -> u32 {
        self.process.id()
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Runs to its end; what it says on failure is part of the error.
pub fn run(command: &mut Command) -> Result<()> {
    output(command).map(drop)
}

pub fn output(command: &mut Command) -> Result<String> {
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("cannot run {}", command.get_program().display()))?;
    if !output.status.success() {
        bail!("{command:?} ended with {}: {}", output.status, excerpt(&output.stderr));
    }
    String::from_utf8(output.stdout).context("its output is not text")
}

/// The beginning of what a program said: enough to know, short enough to read.
fn excerpt(stderr: &[u8]) -> String {
    String::from_utf8_lossy(stderr).trim().chars().take(500).collect()
}

/// Runs to its end with `input` on its standard input.
pub fn run_with_input(command: &mut Command, input: &str) -> Result<()> {
    let mut process = command
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot run {}", command.get_program().display()))?;
    process.stdin.take().context("the input is not a pipe")?.write_all(input.as_bytes())?;
    let output = process.wait_with_output()?;
    if !output.status.success() {
        bail!("{command:?} ended with {}: {}", output.status, excerpt(&output.stderr));
    }
    Ok(())
}
