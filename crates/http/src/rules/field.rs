//! Which rules of many a method, a path or a host agrees with, at about the cost of one.

use super::pattern::{End, Literal, Pattern};
use regex_automata::{
    Anchored, Input, MatchKind, PatternSet,
    dfa::{Automaton as _, StartKind, dense},
    meta,
    nfa::thompson,
    util::start,
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

/// What an automaton over the patterns of a field may take, in bytes. Above it is built while it runs, in as much room.
const AUTOMATON: usize = 2 << 20;
/// What one expression may take, in bytes, before it is made deterministic.
const EXPRESSION: usize = 512 << 10;
const ALL_EXPRESSIONS: usize = 32 << 20;

/// An expression would take too much room, alone or with all others.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TooLarge {
    /// Number of the rule.
    pub rule: Option<u32>,
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
enum Members {
    Few(Box<[u32]>),
    /// As bits, where that takes less.
    Many(Box<[Word]>),
}

impl Members {
    fn new(rules: Vec<u32>, words: usize) -> Self {
        if rules.len() <= words {
            return Self::Few(rules.into());
        }
        let mut bits = vec![0; words];
        rules.iter().for_each(|rule| set(&mut bits, *rule));
        Self::Many(bits.into())
    }

    #[inline]
    fn add_to(&self, rules: &mut [Word]) {
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

/// All expressions of a field at once.
#[derive(Debug)]
struct Automaton {
    engine: Engine,
    /// The rules of each expression.
    rules: Vec<Members>,
}

#[derive(Debug)]
enum Engine {
    /// One step a byte.
    Whole(Box<dense::DFA<Vec<u32>>>),
    /// Too large to be built as a whole: states are built when they are reached.
    Growing(meta::Regex),
}

impl Automaton {
    fn new(expressions: Vec<(&Hir, Vec<u32>)>, words: usize) -> Result<Option<Self>, TooLarge> {
        if expressions.is_empty() {
            return Ok(None);
        }
        let nfa = |hirs: &[&Hir], limit| {
            let config = thompson::Config::new()
                .utf8(false)
                .shrink(false)
                .nfa_size_limit(Some(limit))
                .which_captures(thompson::WhichCaptures::None);
            thompson::Compiler::new().configure(config).build_many_from_hir(hirs).ok()
        };
        for (hir, rules) in &expressions {
            if nfa(&[hir], EXPRESSION).is_none() {
                return Err(TooLarge { rule: rules.first().copied() });
            }
        }
        let (hirs, rules): (Vec<&Hir>, Vec<Members>) =
            expressions.into_iter().map(|(hir, rules)| (hir, Members::new(rules, words))).unzip();
        let all = nfa(&hirs, ALL_EXPRESSIONS).ok_or(TooLarge { rule: None })?;
        let config = dense::Config::new()
            .match_kind(MatchKind::All)
            .start_kind(StartKind::Anchored)
            .dfa_size_limit(Some(AUTOMATON))
            .determinize_size_limit(Some(AUTOMATON));
        let engine = match dense::Builder::new().configure(config).build_from_nfa(&all) {
            Ok(dfa) => Engine::Whole(Box::new(dfa)),
            Err(_) => {
                let config = meta::Config::new()
                    .match_kind(MatchKind::All)
                    .utf8_empty(false)
                    .nfa_size_limit(Some(ALL_EXPRESSIONS))
                    .hybrid_cache_capacity(AUTOMATON);
                let regex = meta::Builder::new().configure(config).build_many_from_hir(&hirs);
                Engine::Growing(regex.map_err(|_| TooLarge { rule: None })?)
            }
        };
        Ok(Some(Self { engine, rules }))
    }

    fn agreeing(&self, value: &[u8], rules: &mut [Word]) {
        let mut found = |pattern: usize| {
            if let Some(own) = self.rules.get(pattern) {
                own.add_to(rules);
            }
        };
        match &self.engine {
            Engine::Whole(dfa) => {
                let Ok(mut state) = dfa.start_state(&start::Config::new().anchored(Anchored::Yes)) else {
                    return;
                };
                for byte in value {
                    state = dfa.next_state(state, *byte);
                    if dfa.is_dead_state(state) {
                        return;
                    }
                }
                state = dfa.next_eoi_state(state);
                if dfa.is_match_state(state) {
                    for at in 0..dfa.match_len(state) {
                        found(dfa.match_pattern(state, at).as_usize());
                    }
                }
            }
            Engine::Growing(regex) => {
                let mut patterns = PatternSet::new(regex.pattern_len());
                regex.which_overlapping_matches(&Input::new(value).anchored(Anchored::Yes), &mut patterns);
                patterns.iter().for_each(|pattern| found(pattern.as_usize()));
            }
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
