//! What a recording is asked for, and why it ended.

use crate::Filter;
use std::{fmt, num::NonZeroU32, str::FromStr, time::Duration};
use thiserror::Error;

/// A recording in whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    pub prefix: FilePrefix,
    /// A packet is recorded that any of them matches; at least one.
    pub filters: Vec<Filter>,
    pub snap: Snap,
    pub one_of: OneOf,
    pub limits: Limits,
}

#[derive(Debug, Error, PartialEq, Eq)]
pub enum RequestError {
    #[error(
        "file prefix {0:?} is not possible: write a lower-case letter, then up to 19 lower-case letters and digits"
    )]
    Prefix(String),
    #[error("no filter: write at least one, such as \"0.0.0.0/0 0 0.0.0.0/0 80 TCP\"")]
    NoFilter,
}

impl Request {
    /// # Errors
    /// No filter.
    pub fn check(&self) -> Result<(), RequestError> {
        if self.filters.is_empty() { Err(RequestError::NoFilter) } else { Ok(()) }
    }
}

/// Begins the names of a recording's files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FilePrefix(String);

impl Default for FilePrefix {
    fn default() -> Self {
        Self("hubble".to_owned())
    }
}

impl FromStr for FilePrefix {
    type Err = RequestError;

    /// Reads a prefix; an empty one is the default.
    fn from_str(text: &str) -> Result<Self, RequestError> {
        const LONGEST: usize = 20;
        let letters = |byte: u8| byte.is_ascii_lowercase();
        match text.as_bytes() {
            [] => Ok(Self::default()),
            [first, rest @ ..]
                if letters(*first)
                    && rest.iter().all(|byte| letters(*byte) || byte.is_ascii_digit())
                    && text.len() <= LONGEST =>
            {
                Ok(Self(text.to_owned()))
            }
            _ => Err(RequestError::Prefix(text.to_owned())),
        }
    }
}

impl fmt::Display for FilePrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Most bytes of a packet that are kept, from its Ethernet header on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Snap(NonZeroU32);

impl Snap {
    /// Packets of Ethernet are shorter; what the kernel has put together of many may be longer.
    pub const LARGEST: u32 = 65_536;

    /// 0 and more than the largest stand for the largest.
    #[must_use]
    pub fn new(bytes: u32) -> Self {
        const WHOLE: NonZeroU32 = NonZeroU32::MIN.saturating_add(Snap::LARGEST.saturating_sub(1));
        Self(NonZeroU32::new(bytes).map_or(WHOLE, |bytes| bytes.min(WHOLE)))
    }

    #[must_use]
    pub const fn get(self) -> NonZeroU32 {
        self.0
    }
}

/// One packet of so many is recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OneOf(NonZeroU32);

impl OneOf {
    /// 0 and 1 stand for every packet.
    #[must_use]
    pub fn new(packets: u32) -> Self {
        Self(NonZeroU32::new(packets).unwrap_or(NonZeroU32::MIN))
    }

    #[must_use]
    pub const fn get(self) -> NonZeroU32 {
        self.0
    }
}

/// What ends a recording, whichever comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Of packets, without what the file says of them.
    pub bytes: u64,
    pub packets: u64,
    pub time: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { bytes: 64 << 20, packets: 1_000_000, time: Duration::from_secs(300) }
    }
}

impl Limits {
    /// With the default where there is 0.
    #[must_use]
    pub fn or_default(self) -> Self {
        let Self { bytes, packets, time } = Self::default();
        Self {
            bytes: if self.bytes == 0 { bytes } else { self.bytes },
            packets: if self.packets == 0 { packets } else { self.packets },
            time: if self.time.is_zero() { time } else { self.time },
        }
    }
}

/// Why a recording ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// Somebody stopped it.
    Stopped,
    /// Who had asked for it went away.
    ClientGone,
    TimeLimit,
    PacketLimit,
    ByteLimit,
    /// The file would have become larger than files may be on this node.
    FileLimit,
    AgentEnds,
    /// The file could not be written any more.
    Failed(String),
}

impl End {
    /// For programs.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Stopped => "stopped",
            Self::ClientGone => "client-gone",
            Self::TimeLimit => "time-limit",
            Self::PacketLimit => "packet-limit",
            Self::ByteLimit => "byte-limit",
            Self::FileLimit => "file-limit",
            Self::AgentEnds => "agent-ends",
            Self::Failed(_) => "failed",
        }
    }
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Stopped => "it was stopped",
            Self::ClientGone => "the client went away",
            Self::TimeLimit => "its time was over (--time-limit)",
            Self::PacketLimit => "it had as many packets as it may have (--packet-limit)",
            Self::ByteLimit => "it had as many bytes as it may have (--bytes-limit)",
            Self::FileLimit => {
                "the file was as large as this node allows (setting hubble-recorder-max-megabytes)"
            }
            Self::AgentEnds => "the agent ended",
            Self::Failed(why) => return write!(f, "the file could not be written: {why}"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_cannot_leave_their_folder() {
        for text in ["a", "web2", "abcdefghijklmnopqrst"] {
            assert_eq!(text.parse::<FilePrefix>().unwrap().to_string(), text);
        }
        assert_eq!("".parse::<FilePrefix>().unwrap().to_string(), "hubble");
        for text in ["2web", "Web", "a/b", "..", "a.b", "a b", "é", "abcdefghijklmnopqrstu"] {
            let error = text.parse::<FilePrefix>().unwrap_err().to_string();
            assert!(error.contains("lower-case"), "{text}: {error}");
        }
    }

    #[test]
    fn nothing_is_without_bounds() {
        let nothing = Limits { bytes: 0, packets: 0, time: Duration::ZERO };
        assert_eq!(nothing.or_default(), Limits::default());
        let own = Limits { bytes: 1, packets: 2, time: Duration::from_secs(3) };
        assert_eq!(own.or_default(), own);
        assert_eq!(Snap::new(0).get().get(), 65_536);
        assert_eq!(Snap::new(1_000_000).get().get(), 65_536);
        assert_eq!(Snap::new(96).get().get(), 96);
        assert_eq!(OneOf::new(0).get().get(), 1);
    }
}
