//! Many patterns as one: which of them match a name costs about the same for one pattern or a thousand.
//!
//! Patterns form a tree by their labels from the last to the first. A step down is a look-up of the name's label in one hash table,
//! beside the few steps by labels with stars, which are found by what stands in front of their first star or behind their last.
//! A node has one parent, so no node is visited twice for a name, whatever the patterns are like.

mod build;
mod label;

use crate::name::Name;
use build::Builder;
use ciliate_types::NamePattern;
use foldhash::fast::RandomState;
use hashbrown::HashTable;
use label::Globs;
use std::{hash::BuildHasher, ops::ControlFlow, ops::Range};

/// The caller's number of a pattern or of the rule it stands in; several patterns may have the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SelectorId(pub u32);

/// Patterns, ready to be matched.
#[derive(Clone, Debug)]
pub struct NameMatcher {
    nodes: Vec<Node>,
    /// Steps by labels without stars, of all nodes.
    edges: HashTable<Edge>,
    hasher: RandomState,
    /// The labels of `edges`, one after the other.
    labels: Vec<u8>,
    /// What `Node` has ranges of.
    ids: Vec<SelectorId>,
    /// Patterns that match every name.
    everything: Vec<SelectorId>,
}

#[derive(Clone, Debug, Default)]
struct Node {
    /// Patterns that are used up here.
    here: Range<u32>,
    /// Patterns that want one or more labels of whatever kind from here on.
    deeper: Range<u32>,
    /// The step by a label of one star.
    any: Option<u32>,
    globs: Option<Box<Globs>>,
}

#[derive(Clone, Debug)]
struct Edge {
    from: u32,
    to: u32,
    /// In `NameMatcher::labels`.
    label: Range<u32>,
}

/// The labels of a name that are still to be matched.
#[derive(Clone, Copy)]
struct Path<'a> {
    name: &'a Name,
    starts: &'a [u8],
}

impl<'a> Path<'a> {
    fn split_last(self) -> Option<(&'a [u8], Self)> {
        let (last, starts) = self.starts.split_last()?;
        Some((self.name.label_at(*last), Self { starts, ..self }))
    }
}

impl NameMatcher {
    /// An id may come with several patterns; it then stands for all of them.
    #[must_use]
    pub fn new(patterns: impl IntoIterator<Item = (SelectorId, NamePattern)>) -> Self {
        let mut builder = Builder::default();
        for (id, pattern) in patterns {
            builder.add(id, &pattern);
        }
        builder.finish()
    }

    /// Whether any pattern matches.
    #[must_use]
    pub fn matches(&self, name: &Name) -> bool {
        self.visit(name, &mut |_| ControlFlow::Break(())).is_break()
    }

    /// Fills `ids` with those of the patterns that match, ascending, each once.
    pub fn matching(&self, name: &Name, ids: &mut Vec<SelectorId>) {
        ids.clear();
        let _all = self.visit(name, &mut |some| {
            ids.extend_from_slice(some);
            ControlFlow::Continue(())
        });
        if ids.len() > 1 {
            ids.sort_unstable();
            ids.dedup();
        }
    }

    /// Hands out non-empty runs of ids until told to stop.
    fn visit(
        &self,
        name: &Name,
        found: &mut impl FnMut(&[SelectorId]) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        if !self.everything.is_empty() {
            found(&self.everything)?;
        }
        // Labels with other characters cannot be written in a pattern, and stars do not stand for them.
        if !name.is_plain() || self.ids.is_empty() {
            return ControlFlow::Continue(());
        }
        let (starts, count) = name.label_starts();
        let path = Path { name, starts: starts.get(..count).unwrap_or_default() };
        self.descend(0, path, found)
    }

    fn descend(
        &self,
        node: u32,
        path: Path<'_>,
        found: &mut impl FnMut(&[SelectorId]) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        let Some(at) = usize::try_from(node).ok().and_then(|at| self.nodes.get(at)) else {
            return ControlFlow::Continue(());
        };
        let Some((label, rest)) = path.split_last() else { return self.give(&at.here, found) };
        self.give(&at.deeper, found)?;
        if let Some(to) = self.literal(node, label) {
            self.descend(to, rest, found)?;
        }
        if let Some(to) = at.any {
            self.descend(to, rest, found)?;
        }
        if let Some(globs) = &at.globs {
            globs.visit(label, &mut |to| self.descend(to, rest, found))?;
        }
        ControlFlow::Continue(())
    }

    fn give(
        &self,
        ids: &Range<u32>,
        found: &mut impl FnMut(&[SelectorId]) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        match slice(&self.ids, ids) {
            [] => ControlFlow::Continue(()),
            some => found(some),
        }
    }

    fn literal(&self, from: u32, label: &[u8]) -> Option<u32> {
        let is_it = |edge: &Edge| edge.from == from && slice(&self.labels, &edge.label) == label;
        self.edges.find(self.hasher.hash_one((from, label)), is_it).map(|edge| edge.to)
    }
}

impl Default for NameMatcher {
    /// Matches nothing.
    fn default() -> Self {
        Self::new([])
    }
}

fn slice<'a, T>(all: &'a [T], range: &Range<u32>) -> &'a [T] {
    let bounds = usize::try_from(range.start).ok().zip(usize::try_from(range.end).ok());
    bounds.and_then(|(start, end)| all.get(start..end)).unwrap_or_default()
}

#[cfg(test)]
mod tests;
