//! `ciliate bpf ct`: the kernel's connections.

use crate::{
    context::Context,
    endpoint::endpoint,
    output::{OutputArgs, Page, View},
};
use ciliate_api::{Connection, ConnectionFilter, EndpointRef, Flushed};
use serde::Serialize;
use std::net::{IpAddr, SocketAddr};

#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// List connections
    #[command(visible_alias = "ls")]
    List(Args),
    /// List the connections of one endpoint
    Get(Args),
    /// Forget connections; the next packet of each is judged anew
    Flush(Args),
}

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Number, address, NAME or NAMESPACE/NAME; `global` for all
    #[arg(value_parser = endpoint)]
    endpoint: Option<EndpointRef>,
    #[command(flatten)]
    output: OutputArgs,
}

impl Args {
    fn filter(&self) -> ConnectionFilter {
        let global = EndpointRef::Name { namespace: "default".to_owned(), name: "global".to_owned() };
        let endpoint = self.endpoint.as_ref().filter(|e| **e != global);
        ConnectionFilter { endpoint: endpoint.map(ToString::to_string) }
    }
}

impl Command {
    pub fn run(self, context: &Context) -> anyhow::Result<()> {
        let client = context.client()?;
        match self {
            Self::List(args) | Self::Get(args) => {
                let connections = client.connections(&args.filter())?;
                args.output.print(&context.page, &Connections(connections))
            }
            Self::Flush(args) => {
                let flushed = client.flush_connections(&args.filter())?;
                args.output.print(&context.page, &FlushedView(flushed))
            }
        }
    }
}

#[derive(Debug, Serialize)]
#[serde(transparent)]
struct Connections(Vec<Connection>);

impl View for Connections {
    fn text(&self, _: &Page) -> String {
        self.0.iter().map(line).collect()
    }
}

/// One connection as Cilium lists it.
fn line(connection: &Connection) -> String {
    let tuple = &connection.tuple;
    let peer = |address: IpAddr, port: u16| SocketAddr::new(address, port);
    let identity = connection.source_identity.map_or(String::new(), |id| format!(" SourceSecurityID={id}"));
    format!(
        "{} {} -> {} expires={} TxPackets={} TxBytes={} RxPackets={} RxBytes={} State={} Flags=[ {} ]{identity}\n",
        tuple.protocol,
        peer(tuple.source, tuple.source_port),
        peer(tuple.destination, tuple.destination_port),
        connection.expires_seconds,
        connection.sent.packets,
        connection.sent.bytes,
        connection.received.packets,
        connection.received.bytes,
        connection.state,
        connection.flags,
    )
}

#[derive(Debug, Serialize)]
#[serde(transparent)]
struct FlushedView(Flushed);

impl View for FlushedView {
    fn text(&self, _: &Page) -> String {
        format!("{} connections forgotten\n", self.0.entries)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ciliate_api::{Carried, ConnectionTuple};
    use ciliate_types::{Identity, Protocol};

    #[test]
    fn a_connection_is_a_line() {
        let connection = Connection {
            tuple: ConnectionTuple {
                protocol: Protocol::TCP,
                source: "fd00::1".parse().unwrap(),
                source_port: 3434,
                destination: "fd00::2".parse().unwrap(),
                destination_port: 80,
            },
            state: "established".to_owned(),
            expires_seconds: 7999,
            source_identity: Some(Identity::new(31995)),
            flags: "SeenNonSyn".to_owned(),
            destination_identity: None,
            egress_rule: None,
            ingress_rule: Some(7),
            sent: Carried { packets: 3, bytes: 180 },
            received: Carried { packets: 2, bytes: 120 },
        };
        assert_eq!(
            line(&connection),
            "TCP [fd00::1]:3434 -> [fd00::2]:80 expires=7999 TxPackets=3 TxBytes=180 RxPackets=2 RxBytes=120 \
             State=established Flags=[ SeenNonSyn ] SourceSecurityID=31995\n"
        );
    }

    #[test]
    fn global_means_all() {
        let filter = |text: &str| {
            Args { endpoint: text.parse().ok(), output: OutputArgs::default() }.filter().endpoint
        };
        assert_eq!(filter("global"), None);
        assert_eq!(filter("65"), Some("65".to_owned()));
    }
}
