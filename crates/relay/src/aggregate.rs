//! Questions to all nodes whose answers are one: how they are, and what they know.

use crate::nodes::{Node, Nodes, State};
use ciliate_hubble::{
    UInt32Value,
    observer::{
        self, GetNamespacesRequest, GetNamespacesResponse, GetNodesResponse, Namespace, ServerStatusRequest,
        ServerStatusResponse, Tls, observer_client::ObserverClient,
    },
    relay::NodeState,
};
use std::{collections::BTreeSet, time::Duration};
use tokio::{task::JoinSet, time::timeout};
use tonic::{Code, Response, Status, transport::Channel};

/// Names of nodes that do not answer are for people, and told only so many.
const MOST_NAMES: usize = 10;

/// What a node answered; none if there is no connection to it.
type Answers<T> = Vec<(String, Node, Option<Result<T, Status>>)>;

async fn ask<T, F>(
    nodes: &Nodes,
    patience: Duration,
    question: impl Fn(ObserverClient<Channel>) -> F,
) -> Answers<T>
where
    T: Send + 'static,
    F: Future<Output = Result<Response<T>, Status>> + Send + 'static,
{
    let mut tasks = JoinSet::new();
    for (name, node) in nodes.table().iter() {
        let (name, node) = (name.clone(), node.clone());
        let asked = node.link().map(|link| question(ObserverClient::new(link.channel.clone())));
        tasks.spawn(async move {
            let answer = match asked {
                None => None,
                Some(asked) => Some(match timeout(patience, asked).await {
                    Ok(answer) => answer.map(Response::into_inner),
                    Err(_) => {
                        let seconds = patience.as_secs_f32();
                        Err(Status::deadline_exceeded(format!("no answer within {seconds} s")))
                    }
                }),
            };
            (name, node, answer)
        });
    }
    let mut answers = tasks.join_all().await;
    answers.sort_by(|a, b| a.0.cmp(&b.0));
    answers
}

async fn statuses(nodes: &Nodes, patience: Duration) -> Answers<ServerStatusResponse> {
    ask(nodes, patience, |mut client| async move { client.server_status(ServerStatusRequest {}).await }).await
}

/// The sums of all nodes; the uptime is that of the oldest.
pub async fn status(nodes: &Nodes, patience: Duration) -> ServerStatusResponse {
    let mut sum = ServerStatusResponse { version: crate::version(), ..ServerStatusResponse::default() };
    let (mut connected, mut unavailable) = (0_u32, 0_u32);
    for (name, _, answer) in statuses(nodes, patience).await {
        match answer {
            Some(Ok(one)) => {
                connected = connected.saturating_add(1);
                sum.num_flows = sum.num_flows.saturating_add(one.num_flows);
                sum.max_flows = sum.max_flows.saturating_add(one.max_flows);
                sum.seen_flows = sum.seen_flows.saturating_add(one.seen_flows);
                sum.uptime_ns = sum.uptime_ns.max(one.uptime_ns);
                sum.flows_rate += one.flows_rate;
            }
            // An older version has flows, and does not say how many.
            Some(Err(status)) if status.code() == Code::Unimplemented => {
                connected = connected.saturating_add(1);
            }
            Some(Err(_)) | None => {
                unavailable = unavailable.saturating_add(1);
                if sum.unavailable_nodes.len() < MOST_NAMES {
                    sum.unavailable_nodes.push(name);
                }
            }
        }
    }
    sum.num_connected_nodes = Some(UInt32Value { value: connected });
    sum.num_unavailable_nodes = Some(UInt32Value { value: unavailable });
    sum
}

pub async fn nodes(nodes: &Nodes, patience: Duration) -> GetNodesResponse {
    let answers = statuses(nodes, patience).await;
    GetNodesResponse {
        nodes: answers.into_iter().map(|(name, node, answer)| of_node(name, &node, answer)).collect(),
    }
}

fn of_node(
    name: String,
    node: &Node,
    answer: Option<Result<ServerStatusResponse, Status>>,
) -> observer::Node {
    let told = observer::Node {
        name,
        address: node.peer.address.to_string(),
        tls: Some(Tls {
            enabled: node.server_name.is_some(),
            server_name: node.server_name.clone().unwrap_or_default(),
        }),
        ..observer::Node::default()
    };
    let (state, status) = match answer {
        None => (NodeState::NodeUnavailable, None),
        Some(Ok(status)) => (NodeState::NodeConnected, Some(status)),
        Some(Err(status)) if status.code() == Code::Unimplemented => (NodeState::NodeConnected, None),
        Some(Err(_)) => (NodeState::NodeError, None),
    };
    let status = status.unwrap_or_default();
    observer::Node {
        state: state.into(),
        version: status.version,
        uptime_ns: status.uptime_ns,
        num_flows: status.num_flows,
        max_flows: status.max_flows,
        seen_flows: status.seen_flows,
        ..told
    }
}

/// Those of all nodes that answer, each once, by cluster and name.
pub async fn namespaces(nodes: &Nodes, patience: Duration) -> GetNamespacesResponse {
    let question = |mut client: ObserverClient<Channel>| async move {
        client.get_namespaces(GetNamespacesRequest {}).await
    };
    let mut found = BTreeSet::new();
    for (name, _, answer) in ask(nodes, patience, question).await {
        match answer {
            Some(Ok(answer)) => {
                found.extend(answer.namespaces.into_iter().map(|one| (one.cluster, one.namespace)));
            }
            Some(Err(status)) => {
                tracing::warn!(node = name, %status, "it does not say which namespaces it knows")
            }
            None => {}
        }
    }
    let namespaces = found.into_iter().map(|(cluster, namespace)| Namespace { cluster, namespace });
    GetNamespacesResponse { namespaces: namespaces.collect() }
}

/// Whether any node can be asked.
pub fn any_connected(nodes: &Nodes) -> bool {
    nodes.table().values().any(|node| matches!(node.state, State::Connected(_)))
}
