//! Reads the head of a request.

use super::line::{self, Line};
use crate::{
    Limits, Paths, Refusal, Settings,
    bytes::{self, UPPER},
    host,
    path::{self, Form},
    request::{Headers, Request, Version},
    span::Span,
};

/// How a body ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Body {
    None,
    Length(u64),
    Chunked,
    /// With the connection; responses only.
    UntilClose,
}

/// A head that was read whole. Spans are positions in the buffer it was read from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head {
    /// With the empty line at its end.
    pub len: usize,
    pub version: Version,
    pub method: Span,
    pub target: Span,
    /// The part of the target that is path and query. Empty for an absolute target without a path, which means `/`.
    path: Span,
    /// The authority in an absolute target.
    target_authority: Span,
    /// The Host header's value; the target's authority if HTTP/1.0 has no such header.
    authority: Span,
    host: Span,
    /// From the first header to before the empty line.
    pub lines: Span,
    pub body: Body,
    pub flags: Flags,
}

/// What stands out about a head.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Flags(u16);

impl Flags {
    /// The head is not in its one form: see [`super::rewrite`].
    pub(super) const REWRITE: u16 = 1;
    /// The connection ends after the response.
    pub(super) const CLOSE: u16 = 1 << 1;
    /// The body may come after a 100 only.
    pub(super) const EXPECT: u16 = 1 << 2;
    /// It asks for a websocket, and may.
    pub(super) const WEBSOCKET: u16 = 1 << 3;
    pub(super) const HEAD: u16 = 1 << 4;
    /// `Connection: keep-alive`, which HTTP/1.0 has to say.
    pub(super) const KEEP_ALIVE: u16 = 1 << 5;
    // While reading: what has to agree in the end.
    const HOST: u16 = 1 << 6;
    const LENGTH: u16 = 1 << 7;
    const CHUNKED: u16 = 1 << 8;
    const UPGRADE_TOKEN: u16 = 1 << 9;
    const UPGRADE_WEBSOCKET: u16 = 1 << 10;
    const UPGRADE_OTHER: u16 = 1 << 11;

    pub(super) const fn has(self, flag: u16) -> bool {
        self.0 & flag != 0
    }

    fn set(&mut self, flag: u16) {
        self.0 |= flag;
    }
}

impl Head {
    /// The request as rules see it, `buffer` being the one that the head was read from. The head is in its one form.
    pub(super) fn request<'a>(&self, buffer: &'a [u8]) -> Request<'a> {
        Request {
            version: self.version,
            method: self.method.of(buffer),
            path: if self.path.is_empty() { b"/" } else { self.path.of(buffer) },
            host: self.host.of(buffer),
            authority: self.authority.of(buffer),
            headers: Headers::checked(self.lines.of(buffer)),
            websocket: self.flags.has(Flags::WEBSOCKET),
            grpc: false,
        }
    }

    pub(super) fn path(&self) -> Span {
        self.path
    }

    pub(super) fn target_authority(&self) -> Span {
        self.target_authority
    }
}

/// Longest method that is looked at.
const LONGEST_METHOD: usize = 32;
/// What a request line has beside its target: method, spaces, version.
const AROUND_TARGET: usize = LONGEST_METHOD + 10;

/// Reads a head from the start of `buffer`; none if it is not whole. `settings` decide on limits and paths.
pub(super) fn read(buffer: &[u8], settings: &Settings) -> Result<Option<Head>, Refusal> {
    let limits = &settings.limits;
    let mut reader = Reader { buffer, at: 0, limit: limits.request_head };
    if buffer.first().is_some_and(|first| !bytes::is(*first, bytes::TOKEN)) {
        return Err(Refusal::Method);
    }
    let longest_line = limits.target.saturating_add(AROUND_TARGET);
    let Some(line) = reader.line()? else {
        return if buffer.len() > longest_line { Err(Refusal::TargetTooLong) } else { Ok(None) };
    };
    if line.len() > longest_line {
        return Err(Refusal::TargetTooLong);
    }
    let mut head = request_line(line, limits, &settings.paths)?;
    let first_line = reader.at;
    let mut count = 0_usize;
    let end = loop {
        let start = reader.at;
        let Some(line) = reader.line()? else { return Ok(None) };
        if line.is_empty() {
            break start;
        }
        count = count.saturating_add(1);
        if count > limits.headers {
            return Err(Refusal::TooManyHeaders);
        }
        header(&mut head, line, start)?;
    };
    head.len = reader.at;
    head.lines = Span { start: first_line, end };
    finish(&mut head, buffer)?;
    Ok(Some(head))
}

struct Reader<'a> {
    buffer: &'a [u8],
    at: usize,
    limit: usize,
}

impl<'a> Reader<'a> {
    /// The next line without its end.
    #[inline]
    fn line(&mut self) -> Result<Option<&'a [u8]>, Refusal> {
        let rest = self.buffer.get(self.at..).unwrap_or_default();
        let (line, len) = match line::next(rest) {
            Line::Whole { line, len } => (Ok(line), len),
            Line::BareLf { len } => (Err(Refusal::BareLf), len),
            Line::Partial if self.buffer.len() > self.limit => return Err(Refusal::HeadTooLarge),
            Line::Partial => return Ok(None),
        };
        self.at = self.at.saturating_add(len);
        if self.at > self.limit {
            return Err(Refusal::HeadTooLarge);
        }
        line.map(Some)
    }
}

fn request_line(line: &[u8], limits: &Limits, paths: &Paths) -> Result<Head, Refusal> {
    let method_end = memchr::memchr(b' ', line).ok_or(Refusal::RequestLine)?;
    let (method, rest) = line.split_at_checked(method_end).ok_or(Refusal::RequestLine)?;
    if method.len() > LONGEST_METHOD || !bytes::is_token(method) {
        return Err(Refusal::Method);
    }
    let (target, version) = rest.split_last_chunk::<9>().ok_or(Refusal::RequestLine)?;
    let version = match version {
        b" HTTP/1.1" => Version::Http11,
        b" HTTP/1.0" => Version::Http10,
        [b' ', b'H', b'T', b'T', b'P', b'/', _, _, _] => return Err(Refusal::Version),
        _ => return Err(Refusal::RequestLine),
    };
    let target = target.strip_prefix(b" ").ok_or(Refusal::RequestLine)?;
    if target.len() > limits.target {
        return Err(Refusal::TargetTooLong);
    }
    let start = method_end.saturating_add(1);
    let target_span = Span { start, end: start.saturating_add(target.len()) };
    let mut head = Head {
        len: 0,
        version,
        method: Span { start: 0, end: method_end },
        target: target_span,
        path: target_span,
        target_authority: Span::default(),
        authority: Span::default(),
        host: Span::default(),
        lines: Span::default(),
        body: Body::None,
        flags: Flags::default(),
    };
    match method {
        b"CONNECT" => return Err(Refusal::Connect),
        b"HEAD" => head.flags.set(Flags::HEAD),
        _ => {}
    }
    match target {
        [b'/', ..] => head.check_path(target, paths)?,
        [] | [b' ' | b'\t', ..] => return Err(Refusal::RequestLine),
        b"*" if method == b"OPTIONS" => {}
        _ => absolute(&mut head, target, paths)?,
    }
    Ok(head)
}

/// `http://authority/path?query`.
fn absolute(head: &mut Head, target: &[u8], paths: &Paths) -> Result<(), Refusal> {
    const SCHEME: usize = 7;
    let Some((scheme, rest)) = target.split_at_checked(SCHEME) else { return Err(Refusal::Target) };
    if !scheme.eq_ignore_ascii_case(b"http://") {
        return Err(Refusal::Target);
    }
    let len = rest.iter().position(|byte| matches!(byte, b'/' | b'?' | b'#')).unwrap_or(rest.len());
    let (authority, path) = rest.split_at_checked(len).unwrap_or_default();
    let start = head.target.start.saturating_add(SCHEME);
    head.target_authority = Span { start, end: start.saturating_add(len) };
    head.path = Span { start: head.target_authority.end, end: head.target.end };
    host::len(authority).filter(|host| *host > 0).ok_or(Refusal::Target)?;
    head.flag_upper_case(authority);
    match path {
        [b'/', ..] => head.check_path(path, paths),
        [] => Ok(()),
        // `http://host?query`: the rewritten target has the slash.
        [b'?', ..] => {
            head.flags.set(Flags::REWRITE);
            head.check_path(path, paths)
        }
        _ => Err(Refusal::Fragment),
    }
}

impl Head {
    fn check_path(&mut self, target: &[u8], paths: &Paths) -> Result<(), Refusal> {
        if path::check(target, paths)? == Form::Other {
            self.flags.set(Flags::REWRITE);
        }
        Ok(())
    }

    /// Hosts are in lower case.
    fn flag_upper_case(&mut self, authority: &[u8]) {
        if authority.iter().any(|byte| bytes::is(*byte, UPPER)) {
            self.flags.set(Flags::REWRITE);
        }
    }
}

/// One header, at `start` in the buffer.
#[inline]
fn header(head: &mut Head, line: &[u8], start: usize) -> Result<(), Refusal> {
    let (name, value) = line::header(line)?;
    // Most names are told apart by their length.
    match name.len() {
        2 if name.eq_ignore_ascii_case(b"te") && !value.eq_ignore_ascii_case(b"trailers") => {
            head.flags.set(Flags::REWRITE);
        }
        4 if name.eq_ignore_ascii_case(b"host") => host(head, line, value, start)?,
        6 if name.eq_ignore_ascii_case(b"expect") => head.flags.set(Flags::EXPECT),
        7 if name.eq_ignore_ascii_case(b"upgrade") => upgrade(head, value),
        10 if name.eq_ignore_ascii_case(b"connection") => connection(head, value)?,
        14 if name.eq_ignore_ascii_case(b"content-length") => {
            if head.flags.has(Flags::LENGTH) {
                return Err(Refusal::LengthRepeated);
            }
            head.flags.set(Flags::LENGTH);
            if value.contains(&b',') {
                return Err(Refusal::LengthRepeated);
            }
            head.body = Body::Length(bytes::decimal(value).ok_or(Refusal::LengthInvalid)?);
        }
        14 if name.eq_ignore_ascii_case(b"http2-settings") => head.flags.set(Flags::REWRITE),
        14 if name.eq_ignore_ascii_case(b"content_length") => return Err(Refusal::UnderscoreName),
        17 if name.eq_ignore_ascii_case(b"transfer-encoding") => {
            let plain = value.eq_ignore_ascii_case(b"chunked") && head.version == Version::Http11;
            if head.flags.has(Flags::CHUNKED) || !plain {
                return Err(Refusal::Coding);
            }
            head.flags.set(Flags::CHUNKED);
        }
        17 if name.eq_ignore_ascii_case(b"transfer_encoding") => return Err(Refusal::UnderscoreName),
        _ => {}
    }
    Ok(())
}

fn host(head: &mut Head, line: &[u8], value: &[u8], start: usize) -> Result<(), Refusal> {
    if head.flags.has(Flags::HOST) {
        return Err(Refusal::HostRepeated);
    }
    head.flags.set(Flags::HOST);
    let len = host::len(value).ok_or(Refusal::HostInvalid)?;
    // Where the value lies in the line: white space can only be in front of it and behind it.
    let before = line.iter().skip(5).take_while(|byte| matches!(byte, b' ' | b'\t')).count();
    let at = start.saturating_add(5).saturating_add(before);
    head.host = Span { start: at, end: at.saturating_add(len) };
    head.authority = Span { start: at, end: at.saturating_add(value.len()) };
    head.flag_upper_case(value);
    Ok(())
}

fn upgrade(head: &mut Head, value: &[u8]) {
    if head.flags.has(Flags::UPGRADE_WEBSOCKET) || !value.eq_ignore_ascii_case(b"websocket") {
        head.flags.set(Flags::REWRITE);
    }
    if bytes::list(value).any(|protocol| protocol.eq_ignore_ascii_case(b"websocket")) {
        head.flags.set(Flags::UPGRADE_WEBSOCKET);
    } else {
        head.flags.set(Flags::UPGRADE_OTHER);
    }
}

/// Headers without which a message could not be told from the next, or would go somewhere else.
pub(super) const INDISPENSABLE: [&[u8]; 5] =
    [b"host", b"content-length", b"transfer-encoding", b"connection", b"expect"];

fn connection(head: &mut Head, value: &[u8]) -> Result<(), Refusal> {
    for option in bytes::list(value) {
        if option.eq_ignore_ascii_case(b"keep-alive") {
            head.flags.set(Flags::KEEP_ALIVE);
        } else if option.eq_ignore_ascii_case(b"close") {
            head.flags.set(Flags::CLOSE);
        } else if option.eq_ignore_ascii_case(b"upgrade") {
            head.flags.set(Flags::UPGRADE_TOKEN);
        } else if INDISPENSABLE.iter().any(|name| option.eq_ignore_ascii_case(name)) {
            return Err(Refusal::ConnectionNames);
        } else if !option.eq_ignore_ascii_case(b"te") {
            head.flags.set(Flags::REWRITE);
        }
    }
    Ok(())
}

/// What can only be said when all headers are known.
fn finish(head: &mut Head, buffer: &[u8]) -> Result<(), Refusal> {
    let flags = &mut head.flags;
    let target_authority = head.target_authority.of(buffer);
    if flags.has(Flags::HOST) {
        if !target_authority.is_empty() && !target_authority.eq_ignore_ascii_case(head.authority.of(buffer)) {
            return Err(Refusal::HostDiffers);
        }
    } else if head.version == Version::Http10 {
        let start = head.target_authority.start;
        head.authority = head.target_authority;
        head.host =
            Span { start, end: start.saturating_add(host::len(target_authority).unwrap_or_default()) };
    } else {
        return Err(Refusal::HostMissing);
    }
    if flags.has(Flags::CHUNKED) {
        if flags.has(Flags::LENGTH) {
            return Err(Refusal::LengthAndCoding);
        }
        head.body = Body::Chunked;
    }
    if head.version == Version::Http10 && !flags.has(Flags::KEEP_ALIVE) {
        flags.set(Flags::CLOSE);
    }
    let token = flags.has(Flags::UPGRADE_TOKEN);
    let upgrade = flags.has(Flags::UPGRADE_WEBSOCKET);
    let other = flags.has(Flags::UPGRADE_OTHER);
    let may = head.method.of(buffer) == b"GET" && head.version == Version::Http11 && head.body == Body::None;
    if token && upgrade && may && !flags.has(Flags::CLOSE) {
        flags.set(Flags::WEBSOCKET);
    } else if token || upgrade || other {
        flags.set(Flags::REWRITE);
    }
    Ok(())
}
