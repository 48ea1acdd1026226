//! Keeps the flows of a node and answers those who ask for them, as Hubble does.
//!
//! Flows come from one [`log::Writer`] and stay in its [`log::Log`]; everything that looks at flows (clients, metrics, history)
//! has a cursor there of its own.

mod agent_event;
mod keep;
pub mod log;
mod loss;
pub mod metrics;
mod past;
mod server;

pub use agent_event::AgentEntry;
pub use keep::{TURN, keep_history, make_history_files};
pub use loss::{Loss, LossSource, LossWriter, Losses};
pub use server::{Peer, serve};

use ciliate_flow::{Flow, Node, Run, Time};
use ciliate_history::Reader;
use log::{Log, Writer};
use std::{sync::Arc, time::Instant};

/// Agent events that are kept.
const AGENT_EVENTS: u64 = 1023;

/// What a node has seen.
#[derive(Clone)]
pub struct Observer {
    node: Arc<Node>,
    flows: Log<Flow>,
    agent_events: Log<AgentEntry>,
    losses: Losses,
    history: Option<Reader>,
    /// Latest time of what the history had in the beginning.
    earlier: Option<Time>,
    begun: Instant,
}

/// Where a node puts what it sees.
pub struct Inlets {
    pub flows: Writer<Flow>,
    pub agent_events: Writer<AgentEntry>,
    pub losses: LossWriter,
}

impl Observer {
    /// Of a node that keeps its last `capacity` flows in memory, and older ones in a history if there is one.
    #[must_use]
    pub fn new(node: Arc<Node>, run: Run, capacity: u64, history: Option<Reader>) -> (Inlets, Self) {
        let (flows, flow_log) = log::log(run, capacity);
        let (agent_events, agent_log) = log::log(run, AGENT_EVENTS);
        let (loss_writer, losses) = Losses::new(run);
        // Where it cannot be read, whoever asks is told, and so it has to be tried.
        let earlier = history.as_ref().and_then(|history| history.newest().unwrap_or(Some(Time(u64::MAX))));
        let observer = Self {
            node,
            flows: flow_log,
            agent_events: agent_log,
            losses,
            history,
            earlier,
            begun: Instant::now(),
        };
        (Inlets { flows, agent_events, losses: loss_writer }, observer)
    }

    #[must_use]
    pub fn node(&self) -> &Arc<Node> {
        &self.node
    }

    #[must_use]
    pub fn flows(&self) -> &Log<Flow> {
        &self.flows
    }

    /// What is no longer in memory.
    #[must_use]
    pub fn history(&self) -> Option<&Reader> {
        self.history.as_ref()
    }

    /// Latest time of all flows that are not in memory: of earlier runs, and of this one.
    pub(crate) fn departed(&self) -> Option<Time> {
        self.earlier.max(self.flows.departed())
    }

    /// What never became a flow.
    #[must_use]
    pub fn losses(&self) -> &Losses {
        &self.losses
    }

    #[must_use]
    pub fn agent_events(&self) -> &Log<AgentEntry> {
        &self.agent_events
    }
}
