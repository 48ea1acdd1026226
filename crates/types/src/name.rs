//! Names of the domain name system, and patterns for them.

use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};
use thiserror::Error;

/// A name in lower case without the dot at its end; empty for the root, which is read and written as `.`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct DomainName(Box<str>);

/// Which names are meant: `matchName` or `matchPattern`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum NamePattern {
    /// This name alone.
    MatchName(DomainName),
    /// `*` stands for any run of characters within a label, or alone for every name; `**.` in front for one or more labels.
    /// More stars in a row mean the same as two in front of a dot at the beginning, and the same as one anywhere else.
    MatchPattern(Glob),
}

/// A pattern in lower case without the dot at its end, and without more stars in a row than mean something.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Glob(Box<str>);

#[derive(Debug, Error, PartialEq, Eq)]
pub enum DomainNameError {
    #[error("a name must not be empty: write \".\" for the root")]
    Empty,
    #[error("{0:?} is longer than the 253 characters that a name may have")]
    TooLong(String),
    #[error("{0:?} has an empty label, or one of more than 63 characters")]
    Label(String),
    #[error("{name:?} has the character {character:?}: write letters, digits, '-', '_' and '.'{}", if *stars { ", and '*' for parts of a label" } else { "" })]
    Character { name: String, character: char, stars: bool },
}

/// The longest name in text, without the dot at its end (RFC 1035, 2.3.4: 255 octets on the wire).
const LONGEST: usize = 253;
const LONGEST_LABEL: usize = 63;

impl DomainName {
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Glob {
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it matches every name, the root included.
    #[must_use]
    pub fn is_everything(&self) -> bool {
        &*self.0 == "*"
    }

    /// For a pattern that wants one or more labels in front: what has to follow them.
    #[must_use]
    pub fn any_depth(&self) -> Option<&str> {
        self.0.strip_prefix("**.")
    }

    /// `name` is in lower case, without the dot at its end. Stars stand for letters, digits, `-` and `_`.
    #[must_use]
    pub fn matches(&self, name: &str) -> bool {
        if self.is_everything() || (self.0.is_empty() && name.is_empty()) {
            return true;
        }
        if !name.chars().all(is_in_names) {
            return false;
        }
        match self.any_depth() {
            // Whatever whole labels lie in front of the rest.
            Some(rest) => name.match_indices('.').any(|(dot, _)| {
                name.get(dot.saturating_add(1)..).is_some_and(|tail| labels_match(rest, tail))
            }),
            None => labels_match(&self.0, name),
        }
    }
}

impl NamePattern {
    /// The name or the pattern; as a label's key it has the source `fqdn`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::MatchName(name) => name.as_str(),
            Self::MatchPattern(glob) => glob.as_str(),
        }
    }

    /// `name` is in lower case, without the dot at its end.
    #[must_use]
    pub fn matches(&self, name: &str) -> bool {
        match self {
            Self::MatchName(own) => own.as_str() == name,
            Self::MatchPattern(glob) => glob.matches(name),
        }
    }
}

fn labels_match(pattern: &str, name: &str) -> bool {
    let (mut patterns, mut labels) = (pattern.split('.'), name.split('.'));
    loop {
        match (patterns.next(), labels.next()) {
            (None, None) => return true,
            (Some(pattern), Some(label)) if label_matches(pattern.as_bytes(), label.as_bytes()) => {}
            _ => return false,
        }
    }
}

/// Whether a label has the literal parts between the stars, in order. A label has at least one character.
fn label_matches(pattern: &[u8], label: &[u8]) -> bool {
    let mut parts = pattern.split(|byte| *byte == b'*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = label.strip_prefix(first) else { return false };
    let Some(last) = parts.next_back() else { return rest.is_empty() && !label.is_empty() };
    for part in parts.filter(|part| !part.is_empty()) {
        let Some(at) = rest.windows(part.len()).position(|window| window == part) else { return false };
        let Some(after) = at.checked_add(part.len()).and_then(|end| rest.get(end..)) else { return false };
        rest = after;
    }
    rest.ends_with(last) && !label.is_empty()
}

fn checked(text: &str, stars: bool) -> Result<Box<str>, DomainNameError> {
    if text.is_empty() {
        return Err(DomainNameError::Empty);
    }
    let mut name = text.strip_suffix('.').unwrap_or(text).to_ascii_lowercase();
    if stars {
        name = fewest_stars(&name);
    }
    if name.len() > LONGEST {
        return Err(DomainNameError::TooLong(text.to_owned()));
    }
    let allowed = |c: char| is_in_names(c) || (stars && c == '*');
    if let Some(character) = name.chars().find(|c| !allowed(*c)) {
        return Err(DomainNameError::Character { name: text.to_owned(), character, stars });
    }
    if !name.is_empty() && name.split('.').any(|label| label.is_empty() || label.len() > LONGEST_LABEL) {
        return Err(DomainNameError::Label(text.to_owned()));
    }
    Ok(name.into())
}

fn is_in_names(character: char) -> bool {
    character.is_ascii_alphanumeric() || matches!(character, '-' | '_' | '.')
}

/// Every run of stars as one star, but as two in front of a dot at the beginning.
fn fewest_stars(pattern: &str) -> String {
    let tail = pattern.trim_start_matches('*');
    let (mut fewest, rest) = match pattern.starts_with("**") && tail.starts_with('.') {
        true => ("**".to_owned(), tail),
        false => (String::new(), pattern),
    };
    for character in rest.chars() {
        if character != '*' || !fewest.ends_with('*') {
            fewest.push(character);
        }
    }
    fewest
}

macro_rules! text {
    ($type:ident, $stars:literal) => {
        impl FromStr for $type {
            type Err = DomainNameError;

            fn from_str(text: &str) -> Result<Self, DomainNameError> {
                checked(text, $stars).map(Self)
            }
        }

        impl TryFrom<String> for $type {
            type Error = DomainNameError;

            fn try_from(text: String) -> Result<Self, DomainNameError> {
                text.parse()
            }
        }

        impl From<$type> for String {
            fn from(name: $type) -> Self {
                name.to_string()
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(if self.0.is_empty() { "." } else { &self.0 })
            }
        }
    };
}

text!(DomainName, false);
text!(Glob, true);

impl fmt::Display for NamePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MatchName(name) => name.fmt(f),
            Self::MatchPattern(glob) => glob.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_labels() {
        let cases: &[(&str, &[&str], &[&str])] = &[
            ("*", &["", "com", "a.b.c"], &[]),
            (
                "*.twitter.com",
                &["api.twitter.com"],
                &["twitter.com", "a.b.twitter.com", "xtwitter.com", ".twitter.com"],
            ),
            ("**.twitter.com", &["api.twitter.com", "a.b.twitter.com"], &["twitter.com", "a.twitter.org"]),
            ("a*c.*.org.", &["ac.x.org", "abc.y.org"], &["ab.x.org", "abc.org", "abcd.x.org"]),
            ("a*b*b", &["abb", "axbxb", "abbb"], &["ab", "abc"]),
            // As Cilium has them.
            ("**", &["", "com", "a.b.c"], &[]),
            ("*.", &["", "com", "a.b.c"], &[]),
            ("***.", &["", "a.b.c"], &[]),
            ("****.cilium.io", &["a.cilium.io", "a.b.c.cilium.io"], &["cilium.io", "a.xcilium.io"]),
            ("*cilium.io.", &["cilium.io", "sub-cilium.io"], &["sub.cilium.io", "cilium.io.x"]),
            (
                "*.ci*.io.",
                &["anysub.cilium.io", "anysub.ci.io", "anysub.ciliumandmore.io"],
                &["", "cilium.io"],
            ),
            ("*.*.cilium.io.", &["_foobar._tcp.cilium.io"], &["", "a.cilium.io"]),
            ("sub**.cilium.io", &["sub.cilium.io", "sub1.cilium.io"], &["sub.a.cilium.io"]),
            ("a.**.io", &["a.b.io"], &["a.b.c.io", "a.io"]),
            ("**.*.io", &["a.b.io", "a.b.c.io"], &["a.io", "io"]),
            ("_foobar._tcp.cilium.io", &["_foobar._tcp.cilium.io"], &["", "_tcp.cilium.io"]),
            (".", &[""], &["io"]),
            ("*.io", &["a_1-b.io"], &["a b.io", "*.io", "é.io"]),
            ("API.Twitter.com", &["api.twitter.com"], &["api-twitter.com"]),
        ];
        for (pattern, yes, no) in cases {
            let glob: Glob = pattern.parse().unwrap();
            for name in *yes {
                assert!(glob.matches(name), "{pattern} {name}");
            }
            for name in *no {
                assert!(!glob.matches(name), "{pattern} {name}");
            }
        }
    }

    #[test]
    fn what_is_written_is_read_again() {
        for text in [".", "a.b", "*", "**.a", "a*b.c"] {
            let glob: Glob = text.parse().unwrap();
            assert_eq!(glob.to_string(), text);
            assert_eq!(serde_json::from_str::<Glob>(&serde_json::to_string(&glob).unwrap()).unwrap(), glob);
        }
        for (long, short) in [("**", "*"), ("***.a", "**.a"), ("a**.**.b***", "a*.*.b*"), ("**a", "*a")] {
            assert_eq!(long.parse::<Glob>().unwrap().as_str(), short);
        }
    }

    #[test]
    fn names_are_checked() {
        assert_eq!("WWW.Example.com.".parse::<DomainName>().unwrap().as_str(), "www.example.com");
        let refused = |text: &str| text.parse::<DomainName>().unwrap_err().to_string();
        assert!(refused("a..b").contains("empty label"));
        assert!(refused("").contains("root"));
        assert!(refused("..").contains("empty label"));
        assert!(refused("a b").contains("' '"));
        assert!(refused("*.b").contains("'*'"));
        assert!(refused(&"a.".repeat(150)).contains("253"));
    }
}
