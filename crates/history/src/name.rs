//! What the files of a history are called: `2026-11-21T10Z-00f3c1a2b4d5e6f-000017.parquet` holds flows of that hour,
//! written in that run of the observer, and is the seventeenth of them. Numbers only grow.

use crate::{HistoryError, error::io};
use ciliate_flow::Run;
use std::{
    fmt,
    path::{Path, PathBuf},
    str::FromStr,
};

/// Nanoseconds.
pub(crate) const HOUR: u64 = 3_600_000_000_000;

/// An hour since 1970, UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hour(u64);

impl Hour {
    #[must_use]
    pub const fn of(nanoseconds: u64) -> Self {
        Self(nanoseconds / HOUR)
    }

    /// Its first and last nanosecond.
    #[must_use]
    pub const fn times(self) -> (u64, u64) {
        let first = self.0.saturating_mul(HOUR);
        (first, first.saturating_add(HOUR - 1))
    }
}

impl fmt::Display for Hour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = i64::try_from(self.0.saturating_mul(3600)).unwrap_or(i64::MAX);
        match jiff::Timestamp::from_second(seconds) {
            Ok(at) => write!(f, "{}", at.strftime("%Y-%m-%dT%HZ")),
            Err(_) => write!(f, "{}", self.0),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Name {
    pub hour: Hour,
    pub number: u64,
    pub run: Run,
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{:015x}-{:06}.parquet", self.hour, self.run.get(), self.number)
    }
}

impl FromStr for Name {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let rest = text.strip_suffix(".parquet").ok_or(())?;
        let (rest, number) = rest.rsplit_once('-').ok_or(())?;
        let (hour, run) = rest.rsplit_once('-').ok_or(())?;
        let start = format!("{}:00:00Z", hour.strip_suffix('Z').ok_or(())?);
        let start: jiff::Timestamp = start.parse().map_err(|_| ())?;
        let seconds = u64::try_from(start.as_second()).map_err(|_| ())?;
        Ok(Self {
            hour: Hour(seconds / 3600),
            number: number.parse().map_err(|_| ())?,
            run: Run::new(u64::from_str_radix(run, 16).map_err(|_| ())?),
        })
    }
}

/// What lies in a history's directory.
#[derive(Debug, Default)]
pub(crate) struct Listing {
    /// By hour, then by number.
    pub files: Vec<Name>,
    pub journals: Vec<PathBuf>,
    /// Of a writer that did not come to its end.
    pub unfinished: Vec<PathBuf>,
    /// Set aside.
    pub torn: Vec<PathBuf>,
}

/// Nothing if there is no directory.
pub(crate) fn list(directory: &Path) -> Result<Listing, HistoryError> {
    let mut listing = Listing::default();
    let entries = match std::fs::read_dir(directory) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(listing),
        entries => entries.map_err(io("list", directory))?,
    };
    for entry in entries {
        let entry = entry.map_err(io("list", directory))?;
        let name = entry.file_name();
        let Some(name) = name.to_str() else { continue };
        if let Ok(name) = name.parse() {
            listing.files.push(name);
        } else if name.ends_with(".journal") {
            listing.journals.push(entry.path());
        } else if name.ends_with(".unfinished") {
            listing.unfinished.push(entry.path());
        } else if name.ends_with(".torn") {
            listing.torn.push(entry.path());
        }
    }
    listing.files.sort();
    listing.journals.sort();
    Ok(listing)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_says_its_hour_run_and_number() {
        let name =
            Name { hour: Hour::of(1_795_255_200_123_456_789), number: 17, run: Run::new(0xf3c1_a2b4_d5e6) };
        assert_eq!(
            name.to_string(),
            "2026-11-21T10Z-0000f3c1a2b4d5e6-000017.parquet".replace("0000f3", "000f3")
        );
        assert_eq!(name.to_string().parse(), Ok(name));
        for other in [
            "x.parquet",
            "2026-11-21T10Z-000017.parquet",
            "2026-11-21T10Z-0-17.torn",
            "2026-11-41T10Z-0-1.parquet",
        ] {
            assert_eq!(other.parse::<Name>(), Err(()), "{other}");
        }
    }
}
