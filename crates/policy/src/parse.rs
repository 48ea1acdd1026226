//! Text to objects: YAML or JSON, one document or many, with everything that is wrong with it.

mod decode;
mod node;
pub(crate) mod path;
mod schema;

use crate::{
    lower,
    object::{Kind, Object, ObjectKey},
};
use decode::Decode;
use node::{Content, Node};
use path::{Problem, Problems};
use serde::Serialize;
use serde_json::Value;
use std::{collections::BTreeMap, fmt};

/// One object of an input.
#[derive(Clone, Debug, PartialEq)]
pub struct Parsed {
    pub object: Object,
    /// Unknown fields: they have no effect.
    pub warnings: Vec<InputError>,
    /// The document as it was given, with the namespace filled in.
    pub raw: Value,
}

/// What is wrong with an input, where, and what would be right.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct InputError {
    /// The file name, or wherever the text came from.
    pub origin: String,
    /// From 1; 0 if the input is not a text.
    pub document: usize,
    /// From 1; 0 if unknown.
    pub line: usize,
    /// Such as `CiliumNetworkPolicy default/rule1`, as far as it is known.
    pub object: Option<String>,
    /// Such as `spec.ingress[0].toPorts[0].ports[0].port`; empty for the whole document.
    pub field: String,
    pub message: String,
}

impl std::error::Error for InputError {}

impl InputError {
    /// A fault of an object that did not come from a text.
    pub(crate) fn of_object(key: &ObjectKey, problem: &Problem) -> Self {
        Self {
            origin: key.to_string(),
            document: 0,
            line: 0,
            object: Some(label(key)),
            field: problem.path.to_string(),
            message: problem.message.clone(),
        }
    }
}

impl fmt::Display for InputError {
    /// `rules.yaml:12: CiliumNetworkPolicy default/rule1: spec.ingress[0]: what is wrong`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.origin)?;
        if self.line > 0 {
            write!(f, ":{}", self.line)?;
        }
        f.write_str(": ")?;
        match &self.object {
            Some(object) => write!(f, "{object}: ")?,
            None if self.document > 1 => write!(f, "document {}: ", self.document)?,
            None => {}
        }
        if !self.field.is_empty() {
            write!(f, "{}: ", self.field)?;
        }
        f.write_str(&self.message)
    }
}

/// Reads and validates all documents of a text.
///
/// `default_namespace` goes to objects that should have a namespace and name none.
///
/// # Errors
/// Everything that is wrong with any of the documents. Unknown fields are warnings, not errors.
pub fn parse(text: &str, origin: &str, default_namespace: &str) -> Result<Vec<Parsed>, Vec<InputError>> {
    let mut input = Input { origin, default_namespace, parsed: Vec::new(), errors: Vec::new() };
    let (documents, syntax) = node::read(text);
    for (at, document) in documents.iter().enumerate() {
        input.document(document, at.saturating_add(1));
    }
    if let Some(error) = syntax {
        input.errors.push(InputError {
            origin: origin.to_owned(),
            document: error.document,
            line: error.line,
            object: None,
            field: String::new(),
            message: format!("not valid YAML: {}", error.message),
        });
    }
    input.finish()
}

/// The `raw` of an earlier [`Parsed`], as it comes back from a store: the same as reading its text, and much quicker.
///
/// # Errors
/// As [`parse`]: what was right for another version may be wrong for this one.
pub fn parse_stored(raw: &Value, origin: &str) -> Result<Object, Vec<InputError>> {
    let mut input = Input { origin, default_namespace: "default", parsed: Vec::new(), errors: Vec::new() };
    input.object(&Node::from_json(raw), 1);
    let nothing = || InputError {
        origin: origin.to_owned(),
        document: 1,
        line: 1,
        object: None,
        field: String::new(),
        message: "holds no object".to_owned(),
    };
    input.finish()?.into_iter().next().map(|parsed| parsed.object).ok_or_else(|| vec![nothing()])
}

struct Input<'a> {
    origin: &'a str,
    default_namespace: &'a str,
    parsed: Vec<(usize, usize, Parsed)>,
    errors: Vec<InputError>,
}

impl Input<'_> {
    fn document(&mut self, node: &Node, document: usize) {
        if node.is_null() {
            return;
        }
        let kind = node.get("kind").map(scalar).unwrap_or_default();
        let items = node.get("items").map(|items| &items.content);
        match items {
            Some(Content::List(items)) if kind.ends_with("List") => {
                items.iter().for_each(|item| self.object(item, document));
            }
            _ => self.object(node, document),
        }
    }

    fn object(&mut self, node: &Node, document: usize) {
        let mut problems = Problems::default();
        let object = self.decode(node, &mut problems);
        let label = object.as_ref().map(|object| label(&object.key()));
        let input_error = |problem: &Problem| InputError {
            origin: self.origin.to_owned(),
            document,
            line: node.line_of(&problem.path),
            object: label.clone(),
            field: problem.path.to_string(),
            message: problem.message.clone(),
        };
        let warnings = problems.unknown.iter().map(input_error).collect();
        let errors: Vec<_> = problems.errors.iter().map(input_error).collect();
        self.errors.extend(errors);
        if let Some(object) = object
            && problems.errors.is_empty()
        {
            let raw = with_namespace(node.to_json(), object.namespace());
            self.parsed.push((document, node.line, Parsed { object, warnings, raw }));
        }
    }

    /// Decodes and validates. The object is there as soon as its kind is known, right or wrong.
    fn decode(&self, node: &Node, problems: &mut Problems) -> Option<Object> {
        if !matches!(node.content, Content::Map(_)) {
            problems.fail(format!("wants an object with apiVersion, kind and metadata, not {}", node.what()));
            return None;
        }
        let written = node.get("kind").filter(|kind| !kind.is_null()).map(scalar);
        let Some(written) = written else {
            problems.at("kind", |p| p.fail("is missing"));
            return None;
        };
        // Only the exact spelling: files are read by other tools too.
        let Some(kind) = Kind::ALL.into_iter().find(|kind| kind.name() == written) else {
            let known = Kind::ALL.map(Kind::name).join(", ");
            problems.at("kind", |p| p.fail(format!("{written:?} is unknown: write one of {known}")));
            return None;
        };
        check_api_version(kind, node.get("apiVersion").map(scalar).unwrap_or_default(), problems);
        let mut object = match kind {
            Kind::CiliumNetworkPolicy => Object::CiliumNetworkPolicy(Decode::decode(node, problems)),
            Kind::CiliumClusterwideNetworkPolicy => {
                Object::CiliumClusterwideNetworkPolicy(Decode::decode(node, problems))
            }
            Kind::NetworkPolicy => Object::NetworkPolicy(Decode::decode(node, problems)),
            Kind::CiliumCidrGroup => Object::CiliumCidrGroup(Decode::decode(node, problems)),
            Kind::Namespace => Object::Namespace(Decode::decode(node, problems)),
            Kind::Secret => Object::Secret(Decode::decode(node, problems)),
        };
        if kind.namespaced() && object.namespace().is_none_or(str::is_empty) {
            object.set_namespace(self.default_namespace);
        }
        if problems.errors.is_empty() {
            lower::check(&object, problems);
        }
        Some(object)
    }

    fn finish(mut self) -> Result<Vec<Parsed>, Vec<InputError>> {
        let mut first: BTreeMap<ObjectKey, usize> = BTreeMap::new();
        for (document, line, parsed) in &self.parsed {
            let key = parsed.object.key();
            if let Some(earlier) = first.get(&key) {
                self.errors.push(InputError {
                    origin: self.origin.to_owned(),
                    document: *document,
                    line: *line,
                    object: Some(label(&key)),
                    field: "metadata.name".to_owned(),
                    message: format!("is given twice: first on line {earlier}"),
                });
            }
            first.entry(key).or_insert(*line);
        }
        if self.errors.is_empty() {
            Ok(self.parsed.into_iter().map(|(_, _, parsed)| parsed).collect())
        } else {
            self.errors.sort_by_key(|error| (error.document, error.line));
            Err(self.errors)
        }
    }
}

fn label(key: &ObjectKey) -> String {
    match &key.namespace {
        Some(namespace) => format!("{} {namespace}/{}", key.kind, key.name),
        None => format!("{} {}", key.kind, key.name),
    }
}

fn scalar(node: &Node) -> &str {
    match &node.content {
        Content::Scalar { text, .. } => text,
        Content::List(_) | Content::Map(_) => "",
    }
}

fn check_api_version(kind: Kind, written: &str, problems: &mut Problems) {
    let also = match kind {
        Kind::CiliumCidrGroup => "cilium.io/v2alpha1",
        Kind::CiliumNetworkPolicy
        | Kind::CiliumClusterwideNetworkPolicy
        | Kind::NetworkPolicy
        | Kind::Namespace
        | Kind::Secret => kind.api_version(),
    };
    if written != kind.api_version() && written != also {
        let message = format!("{written:?} is wrong for a {kind}: write {}", kind.api_version());
        problems.at("apiVersion", |p| p.fail(message));
    }
}

fn with_namespace(mut raw: Value, namespace: Option<&str>) -> Value {
    if let (Some(Value::Object(metadata)), Some(namespace)) = (raw.get_mut("metadata"), namespace) {
        metadata.insert("namespace".to_owned(), namespace.into());
    }
    raw
}
