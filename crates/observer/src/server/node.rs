//! `ServerStatus`, `GetNodes` and `GetNamespaces` of one node.

use super::turn::Turn;
use crate::{Observer, log::Step};
use ciliate_hubble::{
    observer::{GetNamespacesResponse, GetNodesResponse, Namespace, Node, ServerStatusResponse},
    relay::NodeState,
};
use std::collections::BTreeSet;

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Flows from which their rate is told.
const RATED: u64 = 4096;

pub fn status(observer: &Observer) -> ServerStatusResponse {
    let log = observer.flows();
    ServerStatusResponse {
        num_flows: log.kept(),
        max_flows: log.capacity(),
        seen_flows: log.seen(),
        uptime_ns: uptime(observer),
        num_connected_nodes: None,
        num_unavailable_nodes: None,
        unavailable_nodes: Vec::new(),
        version: format!("ciliate {VERSION}"),
        flows_rate: rate(observer),
    }
}

pub fn nodes(observer: &Observer) -> GetNodesResponse {
    let log = observer.flows();
    let node = Node {
        name: observer.node().name.clone(),
        version: format!("ciliate {VERSION}"),
        address: String::new(),
        state: NodeState::NodeConnected.into(),
        tls: None,
        uptime_ns: uptime(observer),
        num_flows: log.kept(),
        max_flows: log.capacity(),
        seen_flows: log.seen(),
    };
    GetNodesResponse { nodes: vec![node] }
}

/// Those of the flows that are kept.
pub async fn namespaces(observer: &Observer) -> GetNamespacesResponse {
    let log = observer.flows();
    let mut cursor = log.cursor(log.oldest());
    let mut found = BTreeSet::new();
    let mut turn = Turn::new();
    loop {
        match cursor.next() {
            Step::End => break,
            Step::Lost(_) => {}
            Step::Entry(flow) => {
                for party in [&flow.source.party, &flow.destination.party] {
                    let seen = (party.cluster.as_str(), party.namespace.as_str());
                    if !party.namespace.is_empty()
                        && !found.iter().any(|(c, n): &(String, String)| (c.as_str(), n.as_str()) == seen)
                    {
                        found.insert((party.cluster.clone(), party.namespace.clone()));
                    }
                }
            }
        }
        turn.pass().await;
    }
    let namespaces = found.into_iter().map(|(cluster, namespace)| Namespace { cluster, namespace });
    GetNamespacesResponse { namespaces: namespaces.collect() }
}

fn uptime(observer: &Observer) -> u64 {
    u64::try_from(observer.begun.elapsed().as_nanos()).unwrap_or(u64::MAX)
}

/// Flows a second, over the last ones that are kept.
#[expect(clippy::cast_precision_loss, reason = "a rate for people")]
fn rate(observer: &Observer) -> f64 {
    let log = observer.flows();
    let seen = log.seen();
    let first = seen.saturating_sub(RATED).max(log.oldest());
    let mut cursor = log.cursor(first);
    let Step::Entry(oldest) = cursor.next() else { return 0.0 };
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    let seconds = now.as_secs_f64() - oldest.time.0 as f64 / 1e9;
    match seconds > 0.0 {
        true => seen.saturating_sub(first) as f64 / seconds,
        false => 0.0,
    }
}
