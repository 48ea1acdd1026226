//! Text to templates.

use super::{Comparison, Filter, JsonPathError, Node, Operand, Path, Start, Step};
use serde_json::Value;

pub(super) fn template(text: &str) -> Result<Vec<Node>, JsonPathError> {
    let is_bare_path = !text.contains('{') && text.starts_with(['.', '$', '@', '[']);
    let text = if is_bare_path { format!("{{{text}}}") } else { text.to_owned() };
    let mut parser = Parser { template: &text, at: 0, depth: 0 };
    let nodes = parser.nodes(Body::Template)?;
    Ok(nodes)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Body {
    Template,
    Range,
}

struct Parser<'a> {
    template: &'a str,
    /// Byte offset of what comes next.
    at: usize,
    /// Ranges and filters around it.
    depth: usize,
}

/// More ranges and filters inside each other than this are a mistake.
const DEEPEST: usize = 32;

impl<'a> Parser<'a> {
    fn rest(&self) -> &'a str {
        self.template.get(self.at..).unwrap_or_default()
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn skip(&mut self, bytes: usize) {
        self.at = self.at.saturating_add(bytes);
    }

    fn next(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.skip(c.len_utf8());
        Some(c)
    }

    fn eat(&mut self, token: &str) -> bool {
        let found = self.rest().starts_with(token);
        if found {
            self.skip(token.len());
        }
        found
    }

    fn space(&mut self) {
        while self.peek().is_some_and(char::is_whitespace) {
            self.next();
        }
    }

    fn fail<T>(&self, message: impl Into<String>) -> Result<T, JsonPathError> {
        let at = self.template.get(..self.at).map_or(self.at, |before| before.chars().count());
        Err(JsonPathError::Syntax { template: self.template.to_owned(), at, message: message.into() })
    }

    /// Parses something that may hold its own kind again.
    fn nested<T>(
        &mut self,
        parse: impl FnOnce(&mut Self) -> Result<T, JsonPathError>,
    ) -> Result<T, JsonPathError> {
        if self.depth >= DEEPEST {
            return self.fail("ranges and filters are nested too deeply");
        }
        self.depth = self.depth.saturating_add(1);
        let parsed = parse(self);
        self.depth = self.depth.saturating_sub(1);
        parsed
    }

    fn nodes(&mut self, body: Body) -> Result<Vec<Node>, JsonPathError> {
        let mut nodes = Vec::new();
        loop {
            let text = self.rest().split('{').next().unwrap_or_default();
            if !text.is_empty() {
                nodes.push(Node::Text(text.to_owned()));
                self.skip(text.len());
            }
            if !self.eat("{") {
                return if body == Body::Range { self.fail("`range` has no `end`") } else { Ok(nodes) };
            }
            self.space();
            if self.keyword("end") {
                self.close()?;
                return if body == Body::Range { Ok(nodes) } else { self.fail("`end` without `range`") };
            }
            if self.keyword("range") {
                self.space();
                let path = self.path()?;
                self.close()?;
                let body = self.nested(|parser| parser.nodes(Body::Range))?;
                nodes.push(Node::Range(path, body));
                continue;
            }
            match self.peek() {
                Some('"' | '\'') => nodes.push(Node::Text(self.string()?)),
                Some('}') => {}
                _ => nodes.push(Node::Print(self.path()?)),
            }
            self.close()?;
        }
    }

    fn keyword(&mut self, word: &str) -> bool {
        let ends =
            self.rest().strip_prefix(word).is_some_and(|r| r.is_empty() || r.starts_with([' ', '}', '\t']));
        ends && self.eat(word)
    }

    fn close(&mut self) -> Result<(), JsonPathError> {
        self.space();
        if self.eat("}") { Ok(()) } else { self.fail("`{` is not closed by `}` here") }
    }

    fn path(&mut self) -> Result<Path, JsonPathError> {
        let start = match self.peek() {
            Some('$') => {
                self.next();
                Start::Root
            }
            Some('@') => {
                self.next();
                Start::Current
            }
            Some('.' | '[') => Start::Current,
            _ => return self.fail("a path starts with `.`, `$`, `@` or `[`"),
        };
        Ok(Path { start, steps: self.steps()? })
    }

    fn steps(&mut self) -> Result<Vec<Step>, JsonPathError> {
        let mut steps = Vec::new();
        loop {
            if self.eat("..") {
                steps.push(Step::Descend);
                self.field(&mut steps);
            } else if self.eat(".") {
                self.field(&mut steps);
            } else if self.eat("[") {
                steps.push(self.bracket()?);
            } else {
                return Ok(steps);
            }
        }
    }

    /// The name after a dot; none at all means the object itself, as in `{.}`.
    fn field(&mut self, steps: &mut Vec<Step>) {
        let mut name = String::new();
        while let Some(c) = self.peek() {
            match c {
                '\\' => {
                    self.next();
                    name.extend(self.next());
                }
                '.' | '[' | ']' | '{' | '}' | '(' | ')' | ',' | '$' | '@' | '=' | '!' | '<' | '>' => break,
                c if c.is_whitespace() => break,
                c => {
                    name.push(c);
                    self.next();
                }
            }
        }
        match name.as_str() {
            "" => {}
            "*" => steps.push(Step::Every),
            _ => steps.push(Step::Field(name)),
        }
    }

    fn bracket(&mut self) -> Result<Step, JsonPathError> {
        let mut items = Vec::new();
        loop {
            self.space();
            items.push(self.item()?);
            self.space();
            if self.eat("]") {
                break;
            }
            if !self.eat(",") {
                return self.fail("`[` is not closed by `]` here");
            }
        }
        match <[Step; 1]>::try_from(items) {
            Ok([only]) => Ok(only),
            Err(several) => Ok(Step::Union(several)),
        }
    }

    fn item(&mut self) -> Result<Step, JsonPathError> {
        if self.eat("?(") {
            let filter = self.nested(Self::filter)?;
            return if self.eat(")") {
                Ok(Step::Filter(filter))
            } else {
                self.fail("`?(` is not closed by `)`")
            };
        }
        if let Some('"' | '\'') = self.peek() {
            return self.quoted();
        }
        let word: String = self.rest().chars().take_while(|c| !matches!(c, ']' | ',' | '}')).collect();
        let trimmed = word.trim();
        let step = if trimmed == "*" {
            Some(Step::Every)
        } else if trimmed.contains(':') {
            self.slice(trimmed)?
        } else {
            trimmed.parse().ok().map(Step::Index)
        };
        let Some(step) = step else {
            return self.fail(format!(
                "`{trimmed}` is neither an index, a slice, a quoted key, `*` nor a filter `?(...)`"
            ));
        };
        self.skip(word.len());
        Ok(step)
    }

    /// `from:to:by`, each of them optional; `None` where a part is no number.
    fn slice(&self, word: &str) -> Result<Option<Step>, JsonPathError> {
        let mut parts = word.splitn(3, ':').map(str::trim);
        let mut bound = || match parts.next() {
            None | Some("") => Some(None),
            Some(number) => number.parse::<i64>().ok().map(Some),
        };
        let (Some(from), Some(to), Some(by)) = (bound(), bound(), bound()) else { return Ok(None) };
        match usize::try_from(by.unwrap_or(1)) {
            Ok(by) if by > 0 => Ok(Some(Step::Slice { from, to, by })),
            Ok(_) | Err(_) => self.fail("the step of a slice is at least 1"),
        }
    }

    fn quoted(&mut self) -> Result<Step, JsonPathError> {
        let start = self.at;
        let quote = self.next();
        let inner: String = self.rest().chars().take_while(|c| Some(*c) != quote).collect();
        self.skip(inner.len());
        if self.next() != quote || quote.is_none() {
            self.at = start;
            return self.fail("the string is not closed");
        }
        let spelled = format!(".{inner}");
        let path = Parser { template: &spelled, at: 0, depth: self.depth }.steps()?;
        Ok(Step::Quoted { key: inner.replace('\\', ""), path })
    }

    fn filter(&mut self) -> Result<Filter, JsonPathError> {
        let left = self.operand()?;
        self.space();
        if self.peek() == Some(')') {
            return match left {
                Operand::Path(path) => Ok(Filter::Exists(path)),
                Operand::Literal(_) => self.fail("a filter needs a path such as @.name"),
            };
        }
        let operators = [
            ("==", Comparison::Equal),
            ("!=", Comparison::NotEqual),
            ("<=", Comparison::LessOrEqual),
            (">=", Comparison::GreaterOrEqual),
            ("<", Comparison::Less),
            (">", Comparison::Greater),
        ];
        let Some((_, comparison)) = operators.into_iter().find(|(token, _)| self.eat(token)) else {
            return self.fail("write one of == != < <= > >=");
        };
        let right = self.operand()?;
        self.space();
        Ok(Filter::Compare(left, comparison, right))
    }

    fn operand(&mut self) -> Result<Operand, JsonPathError> {
        self.space();
        match self.peek() {
            Some('"' | '\'') => self.string().map(|text| Operand::Literal(Value::String(text))),
            Some('@' | '$' | '.' | '[') => self.path().map(Operand::Path),
            _ => {
                let ends = [' ', ')', '=', '!', '<', '>'];
                let word: String = self.rest().chars().take_while(|c| !ends.contains(c)).collect();
                match serde_json::from_str(&word) {
                    Ok(value) => {
                        self.skip(word.len());
                        Ok(Operand::Literal(value))
                    }
                    Err(_) if word.is_empty() => self.fail("a value is missing"),
                    Err(_) => self.fail(format!("{word:?} is no value: quote text, as in \"{word}\"")),
                }
            }
        }
    }

    /// A string in either kind of quotes, with `\n`, `\t`, `\r` and escaped characters.
    fn string(&mut self) -> Result<String, JsonPathError> {
        let quote = self.next();
        let mut text = String::new();
        loop {
            match self.next() {
                None => return self.fail("the string is not closed"),
                c if c == quote => return Ok(text),
                Some('\\') => match self.next() {
                    Some('n') => text.push('\n'),
                    Some('t') => text.push('\t'),
                    Some('r') => text.push('\r'),
                    other => text.extend(other),
                },
                Some(c) => text.push(c),
            }
        }
    }
}
