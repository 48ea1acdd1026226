//! `ciliate agent`: the agent itself, in the foreground.

use crate::{context::Context, settings_flags::SettingsFlags};

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    settings: SettingsFlags,
    /// Leave the terminal's session, for `up`
    #[arg(long, hide = true)]
    own_session: bool,
}

impl Args {
    pub fn run(self, context: &Context) -> anyhow::Result<()> {
        if self.own_session {
            // Fails only for a process that leads a session already, which is what was wanted.
            nix::unistd::setsid().ok();
        }
        let (resolved, config) = context.settings(&self.settings)?;
        ciliate_agent::run(resolved, config)
    }
}
