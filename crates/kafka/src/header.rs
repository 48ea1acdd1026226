//! The beginning of a request.

use crate::walk::Malformed;

/// What every request starts with, whatever follows (request header, versions 0 to 2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestHeader<'a> {
    pub api_key: i16,
    pub api_version: i16,
    /// The answer has the same.
    pub correlation_id: i32,
    pub client_id: Option<&'a str>,
}

/// A header that is there, or how much of the request is needed for it.
#[derive(Debug)]
pub(crate) enum Prefix<'a> {
    Header {
        header: RequestHeader<'a>,
        /// Where the header's tagged fields start, if its version has them, or else the body.
        len: usize,
    },
    More(usize),
}

const FIXED: usize = 8;
const WITH_LENGTH: usize = 10;

/// `bytes` are those of a request of `size` bytes which are there, without the four of its size.
pub(crate) fn header(bytes: &[u8], size: usize) -> Result<Prefix<'_>, Malformed> {
    let &[k0, k1, v0, v1, c0, c1, c2, c3, ref rest @ ..] = bytes else {
        return if size < FIXED {
            Err(Malformed::Short("the request header"))
        } else {
            Ok(Prefix::More(FIXED))
        };
    };
    let found = |client_id, len| Prefix::Header {
        header: RequestHeader {
            api_key: i16::from_be_bytes([k0, k1]),
            api_version: i16::from_be_bytes([v0, v1]),
            correlation_id: i32::from_be_bytes([c0, c1, c2, c3]),
            client_id,
        },
        len,
    };
    // Version 0, of which but one request was ever made, ends here.
    if size == FIXED {
        return Ok(found(None, FIXED));
    }
    let &[l0, l1, ref rest @ ..] = rest else {
        return if size < WITH_LENGTH {
            Err(Malformed::Short("client_id"))
        } else {
            Ok(Prefix::More(WITH_LENGTH))
        };
    };
    let len = match i16::from_be_bytes([l0, l1]) {
        -1 => return Ok(found(None, WITH_LENGTH)),
        len => usize::try_from(len).map_err(|_| Malformed::Length("client_id"))?,
    };
    let end = WITH_LENGTH.saturating_add(len);
    if end > size {
        return Err(Malformed::Short("client_id"));
    }
    match rest.get(..len) {
        Some(text) => {
            let id = std::str::from_utf8(text).map_err(|_| Malformed::Text("client_id"))?;
            Ok(found(Some(id), end))
        }
        None => Ok(Prefix::More(end)),
    }
}
