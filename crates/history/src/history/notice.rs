//! What people should know about a history.

use crate::{HistoryError, name::Hour};
use std::{fmt, path::PathBuf};

#[derive(Debug)]
pub enum Notice {
    /// Nothing is kept until the disk takes something again.
    Paused(HistoryError),
    /// Flows are kept again.
    Resumed { lost: u64 },
    /// A file that cannot be read got another name.
    SetAside { path: PathBuf, why: String },
    /// Files were removed.
    Removed { hour: Hour, bytes: u64, why: Limit },
    /// Flows of too many different hours came at once.
    Scattered { lost: u64 },
    /// Something failed that will be tried again.
    Failed(HistoryError),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    Age,
    Size,
}

impl Notice {
    /// Whether it is not in the ordinary course of things.
    #[must_use]
    pub const fn is_warning(&self) -> bool {
        match self {
            Self::Paused(_)
            | Self::Resumed { .. }
            | Self::SetAside { .. }
            | Self::Scattered { .. }
            | Self::Failed(_) => true,
            Self::Removed { .. } => false,
        }
    }
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Paused(error) => write!(f, "history keeps no flows until this is mended: {error}"),
            Self::Resumed { lost } => write!(f, "history keeps flows again; {lost} were lost"),
            Self::SetAside { path, why } => {
                write!(f, "a history file was set aside as {}: {why}", path.display())
            }
            Self::Removed { hour, bytes, why: Limit::Age } => {
                write!(f, "history of {hour} ({bytes} bytes) is older than wanted and was removed")
            }
            Self::Removed { hour, bytes, why: Limit::Size } => {
                write!(
                    f,
                    "history of {hour} ({bytes} bytes) was removed, because history is larger than wanted"
                )
            }
            Self::Scattered { lost } => {
                write!(
                    f,
                    "{lost} flows were not kept: their times lie in too many different hours; does the clock jump?"
                )
            }
            Self::Failed(error) => write!(f, "history: {error}"),
        }
    }
}
