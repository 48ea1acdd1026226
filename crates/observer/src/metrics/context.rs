//! Labels that say who took part in a flow: Hubble's context options.

mod attribute;

pub use attribute::{Attribute, CONTEXTS};

use super::key::Key;
use ciliate_flow::{End, Flow, TrafficDirection};

/// Which labels of that kind a metric has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Context {
    /// In the order of [`LABELS`].
    pub labels: Vec<Label>,
    /// The label `source`.
    pub source: Side,
    /// The label `destination`.
    pub destination: Side,
}

/// What a label shows, by direction: the first attribute that is not empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Side {
    pub any: Vec<Attribute>,
    pub ingress: Option<Vec<Attribute>>,
    pub egress: Option<Vec<Attribute>>,
}

/// A label of `labelsContext`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Label {
    Source(Attribute),
    Destination(Attribute),
    TrafficDirection,
}

/// Labels of `labelsContext` by their names.
pub const LABELS: [(&str, Label); 13] = {
    use Attribute::{App, Ip, Namespace, PodName, WorkloadKind, WorkloadName};
    use Label::{Destination, Source, TrafficDirection};
    [
        ("source_ip", Source(Ip)),
        ("source_pod", Source(PodName)),
        ("source_namespace", Source(Namespace)),
        ("source_workload", Source(WorkloadName)),
        ("source_workload_kind", Source(WorkloadKind)),
        ("source_app", Source(App)),
        ("destination_ip", Destination(Ip)),
        ("destination_pod", Destination(PodName)),
        ("destination_namespace", Destination(Namespace)),
        ("destination_workload", Destination(WorkloadName)),
        ("destination_workload_kind", Destination(WorkloadKind)),
        ("destination_app", Destination(App)),
        ("traffic_direction", TrafficDirection),
    ]
};

/// Whose view labels take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum View {
    /// The flow's own.
    Flow,
    /// That of the request to which the flow is the answer.
    Request,
}

impl Side {
    fn is_shown(&self) -> bool {
        !self.any.is_empty() || self.ingress.is_some() || self.egress.is_some()
    }

    fn attributes(&self, direction: TrafficDirection) -> &[Attribute] {
        let special = match direction {
            TrafficDirection::Ingress => &self.ingress,
            TrafficDirection::Egress => &self.egress,
            TrafficDirection::Unknown => &None,
        };
        special.as_ref().unwrap_or(&self.any)
    }

    fn write(&self, end: &End, direction: TrafficDirection, key: &mut Key) {
        if !self.is_shown() {
            return;
        }
        let mark = key.mark();
        for attribute in self.attributes(direction) {
            attribute.write(end, key);
            if key.grew(mark) {
                break;
            }
        }
        key.end();
    }
}

impl Context {
    /// Names of the labels, in the order in which [`Context::write`] gives their values.
    #[must_use]
    pub fn names(&self) -> Vec<&'static str> {
        let labels = LABELS.iter().filter(|(_, label)| self.labels.contains(label)).map(|(name, _)| *name);
        let source = self.source.is_shown().then_some("source");
        let destination = self.destination.is_shown().then_some("destination");
        labels.chain(source).chain(destination).collect()
    }

    pub fn write(&self, flow: &Flow, view: View, key: &mut Key) {
        let (source, destination) = match view {
            View::Flow => (&flow.source, &flow.destination),
            View::Request => (&flow.destination, &flow.source),
        };
        for label in &self.labels {
            match label {
                Label::Source(attribute) => attribute.write(source, key),
                Label::Destination(attribute) => attribute.write(destination, key),
                Label::TrafficDirection => key.part(match flow.direction {
                    TrafficDirection::Ingress => "ingress",
                    TrafficDirection::Egress => "egress",
                    TrafficDirection::Unknown => "unknown",
                }),
            }
            key.end();
        }
        self.source.write(source, flow.direction, key);
        self.destination.write(destination, flow.direction, key);
    }
}
