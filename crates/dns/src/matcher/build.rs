//! From patterns to the tree.

use super::{Edge, NameMatcher, Node, SelectorId, label::LabelGlob};
use ciliate_types::NamePattern;
use foldhash::fast::RandomState;
use hashbrown::HashTable;
use std::{collections::HashMap, hash::BuildHasher, ops::Range};

/// What is known of a node while patterns are still added.
#[derive(Default)]
struct Draft {
    here: Vec<SelectorId>,
    deeper: Vec<SelectorId>,
}

pub(super) struct Builder {
    drafts: Vec<Draft>,
    /// By node and label, stars included.
    steps: HashMap<(u32, Box<[u8]>), u32>,
    everything: Vec<SelectorId>,
}

impl Default for Builder {
    fn default() -> Self {
        Self { drafts: vec![Draft::default()], steps: HashMap::new(), everything: Vec::new() }
    }
}

impl Builder {
    pub fn add(&mut self, id: SelectorId, pattern: &NamePattern) {
        let (text, any_depth) = match pattern {
            NamePattern::MatchName(name) => (name.as_str(), false),
            NamePattern::MatchPattern(glob) if glob.is_everything() => return self.everything.push(id),
            NamePattern::MatchPattern(glob) => match glob.any_depth() {
                Some(rest) => (rest, true),
                None => (glob.as_str(), false),
            },
        };
        let mut node = 0;
        // The text of the root is empty, and splitting that gives one label.
        for label in text.rsplit('.').filter(|label| !label.is_empty()) {
            node = self.step(node, label);
        }
        if let Some(draft) = usize::try_from(node).ok().and_then(|node| self.drafts.get_mut(node)) {
            if any_depth { &mut draft.deeper } else { &mut draft.here }.push(id);
        }
    }

    fn step(&mut self, from: u32, label: &str) -> u32 {
        let next = u32::try_from(self.drafts.len()).unwrap_or(u32::MAX);
        let to = *self.steps.entry((from, label.as_bytes().into())).or_insert(next);
        if to == next {
            self.drafts.push(Draft::default());
        }
        to
    }

    pub fn finish(self) -> NameMatcher {
        let mut ids = Vec::new();
        let mut keep = |some: Vec<SelectorId>| append(&mut ids, &some);
        let mut nodes: Vec<Node> = Vec::with_capacity(self.drafts.len());
        for Draft { here, deeper } in self.drafts {
            nodes.push(Node { here: keep(here), deeper: keep(deeper), ..Node::default() });
        }
        let (hasher, mut edges, mut labels) = (RandomState::default(), HashTable::new(), Vec::new());
        for ((from, label), to) in self.steps {
            let node = usize::try_from(from).ok().and_then(|from| nodes.get_mut(from));
            match (&*label, node) {
                (b"*", Some(node)) => node.any = Some(to),
                (glob, Some(node)) if glob.contains(&b'*') => {
                    node.globs.get_or_insert_default().add(LabelGlob::new(glob, to));
                }
                (literal, _) => {
                    let edge = Edge { from, to, label: append(&mut labels, literal) };
                    let rehash =
                        |edge: &Edge| hasher.hash_one((edge.from, super::slice(&labels, &edge.label)));
                    edges.insert_unique(hasher.hash_one((from, literal)), edge, rehash);
                }
            }
        }
        NameMatcher { nodes, edges, hasher, labels, ids, everything: self.everything }
    }
}

fn append<T: Copy>(all: &mut Vec<T>, some: &[T]) -> Range<u32> {
    let end = |all: &Vec<T>| u32::try_from(all.len()).unwrap_or(u32::MAX);
    let start = end(all);
    all.extend_from_slice(some);
    start..end(all)
}
