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
