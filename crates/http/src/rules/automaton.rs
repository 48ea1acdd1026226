//! All expressions of a field at once, in time that depends on the value's length alone.

use super::field::{Members, Word};
use regex_automata::{
    Anchored, Input, MatchKind, PatternSet,
    dfa::{Automaton as _, StartKind, dense},
    meta,
    nfa::thompson,
    util::start,
};
use regex_syntax::hir::Hir;

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

#[derive(Debug)]
pub(super) struct Automaton {
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
    pub(super) fn new(expressions: Vec<(&Hir, Vec<u32>)>, words: usize) -> Result<Option<Self>, TooLarge> {
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

    pub(super) fn agreeing(&self, value: &[u8], rules: &mut [Word]) {
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
