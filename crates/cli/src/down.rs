//! `ciliate down`: takes everything down; the host is as it was before.

use crate::{
    context::Context,
    exit::{Code, Failure},
    launched,
    output::emit,
    progress::{Waiting, duration},
    settings_flags::SettingsFlags,
    up::{self, LOG_NAME},
};
use ciliate_api::{Client, ClientError, ShutdownMode};
use std::{
    fs, io,
    path::Path,
    thread,
    time::{Duration, Instant},
};

/// How long ending may take.
pub const PATIENCE: Duration = Duration::from_secs(30);

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Only end the agent; the kernel goes on enforcing
    #[arg(long)]
    keep: bool,
    /// How long the commands of `run` and the agent may take to end
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = duration)]
    timeout: Duration,
}

impl Args {
    pub fn run(self, context: &Context) -> anyhow::Result<()> {
        if self.keep {
            let client = context.client()?;
            let pid = client.status()?.pid;
            shut_down(&client.with_timeout(self.timeout), ShutdownMode::Stop, pid, self.timeout)?;
            emit("The agent has ended; the kernel goes on enforcing\n")?;
            return Ok(());
        }
        emit(match take_down(context, &SettingsFlags::default(), self.timeout)? {
            Outcome::TakenDown => "Ciliate is down; the host is as it was before\n",
            Outcome::NothingThere => "Ciliate is not up: nothing to take down\n",
        })?;
        Ok(())
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    TakenDown,
    NothingThere,
}

/// Ends commands, endpoints and agent.
///
/// Where an agent was killed, a new one takes over what it left and takes that down.
pub fn take_down(context: &Context, settings: &SettingsFlags, patience: Duration) -> anyhow::Result<Outcome> {
    let (_, config) = context.settings(settings)?;
    let client = Client::new(config.socket()).with_timeout(patience);
    let pid = match client.status() {
        Ok(status) => status.pid,
        Err(ClientError::Connect { ref source, .. } | ClientError::Io(ref source))
            if source.kind() != io::ErrorKind::PermissionDenied
                && source.kind() != io::ErrorKind::WouldBlock =>
        {
            if !config.socket().exists() && !config.bpf_root.exists() {
                launched::end_all(&config.run_dir, patience)?;
                return Ok(Outcome::NothingThere);
            }
            up::start(context, settings, patience)?.pid
        }
        Err(error) => return Err(error.into()),
    };
    launched::end_all(&config.run_dir, patience)?;
    shut_down(&client, ShutdownMode::Down, pid, patience)?;
    remove_leftovers(&config.run_dir)?;
    Ok(Outcome::TakenDown)
}

fn shut_down(client: &Client, mode: ShutdownMode, pid: u32, patience: Duration) -> anyhow::Result<()> {
    match client.shutdown(mode) {
        // It may be gone before it has answered.
        Ok(()) | Err(ClientError::Io(_)) => {}
        Err(error) => return Err(error.into()),
    }
    wait_for_end(client, pid, patience)
}

fn wait_for_end(client: &Client, pid: u32, patience: Duration) -> anyhow::Result<()> {
    let start = Instant::now();
    let waiting = Waiting::new("waiting for the agent to end");
    let process = format!("/proc/{pid}");
    // A zombie has an empty command line: its parent has only not asked for it yet.
    let runs = || fs::read(format!("{process}/cmdline")).is_ok_and(|line| !line.is_empty());
    while runs() || client.socket().exists() && client.status().is_ok() {
        if start.elapsed() > patience {
            let seconds = patience.as_secs();
            return Err(Failure::new(
                Code::TimedOut,
                format!("the agent (pid {pid}) has not ended after {seconds} s: see its log"),
            )
            .into());
        }
        waiting.tick(&format!("pid {pid}"));
        thread::sleep(Duration::from_millis(5));
    }
    Ok(())
}

/// What `up` made: the log, and the folder if nothing else is in it.
fn remove_leftovers(run_dir: &Path) -> anyhow::Result<()> {
    for result in [fs::remove_file(run_dir.join(LOG_NAME)), fs::remove_dir(run_dir)] {
        match result {
            Ok(()) => {}
            Err(error)
                if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::DirectoryNotEmpty) => {}
            Err(error) => {
                return Err(anyhow::Error::from(error).context(format!("cannot clear {}", run_dir.display())));
            }
        }
    }
    Ok(())
}
