//! What an exporter has still to deliver: bounded, in order, and exact about what there was no room for.
//!
//! From the front on lie what was written to a receiver that does not answer, what is on its way, and what waits. A flow that
//! comes to a full buffer is refused, so an outage has one gap, from the moment at which the buffer was full to the moment
//! at which the receiver was back; the gap is kept as an entry at its place.

use ciliate_flow::{Content, Flow};
use ciliate_observer::log::Lost;
use std::collections::VecDeque;

/// What a buffer holds.
#[derive(Clone, Debug, PartialEq)]
pub enum Entry {
    Flow(Flow),
    /// Flows that are missing here.
    Lost(Lost),
}

/// How much a buffer holds at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    pub flows: usize,
    /// Approximately, with what the flows own.
    pub bytes: usize,
}

#[derive(Debug)]
pub struct Buffer {
    bounds: Bounds,
    entries: VecDeque<Entry>,
    /// Flows among the entries.
    flows: usize,
    bytes: usize,
    /// Entries from the front on that were written, and are kept in case that they did not arrive.
    written: usize,
    /// Entries behind them that are on their way.
    in_flight: usize,
    /// What was refused and has no entry yet.
    gap: Option<Lost>,
    /// Number of the entry at the front.
    first: u64,
    /// Flows that left as delivered since somebody asked.
    delivered: usize,
}

/// What became of a flow.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pushed {
    Kept,
    /// There is no room.
    Refused,
}

impl Buffer {
    #[must_use]
    pub fn new(bounds: Bounds) -> Self {
        Self {
            bounds,
            entries: VecDeque::new(),
            flows: 0,
            bytes: 0,
            written: 0,
            in_flight: 0,
            gap: None,
            first: 0,
            delivered: 0,
        }
    }

    /// What lies in it stays, even if it is too much for the new bounds.
    pub fn set_bounds(&mut self, bounds: Bounds) {
        self.bounds = bounds;
    }

    pub fn push(&mut self, flow: &Flow) -> Pushed {
        let weight = weight(flow);
        while !self.has_room(weight) && self.written > 0 {
            // Most likely it arrived long ago; what comes now is worth more.
            self.pop();
            self.written = self.written.saturating_sub(1);
        }
        if !self.has_room(weight) {
            self.lose(Lost { count: 1, first: Some(flow.time), last: Some(flow.time) });
            return Pushed::Refused;
        }
        self.close_gap();
        self.flows = self.flows.saturating_add(1);
        self.bytes = self.bytes.saturating_add(weight);
        self.entries.push_back(Entry::Flow(flow.clone()));
        Pushed::Kept
    }

    /// Notes that flows are missing behind what came last.
    pub fn lose(&mut self, lost: Lost) {
        self.gap = Some(match self.gap {
            None => lost,
            Some(before) => Lost {
                count: before.count.saturating_add(lost.count),
                first: before.first.or(lost.first),
                last: lost.last.or(before.last),
            },
        });
    }

    /// What waits, from the oldest on.
    pub fn waiting(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter().skip(self.written.saturating_add(self.in_flight))
    }

    /// Makes an entry of what was refused, if there is anything and room for it.
    pub fn close_gap(&mut self) {
        if self.has_room(0)
            && let Some(gap) = self.gap.take()
        {
            self.entries.push_back(Entry::Lost(gap));
        }
    }

    /// So many of those that wait are on their way now.
    pub fn depart(&mut self, count: usize) {
        let most = self.entries.len().saturating_sub(self.written).saturating_sub(self.in_flight);
        self.in_flight = self.in_flight.saturating_add(count.min(most));
    }

    /// What was on its way is with a receiver that will not say so. Returns the number of the entry behind it.
    pub fn write(&mut self) -> u64 {
        self.written = self.written.saturating_add(std::mem::take(&mut self.in_flight));
        self.first.saturating_add(u64::try_from(self.written).unwrap_or(u64::MAX))
    }

    /// What was written before the entry of this number need not be kept any longer.
    pub fn settle_to(&mut self, end: u64) {
        while self.written > 0 && self.first < end {
            self.pop();
            self.written = self.written.saturating_sub(1);
        }
        self.close_gap();
    }

    /// The receiver has, or refused for good, what was on its way. There is nothing that is only written.
    pub fn arrive(&mut self) {
        for _ in 0..std::mem::take(&mut self.in_flight) {
            self.pop();
        }
        self.close_gap();
    }

    /// What was on its way or only written waits again. Says how many entries of what was written.
    pub fn rewind(&mut self) -> usize {
        self.in_flight = 0;
        std::mem::take(&mut self.written)
    }

    /// Flows that may not have arrived.
    #[must_use]
    pub fn flows(&self) -> usize {
        self.flows
    }

    /// Nothing waits, and nothing is on its way.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty() && self.gap.is_none()
    }

    /// Flows that left the buffer since this was asked last.
    pub fn take_delivered(&mut self) -> usize {
        std::mem::take(&mut self.delivered)
    }

    fn has_room(&self, weight: usize) -> bool {
        self.flows < self.bounds.flows && self.bytes.saturating_add(weight) <= self.bounds.bytes
    }

    fn pop(&mut self) {
        let Some(entry) = self.entries.pop_front() else { return };
        self.first = self.first.saturating_add(1);
        if let Entry::Flow(flow) = entry {
            self.delivered = self.delivered.saturating_add(1);
            self.flows = self.flows.saturating_sub(1);
            self.bytes = self.bytes.saturating_sub(weight(&flow));
        }
        if self.entries.is_empty() {
            // What a long outage took is given back.
            self.entries.shrink_to(1024);
        }
    }
}

/// Bytes that a flow takes, about: parties and judgements are shared with others.
fn weight(flow: &Flow) -> usize {
    let text = |texts: &[String]| texts.iter().map(|text| text.len().saturating_add(24)).sum::<usize>();
    let content = match flow.request.as_deref().map(|request| &request.content) {
        None | Some(Content::Kafka(_) | Content::Other | Content::Tls(None)) => 0,
        Some(Content::Http(http)) => http
            .headers
            .iter()
            .map(|header| header.name.len().saturating_add(header.value.len()).saturating_add(48))
            .sum::<usize>()
            .saturating_add(http.url.len()),
        Some(Content::Dns(dns)) => text(&dns.addresses).saturating_add(text(&dns.cnames)),
        Some(Content::Tls(Some(text)) | Content::Malformed(text)) => text.len(),
    };
    let request = match flow.request {
        Some(_) => content.saturating_add(256),
        None => 0,
    };
    size_of::<Entry>().saturating_add(request)
}

#[cfg(test)]
mod tests;
