//! What is shown of flows and events, in the forms of `hubble observe`.

mod event;
mod flow;
mod notice;
mod status;

pub use flow::named;
use notice::Notices;
pub use status::{duration, grouped};

use super::moment::TimeFormat;
use crate::output::Page;
use ciliate_hubble::observer::{
    GetAgentEventsResponse, GetDebugEventsResponse, GetFlowsResponse, ServerStatusResponse,
    get_flows_response::ResponseTypes,
};
use serde::Serialize;
use std::fmt::Write as _;

/// `-o`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// One line each
    #[default]
    Compact,
    /// Several lines each, with names in front
    Dict,
    /// One JSON object a line, as the server sent it
    #[value(alias = "jsonpb", alias = "JSON")]
    Json,
    /// Aligned columns, once everything is there
    #[value(alias = "tab")]
    Table,
}

/// How flows and events are printed.
#[derive(Clone, Debug, clap::Args)]
pub struct FormatFlags {
    /// How to print
    #[arg(
        short,
        long,
        value_enum,
        default_value = "compact",
        hide_default_value = true,
        help_heading = "Format"
    )]
    pub output: Format,
    /// Also the node that saw it
    #[arg(long, help_heading = "Format")]
    pub print_node_name: bool,
    /// Also the policies that decided, with verdicts of policies
    #[arg(long, help_heading = "Format")]
    pub print_policy_names: bool,
    /// How to print times, which are in UTC
    #[arg(
        long,
        value_enum,
        ignore_case = true,
        default_value = "StampMilli",
        hide_default_value = true,
        help_heading = "Format"
    )]
    pub time_format: TimeFormat,
}

/// Names or addresses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Hosts {
    /// Pods, services and servers by name.
    #[default]
    Named,
    Numeric,
}

/// Turns answers into text; a table comes out at the end.
pub struct Printer {
    pub flags: FormatFlags,
    pub hosts: Hosts,
    pub colour: bool,
    notices: Notices,
    printed: usize,
    rows: Vec<Vec<String>>,
}

/// Between two things of several lines.
const SEPARATOR: &str = "------------\n";

/// Where a text belongs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    Flows(String),
    /// About the nodes: on standard error, so that flows stay alone.
    Notice(String),
}

#[derive(Clone, Copy)]
enum Tint {
    Red = 31,
    Green = 32,
    Yellow = 33,
    Magenta = 35,
    Cyan = 36,
}

/// One thing in fields: the name in front in `dict`, and the column in `table`.
struct Field {
    name: &'static str,
    text: String,
}

impl Printer {
    pub fn new(flags: FormatFlags, hosts: Hosts, page: &Page) -> Self {
        let colour = page.colour && flags.output != Format::Table;
        Self { flags, hosts, colour, notices: Notices::Mistakes, printed: 0, rows: Vec::new() }
    }

    /// Says also which nodes come and go.
    pub fn with_all_notices(self) -> Self {
        Self { notices: Notices::All, ..self }
    }

    pub fn flows(&mut self, answer: &GetFlowsResponse) -> anyhow::Result<Output> {
        Ok(Output::Flows(match &answer.response_types {
            Some(ResponseTypes::NodeStatus(event)) => return self.node_status(answer, event),
            _ if self.flags.output == Format::Json => line(answer)?,
            Some(ResponseTypes::Flow(flow)) => match self.flags.output {
                Format::Compact => self.compact(flow),
                Format::Dict | Format::Table | Format::Json => {
                    let fields = self.fields(flow);
                    self.fielded(&flow.node_name, flow.time.as_ref(), fields)
                }
            },
            Some(ResponseTypes::LostEvents(lost)) => self.lost(answer, lost),
            None => String::new(),
        }))
    }

    pub fn agent_event(&mut self, answer: &GetAgentEventsResponse) -> anyhow::Result<String> {
        let Some(event) = answer.agent_event.as_ref() else { return Ok(String::new()) };
        let (kind, details) = (event.r#type().as_str_name(), event::details(event, self.flags.time_format));
        Ok(match self.flags.output {
            Format::Json => line(answer)?,
            Format::Compact => {
                format!("{}: {kind} ({details})\n", self.when(answer.time.as_ref(), &answer.node_name))
            }
            Format::Dict | Format::Table => {
                let fields = vec![field("TYPE", kind), field("DETAILS", details)];
                self.fielded(&answer.node_name, answer.time.as_ref(), fields)
            }
        })
    }

    pub fn debug_event(&mut self, answer: &GetDebugEventsResponse) -> anyhow::Result<String> {
        let Some(event) = answer.debug_event.as_ref() else { return Ok(String::new()) };
        let kind = event.r#type().as_str_name();
        let (from, mark, cpu) =
            (event::endpoint(event.source.as_ref()), event::mark(event.hash), event::cpu(event.cpu));
        let message = escaped(&event.message);
        Ok(match self.flags.output {
            Format::Json => line(answer)?,
            Format::Compact => {
                let when = self.when(answer.time.as_ref(), &answer.node_name);
                format!("{when}: {from} {kind} MARK: {mark} CPU: {cpu} ({message})\n")
            }
            Format::Dict | Format::Table => {
                let fields = match self.flags.output {
                    Format::Table => vec![
                        field("FROM", from),
                        field("", ""),
                        field("TYPE", kind),
                        field("CPU/MARK", format!("{cpu} {mark}")),
                        field("MESSAGE", message),
                    ],
                    Format::Dict | Format::Compact | Format::Json => vec![
                        field("TYPE", kind),
                        field("FROM", from),
                        field("MARK", mark),
                        field("CPU", cpu),
                        field("MESSAGE", message),
                    ],
                };
                self.fielded(&answer.node_name, answer.time.as_ref(), fields)
            }
        })
    }

    /// Several ways to say how a server is.
    pub fn server_status(&self, status: &ServerStatusResponse) -> anyhow::Result<String> {
        match self.flags.output {
            Format::Json => line(status),
            Format::Compact => Ok(status::compact(status)),
            Format::Dict => Ok(status::dict(status)),
            Format::Table => Ok(table(&status::rows(status))),
        }
    }

    /// What was held back for a table.
    pub fn finish(&mut self) -> String {
        table(&std::mem::take(&mut self.rows))
    }

    /// Time and, if wanted, node.
    fn when(&self, time: Option<&ciliate_hubble::Timestamp>, node: &str) -> String {
        let time = self.flags.time_format.print(time);
        match self.flags.print_node_name {
            true => format!("{time} [{}]", escaped(node)),
            false => time,
        }
    }

    fn fielded(
        &mut self,
        node: &str,
        time: Option<&ciliate_hubble::Timestamp>,
        fields: Vec<Field>,
    ) -> String {
        let mut all = vec![field("TIMESTAMP", self.flags.time_format.print(time))];
        if self.flags.print_node_name {
            all.push(field("NODE", escaped(node)));
        }
        all.extend(fields);
        if self.flags.output == Format::Table {
            if self.rows.is_empty() {
                self.rows.push(all.iter().map(|field| field.name.to_owned()).collect());
            }
            self.rows.push(all.into_iter().map(|field| field.text).collect());
            return String::new();
        }
        self.lines(all)
    }

    /// A line for each, apart from what was printed before.
    fn lines(&mut self, fields: Vec<Field>) -> String {
        let mut text = if self.printed > 0 { SEPARATOR.to_owned() } else { String::new() };
        self.printed = self.printed.saturating_add(1);
        for Field { name, text: content } in fields {
            // Writing to a string does not fail.
            let _ = writeln!(text, "{name:>11}: {content}");
        }
        text
    }

    fn paint(&self, text: &str, tint: Tint) -> String {
        match self.colour {
            true => format!("\u{1b}[{}m{text}\u{1b}[0m", tint as u8),
            false => text.to_owned(),
        }
    }
}

fn field(name: &'static str, text: impl Into<String>) -> Field {
    Field { name, text: text.into() }
}

fn line(answer: &impl Serialize) -> anyhow::Result<String> {
    Ok(serde_json::to_string(answer)? + "\n")
}

/// What others wrote must not steer the terminal.
pub fn escaped(text: &str) -> String {
    match text.contains(char::is_control) {
        false => text.to_owned(),
        true => text
            .chars()
            .map(|c| if c.is_control() { c.escape_default().to_string() } else { c.to_string() })
            .collect(),
    }
}

/// Columns with three blanks between; the last is as long as it is.
pub fn table(rows: &[Vec<String>]) -> String {
    let width = |column: usize| {
        rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut text = String::new();
    for row in rows {
        for (at, (cell, width)) in row.iter().zip(&widths).enumerate() {
            let last = at.saturating_add(1) == row.len();
            let _ = if last { write!(text, "{cell}") } else { write!(text, "{cell:width$}   ") };
        }
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests;
