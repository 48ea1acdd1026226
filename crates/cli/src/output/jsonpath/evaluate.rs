//! Templates and documents to text.

use super::{Comparison, Filter, JsonPathError, Node, Operand, Path, Start, Step};
use serde_json::Value;
use std::cmp::Ordering;

pub(super) fn render(nodes: &[Node], document: &Value) -> Result<String, JsonPathError> {
    let mut text = String::new();
    Scope { root: document, current: document }.print(nodes, &mut text)?;
    Ok(text)
}

#[derive(Clone, Copy)]
struct Scope<'a> {
    root: &'a Value,
    current: &'a Value,
}

impl<'a> Scope<'a> {
    fn print(self, nodes: &[Node], text: &mut String) -> Result<(), JsonPathError> {
        for node in nodes {
            match node {
                Node::Text(plain) => text.push_str(plain),
                Node::Print(path) => {
                    let found: Vec<String> = self.find(path)?.into_iter().map(show).collect();
                    text.push_str(&found.join(" "));
                }
                Node::Range(path, body) => {
                    for current in self.find(path)? {
                        Scope { current, ..self }.print(body, text)?;
                    }
                }
            }
        }
        Ok(())
    }

    fn find(self, path: &Path) -> Result<Vec<&'a Value>, JsonPathError> {
        let start = match path.start {
            Start::Root => self.root,
            Start::Current => self.current,
        };
        self.follow(start, &path.steps)
    }

    fn follow(self, start: &'a Value, steps: &[Step]) -> Result<Vec<&'a Value>, JsonPathError> {
        let mut values = vec![start];
        for step in steps {
            let mut next = Vec::new();
            for value in values {
                self.step(value, step, &mut next)?;
            }
            values = next;
        }
        Ok(values)
    }

    fn step(self, value: &'a Value, step: &Step, found: &mut Vec<&'a Value>) -> Result<(), JsonPathError> {
        match step {
            Step::Field(name) => found.extend(value.get(name)),
            Step::Every => found.extend(children(value)),
            Step::Descend => descend(value, found),
            Step::Index(index) => {
                if let Value::Array(array) = value {
                    let outside = JsonPathError::OutOfBounds { index: *index, length: array.len() };
                    found.push(position(*index, array.len()).and_then(|i| array.get(i)).ok_or(outside)?);
                }
            }
            Step::Slice { from, to, by } => {
                if let Value::Array(array) = value {
                    let from = clamp(from.unwrap_or(0), array.len());
                    let to = to.map_or(array.len(), |to| clamp(to, array.len()));
                    found.extend(array.iter().take(to).skip(from).step_by(*by));
                }
            }
            Step::Quoted { key, path } => match value.get(key) {
                Some(child) => found.push(child),
                None => found.extend(self.follow(value, path)?),
            },
            Step::Union(steps) => {
                for step in steps {
                    self.step(value, step, found)?;
                }
            }
            Step::Filter(filter) => {
                for child in children(value) {
                    if (Scope { current: child, ..self }).holds(filter)? {
                        found.push(child);
                    }
                }
            }
        }
        Ok(())
    }

    fn holds(self, filter: &Filter) -> Result<bool, JsonPathError> {
        match filter {
            Filter::Exists(path) => Ok(!self.find(path)?.is_empty()),
            Filter::Compare(left, comparison, right) => {
                let (left, right) = (self.operand(left)?, self.operand(right)?);
                let (Some(left), Some(right)) = (left, right) else { return Ok(false) };
                let order = compare(&left, &right);
                Ok(match comparison {
                    Comparison::Equal => order == Some(Ordering::Equal),
                    Comparison::NotEqual => order != Some(Ordering::Equal),
                    Comparison::Less => order == Some(Ordering::Less),
                    Comparison::LessOrEqual => matches!(order, Some(Ordering::Less | Ordering::Equal)),
                    Comparison::Greater => order == Some(Ordering::Greater),
                    Comparison::GreaterOrEqual => matches!(order, Some(Ordering::Greater | Ordering::Equal)),
                })
            }
        }
    }

    fn operand(self, operand: &Operand) -> Result<Option<Value>, JsonPathError> {
        match operand {
            Operand::Literal(value) => Ok(Some(value.clone())),
            Operand::Path(path) => Ok(self.find(path)?.first().map(|value| (*value).clone())),
        }
    }
}

fn children(value: &Value) -> Vec<&Value> {
    match value {
        Value::Array(array) => array.iter().collect(),
        Value::Object(object) => object.values().collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Vec::new(),
    }
}

fn descend<'a>(value: &'a Value, found: &mut Vec<&'a Value>) {
    found.push(value);
    for child in children(value) {
        descend(child, found);
    }
}

/// Where an index that may count from the end lies.
fn position(index: i64, length: usize) -> Option<usize> {
    match usize::try_from(index) {
        Ok(index) => Some(index),
        Err(_) => length.checked_sub(usize::try_from(index.unsigned_abs()).ok()?),
    }
}

fn clamp(index: i64, length: usize) -> usize {
    position(index, length).unwrap_or(0).min(length)
}

/// The order of two scalars of one kind; `None` where they have none.
fn compare(left: &Value, right: &Value) -> Option<Ordering> {
    match (left, right) {
        (Value::Number(left), Value::Number(right)) => left.as_f64()?.partial_cmp(&right.as_f64()?),
        (Value::String(left), Value::String(right)) => Some(left.cmp(right)),
        _ => (left == right).then_some(Ordering::Equal),
    }
}

fn show(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
