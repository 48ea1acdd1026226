//! `ciliate completion`: scripts that complete words in a shell.

use crate::{context::Globals, output::emit};
use anyhow::Context as _;
use clap::Args as _;
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

    /// The same for a link of that name.
    pub fn run_for_hubble(&self) -> anyhow::Result<()> {
        let command = crate::command();
        let hubble = command.find_subcommand("hubble").cloned().context("there are no verbs of Hubble")?;
        emit(&generate(self.shell, Globals::augment_args(hubble), "hubble")?)?;
        Ok(())
    }
}

/// The script for one shell.
pub fn script(shell: Shell) -> anyhow::Result<String> {
    generate(shell, crate::command(), "ciliate")
}

fn generate(shell: Shell, command: clap::Command, name: &'static str) -> anyhow::Result<String> {
    let mut command = command.bin_name(name);
    command.build();
    let mut script = Vec::new();
    shell.try_generate(&command, &mut script)?;
    Ok(String::from_utf8(script)?)
}
