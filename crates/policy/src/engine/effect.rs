//! What a change of policies, identities or settings means for others.

use ciliate_types::{Labels, NamePattern};
use ipnet::IpNet;
use std::sync::Arc;

/// What a change means for others.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Effect {
    pub revision: u64,
    /// Labels of the subjects whose rule set may have changed. Each is named once until it is asked for again.
    pub stale: Vec<Arc<Labels>>,
    pub prefixes_added: Vec<IpNet>,
    pub prefixes_removed: Vec<IpNet>,
    /// Patterns of names that are in use now, and those that are no more: see [`Engine::fqdn_selectors`].
    pub names_added: Vec<NamePattern>,
    pub names_removed: Vec<NamePattern>,
}

/// Adds what moved later to what moved before.
fn merge_moved<T: PartialEq>(before: (&mut Vec<T>, &mut Vec<T>), later: (Vec<T>, Vec<T>)) {
    let ((added, removed), (later_added, later_removed)) = (before, later);
    let (cancelled, later_removed): (Vec<_>, Vec<_>) =
        later_removed.into_iter().partition(|thing| added.contains(thing));
    added.retain(|thing| !cancelled.contains(thing));
    let (cancelled, later_added): (Vec<_>, Vec<_>) =
        later_added.into_iter().partition(|thing| removed.contains(thing));
    removed.retain(|thing| !cancelled.contains(thing));
    added.extend(later_added);
    removed.extend(later_removed);
}

impl Effect {
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.stale.is_empty()
            && self.prefixes_added.is_empty()
            && self.prefixes_removed.is_empty()
            && self.names_added.is_empty()
            && self.names_removed.is_empty()
    }

    /// Adds what a later change means.
    pub fn merge(&mut self, later: Self) {
        let Self { revision, stale, prefixes_added, prefixes_removed, names_added, names_removed } = later;
        self.revision = revision;
        self.stale
            .extend(stale.into_iter().filter(|labels| !self.stale.contains(labels)).collect::<Vec<_>>());
        let prefixes = (&mut self.prefixes_added, &mut self.prefixes_removed);
        merge_moved(prefixes, (prefixes_added, prefixes_removed));
        merge_moved((&mut self.names_added, &mut self.names_removed), (names_added, names_removed));
    }
}
