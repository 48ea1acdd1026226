//! `ciliate bpf`: the kernel's maps as they are.

mod connection;
mod policy;

use crate::{
    context::Context,
    endpoint::endpoint,
    output::{OutputArgs, Page, Table, View},
    row,
};
use anyhow::Context as _;
use ciliate_api::{BpfEndpoint, BpfMetric, EndpointRef, IpcacheEntry};
use serde::Serialize;
use std::net::IpAddr;

#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Addresses of endpoints and of the host
    #[command(subcommand, visible_alias = "endpoints")]
    Endpoint(EndpointCommand),
    /// Rules, endpoint by endpoint
    #[command(subcommand)]
    Policy(PolicyCommand),
    /// Connections
    #[command(subcommand)]
    Ct(connection::Command),
    /// Identities by address
    #[command(subcommand)]
    Ipcache(IpcacheCommand),
    /// Packets and bytes by reason and direction
    #[command(subcommand)]
    Metrics(MetricsCommand),
}

#[derive(Debug, clap::Subcommand)]
pub enum EndpointCommand {
    /// List all rows
    #[command(visible_alias = "ls")]
    List(OutputArgs),
    /// Show the row of one address
    Get {
        address: IpAddr,
        #[command(flatten)]
        output: OutputArgs,
    },
}

#[derive(Debug, clap::Subcommand)]
pub enum PolicyCommand {
    /// List the rules of all endpoints
    #[command(visible_alias = "ls")]
    List(OutputArgs),
    /// Show the rules of one endpoint
    Get {
        /// Number, address, NAME or NAMESPACE/NAME
        #[arg(value_parser = endpoint, required_unless_present = "all")]
        endpoint: Option<EndpointRef>,
        /// Of all endpoints
        #[arg(long, conflicts_with = "endpoint")]
        all: bool,
        #[command(flatten)]
        output: OutputArgs,
    },
}

#[derive(Debug, clap::Subcommand)]
pub enum IpcacheCommand {
    /// List all prefixes
    #[command(visible_alias = "ls")]
    List(OutputArgs),
    /// Show the prefix that decides an address
    Get {
        address: IpAddr,
        #[command(flatten)]
        output: OutputArgs,
    },
}

#[derive(Debug, clap::Subcommand)]
pub enum MetricsCommand {
    /// List all counters
    #[command(visible_alias = "ls")]
    List(OutputArgs),
    /// Show the counters of one reason, such as "Policy denied"
    Get {
        reason: String,
        #[command(flatten)]
        output: OutputArgs,
    },
}

impl Command {
    pub fn run(self, context: &Context) -> anyhow::Result<()> {
        match self {
            Self::Endpoint(command) => command.run(context),
            Self::Policy(command) => command.run(context),
            Self::Ct(command) => command.run(context),
            Self::Ipcache(command) => command.run(context),
            Self::Metrics(command) => command.run(context),
        }
    }
}

impl EndpointCommand {
    fn run(self, context: &Context) -> anyhow::Result<()> {
        let mut rows = context.client()?.bpf_endpoints()?;
        match self {
            Self::List(output) => output.print(&context.page, &Endpoints(rows)),
            Self::Get { address, output } => {
                rows.retain(|row| row.address == address);
                rows.first().with_context(|| format!("no endpoint has the address {address}"))?;
                output.print(&context.page, &Endpoints(rows))
            }
        }
    }
}

impl PolicyCommand {
    fn run(self, context: &Context) -> anyhow::Result<()> {
        let client = context.client()?;
        let (entries, output) = match self {
            Self::List(output) => (client.bpf_policy(None)?, output),
            Self::Get { endpoint, output, .. } => (client.bpf_policy(endpoint.as_ref())?, output),
        };
        output.print(&context.page, &policy::Entries(entries))
    }
}

impl IpcacheCommand {
    fn run(self, context: &Context) -> anyhow::Result<()> {
        let client = context.client()?;
        match self {
            Self::List(output) => output.print(&context.page, &Ipcache(client.ipcache()?)),
            Self::Get { address, output } => {
                output.print(&context.page, &Ipcache(vec![client.ipcache_lookup(address)?]))
            }
        }
    }
}

impl MetricsCommand {
    fn run(self, context: &Context) -> anyhow::Result<()> {
        let mut metrics = context.client()?.bpf_metrics()?;
        let output = match self {
            Self::List(output) => output,
            Self::Get { reason, output } => {
                metrics.retain(|metric| metric.reason.eq_ignore_ascii_case(&reason));
                output
            }
        };
        output.print(&context.page, &Metrics(metrics))
    }
}

/// Cilium's layout: the address with port 0, then the row as words.
#[derive(Debug, Serialize)]
#[serde(transparent)]
struct Endpoints(Vec<BpfEndpoint>);

impl View for Endpoints {
    fn text(&self, page: &Page) -> String {
        let rows = self.0.iter().map(|row| {
            let address = match row.address {
                IpAddr::V4(address) => format!("{address}:0"),
                IpAddr::V6(address) => format!("[{address}]:0"),
            };
            let info = match row.local_host {
                true => "(localhost)".to_owned(),
                false => format!(
                    "id={:<5} sec_id={:<5} flags=0x{:04X} ifindex={:<3} mac={} nodemac={}",
                    row.id, row.identity, row.flags, row.ifindex, row.mac, row.node_mac
                ),
            };
            row![address, info]
        });
        Table::new(&["IP ADDRESS", "LOCAL ENDPOINT INFO"]).rows(rows).render(page)
    }
}

#[derive(Debug, Serialize)]
#[serde(transparent)]
struct Ipcache(Vec<IpcacheEntry>);

impl View for Ipcache {
    fn text(&self, page: &Page) -> String {
        let rows =
            self.0.iter().map(|entry| row![entry.cidr.to_string(), format!("identity={}", entry.identity)]);
        Table::new(&["IP PREFIX/ADDRESS", "IDENTITY"]).rows(rows).render(page)
    }
}

#[derive(Debug, Serialize)]
#[serde(transparent)]
struct Metrics(Vec<BpfMetric>);

impl View for Metrics {
    fn text(&self, page: &Page) -> String {
        let rows = self.0.iter().map(|m| row![&m.reason, &m.direction, m.packets, m.bytes]);
        Table::new(&["REASON", "DIRECTION", "PACKETS", "BYTES"]).rows(rows).render(page)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ciliate_types::Identity;

    fn endpoint(address: &str) -> BpfEndpoint {
        BpfEndpoint {
            address: address.parse().unwrap(),
            id: 829,
            identity: Identity::new(4954),
            flags: 0,
            rule_set: 3,
            ifindex: 179,
            mac: "12:8B:D2:8D:C0:05".to_owned(),
            node_mac: "7E:76:A6:B0:AA:60".to_owned(),
            local_host: false,
        }
    }

    /// The layout is a promise, as that of `endpoint list`.
    #[test]
    fn endpoints_look_as_in_cilium() {
        let list =
            Endpoints(vec![endpoint("10.0.0.240"), BpfEndpoint { local_host: true, ..endpoint("fd00::1") }]);
        let expected = "\
IP ADDRESS     LOCAL ENDPOINT INFO
10.0.0.240:0   id=829   sec_id=4954  flags=0x0000 ifindex=179 mac=12:8B:D2:8D:C0:05 nodemac=7E:76:A6:B0:AA:60
[fd00::1]:0    (localhost)
";
        assert_eq!(list.text(&Page::plain()), expected);
    }
}
