//! Load generators of our own, and the runner that measures Ciliate beside its references in one go.

mod agent;
mod compare;
mod dns;
mod history;
mod http;
mod lab;
mod load;
mod observe;
mod paired;
mod place;
mod process;
mod relay;
mod report;
mod statistics;

use anyhow::{Context, Result};
use clap::{Parser, Subcommand};
use serde::Serialize;
use std::{ffi::OsString, os::unix::process::CommandExt, path::PathBuf, process::Command};

#[derive(Debug, Parser)]
#[command(name = "ciliate-bench", version, about = "Measures packet paths: tools, and the paired comparison")]
struct Arguments {
    /// Network namespace to work in
    #[arg(long, global = true, value_name = "FILE")]
    netns: Option<PathBuf>,
    /// Processor to work on
    #[arg(long, global = true)]
    core: Option<usize>,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Answer the other tools: bytes back on a TCP port, datagrams counted on a UDP port
    Serve(load::serve::Args),
    /// One byte there and back, again and again on one connection
    Rr(load::Args),
    /// Connect, one byte there and back, close; again and again
    Crr(load::Args),
    /// Small datagrams as fast as they go
    Udp(load::Args),
    /// HTTP requests at a given rate
    Paced(load::paced::Args),
    /// Answer gRPC calls
    ServeGrpc(load::grpc::ServeArgs),
    /// Unary gRPC calls, as fast as they go or at a given rate
    Grpc(load::grpc::Args),
    /// Open HTTP connections, make one request on each, and hold them
    Idle(load::paced::IdleArgs),
    /// Answer DNS queries: every name has an address
    Resolve(load::resolve::Args),
    /// Datagrams each of which belongs to another connection, at a given rate
    Strangers(load::strangers::Args),
    /// Take datagrams on many ports and say nothing
    Deaf(load::strangers::DeafArgs),
    /// Run another program in the namespace and on the processor given
    Exec {
        #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
        command: Vec<OsString>,
    },
    /// Compare Ciliate with a bare veth pair, host routing, iptables and nftables
    Compare(compare::Args),
    /// Measure the agent: adding endpoints, changing policies, memory, starting, being killed under load
    Agent(agent::Args),
    /// Compare the proxy with nginx and haproxy as reverse proxies
    Http(http::Args),
    /// Compare the proxy with dnsmasq and unbound as forwarders
    Dns(dns::Args),
    /// Measure keeping flows on disk, and finding some among very many
    History(history::Args),
    /// Measure what it costs to see flows
    Observe(observe::Args),
    /// Measure a relay over many simulated nodes
    Relay(relay::Args),
}

fn main() -> Result<()> {
    let Arguments { netns, core, verb } = Arguments::parse();
    place::enter(netns.as_deref(), core)?;
    match verb {
        Verb::Serve(args) => load::serve::run(&args),
        Verb::Rr(args) => print(&load::rr::run(&args)?),
        Verb::Crr(args) => print(&load::crr::run(&args)?),
        Verb::Udp(args) => print(&load::udp::run(&args)?),
        Verb::Paced(args) => print(&load::paced::run(&args)?),
        Verb::ServeGrpc(args) => load::grpc::serve(&args),
        Verb::Grpc(args) => print(&load::grpc::run(&args)?),
        Verb::Idle(args) => load::paced::idle(&args),
        Verb::Resolve(args) => load::resolve::run(&args),
        Verb::Strangers(args) => print(&load::strangers::run(&args)?),
        Verb::Deaf(args) => load::strangers::deaf(&args),
        Verb::Exec { command } => exec(&command),
        Verb::Compare(args) => compare::run(&args),
        Verb::Agent(args) => agent::run(&args),
        Verb::Http(args) => http::run(&args),
        Verb::Dns(args) => dns::run(&args),
        Verb::History(args) => history::run(&args),
        Verb::Observe(args) => observe::run(&args),
        Verb::Relay(args) => relay::run(&args),
    }
}

fn print(result: &impl Serialize) -> Result<()> {
    println!("{}", serde_json::to_string(result)?);
    Ok(())
}

fn exec(command: &[OsString]) -> Result<()> {
    let (program, arguments) = command.split_first().context("the command is missing")?;
    Err(Command::new(program).args(arguments).exec())
        .with_context(|| format!("cannot run {}", program.display()))
}
