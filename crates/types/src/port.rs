//! Destination port ranges of a policy rule, and their form in the kernel's prefix map.

use std::{fmt, str::FromStr};
use thiserror::Error;

/// Inclusive range of TCP, UDP or SCTP destination ports; never empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PortRange {
    first: u16,
    last: u16,
}

/// All ports that share the `len` highest bits of `value`: one entry of a longest-prefix map.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PortPrefix {
    pub value: u16,
    /// Significant bits, 0 (every port) to 16 (one port).
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
    pub fn new(first: u16, last: u16) -> Result<Self, PortError> {
        if last < first {
            return Err(PortError::Reversed { first, last });
        }
        Ok(Self { first, last })
    }

    #[must_use]
    pub fn contains(self, port: u16) -> bool {
        (self.first..=self.last).contains(&port)
    }

    /// The fewest prefixes that cover exactly this range, ascending; at most 30.
    pub fn prefixes(self) -> impl Iterator<Item = PortPrefix> {
        let end = u32::from(self.last).saturating_add(1);
        let mut next = u32::from(self.first);
        std::iter::from_fn(move || {
            let left = end.checked_sub(next).filter(|n| *n > 0)?;
            // The largest block that starts here: bounded by alignment and by what is left.
            let bits = next.trailing_zeros().min(left.ilog2()).min(16);
            let prefix = PortPrefix {
                value: u16::try_from(next).ok()?,
                len: 16_u8.saturating_sub(u8::try_from(bits).ok()?),
            };
            next = next.saturating_add(1 << bits);
            Some(prefix)
        })
    }
}

impl FromStr for PortRange {
    type Err = PortError;

    /// Reads `80` or `8000-8999`.
    fn from_str(text: &str) -> Result<Self, PortError> {
        let port = |s: &str| match s.parse() {
            Ok(0) | Err(_) => Err(PortError::NotAPort(s.to_owned())),
            Ok(port) => Ok(port),
        };
        match text.split_once('-') {
            Some((first, last)) => Self::new(port(first)?, port(last)?),
            None => port(text).and_then(|only| Self::new(only, only)),
        }
    }
}

impl fmt::Display for PortRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.first == self.last {
            true => write!(f, "{}", self.first),
            false => write!(f, "{}-{}", self.first, self.last),
        }
    }
}

#[cfg(test)]
#[expect(
    clippy::arithmetic_side_effects,
    reason = "the oracle states the arithmetic plainly"
)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn bad_ports_say_what_is_wrong() {
        for (text, message) in [
            ("http", r#"port "http" is not a number from 1 to 65535"#),
            ("0", r#"port "0" is not a number from 1 to 65535"#),
            ("90-80", "endPort 80 lies below port 90"),
        ] {
            assert_eq!(
                text.parse::<PortRange>().map_err(|e| e.to_string()),
                Err(message.into()),
                "{text}"
            );
        }
    }

    proptest! {
        /// Against the obvious reading: a port matches some prefix exactly when it is in the range.
        #[test]
        fn prefixes_cover_the_range_and_nothing_else(a: u16, b: u16, port: u16) {
            let range = PortRange::new(a.min(b), a.max(b)).expect("ordered");
            let hit = range.prefixes().any(|p| p.len == 0 || (p.value ^ port) >> (16 - p.len) == 0);
            prop_assert_eq!(hit, range.contains(port));
            prop_assert!(range.prefixes().count() <= 30);
        }
    }
}
