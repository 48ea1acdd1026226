//! Rules by number, as of one revision of the policies.

use crate::{engine::Requests, flows::reference, state::State};
use ciliate_api::RuleView;
use ciliate_flow::{Judgement, MatchType, Outcome, PolicyRef};
use ciliate_policy::{PeerScope, RuleRef, TrafficScope};
use std::{collections::HashMap, sync::Arc};

pub struct Rules {
    requests: Requests,
    revision: u64,
    known: HashMap<u32, Known, foldhash::fast::RandomState>,
}

/// A rule, as everybody who is told of it needs it.
#[derive(Clone, Debug)]
pub struct Known {
    pub view: RuleView,
    /// That it let something pass.
    pub allowed: Arc<Judgement>,
    /// That it denied something.
    pub denied: Arc<Judgement>,
    pub match_type: MatchType,
}

impl Known {
    /// None of a number that no rule has any more.
    pub fn new(view: RuleView, rule: Option<&RuleRef>) -> Self {
        let policy = match rule.and_then(|rule| rule.object.as_ref().map(|object| (rule, object))) {
            Some((rule, object)) => PolicyRef {
                labels: rule.labels.clone(),
                section: rule.section.clone(),
                ..reference(object, rule.revision)
            },
            None => {
                PolicyRef { name: view.object.clone(), section: view.section.clone(), ..PolicyRef::default() }
            }
        };
        let judgement = |outcome| Arc::new(Judgement { outcome, by: vec![policy.clone()] });
        Self {
            allowed: judgement(Outcome::Allowed),
            denied: judgement(Outcome::Denied),
            match_type: rule.map_or(MatchType::None, match_type),
            view,
        }
    }
}

fn match_type(rule: &RuleRef) -> MatchType {
    match (rule.scope.peers, rule.scope.traffic) {
        (PeerScope::Any, TrafficScope::Any) => MatchType::All,
        (PeerScope::Any, TrafficScope::Protocols) => MatchType::ProtoOnly,
        (PeerScope::Any, TrafficScope::Ports) => MatchType::L4Only,
        (PeerScope::Some, TrafficScope::Any) => MatchType::L3Only,
        (PeerScope::Some, TrafficScope::Protocols) => MatchType::L3Proto,
        (PeerScope::Some, TrafficScope::Ports) => MatchType::L3L4,
    }
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
