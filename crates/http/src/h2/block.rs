//! The headers of a request over HTTP/2, checked and put into the form that rules are matched against.

use super::{decoder::Indexing, encoder::Encoder};
use crate::{
    Edit, Refusal, Request, Settings, Version,
    bytes::{self, UPPER},
    host,
    path::{self, Form},
    request::Headers,
    rules::same_name,
    span::Span,
};

/// A request's headers: pseudo-headers, then the others as lines of text.
#[derive(Clone, Debug, Default)]
pub(super) struct Block {
    text: Vec<u8>,
    /// What the pieces of cookies make together (RFC 9113, 8.2.3).
    cookie: Vec<u8>,
    read: Read,
}

#[derive(Clone, Copy, Debug, Default)]
struct Read {
    method: Span,
    scheme: Span,
    path: Span,
    authority: Span,
    protocol: Span,
    /// The Host header's value.
    host: Span,
    /// How many bytes of the authority are the host.
    host_len: usize,
    lines: Span,
    /// By the number of the line: whether the header must never be put into a table.
    never: u128,
    seen: u8,
    count: usize,
    /// As HTTP/2 counts it: 32 bytes for each header beside its text.
    size: usize,
    length: Option<u64>,
    grpc: Grpc,
    form: Form,
    refusal: Option<Refusal>,
}

/// How a denial has to look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Grpc {
    Yes,
    #[default]
    No,
}

mod seen {
    pub const METHOD: u8 = 1;
    pub const SCHEME: u8 = 2;
    pub const PATH: u8 = 4;
    pub const AUTHORITY: u8 = 8;
    pub const PROTOCOL: u8 = 16;
    pub const HOST: u8 = 32;
    /// A header that is no pseudo-header.
    pub const OTHERS: u8 = 64;
    pub const COOKIE_NEVER: u8 = 128;
}

/// Headers that speak of a connection (RFC 9113, 8.2.2).
const OF_CONNECTIONS: [&[u8]; 6] =
    [b"connection", b"proxy-connection", b"keep-alive", b"transfer-encoding", b"upgrade", b"http2-settings"];
/// `never` has a bit for as many.
const MOST_HEADERS: usize = 128;

impl Block {
    pub(super) fn clear(&mut self) {
        self.text.clear();
        self.cookie.clear();
        self.read = Read::default();
    }

    /// One more header. What is wrong with it is kept for [`finish`](Self::finish): the rest of the block has to be read anyway.
    pub(super) fn header(&mut self, name: &[u8], value: &[u8], indexing: Indexing, settings: &Settings) {
        if self.read.refusal.is_none()
            && let Err(refusal) = self.add(name, value, indexing, settings)
        {
            self.read.refusal = Some(refusal);
        }
    }

    fn add(
        &mut self,
        name: &[u8],
        value: &[u8],
        indexing: Indexing,
        settings: &Settings,
    ) -> Result<(), Refusal> {
        let limits = &settings.limits;
        let size = name.len().saturating_add(value.len()).saturating_add(32);
        self.read.size = self.read.size.saturating_add(size);
        if self.read.size > limits.request_head {
            return Err(Refusal::HeadTooLarge);
        }
        check_value(value)?;
        if let [b':', ..] = name {
            return self.pseudo(name, value, limits.target);
        }
        check_name(name)?;
        self.start_lines();
        if name == b"cookie" {
            if !self.cookie.is_empty() {
                self.cookie.extend_from_slice(b"; ");
            }
            self.cookie.extend_from_slice(value);
            if indexing == Indexing::Never {
                self.read.seen |= seen::COOKIE_NEVER;
            }
            return Ok(());
        }
        let at = self.line(name, value, indexing, limits.headers)?;
        self.known(name, value, at)
    }

    /// The first header that is no pseudo-header is where lines begin.
    fn start_lines(&mut self) {
        if self.read.seen & seen::OTHERS == 0 {
            self.read.seen |= seen::OTHERS;
            self.read.lines = Span { start: self.text.len(), end: self.text.len() };
        }
    }

    /// Writes a line, and says where its value is.
    fn line(&mut self, name: &[u8], value: &[u8], indexing: Indexing, most: usize) -> Result<Span, Refusal> {
        if self.read.count >= most.min(MOST_HEADERS) {
            return Err(Refusal::TooManyHeaders);
        }
        if indexing == Indexing::Never {
            self.read.never |= 1 << self.read.count;
        }
        self.read.count = self.read.count.saturating_add(1);
        self.text.extend_from_slice(name);
        self.text.extend_from_slice(b": ");
        let value = self.append(value);
        self.text.extend_from_slice(b"\r\n");
        self.read.lines.end = self.text.len();
        Ok(value)
    }

    fn append(&mut self, text: &[u8]) -> Span {
        let start = self.text.len();
        self.text.extend_from_slice(text);
        Span { start, end: self.text.len() }
    }

    fn pseudo(&mut self, name: &[u8], value: &[u8], longest: usize) -> Result<(), Refusal> {
        if value.len() > longest {
            return Err(Refusal::TargetTooLong);
        }
        let bit = match name {
            b":method" => seen::METHOD,
            b":scheme" => seen::SCHEME,
            b":path" => seen::PATH,
            b":authority" => seen::AUTHORITY,
            b":protocol" => seen::PROTOCOL,
            _ => return Err(Refusal::PseudoHeader),
        };
        if self.read.seen & (bit | seen::OTHERS) != 0 {
            return Err(Refusal::PseudoHeader);
        }
        self.read.seen |= bit;
        let span = self.append(value);
        let read = &mut self.read;
        *match bit {
            seen::METHOD => &mut read.method,
            seen::SCHEME => &mut read.scheme,
            seen::PATH => &mut read.path,
            seen::AUTHORITY => &mut read.authority,
            _ => &mut read.protocol,
        } = span;
        Ok(())
    }

    /// Headers that mean something here.
    fn known(&mut self, name: &[u8], value: &[u8], at: Span) -> Result<(), Refusal> {
        match name {
            b"te" if value != b"trailers" => Err(Refusal::ConnectionHeader),
            _ if OF_CONNECTIONS.contains(&name) => Err(Refusal::ConnectionHeader),
            b"content_length" | b"transfer_encoding" => Err(Refusal::UnderscoreName),
            b"content-type" if value.starts_with(b"application/grpc") => {
                self.read.grpc = Grpc::Yes;
                Ok(())
            }
            b"content-length" if self.read.length.is_some() => Err(Refusal::LengthRepeated),
            b"content-length" => {
                self.read.length = Some(bytes::decimal(value).ok_or(Refusal::LengthInvalid)?);
                Ok(())
            }
            b"host" if self.read.seen & seen::HOST != 0 => Err(Refusal::HostRepeated),
            b"host" => {
                self.read.seen |= seen::HOST;
                self.read.host = at;
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// All headers are there: checks what they are together. Afterwards the block says whether it is in its one form.
    pub(super) fn finish(&mut self, settings: &Settings) -> Result<(), Refusal> {
        if !self.cookie.is_empty() && self.read.refusal.is_none() {
            let cookie = std::mem::take(&mut self.cookie);
            let never = self.read.seen & seen::COOKIE_NEVER != 0;
            let indexing = if never { Indexing::Never } else { Indexing::Allowed };
            let added = self.line(b"cookie", &cookie, indexing, settings.limits.headers);
            self.cookie = cookie;
            added?;
        }
        if let Some(refusal) = self.read.refusal {
            return Err(refusal);
        }
        let read = self.read;
        let has = |bit: u8| read.seen & bit != 0;
        let method = read.method.of(&self.text);
        if !has(seen::METHOD) || !bytes::is_token(method) {
            return Err(Refusal::Method);
        }
        if method == b"CONNECT" {
            // Only the form that names a protocol has a path (RFC 8441, 4).
            if read.protocol.of(&self.text) != b"websocket" {
                return Err(Refusal::Connect);
            }
        } else if has(seen::PROTOCOL) {
            return Err(Refusal::PseudoHeader);
        }
        if !has(seen::SCHEME) || !has(seen::PATH) {
            return Err(Refusal::PseudoHeader);
        }
        if !matches!(read.scheme.of(&self.text), b"http" | b"https") {
            return Err(Refusal::Target);
        }
        let options = method == b"OPTIONS";
        self.check_host()?;
        let form = match read.path.of(&self.text) {
            target @ [b'/', ..] => path::check(target, &settings.paths)?,
            b"*" if options => Form::Canonical,
            _ => return Err(Refusal::Target),
        };
        if form == Form::Other {
            self.read.form = Form::Other;
        }
        Ok(())
    }

    fn check_host(&mut self) -> Result<(), Refusal> {
        let host = self.read.host.of(&self.text);
        let authority = match (self.read.seen & seen::AUTHORITY != 0, self.read.seen & seen::HOST != 0) {
            (true, true) if !self.read.authority.of(&self.text).eq_ignore_ascii_case(host) => {
                return Err(Refusal::HostDiffers);
            }
            (true, _) => self.read.authority,
            (false, true) => self.read.host,
            (false, false) => return Err(Refusal::HostMissing),
        };
        let text = authority.of(&self.text);
        let len = host::len(text).filter(|len| *len > 0).ok_or(Refusal::HostInvalid)?;
        if text.iter().chain(host).any(|byte| bytes::is(*byte, UPPER)) {
            self.read.form = Form::Other;
        }
        self.read.authority = authority;
        self.read.host_len = len;
        Ok(())
    }

    /// All trailers are there.
    pub(super) fn finish_trailers(&self) -> Result<(), Refusal> {
        let pseudo = self.read.seen & !(seen::OTHERS | seen::COOKIE_NEVER | seen::HOST);
        let forbidden = |name: &[u8]| crate::h1::NO_TRAILERS.iter().any(|own| same_name(own, name));
        match self.read.refusal {
            Some(refusal) => Err(refusal),
            None if pseudo != 0 => Err(Refusal::PseudoHeader),
            None if !self.cookie.is_empty() || self.lines().any(|(name, ..)| forbidden(name)) => {
                Err(Refusal::Trailer)
            }
            None => Ok(()),
        }
    }

    pub(super) fn form(&self) -> Form {
        self.read.form
    }

    pub(super) fn grpc(&self) -> Grpc {
        self.read.grpc
    }

    /// Content-Length.
    pub(super) fn length(&self) -> Option<u64> {
        self.read.length
    }

    pub(super) fn is_head(&self) -> bool {
        self.read.method.of(&self.text) == b"HEAD"
    }

    /// The request as rules see it. A websocket is a GET, as over HTTP/1.1.
    pub(super) fn request(&self) -> Request<'_> {
        let text = &self.text[..];
        let authority = self.read.authority.of(text);
        let websocket = !self.read.protocol.is_empty();
        Request {
            version: Version::Http2,
            method: if websocket { b"GET" } else { self.read.method.of(text) },
            path: self.read.path.of(text),
            host: authority.get(..self.read.host_len).unwrap_or_default(),
            authority,
            headers: Headers::checked(self.read.lines.of(text)),
            websocket,
            grpc: self.read.grpc == Grpc::Yes,
        }
    }

    /// The one form of this request; it is read again from the start.
    pub(super) fn canonical(&self, settings: &Settings) -> Result<Self, Refusal> {
        let mut form = Self::default();
        for (name, value) in self.pseudo_headers() {
            let value = match name {
                b":authority" => value.to_ascii_lowercase(),
                b":path" if value != b"*" => path::canonical(value, &settings.paths)?,
                _ => value.to_vec(),
            };
            form.header(name, &value, Indexing::Allowed, settings);
        }
        for (name, value, indexing) in self.lines() {
            if name == b"host" {
                form.header(name, &value.to_ascii_lowercase(), indexing, settings);
            } else {
                form.header(name, value, indexing, settings);
            }
        }
        form.finish(settings)?;
        if form.form() == Form::Canonical { Ok(form) } else { Err(Refusal::PseudoHeader) }
    }

    fn pseudo_headers(&self) -> impl Iterator<Item = (&'static [u8], &[u8])> {
        let read = &self.read;
        let all: [(&'static [u8], u8, Span); 5] = [
            (b":method", seen::METHOD, read.method),
            (b":protocol", seen::PROTOCOL, read.protocol),
            (b":scheme", seen::SCHEME, read.scheme),
            (b":path", seen::PATH, read.path),
            (b":authority", seen::AUTHORITY, read.authority),
        ];
        let there = all.into_iter().filter(|(_, bit, _)| read.seen & bit != 0);
        there.map(|(name, _, span)| (name, span.of(&self.text)))
    }

    fn lines(&self) -> impl Iterator<Item = (&[u8], &[u8], Indexing)> {
        let headers = Headers::checked(self.read.lines.of(&self.text)).iter();
        (0_u32..).zip(headers).map(|(number, (name, value))| {
            let never = self.read.never.checked_shr(number).unwrap_or_default() & 1 != 0;
            (name, value, if never { Indexing::Never } else { Indexing::Allowed })
        })
    }

    /// Writes the block, changed as rules ask for.
    pub(super) fn encode(&self, edits: &[Edit], encoder: &mut Encoder, out: &mut Vec<u8>) {
        encoder.begin(out);
        for (name, value) in self.pseudo_headers() {
            encoder.header(name, value, Indexing::Allowed, out);
        }
        for (name, value, indexing) in self.lines() {
            let gone = edits.iter().any(|edit| match edit {
                Edit::Remove { name: own } | Edit::Replace { name: own, .. } => {
                    same_name(own.as_bytes(), name)
                }
                Edit::Add { .. } => false,
            });
            if !gone {
                encoder.header(name, value, indexing, out);
            }
        }
        for edit in edits {
            if let Edit::Add { name, value } | Edit::Replace { name, value } = edit {
                // What a rule writes may be a secret.
                encoder.header(name.to_ascii_lowercase().as_bytes(), value, Indexing::Never, out);
            }
        }
    }
}

fn check_name(name: &[u8]) -> Result<(), Refusal> {
    if !bytes::is_token(name) {
        return Err(Refusal::HeaderName);
    }
    if name.iter().any(|byte| bytes::is(*byte, UPPER)) {
        return Err(Refusal::UpperCase);
    }
    Ok(())
}

fn check_value(value: &[u8]) -> Result<(), Refusal> {
    if bytes::is_value(value) && bytes::trim(value).len() == value.len() {
        return Ok(());
    }
    Err(if value.contains(&0) { Refusal::Nul } else { Refusal::Control })
}
