//! Filters that remember: who takes part in flows are few, flows are many.

use super::{Filter, label::Selector, name::Namespaced, test::Test};
use crate::{Flow, Party, Workload};
use foldhash::fast::RandomState;
use std::{
    collections::{HashMap, hash_map::Entry},
    sync::Arc,
};

/// A question that a party answers by itself, whatever the flow; holds if one of its values fits.
#[derive(Debug)]
pub enum PartyTest {
    Identity(Vec<u32>),
    Cluster(Vec<String>),
    Pod(Vec<Namespaced>),
    Workload(Vec<Workload>),
    Label(Vec<Selector>),
}

impl PartyTest {
    pub fn holds(&self, party: &Party) -> bool {
        match self {
            Self::Identity(identities) => identities.contains(&party.identity),
            Self::Cluster(names) => names.contains(&party.cluster),
            Self::Pod(names) => names.iter().any(|name| name.fits(&party.namespace, &party.pod)),
            Self::Workload(patterns) => party
                .workloads
                .iter()
                .any(|workload| patterns.iter().any(|pattern| is_workload(pattern, workload))),
            Self::Label(selectors) => selectors.iter().any(|selector| selector.selects(&party.labels)),
        }
    }
}

fn is_workload(pattern: &Workload, workload: &Workload) -> bool {
    (pattern.name.is_empty() || pattern.name == workload.name)
        && (pattern.kind.is_empty() || pattern.kind == workload.kind)
}

/// A place in [`Answers`]; none for a question too many.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Place(Option<u8>);

impl Place {
    /// Of the questions of a filter, counted from 0.
    pub fn nth(number: usize) -> Self {
        Self(u8::try_from(number).ok().filter(|number| u32::from(*number) < u64::BITS))
    }
}

/// A reader of flows with a filter, and what it found out about those who took part in them.
#[derive(Debug)]
pub struct Judge {
    filter: Arc<Filter>,
    /// By where a party lies, which stays so while it is held here.
    known: HashMap<usize, Known, RandomState>,
}

#[derive(Debug)]
struct Known {
    /// Keeps its place from becoming another's.
    _party: Arc<Party>,
    answers: Answers,
}

/// A bit for each question.
#[derive(Clone, Copy, Debug, Default)]
struct Answers {
    given: u64,
    yes: u64,
}

/// Parties that are remembered; with one more all are forgotten.
const MOST: usize = 16_384;

impl Judge {
    #[must_use]
    pub fn new(filter: Arc<Filter>) -> Self {
        Self { filter, known: HashMap::default() }
    }

    /// The same as [`Filter::matches`], and much sooner where flows share their parties.
    #[must_use]
    pub fn passes(&mut self, flow: &Flow) -> bool {
        let Self { filter, known } = self;
        filter.decide(|test| match test {
            Test::Party(side, place, asked) => answer(known, &side.end(flow).party, *place, asked),
            test => test.holds(flow),
        })
    }
}

fn answer(
    known: &mut HashMap<usize, Known, RandomState>,
    party: &Arc<Party>,
    Place(place): Place,
    asked: &PartyTest,
) -> bool {
    let Some(bit) = place.and_then(|place| 1_u64.checked_shl(place.into())) else {
        return asked.holds(party);
    };
    if known.len() >= MOST {
        known.clear();
    }
    let answers = match known.entry(Arc::as_ptr(party).addr()) {
        Entry::Occupied(found) => &mut found.into_mut().answers,
        Entry::Vacant(place) => {
            &mut place.insert(Known { _party: Arc::clone(party), answers: Answers::default() }).answers
        }
    };
    if answers.given & bit == 0 {
        answers.given |= bit;
        if asked.holds(party) {
            answers.yes |= bit;
        }
    }
    answers.yes & bit != 0
}
