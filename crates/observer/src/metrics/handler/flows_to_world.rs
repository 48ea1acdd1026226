//! What goes to the world outside of the cluster.

use super::{Plan, families};
use crate::metrics::{
    context::{Context, View},
    family::{Family, Tick},
    instrument::Counter,
    key::Key,
    words,
};
use ciliate_flow::{Answer, DropReason, Flow, TcpFlags, Transport, Verdict};

/// With both families the world has an identity for each.
const WORLD: [&str; 3] = ["reserved:world", "reserved:world-ipv4", "reserved:world-ipv6"];
const SYN: TcpFlags = TcpFlags(2);

#[derive(Clone, Copy)]
pub struct Options {
    /// Also what was dropped for another reason than policy.
    pub any_drop: bool,
    /// With the destination's port as a label.
    pub port: bool,
    /// Of TCP only what opens a connection, and nothing else.
    pub syn_only: bool,
}

pub struct Handler {
    options: Options,
    context: Context,
    flows: Family<Counter>,
}

impl Handler {
    pub fn new(plan: &Plan<'_>, options: Options) -> Self {
        let labels: Vec<_> =
            ["protocol", "verdict"].into_iter().chain(options.port.then_some("port")).collect();
        let flows =
            plan.family("hubble_flows_to_world_total", "Total number of flows to reserved:world", &labels);
        Self { options, context: plan.context(), flows }
    }

    fn is_counted(&self, flow: &Flow) -> bool {
        let Options { any_drop, syn_only, .. } = self.options;
        let answer = flow.answer == Answer::Yes;
        let opens = matches!(flow.transport, Transport::Tcp { flags, .. } if flags.contains(SYN)) && !answer;
        let fate = match flow.verdict {
            Verdict::Dropped => any_drop || flow.drop_reason() == Some(DropReason::PolicyDenied),
            // Answers go to ports that mean nothing.
            _ => !answer,
        };
        flow.transport != Transport::None
            && flow.destination.party.labels.iter().any(|label| WORLD.contains(&label.as_str()))
            && fate
            && (opens || !syn_only)
    }
}

impl super::Handler for Handler {
    fn count(&mut self, flow: &Flow, key: &mut Key, now: Tick) {
        if !self.is_counted(flow) {
            return;
        }
        self.context.write(flow, View::Flow, key);
        key.value(words::protocol(flow));
        key.value(words::verdict(flow.verdict));
        if self.options.port {
            if let Some((_, port)) = flow.transport.ports() {
                key.shown_part(port);
            }
            key.end();
        }
        self.flows.at(key, now, |counter| counter.add(1));
    }

    families!(flows);
}
