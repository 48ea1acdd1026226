//! Regular expressions inside of expressions: compiled once, bounded as those of other filters are.

use super::super::compile::{RegexSize, regex};
use cel::{
    DeclarationError, Env, ExecutionError,
    common::{
        types::{CelBool, CelString, STRING_TYPE},
        value::CowVal,
    },
};
use regex::Regex;
use std::{cell::RefCell, collections::HashMap};

/// Patterns that a thread remembers; with one more all are forgotten.
const MOST: usize = 64;

thread_local! {
    static KNOWN: RefCell<HashMap<String, Result<Regex, String>>> = RefCell::default();
}

/// Gives the environment `matches(text, pattern)` and `text.matches(pattern)`.
pub fn add(env: &mut Env) -> Result<(), DeclarationError> {
    env.add_overload("matches", "matches", vec![STRING_TYPE, STRING_TYPE], matches)?;
    env.add_member_overload("matches", "string_matches", STRING_TYPE, vec![STRING_TYPE], matches)
}

fn matches<'b, 'v>(arguments: Vec<CowVal<'b, 'v>>) -> Result<CowVal<'b, 'v>, ExecutionError> {
    let mut texts = arguments.iter().filter_map(|argument| argument.downcast_ref::<CelString<'_>>());
    let (Some(text), Some(pattern)) = (texts.next(), texts.next()) else {
        return Err(ExecutionError::missing_argument_or_target());
    };
    let found = is_match(text.inner(), pattern.inner());
    found
        .map(|yes| CowVal::owned(CelBool::from(yes)))
        .map_err(|message| ExecutionError::FunctionError { function: "matches".to_owned(), message })
}

fn is_match(text: &str, pattern: &str) -> Result<bool, String> {
    KNOWN.with_borrow_mut(|known| {
        if let Some(known) = known.get(pattern) {
            return known.as_ref().map(|known| known.is_match(text)).map_err(Clone::clone);
        }
        if known.len() >= MOST {
            known.clear();
        }
        let read = known.entry(pattern.to_owned()).or_insert_with(|| regex(pattern, RegexSize::alone()));
        read.as_ref().map(|read| read.is_match(text)).map_err(|message| message.clone())
    })
}
