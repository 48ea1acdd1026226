//! What the agent did, as Hubble's clients are told of it.

use crate::log::Entry;
use ciliate_flow::{Run, Time};
use ciliate_hubble::flow::AgentEvent;

#[derive(Clone, Debug, PartialEq)]
pub struct AgentEntry {
    pub time: Time,
    pub event: AgentEvent,
}

impl Entry for AgentEntry {
    fn time(&self) -> Time {
        self.time
    }

    /// These have no names.
    fn placed(&mut self, _: Run, _: u64) {}
}
