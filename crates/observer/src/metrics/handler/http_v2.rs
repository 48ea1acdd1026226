//! HTTP requests with their answers, source and destination from the view of the request.

use super::{
    Plan, families,
    http::{DURATION, exemplar, read},
};
use crate::metrics::{
    context::{Context, View},
    family::{Family, Tick},
    instrument::{Counter, Histogram, seconds},
    key::Key,
    words,
};
use ciliate_flow::{Flow, Stage};

pub struct Handler {
    exemplars: bool,
    context: Context,
    requests: Family<Counter>,
    duration: Family<Histogram>,
}

impl Handler {
    pub fn new(plan: &Plan<'_>, exemplars: bool) -> Self {
        Self {
            exemplars,
            context: plan.context(),
            requests: plan.family(
                "hubble_http_requests_total",
                "Count of HTTP requests",
                &["method", "protocol", "status", "reporter"],
            ),
            duration: plan.family(DURATION.0, DURATION.1, &["method", "reporter"]),
        }
    }
}

impl super::Handler for Handler {
    fn count(&mut self, flow: &Flow, key: &mut Key, now: Tick) {
        let Some((request, http)) = read(flow) else { return };
        if request.stage != Stage::Response {
            return;
        }
        let example = |value| self.exemplars.then(|| exemplar(flow, value)).flatten();
        let took = seconds(request.latency);
        let (one, slow) = (example(1.0), example(took));
        let reporter = words::reporter(flow.direction);
        self.context.write(flow, View::Request, key);
        let mark = key.mark();
        key.value(&http.method);
        key.value(&http.protocol);
        key.shown(http.code);
        key.value(reporter);
        self.requests.at(key, now, |counter| counter.add_with(one));
        key.back_to(mark);
        key.value(&http.method);
        key.value(reporter);
        self.duration.at(key, now, |histogram| histogram.observe(took, slow));
    }

    families!(requests, duration);
}
