//! What rules want of headers.
//!
//! Every value of a repeated header counts: all of them have to be as wanted, or a server that takes another one than we do would see a
//! request that no rule allows. Names with `_` for `-` count as well, because some servers cannot tell them apart; but at least one header
//! has to have the name proper.

use super::{FieldName, RuleError, Secrets, pattern};
use crate::{Edit, Request, bytes};
use ciliate_types::{HeaderMatch, HeaderValue, Mismatch};
use regex_automata::{Anchored, Input, meta};

/// One wanted header.
#[derive(Debug)]
pub(super) struct Condition {
    /// Number among [`Names`].
    id: usize,
    name: Box<str>,
    want: Want,
    mismatch: Option<Mismatch>,
}

#[derive(Debug)]
enum Want {
    Present,
    Exact(Box<[u8]>),
    Expression(Box<meta::Regex>),
    /// The secret is not there: no request has its value.
    Never,
}

/// The names that rules of a set ask for.
#[derive(Debug, Default)]
pub(super) struct Names(Vec<Box<str>>);

/// The headers of a request that rules ask for.
pub(super) struct Found<'a>(Vec<FoundHeader<'a>>);

struct FoundHeader<'a> {
    id: usize,
    spelling: Spelling,
    value: &'a [u8],
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Spelling {
    Proper,
    /// With `_` for `-`.
    Variant,
}

/// What a rule makes of a request that agrees with it.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    pub edits: Vec<Edit>,
    pub logged: Vec<Box<str>>,
}

/// Names that rules must not change: a message would end elsewhere, or go elsewhere, or become something else.
const FIXED: [&str; 11] = [
    "host",
    "connection",
    "content-length",
    "transfer-encoding",
    "upgrade",
    "te",
    "trailer",
    "expect",
    "keep-alive",
    "proxy-connection",
    "http2-settings",
];

/// Longest value that a rule may ask for.
const LONGEST_VALUE: usize = 8 * 1024;
const REGEX_SIZE: usize = 512 << 10;

/// Whether two names of headers are the same to some server: letters of either case, and `_` for `-`.
pub(crate) fn same_name(one: &[u8], other: &[u8]) -> bool {
    let fold = |byte: u8| if byte == b'_' { b'-' } else { byte.to_ascii_lowercase() };
    one.len() == other.len() && one.iter().zip(other).all(|(a, b)| fold(*a) == fold(*b))
}

impl Names {
    fn intern(&mut self, name: &str) -> usize {
        match self.0.iter().position(|own| own.eq_ignore_ascii_case(name)) {
            Some(id) => id,
            None => {
                self.0.push(name.into());
                self.0.len().saturating_sub(1)
            }
        }
    }

    pub(super) fn find<'a>(&self, request: &Request<'a>) -> Found<'a> {
        let mut found = Vec::new();
        for (name, value) in request.headers.iter() {
            for (id, own) in self.0.iter().enumerate() {
                if same_name(own.as_bytes(), name) {
                    let proper = own.as_bytes().eq_ignore_ascii_case(name);
                    let spelling = if proper { Spelling::Proper } else { Spelling::Variant };
                    found.push(FoundHeader { id, spelling, value });
                }
            }
        }
        Found(found)
    }
}

impl Condition {
    /// `Name: value`, `Name value` (as Cilium reads it) or `Name`.
    pub(super) fn plain(text: &str, names: &mut Names) -> Result<Self, String> {
        let end = text.find([':', ' ']).unwrap_or(text.len());
        let (name, rest) = text.split_at_checked(end).unwrap_or_default();
        let want = match rest.strip_prefix(':').unwrap_or(rest).trim_matches([' ', '\t']) {
            "" if rest.is_empty() => Want::Present,
            "" => {
                return Err(
                    "has no value: write the name alone for a header that only has to be there".into()
                );
            }
            value => Want::Exact(checked_value(value.as_bytes())?.into()),
        };
        Self::new(name, want, None, names)
    }

    pub(super) fn full(
        header: &HeaderMatch,
        secrets: Secrets<'_>,
        at: &dyn Fn(FieldName, &str, pattern::PatternError) -> RuleError,
        field: FieldName,
        names: &mut Names,
    ) -> Result<Self, RuleError> {
        let problem =
            |problem: String| at(field, &header.name, pattern::PatternError { position: None, problem });
        let want = match &header.value {
            HeaderValue::Present => Want::Present,
            HeaderValue::Exact(value) => {
                Want::Exact(checked_value(value.as_bytes()).map_err(problem)?.into())
            }
            HeaderValue::Regex(text) => {
                let hir = pattern::bytes(text).map_err(|error| at(field, text, error))?;
                let config = meta::Config::new().utf8_empty(false).nfa_size_limit(Some(REGEX_SIZE));
                let regex = meta::Builder::new().configure(config).build_from_hir(&hir);
                Want::Expression(Box::new(
                    regex.map_err(|_| problem("takes too much room: write a simpler expression".into()))?,
                ))
            }
            HeaderValue::Secret { namespace, name, fallback } => {
                let secret = secrets(namespace, name);
                let usable = secret.as_deref().and_then(|value| secret_value(value).ok());
                let stand_in = || fallback.as_ref().and_then(|value| secret_value(value.as_bytes()).ok());
                usable.or_else(stand_in).map_or(Want::Never, |value| Want::Exact(value.into()))
            }
        };
        let valued = matches!(want, Want::Exact(_) | Want::Never);
        match header.mismatch {
            Some(Mismatch::Add | Mismatch::Replace) if !valued => {
                return Err(problem("needs a value or a secret that ADD or REPLACE can write".into()));
            }
            Some(Mismatch::Add | Mismatch::Replace | Mismatch::Delete)
                if FIXED.iter().any(|name| same_name(name.as_bytes(), header.name.as_bytes())) =>
            {
                return Err(problem("is a header that rules may match but not change".into()));
            }
            Some(Mismatch::Add | Mismatch::Replace | Mismatch::Delete | Mismatch::Log) | None => {}
        }
        Self::new(&header.name, want, header.mismatch, names).map_err(problem)
    }

    fn new(name: &str, want: Want, mismatch: Option<Mismatch>, names: &mut Names) -> Result<Self, String> {
        if !bytes::is_token(name.as_bytes()) {
            return Err(format!("{name:?} is no name of a header"));
        }
        Ok(Self { id: names.intern(name), name: name.into(), want, mismatch })
    }

    /// Whether a request with these headers may pass the condition, and what becomes of it.
    pub(super) fn agrees(&self, found: &Found<'_>, outcome: &mut Outcome) -> bool {
        let own = || found.0.iter().filter(|header| header.id == self.id);
        let there = own().any(|header| header.spelling == Spelling::Proper);
        let good = |value: &[u8]| match &self.want {
            Want::Present => true,
            Want::Exact(wanted) => **wanted == *value,
            Want::Expression(regex) => regex.is_match(Input::new(value).anchored(Anchored::Yes)),
            Want::Never => false,
        };
        if there && own().all(|header| good(header.value)) {
            return true;
        }
        let (Some(mismatch), Want::Present | Want::Exact(_) | Want::Expression(_)) =
            (self.mismatch, &self.want)
        else {
            return false;
        };
        let name = self.name.clone();
        match (mismatch, &self.want) {
            (Mismatch::Log, _) => outcome.logged.push(name),
            (Mismatch::Delete, _) => {
                if own().next().is_some() {
                    outcome.edits.push(Edit::Remove { name });
                }
            }
            (Mismatch::Add, Want::Exact(value)) => {
                outcome.edits.push(Edit::Add { name, value: value.clone() });
            }
            (Mismatch::Replace, Want::Exact(value)) => {
                outcome.edits.push(Edit::Replace { name, value: value.clone() });
            }
            (Mismatch::Add | Mismatch::Replace, Want::Present | Want::Expression(_) | Want::Never) => {
                return false;
            }
        }
        true
    }
}

/// What a header is compared with if a secret holds this: not its line's end.
///
/// # Errors
/// Why it cannot be compared with any, to be read behind the value's name. An empty one would let in everybody who sends nothing.
pub fn secret_value(value: &[u8]) -> Result<&[u8], String> {
    let value = checked_value(value)?;
    if value.is_empty() { Err("has an empty value".into()) } else { Ok(value) }
}

/// A value that can be sent. Secrets often end with a line's end, which is not part of them.
fn checked_value(value: &[u8]) -> Result<&[u8], String> {
    let value = value.trim_ascii_end();
    if value.len() > LONGEST_VALUE {
        return Err(format!("has a value of more than {LONGEST_VALUE} bytes"));
    }
    if !bytes::is_value(value) || bytes::trim(value).len() != value.len() {
        return Err("has a value with control characters, or with blanks at its start".into());
    }
    Ok(value)
}
