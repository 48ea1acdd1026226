//! `ciliate run`: a command in a network namespace of its own, under policy.

mod detach;
mod place;

use crate::{
    context::Context,
    endpoint::{EndpointRow, Wanted},
    exit::{Code, Failure},
};
use ciliate_net::Launch;
use place::Place;
use std::{ffi::OsString, path::PathBuf};

#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    wanted: Wanted,
    /// Set a variable of the environment, NAME=VALUE. May be repeated
    #[arg(short, long = "env", value_name = "NAME=VALUE", value_parser = variable)]
    environment: Vec<(String, String)>,
    /// Folder to start in
    #[arg(short = 'w', long = "workdir", value_name = "FOLDER")]
    directory: Option<PathBuf>,
    /// Return as soon as the command runs; `ciliate down` ends it
    #[arg(short, long)]
    detach: bool,
    /// With --detach: file for what the command prints
    #[arg(long, value_name = "FILE", requires = "detach")]
    log: Option<PathBuf>,
    /// Watch over the command and report on standard input, for --detach
    #[arg(long, hide = true, conflicts_with = "detach")]
    watch: bool,
    /// The command and its arguments
    #[arg(value_name = "COMMAND", required = true, trailing_var_arg = true, allow_hyphen_values = true)]
    command: Vec<OsString>,
}

/// Reads NAME=VALUE.
pub fn variable(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        Some(_) | None => Err(format!("{text:?} is no variable: write NAME=VALUE")),
    }
}

impl Args {
    /// The exit code of the command, or one of `run`'s own.
    pub fn run(mut self, context: &Context) -> anyhow::Result<u8> {
        let program = self.command.first().cloned().unwrap_or_default();
        let name = self.wanted.name.get_or_insert_with(|| default_name(&program));
        check_name(name)?;
        if self.detach {
            return detach::start(context, &self);
        }
        if self.watch {
            return detach::watch(|reported| self.launch(context, reported));
        }
        self.launch(context, |_, _| Ok(()))
    }

    /// Makes the place, starts the command there, waits for its end and clears the place away.
    fn launch(
        self,
        context: &Context,
        started: impl FnOnce(&EndpointRow, u32) -> anyhow::Result<()>,
    ) -> anyhow::Result<u8> {
        let name = self.wanted.name.clone().unwrap_or_default();
        let namespace = self.wanted.namespace.clone();
        let mut place = Place::make(context, self.wanted)?;
        let mut launch = Launch::new(place.netns.clone(), self.command.first().cloned().unwrap_or_default())
            .hosts(&place.endpoint.network.hosts_file);
        launch.arguments = self.command.into_iter().skip(1).collect();
        launch.directory = self.directory;
        launch.hostname = Some(name.clone());
        launch.environment = self.environment.into_iter().map(|(k, v)| (k.into(), v.into())).collect();
        launch.environment.push(("CILIATE_ENDPOINT".into(), place.endpoint.id.to_string().into()));
        launch.environment.push(("CILIATE_NAMESPACE".into(), namespace.into()));
        launch.environment.push(("CILIATE_NAME".into(), name.into()));
        let ended = place.start(launch).and_then(|running| {
            started(&EndpointRow::of(&place.endpoint), running.pid())?;
            Ok(running.wait()?)
        });
        let cleared = place.clear();
        let code = ended?;
        if let Err(error) = cleared {
            eprintln!("Warning: {error:#}");
        }
        Ok(code)
    }
}

/// The program's name and our process, so that two do not collide.
fn default_name(program: &OsString) -> String {
    let file = PathBuf::from(program);
    let base = file.file_name().map(|n| n.to_string_lossy().to_lowercase()).unwrap_or_default();
    let clean: String =
        base.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).take(40).collect();
    let clean = clean.trim_matches('-');
    format!("{}-{}", if clean.is_empty() { "run" } else { clean }, std::process::id())
}

/// Others reach it by this name, so it is a label of the DNS.
fn check_name(name: &str) -> Result<(), Failure> {
    let valid = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let ends = !name.starts_with('-') && !name.ends_with('-');
    match (1..=63).contains(&name.len()) && name.chars().all(valid) && ends {
        true => Ok(()),
        false => Err(Failure::new(
            Code::Usage,
            format!("name {name:?} is no host name: write up to 63 of a-z, 0-9 and -, not at the ends"),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_host_names() {
        for name in ["xwing", "x-1", "a"] {
            assert!(check_name(name).is_ok(), "{name}");
        }
        for name in ["", "X", "-a", "a-", "a.b", "a_b", &"x".repeat(64)] {
            assert_eq!(check_name(name).map_err(|e| e.code), Err(Code::Usage), "{name}");
        }
        for program in ["/bin/sh", "./My Program.py", "...", ""] {
            assert!(check_name(&default_name(&program.into())).is_ok(), "{program}");
        }
    }
}
