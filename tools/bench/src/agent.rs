//! What the agent costs and how fast it is: adding endpoints, changing policies, memory, starting, being killed under load.

mod attach;
mod change;
mod disturb;
mod life;

use crate::{
    lab::{Netns, Service, ciliate::Node, policies},
    report::{Report, Row},
};
use anyhow::{Context, Result};
use std::path::PathBuf;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Folder on a file system of its own, for what the nodes write
    #[arg(long)]
    work: PathBuf,
    /// Endpoints to add
    #[arg(long, default_value_t = 250)]
    endpoints: u8,
    /// Times of each change and each start
    #[arg(long, default_value_t = 9)]
    repeat: usize,
    /// Seconds under load, in which the agent is killed and started again and again
    #[arg(long, default_value_t = 20.0)]
    seconds: f64,
    /// File for every number, as JSON
    #[arg(long)]
    json: Option<PathBuf>,
}

/// What the servers answer on; policies let it through.
const PORT: u16 = 5300;

pub fn run(args: &Args) -> Result<()> {
    let mut report = Report::of_this_machine()?;
    report.rows.extend(scale(args)?);
    eprintln!("measured endpoints, changes, memory and starts");
    report.rows.extend(disturb::measure(&args.work, args.seconds)?);
    eprintln!("measured the agent's absence");
    print!("{}", report.rows_table());
    if let Some(file) = &args.json {
        std::fs::write(file, serde_json::to_string_pretty(&report)?)
            .with_context(|| format!("cannot write {}", file.display()))?;
    }
    Ok(())
}

fn scale(args: &Args) -> Result<Vec<Row>> {
    let node = Node::start("scale", &args.work)?;
    let (server, prober) = (Netns::new("server")?, Netns::new("prober")?);
    let (server_address, _) = node.endpoint(&server, "server", 1)?;
    node.endpoint(&prober, "prober", 2)?;
    node.apply(&[policies::both_ends("member", "server")])?;
    let mut serve = server.tool(None)?;
    serve.args(["serve", "--port", &PORT.to_string()]);
    let _serving = Service::start(serve, "ready")?;

    let (members, mut rows) = attach::measure(&node, (server_address, PORT).into(), args.endpoints)?;
    eprintln!("attached {} endpoints", members.len());
    rows.extend(change::measure(&node, &args.work, &prober, &members, args.repeat, "1 policy")?);
    let crowd: Vec<_> = policies::crowd("server").collect();
    node.apply(&crowd)?;
    rows.extend(change::measure(&node, &args.work, &prober, &members, args.repeat, "1,000 policies")?);
    rows.extend(life::measure(&node, args.repeat)?);
    Ok(rows)
}
