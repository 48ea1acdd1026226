//! The ClientHello out of the records that carry it (RFC 8446, section 5.1).

use crate::{ClientHello, hello};
use thiserror::Error;

/// What is held of a client that has not yet said hello, in bytes. Hellos with post-quantum keys have about 2 KiB; many certificates'
/// names of authorities or a large ticket make more.
pub const DEFAULT_LIMIT: usize = 32 * 1024;

pub(crate) const RECORD_HEADER: usize = 5;
const MESSAGE_HEADER: usize = 4;
pub(crate) const LONGEST_RECORD: usize = 1 << 14;
pub(crate) const HANDSHAKE: u8 = 22;
const CLIENT_HELLO: u8 = 1;

/// Takes a ClientHello out of a growing buffer. Each byte is read once, however it arrives.
#[derive(Debug)]
pub struct HelloReader {
    limit: usize,
    /// Where the next record starts.
    record: usize,
    /// What the records so far carried, if one was not enough.
    message: Vec<u8>,
}

#[must_use]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Nothing is known before the buffer has this length.
    More {
        at_least: usize,
    },
    Complete(ClientHello),
}

/// Why a connection is not one whose server name can be known.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum HelloError {
    #[error("the first byte is {0:#04x}, not the 0x16 of a TLS handshake")]
    NotTls(u8),
    #[error("an SSL 2.0 hello, which carries no server name")]
    Ssl2,
    #[error("version {0:#06x} is not one of SSL 3 or TLS 1")]
    Version(u16),
    #[error("a record of {0} bytes: 1 to 16384 are right")]
    RecordLength(usize),
    #[error("a record of type {0} amid the ClientHello")]
    Interrupted(u8),
    #[error("the handshake starts with message type {0}, not with a ClientHello (1)")]
    NotClientHello(u8),
    #[error("the ClientHello needs more than the {0} bytes that a setting allows it")]
    TooLong(usize),
    #[error("there is more in the record than the ClientHello")]
    Trailing,
    #[error("the length of {0} does not fit what is there")]
    Length(&'static str),
    #[error("more than one server name")]
    SeveralNames,
    #[error("server name type {0} is not host_name (0)")]
    NameType(u8),
    #[error("{0:?} is no name of a host")]
    Name(String),
}

impl HelloReader {
    /// `limit` bytes at most are asked for, records' headers included.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self { limit, record: 0, message: Vec::new() }
    }

    /// `received` is everything that the client has sent, from its first byte on.
    pub fn read(&mut self, received: &[u8]) -> Result<Progress, HelloError> {
        loop {
            let Some(rest) = received.get(self.record..).filter(|rest| !rest.is_empty()) else {
                return self.more(RECORD_HEADER);
            };
            let Some(payload) = self.record_length(rest)? else { return self.more(RECORD_HEADER) };
            let len = RECORD_HEADER.saturating_add(payload);
            let Some(fragment) = rest.get(RECORD_HEADER..len) else { return self.more(len) };
            // Mostly one record holds it all, and nothing needs copying.
            if self.message.is_empty()
                && let Some(hello) = self.whole(fragment)?
            {
                self.record = self.record.saturating_add(len);
                return Ok(Progress::Complete(hello));
            }
            self.message.extend_from_slice(fragment);
            self.record = self.record.saturating_add(len);
            if let Some(hello) = self.whole(&self.message)? {
                return Ok(Progress::Complete(hello));
            }
        }
    }

    /// How many bytes the records have that carried the hello, once it is complete.
    #[must_use]
    pub fn hello_len(&self) -> usize {
        self.record
    }

    fn more(&self, len: usize) -> Result<Progress, HelloError> {
        let at_least = self.record.saturating_add(len);
        if at_least > self.limit {
            return Err(HelloError::TooLong(self.limit));
        }
        Ok(Progress::More { at_least })
    }

    /// The length of what the record carries; none while its header is not there.
    fn record_length(&self, bytes: &[u8]) -> Result<Option<usize>, HelloError> {
        match *bytes {
            [HANDSHAKE, ..] => {}
            [kind, ..] if self.record > 0 => return Err(HelloError::Interrupted(kind)),
            // Two bytes of length with the highest bit set, then the message type (RFC 6101, appendix E).
            [kind, _, CLIENT_HELLO, ..] if kind & 0x80 != 0 => return Err(HelloError::Ssl2),
            [kind] | [kind, _] if kind & 0x80 != 0 => return Ok(None),
            [kind, ..] => return Err(HelloError::NotTls(kind)),
            [] => return Ok(None),
        }
        let &[_, major, minor, high, low, ..] = bytes else { return Ok(None) };
        if major != 3 {
            return Err(HelloError::Version(u16::from_be_bytes([major, minor])));
        }
        let len = usize::from(u16::from_be_bytes([high, low]));
        match len {
            1..=LONGEST_RECORD => Ok(Some(len)),
            _ => Err(HelloError::RecordLength(len)),
        }
    }

    /// The hello, if `message` holds all of it and nothing else.
    fn whole(&self, message: &[u8]) -> Result<Option<ClientHello>, HelloError> {
        match *message {
            [kind, ..] if kind != CLIENT_HELLO => Err(HelloError::NotClientHello(kind)),
            [_, a, b, c, ref body @ ..] => {
                let len = usize::try_from(u32::from_be_bytes([0, a, b, c])).unwrap_or(usize::MAX);
                if len.saturating_add(RECORD_HEADER + MESSAGE_HEADER) > self.limit {
                    return Err(HelloError::TooLong(self.limit));
                }
                match body.len().cmp(&len) {
                    std::cmp::Ordering::Less => Ok(None),
                    std::cmp::Ordering::Equal => hello::parse(body).map(Some),
                    std::cmp::Ordering::Greater => Err(HelloError::Trailing),
                }
            }
            _ => Ok(None),
        }
    }
}
