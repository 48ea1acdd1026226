//! `ciliate status`: how the agent and its parts are.

use crate::{
    context::Context,
    exit::{Code, Failure},
    output::{Cell, Detail, OutputArgs, Page, Table, Tone, View, emit},
    progress::Waiting,
    row,
};
use anyhow::bail;
use ciliate_api::{Client, Health, Status};
use serde::Serialize;
use std::{
    thread,
    time::{Duration, Instant},
};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// One word; the exit code says it too
    #[arg(long, conflicts_with = "verbose")]
    brief: bool,
    /// Also endpoints by state, pools, maps and lost events
    #[arg(short, long, alias = "all-addresses")]
    verbose: bool,
    /// Wait until the agent and all endpoints are ready
    #[arg(long)]
    wait: bool,
    /// How long to wait
    #[arg(long, value_name = "DURATION", default_value = "60s", value_parser = crate::progress::duration)]
    wait_duration: Duration,
    #[command(flatten)]
    output: OutputArgs,
}

impl Args {
    pub fn run(self, context: &Context) -> anyhow::Result<()> {
        let client = context.client()?;
        let status = match self.wait {
            true => wait(&client, self.wait_duration)?,
            false => client.status()?,
        };
        if self.brief {
            if status.health == Health::Ok || status.health == Health::Warning {
                emit("OK\n")?;
                return Ok(());
            }
            let failing = status.subsystems.iter().filter(|s| s.health == Health::Failure);
            let failing: Vec<String> = failing.map(|s| format!("{}: {}", s.name, s.message)).collect();
            bail!("the agent is not well: {}", failing.join("; "));
        }
        let detail = if self.verbose { Detail::Wide } else { context.page.detail };
        self.output.print(&Page { detail, ..context.page }, &StatusView(status))
    }
}

/// Returns once nothing is being made any more.
fn wait(client: &Client, patience: Duration) -> anyhow::Result<Status> {
    let waiting = Waiting::new("waiting for the agent");
    let start = Instant::now();
    loop {
        let status = client.status();
        let missing = match &status {
            Ok(status) => unready(status),
            Err(error) => Some(error.to_string()),
        };
        let Some(missing) = missing else { return Ok(status?) };
        if start.elapsed() >= patience {
            let seconds = patience.as_secs();
            return Err(match status {
                Err(error) => error.into(),
                Ok(_) => {
                    Failure::new(Code::TimedOut, format!("not ready after {seconds} s: {missing}")).into()
                }
            });
        }
        waiting.tick(&missing);
        thread::sleep(Duration::from_millis(50));
    }
}

/// What is not ready yet.
fn unready(status: &Status) -> Option<String> {
    let settled = ["ready", "not-ready", "disconnected"];
    let moving: Vec<String> = status
        .endpoints
        .iter()
        .filter(|(state, n)| !settled.contains(&state.as_str()) && **n > 0)
        .map(|(state, n)| format!("{n} endpoints {state}"))
        .collect();
    match (status.health, moving.is_empty()) {
        (Health::Failure, _) => Some("the agent is not well; `ciliate status` says more".to_owned()),
        (_, false) => Some(moving.join(", ")),
        (_, true) => None,
    }
}

#[derive(Debug, Serialize)]
#[serde(transparent)]
struct StatusView(Status);

impl View for StatusView {
    fn text(&self, page: &Page) -> String {
        let status = &self.0;
        let plain = Page { headers: false, ..*page };
        let mut table = Table::new(&["", ""]).wrap("");
        let mut line = |name: &str, text: Cell| table.push(row![format!("{name}:"), text]);
        line(
            "Ciliate",
            Cell::toned(
                format!("{}   {}, pid {}", status.health, status.version, status.pid),
                tone(status.health),
            ),
        );
        line("Kernel", status.kernel.as_str().into());
        line("Node", format!("{} (cluster {})", status.node_name, status.cluster_name).into());
        for subsystem in &status.subsystems {
            let text = format!("{}   {}", subsystem.health, subsystem.message);
            line(&subsystem.name, Cell::toned(text.trim_end(), tone(subsystem.health)));
        }
        line("Identities", status.identities.to_string().into());
        line("Uptime", uptime(status.uptime_seconds).into());
        let mut text = table.render(&plain);
        if page.detail == Detail::Wide {
            text.push_str(&self.details(page));
        }
        text
    }
}

impl StatusView {
    fn details(&self, page: &Page) -> String {
        let status = &self.0;
        let mut text = format!("Memory:   {} KiB resident\n", status.resident_bytes / 1024);
        let states = status.endpoints.iter().map(|(state, n)| row![state, *n]);
        let pools = status.pools.iter().map(|p| row![p.pool.to_string(), p.used, p.capacity]);
        let maps = status.maps.iter().map(|m| {
            let tone = if m.pressure >= 0.9 { Tone::Bad } else { Tone::Plain };
            row![&m.name, m.entries, m.capacity, Cell::toned(format!("{:.1} %", m.pressure * 100.0), tone)]
        });
        let lost = status.lost_events.iter().map(|(place, n)| row![place, *n]);
        for table in [
            Table::new(&["ENDPOINTS", "NUMBER"]).rows(states),
            Table::new(&["POOL", "USED", "CAPACITY"]).rows(pools),
            Table::new(&["MAP", "ENTRIES", "CAPACITY", "PRESSURE"]).rows(maps),
            Table::new(&["EVENTS LOST", "NUMBER"]).rows(lost),
        ] {
            text.push('\n');
            text.push_str(&table.render(page));
        }
        text
    }
}

fn tone(health: Health) -> Tone {
    match health {
        Health::Ok => Tone::Good,
        Health::Warning => Tone::Doubtful,
        Health::Failure => Tone::Bad,
        Health::Disabled => Tone::Faint,
    }
}

/// `2d3h`, `3h4m`, `4m5s`
fn uptime(seconds: u64) -> String {
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86400);
    match (days, hours, minutes) {
        (0, 0, _) => format!("{minutes}m{}s", seconds % 60),
        (0, _, _) => format!("{hours}h{}m", minutes % 60),
        _ => format!("{days}d{}h", hours % 24),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn sample() -> Status {
        serde_json::from_value(serde_json::json!({
            "version": "0.1.0", "kernel": "6.18.0", "pid": 4242, "health": "ok",
            "subsystems": [{"name": "KVStore", "health": "ok", "message": "redb /var/lib/ciliate"},
                           {"name": "Masquerading", "health": "disabled", "message": ""}],
            "nodeName": "n1", "clusterName": "default", "uptimeSeconds": 3725, "residentBytes": 20971520,
            "policyRevision": 3, "policies": 1, "identities": 14, "endpoints": {"ready": 2, "creating": 1},
            "pools": [{"pool": "10.201.0.0/16", "used": 3, "capacity": 65533}],
            "maps": [{"name": "conntrack", "entries": 5, "capacity": 10, "pressure": 0.5}],
            "lostEvents": {"kernel": 0},
        }))
        .unwrap()
    }

    #[test]
    fn each_part_has_a_line() {
        let expected = "\
Ciliate:        Ok   0.1.0, pid 4242
Kernel:         6.18.0
Node:           n1 (cluster default)
KVStore:        Ok   redb /var/lib/ciliate
Masquerading:   Disabled
Identities:     14
Uptime:         1h2m
";
        assert_eq!(StatusView(sample()).text(&Page::plain()), expected);
        let wide = StatusView(sample()).text(&Page { detail: Detail::Wide, ..Page::plain() });
        assert!(wide.contains("conntrack   5         10         50.0 %"), "{wide}");
    }

    #[test]
    fn waiting_ends_when_nothing_is_under_way() {
        let mut status = sample();
        assert_eq!(unready(&status), Some("1 endpoints creating".to_owned()));
        status.endpoints.remove("creating");
        assert_eq!(unready(&status), None);
        status.health = Health::Failure;
        assert!(unready(&status).is_some());
    }
}
