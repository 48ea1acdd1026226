//! Reads as much of a response's head as is needed to know where the response ends.
//!
//! Servers are forgiven more than clients: what a response says is the client's affair, as long as its end is certain.

use super::head::Body;
use crate::{Limits, ServerFault, bytes, request::split};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ResponseHead {
    /// With the empty line at its end.
    pub len: usize,
    pub status: u16,
    pub body: Body,
    /// The server closes the connection after it.
    pub close: bool,
    /// The protocol that a 101 switches to is websocket.
    pub websocket: bool,
}

/// What the request was, as far as it decides about the response's body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    Head,
    Other,
}

/// Reads a head from the start of `buffer`; none if it is not whole.
pub(super) fn read(
    buffer: &[u8],
    asked: Asked,
    limits: &Limits,
) -> Result<Option<ResponseHead>, ServerFault> {
    let limit = limits.response_head;
    let mut lines = Lines { rest: buffer, len: 0 };
    let Some(line) = lines.next() else { return partial(buffer, limit) };
    let (status, minor) = status_line(line)?;
    let mut head =
        ResponseHead { len: 0, status, body: Body::UntilClose, close: minor == 0, websocket: false };
    let (mut length, mut coding) = (None, None);
    // Whether the header before, which a folded line belongs to, matters here.
    let mut matters = false;
    loop {
        let Some(line) = lines.next() else { return partial(buffer, limit) };
        match line {
            [] => break,
            [b' ' | b'\t', ..] if matters => return Err(ServerFault::Header),
            [b' ' | b'\t', ..] => continue,
            _ => {}
        }
        let (name, value) = split(line);
        if !bytes::is_token(name) || name.len() == line.len() {
            return Err(ServerFault::Header);
        }
        matters = true;
        match name.len() {
            10 if name.eq_ignore_ascii_case(b"connection") => {
                for option in bytes::list(value) {
                    if option.eq_ignore_ascii_case(b"close") {
                        head.close = true;
                    } else if option.eq_ignore_ascii_case(b"keep-alive") && minor == 0 {
                        head.close = false;
                    }
                }
            }
            7 if name.eq_ignore_ascii_case(b"upgrade") => {
                head.websocket = value.eq_ignore_ascii_case(b"websocket");
            }
            14 if name.eq_ignore_ascii_case(b"content-length") => {
                let number = parse_length(value).ok_or(ServerFault::LengthInvalid)?;
                if length.replace(number).is_some_and(|other| other != number) {
                    return Err(ServerFault::LengthInvalid);
                }
            }
            17 if name.eq_ignore_ascii_case(b"transfer-encoding") => coding = Some(value),
            _ => matters = false,
        }
    }
    head.len = lines.len;
    if head.len > limit {
        return Err(ServerFault::HeadTooLarge);
    }
    head.body = body(status, asked, length, coding, minor)?;
    if head.body == Body::UntilClose {
        head.close = true;
    }
    Ok(Some(head))
}

fn partial(buffer: &[u8], limit: usize) -> Result<Option<ResponseHead>, ServerFault> {
    if buffer.len() > limit {
        return Err(ServerFault::HeadTooLarge);
    }
    // What is no response at all is known before its first line ends.
    let start = b"HTTP/1.";
    let known = buffer.len().min(start.len());
    if buffer.get(..known) == start.get(..known) { Ok(None) } else { Err(ServerFault::StatusLine) }
}

/// RFC 9112, 6.3.
fn body(
    status: u16,
    asked: Asked,
    length: Option<u64>,
    coding: Option<&[u8]>,
    minor: u8,
) -> Result<Body, ServerFault> {
    if asked == Asked::Head || status < 200 || matches!(status, 204 | 304) {
        return Ok(Body::None);
    }
    let chunked =
        coding.is_some_and(|v| bytes::list(v).last().is_some_and(|l| l.eq_ignore_ascii_case(b"chunked")));
    match (length, coding) {
        (Some(_), Some(_)) => Err(ServerFault::LengthAndCoding),
        (Some(length), None) => Ok(Body::Length(length)),
        // HTTP/1.0 knows no codings: a client may or may not read chunks, both end with the connection.
        (None, Some(_)) if chunked && minor > 0 => Ok(Body::Chunked),
        (None, _) => Ok(Body::UntilClose),
    }
}

fn status_line(line: &[u8]) -> Result<(u16, u8), ServerFault> {
    let (version, rest) = line.split_at_checked(9).ok_or(ServerFault::StatusLine)?;
    let minor = match version {
        b"HTTP/1.1 " => 1,
        b"HTTP/1.0 " => 0,
        _ => return Err(ServerFault::StatusLine),
    };
    match rest {
        [hundreds @ b'1'..=b'9', tens, ones] | [hundreds @ b'1'..=b'9', tens, ones, b' ', ..] => {
            let digits = [*hundreds, *tens, *ones];
            let status = bytes::decimal(&digits).and_then(|number| u16::try_from(number).ok());
            status.map(|status| (status, minor)).ok_or(ServerFault::StatusLine)
        }
        _ => Err(ServerFault::StatusLine),
    }
}

/// Some servers put zeros in front.
fn parse_length(value: &[u8]) -> Option<u64> {
    let zeros = value.iter().take_while(|byte| **byte == b'0').count();
    match value.get(zeros..)? {
        [] if zeros > 0 => Some(0),
        digits => bytes::decimal(digits),
    }
}

/// Lines that end with CR LF or with LF.
struct Lines<'a> {
    rest: &'a [u8],
    len: usize,
}

impl<'a> Iterator for Lines<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let lf = memchr::memchr(b'\n', self.rest)?;
        let (line, rest) = self.rest.split_at_checked(lf)?;
        self.rest = rest.get(1..)?;
        self.len = self.len.saturating_add(lf).saturating_add(1);
        Some(line.strip_suffix(b"\r").unwrap_or(line))
    }
}
