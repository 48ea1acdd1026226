//! `ciliate version`: of this program and of the running agent.

use crate::{
    context::Context,
    output::{OutputArgs, Page, View},
};
use serde::Serialize;

/// What this program is.
pub const CLIENT: &str = env!("CARGO_PKG_VERSION");

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Do not ask the agent
    #[arg(long)]
    client: bool,
    #[command(flatten)]
    output: OutputArgs,
}

impl Args {
    pub fn run(self, context: &Context) -> anyhow::Result<()> {
        let status = match self.client {
            true => None,
            false => context.client()?.status().ok(),
        };
        let versions = Versions {
            client: CLIENT.to_owned(),
            agent: status.as_ref().map(|s| s.version.clone()),
            kernel: status.map(|s| s.kernel),
            asked: !self.client,
        };
        self.output.print(&context.page, &versions)
    }
}

#[derive(Debug, Serialize)]
struct Versions {
    client: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    agent: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    kernel: Option<String>,
    #[serde(skip)]
    asked: bool,
}

impl View for Versions {
    fn text(&self, _: &Page) -> String {
        let agent = match (&self.agent, &self.kernel) {
            (Some(agent), Some(kernel)) => format!("Daemon: {agent}, kernel {kernel}\n"),
            (Some(agent), None) => format!("Daemon: {agent}\n"),
            (None, _) if self.asked => "Daemon: not running\n".to_owned(),
            (None, _) => String::new(),
        };
        format!("Client: {}\n{agent}", self.client)
    }
}
