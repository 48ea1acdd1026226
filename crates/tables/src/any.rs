//! What every table can do whatever its rows are: show itself.

use crate::Table;
use serde::Serialize;
use serde_json::{Value, json};

/// A table seen from outside.
pub trait AnyTable {
    fn name(&self) -> &'static str;
    fn len(&self) -> usize;
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// Of the last change.
    fn revision(&self) -> u64;
    fn is_initialised(&self) -> bool;
    /// Each row as `{key, revision, value}` in the order of the keys; what JSON cannot express is named in its place.
    fn rows_as_json(&self) -> Vec<Value>;
}

impl<K, V> AnyTable for Table<K, V>
where
    K: Ord + Clone + Serialize,
    V: Clone + PartialEq + Serialize,
{
    fn name(&self) -> &'static str {
        self.name()
    }

    fn len(&self) -> usize {
        self.len()
    }

    fn revision(&self) -> u64 {
        self.revision()
    }

    fn is_initialised(&self) -> bool {
        self.initialised().is_some()
    }

    fn rows_as_json(&self) -> Vec<Value> {
        let text = |result: Result<Value, serde_json::Error>| {
            result.unwrap_or_else(|error| Value::String(format!("not expressible in JSON: {error}")))
        };
        self.rows()
            .map(|(key, row)| {
                json!({
                    "key": text(serde_json::to_value(key)),
                    "revision": row.revision,
                    "value": text(serde_json::to_value(&row.value)),
                })
            })
            .collect()
    }
}
