//! `ciliate up`: starts the agent in the background and waits until it is ready.

use crate::{
    context::Context,
    exit::{Code, Failure},
    output::{count, emit},
    progress::{Waiting, duration},
    settings_flags::SettingsFlags,
};
use anyhow::Context as _;
use ciliate_api::{Client, ClientError, Health, Status};
use std::{
    env,
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    thread,
    time::{Duration, Instant},
};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Stay in the foreground, as `ciliate agent` does
    #[arg(long)]
    foreground: bool,
    /// How long to wait until the agent is ready
    #[arg(long, value_name = "DURATION", default_value = "60s", value_parser = duration)]
    wait: Duration,
    #[command(flatten)]
    settings: SettingsFlags,
}

/// Name of the log below the run directory.
pub const LOG_NAME: &str = "agent.log";

impl Args {
    pub fn run(self, context: &Context) -> anyhow::Result<()> {
        if self.foreground {
            let (resolved, config) = context.settings(&self.settings)?;
            refuse_second(&Client::new(config.socket()))?;
            return ciliate_agent::run(resolved, config);
        }
        let status = start(context, &self.settings, self.wait)?;
        emit(&format!(
            "Ciliate {} is up on {}: pid {}, {}, {}\n",
            status.version,
            status.node_name,
            status.pid,
            count(status.endpoints.values().sum(), "endpoint"),
            if status.policies == 1 {
                "1 policy".to_owned()
            } else {
                format!("{} policies", status.policies)
            }
        ))?;
        for subsystem in status.subsystems.iter().filter(|s| s.health == Health::Warning) {
            eprintln!("Warning: {}: {}", subsystem.name, subsystem.message);
        }
        Ok(())
    }
}

/// Starts the agent in the background; returns what it says once it is ready.
pub fn start(context: &Context, settings: &SettingsFlags, patience: Duration) -> anyhow::Result<Status> {
    let (_, config) = context.settings(settings)?;
    let client = Client::new(config.socket());
    refuse_second(&client)?;
    // Before there is so much as a folder for its log.
    ciliate_agent::check_host(&config).context("the agent did not start")?;
    fs::create_dir_all(&config.run_dir)
        .with_context(|| format!("cannot make the run directory {}", config.run_dir.display()))?;
    let log = config.run_dir.join(LOG_NAME);
    let before = fs::metadata(&log).map_or(0, |m| m.len());
    let mut agent = Agent { process: spawn(context, settings, &log)?, log, before };
    agent.wait_until_ready(&client, patience)
}

fn spawn(context: &Context, settings: &SettingsFlags, log: &Path) -> anyhow::Result<Child> {
    let program = env::current_exe().context("cannot find this program's own file")?;
    let output = File::options()
        .create(true)
        .append(true)
        .open(log)
        .with_context(|| format!("cannot write the log {}", log.display()))?;
    Command::new(&program)
        .arg("agent")
        .arg("--own-session")
        .args(context.same_flags())
        .args(settings.0.iter().map(|(name, value)| format!("--{name}={value}")))
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(output.try_clone()?)
        .stderr(output)
        .spawn()
        .with_context(|| format!("cannot start {}", program.display()))
}

/// Says so when an agent answers already.
fn refuse_second(client: &Client) -> anyhow::Result<()> {
    match client.status() {
        Ok(status) => anyhow::bail!(
            "the agent already runs (pid {}, socket {}): end it with `ciliate down`, or give another \
             --run-dir, --state-dir and --bpf-root for a second one",
            status.pid,
            client.socket().display()
        ),
        // Nobody listens, or it is just ending; starting tells which.
        Err(ClientError::Connect { .. } | ClientError::Io(_)) => Ok(()),
        Err(ClientError::Answer { .. }) => anyhow::bail!(
            "something else than this version's agent listens on {}: end it first",
            client.socket().display()
        ),
        Err(error @ ClientError::Refused(_)) => {
            Err(anyhow::Error::from(error).context("an agent already runs, but it is not well"))
        }
    }
}

struct Agent {
    process: Child,
    log: PathBuf,
    /// Length of the log before it was started.
    before: u64,
}

impl Agent {
    /// Returns its first answer, or what it said before it ended.
    fn wait_until_ready(&mut self, client: &Client, patience: Duration) -> anyhow::Result<Status> {
        let start = Instant::now();
        let waiting = Waiting::new("waiting for the agent");
        loop {
            if let Some(status) = self.process.try_wait().context("cannot wait for the agent")? {
                return Err(self.ended(status));
            }
            let answer = client.clone().with_timeout(Duration::from_secs(2)).status();
            match answer {
                // Another `up` may have won the race: then ours ends by itself and says so.
                Ok(status) if status.pid == self.process.id() => return Ok(status),
                Ok(_) | Err(_) => {}
            }
            if start.elapsed() > patience {
                return Err(Failure::new(
                    Code::TimedOut,
                    format!(
                        "the agent (pid {}) is not ready after {} s and goes on trying; its log is {}{}",
                        self.process.id(),
                        patience.as_secs(),
                        self.log.display(),
                        last_lines(&self.said())
                    ),
                )
                .into());
            }
            waiting.tick(self.said().lines().last().unwrap_or_default());
            thread::sleep(Duration::from_millis(3));
        }
    }

    /// What it wrote to its log since it was started.
    fn said(&self) -> String {
        let bytes = fs::read(&self.log).unwrap_or_default();
        let new =
            usize::try_from(self.before).ok().and_then(|before| bytes.get(before..)).unwrap_or_default();
        String::from_utf8_lossy(new).into_owned()
    }

    fn ended(&self, status: ExitStatus) -> anyhow::Error {
        let said = self.said();
        let code = match status.code() {
            Some(4) => Code::PermissionDenied,
            Some(2) => Code::Usage,
            Some(_) | None => Code::Failure,
        };
        match own_error(&said) {
            Some(error) => Failure::new(code, format!("the agent did not start: {error}")).into(),
            None => Failure::new(
                code,
                format!("the agent ended ({status}) before it was ready{}", last_lines(&said)),
            )
            .into(),
        }
    }
}

/// The error with which the agent ended, as this program prints errors.
fn own_error(said: &str) -> Option<String> {
    let at = said
        .rfind("\nerror: ")
        .map(|at| at.saturating_add(1))
        .or(said.starts_with("error: ").then_some(0))?;
    let text = said.get(at..)?.strip_prefix("error: ")?;
    Some(text.trim_end().to_owned())
}

fn last_lines(said: &str) -> String {
    let lines: Vec<&str> = said.lines().collect();
    let from = lines.len().saturating_sub(10);
    lines.iter().skip(from).map(|line| format!("\n  {line}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_agents_own_error_is_found_in_its_log() {
        let said = "INFO starting\nerror: old\nINFO again\nerror: bpffs is not mounted\n  mount it\n";
        assert_eq!(own_error(said).as_deref(), Some("bpffs is not mounted\n  mount it"));
        assert_eq!(own_error("error: at once\n").as_deref(), Some("at once"));
        assert_eq!(own_error("INFO an error: inside\n"), None);
        assert_eq!(last_lines("a\nb\n"), "\n  a\n  b");
    }
}
