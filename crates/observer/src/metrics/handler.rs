//! What counts flows: one handler for each configured metric.

mod dns;
mod drop;
mod flow;
mod flows_to_world;
mod http;
mod http_v2;
mod icmp;
mod kafka;
mod policy;
mod port_distribution;
mod sctp;
mod tcp;

use super::{
    config::{Kind, Spec},
    context::Context,
    exposition::Text,
    family::{Bounds, Exposed, Family, Tick},
    instrument::Instrument,
    key::Key,
};
use ciliate_flow::{Filter, FilterError, Flow, Judge};
use std::sync::Arc;

/// Counts flows in metrics of its own.
trait Handler: Send {
    /// The key is empty before.
    fn count(&mut self, flow: &Flow, key: &mut Key, now: Tick);

    fn families(&self) -> Vec<&dyn Exposed>;

    fn families_mut(&mut self) -> Vec<&mut dyn Exposed>;
}

/// Names the metrics of a handler.
macro_rules! families {
    ($($field:ident),+) => {
        fn families(&self) -> Vec<&dyn $crate::metrics::family::Exposed> {
            vec![$(&self.$field),+]
        }

        fn families_mut(&mut self) -> Vec<&mut dyn $crate::metrics::family::Exposed> {
            vec![$(&mut self.$field),+]
        }
    };
}
use families;

/// A handler with the flows it is for.
pub struct Counting {
    /// None where it is for all.
    filter: Option<Judge>,
    handler: Box<dyn Handler>,
}

impl Counting {
    pub fn new(spec: &Spec) -> Result<Self, FilterError> {
        let filter = Filter::new(&spec.include, &spec.exclude)?;
        let plan = Plan { context: &spec.context, names: spec.context.names(), bounds: spec.bounds };
        let handler: Box<dyn Handler> = match spec.kind {
            Kind::Dns { query, ignore_aaaa } => Box::new(dns::Handler::new(&plan, query, ignore_aaaa)),
            Kind::Drop => Box::new(drop::Handler::new(&plan)),
            Kind::Flow => Box::new(flow::Handler::new(&plan)),
            Kind::FlowsToWorld { any_drop, port, syn_only } => Box::new(flows_to_world::Handler::new(
                &plan,
                flows_to_world::Options { any_drop, port, syn_only },
            )),
            Kind::Http { exemplars } => Box::new(http::Handler::new(&plan, exemplars)),
            Kind::HttpV2 { exemplars } => Box::new(http_v2::Handler::new(&plan, exemplars)),
            Kind::Icmp => Box::new(icmp::Handler::new(&plan)),
            Kind::Kafka => Box::new(kafka::Handler::new(&plan)),
            Kind::Policy => Box::new(policy::Handler::new(&plan)),
            Kind::PortDistribution => Box::new(port_distribution::Handler::new(&plan)),
            Kind::Sctp => Box::new(sctp::Handler::new(&plan)),
            Kind::Tcp => Box::new(tcp::Handler::new(&plan)),
        };
        Ok(Self { filter: (!filter.is_everything()).then(|| Judge::new(Arc::new(filter))), handler })
    }

    pub fn count(&mut self, flow: &Flow, key: &mut Key, now: Tick) {
        if self.filter.as_mut().is_none_or(|judge| judge.passes(flow)) {
            key.clear();
            self.handler.count(flow, key, now);
        }
    }

    pub fn families(&self) -> Vec<&dyn Exposed> {
        self.handler.families()
    }

    pub fn write(&self, text: &mut Text) {
        for family in self.families() {
            family.write(text);
        }
    }

    pub fn sweep(&mut self, now: Tick) {
        for family in self.handler.families_mut() {
            family.sweep(now);
        }
    }

    /// Goes on with the series of metrics that were there before, as far as they have the same labels.
    pub fn inherit(&mut self, old: &mut Self) {
        for family in self.handler.families_mut() {
            for before in old.handler.families_mut() {
                family.inherit(before.as_any());
            }
        }
    }
}

/// What a handler's metrics have in common.
struct Plan<'a> {
    context: &'a Context,
    names: Vec<&'static str>,
    bounds: Bounds,
}

impl Plan<'_> {
    fn context(&self) -> Context {
        self.context.clone()
    }

    fn family<I: Instrument>(
        &self,
        name: &'static str,
        help: &'static str,
        labels: &[&'static str],
    ) -> Family<I> {
        Family::new(name, help, &self.names, labels, self.bounds)
    }
}
