//! Rules and policies as flows name them.

use ciliate_api::RuleView;
use ciliate_flow::{Judgement, MatchType, Outcome, PolicyRef};
use ciliate_policy::{ObjectKey, PeerScope, RuleRef, TrafficScope};
use std::sync::Arc;

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

/// What Hubble's clients are told of an object.
pub fn reference(key: &ObjectKey, revision: u64) -> PolicyRef {
    PolicyRef {
        kind: key.kind.name().to_owned(),
        namespace: key.namespace.clone().unwrap_or_default(),
        name: key.name.clone(),
        labels: Vec::new(),
        revision,
        section: String::new(),
    }
}
