//! What stands between a ClientHello and the point from which nothing can be read: the server's first message, and the client's records until
//! it has come.
//!
//! A server may ask for a second ClientHello (HelloRetryRequest; RFC 8446, section 4.1.4), and there are servers that go by the name in that one.

use crate::{
    HelloError,
    reader::{HANDSHAKE, LONGEST_RECORD, RECORD_HEADER},
};

const CHANGE_CIPHER_SPEC: u8 = 20;
const ALERT: u8 = 21;
const APPLICATION_DATA: u8 = 23;
const SERVER_HELLO: u8 = 2;
/// What encryption may add to a record in TLS 1.2 (RFC 5246, section 6.2.3); in TLS 1.3 it is less.
const EXPANSION: usize = 2048;
/// Type and length of a message, version and random of a ServerHello.
const TOLD_BY: usize = 4 + 2 + 32;

/// The random of a ServerHello that is a HelloRetryRequest (RFC 8446, section 4.1.3).
const RETRY: [u8; 32] = [
    0xcf, 0x21, 0xad, 0x74, 0xe5, 0x9a, 0x61, 0x11, 0xbe, 0x1d, 0x8c, 0x02, 0x1e, 0x65, 0xb8, 0x91, 0xc2,
    0xa2, 0x11, 0x16, 0x7a, 0xbb, 0x8c, 0x5e, 0x07, 0x9e, 0x09, 0xe2, 0xc8, 0xa8, 0x33, 0x9c,
];

/// What a server answers to a ClientHello.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The handshake goes on, with the name that the client has given.
    ServerHello,
    /// The client is to say hello once more.
    RetryRequest,
    /// No handshake of TLS.
    Foreign,
}

/// Finds a server's answer in what it sends, of which it keeps a few bytes.
#[derive(Debug, Default)]
pub struct AnswerReader {
    header: Vec<u8>,
    /// Of the record's payload.
    left: usize,
    message: Vec<u8>,
}

impl AnswerReader {
    /// `input` follows what was shown before. None: the answer is not there yet.
    #[must_use]
    pub fn read(&mut self, mut input: &[u8]) -> Option<Answer> {
        while let Some((byte, rest)) = input.split_first() {
            if self.left == 0 {
                input = rest;
                self.header.push(*byte);
                match record(&self.header) {
                    Ok(Some((HANDSHAKE | ALERT, len))) => self.left = len,
                    Ok(Some(_)) | Err(_) => return Some(Answer::Foreign),
                    Ok(None) => {}
                }
                continue;
            }
            let (payload, rest) = input.split_at(self.left.min(input.len()));
            input = rest;
            self.left = self.left.saturating_sub(payload.len());
            // Warnings may come first, such as `unrecognized_name`.
            if self.header.first() == Some(&HANDSHAKE) {
                let wanted = TOLD_BY.saturating_sub(self.message.len()).min(payload.len());
                self.message.extend_from_slice(payload.get(..wanted).unwrap_or_default());
                if let Some(answer) = told(&self.message) {
                    return Some(answer);
                }
            }
            if self.left == 0 {
                self.header.clear();
            }
        }
        None
    }
}

fn told(message: &[u8]) -> Option<Answer> {
    match message {
        [kind, ..] if *kind != SERVER_HELLO => Some(Answer::Foreign),
        [_, _, _, _, _, _, random @ ..] if random.len() >= RETRY.len() => {
            Some(if random.starts_with(&RETRY) { Answer::RetryRequest } else { Answer::ServerHello })
        }
        _ => None,
    }
}

/// Walks over a client's records that carry no handshake: early data, alerts, and the change of ciphers that only looks like one.
#[derive(Debug, Default)]
pub struct Interlude {
    /// Of a record that has begun.
    left: usize,
}

/// How far a walk came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Walked {
    /// So many bytes are none of a handshake.
    pub len: usize,
    pub next: Ahead,
}

/// What comes behind them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ahead {
    /// Nothing, or not enough to tell.
    Unknown,
    /// A record with a handshake message.
    Handshake,
}

impl Interlude {
    /// `input` is what the client has sent and no walk has passed.
    pub fn walk(&mut self, input: &[u8]) -> Result<Walked, HelloError> {
        let mut len = 0_usize;
        loop {
            let rest = input.get(len..).unwrap_or_default();
            if self.left > 0 {
                let passed = self.left.min(rest.len());
                self.left = self.left.saturating_sub(passed);
                len = len.saturating_add(passed);
                if self.left > 0 {
                    return Ok(Walked { len, next: Ahead::Unknown });
                }
                continue;
            }
            match record(rest)? {
                Some((HANDSHAKE, _)) => return Ok(Walked { len, next: Ahead::Handshake }),
                Some((_, payload)) => self.left = payload.saturating_add(RECORD_HEADER),
                None => return Ok(Walked { len, next: Ahead::Unknown }),
            }
        }
    }
}

/// Type and length of the payload of the record that begins here; none while its header is not there.
fn record(bytes: &[u8]) -> Result<Option<(u8, usize)>, HelloError> {
    match *bytes {
        [] => return Ok(None),
        [CHANGE_CIPHER_SPEC | ALERT | HANDSHAKE | APPLICATION_DATA, ..] => {}
        [kind, ..] => return Err(HelloError::NotTls(kind)),
    }
    let &[kind, major, minor, high, low, ..] = bytes else { return Ok(None) };
    if major != 3 {
        return Err(HelloError::Version(u16::from_be_bytes([major, minor])));
    }
    match usize::from(u16::from_be_bytes([high, low])) {
        len if len == 0 || len > LONGEST_RECORD.saturating_add(EXPANSION) => {
            Err(HelloError::RecordLength(len))
        }
        len => Ok(Some((kind, len))),
    }
}
