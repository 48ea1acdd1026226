//! IP protocol numbers by name.

use serde::{Deserialize, Serialize, de};
use std::{fmt, str::FromStr};
use thiserror::Error;

/// An IP protocol, by its IANA number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Protocol(u8);

#[derive(Debug, Error, PartialEq, Eq)]
#[error("protocol {0:?} is unknown: write TCP, UDP, SCTP, ICMP, ICMPv6 or a number from 0 to 255")]
pub struct ProtocolError(String);

impl Protocol {
    pub const ICMP: Self = Self(1);
    pub const TCP: Self = Self(6);
    pub const UDP: Self = Self(17);
    pub const ICMPV6: Self = Self(58);
    pub const SCTP: Self = Self(132);

    const NAMES: [(Self, &str); 5] = [
        (Self::ICMP, "ICMP"),
        (Self::TCP, "TCP"),
        (Self::UDP, "UDP"),
        (Self::ICMPV6, "ICMPv6"),
        (Self::SCTP, "SCTP"),
    ];

    #[must_use]
    pub const fn new(number: u8) -> Self {
        Self(number)
    }

    #[must_use]
    pub const fn number(self) -> u8 {
        self.0
    }

    /// Whether the transport header starts with a source and a destination port.
    #[must_use]
    pub const fn has_ports(self) -> bool {
        matches!(self, Self::TCP | Self::UDP | Self::SCTP)
    }
}

impl FromStr for Protocol {
    type Err = ProtocolError;

    /// Reads a name in any case, or a number.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let named = Self::NAMES.into_iter().find(|(_, name)| name.eq_ignore_ascii_case(text)).map(|(p, _)| p);
        named.or_else(|| text.parse().ok().map(Self)).ok_or_else(|| ProtocolError(text.to_owned()))
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match Self::NAMES.iter().find(|(p, _)| p == self) {
            Some((_, name)) => f.pad(name),
            None => self.0.fmt(f),
        }
    }
}

impl Serialize for Protocol {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Protocol {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}
