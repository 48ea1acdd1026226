//! What can go wrong with a store, and what to do then.

use crate::{Expect, Revision};
use std::{io, path::PathBuf};
use thiserror::Error;

#[derive(Debug, Error)]
pub enum Error {
    #[error(
        "the store {} is in use{}: stop that agent with `ciliate down`, or choose another --state-dir",
        path.display(), pid.map(|p| format!(" by process {p}")).unwrap_or_default()
    )]
    Locked { path: PathBuf, pid: Option<u32> },
    #[error(
        "the store {} is damaged ({detail}): put a backup in its place, or move it away to start without objects",
        path.display()
    )]
    Corrupt { path: PathBuf, detail: String },
    #[error(
        "the store {} has format {found}, this program knows formats up to {known}: use the newer program that wrote it",
        path.display()
    )]
    Version { path: PathBuf, found: u64, known: u64 },
    #[error("cannot write the store {}: {source}; make it writable, or choose another --state-dir", path.display())]
    ReadOnly { path: PathBuf, source: io::Error },
    #[error("cannot write the store {}: the disk is full; nothing was changed, free some space and try again", path.display())]
    Full { path: PathBuf },
    #[error("cannot use the store {}: {source}", path.display())]
    Io { path: PathBuf, source: io::Error },
    #[error(
        "{kind} {key} was changed by somebody else: expected {expected}, found {}; read it again",
        found.map_or_else(|| Expect::Absent.to_string(), |r| Expect::Revision(r).to_string())
    )]
    Conflict { kind: String, key: String, expected: Expect, found: Option<Revision> },
}

impl Error {
    pub(crate) fn io(path: &std::path::Path, source: io::Error) -> Self {
        let path = path.to_owned();
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::Full { path },
            io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied => {
                Self::ReadOnly { path, source }
            }
            // The file is shorter than what it says of itself.
            io::ErrorKind::UnexpectedEof => Self::Corrupt { path, detail: "it ends too early".to_owned() },
            io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput => {
                Self::Corrupt { path, detail: source.to_string() }
            }
            _ => Self::Io { path, source },
        }
    }

    pub(crate) fn redb(path: &std::path::Path, error: redb::Error) -> Self {
        let corrupt = |detail: String| Self::Corrupt { path: path.to_owned(), detail };
        match error {
            redb::Error::Io(source) => Self::io(path, source),
            redb::Error::DatabaseAlreadyOpen => Self::Locked { path: path.to_owned(), pid: None },
            redb::Error::UpgradeRequired(version) => corrupt(format!("file format {version} is too old")),
            other => corrupt(other.to_string()),
        }
    }
}
