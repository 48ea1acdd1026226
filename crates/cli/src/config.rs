//! `ciliate config`: every setting with its value and where that came from.

use crate::{
    context::Context,
    output::{Cell, Detail, OutputArgs, Page, Table, Tone, View},
    row,
    settings_flags::SettingsFlags,
};
use anyhow::Context as _;
use ciliate_api::{
    ClientError, ConfigPatch, ConfigRow,
    settings::{Change, Setting},
};
use serde::Serialize;

#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Args {
    #[command(subcommand)]
    command: Option<Command>,
    /// NAME=VALUE, as in `config set`
    #[arg(value_name = "NAME=VALUE", value_parser = assignment)]
    assignments: Vec<(String, String)>,
    #[command(flatten)]
    output: OutputArgs,
}

#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Show one setting
    Get {
        name: String,
        #[command(flatten)]
        output: OutputArgs,
    },
    /// Change settings of the running agent, all or none
    Set {
        #[arg(value_name = "NAME=VALUE", value_parser = assignment, required = true)]
        assignments: Vec<(String, String)>,
        #[command(flatten)]
        output: OutputArgs,
    },
}

/// Names that users of Cilium write for settings.
const OTHER_NAMES: [(&str, &str); 4] = [
    ("PolicyAuditMode", "policy-audit-mode"),
    ("PolicyEnforcement", "policy-enforcement"),
    ("MonitorAggregationLevel", "monitor-aggregation"),
    ("enable-policy", "policy-enforcement"),
];

fn own_name(name: &str) -> &str {
    OTHER_NAMES.iter().find(|(other, _)| other.eq_ignore_ascii_case(name)).map_or(name, |(_, own)| own)
}

fn assignment(text: &str) -> Result<(String, String), String> {
    let (name, value) =
        text.split_once('=').ok_or_else(|| format!("{text:?} has no value: write NAME=VALUE"))?;
    let name = own_name(name);
    let setting =
        Setting::find(name).ok_or_else(|| format!("{name:?} is no setting: `ciliate config` lists them"))?;
    let value = match (setting.form, value.to_ascii_lowercase().as_str()) {
        ("true|false", "enabled" | "enable" | "on") => "true".to_owned(),
        ("true|false", "disabled" | "disable" | "off") => "false".to_owned(),
        _ => value.to_owned(),
    };
    let value =
        setting.check(&value).map_err(|expected| format!("{name}={value} is wrong: expected {expected}"))?;
    match setting.change {
        Change::Anytime => Ok((name.to_owned(), value)),
        Change::AtStart => Err(format!(
            "{name} is fixed while the agent runs: set it in the configuration file or as {}, then start the agent again",
            setting.flag()
        )),
    }
}

impl Args {
    pub fn run(self, context: &Context) -> anyhow::Result<()> {
        let (assignments, output) = match self.command {
            Some(Command::Get { name, output }) => return get(context, own_name(&name), &output),
            Some(Command::Set { assignments, output }) => (assignments, output),
            None => (self.assignments, self.output),
        };
        if assignments.is_empty() {
            return output.print(&context.page, &Rows(rows(context)?));
        }
        let names: Vec<String> = assignments.iter().map(|(name, _)| name.clone()).collect();
        let patch = ConfigPatch(assignments.into_iter().collect());
        let mut changed = context.client()?.set_config(&patch)?;
        changed.retain(|row| names.contains(&row.name));
        output.print(&context.page, &Rows(changed))
    }
}

fn get(context: &Context, name: &str, output: &OutputArgs) -> anyhow::Result<()> {
    let mut rows = rows(context)?;
    rows.retain(|row| row.name == name);
    rows.first().with_context(|| format!("{name:?} is no setting: `ciliate config` lists them"))?;
    output.print(&context.page, &Rows(rows))
}

/// The running agent's settings, or those that it would start with.
fn rows(context: &Context) -> anyhow::Result<Vec<ConfigRow>> {
    match context.client()?.config() {
        Ok(rows) => Ok(rows),
        Err(ClientError::Connect { .. }) => {
            eprintln!(
                "The agent does not run: these are the settings that it would start with, besides those that `config set` changed."
            );
            let (resolved, _) = context.settings(&SettingsFlags::default())?;
            Ok(resolved.iter().map(ConfigRow::from).collect())
        }
        Err(error) => Err(error.into()),
    }
}

#[derive(Debug, Serialize)]
#[serde(transparent)]
struct Rows(Vec<ConfigRow>);

impl View for Rows {
    fn text(&self, page: &Page) -> String {
        let mut titles = vec!["SETTING", "VALUE", "ORIGIN"];
        if page.detail == Detail::Wide {
            titles.extend(["CHANGES", "MEANING"]);
        }
        let mut table = Table::new(&titles).wrap("MEANING");
        for row in &self.0 {
            let tone = if row.origin == "default" { Tone::Faint } else { Tone::Plain };
            let mut cells = row![&row.name, &row.value, Cell::toned(&row.origin, tone)];
            if page.detail == Detail::Wide {
                cells.extend(row![if row.runtime { "anytime" } else { "at start" }, &row.help]);
            }
            table.push(cells);
        }
        table.render(page)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn assignments_are_checked_before_anything_is_sent() {
        let pair = |name: &str, value: &str| Ok((name.to_owned(), value.to_owned()));
        assert_eq!(assignment("policy-enforcement=always"), pair("policy-enforcement", "always"));
        assert_eq!(assignment("PolicyAuditMode=Enabled"), pair("policy-audit-mode", "true"));
        for (text, message) in [
            ("policy-enforcement", "has no value"),
            ("policy-enforcement=maybe", "expected one of default|always|never"),
            ("colour=red", "is no setting"),
            ("state-dir=/x", "fixed while the agent runs"),
        ] {
            assert!(assignment(text).is_err_and(|e| e.contains(message)), "{text}");
        }
    }
}
