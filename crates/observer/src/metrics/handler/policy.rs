//! What policies said.

use super::{Plan, families};
use crate::metrics::{
    context::{Context, View},
    family::{Family, Tick},
    instrument::Counter,
    key::Key,
};
use ciliate_flow::{Content, Event, Flow, MatchType, TrafficDirection, Verdict};

/// The local host's identity: it may always enter its endpoints, and policy is not asked.
const HOST: u32 = 1;

pub struct Handler {
    context: Context,
    verdicts: Family<Counter>,
}

impl Handler {
    pub fn new(plan: &Plan<'_>) -> Self {
        let verdicts = plan.family(
            "hubble_policy_verdicts_total",
            "Total number of Cilium network policy verdicts",
            &["direction", "match", "action"],
        );
        Self { context: plan.context(), verdicts }
    }
}

impl super::Handler for Handler {
    fn count(&mut self, flow: &Flow, key: &mut Key, now: Tick) {
        let matched = match flow.event {
            Event::PolicyVerdict(..) if flow.source.party.identity != HOST => match_type(flow.match_type),
            Event::Request => content(flow.request.as_ref().map(|request| &request.content)),
            Event::PolicyVerdict(..) | Event::Drop(_) | Event::Trace(..) | Event::Other(_) => return,
        };
        self.context.write(flow, View::Flow, key);
        key.value(match flow.direction {
            TrafficDirection::Ingress => "ingress",
            TrafficDirection::Egress => "egress",
            TrafficDirection::Unknown => "traffic_direction_unknown",
        });
        key.value(matched);
        key.value(action(flow.verdict));
        self.verdicts.at(key, now, |counter| counter.add(1));
    }

    families!(verdicts);
}

fn match_type(kind: MatchType) -> &'static str {
    match kind {
        MatchType::None => "none",
        MatchType::L3Only => "l3-only",
        MatchType::L3L4 => "l3-l4",
        MatchType::L4Only => "l4-only",
        MatchType::All => "all",
        MatchType::L3Proto => "l3-proto",
        MatchType::ProtoOnly => "proto-only",
    }
}

fn content(content: Option<&Content>) -> &'static str {
    match content {
        Some(Content::Dns(_)) => "l7/dns",
        Some(Content::Http(_)) => "l7/http",
        Some(Content::Kafka(_)) => "l7/kafka",
        Some(Content::Tls(_) | Content::Malformed(_) | Content::Other) | None => "l7/",
    }
}

fn action(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Unknown => "verdict_unknown",
        Verdict::Forwarded => "forwarded",
        Verdict::Dropped => "dropped",
        Verdict::Error => "error",
        Verdict::Audit => "audit",
        Verdict::Redirected => "redirected",
        Verdict::Traced => "traced",
        Verdict::Translated => "translated",
    }
}
