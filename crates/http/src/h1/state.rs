//! Where a connection is.

use super::{body::Framer, head::Flags};
use crate::reply::Reply;

/// Where the client is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Client {
    /// Before a request; this many bytes of its head had no line's end in them that was not looked at.
    Head {
        seen: usize,
    },
    Body {
        framer: Framer,
        to: To,
        after: After,
    },
    /// It asked for a tunnel; what comes next depends on the server's answer.
    Upgrading,
    Tunnel,
    Done,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum To {
    Server,
    /// The request was denied.
    Nobody,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum After {
    NextRequest,
    Nothing,
}

/// Where the server is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Server {
    Head,
    Body { framer: Framer, after: After },
    Tunnel,
    Closed,
}

/// A request that is not answered to its end.
#[derive(Debug)]
pub(super) enum Open<T> {
    Server {
        token: Option<T>,
        head_len: usize,
        flags: Flags,
        /// 100 has passed.
        continued: Continued,
    },
    /// Answered by the proxy, when it is its turn.
    Local(Reply),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Continued {
    No,
    Yes,
}

impl From<After> for Client {
    fn from(after: After) -> Self {
        match after {
            After::NextRequest => Self::Head { seen: 0 },
            After::Nothing => Self::Done,
        }
    }
}
