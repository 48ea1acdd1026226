//! TCP flags that open and end connections.

use super::{Plan, families};
use crate::metrics::{
    context::{Context, View},
    family::{Family, Tick},
    instrument::Counter,
    key::Key,
    words,
};
use ciliate_flow::{Flow, TcpFlags, Transport, Verdict};

const FIN: TcpFlags = TcpFlags(1);
const SYN: TcpFlags = TcpFlags(1 << 1);
const RST: TcpFlags = TcpFlags(1 << 2);
const ACK: TcpFlags = TcpFlags(1 << 4);
/// One of these has a flag that is counted.
const ANY: u16 = FIN.0 | SYN.0 | RST.0;

pub struct Handler {
    context: Context,
    flags: Family<Counter>,
}

impl Handler {
    pub fn new(plan: &Plan<'_>) -> Self {
        let flags = plan.family("hubble_tcp_flags_total", "TCP flag occurrences", &["flag", "family"]);
        Self { context: plan.context(), flags }
    }
}

impl super::Handler for Handler {
    fn count(&mut self, flow: &Flow, key: &mut Key, now: Tick) {
        let Transport::Tcp { flags, .. } = flow.transport else { return };
        let went_on = matches!(flow.verdict, Verdict::Forwarded | Verdict::Redirected);
        let family = words::family(flow);
        if !went_on || flags.0 & ANY == 0 || family == words::NO_FAMILY {
            return;
        }
        self.context.write(flow, View::Flow, key);
        let mark = key.mark();
        let opening = if flags.contains(ACK) { "SYN-ACK" } else { "SYN" };
        for (flag, name) in [(FIN, "FIN"), (SYN, opening), (RST, "RST")] {
            if flags.contains(flag) {
                key.back_to(mark);
                key.value(name);
                key.value(family);
                self.flags.at(key, now, |counter| counter.add(1));
            }
        }
    }

    families!(flags);
}
