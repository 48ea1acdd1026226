//! A request as rules see it.

use crate::bytes;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Version {
    Http10,
    Http11,
    Http2,
}

/// What rules are matched against: slices of the head in its one form, which is what the server gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request<'a> {
    pub version: Version,
    pub method: &'a [u8],
    /// With its query. `*` for `OPTIONS *`.
    pub path: &'a [u8],
    /// In lower case, without port. Empty if the request names none (HTTP/1.0).
    pub host: &'a [u8],
    /// The host with its port, if it has one.
    pub authority: &'a [u8],
    pub headers: Headers<'a>,
    /// Whether the connection becomes a tunnel if the server agrees.
    pub websocket: bool,
    /// Whether it is a call of gRPC, which is denied by a status of its own.
    pub grpc: bool,
}

/// The headers of a request as lines of `name: value`, each with CR LF.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Headers<'a> {
    lines: &'a [u8],
}

impl<'a> Headers<'a> {
    /// `lines` have been checked: each has a colon and ends with CR LF.
    pub(crate) const fn checked(lines: &'a [u8]) -> Self {
        Self { lines }
    }

    /// Names as they were sent, values without white space around them.
    pub fn iter(self) -> impl Iterator<Item = (&'a [u8], &'a [u8])> {
        self.lines_with_ends().map(|line| split(line.strip_suffix(b"\r\n").unwrap_or(line)))
    }

    /// All values of the headers of a name.
    pub fn values(self, name: &str) -> impl Iterator<Item = &'a [u8]> {
        self.iter().filter(move |(own, _)| own.eq_ignore_ascii_case(name.as_bytes())).map(|(_, value)| value)
    }

    pub(crate) fn lines_with_ends(self) -> impl Iterator<Item = &'a [u8]> {
        let mut rest = self.lines;
        std::iter::from_fn(move || {
            let end = memchr::memchr(b'\n', rest)?.saturating_add(1);
            let (line, after) = rest.split_at_checked(end)?;
            rest = after;
            Some(line)
        })
    }
}

/// Name and value of a line without its end.
pub(crate) fn split(line: &[u8]) -> (&[u8], &[u8]) {
    let colon = memchr::memchr(b':', line).unwrap_or(line.len());
    let name = line.get(..colon).unwrap_or_default();
    (name, bytes::trim(line.get(colon.saturating_add(1)..).unwrap_or_default()))
}
