//! Transport ports as policies name them, and as the kernel's longest-prefix map stores them.

use std::{fmt, num::ParseIntError, str::FromStr};
use thiserror::Error;

/// A run of destination ports with both ends in it. Whoever holds one may rely on `first <= last`.
///
/// Port 0 does not exist on the wire; a range may still start there, because the whole number space
/// ([`PortRange::ALL`]) is then one prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PortRange {
    first: u16,
    last: u16,
}

/// The ports whose `len` leading bits are those of `value`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PortPrefix {
    /// The bits after `len` are zero.
    pub value: u16,
    /// 0 means every port, 16 exactly one.
    pub len: u8,
}

#[derive(Debug, Error, PartialEq, Eq)]
pub enum PortError {
    #[error("port {0:?} is not a number from 1 to 65535")]
    NotAPort(String),
    #[error("endPort {last} lies below port {first}")]
    Reversed { first: u16, last: u16 },
}

impl PortRange {
    /// Every port.
    pub const ALL: Self = Self { first: 0, last: u16::MAX };

    pub fn new(first: u16, last: u16) -> Result<Self, PortError> {
        if first <= last { Ok(Self { first, last }) } else { Err(PortError::Reversed { first, last }) }
    }

    /// The range that holds one port.
    #[must_use]
    pub const fn one(port: u16) -> Self {
        Self { first: port, last: port }
    }

    #[must_use]
    pub const fn first(self) -> u16 {
        self.first
    }

    #[must_use]
    pub const fn last(self) -> u16 {
        self.last
    }

    #[must_use]
    pub const fn contains(self, port: u16) -> bool {
        self.first <= port && port <= self.last
    }

    /// Splits the range into as few prefixes as possible, in ascending order. Never more than 30:
    /// at most two of each length.
    pub fn prefixes(self) -> impl Iterator<Item = PortPrefix> {
        let mut rest = Some(self);
        std::iter::from_fn(move || {
            let (head, tail) = rest?.split_prefix();
            rest = tail;
            Some(head)
        })
    }

    /// The largest prefix at the start of the range, and what comes after it.
    fn split_prefix(self) -> (PortPrefix, Option<Self>) {
        // The shortest prefix that starts at `first` (its host bits must be zero) and ends by `last`.
        let (mut len, mut end) = (16_u8, self.first);
        while let Some(shorter) = len.checked_sub(1) {
            let host_bits = u16::MAX.checked_shr(u32::from(shorter)).unwrap_or(0);
            if self.first & host_bits != 0 || self.first | host_bits > self.last {
                break;
            }
            (len, end) = (shorter, self.first | host_bits);
        }
        let tail = end.checked_add(1).filter(|next| *next <= self.last);
        (PortPrefix { value: self.first, len }, tail.map(|first| Self { first, last: self.last }))
    }
}

impl PortPrefix {
    /// The prefix of every port.
    pub const ALL: Self = Self { value: 0, len: 0 };

    #[must_use]
    pub fn contains(self, port: u16) -> bool {
        let ignored = 16_u32.saturating_sub(u32::from(self.len));
        (self.value ^ port).checked_shr(ignored).unwrap_or(0) == 0
    }
}

impl FromStr for PortRange {
    type Err = PortError;

    /// Reads one port (`80`) or both ends (`8000-8999`).
    fn from_str(text: &str) -> Result<Self, PortError> {
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        Self::new(parse_port(first)?, parse_port(last)?)
    }
}

fn parse_port(text: &str) -> Result<u16, PortError> {
    let number: Result<u16, ParseIntError> = text.parse();
    number.ok().filter(|port| *port != 0).ok_or_else(|| PortError::NotAPort(text.to_owned()))
}

impl fmt::Display for PortRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.first)?;
        if self.last > self.first {
            write!(f, "-{}", self.last)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn ports_and_ranges_are_read_and_shown() {
        for text in ["1", "80", "8000-8999", "1-65535"] {
            assert_eq!(text.parse::<PortRange>().map(|r| r.to_string()), Ok(text.to_owned()));
        }
        for (text, message) in [
            ("http", r#"port "http" is not a number from 1 to 65535"#),
            ("0", r#"port "0" is not a number from 1 to 65535"#),
            ("80-", r#"port "" is not a number from 1 to 65535"#),
            ("65536", r#"port "65536" is not a number from 1 to 65535"#),
            ("90-80", "endPort 80 lies below port 90"),
        ] {
            assert_eq!(text.parse::<PortRange>().map_err(|e| e.to_string()), Err(message.to_owned()));
        }
    }

    #[test]
    fn the_whole_space_is_one_prefix_and_its_worst_part_thirty() {
        assert_eq!(PortRange::ALL.prefixes().collect::<Vec<_>>(), [PortPrefix::ALL]);
        assert_eq!(PortRange::new(1, 65534).unwrap().prefixes().count(), 30);
    }

    proptest! {
        /// A port is in the range exactly when one prefix, and no second one, holds it.
        #[test]
        fn prefixes_partition_the_range(a: u16, b: u16, port: u16) {
            let range = PortRange::new(a.min(b), a.max(b)).unwrap();
            for port in [port, a, b, a.wrapping_sub(1), b.wrapping_add(1)] {
                let holders = range.prefixes().filter(|p| p.contains(port)).count();
                prop_assert_eq!(holders, usize::from(range.contains(port)));
            }
        }
    }
}
