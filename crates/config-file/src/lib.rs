//! Files that people write: settings, lists of nodes, of metrics and of exporters.
//!
//! They are read up to a size and understood as YAML, of which JSON is a part; what is wrong is told with its line.

use serde::de::DeserializeOwned;
use std::{
    fmt, fs,
    io::{self, Read as _},
    path::{Path, PathBuf},
};
use thiserror::Error;

/// Bytes that such a file has at most.
const LARGEST: u64 = 4 << 20;

#[derive(Debug, Error)]
pub enum ReadError {
    #[error("cannot read {}: {source}", path.display())]
    Io { path: PathBuf, source: io::Error },
    #[error("{} is no file with text", .0.display())]
    Kind(PathBuf),
    #[error("{} has more than {LARGEST} bytes, which is too much for a file of settings", .0.display())]
    Large(PathBuf),
}

impl ReadError {
    /// Whether there is no such file.
    #[must_use]
    pub fn is_missing(&self) -> bool {
        matches!(self, Self::Io { source, .. } if source.kind() == io::ErrorKind::NotFound)
    }
}

/// The text of a file of at most 4 MiB. A symbolic link is followed, as mounted secrets and maps of Kubernetes have them; what
/// could keep the reader waiting, such as a pipe, is not read.
///
/// # Errors
/// When it cannot be read, is no file, or is too large.
pub fn read(path: &Path) -> Result<String, ReadError> {
    let failed = |source| ReadError::Io { path: path.to_owned(), source };
    if !fs::metadata(path).map_err(failed)?.is_file() {
        return Err(ReadError::Kind(path.to_owned()));
    }
    let mut text = String::new();
    let read = fs::File::open(path)
        .and_then(|file| file.take(LARGEST.saturating_add(1)).read_to_string(&mut text))
        .map_err(failed)?;
    match u64::try_from(read).is_ok_and(|read| read <= LARGEST) {
        true => Ok(text),
        false => Err(ReadError::Large(path.to_owned())),
    }
}

/// What is wrong in a text, and where.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub struct YamlError {
    /// From 1.
    pub line: u64,
    pub what: String,
}

impl fmt::Display for YamlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.what)
    }
}

/// What a text in YAML says; none if it says nothing but comments.
///
/// # Errors
/// When it is no YAML, or not what is looked for.
pub fn parse<T: DeserializeOwned>(text: &str) -> Result<Option<T>, YamlError> {
    if text.lines().map(str::trim).all(|line| line.is_empty() || line.starts_with('#')) {
        return Ok(None);
    }
    let options = serde_saphyr::options! { with_snippet: false };
    serde_saphyr::from_str_with_options(text, options).map(Some).map_err(|error| {
        let (line, column) = error.location().map_or((1, 1), |at| (at.line(), at.column()));
        let text = error.to_string();
        let place = format!(" at line {line}, column {column}");
        YamlError { line, what: text.strip_suffix(&place).unwrap_or(&text).to_owned() }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;
    use std::os::unix::fs::symlink;

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Node {
        name: String,
        port: u16,
    }

    #[test]
    fn mistakes_are_told_with_their_line() {
        let right = Node { name: "a".to_owned(), port: 1 };
        assert_eq!(parse("# ours\nname: a\nport: 1\n"), Ok(Some(right)));
        assert_eq!(parse::<Node>("\n  # none\n"), Ok(None));
        for (text, message) in [
            ("name: a\nprot: 1", "line 2: unknown field `prot`, expected one of name, port"),
            ("name: a\nport: x", "line 2: invalid u16"),
            ("name: a\nport: [", "line 2: "),
            ("name: a", "line 1: missing field `port`"),
        ] {
            let error = parse::<Node>(text).unwrap_err().to_string();
            assert!(error.starts_with(message) && !error.contains('\n'), "{text:?}: {error}");
        }
    }

    #[test]
    fn only_files_that_are_not_too_large_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let [file, link] = ["file", "link"].map(|name| folder.path().join(name));
        assert!(read(&file).unwrap_err().is_missing());
        fs::write(&file, "x: 1").unwrap();
        symlink("file", &link).unwrap();
        assert_eq!(read(&link).unwrap(), "x: 1");
        fs::write(&file, vec![b'#'; 4 << 20]).unwrap();
        assert_eq!(read(&file).unwrap().len(), 4 << 20);
        fs::write(&file, vec![b'#'; (4 << 20) + 1]).unwrap();
        assert!(matches!(read(&file), Err(ReadError::Large(_))));
        fs::write(&file, [0xff]).unwrap();
        assert!(read(&file).unwrap_err().to_string().starts_with("cannot read "));
        assert!(matches!(read(folder.path()), Err(ReadError::Kind(_))));
    }
}
