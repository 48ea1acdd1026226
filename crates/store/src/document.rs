//! Documents and their changes.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::fmt;

/// Number of a committed batch, counted from 1 over the life of the store; 0 is before the first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Revision(pub u64);

impl Revision {
    pub(crate) fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[derive(Clone, Debug, PartialEq)]
pub struct Document {
    pub key: String,
    /// Of its last change.
    pub revision: Revision,
    pub value: Value,
}

/// What a write wants to find; anything else refuses the whole batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expect {
    Anything,
    Absent,
    /// The document as of its last change.
    Revision(Revision),
}

impl fmt::Display for Expect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Anything => f.write_str("anything"),
            Self::Absent => f.write_str("no document"),
            Self::Revision(revision) => write!(f, "revision {revision}"),
        }
    }
}

/// One write of a batch.
#[derive(Clone, Debug, PartialEq)]
pub struct Write {
    pub kind: String,
    pub key: String,
    /// Absent: delete.
    pub value: Option<Value>,
    pub expect: Expect,
}

impl Write {
    #[must_use]
    pub fn put(kind: &str, key: &str, value: Value) -> Self {
        Self { kind: kind.to_owned(), key: key.to_owned(), value: Some(value), expect: Expect::Anything }
    }

    /// Deletes; what is not there is well too, unless [`Self::expect`] says otherwise.
    #[must_use]
    pub fn delete(kind: &str, key: &str) -> Self {
        Self { kind: kind.to_owned(), key: key.to_owned(), value: None, expect: Expect::Anything }
    }

    #[must_use]
    pub fn expect(mut self, expect: Expect) -> Self {
        self.expect = expect;
        self
    }
}

/// What became of one document.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    pub kind: String,
    pub key: String,
    /// Absent: deleted.
    pub document: Option<Document>,
}
