//! What it costs to see flows: decoding, keeping, following and finding them, and what of it packets notice.

mod decode;
mod follow;
mod forward;
mod last;
mod node;

use crate::report::Report;
use anyhow::{Context, Result};
use std::{fs, path::PathBuf};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Folder on a file system of its own, for what the nodes write
    #[arg(long)]
    work: PathBuf,
    /// Rounds of what is paired; the medians are over these
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Seconds of each measurement
    #[arg(long, default_value_t = 5.0)]
    seconds: f64,
    /// Flows to decode in each round
    #[arg(long, default_value_t = 3_000_000)]
    flows: u64,
    /// Only these
    #[arg(long, value_delimiter = ',')]
    only: Vec<Part>,
    /// File for every number, as JSON
    #[arg(long)]
    json: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Part {
    /// Flows decoded and kept by one processor
    Decode,
    /// The last 20 that a filter lets pass
    Last,
    /// Processor time at a usual rate, losses at a high one
    Node,
    /// Memory of the agent
    Memory,
    /// Packets with the observer on and off
    Forward,
}

pub fn run(args: &Args) -> Result<()> {
    let mut report = Report::of_this_machine()?;
    for part in [Part::Decode, Part::Last, Part::Node, Part::Memory, Part::Forward] {
        if !args.only.is_empty() && !args.only.contains(&part) {
            continue;
        }
        let rows = match part {
            Part::Decode => decode::measure(args),
            Part::Last => last::measure(args),
            Part::Node => node::measure(args),
            Part::Memory => node::memory(args),
            Part::Forward => forward::measure(args),
        };
        report.rows.extend(rows.with_context(|| format!("{part:?}"))?);
        eprintln!("measured {part:?}");
    }
    print!("{}", report.rows_table());
    if let Some(path) = &args.json {
        fs::write(path, serde_json::to_string_pretty(&report)?)
            .with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}
