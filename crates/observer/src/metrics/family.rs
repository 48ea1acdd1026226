//! A metric: all its series, bounded in number and in the time for which they stay without being counted.

use super::{
    exposition::{Sample, Text},
    instrument::Instrument,
    key::{Key, values},
};
use foldhash::fast::RandomState;
use std::{any::Any, collections::HashMap, time::Duration};

/// Seconds since the metrics began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Tick(pub u64);

/// What keeps a metric small.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Most series of a metric.
    pub series: usize,
    /// How long a series stays that nothing is counted in; none for ever.
    pub ttl: Option<Duration>,
}

pub struct Family<I> {
    name: &'static str,
    help: &'static str,
    labels: Vec<&'static str>,
    bounds: Bounds,
    series: HashMap<Box<[u8]>, Series<I>, RandomState>,
    overflow: u64,
}

struct Series<I> {
    touched: Tick,
    instrument: I,
}

impl<I: Instrument> Family<I> {
    /// With the labels of a context before its own.
    pub fn new(
        name: &'static str,
        help: &'static str,
        context: &[&'static str],
        own: &[&'static str],
        bounds: Bounds,
    ) -> Self {
        let labels = context.iter().chain(own).copied().collect();
        Self { name, help, labels, bounds, series: HashMap::default(), overflow: 0 }
    }

    /// Changes the series of these label values; a new one only as long as there is room.
    pub fn at(&mut self, key: &Key, now: Tick, change: impl FnOnce(&mut I)) {
        if let Some(series) = self.series.get_mut(key.bytes()) {
            series.touched = now;
            return change(&mut series.instrument);
        }
        if self.series.len() >= self.bounds.series {
            self.overflow = self.overflow.saturating_add(1);
            return;
        }
        let mut instrument = I::default();
        change(&mut instrument);
        self.series.insert(key.bytes().into(), Series { touched: now, instrument });
    }
}

/// A metric of any kind, for those who show and keep them.
pub trait Exposed: Send {
    fn name(&self) -> &'static str;

    /// What was not counted because there were too many series.
    fn overflow(&self) -> u64;

    fn write(&self, text: &mut Text);

    /// Removes series in which nothing was counted for too long.
    fn sweep(&mut self, now: Tick);

    /// Takes the series of the same metric of another configuration, if it has the same labels.
    fn inherit(&mut self, old: &mut dyn Any);

    fn as_any(&mut self) -> &mut dyn Any;
}

impl<I: Instrument> Exposed for Family<I> {
    fn name(&self) -> &'static str {
        self.name
    }

    fn overflow(&self) -> u64 {
        self.overflow
    }

    fn write(&self, text: &mut Text) {
        if self.series.is_empty() {
            return;
        }
        text.metric(self.name, I::KIND, self.help);
        let mut rows: Vec<_> = self.series.iter().collect();
        rows.sort_unstable_by(|(a, _), (b, _)| values(a).cmp(values(b)));
        let mut shown = Vec::with_capacity(self.labels.len());
        for (key, series) in rows {
            shown.clear();
            shown.extend(values(key));
            let sample = Sample { name: self.name, labels: &self.labels, values: &shown };
            series.instrument.write(&sample, text);
        }
    }

    fn sweep(&mut self, now: Tick) {
        let Some(ttl) = self.bounds.ttl else { return };
        self.series.retain(|_, series| now.0.saturating_sub(series.touched.0) < ttl.as_secs());
    }

    fn inherit(&mut self, old: &mut dyn Any) {
        if let Some(old) = old.downcast_mut::<Self>()
            && old.name == self.name
            && old.labels == self.labels
        {
            self.series = std::mem::take(&mut old.series);
            self.overflow = old.overflow;
        }
    }

    fn as_any(&mut self) -> &mut dyn Any {
        self
    }
}
