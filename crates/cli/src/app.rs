//! The tree of verbs.

use crate::{
    agent, bpf, cleanup, completion, config, context::Globals, db, debuginfo, down, endpoint, exec, exit,
    fqdn, history, hubble, identity, ip, man, map, metrics, monitor, objects, observe, policy, proxy,
    recorder, relay, run, status, top, up, version,
};

/// Network policy by identity for the processes and containers of a host
#[derive(Debug, clap::Parser)]
#[command(name = "ciliate", version, propagate_version = false, disable_help_subcommand = false)]
// Of a flag that takes one value the last counts, as in Hubble, so that an alias may have defaults.
#[command(args_override_self = true)]
#[command(
    after_help = "`ciliate help VERB` says more about a verb, `ciliate help exit-codes` what the exit codes mean."
)]
pub struct App {
    #[command(subcommand)]
    pub verb: Verb,
    #[command(flatten)]
    pub globals: Globals,
}

#[derive(Debug, clap::Subcommand)]
pub enum Verb {
    /// Start the agent in the background and wait until it is ready
    Up(up::Args),
    /// End everything; the host is as it was before
    Down(down::Args),
    /// Show how the agent and its parts are
    Status(status::Args),
    /// Run a command in a network namespace of its own, under policy
    Run(Box<run::Args>),
    /// Run a command inside an endpoint that is there
    Exec(exec::Args),
    /// Apply policies and other objects, all or none
    Apply(objects::apply::Args),
    /// Show policies and other objects
    Get(objects::get::Args),
    /// Delete policies and other objects, all or none
    Delete(objects::delete::Args),
    /// Check policies and other objects strictly; needs no agent
    Validate(objects::validate::Args),
    /// Network namespaces under policy
    #[command(subcommand)]
    Endpoint(endpoint::Command),
    /// Numbers that stand for sets of labels
    #[command(subcommand)]
    Identity(identity::Command),
    /// Addresses and their identities
    #[command(subcommand)]
    Ip(ip::Command),
    /// What the policies come to
    #[command(subcommand)]
    Policy(policy::Command),
    /// What looks at requests, for rules about more than ports
    #[command(subcommand)]
    Proxy(proxy::Command),
    /// Names of servers: what they resolved to and who may be reached by them
    #[command(subcommand)]
    Fqdn(fqdn::Command),
    /// The flows that are kept on the disk
    #[command(subcommand)]
    History(history::Command),
    /// Show what the kernel and the agent report, as it happens
    Monitor(monitor::Args),
    /// Show flows: who talked to whom and what policies said, live and from history
    Observe(Box<observe::Args>),
    /// Show who talks most, what is dropped most and so on, as it happens
    Top(Box<top::Args>),
    /// Packets with their verdicts, in files for Wireshark
    #[command(subcommand)]
    Recorder(recorder::Command),
    /// The verbs of Hubble's command line
    Hubble(Box<hubble::Args>),
    /// One server for the flows of many nodes
    #[command(subcommand)]
    Relay(relay::Command),
    /// The kernel's maps as they are
    #[command(subcommand)]
    Bpf(bpf::Command),
    /// What the agent wrote into the kernel's maps
    #[command(subcommand)]
    Map(map::Command),
    /// The agent's counters
    #[command(subcommand)]
    Metrics(metrics::Command),
    /// Show or change settings
    Config(config::Args),
    /// The agent's tables
    #[command(subcommand)]
    Db(db::Command),
    /// Remove whatever an agent that is gone has left behind
    Cleanup(cleanup::Args),
    /// Collect everything one needs to look into a fault
    Debuginfo(debuginfo::Args),
    /// The agent itself, in the foreground
    Agent(agent::Args),
    /// Print a script that completes words in a shell
    Completion(completion::Args),
    /// Print or write manual pages
    Man(man::Args),
    /// Show the versions of this program and of the agent
    Version(version::Args),
    /// What the exit codes mean
    #[command(long_about = exit::table())]
    ExitCodes,
}
