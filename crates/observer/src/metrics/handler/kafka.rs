//! Kafka requests.

use super::{Plan, families};
use crate::metrics::{
    context::{Context, View},
    family::{Family, Tick},
    instrument::{Counter, Histogram, seconds},
    key::Key,
    words,
};
use ciliate_flow::{Content, Flow, Stage};

pub struct Handler {
    context: Context,
    requests: Family<Counter>,
    duration: Family<Histogram>,
}

impl Handler {
    pub fn new(plan: &Plan<'_>) -> Self {
        Self {
            context: plan.context(),
            requests: plan.family(
                "hubble_kafka_requests_total",
                "Count of Kafka requests by topic",
                &["topic", "api_key", "error_code", "reporter"],
            ),
            duration: plan.family(
                "hubble_kafka_request_duration_seconds",
                "Histogram of Kafka request duration by topic",
                &["topic", "api_key", "reporter"],
            ),
        }
    }
}

impl super::Handler for Handler {
    fn count(&mut self, flow: &Flow, key: &mut Key, now: Tick) {
        let Some(request) = flow.request.as_deref() else { return };
        let Content::Kafka(kafka) = &request.content else { return };
        if request.stage != Stage::Request {
            return;
        }
        let reporter = words::reporter(flow.direction);
        self.context.write(flow, View::Flow, key);
        key.value(&kafka.topic);
        key.value(&kafka.api_key);
        let mark = key.mark();
        key.shown(kafka.error_code);
        key.value(reporter);
        self.requests.at(key, now, |counter| counter.add(1));
        key.back_to(mark);
        key.value(reporter);
        self.duration.at(key, now, |histogram| histogram.observe(seconds(request.latency), None));
    }

    families!(requests, duration);
}
