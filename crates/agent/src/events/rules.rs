//! Rules by number, as of one revision of the policies.

use crate::{engine::Requests, flows::Known, state::State};
use std::collections::HashMap;

pub struct Rules {
    requests: Requests,
    revision: u64,
    known: HashMap<u32, Known, foldhash::fast::RandomState>,
}

impl Rules {
    pub fn new(requests: Requests) -> Self {
        Self { requests, revision: 0, known: HashMap::default() }
    }

    /// Has [`Rules::get`] know these numbers as the state means them. Asks the engine at most once.
    pub async fn learn(&mut self, state: &State, numbers: impl Iterator<Item = u32>) {
        if self.revision != state.revision {
            self.revision = state.revision;
            self.known.clear();
        }
        let mut missing: Vec<u32> =
            numbers.filter(|number| *number != 0 && !self.known.contains_key(number)).collect();
        if missing.is_empty() {
            return;
        }
        missing.sort_unstable();
        missing.dedup();
        let found = self.requests.call(move |engine| {
            Ok(missing.into_iter().map(|number| (number, engine.known_rule(number))).collect::<Vec<_>>())
        });
        // An engine that has ended knows no rules.
        self.known.extend(found.await.unwrap_or_default());
    }

    /// That knows these as of a revision, and asks for others.
    pub fn that_know(
        requests: Requests,
        revision: u64,
        known: impl IntoIterator<Item = (u32, Known)>,
    ) -> Self {
        Self { requests, revision, known: known.into_iter().collect() }
    }

    /// That knows these and asks nobody.
    #[cfg(test)]
    pub fn of<const N: usize>(known: [(u32, Known); N]) -> Self {
        Self::that_know(crate::engine::channel().0, 0, known)
    }

    /// None for 0, which is no rule.
    pub fn get(&self, number: u32) -> Option<&Known> {
        self.known.get(&number)
    }
}
