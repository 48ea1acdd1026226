//! Rules by number, as of one revision of the policies.

use crate::{engine::Requests, state::State};
use ciliate_api::RuleView;
use std::collections::HashMap;

pub struct Rules {
    requests: Requests,
    revision: u64,
    known: HashMap<u32, RuleView>,
}

impl Rules {
    pub fn new(requests: Requests) -> Self {
        Self { requests, revision: 0, known: HashMap::new() }
    }

    /// None for 0, which is no rule.
    pub async fn find(&mut self, state: &State, id: u32) -> Option<RuleView> {
        if id == 0 {
            return None;
        }
        if self.revision != state.revision {
            self.revision = state.revision;
            self.known.clear();
        }
        if let Some(known) = self.known.get(&id) {
            return Some(known.clone());
        }
        let rule = self.requests.call(move |engine| Ok(engine.rule(id))).await.ok()?;
        self.known.insert(id, rule.clone());
        Some(rule)
    }
}
