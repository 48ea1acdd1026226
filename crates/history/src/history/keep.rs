//! How much is kept.

use super::{Notice, files::Files, nanoseconds, notice::Limit};
use crate::{
    HistoryError,
    encode::GROUP_ROWS,
    error::io,
    name::{Listing, Name, list},
};
use std::{
    sync::PoisonError,
    time::{Duration, SystemTime},
};

/// Bounds of a history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Hours that ended longer ago go.
    pub max_age: Duration,
    /// In bytes; the oldest hours go first. One row group more may be there for a moment.
    pub max_size: u64,
    /// Flows that are compressed together, and held in memory while they are; at most 65,536.
    pub group_rows: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self { max_age: Duration::from_secs(7 * 24 * 3600), max_size: 1 << 30, group_rows: GROUP_ROWS }
    }
}

impl Files {
    /// Removes what is too much, and of what is too old one hour at a time: a clock that is ahead for a moment must not
    /// take everything with it.
    pub(super) fn remove_old(&self, now: SystemTime) -> Result<(), HistoryError> {
        let age = u64::try_from(self.settings.max_age.as_nanos()).unwrap_or(u64::MAX);
        let oldest_kept = nanoseconds(now).saturating_sub(age);
        let Listing { files, journals, .. } = list(&self.directory)?;
        let mut sized = Vec::new();
        for name in files {
            let path = self.directory.join(name.to_string());
            sized.push((name, std::fs::metadata(&path).map_err(io("look at", &path))?.len()));
        }
        let too_old = sized.first().map(|(name, _)| name.hour).filter(|hour| hour.times().1 < oldest_kept);
        if let Some(hour) = too_old {
            let (old, rest) = sized.into_iter().partition::<Vec<_>, _>(|(name, _)| name.hour == hour);
            self.remove(&old, Limit::Age)?;
            sized = rest;
        }
        let journals =
            journals.iter().map(|path| std::fs::metadata(path).map_or(0, |metadata| metadata.len()));
        let sizes = sized.iter().map(|(_, bytes)| *bytes).chain(journals);
        let mut total = sizes.fold(0_u64, u64::saturating_add);
        let mut excess = Vec::new();
        for (name, bytes) in sized {
            if total <= self.settings.max_size {
                break;
            }
            total = total.saturating_sub(bytes);
            excess.push((name, bytes));
        }
        self.remove(&excess, Limit::Size)
    }

    fn remove(&self, files: &[(Name, u64)], why: Limit) -> Result<(), HistoryError> {
        for hour in files.chunk_by(|(left, _), (right, _)| left.hour == right.hour) {
            let mut bytes = 0_u64;
            {
                let link = self.reader.link();
                let _swap = link.swaps.write().unwrap_or_else(PoisonError::into_inner);
                for (name, size) in hour {
                    let path = self.directory.join(name.to_string());
                    std::fs::remove_file(&path).map_err(io("remove", &path))?;
                    bytes = bytes.saturating_add(*size);
                }
            }
            if let Some((name, _)) = hour.first() {
                self.tell(Notice::Removed { hour: name.hour, bytes, why });
            }
        }
        Ok(())
    }
}
