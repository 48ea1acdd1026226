//! `ciliate cleanup`: removes whatever an agent that is gone has left behind.

use crate::{
    context::Context,
    down,
    exit::{Code, Failure},
    output::emit,
    settings_flags::SettingsFlags,
};
use anyhow::Context as _;
use std::{
    fs,
    io::{self, IsTerminal, Write, stdin},
    path::Path,
};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Also the state: stored policies, identities and endpoints
    #[arg(long)]
    all_state: bool,
    /// Do not ask
    #[arg(short, long)]
    force: bool,
    #[command(flatten)]
    settings: SettingsFlags,
}

impl Args {
    pub fn run(self, context: &Context) -> anyhow::Result<()> {
        let (_, config) = context.settings(&self.settings)?;
        let mut what = vec![format!("programs and maps in {}", config.bpf_root.display())];
        what.push("devices, routes, address translation and changed sysctls of Ciliate".to_owned());
        if self.all_state {
            what.push(format!("the state in {}", config.state_dir.display()));
        }
        if !self.force && !confirmed(&what)? {
            return Err(Failure::new(Code::Failure, "nothing was removed").into());
        }
        down::take_down(context, &self.settings, down::PATIENCE)?;
        if self.all_state {
            remove(&config.state_dir)?;
        }
        emit("Everything of Ciliate is removed\n")?;
        Ok(())
    }
}

/// Asks on a terminal; anywhere else `--force` must have been given.
fn confirmed(what: &[String]) -> anyhow::Result<bool> {
    if !stdin().is_terminal() {
        return Err(Failure::new(Code::Usage, "there is no terminal to ask on: say --force").into());
    }
    eprint!("This removes:\n  {}\nGo on? [y/N] ", what.join("\n  "));
    io::stderr().flush()?;
    let mut answer = String::new();
    stdin().read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

fn remove(folder: &Path) -> anyhow::Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", folder.display()))
        }
        Ok(()) | Err(_) => Ok(()),
    }
}
