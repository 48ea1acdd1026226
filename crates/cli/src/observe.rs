//! `ciliate observe`: flows and events of a server of Hubble's interface, or from a file.

mod events;
pub mod flags;
mod input;
pub mod list;
pub mod moment;
pub mod print;
mod question;
pub mod raw_filter;
mod select;
pub mod server;
mod why;
pub mod words;

use crate::{
    context::Context,
    output::{Page, emit},
};
use ciliate_flow::Mask;
use ciliate_hubble::{
    FieldMask,
    observer::{GetFlowsRequest, GetFlowsResponse},
};
use print::{Format, FormatFlags, Hosts, Output, Printer};
use raw_filter::{Filters, RawFilters, usage};
use select::{SelectFlags, Selection, Source};
use server::ServerFlags;
use std::path::PathBuf;

#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
#[command(
    after_help = "Values of one flag are alternatives, different flags have to match all; --not turns the next filter around:\n  \
    ciliate observe --from-pod demo/web --verdict DROPPED\n  \
    ciliate observe -f -n demo --not --protocol dns\n  \
    ciliate observe --since 24h --to-port 443 -o json > flows.json; ciliate observe --input-file flows.json --http-status 5+"
)]
pub struct Args {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    flows: FlowArgs,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// The same as without this word
    Flows(Box<FlowArgs>),
    /// What agents did: policies, endpoints, addresses
    AgentEvents(events::Args),
    /// What datapaths say for debugging
    DebugEvents(events::Args),
    /// One flow with all that decided about it
    Why(why::Args),
}

#[derive(Debug, clap::Args)]
pub struct FlowArgs {
    #[command(flatten)]
    select: SelectFlags,
    #[command(flatten)]
    filters: Filters,
    #[command(flatten)]
    format: FormatFlags,
    /// Addresses instead of names
    #[arg(long, help_heading = "Format")]
    numeric: bool,
    /// Names of pods, services and servers instead of addresses
    #[arg(long, value_name = "true|false", num_args(0..=1), require_equals = true, default_value = "true", default_missing_value = "true", action = clap::ArgAction::Set, help_heading = "Format")]
    ip_translation: bool,
    #[command(flatten)]
    server: ServerFlags,
    /// Read flows from a file in JSON, - for standard input
    #[arg(long, value_name = "FILE", help_heading = "Other")]
    input_file: Option<PathBuf>,
    /// Print the filters as messages, and ask nobody
    #[arg(long, help_heading = "Other")]
    print_raw_filters: bool,
    /// Say nothing of nodes that do not answer and lines that are no flows
    #[arg(short, long, help_heading = "Other")]
    silent_errors: bool,
    /// Fields that are wanted, as in time,source.pod_name; for JSON
    #[arg(
        long,
        alias = "experimental-field-mask",
        value_name = "FIELD",
        value_delimiter = ',',
        help_heading = "Other"
    )]
    field_mask: Vec<String>,
    /// Ask only for fields that are printed
    #[arg(long, alias = "experimental-use-default-field-masks", value_name = "true|false", num_args(0..=1), require_equals = true, default_value = "true", default_missing_value = "true", action = clap::ArgAction::Set, help_heading = "Other")]
    use_default_field_masks: bool,
}

/// Fields that lines, dictionaries and tables are made from.
const PRINTED: [&str; 32] = [
    "time",
    "uuid",
    "verdict",
    "drop_reason_desc",
    "auth_type",
    "ethernet.source",
    "ethernet.destination",
    "IP.source",
    "IP.destination",
    "l4",
    "source.identity",
    "source.namespace",
    "source.pod_name",
    "destination.identity",
    "destination.namespace",
    "destination.pod_name",
    "node_name",
    "source_names",
    "destination_names",
    "l7",
    "event_type",
    "source_service",
    "destination_service",
    "traffic_direction",
    "policy_match_type",
    "trace_observation_point",
    "is_reply",
    "debug_capture_point",
    "sock_xlate_point",
    "ip_trace_id",
    "trace_reason",
    "Summary",
];
const PRINTED_POLICIES: [&str; 4] =
    ["egress_allowed_by", "ingress_allowed_by", "egress_denied_by", "ingress_denied_by"];

impl Args {
    pub fn run(self, context: &Context) -> anyhow::Result<()> {
        match self.command {
            None => self.flows.run(context),
            Some(Command::Flows(flows)) => flows.run(context),
            Some(Command::AgentEvents(args)) => args.agent(context),
            Some(Command::DebugEvents(args)) => args.debug(context),
            Some(Command::Why(args)) => args.run(context),
        }
    }
}

impl FlowArgs {
    fn run(self, context: &Context) -> anyhow::Result<()> {
        let source = if self.input_file.is_some() { Source::File } else { Source::Server };
        let selection = self.select.selection(source)?;
        if self.format.output == Format::Table && selection.follow {
            return Err(usage(
                "-o table cannot be combined with --follow: columns are aligned at the end".to_owned(),
            ));
        }
        let filters = self.filters.raw()?;
        let mask = self.mask()?;
        if self.print_raw_filters {
            emit(&filters.yaml()?)?;
            return Ok(());
        }
        let mut out = Sink::new(self.printer(&context.page), self.silent_errors);
        if let Some(path) = &self.input_file {
            let filter = filters.compile()?;
            let mask = Mask::new(&mask)?;
            input::read(&mut *input::open(path)?, &filter, &selection, |line| match line {
                input::Line::Answer(answer) => out.flows(&input::masked(*answer, mask.as_ref())),
                input::Line::Mistake(mistake) => {
                    out.warn(&mistake);
                    Ok(())
                }
            })?;
            return out.finish();
        }
        let request = request(selection, filters, mask);
        self.server.note(|| serde_json::to_string(&request).unwrap_or_default());
        server::run(async {
            let server = self.server.connect(context).await?;
            let stream = server.observer().get_flows(request).await;
            let mut stream = stream.map_err(|status| server.failed(&status))?.into_inner();
            while let Some(answer) = stream.message().await.map_err(|status| server.failed(&status))? {
                out.flows(&answer)?;
            }
            Ok(())
        })?;
        out.finish()
    }

    fn printer(&self, page: &Page) -> Printer {
        let hosts = if self.numeric || !self.ip_translation { Hosts::Numeric } else { Hosts::Named };
        let printer = Printer::new(self.format.clone(), hosts, page);
        if self.server.debug { printer.with_all_notices() } else { printer }
    }

    fn mask(&self) -> anyhow::Result<Vec<String>> {
        let wanted = &self.field_mask;
        let json = self.format.output == Format::Json;
        if !json && !wanted.is_empty() {
            return Err(usage("--field-mask goes with -o json only".to_owned()));
        }
        Mask::new(wanted).map_err(|what| usage(format!("--field-mask: {what}")))?;
        if json || !self.use_default_field_masks {
            return Ok(wanted.clone());
        }
        let policies = PRINTED_POLICIES.iter().filter(|_| self.format.print_policy_names);
        Ok(PRINTED.iter().chain(policies).map(ToString::to_string).collect())
    }
}

fn request(selection: Selection, filters: RawFilters, mask: Vec<String>) -> GetFlowsRequest {
    let Selection { number, first, follow, since, until } = selection;
    GetFlowsRequest {
        number,
        first,
        follow,
        blacklist: filters.deny,
        whitelist: filters.allow,
        since,
        until,
        field_mask: (!mask.is_empty()).then_some(FieldMask { paths: mask }),
        ..GetFlowsRequest::default()
    }
}

/// Prints answers as they come.
struct Sink {
    printer: Printer,
    /// Whether notices are left out.
    silent: bool,
}

impl Sink {
    fn new(printer: Printer, silent: bool) -> Self {
        Self { printer, silent }
    }

    fn flows(&mut self, answer: &GetFlowsResponse) -> anyhow::Result<()> {
        match self.printer.flows(answer)? {
            Output::Flows(text) if !text.is_empty() => emit(&text)?,
            Output::Notice(text) if !self.silent => eprint!("{text}"),
            Output::Flows(_) | Output::Notice(_) => {}
        }
        Ok(())
    }

    fn warn(&self, mistake: &str) {
        if !self.silent {
            eprintln!("warning: {mistake}");
        }
    }

    fn finish(mut self) -> anyhow::Result<()> {
        emit(&self.printer.finish())?;
        Ok(())
    }
}

#[cfg(test)]
mod tests;
