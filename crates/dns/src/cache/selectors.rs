//! Which selectors there are.

use super::{Effects, NameCache};
use crate::matcher::{NameMatcher, SelectorId};
use ciliate_types::NamePattern;

impl NameCache {
    /// Other selectors from now on: the patterns of all `toFQDNs`, each with the caller's number. Every name is matched anew.
    pub fn set_selectors(
        &mut self,
        patterns: impl IntoIterator<Item = (SelectorId, NamePattern)>,
        effects: &mut Effects,
    ) {
        self.matcher = NameMatcher::new(patterns);
        self.store.select_anew(&self.matcher);
        self.store.finish(effects);
    }

    /// The selectors as they are now; to match a name that need not be in the cache.
    #[must_use]
    pub fn matcher(&self) -> &NameMatcher {
        &self.matcher
    }
}
