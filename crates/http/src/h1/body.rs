//! Where a body ends.

use super::{
    head::Body,
    line::{self, Line},
};
use crate::{Limits, Refusal, bytes};

/// How much is forgiven in the framing of chunks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Strictness {
    /// Of clients: nothing.
    Requests,
    /// Of servers: blanks behind a size, which some pad it with.
    Responses,
}

/// Follows a body through its bytes, which pass as they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framer {
    /// This many bytes are left.
    Length(u64),
    Chunked(Chunk),
    UntilClose,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Chunk {
    Size,
    Data(u64),
    /// The end of line behind the data.
    DataEnd,
    /// This many bytes of trailers were seen.
    Trailers(usize),
}

/// How far the body goes in what there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Progress {
    pub used: usize,
    pub done: bool,
}

/// Trailers that would change what a message is or who sent it, if a reader put them among the headers (RFC 9110, 6.5.1).
pub(crate) const NO_TRAILERS: [&[u8]; 22] = [
    b"transfer-encoding",
    b"content-length",
    b"content-encoding",
    b"content-type",
    b"content-range",
    b"host",
    b"connection",
    b"upgrade",
    b"te",
    b"trailer",
    b"expect",
    b"range",
    b"cache-control",
    b"max-forwards",
    b"authorization",
    b"proxy-authorization",
    b"cookie",
    b"forwarded",
    b"x-forwarded-for",
    b"x-forwarded-host",
    b"x-forwarded-proto",
    b"x-real-ip",
];

impl Framer {
    /// None if there is no body.
    pub(super) fn new(body: Body) -> Option<Self> {
        match body {
            Body::None | Body::Length(0) => None,
            Body::Length(length) => Some(Self::Length(length)),
            Body::Chunked => Some(Self::Chunked(Chunk::Size)),
            Body::UntilClose => Some(Self::UntilClose),
        }
    }

    /// How many of the next bytes belong to the body, whatever they are.
    pub(super) fn opaque(&self) -> u64 {
        match self {
            Self::Length(left) | Self::Chunked(Chunk::Data(left)) => *left,
            Self::UntilClose => u64::MAX,
            Self::Chunked(Chunk::Size | Chunk::DataEnd | Chunk::Trailers(_)) => 0,
        }
    }

    /// Whether nothing is left, not even an end to be read.
    pub(super) fn ended(&self) -> bool {
        *self == Self::Length(0)
    }

    /// `len` opaque bytes have passed; true if the body ends there.
    pub(super) fn pass(&mut self, len: u64) -> bool {
        match self {
            Self::Length(left) => {
                *left = left.saturating_sub(len);
                *left == 0
            }
            Self::Chunked(Chunk::Data(left)) => {
                *left = left.saturating_sub(len);
                if *left == 0 {
                    *self = Self::Chunked(Chunk::DataEnd);
                }
                false
            }
            Self::UntilClose | Self::Chunked(Chunk::Size | Chunk::DataEnd | Chunk::Trailers(_)) => false,
        }
    }

    /// Goes as far as whole lines and the data between them reach. A line that is not whole yet is not used: it is not forwarded either.
    pub(super) fn advance(
        &mut self,
        input: &[u8],
        strictness: Strictness,
        limits: &Limits,
    ) -> Result<Progress, Refusal> {
        let mut used = 0_usize;
        loop {
            let rest = input.get(used..).unwrap_or_default();
            if rest.is_empty() {
                return Ok(Progress { used, done: false });
            }
            let opaque = self.opaque();
            if opaque > 0 {
                let len = usize::try_from(opaque).unwrap_or(usize::MAX).min(rest.len());
                used = used.saturating_add(len);
                if self.pass(u64::try_from(len).unwrap_or(u64::MAX)) {
                    return Ok(Progress { used, done: true });
                }
                continue;
            }
            let Self::Chunked(chunk) = self else { return Ok(Progress { used, done: true }) };
            let Some(len) = chunk.line(rest, strictness, limits)? else {
                return Ok(Progress { used, done: false });
            };
            used = used.saturating_add(len);
            if matches!(chunk, Chunk::Trailers(_)) && len == 2 {
                return Ok(Progress { used, done: true });
            }
        }
    }
}

impl Chunk {
    /// The line that is due, at the start of `rest`: its length with its end, none if it is not whole.
    fn line(
        &mut self,
        rest: &[u8],
        strictness: Strictness,
        limits: &Limits,
    ) -> Result<Option<usize>, Refusal> {
        match self {
            Self::DataEnd => match rest {
                [b'\r', b'\n', ..] => {
                    *self = Self::Size;
                    Ok(Some(2))
                }
                [b'\r'] => Ok(None),
                _ => Err(Refusal::ChunkEnd),
            },
            Self::Size => {
                let (size, len) = match line::next(rest) {
                    Line::Whole { len, .. } | Line::BareLf { len } if len > limits.chunk_line => {
                        return Err(Refusal::ChunkLine);
                    }
                    Line::Whole { line, len } => (chunk_size(line, strictness)?, len),
                    Line::Partial if rest.len() >= limits.chunk_line => return Err(Refusal::ChunkLine),
                    Line::Partial => return Ok(None),
                    Line::BareLf { .. } => return Err(Refusal::BareLf),
                };
                *self = if size == 0 { Self::Trailers(0) } else { Self::Data(size) };
                Ok(Some(len))
            }
            Self::Trailers(seen) => {
                let left = limits.trailers.saturating_sub(*seen);
                match line::next(rest) {
                    Line::Whole { line: b"", .. } => Ok(Some(2)),
                    Line::Whole { len, .. } | Line::BareLf { len } if len > left => {
                        Err(Refusal::TrailersTooLarge)
                    }
                    Line::Whole { line, len } => {
                        trailer(line, strictness)?;
                        *seen = seen.saturating_add(len);
                        Ok(Some(len))
                    }
                    Line::Partial if rest.len() > left.max(2) => Err(Refusal::TrailersTooLarge),
                    Line::Partial => Ok(None),
                    Line::BareLf { .. } => Err(Refusal::BareLf),
                }
            }
            Self::Data(_) => Ok(None),
        }
    }
}

/// More digits than sixteen do not fit into a number; fifteen are more than anybody sends.
const MOST_DIGITS: usize = 15;

fn chunk_size(line: &[u8], strictness: Strictness) -> Result<u64, Refusal> {
    let mut digits = 0_usize;
    let mut size = 0_u64;
    for digit in line.iter().map_while(|byte| bytes::hex(*byte)) {
        digits = digits.saturating_add(1);
        size = size << 4 | u64::from(digit);
        if digits > MOST_DIGITS {
            return Err(Refusal::ChunkSize);
        }
    }
    if digits == 0 {
        return Err(Refusal::ChunkSize);
    }
    let mut rest = line.get(digits..).unwrap_or_default();
    if strictness == Strictness::Responses {
        rest = bytes::trim(rest);
    }
    match rest {
        [] => Ok(size),
        [b';', extension @ ..] if bytes::is_value(extension) => Ok(size),
        [b';', ..] => Err(Refusal::ChunkLine),
        _ => Err(Refusal::ChunkSize),
    }
}

fn trailer(line: &[u8], strictness: Strictness) -> Result<(), Refusal> {
    let (name, _) = line::header(line)?;
    let forbidden = || NO_TRAILERS.iter().any(|own| crate::rules::same_name(own, name));
    if strictness == Strictness::Requests && forbidden() {
        return Err(Refusal::Trailer);
    }
    Ok(())
}
