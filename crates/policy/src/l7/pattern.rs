//! Regular expressions of HTTP rules. The whole text has to match, and matching takes time linear in it.

use regex_automata::nfa::thompson::{self, NFA, pikevm::PikeVM};
use regex_syntax::hir::{Hir, Look};

/// An expression that needs more memory than this is refused.
const MAX_SIZE: usize = 10 << 20;

/// What is wrong with an expression.
#[derive(Debug, PartialEq, Eq)]
pub struct Fault {
    /// In characters, from 1; none if no one place is wrong.
    pub at: Option<usize>,
    pub message: String,
}

/// Says what is wrong with an expression.
pub fn check(expression: &str) -> Result<(), Fault> {
    compile(expression).map(|_| ())
}

/// Whether the whole text matches; never if the expression is wrong.
pub fn matches(expression: &str, text: &str) -> bool {
    let Ok(vm) = compile(expression).and_then(|nfa| PikeVM::new_from_nfa(nfa).map_err(too_big)) else {
        return false;
    };
    vm.is_match(&mut vm.create_cache(), text)
}

fn compile(expression: &str) -> Result<NFA, Fault> {
    let parsed = regex_syntax::Parser::new().parse(expression).map_err(|error| fault(expression, &error))?;
    // Anchored here and not in the text, where a comment or an alternative could swallow an anchor.
    let whole = Hir::concat(vec![Hir::look(Look::Start), parsed, Hir::look(Look::End)]);
    let config = thompson::Config::new().nfa_size_limit(Some(MAX_SIZE));
    NFA::compiler().configure(config).build_from_hir(&whole).map_err(too_big)
}

fn too_big(error: thompson::BuildError) -> Fault {
    let message = match error.size_limit() {
        Some(limit) => format!("needs more than {limit} bytes of memory: repeat less"),
        None => error.to_string(),
    };
    Fault { at: None, message }
}

fn fault(expression: &str, error: &regex_syntax::Error) -> Fault {
    let (offset, message) = match error {
        regex_syntax::Error::Parse(error) => (Some(error.span().start.offset), error.kind().to_string()),
        regex_syntax::Error::Translate(error) => (Some(error.span().start.offset), error.kind().to_string()),
        // The enum may grow.
        other => (None, other.to_string()),
    };
    let characters = |offset| expression.get(..offset).map(|front| front.chars().count().saturating_add(1));
    Fault { at: offset.and_then(characters), message }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_whole_text_has_to_match() {
        for (expression, yes, no) in [
            ("GET|PUT", "PUT", "PUTS"),
            ("a|ab", "ab", "abc"),
            ("/v1/.*", "/v1/", "/v2/v1/"),
            ("^/public$", "/public", "/public2"),
            ("(?m)^a$", "a", "a\nb"),
            ("(?x) a # comment", "a", "ab"),
            ("/[[:digit:]]{2}", "/12", "/123"),
        ] {
            assert!(matches(expression, yes), "{expression} {yes}");
            assert!(!matches(expression, no), "{expression} {no}");
        }
    }

    #[test]
    fn what_is_wrong_has_its_place() {
        for (expression, at, message) in [
            ("ä(b", Some(2), "unclosed group"),
            ("a)|(b", Some(2), "unopened group"),
            ("a**b(?=c)", Some(5), "look-around"),
            ("[z-a]", Some(2), "invalid character class range"),
            (r"(a)\1", Some(4), "backreferences"),
            ("((a{1000}){1000}){1000}", None, "bytes of memory"),
        ] {
            let fault = check(expression).unwrap_err();
            assert_eq!(fault.at, at, "{expression}: {}", fault.message);
            assert!(fault.message.contains(message), "{expression}: {}", fault.message);
        }
    }
}
