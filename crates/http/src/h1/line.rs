//! Lines of heads and trailers.

use crate::{Refusal, bytes};

pub(super) enum Line<'a> {
    /// `line` without its end; `len` with it.
    Whole {
        line: &'a [u8],
        len: usize,
    },
    Partial,
    /// LF without CR in front of it; `len` with it.
    BareLf {
        len: usize,
    },
}

/// The line at the start of `rest`.
#[inline]
pub(super) fn next(rest: &[u8]) -> Line<'_> {
    let Some(lf) = memchr::memchr(b'\n', rest) else { return Line::Partial };
    let len = lf.saturating_add(1);
    match rest.get(..lf) {
        Some([line @ .., b'\r']) => Line::Whole { line, len },
        _ => Line::BareLf { len },
    }
}

/// Name and value of a header, both checked.
#[inline]
pub(super) fn header(line: &[u8]) -> Result<(&[u8], &[u8]), Refusal> {
    let end = line.iter().position(|byte| !bytes::is(*byte, bytes::TOKEN)).unwrap_or(line.len());
    let (name, rest) = line.split_at_checked(end).unwrap_or_default();
    match rest {
        [b':', value @ ..] if !name.is_empty() => {
            if !bytes::is_value(value) {
                return Err(bad_value(value));
            }
            Ok((name, bytes::trim(value)))
        }
        _ => Err(bad_name(name, rest)),
    }
}

#[cold]
fn bad_value(value: &[u8]) -> Refusal {
    match value.iter().find(|byte| (**byte < 0x20 && **byte != b'\t') || **byte == 0x7f) {
        Some(0) => Refusal::Nul,
        Some(b'\r') => Refusal::BareCr,
        _ => Refusal::Control,
    }
}

#[cold]
fn bad_name(name: &[u8], rest: &[u8]) -> Refusal {
    match rest {
        [b' ' | b'\t', ..] if name.is_empty() => Refusal::Folding,
        [b' ' | b'\t', ..] if bytes::trim(rest).first() == Some(&b':') => Refusal::SpaceBeforeColon,
        [0, ..] => Refusal::Nul,
        [b'\r', ..] => Refusal::BareCr,
        _ => Refusal::HeaderName,
    }
}
