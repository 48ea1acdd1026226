//! Packets by the port they go to.

use super::{Plan, families};
use crate::metrics::{
    context::{Context, View},
    family::{Family, Tick},
    instrument::Counter,
    key::Key,
    words,
};
use ciliate_flow::{Answer, Flow, Transport, Verdict};

pub struct Handler {
    context: Context,
    packets: Family<Counter>,
}

impl Handler {
    pub fn new(plan: &Plan<'_>) -> Self {
        let packets = plan.family(
            "hubble_port_distribution_total",
            "Numbers of packets distributed by destination port",
            &["protocol", "port"],
        );
        Self { context: plan.context(), packets }
    }
}

impl super::Handler for Handler {
    fn count(&mut self, flow: &Flow, key: &mut Key, now: Tick) {
        let went_on = matches!(flow.verdict, Verdict::Forwarded | Verdict::Redirected);
        // Answers go to ports that mean nothing.
        if !went_on || flow.answer != Answer::No {
            return;
        }
        let Some(protocol) = words::transport(flow.transport) else { return };
        let port = match flow.transport {
            Transport::Tcp { destination, .. }
            | Transport::Udp { destination, .. }
            | Transport::Sctp { destination, .. } => destination,
            Transport::None | Transport::Icmp { .. } | Transport::Icmp6 { .. } | Transport::Other(_) => 0,
        };
        self.context.write(flow, View::Flow, key);
        key.value(protocol);
        key.shown(port);
        self.packets.at(key, now, |counter| counter.add(1));
    }

    families!(packets);
}
