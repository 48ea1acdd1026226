//! HTTP requests and answers apart.

use super::{Plan, families};
use crate::metrics::{
    context::{Context, View},
    family::{Family, Tick},
    instrument::{Counter, Exemplar, Histogram, seconds},
    key::Key,
    words,
};
use ciliate_flow::{Content, Flow, Http, Request, Stage};

pub struct Handler {
    exemplars: bool,
    context: Context,
    requests: Family<Counter>,
    responses: Family<Counter>,
    duration: Family<Histogram>,
}

pub const DURATION: (&str, &str) =
    ("hubble_http_request_duration_seconds", "Histogram of HTTP request duration in seconds");

impl Handler {
    pub fn new(plan: &Plan<'_>, exemplars: bool) -> Self {
        Self {
            exemplars,
            context: plan.context(),
            requests: plan.family(
                "hubble_http_requests_total",
                "Count of HTTP requests",
                &["method", "protocol", "reporter"],
            ),
            responses: plan.family(
                "hubble_http_responses_total",
                "Count of HTTP responses",
                &["method", "protocol", "status", "reporter"],
            ),
            duration: plan.family(DURATION.0, DURATION.1, &["method", "reporter"]),
        }
    }
}

/// What a flow says of HTTP.
pub fn read(flow: &Flow) -> Option<(&Request, &Http)> {
    let request = flow.request.as_deref()?;
    match &request.content {
        Content::Http(http) => Some((request, http)),
        Content::Dns(_) | Content::Kafka(_) | Content::Tls(_) | Content::Malformed(_) | Content::Other => {
            None
        }
    }
}

/// The flow's trace as an example of `value`.
pub fn exemplar(flow: &Flow, value: f64) -> Option<Exemplar> {
    Exemplar::new(&flow.rare.as_ref()?.trace_id, value, flow.time)
}

impl super::Handler for Handler {
    fn count(&mut self, flow: &Flow, key: &mut Key, now: Tick) {
        let Some((request, http)) = read(flow) else { return };
        let example = |value| self.exemplars.then(|| exemplar(flow, value)).flatten();
        let one = example(1.0);
        let reporter = words::reporter(flow.direction);
        self.context.write(flow, View::Flow, key);
        let mark = key.mark();
        key.value(&http.method);
        match request.stage {
            Stage::Request => {
                key.value(&http.protocol);
                key.value(reporter);
                self.requests.at(key, now, |counter| counter.add_with(one));
            }
            Stage::Response => {
                key.value(&http.protocol);
                key.shown(http.code);
                key.value(reporter);
                self.responses.at(key, now, |counter| counter.add_with(one));
                key.back_to(mark);
                key.value(&http.method);
                key.value(reporter);
                let took = seconds(request.latency);
                let example = example(took);
                self.duration.at(key, now, |histogram| histogram.observe(took, example));
            }
            Stage::Sample => {}
        }
    }

    families!(requests, responses, duration);
}
