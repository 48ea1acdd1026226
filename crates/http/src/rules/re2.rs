//! Regular expressions as policies write them (RE2's syntax), put into the syntax of the engine here where the two differ.

/// An expression for the engine, and where each of its bytes comes from.
pub(super) struct Translated {
    pub pattern: String,
    /// For each byte of `pattern` the byte of the original.
    origins: Vec<usize>,
}

impl Translated {
    /// The place in the original, in bytes, that a place in `pattern` stands for.
    pub(super) fn origin(&self, at: usize) -> usize {
        self.origins
            .get(at)
            .copied()
            .unwrap_or_else(|| self.origins.last().map_or(0, |last| last.saturating_add(1)))
    }
}

/// In RE2 `{` is a repetition only if it looks like one, a class knows neither classes in it nor `&&`, `--`, `~~`, and `\Q…\E` is literal.
pub(super) fn translate(original: &str) -> Translated {
    let mut out = Translated { pattern: String::with_capacity(original.len()), origins: Vec::new() };
    let mut rest = original.char_indices().peekable();
    let mut class = Class::Outside;
    while let Some((at, character)) = rest.next() {
        let tail = original.get(at..).unwrap_or_default();
        if tail.starts_with("\\Q") && class == Class::Outside {
            rest.next();
            let quoted = tail.get(2..).unwrap_or_default();
            let len = quoted.find("\\E").unwrap_or(quoted.len());
            let from = at.saturating_add(2);
            while let Some((at, character)) = rest.next_if(|(at, _)| at.saturating_sub(from) < len) {
                out.literal(character, at);
            }
            rest.next_if(|(_, next)| *next == '\\').and_then(|_| rest.next());
            continue;
        }
        match (class, character) {
            (_, '\\') => {
                out.push(character, at);
                if let Some((at, escaped)) = rest.next() {
                    out.push(escaped, at);
                }
                class = class.after_member();
            }
            (Class::Outside, '[') => {
                out.push(character, at);
                class = Class::Start;
                if let Some((at, negation)) = rest.next_if(|(_, next)| *next == '^') {
                    out.push(negation, at);
                }
            }
            (Class::Outside, '{') if !is_repetition(tail) => out.literal(character, at),
            (Class::Outside, _) => out.push(character, at),
            (Class::Inside, ']') => {
                out.push(character, at);
                class = Class::Outside;
            }
            (Class::Start | Class::Inside, '[') => {
                let name = tail.starts_with("[:").then(|| tail.find(":]")).flatten();
                match name {
                    Some(end) => {
                        out.push(character, at);
                        let end = at.saturating_add(end).saturating_add(1);
                        while let Some((at, character)) = rest.next_if(|(at, _)| *at <= end) {
                            out.push(character, at);
                        }
                    }
                    None => out.literal(character, at),
                }
                class = Class::Inside;
            }
            // The first member may be the bracket itself.
            (Class::Start, ']') | (Class::Start | Class::Inside, '&' | '~') => {
                out.literal(character, at);
                class = Class::Inside;
            }
            (Class::Start | Class::Inside, '-') if tail.starts_with("--") => {
                out.literal(character, at);
                class = Class::Inside;
            }
            (Class::Start | Class::Inside, _) => {
                out.push(character, at);
                class = Class::Inside;
            }
        }
    }
    out
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    Outside,
    /// Before the first member.
    Start,
    Inside,
}

impl Class {
    fn after_member(self) -> Self {
        match self {
            Self::Outside => Self::Outside,
            Self::Start | Self::Inside => Self::Inside,
        }
    }
}

impl Translated {
    fn push(&mut self, character: char, at: usize) {
        self.pattern.push(character);
        self.origins.resize(self.pattern.len(), at);
    }

    fn literal(&mut self, character: char, at: usize) {
        if regex_syntax::is_meta_character(character) {
            self.push('\\', at);
        }
        self.push(character, at);
    }
}

/// `{2}`, `{2,}`, `{2,3}`.
fn is_repetition(tail: &str) -> bool {
    let inside = tail.strip_prefix('{').and_then(|tail| tail.split_once('}')).map(|(inside, _)| inside);
    let number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    inside.is_some_and(|inside| match inside.split_once(',') {
        Some((least, most)) => number(least) && (most.is_empty() || number(most)),
        None => number(inside),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_are_translated() {
        for (original, wanted) in [
            ("/a/b", "/a/b"),
            ("/users/{id}", r"/users/\{id}"),
            ("a{2}b{2,}c{2,3}d{,2}", r"a{2}b{2,}c{2,3}d\{,2}"),
            (r"\Qa.b\E.c", r"a\.b.c"),
            (r"\Qa.b", r"a\.b"),
            ("[a&&b]", r"[a\&\&b]"),
            ("[[a]", r"[\[a]"),
            ("[]a]", r"[\]a]"),
            ("[^]a]", r"[^\]a]"),
            ("[[:alpha:]_]", "[[:alpha:]_]"),
            ("[!--]", r"[!\--]"),
            (r"[\]a]{x}", r"[\]a]\{x}"),
            (r"\{a", r"\{a"),
        ] {
            assert_eq!(translate(original).pattern, wanted, "{original}");
        }
        let translated = translate("/{é}(");
        assert_eq!(translated.origin(translated.pattern.find('(').unwrap()), "/{é}".len());
    }
}
