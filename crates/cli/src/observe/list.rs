//! `ciliate hubble list`: nodes and namespaces that a server knows.

use super::{
    print::table,
    server::{self, ServerFlags},
};
use crate::{
    context::Context,
    output::{emit, json},
};
use ciliate_hubble::{
    observer::{GetNamespacesRequest, GetNodesRequest, Namespace, Node},
    relay::NodeState,
};
use std::time::Duration;

#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Nodes with how many flows they have
    #[command(visible_alias = "node")]
    Nodes(Args),
    /// Namespaces that were seen in flows lately
    #[command(visible_aliases = ["namespace", "ns"])]
    Namespaces(Args),
}

#[derive(Debug, clap::Args)]
pub struct Args {
    /// How to print
    #[arg(short, long, value_enum, default_value = "table", hide_default_value = true)]
    output: Format,
    #[command(flatten)]
    server: ServerFlags,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    #[default]
    Table,
    /// With version, address and TLS, or with clusters
    Wide,
    Json,
}

impl Command {
    pub fn run(self, context: &Context) -> anyhow::Result<()> {
        server::run(async {
            match self {
                Self::Nodes(Args { output, server }) => {
                    let server = server.connect(context).await?;
                    let mut client = server.observer();
                    let mut nodes = server.answer(client.get_nodes(GetNodesRequest {})).await?.nodes;
                    nodes.sort_by(|a, b| a.name.cmp(&b.name));
                    emit(&if output == Format::Json {
                        json(&nodes)?
                    } else {
                        table(&of_nodes(&nodes, output))
                    })?;
                }
                Self::Namespaces(Args { output, server }) => {
                    let server = server.connect(context).await?;
                    let mut client = server.observer();
                    let found =
                        server.answer(client.get_namespaces(GetNamespacesRequest {})).await?.namespaces;
                    emit(&if output == Format::Json { json(&found)? } else { of_namespaces(found, output) })?;
                }
            }
            Ok(())
        })
    }
}

fn of_nodes(nodes: &[Node], format: Format) -> Vec<Vec<String>> {
    let mut titles = vec!["NAME", "STATUS", "AGE", "FLOWS/S", "CURRENT/MAX-FLOWS"];
    if format == Format::Wide {
        titles.extend(["VERSION", "ADDRESS", "TLS"]);
    }
    let mut rows = vec![titles.into_iter().map(str::to_owned).collect()];
    rows.extend(nodes.iter().map(|node| of_node(node, format)));
    rows
}

fn of_node(node: &Node, format: Format) -> Vec<String> {
    let missing = || "N/A".to_owned();
    let uptime = Duration::from_nanos(node.uptime_ns).as_secs();
    let state = match node.state() {
        NodeState::NodeConnected => "Connected",
        NodeState::NodeUnavailable => "Unavailable",
        NodeState::NodeGone => "Gone",
        NodeState::NodeError => "Error",
        NodeState::UnknownNodeState => "Unknown",
    };
    #[expect(clippy::cast_precision_loss, reason = "for people")]
    let rate = |seconds: u64| format!("{:.2}", node.seen_flows as f64 / seconds as f64);
    #[expect(clippy::cast_precision_loss, reason = "for people")]
    let share = |most: u64| {
        format!("{}/{most} ({:6.2}%)", node.num_flows, node.num_flows as f64 / most as f64 * 100.0)
    };
    let mut row = vec![
        node.name.clone(),
        state.to_owned(),
        if uptime > 0 { super::print::duration(node.uptime_ns) } else { missing() },
        if uptime > 0 { rate(uptime) } else { missing() },
        if node.max_flows > 0 { share(node.max_flows) } else { missing() },
    ];
    if format == Format::Wide {
        row.push(if node.version.is_empty() { missing() } else { node.version.clone() });
        row.push(node.address.clone());
        row.push(match &node.tls {
            Some(tls) if tls.enabled => "Enabled".to_owned(),
            Some(_) => "Disabled".to_owned(),
            None => missing(),
        });
    }
    row
}

fn of_namespaces(mut found: Vec<Namespace>, format: Format) -> String {
    found.sort_by(|a, b| (&a.cluster, &a.namespace).cmp(&(&b.cluster, &b.namespace)));
    let row = |namespace: String, cluster: String| match format {
        Format::Wide => vec![namespace, cluster],
        Format::Table | Format::Json => vec![namespace],
    };
    let mut rows = vec![row("NAMESPACE".to_owned(), "CLUSTER".to_owned())];
    rows.extend(found.into_iter().map(|one| row(one.namespace, one.cluster)));
    table(&rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_in_a_table() {
        let node = Node {
            name: "n1".to_owned(),
            version: "0.1.0".to_owned(),
            address: "10.0.0.1:4244".to_owned(),
            state: NodeState::NodeConnected.into(),
            uptime_ns: 100_000_000_000,
            num_flows: 512,
            max_flows: 4095,
            seen_flows: 1234,
            ..Node::default()
        };
        let expected = "\
NAME   STATUS      AGE     FLOWS/S   CURRENT/MAX-FLOWS    VERSION   ADDRESS         TLS
n1     Connected   1m40s   12.34     512/4095 ( 12.50%)   0.1.0     10.0.0.1:4244   N/A
n2     Unknown     N/A     N/A       N/A                  N/A                       N/A
";
        let other = Node { name: "n2".to_owned(), ..Node::default() };
        assert_eq!(table(&of_nodes(&[node, other], Format::Wide)), expected);
    }
}
