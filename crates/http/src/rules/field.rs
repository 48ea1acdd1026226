//! Which rules of many a method, a path or a host agrees with, at about the cost of one.

use super::{
    automaton::{Automaton, TooLarge},
    pattern::{End, Literal, Pattern},
};
use regex_syntax::hir::Hir;
use std::{
    collections::{BTreeMap, HashMap},
    hash::{BuildHasherDefault, Hasher},
};

/// Rules by number, as bits.
pub(super) type Word = u64;

/// The patterns that all rules of a set have for one part of a request.
#[derive(Debug)]
pub(super) struct Field {
    /// Rules for which this part does not matter.
    any: Box<[Word]>,
    exact: HashMap<Box<[u8]>, Members, BuildHasherDefault<Multiplying>>,
    open: Prefixes,
    automaton: Option<Automaton>,
    /// Whether there is any rule for which it does.
    matters: Matters,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Matters {
    Yes,
    No,
}

impl Field {
    /// `patterns` are those of the rules in order.
    pub(super) fn new(patterns: &[Pattern]) -> Result<Self, TooLarge> {
        let words = patterns.len().div_ceil(64);
        let mut any = vec![0; words];
        let mut exact: BTreeMap<&[u8], Vec<u32>> = BTreeMap::new();
        let mut open: BTreeMap<&[u8], Vec<u32>> = BTreeMap::new();
        let mut expressions: Vec<(&Hir, Vec<u32>)> = Vec::new();
        let mut matters = Matters::No;
        for (rule, pattern) in (0_u32..).zip(patterns) {
            match pattern {
                Pattern::Any => set(&mut any, rule),
                Pattern::Literals(literals) => {
                    for Literal { text, end } in literals {
                        let of_kind = if *end == End::Exact { &mut exact } else { &mut open };
                        of_kind.entry(text).or_default().push(rule);
                    }
                }
                Pattern::Expression(hir) => match expressions.iter_mut().find(|(own, _)| *own == hir) {
                    Some((_, rules)) => rules.push(rule),
                    None => expressions.push((hir, vec![rule])),
                },
            }
            if *pattern != Pattern::Any {
                matters = Matters::Yes;
            }
        }
        Ok(Self {
            any: any.into(),
            exact: exact.into_iter().map(|(text, rules)| (text.into(), Members::new(rules, words))).collect(),
            open: Prefixes::new(open, words),
            automaton: Automaton::new(expressions, words)?,
            matters,
        })
    }

    pub(super) fn matters(&self) -> Matters {
        self.matters
    }

    /// Writes the rules that `value` agrees with over what is in `rules`.
    #[inline]
    pub(super) fn agreeing(&self, value: &[u8], rules: &mut [Word]) {
        for (own, word) in self.any.iter().zip(rules.iter_mut()) {
            *word = *own;
        }
        if !self.exact.is_empty()
            && let Some(found) = self.exact.get(value)
        {
            found.add_to(rules);
        }
        self.open.agreeing(value, rules);
        if let Some(automaton) = &self.automaton {
            automaton.agreeing(value, rules);
        }
    }
}

#[inline]
fn set(rules: &mut [Word], rule: u32) {
    if let Some(word) = usize::try_from(rule >> 6).ok().and_then(|at| rules.get_mut(at)) {
        *word |= 1 << (rule & 63);
    }
}

/// The rules that have a pattern.
#[derive(Debug)]
pub(super) enum Members {
    Few(Box<[u32]>),
    /// As bits, where that takes less.
    Many(Box<[Word]>),
}

impl Members {
    pub(super) fn new(rules: Vec<u32>, words: usize) -> Self {
        if rules.len() <= words {
            return Self::Few(rules.into());
        }
        let mut bits = vec![0; words];
        rules.iter().for_each(|rule| set(&mut bits, *rule));
        Self::Many(bits.into())
    }

    #[inline]
    pub(super) fn add_to(&self, rules: &mut [Word]) {
        match self {
            Self::Few(own) => own.iter().for_each(|rule| set(rules, *rule)),
            Self::Many(own) => rules.iter_mut().zip(own).for_each(|(word, own)| *word |= own),
        }
    }
}

/// Texts that values begin with, sorted, each with the longest other one that it begins with itself.
///
/// Of all texts that are not behind a value in the order, the last one begins with the longest text that the value begins with, or is it.
#[derive(Debug, Default)]
struct Prefixes {
    texts: Vec<Prefix>,
}

#[derive(Debug)]
struct Prefix {
    text: Box<[u8]>,
    rules: Members,
    shorter: Option<usize>,
}

impl Prefixes {
    fn new(sorted: BTreeMap<&[u8], Vec<u32>>, words: usize) -> Self {
        let mut texts: Vec<Prefix> = Vec::with_capacity(sorted.len());
        for (text, rules) in sorted {
            let mut shorter = texts.len().checked_sub(1);
            while let Some(prefix) = shorter.and_then(|at| texts.get(at)) {
                if text.starts_with(&prefix.text) {
                    break;
                }
                shorter = prefix.shorter;
            }
            texts.push(Prefix { text: text.into(), rules: Members::new(rules, words), shorter });
        }
        Self { texts }
    }

    #[inline]
    fn agreeing(&self, value: &[u8], rules: &mut [Word]) {
        if self.texts.is_empty() {
            return;
        }
        let mut at = self.texts.partition_point(|prefix| &*prefix.text <= value).checked_sub(1);
        while let Some(prefix) = at.and_then(|at| self.texts.get(at)) {
            if value.starts_with(&prefix.text) {
                prefix.rules.add_to(rules);
            }
            at = prefix.shorter;
        }
    }
}

/// A hash for keys that a policy chose: nobody else can add any, so it need not withstand attack.
#[derive(Debug, Default)]
struct Multiplying(u64);

/// 2^64 divided by the golden ratio.
const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;

impl Hasher for Multiplying {
    #[inline]
    fn write(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks::<8>();
        for word in words {
            self.write_u64(u64::from_le_bytes(*word));
        }
        let last = rest.iter().fold(1_u64, |last, byte| last << 8 | u64::from(*byte));
        self.write_u64(last);
    }

    #[inline]
    fn write_u64(&mut self, word: u64) {
        self.0 = (self.0.rotate_left(5) ^ word).wrapping_mul(FACTOR);
    }

    #[inline]
    fn write_usize(&mut self, length: usize) {
        self.write_u64(u64::try_from(length).unwrap_or_default());
    }

    #[inline]
    fn finish(&self) -> u64 {
        self.0.rotate_left(26)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Texts that begin with each other, and values near to them, against the obvious reading.
        #[test]
        fn a_field_agrees_as_each_pattern_does(
            patterns in prop::collection::vec(("[ab]{0,4}", any::<bool>()), 0..90),
            values in prop::collection::vec("[ab]{0,6}", 1..20),
        ) {
            let literal = |(text, open): &(String, bool)| Literal {
                text: text.clone().into_bytes(),
                end: if *open { End::Open } else { End::Exact },
            };
            let all: Vec<_> = patterns.iter().map(|own| Pattern::Literals(vec![literal(own)])).collect();
            let field = Field::new(&all).unwrap();
            for value in values {
                let mut found = vec![Word::MAX; patterns.len().div_ceil(64)];
                field.agreeing(value.as_bytes(), &mut found);
                for (rule, (text, open)) in patterns.iter().enumerate() {
                    let agrees = found[rule >> 6] >> (rule & 63) & 1 == 1;
                    let wanted = if *open { value.starts_with(text.as_str()) } else { value == *text };
                    prop_assert_eq!(agrees, wanted, "{} {:?}", text, value);
                }
            }
        }
    }
}
