//! DNS queries and answers.

use super::{Plan, families};
use crate::metrics::{
    context::{Context, View},
    family::{Family, Tick},
    instrument::Counter,
    key::Key,
    words,
};
use ciliate_flow::{Answer, Content, Dns, Flow, Verdict};

pub struct Handler {
    query: bool,
    ignore_aaaa: bool,
    context: Context,
    queries: Family<Counter>,
    responses: Family<Counter>,
    types: Family<Counter>,
}

impl Handler {
    pub fn new(plan: &Plan<'_>, query: bool, ignore_aaaa: bool) -> Self {
        let with_query = |labels: &[&'static str]| {
            labels.iter().copied().chain(query.then_some("query")).collect::<Vec<_>>()
        };
        let labels = with_query(&["rcode", "qtypes", "ips_returned"]);
        Self {
            query,
            ignore_aaaa,
            context: plan.context(),
            queries: plan.family("hubble_dns_queries_total", "Number of DNS queries observed", &labels),
            responses: plan.family("hubble_dns_responses_total", "Number of DNS responses observed", &labels),
            types: plan.family(
                "hubble_dns_response_types_total",
                "Number of records in DNS responses by type",
                &with_query(&["type", "qtypes"]),
            ),
        }
    }

    fn finish(&self, rcode: &str, dns: &Dns, key: &mut Key) {
        key.value(rcode);
        key.parts(&dns.query_types);
        key.end();
        key.shown(dns.addresses.len());
        self.end(dns, key);
    }

    fn end(&self, dns: &Dns, key: &mut Key) {
        if self.query {
            key.value(&dns.query);
        }
    }
}

impl super::Handler for Handler {
    fn count(&mut self, flow: &Flow, key: &mut Key, now: Tick) {
        let Some(Content::Dns(dns)) = flow.request.as_ref().map(|request| &request.content) else { return };
        if self.ignore_aaaa && matches!(dns.query_types.as_slice(), [only] if only == "AAAA") {
            return;
        }
        self.context.write(flow, View::Flow, key);
        let mark = key.mark();
        if flow.verdict == Verdict::Dropped {
            self.finish("Policy denied", dns, key);
            self.queries.at(key, now, |counter| counter.add(1));
            return;
        }
        match flow.answer {
            Answer::No | Answer::Unknown => {
                self.finish("", dns, key);
                self.queries.at(key, now, |counter| counter.add(1));
            }
            Answer::Yes => {
                self.finish(words::rcode(dns.rcode), dns, key);
                self.responses.at(key, now, |counter| counter.add(1));
                for record in &dns.record_types {
                    key.back_to(mark);
                    key.value(record);
                    key.parts(&dns.query_types);
                    key.end();
                    self.end(dns, key);
                    self.types.at(key, now, |counter| counter.add(1));
                }
            }
        }
    }

    families!(queries, responses, types);
}
