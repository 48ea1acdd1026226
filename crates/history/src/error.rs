//! What can go wrong with a history.

use parquet::errors::ParquetError;
use std::{io, path::PathBuf};

#[derive(Debug, thiserror::Error)]
pub enum HistoryError {
    #[error("cannot {what} {path}: {source}", path = path.display())]
    Io { what: &'static str, path: PathBuf, source: io::Error },
    #[error("{path} cannot be read as a history file: {source}", path = path.display())]
    Parquet { path: PathBuf, source: ParquetError },
    #[error("{path}: column {column} has a value that no flow has; was it written by a newer version?", path = path.display())]
    Value { path: PathBuf, column: &'static str },
    #[error("{path} has other columns than this version writes", path = path.display())]
    Columns { path: PathBuf },
    #[error("the history in {directory} is being written by another process, such as the agent; it compacts by itself", directory = directory.display())]
    Locked { directory: PathBuf },
    #[error("{path} cannot be exported: {why}", path = path.display())]
    Export { path: PathBuf, why: String },
}

impl HistoryError {
    /// Whether there is no room on the disk, or none that we may use.
    #[must_use]
    pub fn is_no_room(&self) -> bool {
        use io::ErrorKind::{QuotaExceeded, StorageFull};
        match self {
            Self::Io { source, .. } => matches!(source.kind(), StorageFull | QuotaExceeded),
            // The kind is not kept by the library, which keeps the text.
            Self::Parquet { source, .. } => {
                let text = source.to_string();
                text.contains("No space left") || text.contains("os error 28") || text.contains("quota")
            }
            Self::Value { .. } | Self::Columns { .. } | Self::Locked { .. } | Self::Export { .. } => false,
        }
    }

    pub(crate) fn is_gone(&self) -> bool {
        matches!(self, Self::Io { source, .. } if source.kind() == io::ErrorKind::NotFound)
    }
}

/// For `map_err`.
pub(crate) fn io(what: &'static str, path: &std::path::Path) -> impl FnOnce(io::Error) -> HistoryError {
    move |source| HistoryError::Io { what, path: path.to_owned(), source }
}

pub(crate) fn parquet(path: &std::path::Path) -> impl Fn(ParquetError) -> HistoryError {
    move |source| HistoryError::Parquet { path: path.to_owned(), source }
}
