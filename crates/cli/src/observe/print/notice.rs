//! What was lost, and what became of nodes, as text.

use super::{Format, Output, Printer, escaped, field, line};
use ciliate_hubble::{
    flow::LostEvent,
    observer::GetFlowsResponse,
    relay::{NodeState, NodeStatusEvent},
};

/// In a column that has nothing to say.
const NOTHING: &str = "-";

/// What is said of nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Notices {
    Mistakes,
    All,
}

impl Printer {
    pub(super) fn lost(&mut self, answer: &GetFlowsResponse, lost: &LostEvent) -> String {
        let (source, count) = (lost.source().as_str_name(), lost.num_events_lost);
        let cpu = lost.cpu.map_or(0, |cpu| cpu.value);
        let time = |at| self.flags.time_format.print(at);
        let between = match (&lost.first, &lost.last) {
            (Some(first), Some(last)) => {
                format!(" (first: {}, last: {})", time(Some(first)), time(Some(last)))
            }
            _ => String::new(),
        };
        let mut fields = vec![field("SOURCE", source)];
        match self.flags.output {
            Format::Compact | Format::Json => {
                let when = time(answer.time.as_ref());
                return format!("{when} EVENTS LOST: {source} CPU({cpu}) {count}{between}\n");
            }
            Format::Dict => {}
            Format::Table => fields.push(field("DESTINATION", NOTHING)),
        }
        fields.extend([
            field("TYPE", "EVENTS LOST"),
            field("VERDICT", NOTHING),
            field("SUMMARY", format!("CPU({cpu}) - {count}{between}")),
        ]);
        let node = if answer.node_name.is_empty() { NOTHING } else { &answer.node_name };
        self.fielded(node, answer.time.as_ref(), fields)
    }

    /// What is wrong; that nodes come and go is news for those who look for mistakes.
    pub(super) fn node_status(
        &mut self,
        answer: &GetFlowsResponse,
        event: &NodeStatusEvent,
    ) -> anyhow::Result<Output> {
        let count = event.node_names.len();
        let names = escaped(&cut(&event.node_names, 50));
        let what = match (event.state_change(), self.notices) {
            (NodeState::NodeUnavailable, _) => format!("{count} nodes are unavailable: {names}"),
            (NodeState::NodeError, _) => format!("Error {:?} on {count} nodes: {names}", event.message),
            (_, Notices::Mistakes) => return Ok(Output::Notice(String::new())),
            (NodeState::NodeConnected, Notices::All) => {
                format!("Receiving flows from {count} nodes: {names}")
            }
            (NodeState::NodeGone, Notices::All) => format!("{count} nodes removed from cluster: {names}"),
            (NodeState::UnknownNodeState, Notices::All) => format!("unknown state of {count} nodes: {names}"),
        };
        let time = self.flags.time_format.print(answer.time.as_ref());
        Ok(Output::Notice(match self.flags.output {
            Format::Json => line(answer)?,
            Format::Compact | Format::Table => {
                format!("{time} [{}]: {what}\n", escaped(&answer.node_name))
            }
            Format::Dict => {
                let message = match event.message.as_str() {
                    "" => "N/A".to_owned(),
                    message => format!("{message:?}"),
                };
                let state = event.state_change().as_str_name();
                self.lines(vec![
                    field("TIMESTAMP", time),
                    field("STATE", state),
                    field("NODES", names),
                    field("MESSAGE", message),
                ])
            }
        }))
    }
}

/// Joined with commas, at least one and then as many as fit.
fn cut(names: &[String], most: usize) -> String {
    let mut length = 0_usize;
    let shown = names.iter().enumerate().take_while(|(at, name)| {
        length = length.saturating_add(name.len()).saturating_add(2);
        *at == 0 || length <= most
    });
    let shown: Vec<&str> = shown.map(|(_, name)| name.as_str()).collect();
    match names.len().saturating_sub(shown.len()) {
        0 => shown.join(", "),
        more => format!("{} (and {more} more)", shown.join(", ")),
    }
}
