//! All flows, by kind.

use super::{Plan, families};
use crate::metrics::{
    context::{Context, View},
    family::{Family, Tick},
    instrument::Counter,
    key::Key,
    words,
};
use ciliate_flow::{Content, Event, EventType, Flow};

pub struct Handler {
    context: Context,
    flows: Family<Counter>,
}

impl Handler {
    pub fn new(plan: &Plan<'_>) -> Self {
        let labels = ["protocol", "type", "subtype", "verdict"];
        let flows = plan.family("hubble_flows_processed_total", "Total number of flows processed", &labels);
        Self { context: plan.context(), flows }
    }
}

impl super::Handler for Handler {
    fn count(&mut self, flow: &Flow, key: &mut Key, now: Tick) {
        self.context.write(flow, View::Flow, key);
        key.value(words::protocol(flow));
        match flow.event {
            Event::Request => {
                key.value("L7");
                key.value(match flow.request.as_ref().map(|request| &request.content) {
                    Some(Content::Dns(_)) => "DNS",
                    Some(Content::Http(_)) => "HTTP",
                    Some(Content::Kafka(_) | Content::Tls(_) | Content::Malformed(_) | Content::Other)
                    | None => "",
                });
            }
            Event::Drop(_) => plain("Drop", key),
            Event::PolicyVerdict(..) => plain("PolicyVerdict", key),
            Event::Trace(point, _) => {
                key.value("Trace");
                key.value(words::point(point));
            }
            Event::Other(EventType { kind: EventType::TRACE, .. }) => plain("Trace", key),
            Event::Other(EventType { kind: EventType::CAPTURE, .. }) => plain("Capture", key),
            Event::Other(EventType { kind, .. }) => {
                key.value("Unknown");
                key.shown(kind);
            }
        }
        key.value(words::verdict(flow.verdict));
        self.flows.at(key, now, |counter| counter.add(1));
    }

    families!(flows);
}

fn plain(kind: &str, key: &mut Key) {
    key.value(kind);
    key.value("");
}
