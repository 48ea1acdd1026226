//! The agent's memory, and how long it takes to start with the state it has.

use crate::{
    lab::{ciliate::Node, run},
    report::Row,
};
use anyhow::{Context, Result};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use std::{
    fs,
    time::{Duration, Instant},
};

pub fn measure(node: &Node, repeat: usize) -> Result<Vec<Row>> {
    let mut memory = vec![resident(node.pid()?)?];
    let (mut stopped, mut killed) = (Vec::new(), Vec::new());
    for _ in 0..repeat {
        run(node.ciliate()?.args(["down", "--keep"]))?;
        stopped.push(up(node)?);
        kill_agent(node)?;
        killed.push(up(node)?);
        memory.push(resident(node.pid()?)?);
    }
    Ok(vec![
        Row::amounts("agent's memory (RSS) with all of this", "MB", &memory, Some("<= 64 MB")),
        Row::times("agent's start until it enforces, after `down --keep`", &stopped, Some("<= 300 ms")),
        Row::times("agent's start until it enforces, after kill -9", &killed, Some("<= 300 ms")),
    ])
}

/// Milliseconds until `ciliate up` returns: the agent answers only when it enforces.
fn up(node: &Node) -> Result<f64> {
    let start = Instant::now();
    run(node.ciliate()?.arg("up"))?;
    Ok(start.elapsed().as_secs_f64() * 1e3)
}

/// `kill -9`, and waits until the process is gone.
pub fn kill_agent(node: &Node) -> Result<()> {
    let pid = node.pid()?;
    kill(Pid::from_raw(pid), Signal::SIGKILL).with_context(|| format!("cannot kill the agent, pid {pid}"))?;
    while fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|line| !line.is_empty()) {
        std::thread::sleep(Duration::from_millis(1));
    }
    Ok(())
}

/// Megabytes in memory.
fn resident(pid: i32) -> Result<f64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).context("the agent is gone")?;
    let kilobytes = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix("kB")?.trim().parse::<f64>().ok());
    Ok(kilobytes.context("the kernel names no VmRSS")? / 1024.0)
}
