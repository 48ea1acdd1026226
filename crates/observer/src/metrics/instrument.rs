//! What one series counts.

use super::exposition::{Format, Sample, Text};

/// Counts or measures, and shows it.
pub trait Instrument: Default + Send + 'static {
    /// Prometheus's word for it.
    const KIND: &'static str;

    fn write(&self, sample: &Sample<'_>, text: &mut Text);
}

/// An example of what was counted: the trace it belongs to.
#[derive(Clone, Debug, PartialEq)]
pub struct Exemplar {
    pub trace_id: Box<str>,
    pub value: f64,
    /// Seconds since 1970.
    pub time: f64,
}

/// An exemplar's label and its name have room for this many characters together (OpenMetrics 1.0).
const EXEMPLAR_ROOM: usize = 128;
/// Hubble's name for the label.
pub const EXEMPLAR_LABEL: &str = "traceID";

impl Exemplar {
    /// None where there is no trace, or its id is too long to be told.
    #[must_use]
    pub fn new(trace_id: &str, value: f64, time: ciliate_flow::Time) -> Option<Self> {
        let room = EXEMPLAR_ROOM.saturating_sub(EXEMPLAR_LABEL.len());
        (!trace_id.is_empty() && trace_id.chars().count() <= room).then(|| Self {
            trace_id: trace_id.into(),
            value,
            time: seconds(time.0),
        })
    }
}

/// Exact enough: a double has 53 bits.
#[expect(clippy::cast_precision_loss, reason = "an example's time and a latency need no more digits")]
#[must_use]
pub fn seconds(nanoseconds: u64) -> f64 {
    nanoseconds as f64 / 1e9
}

#[derive(Debug, Default)]
pub struct Counter {
    count: u64,
    exemplar: Option<Exemplar>,
}

impl Counter {
    pub fn add(&mut self, count: u64) {
        self.count = self.count.saturating_add(count);
    }

    pub fn add_with(&mut self, exemplar: Option<Exemplar>) {
        self.add(1);
        self.exemplar = exemplar.or(self.exemplar.take());
    }
}

impl Instrument for Counter {
    const KIND: &'static str = "counter";

    fn write(&self, sample: &Sample<'_>, text: &mut Text) {
        text.sample(sample, "", &[], self.count, self.exemplar.as_ref());
    }
}

/// Upper bounds of buckets in seconds: the defaults of Prometheus's client for Go, which Hubble uses.
const BOUNDS: [(f64, &str); 11] = [
    (0.005, "0.005"),
    (0.01, "0.01"),
    (0.025, "0.025"),
    (0.05, "0.05"),
    (0.1, "0.1"),
    (0.25, "0.25"),
    (0.5, "0.5"),
    (1.0, "1"),
    (2.5, "2.5"),
    (5.0, "5"),
    (10.0, "10"),
];

#[derive(Debug, Default)]
struct Bucket {
    /// Without those of lower buckets.
    count: u64,
    exemplar: Option<Exemplar>,
}

#[derive(Debug, Default)]
pub struct Histogram {
    buckets: [Bucket; BOUNDS.len()],
    /// Above all bounds.
    rest: Bucket,
    sum: f64,
}

impl Histogram {
    pub fn observe(&mut self, value: f64, exemplar: Option<Exemplar>) {
        let bounded = BOUNDS.iter().position(|(bound, _)| value <= *bound);
        let bucket = bounded.and_then(|at| self.buckets.get_mut(at)).unwrap_or(&mut self.rest);
        bucket.count = bucket.count.saturating_add(1);
        bucket.exemplar = exemplar.or(bucket.exemplar.take());
        self.sum += value;
    }
}

impl Instrument for Histogram {
    const KIND: &'static str = "histogram";

    fn write(&self, sample: &Sample<'_>, text: &mut Text) {
        let mut count = 0_u64;
        let bounds = BOUNDS.iter().map(|(_, text)| *text).chain(["+Inf"]);
        for (bucket, bound) in self.buckets.iter().chain([&self.rest]).zip(bounds) {
            count = count.saturating_add(bucket.count);
            let bound = match (text.format(), bound) {
                // There a bound is always written as a number with a fraction.
                (Format::OpenMetrics, "1" | "5" | "10") => &format!("{bound}.0"),
                _ => bound,
            };
            text.sample(sample, "_bucket", &[("le", bound)], count, bucket.exemplar.as_ref());
        }
        text.sample(sample, "_sum", &[], self.sum, None);
        text.sample(sample, "_count", &[], count, None);
    }
}
