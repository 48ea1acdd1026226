//! What a process has used so far.

use anyhow::{Context, Result};
use std::fs;

/// Nanoseconds that all threads of a process have had a processor for.
pub fn processor_ns(process: u32) -> Result<f64> {
    let mut sum = 0.0;
    for thread in fs::read_dir(format!("/proc/{process}/task"))? {
        let text = fs::read_to_string(thread?.path().join("schedstat"))?;
        let time = text.split_whitespace().next().and_then(|first| first.parse::<f64>().ok());
        sum += time.context("schedstat names no time")?;
    }
    Ok(sum)
}

/// Bytes.
pub fn resident(process: u32) -> Result<f64> {
    let text = fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kibibytes = line.and_then(|rest| rest.split_whitespace().next()?.parse::<f64>().ok());
    Ok(kibibytes.context("the kernel names no resident memory")? * 1024.0)
}

/// Nanoseconds that this thread has had a processor for.
pub fn thread_ns() -> Result<f64> {
    let time = nix::time::clock_gettime(nix::time::ClockId::CLOCK_THREAD_CPUTIME_ID)
        .context("the kernel tells no time of a thread")?;
    Ok(std::time::Duration::from(time).as_secs_f64() * 1e9)
}

/// Nanoseconds that the threads of a process have had a processor for, by their names.
pub fn threads_ns(process: u32) -> Result<Vec<(String, f64)>> {
    let mut threads: Vec<(String, f64)> = Vec::new();
    for thread in fs::read_dir(format!("/proc/{process}/task"))? {
        let folder = thread?.path();
        let name = fs::read_to_string(folder.join("comm"))?.trim().to_owned();
        let text = fs::read_to_string(folder.join("schedstat"))?;
        let time = text.split_whitespace().next().and_then(|first| first.parse::<f64>().ok());
        let time = time.context("schedstat names no time")?;
        match threads.iter_mut().find(|(known, _)| *known == name) {
            Some((_, sum)) => *sum += time,
            None => threads.push((name, time)),
        }
    }
    Ok(threads)
}
