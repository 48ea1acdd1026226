//! What was counted: a bounded number of rows for each view.

use super::{
    sighting::{Sighting, sightings},
    tally::Tally,
    view::View,
};
use crate::observe::print::Hosts;
use ciliate_hubble::{
    flow::Flow,
    observer::{GetFlowsResponse, get_flows_response::ResponseTypes},
};
use std::{collections::HashMap, time::Duration};

/// Rows of a view; what comes later is counted in one row of its own.
const MOST: usize = 10_000;
/// What that row is called.
const OTHERS: &str = "(others)";

/// The rows of one view.
#[derive(Debug, Default)]
struct Rows {
    known: HashMap<Vec<String>, Tally>,
    others: Tally,
}

impl Rows {
    fn add(&mut self, view: View, Sighting { key, what }: Sighting, at: i64) {
        if let Some(tally) = self.known.get_mut(&key) {
            tally.add(what, at);
        } else if self.known.len() < MOST {
            let mut tally = Tally::default();
            tally.add(what, at);
            debug_assert_eq!(key.len(), view.keys().len());
            self.known.insert(key, tally);
        } else {
            self.others.add(what, at);
        }
    }
}

/// Everything that was counted, in every view.
#[derive(Debug, Default)]
pub struct Board {
    rows: HashMap<View, Rows>,
    pub flows: u64,
    pub lost: u64,
    /// Flows a second at the last refresh.
    pub rate: f64,
    recent: u64,
}

impl Board {
    pub fn count(&mut self, answer: &GetFlowsResponse, hosts: Hosts) {
        match &answer.response_types {
            Some(ResponseTypes::Flow(flow)) => self.flow(flow, hosts),
            Some(ResponseTypes::LostEvents(lost)) => {
                self.lost = self.lost.saturating_add(lost.num_events_lost);
            }
            Some(ResponseTypes::NodeStatus(_)) | None => {}
        }
    }

    fn flow(&mut self, flow: &Flow, hosts: Hosts) {
        self.flows = self.flows.saturating_add(1);
        self.recent = self.recent.saturating_add(1);
        let at = flow.time.map_or(0, |time| time.seconds);
        sightings(flow, hosts, |view, sighting| {
            self.rows.entry(view).or_default().add(view, sighting, at);
        });
    }

    /// Rates are from now on those of what came in the time since the last refresh.
    #[expect(clippy::cast_precision_loss, reason = "for people")]
    pub fn refresh(&mut self, took: Duration) {
        let seconds = took.as_secs_f64().max(0.001);
        let rate = |recent: &mut u64| std::mem::take(recent) as f64 / seconds;
        self.rate = rate(&mut self.recent);
        for rows in self.rows.values_mut() {
            for tally in rows.known.values_mut().chain([&mut rows.others]) {
                tally.rate = rate(&mut tally.recent);
            }
        }
    }

    /// Everything in a view, in no order.
    pub fn rows(&self, view: View) -> Vec<(Vec<String>, &Tally)> {
        let Some(rows) = self.rows.get(&view) else { return Vec::new() };
        let others = (rows.others != Tally::default()).then(|| {
            let first = std::iter::once(OTHERS.to_owned());
            (first.chain(view.keys().iter().skip(1).map(|_| String::new())).collect(), &rows.others)
        });
        rows.known.iter().map(|(key, tally)| (key.clone(), tally)).chain(others).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::top::tally::What;

    #[test]
    fn rows_are_bounded_and_the_rest_is_counted_together() {
        let mut rows = Rows::default();
        let one =
            |number: usize| Sighting { key: vec![number.to_string(), String::new()], what: What::Dropped };
        (0..MOST + 5).for_each(|number| rows.add(View::Policies, one(number), 7));
        rows.add(View::Policies, one(0), 9);
        assert_eq!((rows.known.len(), rows.others.dropped, rows.others.last), (MOST, 5, 7));
        let first = &rows.known[&one(0).key];
        assert_eq!((first.dropped, first.last), (2, 9));
        let board = Board { rows: HashMap::from([(View::Policies, rows)]), ..Board::default() };
        let shown = board.rows(View::Policies);
        assert_eq!(shown.len(), MOST + 1);
        assert!(shown.iter().any(|(key, _)| key == &["(others)", ""]));
    }

    #[test]
    fn rates_are_of_the_time_since_the_last_refresh() {
        let mut board = Board::default();
        let drop = Flow { verdict: 2, event_type: Some(event(1)), ..Flow::default() };
        let answer =
            GetFlowsResponse { response_types: Some(ResponseTypes::Flow(drop)), ..Default::default() };
        (0..6).for_each(|_| board.count(&answer, Hosts::Named));
        board.refresh(Duration::from_secs(2));
        let rate = |board: &Board| board.rows(View::Drops)[0].1.rate;
        assert_eq!((board.rate, rate(&board)), (3.0, 3.0));
        board.refresh(Duration::from_secs(2));
        assert_eq!((board.rate, rate(&board), board.flows), (0.0, 0.0, 6));
    }

    fn event(kind: i32) -> ciliate_hubble::flow::CiliumEventType {
        ciliate_hubble::flow::CiliumEventType { r#type: kind, sub_type: 0 }
    }
}
