//! One regular expression, and the simplest thing that it amounts to.

use super::re2;
use regex_syntax::hir::{Class, ClassBytes, ClassBytesRange, Hir, HirKind, Look, Repetition};

/// What values an expression matches, as a whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Pattern {
    Any,
    /// Values that are one of these, or begin with one.
    Literals(Vec<Literal>),
    Expression(Hir),
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Literal {
    pub text: Vec<u8>,
    pub end: End,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum End {
    /// The value ends with the text.
    Exact,
    /// The value goes on as it likes.
    Open,
}

/// What is wrong with an expression, and where: bytes from its start.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct PatternError {
    pub position: Option<usize>,
    pub problem: String,
}

/// More alternatives than these are left to an automaton.
const MOST_LITERALS: usize = 64;
/// Longest expression, in bytes.
const LONGEST: usize = 16 * 1024;
const DEEPEST: u32 = 64;

/// Reads an expression for values of printable ASCII: methods, paths and hosts.
pub(super) fn ascii(text: &str) -> Result<Pattern, PatternError> {
    let hir = restrict(&parse(text)?);
    let bare = without_anchors(hir);
    if is_anything(&bare) {
        return Ok(Pattern::Any);
    }
    Ok(match literals(&bare) {
        Some(literals) => Pattern::Literals(literals),
        None => Pattern::Expression(whole(bare)),
    })
}

/// Reads an expression for values of any bytes. It has to match the whole value.
pub(super) fn bytes(text: &str) -> Result<Hir, PatternError> {
    parse(text).map(whole)
}

fn parse(text: &str) -> Result<Hir, PatternError> {
    if text.len() > LONGEST {
        let problem = format!("is longer than {LONGEST} bytes");
        return Err(PatternError { position: None, problem });
    }
    let translated = re2::translate(text);
    let mut parser = regex_syntax::ParserBuilder::new().utf8(false).nest_limit(DEEPEST).build();
    parser.parse(&translated.pattern).map_err(|error| {
        let (at, problem) = match &error {
            regex_syntax::Error::Parse(error) => (Some(error.span().start.offset), error.kind().to_string()),
            regex_syntax::Error::Translate(error) => {
                (Some(error.span().start.offset), error.kind().to_string())
            }
            other => (None, other.to_string()),
        };
        PatternError { position: at.map(|at| translated.origin(at)), problem }
    })
}

fn whole(hir: Hir) -> Hir {
    Hir::concat(vec![Hir::look(Look::Start), hir, Hir::look(Look::End)])
}

/// The expression for ASCII alone: it matches the same values of ASCII, and its automaton is far smaller.
fn restrict(hir: &Hir) -> Hir {
    match hir.kind() {
        HirKind::Empty => Hir::empty(),
        HirKind::Literal(literal) => Hir::literal(literal.0.clone()),
        HirKind::Class(Class::Unicode(class)) => {
            let ascii = class.ranges().iter().filter_map(|range| {
                let start = u8::try_from(range.start()).ok().filter(u8::is_ascii)?;
                let end = u8::try_from(range.end()).ok().filter(u8::is_ascii).unwrap_or(0x7f);
                Some(ClassBytesRange::new(start, end))
            });
            Hir::class(Class::Bytes(ClassBytes::new(ascii)))
        }
        HirKind::Class(class @ Class::Bytes(_)) => Hir::class(class.clone()),
        HirKind::Look(look) => Hir::look(match look {
            Look::WordUnicode => Look::WordAscii,
            Look::WordUnicodeNegate => Look::WordAsciiNegate,
            Look::WordStartUnicode => Look::WordStartAscii,
            Look::WordEndUnicode => Look::WordEndAscii,
            Look::WordStartHalfUnicode => Look::WordStartHalfAscii,
            Look::WordEndHalfUnicode => Look::WordEndHalfAscii,
            other => *other,
        }),
        HirKind::Repetition(repetition) => {
            Hir::repetition(Repetition { sub: Box::new(restrict(&repetition.sub)), ..repetition.clone() })
        }
        // What is captured does not matter.
        HirKind::Capture(capture) => restrict(&capture.sub),
        HirKind::Concat(parts) => Hir::concat(parts.iter().map(restrict).collect()),
        HirKind::Alternation(parts) => Hir::alternation(parts.iter().map(restrict).collect()),
    }
}

/// `^` at the start and `$` at the end say nothing: expressions match whole values anyway.
fn without_anchors(hir: Hir) -> Hir {
    let is = |part: &Hir, look: Look| matches!(part.kind(), HirKind::Look(own) if *own == look);
    match hir.kind() {
        HirKind::Concat(parts) => {
            let mut parts = &parts[..];
            while let [first, rest @ ..] = parts
                && is(first, Look::Start)
            {
                parts = rest;
            }
            while let [rest @ .., last] = parts
                && is(last, Look::End)
            {
                parts = rest;
            }
            Hir::concat(parts.to_vec())
        }
        HirKind::Alternation(parts) => Hir::alternation(parts.iter().cloned().map(without_anchors).collect()),
        HirKind::Empty
        | HirKind::Literal(_)
        | HirKind::Class(_)
        | HirKind::Look(_)
        | HirKind::Repetition(_)
        | HirKind::Capture(_) => hir,
    }
}

/// `.*` and its like, for values of printable ASCII.
fn is_anything(hir: &Hir) -> bool {
    let HirKind::Repetition(Repetition { min: 0, max: None, sub, .. }) = hir.kind() else { return false };
    match sub.kind() {
        HirKind::Class(Class::Bytes(class)) => {
            class.ranges().iter().any(|range| range.start() <= b'!' && range.end() >= b'~')
        }
        _ => false,
    }
}

/// The few texts that an expression stands for, if that is all.
fn literals(hir: &Hir) -> Option<Vec<Literal>> {
    let one = |text: &[u8], end| vec![Literal { text: text.to_vec(), end }];
    let mut found = match hir.kind() {
        HirKind::Empty => one(b"", End::Exact),
        HirKind::Literal(literal) => one(&literal.0, End::Exact),
        HirKind::Class(Class::Bytes(class)) => {
            let members = class.ranges().iter().flat_map(|range| range.start()..=range.end());
            members.take(MOST_LITERALS.saturating_add(1)).flat_map(|byte| one(&[byte], End::Exact)).collect()
        }
        HirKind::Repetition(_) if is_anything(hir) => one(b"", End::Open),
        HirKind::Repetition(Repetition { min: 0, max: Some(1), sub, .. }) => {
            let mut both = one(b"", End::Exact);
            both.extend(literals(sub)?);
            both
        }
        HirKind::Concat(parts) => {
            let mut all = one(b"", End::Exact);
            for part in parts {
                let next = literals(part)?;
                if all.iter().any(|before| before.end == End::Open)
                    || all.len().saturating_mul(next.len()) > MOST_LITERALS
                {
                    return None;
                }
                all = all
                    .iter()
                    .flat_map(|before| {
                        next.iter().map(|after| Literal {
                            text: [&before.text[..], &after.text].concat(),
                            end: after.end,
                        })
                    })
                    .collect();
            }
            all
        }
        HirKind::Alternation(parts) => {
            let mut all = Vec::new();
            for part in parts {
                all.extend(literals(part)?);
                if all.len() > MOST_LITERALS {
                    return None;
                }
            }
            all
        }
        HirKind::Class(Class::Unicode(_))
        | HirKind::Look(_)
        | HirKind::Repetition(_)
        | HirKind::Capture(_) => {
            return None;
        }
    };
    found.sort();
    found.dedup();
    (found.len() <= MOST_LITERALS).then_some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape(text: &str) -> String {
        match ascii(text).unwrap() {
            Pattern::Any => "any".into(),
            Pattern::Expression(_) => "expression".into(),
            Pattern::Literals(all) => {
                let show = |literal: &Literal| {
                    let open = if literal.end == End::Open { "…" } else { "" };
                    format!("{}{open}", String::from_utf8_lossy(&literal.text))
                };
                all.iter().map(show).collect::<Vec<_>>().join(" ")
            }
        }
    }

    #[test]
    fn simple_expressions_are_recognised() {
        for (text, wanted) in [
            (".*", "any"),
            ("^.*$", "any"),
            ("(?s).*", "any"),
            ("/v1/request-landing", "/v1/request-landing"),
            ("^/a$", "/a"),
            ("GET|POST", "GET POST"),
            ("(GET|HEAD)", "GET HEAD"),
            ("/api/.*", "/api/…"),
            ("/(a|b)/x?", "/a/ /a/x /b/ /b/x"),
            ("/(a$|b)", "expression"),
            ("/a[12]", "/a1 /a2"),
            ("/a.+", "expression"),
            ("/.*/b", "expression"),
            ("/[0-9]+", "expression"),
            ("/a\\.b\\/c", "/a.b/c"),
            ("", ""),
        ] {
            assert_eq!(shape(text), wanted, "{text}");
        }
    }

    #[test]
    fn errors_say_where() {
        let error = ascii("/a(b").unwrap_err();
        assert_eq!((error.position, error.problem.as_str()), (Some(2), "unclosed group"));
        assert_eq!(ascii("/{x}*[").unwrap_err().position, Some(5));
        assert!(ascii(&"a".repeat(LONGEST + 1)).unwrap_err().problem.contains("longer than"));
        assert!(ascii(&"(".repeat(100)).is_err());
    }
}
