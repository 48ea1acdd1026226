//! Which server names are allowed.

use ciliate_types::{Glob, NamePattern};
use std::collections::HashSet;

/// A list of patterns, made ready: names and patterns whose only star is a whole label in front cost a look-up each, whatever their number.
/// The same names are allowed as by asking [`NamePattern::matches`] one by one.
#[derive(Clone, Debug, Default)]
pub struct ServerNames {
    every: bool,
    exact: HashSet<Box<str>>,
    /// What follows `*.`
    below: HashSet<Box<str>>,
    /// What follows `**.`
    deep_below: HashSet<Box<str>>,
    /// The rest, asked in turn.
    globs: Vec<Glob>,
}

impl ServerNames {
    #[must_use]
    pub fn new<'a>(patterns: impl IntoIterator<Item = &'a NamePattern>) -> Self {
        let mut names = Self::default();
        for pattern in patterns {
            let glob = match pattern {
                NamePattern::MatchName(name) => {
                    names.exact.insert(name.as_str().into());
                    continue;
                }
                NamePattern::MatchPattern(glob) => glob,
            };
            let text = glob.as_str();
            let plain = |rest: &&str| !rest.contains('*');
            if glob.is_everything() {
                names.every = true;
            } else if let Some(rest) = glob.any_depth().filter(plain) {
                names.deep_below.insert(rest.into());
            } else if let Some(rest) = text.strip_prefix("*.").filter(plain) {
                names.below.insert(rest.into());
            } else if plain(&text) {
                names.exact.insert(text.into());
            } else {
                names.globs.push(glob.clone());
            }
        }
        names
    }

    /// `name` is what [`crate::ClientHello::name`] says. No name is never allowed, not even by `*`.
    #[must_use]
    pub fn allow(&self, name: Option<&str>) -> bool {
        let Some(name) = name else { return false };
        if self.every || self.exact.contains(name) {
            return true;
        }
        let mut tails = name.match_indices('.').filter_map(|(dot, _)| name.get(dot.saturating_add(1)..));
        let parent = tails.next();
        parent.is_some_and(|tail| self.below.contains(tail) || self.deep_below.contains(tail))
            || (!self.deep_below.is_empty() && tails.any(|tail| self.deep_below.contains(tail)))
            || self.globs.iter().any(|glob| glob.matches(name))
    }
}
