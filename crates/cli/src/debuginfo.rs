//! `ciliate debuginfo`: everything one needs to look into a fault, in one file.

use crate::{
    context::Context,
    output::{OutputArgs, Page, View, emit, json},
    version,
};
use anyhow::Context as _;
use ciliate_api::{BpfMetric, DebugInfo, MapInfo};
use serde::Serialize;
use std::{fs, path::PathBuf};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Write into this file
    #[arg(short, long, value_name = "FILE")]
    file: Option<PathBuf>,
    #[command(flatten)]
    output: OutputArgs,
}

impl Args {
    pub fn run(self, context: &Context) -> anyhow::Result<()> {
        let client = context.client()?;
        let report = Report {
            client: version::CLIENT,
            agent: client.debuginfo()?,
            maps: client.maps()?,
            counters: client.bpf_metrics()?,
        };
        let Some(file) = self.file else { return self.output.print(&context.page, &report) };
        let text = if self.output.is_data() { json(&report)? } else { report.text(&Page::plain()) };
        fs::write(&file, text).with_context(|| format!("cannot write {}", file.display()))?;
        emit(&format!("{}\n", file.display()))?;
        Ok(())
    }
}

#[derive(Debug, Serialize)]
struct Report {
    client: &'static str,
    #[serde(flatten)]
    agent: DebugInfo,
    maps: Vec<MapInfo>,
    counters: Vec<BpfMetric>,
}

impl View for Report {
    /// Markdown, so that it can go into a fault report as it is.
    fn text(&self, _: &Page) -> String {
        let mut text = String::from("# Ciliate debug information\n\n");
        let mut section = |title: &str, body: &str| {
            text.push_str(&format!("## {title}\n\n```\n{}\n```\n\n", body.trim_end()));
        };
        section("Client", self.client);
        section("Status", &pretty(&self.agent.status));
        let settings: Vec<String> = self
            .agent
            .config
            .iter()
            .map(|row| format!("{}: {} ({})", row.name, row.value, row.origin))
            .collect();
        section("Settings", &settings.join("\n"));
        for (name, rows) in &self.agent.tables {
            let rows: Vec<String> = rows.iter().map(ToString::to_string).collect();
            section(&format!("Table {name}"), &rows.join("\n"));
        }
        section("Maps", &pretty(&self.maps));
        section("Counters", &pretty(&self.counters));
        section("Metrics", &self.agent.metrics);
        text
    }
}

fn pretty<T: Serialize>(model: &T) -> String {
    json(model).unwrap_or_default()
}
