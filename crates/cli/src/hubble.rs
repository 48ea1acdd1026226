//! `ciliate hubble`: the verbs of Hubble's command line; a link of the name `hubble` to this program has them without the word.

pub mod record;
pub mod settings;
mod status;

use crate::{completion, context::Context, observe, output::emit};
use settings::{Merged, Verb};

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    merged: Merged,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Flows and events, as they happen or as they were
    Observe(Box<observe::Args>),
    /// Record packets with their verdicts into a pcapng file on the server's node
    Record(Box<record::Args>),
    /// How a server is and how many flows it has
    Status(status::Args),
    /// What a server knows
    #[command(subcommand)]
    List(observe::list::Command),
    /// Settings of these verbs: flags, then the environment (HUBBLE_SERVER and so on), then Hubble's file
    Config(Config),
    /// Print a script that completes words in a shell
    Completion(completion::Args),
    /// The version of this program
    Version,
}

#[derive(Debug, clap::Args)]
struct Config {
    #[command(subcommand)]
    verb: Option<Verb>,
}

impl Args {
    pub fn run(self, context: &Context) -> anyhow::Result<()> {
        match self.command {
            Command::Observe(args) => args.run(context),
            Command::Record(args) => args.run(context),
            Command::Status(args) => args.run(context),
            Command::List(command) => command.run(context),
            Command::Config(Config { verb }) => verb.unwrap_or(Verb::View).run(self.merged, context),
            Command::Completion(args) => args.run_for_hubble(),
            Command::Version => {
                emit(&format!("hubble (ciliate) {}\n", crate::version::CLIENT)).map_err(Into::into)
            }
        }
    }
}
