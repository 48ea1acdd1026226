//! From a tree to typed fields, noting everything that does not fit.

use super::{
    node::{Content, Node},
    path::Problems,
};
use std::collections::BTreeMap;

/// A value that can be read from a node. What is wrong goes to `problems`; the value is then unusable.
pub trait Decode: Default {
    fn decode(node: &Node, problems: &mut Problems) -> Self;
}

/// The fields of one mapping, while they are read.
pub struct Fields<'a> {
    entries: &'a [(Box<str>, Node)],
    known: Vec<&'static str>,
}

/// Reads a mapping field by field and notes the fields that nobody asked for.
pub fn fields<T: Default>(
    node: &Node,
    problems: &mut Problems,
    read: impl FnOnce(&mut Fields<'_>, &mut Problems) -> T,
) -> T {
    let Content::Map(entries) = &node.content else {
        problems.fail(format!("wants a mapping of fields, not {}", node.what()));
        return T::default();
    };
    let mut fields = Fields { entries, known: Vec::new() };
    let value = read(&mut fields, problems);
    for (name, _) in entries.iter().filter(|(name, _)| !fields.known.contains(&&**name)) {
        problems.unknown(name, &fields.known);
    }
    value
}

impl<'a> Fields<'a> {
    /// The field if it was written and is not null.
    pub fn node(&mut self, name: &'static str) -> Option<&'a Node> {
        self.known.push(name);
        self.entries.iter().find(|(n, _)| &**n == name).map(|(_, node)| node).filter(|n| !n.is_null())
    }

    pub fn optional<T: Decode>(&mut self, name: &'static str, problems: &mut Problems) -> Option<T> {
        self.node(name).map(|node| problems.at(name, |p| T::decode(node, p)))
    }

    pub fn or_default<T: Decode>(&mut self, name: &'static str, problems: &mut Problems) -> T {
        self.optional(name, problems).unwrap_or_default()
    }

    pub fn required<T: Decode>(&mut self, name: &'static str, problems: &mut Problems) -> T {
        self.optional(name, problems).unwrap_or_else(|| {
            problems.at(name, |p| p.fail("is missing"));
            T::default()
        })
    }

    /// Fields that have a meaning elsewhere but none here.
    pub fn skip(&mut self, names: &[&'static str]) {
        self.known.extend_from_slice(names);
    }

    /// Fields that must not be there, and why.
    pub fn refuse(&mut self, names: &[&'static str], why: &str, problems: &mut Problems) {
        for name in names {
            if self.node(name).is_some() {
                problems.at(name, |p| p.fail(format!("{name} {why}")));
            }
        }
    }
}

impl Decode for String {
    fn decode(node: &Node, problems: &mut Problems) -> Self {
        match &node.content {
            Content::Scalar { .. } if node.is_null() => Self::new(),
            Content::Scalar { text, .. } => text.to_string(),
            Content::List(_) | Content::Map(_) => {
                problems.fail(format!("wants a text, not {}", node.what()));
                Self::new()
            }
        }
    }
}

impl Decode for i64 {
    fn decode(node: &Node, problems: &mut Problems) -> Self {
        let number = match &node.content {
            Content::Scalar { text, quoted: false } => text.parse().ok(),
            Content::Scalar { .. } | Content::List(_) | Content::Map(_) => None,
        };
        number.unwrap_or_else(|| {
            problems.fail(format!("wants a whole number without quotes, not {}", shown(node)));
            0
        })
    }
}

impl Decode for bool {
    fn decode(node: &Node, problems: &mut Problems) -> Self {
        match &node.content {
            Content::Scalar { text, quoted: false } if &**text == "true" => true,
            Content::Scalar { text, quoted: false } if &**text == "false" => false,
            Content::Scalar { .. } | Content::List(_) | Content::Map(_) => {
                problems.fail(format!("wants true or false, not {}", shown(node)));
                false
            }
        }
    }
}

impl<T: Decode> Decode for Vec<T> {
    fn decode(node: &Node, problems: &mut Problems) -> Self {
        match &node.content {
            Content::List(items) => {
                items.iter().enumerate().map(|(i, n)| problems.index(i, |p| T::decode(n, p))).collect()
            }
            Content::Scalar { .. } | Content::Map(_) => {
                problems.fail(format!("wants a list, not {}", shown(node)));
                Self::new()
            }
        }
    }
}

impl Decode for BTreeMap<String, String> {
    fn decode(node: &Node, problems: &mut Problems) -> Self {
        match &node.content {
            Content::Map(entries) => {
                let read = |(key, node): &(Box<str>, Node)| {
                    (key.to_string(), problems.at(key, |p| String::decode(node, p)))
                };
                entries.iter().map(read).collect()
            }
            Content::Scalar { .. } | Content::List(_) => {
                problems.fail(format!("wants a mapping of texts, not {}", shown(node)));
                Self::new()
            }
        }
    }
}

/// The value itself where it is short, else what kind it is.
fn shown(node: &Node) -> String {
    match &node.content {
        Content::Scalar { text, .. } if !node.is_null() && text.len() <= 40 => format!("{text:?}"),
        Content::Scalar { .. } | Content::List(_) | Content::Map(_) => node.what().to_owned(),
    }
}
