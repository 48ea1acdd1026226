//! Which exporters there are: Cilium's file of flow logs, with more places for flows to go to.

mod document;
mod error;
mod target;

pub use error::ConfigError;

use crate::spec::Spec;
use std::{collections::BTreeMap, path::Path};

/// Exporters in one file.
const MOST_EXPORTERS: usize = 64;

/// Reads a file of flow logs in YAML or JSON; `path` is for messages.
///
/// # Errors
/// Says in which line which key is wrong and what would be right; nothing of a file with a mistake is used.
pub fn read(path: &Path, text: &str) -> Result<Vec<Spec>, ConfigError> {
    let logs = document::read(path, text)?;
    let mut specs = Vec::new();
    let (mut names, mut files) = (BTreeMap::new(), BTreeMap::new());
    for log in logs {
        let at = |key: &str, line: u64, what: String| ConfigError::new(path, line, key, what);
        if specs.len() == MOST_EXPORTERS {
            return Err(at("flowLogs", log.line, format!("more than {MOST_EXPORTERS} exporters: join some")));
        }
        if let Some(line) = names.insert(log.spec.name.clone(), log.line) {
            let what =
                format!("{:?} is the name of the one in line {line}, too: give each its own", log.spec.name);
            return Err(at("name", log.line, what));
        }
        if let Some(file) = log.file
            && let Some(line) = files.insert(file.clone(), log.line)
        {
            let what =
                format!("{} is the file of the one in line {line}, too: give each its own", file.display());
            return Err(at("filePath", log.line, what));
        }
        specs.push(log.spec);
    }
    Ok(specs)
}

#[cfg(test)]
mod tests;
