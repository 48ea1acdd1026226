//! ICMP messages.

use super::{Plan, families};
use crate::metrics::{
    context::{Context, View},
    family::{Family, Tick},
    instrument::Counter,
    key::Key,
    words::{Icmp, IcmpVersion},
};
use ciliate_flow::{Flow, Transport};

pub struct Handler {
    context: Context,
    messages: Family<Counter>,
}

impl Handler {
    pub fn new(plan: &Plan<'_>) -> Self {
        let messages = plan.family("hubble_icmp_total", "Number of ICMP messages", &["family", "type"]);
        Self { context: plan.context(), messages }
    }
}

impl super::Handler for Handler {
    fn count(&mut self, flow: &Flow, key: &mut Key, now: Tick) {
        let (family, message) = match flow.transport {
            Transport::Icmp { kind, code } => ("IPv4", Icmp { version: IcmpVersion::V4, kind, code }),
            Transport::Icmp6 { kind, code } => ("IPv6", Icmp { version: IcmpVersion::V6, kind, code }),
            Transport::None
            | Transport::Tcp { .. }
            | Transport::Udp { .. }
            | Transport::Sctp { .. }
            | Transport::Other(_) => return,
        };
        self.context.write(flow, View::Flow, key);
        key.value(family);
        key.shown(message);
        self.messages.at(key, now, |counter| counter.add(1));
    }

    families!(messages);
}
