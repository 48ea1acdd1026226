//! A YAML or JSON document as a tree that keeps the text of its scalars and the line of every node.
//!
//! Scalars stay text until a typed field asks for them, so a label value `0755` or `yes` is never rewritten.

use super::path::{Path, Segment};
use granit_parser::{Event, Parser, ScalarStyle, Tag};
use serde_json::Value;
use std::{borrow::Cow, collections::HashMap};

/// Deeper nesting than any object has; protects the stack.
const MAX_DEPTH: usize = 64;
/// Nodes of one input, aliases counted as what they stand for.
const MAX_NODES: usize = 4_000_000;

#[derive(Clone, Debug)]
pub struct Node {
    /// From 1.
    pub line: usize,
    pub content: Content,
}

#[derive(Clone, Debug)]
pub enum Content {
    Scalar { text: Box<str>, quoted: bool },
    List(Vec<Node>),
    Map(Vec<(Box<str>, Node)>),
}

/// Why a text is not a list of documents.
#[derive(Debug)]
pub struct SyntaxError {
    /// From 1.
    pub document: usize,
    pub line: usize,
    pub message: String,
}

impl Node {
    /// Nothing was written, or `null`.
    pub fn is_null(&self) -> bool {
        match &self.content {
            Content::Scalar { text, quoted } => {
                !quoted && matches!(&**text, "" | "~" | "null" | "Null" | "NULL")
            }
            Content::List(_) | Content::Map(_) => false,
        }
    }

    pub fn get(&self, key: &str) -> Option<&Self> {
        match &self.content {
            Content::Map(entries) => entries.iter().find(|(k, _)| &**k == key).map(|(_, node)| node),
            Content::Scalar { .. } | Content::List(_) => None,
        }
    }

    /// What kind of value was written, for messages.
    pub fn what(&self) -> &'static str {
        match &self.content {
            _ if self.is_null() => "nothing",
            Content::Scalar { .. } => "a single value",
            Content::List(_) => "a list",
            Content::Map(_) => "a mapping",
        }
    }

    /// The line of the field, or of the nearest one around it that was written.
    pub fn line_of(&self, path: &Path) -> usize {
        let mut node = self;
        for segment in path.segments() {
            let next = match (segment, &node.content) {
                (Segment::Field(name), Content::Map(_)) => node.get(name),
                (Segment::Index(at), Content::List(items)) => items.get(*at),
                _ => None,
            };
            match next {
                Some(next) => node = next,
                None => break,
            }
        }
        node.line
    }

    /// As JSON. A plain scalar becomes a number or a boolean only if that is written the same way, so that
    /// reading the JSON again gives the same text.
    pub fn to_json(&self) -> Value {
        match &self.content {
            _ if self.is_null() => Value::Null,
            Content::Scalar { text, quoted } => {
                let typed = match (&**text, quoted) {
                    (_, true) => None,
                    ("true", _) => Some(Value::Bool(true)),
                    ("false", _) => Some(Value::Bool(false)),
                    (text, _) => {
                        let number = text.parse::<i64>().ok().filter(|number| number.to_string() == *text);
                        number.map(Value::from)
                    }
                };
                typed.unwrap_or_else(|| Value::String(text.to_string()))
            }
            Content::List(items) => Value::Array(items.iter().map(Self::to_json).collect()),
            Content::Map(entries) => {
                Value::Object(entries.iter().map(|(k, v)| (k.to_string(), v.to_json())).collect())
            }
        }
    }

    /// The tree of the same value in YAML's flow style, all on one line.
    pub fn from_json(value: &Value) -> Self {
        let plain = |text: String| Content::Scalar { text: text.into(), quoted: false };
        let content = match value {
            Value::Null => plain("null".to_owned()),
            Value::Bool(value) => plain(value.to_string()),
            Value::Number(value) => plain(value.to_string()),
            Value::String(text) => Content::Scalar { text: text.as_str().into(), quoted: true },
            Value::Array(items) => Content::List(items.iter().map(Self::from_json).collect()),
            Value::Object(map) => Content::Map(
                map.iter().map(|(key, value)| (key.as_str().into(), Self::from_json(value))).collect(),
            ),
        };
        Self { line: 1, content }
    }

    fn size(&self) -> usize {
        let inner = match &self.content {
            Content::Scalar { .. } => 0,
            Content::List(items) => items.iter().map(Self::size).sum::<usize>(),
            Content::Map(entries) => entries.iter().map(|(_, node)| node.size()).sum(),
        };
        inner.saturating_add(1)
    }

    fn depth(&self) -> usize {
        let inner = match &self.content {
            Content::Scalar { .. } => None,
            Content::List(items) => items.iter().map(Self::depth).max(),
            Content::Map(entries) => entries.iter().map(|(_, node)| node.depth()).max(),
        };
        inner.unwrap_or(0).saturating_add(1)
    }
}

/// Reads every document. A syntax error ends the reading; what came before it is returned with it.
pub fn read(text: &str) -> (Vec<Node>, Option<SyntaxError>) {
    let mut builder = Builder::default();
    for next in Parser::new_from_str(text) {
        let step = match next {
            Ok((event, span)) => builder.event(event, span.start.line()).map_err(|m| (span.start.line(), m)),
            Err(error) => Err((error.marker().line(), error.info())),
        };
        if let Err((line, message)) = step {
            let document = builder.documents.len().saturating_add(1);
            return (builder.documents, Some(SyntaxError { document, line: line.max(1), message }));
        }
    }
    (builder.documents, None)
}

struct Frame {
    node: Node,
    anchor: usize,
    /// The key that waits for its value, in a mapping.
    key: Option<Box<str>>,
    /// Mappings behind `<<`, whose keys yield to those written here.
    merged: Vec<Node>,
}

#[derive(Default)]
struct Builder {
    documents: Vec<Node>,
    open: Vec<Frame>,
    anchors: HashMap<usize, Node>,
    nodes: usize,
}

impl Builder {
    fn event(&mut self, event: Event<'_>, line: usize) -> Result<(), String> {
        match event {
            Event::DocumentStart(..) => self.anchors.clear(),
            Event::Scalar(text, style, anchor, tag) => {
                let quoted = !matches!(style, ScalarStyle::Plain) || tag_is(tag.as_ref(), "str")?;
                let content = Content::Scalar { text: text.into(), quoted };
                self.complete(Node { line, content }, anchor)?;
            }
            Event::SequenceStart(_, anchor, tag) => {
                tag_is(tag.as_ref(), "seq")?;
                self.start(Content::List(Vec::new()), line, anchor)?;
            }
            Event::MappingStart(_, anchor, tag) => {
                tag_is(tag.as_ref(), "map")?;
                self.start(Content::Map(Vec::new()), line, anchor)?;
            }
            Event::SequenceEnd | Event::MappingEnd => {
                if let Some(mut frame) = self.open.pop() {
                    merge(&mut frame)?;
                    self.complete(frame.node, frame.anchor)?;
                }
            }
            Event::Alias(anchor) => {
                let node =
                    self.anchors.get(&anchor).cloned().ok_or("an alias stands inside what it names")?;
                if node.depth().saturating_add(self.open.len()) > MAX_DEPTH {
                    return Err(too_deep());
                }
                self.count(node.size())?;
                self.complete(node, 0)?;
            }
            Event::UnresolvedAlias(name) => return Err(format!("alias *{name} names nothing")),
            Event::StreamStart
            | Event::StreamEnd
            | Event::DocumentEnd
            | Event::Anchor(..)
            | Event::Comment(..) => {}
            // The enum may grow; what we do not know must not be skipped.
            other => return Err(format!("{other:?} is not supported")),
        }
        Ok(())
    }

    fn count(&mut self, nodes: usize) -> Result<(), String> {
        self.nodes = self.nodes.saturating_add(nodes);
        if self.nodes > MAX_NODES {
            return Err(format!("the input has more than {MAX_NODES} values: split it"));
        }
        Ok(())
    }

    fn start(&mut self, content: Content, line: usize, anchor: usize) -> Result<(), String> {
        if self.open.len() >= MAX_DEPTH {
            return Err(too_deep());
        }
        self.open.push(Frame { node: Node { line, content }, anchor, key: None, merged: Vec::new() });
        Ok(())
    }

    fn complete(&mut self, node: Node, anchor: usize) -> Result<(), String> {
        self.count(1)?;
        if anchor != 0 {
            self.anchors.insert(anchor, node.clone());
        }
        let Some(frame) = self.open.last_mut() else {
            self.documents.push(node);
            return Ok(());
        };
        match (&mut frame.node.content, frame.key.take()) {
            (Content::List(items), _) => items.push(node),
            (Content::Map(_), None) => match node.content {
                Content::Scalar { text, .. } => frame.key = Some(text),
                Content::List(_) | Content::Map(_) => {
                    return Err(format!("{} cannot be a key", node.what()));
                }
            },
            (Content::Map(_), Some(key)) if &*key == "<<" => frame.merged.push(node),
            (Content::Map(entries), Some(key)) => entries.push((key, node)),
            (Content::Scalar { .. }, _) => {}
        }
        Ok(())
    }
}

fn too_deep() -> String {
    format!("values are nested more than {MAX_DEPTH} deep")
}

/// Whether the tag is this one of YAML's own; an error if it is none of them.
fn tag_is(tag: Option<&Cow<'_, Tag>>, name: &str) -> Result<bool, String> {
    match tag {
        None => Ok(false),
        Some(tag) if tag.is_yaml_core_schema() => Ok(tag.suffix() == name),
        Some(tag) => Err(format!("tag {tag} is not known here: leave it out")),
    }
}

/// Takes over the keys of merged mappings and refuses keys that were written twice.
fn merge(frame: &mut Frame) -> Result<(), String> {
    let Content::Map(entries) = &mut frame.node.content else { return Ok(()) };
    let mut keys = std::collections::HashSet::new();
    if let Some((twice, _)) = entries.iter().find(|(key, _)| !keys.insert(key.clone())) {
        return Err(format!("key {twice:?} is written twice"));
    }
    for source in frame.merged.drain(..) {
        let maps = match source.content {
            Content::List(maps) => maps,
            Content::Map(_) | Content::Scalar { .. } => vec![source],
        };
        for map in maps {
            let Content::Map(inherited) = map.content else {
                return Err(format!("<< wants a mapping, not {}", map.what()));
            };
            for (key, node) in inherited {
                if keys.insert(key.clone()) {
                    entries.push((key, node));
                }
            }
        }
    }
    Ok(())
}
