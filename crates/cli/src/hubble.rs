//! `ciliate hubble`: the verbs of Hubble's command line; a link of the name `hubble` to this program has them without the word.

pub mod record;
mod status;

use crate::{completion, context::Context, observe, output::emit};

#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Flows and events, as they happen or as they were
    Observe(Box<observe::Args>),
    /// Record packets with their verdicts into a pcapng file on the server's node
    Record(Box<record::Args>),
    /// How a server is and how many flows it has
    Status(status::Args),
    /// What a server knows
    #[command(subcommand)]
    List(observe::list::Command),
    /// What the flags and the environment come to
    Config(Config),
    /// Print a script that completes words in a shell
    Completion(completion::Args),
    /// The version of this program
    Version,
}

#[derive(Debug, clap::Args)]
pub struct Config {
    /// Only this one
    #[arg(value_name = "NAME")]
    name: Option<String>,
    #[command(flatten)]
    server: observe::server::ServerFlags,
}

impl Command {
    pub fn run(self, context: &Context) -> anyhow::Result<()> {
        match self {
            Self::Observe(args) => args.run(context),
            Self::Record(args) => args.run(context),
            Self::Status(args) => args.run(context),
            Self::List(command) => command.run(context),
            Self::Config(config) => config.run(context),
            Self::Completion(args) => args.run(),
            Self::Version => {
                emit(&format!("hubble (ciliate) {}\n", crate::version::CLIENT)).map_err(Into::into)
            }
        }
    }
}

impl Config {
    fn run(self, context: &Context) -> anyhow::Result<()> {
        let mut text = String::new();
        for (name, value) in self.server.values(context)? {
            match &self.name {
                Some(wanted) if wanted == name => text.push_str(&format!("{value}\n")),
                Some(_) => {}
                None => text.push_str(&format!("{name}: {value}\n")),
            }
        }
        if let (Some(name), true) = (&self.name, text.is_empty()) {
            return Err(crate::exit::Failure::new(
                crate::exit::Code::NotFound,
                format!("{name:?} is no setting here: `ciliate hubble config` lists them"),
            )
            .into());
        }
        emit(&text)?;
        Ok(())
    }
}
