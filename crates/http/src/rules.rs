//! Rules compiled for many requests.

mod automaton;
mod field;
mod headers;
mod pattern;
mod re2;

use crate::{Edit, Request};
use ciliate_types::HttpRule;
use field::{Field, Matters, Word};
pub(crate) use headers::same_name;
pub use headers::secret_value;
use headers::{Condition, Names, Outcome};
use pattern::{Pattern, PatternError};
use std::fmt;
use thiserror::Error;

/// Rules of which a request has to match one. A set of no rules allows nothing.
#[derive(Debug)]
pub struct RuleSet {
    len: usize,
    method: Field,
    path: Field,
    host: Field,
    /// What each rule wants of headers.
    conditions: Vec<Box<[Condition]>>,
    names: Names,
}

/// Room for matching, used again for each request; one per thread serves all rule sets.
#[derive(Debug, Default)]
pub struct Scratch {
    rules: Vec<Word>,
    others: Vec<Word>,
}

/// The first rule that a request matches.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct Matched {
    /// Its place in what the set was compiled from.
    pub rule: usize,
    /// What ADD, DELETE and REPLACE make of the head; mostly nothing.
    pub edits: Vec<Edit>,
    /// LOG: the names of headers that are not as the rule wants them.
    pub logged: Vec<Box<str>>,
}

/// Looks the value of a secret up by its namespace and name.
pub type Secrets<'a> = &'a dyn Fn(&str, &str) -> Option<Vec<u8>>;

/// The part of a rule that an error is about. Numbers count from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FieldName {
    Method,
    Path,
    Host,
    Headers(usize),
    HeaderMatches(usize),
}

/// A rule that cannot be compiled.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("http rule {rule}: {field} {text:?} {}{problem}", position.map(|at| format!("is no regular expression: at byte {at}: ")).unwrap_or_default())]
pub struct RuleError {
    /// Its place in the list, from 0.
    pub rule: usize,
    pub field: FieldName,
    pub text: String,
    /// Where in `text` the problem is, in bytes.
    pub position: Option<usize>,
    pub problem: String,
}

impl fmt::Display for FieldName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Method => f.write_str("method"),
            Self::Path => f.write_str("path"),
            Self::Host => f.write_str("host"),
            Self::Headers(at) => write!(f, "headers[{at}]"),
            Self::HeaderMatches(at) => write!(f, "headerMatches[{at}]"),
        }
    }
}

impl RuleSet {
    /// Compiles rules. A secret that `secrets` does not have, and that has no fallback, makes its rule match nothing.
    ///
    /// # Errors
    /// The first rule with an invalid or too large expression or header.
    pub fn compile(rules: &[HttpRule], secrets: Secrets<'_>) -> Result<Self, RuleError> {
        let mut names = Names::default();
        let mut conditions = Vec::with_capacity(rules.len());
        for (number, rule) in rules.iter().enumerate() {
            let at = |field: FieldName, text: &str, error: PatternError| RuleError {
                rule: number,
                field,
                text: text.to_owned(),
                position: error.position,
                problem: error.problem,
            };
            let mut own = Vec::new();
            for (place, text) in rule.headers.iter().enumerate() {
                own.push(Condition::plain(text, &mut names).map_err(|problem| {
                    at(FieldName::Headers(place), text, PatternError { position: None, problem })
                })?);
            }
            for (place, header) in rule.header_matches.iter().enumerate() {
                let field = FieldName::HeaderMatches(place);
                own.push(Condition::full(header, secrets, &at, field, &mut names)?);
            }
            conditions.push(own.into_boxed_slice());
        }
        let field = |name: FieldName, text: fn(&HttpRule) -> Option<&str>| compile_field(rules, name, text);
        Ok(Self {
            len: rules.len(),
            method: field(FieldName::Method, |rule| rule.method.as_deref())?,
            path: field(FieldName::Path, |rule| rule.path.as_deref())?,
            host: field(FieldName::Host, |rule| rule.host.as_deref())?,
            conditions,
            names,
        })
    }

    /// How many rules there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The first rule that the request matches; none: it is denied.
    #[must_use]
    pub fn judge(&self, request: &Request<'_>, scratch: &mut Scratch) -> Option<Matched> {
        let Scratch { rules, others } = scratch;
        let words = self.len.div_ceil(64);
        if rules.len() < words {
            rules.resize(words, 0);
            others.resize(words, 0);
        }
        let (rules, others) = (rules.get_mut(..words)?, others.get_mut(..words)?);
        self.path.agreeing(request.path, rules);
        for (field, value) in [(&self.method, request.method), (&self.host, request.host)] {
            if field.matters() == Matters::Yes {
                field.agreeing(value, others);
                rules.iter_mut().zip(others.iter()).for_each(|(rule, other)| *rule &= other);
            }
        }
        self.first(request, rules)
    }

    fn first(&self, request: &Request<'_>, rules: &[Word]) -> Option<Matched> {
        let mut found = None;
        for (at, word) in rules.iter().enumerate() {
            let mut word = *word;
            while word != 0 {
                let bit = usize::try_from(word.trailing_zeros()).ok()?;
                let rule = at.saturating_mul(64).saturating_add(bit);
                let conditions = self.conditions.get(rule)?;
                let mut outcome = Outcome::default();
                if conditions.is_empty() || {
                    let found = found.get_or_insert_with(|| self.names.find(request));
                    conditions.iter().all(|condition| condition.agrees(found, &mut outcome))
                } {
                    return Some(Matched { rule, edits: outcome.edits, logged: outcome.logged });
                }
                word &= word.wrapping_sub(1);
            }
        }
        None
    }
}

fn compile_field(
    rules: &[HttpRule],
    name: FieldName,
    text: fn(&HttpRule) -> Option<&str>,
) -> Result<Field, RuleError> {
    let mut patterns = Vec::with_capacity(rules.len());
    for (number, rule) in rules.iter().enumerate() {
        patterns.push(match text(rule) {
            None => Pattern::Any,
            Some(text) => pattern::ascii(text).map_err(|error| RuleError {
                rule: number,
                field: name,
                text: text.to_owned(),
                position: error.position,
                problem: error.problem,
            })?,
        });
    }
    Field::new(&patterns).map_err(|too_large| {
        let rule = too_large.rule.and_then(|rule| usize::try_from(rule).ok());
        RuleError {
            rule: rule.unwrap_or_default(),
            field: name,
            text: rule.and_then(|rule| rules.get(rule)).and_then(text).unwrap_or_default().to_owned(),
            position: None,
            problem: match rule {
                Some(_) => "takes too much room: write a simpler expression".to_owned(),
                None => "and the others of this field take too much room together: use simpler or fewer expressions".to_owned(),
            },
        }
    })
}
