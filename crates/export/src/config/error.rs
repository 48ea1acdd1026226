//! What can be wrong with a file of flow logs.

use std::path::{Path, PathBuf};

/// Where and what.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}:{line}: {key}: {what}", path.display())]
pub struct ConfigError {
    path: PathBuf,
    /// From 1.
    line: u64,
    key: String,
    /// What is wrong, and what would be right.
    what: String,
}

impl ConfigError {
    pub(super) fn new(path: &Path, line: u64, key: &str, what: String) -> Self {
        Self { path: path.to_owned(), line, key: key.to_owned(), what }
    }
}
