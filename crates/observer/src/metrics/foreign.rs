//! Metrics that others count, shown beside those of flows.

use super::{
    exposition::{Sample, Text},
    instrument::{Counter, Instrument as _},
};

/// One metric with all its series.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Foreign {
    pub name: &'static str,
    pub help: &'static str,
    pub kind: Kind,
    pub labels: &'static [&'static str],
    /// Values of the labels, as many as there are labels, and the series' value.
    pub rows: Vec<(Vec<String>, u64)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Counter,
    Gauge,
}

impl Foreign {
    /// Nothing if it has no rows.
    pub(super) fn write(&self, text: &mut Text) {
        if self.rows.is_empty() {
            return;
        }
        let kind = match self.kind {
            Kind::Counter => Counter::KIND,
            Kind::Gauge => "gauge",
        };
        text.metric(self.name, kind, self.help);
        for (values, value) in &self.rows {
            let values: Vec<&str> = values.iter().map(String::as_str).collect();
            let sample = Sample { name: self.name, labels: self.labels, values: &values };
            text.sample(&sample, "", &[], value, None);
        }
    }
}
