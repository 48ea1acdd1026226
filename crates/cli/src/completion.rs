//! `ciliate completion`: scripts that complete words in a shell.

use crate::output::emit;
use clap_complete::{Generator, Shell};

#[derive(Debug, clap::Args)]
#[command(after_help = "Bash:  ciliate completion bash > /usr/share/bash-completion/completions/ciliate\n\
    Zsh:   ciliate completion zsh > \"${fpath[1]}/_ciliate\"\n\
    Fish:  ciliate completion fish > ~/.config/fish/completions/ciliate.fish")]
pub struct Args {
    shell: Shell,
}

impl Args {
    pub fn run(&self) -> anyhow::Result<()> {
        emit(&script(self.shell)?)?;
        Ok(())
    }
}

/// The script for one shell.
pub fn script(shell: Shell) -> anyhow::Result<String> {
    let mut command = crate::command().bin_name("ciliate");
    command.build();
    let mut script = Vec::new();
    shell.try_generate(&command, &mut script)?;
    Ok(String::from_utf8(script)?)
}
