//! `ciliate monitor`: what the kernel, the proxy and the agent report, as it happens.

mod line;
mod request;

use crate::{
    context::Context,
    endpoint::endpoint,
    exit::{Code, Failure},
    output::emit,
};
use ciliate_api::{Client, EndpointRef, EventKind, MonitorFilter};
use ciliate_types::EndpointId;
use std::io::{IsTerminal, stderr};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Only events of this type: drop, trace, policy-verdict, l7, agent, lost. May be repeated
    #[arg(short = 't', long = "type", value_name = "TYPE", value_delimiter = ',')]
    types: Vec<EventKind>,
    /// Only what this endpoint sends, receives or judges. May be repeated
    #[arg(long, value_name = "ENDPOINT", value_delimiter = ',', value_parser = endpoint)]
    related_to: Vec<EndpointRef>,
    /// Only what this endpoint sends. May be repeated
    #[arg(long, value_name = "ENDPOINT", value_delimiter = ',', value_parser = endpoint)]
    from: Vec<EndpointRef>,
    /// Only what this endpoint receives. May be repeated
    #[arg(long, value_name = "ENDPOINT", value_delimiter = ',', value_parser = endpoint)]
    to: Vec<EndpointRef>,
    /// One JSON object a line
    #[arg(short, long)]
    json: bool,
    /// Also the first bytes of each packet
    #[arg(long)]
    hex: bool,
    /// Also time, names and labels of both sides, and the rule's description
    #[arg(short, long)]
    verbose: bool,
    /// End after this many events
    #[arg(long, value_name = "NUMBER")]
    last: Option<usize>,
}

impl Args {
    pub fn run(self, context: &Context) -> anyhow::Result<()> {
        let client = context.client()?;
        let filter = MonitorFilter {
            types: self.types,
            related_to: numbers(&client, &self.related_to)?,
            from: numbers(&client, &self.from)?,
            to: numbers(&client, &self.to)?,
            hex: self.hex,
        };
        let stream = client.monitor(&filter)?;
        if stderr().is_terminal() && !self.json {
            eprintln!("Listening for events. Press Ctrl-C to quit.");
        }
        let detail = if self.verbose { line::Detail::Verbose } else { line::Detail::Usual };
        for event in stream.take(self.last.unwrap_or(usize::MAX)) {
            let event = event?;
            match self.json {
                true => emit(&format!("{}\n", serde_json::to_string(&event)?))?,
                false => emit(&line::event(&event, detail, &context.page))?,
            }
        }
        match self.last {
            Some(_) => Ok(()),
            None => Err(Failure::new(Code::NotRunning, "the agent has ended").into()),
        }
    }
}

/// Filters go by number, so names are looked up once.
fn numbers(client: &Client, endpoints: &[EndpointRef]) -> anyhow::Result<Vec<EndpointId>> {
    let number = |endpoint: &EndpointRef| match endpoint {
        EndpointRef::Id(id) => Ok(*id),
        EndpointRef::Name { .. } | EndpointRef::Address(_) | EndpointRef::Container { .. } => {
            Ok(client.endpoint(endpoint)?.id)
        }
    };
    endpoints.iter().map(number).collect()
}
