//! What went no further, by reason.

use super::{Plan, families};
use crate::metrics::{
    context::{Context, View},
    family::{Family, Tick},
    instrument::Counter,
    key::Key,
    words,
};
use ciliate_flow::{Flow, Verdict};

pub struct Handler {
    context: Context,
    drops: Family<Counter>,
}

impl Handler {
    pub fn new(plan: &Plan<'_>) -> Self {
        let drops = plan.family("hubble_drop_total", "Number of drops", &["reason", "protocol"]);
        Self { context: plan.context(), drops }
    }
}

impl super::Handler for Handler {
    fn count(&mut self, flow: &Flow, key: &mut Key, now: Tick) {
        if flow.verdict != Verdict::Dropped {
            return;
        }
        self.context.write(flow, View::Flow, key);
        key.value(flow.drop_reason().unwrap_or_default().as_str_name());
        key.value(words::protocol(flow));
        self.drops.at(key, now, |counter| counter.add(1));
    }

    families!(drops);
}
