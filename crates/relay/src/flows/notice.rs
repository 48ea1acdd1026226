//! What a relay itself says of nodes in a stream of flows.

use crate::answer::{Answer, Moment};
use ciliate_hubble::{
    observer::{GetFlowsResponse, get_flows_response::ResponseTypes},
    relay::{NodeState, NodeStatusEvent},
};
use std::time::{Duration, Instant};

/// Says how nodes are, in the relay's name.
#[derive(Clone, Debug)]
pub struct Notices {
    relay: String,
    window: Duration,
    /// Errors with one message that are told together.
    pending: Option<Pending>,
}

#[derive(Clone, Debug)]
struct Pending {
    message: String,
    nodes: Vec<String>,
    since: Instant,
}

impl Notices {
    /// Errors wait for others of the same kind for the length of the window.
    pub fn new(relay: String, window: Duration) -> Self {
        Self { relay, window, pending: None }
    }

    /// None where there are no nodes.
    pub fn state(&self, state: NodeState, nodes: Vec<String>) -> Option<Answer> {
        (!nodes.is_empty()).then(|| self.event(state, nodes, String::new()))
    }

    /// An error of a node; what it returns is to be told now.
    pub fn error(&mut self, node: &str, message: &str, now: Instant) -> Option<Answer> {
        if let Some(pending) = &mut self.pending
            && pending.message == message
        {
            if !pending.nodes.iter().any(|known| known == node) {
                pending.nodes.push(node.to_owned());
            }
            return None;
        }
        let before = self.flush();
        self.pending =
            Some(Pending { message: message.to_owned(), nodes: vec![node.to_owned()], since: now });
        before
    }

    /// When errors that wait are to be told.
    pub fn due(&self) -> Option<Instant> {
        self.pending.as_ref()?.since.checked_add(self.window)
    }

    /// The errors that wait.
    pub fn flush(&mut self) -> Option<Answer> {
        let Pending { message, nodes, .. } = self.pending.take()?;
        Some(self.event(NodeState::NodeError, nodes, message))
    }

    fn event(&self, state: NodeState, node_names: Vec<String>, message: String) -> Answer {
        let status = NodeStatusEvent { state_change: state.into(), node_names, message };
        Answer::of(&GetFlowsResponse {
            node_name: self.relay.clone(),
            time: Some(Moment::now().timestamp()),
            response_types: Some(ResponseTypes::NodeStatus(status)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use prost::Message as _;

    fn status(answer: Option<Answer>) -> Option<(Vec<String>, String)> {
        let message = GetFlowsResponse::decode(answer?.bytes).expect("a message");
        assert_eq!(message.node_name, "relay");
        match message.response_types {
            Some(ResponseTypes::NodeStatus(status)) => Some((status.node_names, status.message)),
            other => panic!("no status: {other:?}"),
        }
    }

    #[test]
    fn equal_errors_are_told_together() {
        let now = Instant::now();
        let mut notices = Notices::new("relay".to_owned(), Duration::from_secs(10));
        assert_eq!(notices.due(), None);
        assert_eq!(notices.error("a", "away", now), None);
        assert_eq!(notices.error("b", "away", now), None);
        assert_eq!(notices.error("a", "away", now), None);
        assert_eq!(notices.due(), now.checked_add(Duration::from_secs(10)));
        let first = notices.error("c", "full", now);
        assert_eq!(status(first), Some((vec!["a".to_owned(), "b".to_owned()], "away".to_owned())));
        assert_eq!(status(notices.flush()), Some((vec!["c".to_owned()], "full".to_owned())));
        assert_eq!(status(notices.flush()), None);
        assert_eq!(notices.state(NodeState::NodeConnected, Vec::new()), None);
    }
}
