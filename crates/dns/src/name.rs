//! Names as they travel, read into a fixed buffer in lower case.

use crate::{malformed::Malformed, wire};
use ciliate_types::DomainName;
use std::{fmt, hash::Hash, hash::Hasher};

/// The most bytes of a name on the wire, lengths and the root's zero included (RFC 1035, 2.3.4).
pub const NAME_BYTES: usize = 255;
/// The most labels of a name, the root not counted.
pub const LABELS: usize = 127;
const LONGEST_LABEL: u8 = 63;
const POINTER: u8 = 0b1100_0000;

/// A name in lower case, in the form of the wire without compression: length, label, …, 0.
///
/// Labels may hold any bytes there, dots included; that is why names are compared in this form and never as text.
#[derive(Clone)]
pub struct Name {
    bytes: [u8; NAME_BYTES],
    len: u8,
    plain: bool,
}

impl Name {
    pub const ROOT: Self = Self { bytes: [0; NAME_BYTES], len: 1, plain: true };

    /// The wire form in lower case, up to and with the root's zero.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.len)).unwrap_or_default()
    }

    /// Whether all labels are made of letters, digits, `-` and `_`. Patterns with labels match no other names.
    #[must_use]
    pub fn is_plain(&self) -> bool {
        self.plain
    }

    /// From the first label to the one before the root.
    pub fn labels(&self) -> impl Iterator<Item = &[u8]> {
        let mut rest = self.as_bytes();
        std::iter::from_fn(move || {
            let (len, after) = rest.split_first()?;
            let (label, next) =
                after.split_at_checked(usize::from(*len)).filter(|(label, _)| !label.is_empty())?;
            rest = next;
            Some(label)
        })
    }

    /// Where the labels stand in [`as_bytes`](Self::as_bytes), and how many there are.
    pub(crate) fn label_starts(&self) -> ([u8; LABELS], usize) {
        let (mut starts, mut count, mut next) = ([0; LABELS], 0_usize, 0_u8);
        while let Some(len) = self.bytes.get(usize::from(next)).filter(|len| **len != 0) {
            let Some(start) = starts.get_mut(count) else { break };
            *start = next;
            count = count.saturating_add(1);
            next = next.saturating_add(1).saturating_add(*len);
        }
        (starts, count)
    }

    /// The label that stands at one of the [starts](Self::label_starts).
    pub(crate) fn label_at(&self, start: u8) -> &[u8] {
        let rest = self.bytes.get(usize::from(start)..).and_then(<[u8]>::split_first);
        rest.and_then(|(len, rest)| rest.get(..usize::from(*len))).unwrap_or_default()
    }

    /// The same name as policies write it, if they can.
    #[must_use]
    pub fn to_domain_name(&self) -> Option<DomainName> {
        self.plain.then(|| self.to_string().parse().ok()).flatten()
    }

    /// Reads text such as a TLS server name: labels between dots, perhaps a dot at the end; `.` is the root.
    #[must_use]
    pub fn from_text(text: &str) -> Option<Self> {
        if text == "." {
            return Some(Self::ROOT);
        }
        let mut name = Self::empty();
        for label in text.strip_suffix('.').unwrap_or(text).split('.') {
            let len = u8::try_from(label.len()).ok().filter(|len| (1..=LONGEST_LABEL).contains(len))?;
            name.push(len, label.as_bytes()).ok()?;
        }
        name.end().ok()?;
        Some(name)
    }

    /// Reads what [`as_bytes`](Self::as_bytes) gave: exactly one name without compression.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Malformed> {
        let (name, end) = Self::read_plain(bytes, 0)?;
        if end == bytes.len() { Ok(name) } else { Err(Malformed::TrailingBytes) }
    }

    /// Reads the name at `at` and says where what follows it begins.
    pub(crate) fn read(message: &[u8], at: usize) -> Result<(Self, usize), Malformed> {
        let mut name = Self::empty();
        let end = walk(message, at, Compression::Allowed, |len, label| name.push(len, label))?;
        name.end()?;
        Ok((name, end))
    }

    /// Like [`read`](Self::read) where the standards allow no compression.
    pub(crate) fn read_plain(message: &[u8], at: usize) -> Result<(Self, usize), Malformed> {
        let mut name = Self::empty();
        let end = walk(message, at, Compression::Refused, |len, label| name.push(len, label))?;
        name.end()?;
        Ok((name, end))
    }

    /// Whether the name that stands at `at`, which has been [checked](skip), is this one.
    pub(crate) fn is_at(&self, message: &[u8], at: usize) -> bool {
        let mut rest = self.as_bytes();
        let walked = walk(message, at, Compression::Allowed, |len, label| {
            let (own_len, own) = rest.split_first().ok_or(Malformed::NameLength)?;
            let (own, after) = own.split_at_checked(label.len()).ok_or(Malformed::NameLength)?;
            rest = after;
            if *own_len == len && own.eq_ignore_ascii_case(label) {
                Ok(())
            } else {
                Err(Malformed::NameLength)
            }
        });
        walked.is_ok() && rest == [0]
    }

    fn empty() -> Self {
        Self { bytes: [0; NAME_BYTES], len: 0, plain: true }
    }

    fn push(&mut self, len: u8, label: &[u8]) -> Result<(), Malformed> {
        let at = usize::from(self.len);
        let end = at.saturating_add(1).saturating_add(label.len());
        let Some([length, room @ ..]) = self.bytes.get_mut(at..end) else {
            return Err(Malformed::NameLength);
        };
        *length = len;
        room.copy_from_slice(label);
        room.make_ascii_lowercase();
        self.plain &= room.iter().all(|byte| wire::is_plain(*byte));
        self.len = u8::try_from(end).map_err(|_| Malformed::NameLength)?;
        Ok(())
    }

    fn end(&mut self) -> Result<(), Malformed> {
        let Some(zero) = self.bytes.get_mut(usize::from(self.len)) else { return Err(Malformed::NameLength) };
        *zero = 0;
        self.len = self.len.saturating_add(1);
        Ok(())
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Compression {
    Allowed,
    Refused,
}

/// Follows a name label by label. Pointers only lead to before the part they stand in, so there is no loop.
fn walk(
    message: &[u8],
    at: usize,
    compression: Compression,
    mut each: impl FnMut(u8, &[u8]) -> Result<(), Malformed>,
) -> Result<usize, Malformed> {
    let (mut part, mut next, mut end) = (at, at, None);
    loop {
        let (len, rest) = message.get(next..).and_then(<[u8]>::split_first).ok_or(Malformed::CutShort)?;
        match *len {
            0 => return Ok(end.unwrap_or(next.saturating_add(1))),
            1..=LONGEST_LABEL => {
                each(*len, rest.get(..usize::from(*len)).ok_or(Malformed::CutShort)?)?;
                next = next.saturating_add(1).saturating_add(usize::from(*len));
            }
            POINTER.. => {
                let target = usize::from(wire::u16_at(message, next).ok_or(Malformed::CutShort)? & 0x3fff);
                if compression == Compression::Refused || !(wire::HEADER..part).contains(&target) {
                    return Err(Malformed::Pointer);
                }
                end = end.or(Some(next.saturating_add(2)));
                (part, next) = (target, target);
            }
            _ => return Err(Malformed::LabelKind),
        }
    }
}

/// Checks the name at `at` without keeping it and says where what follows it begins.
pub(crate) fn skip(message: &[u8], at: usize) -> Result<usize, Malformed> {
    let mut bytes = 1_usize;
    walk(message, at, Compression::Allowed, |len, _| {
        bytes = bytes.saturating_add(1).saturating_add(usize::from(len));
        if bytes > NAME_BYTES { Err(Malformed::NameLength) } else { Ok(()) }
    })
}

impl PartialEq for Name {
    fn eq(&self, other: &Self) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl Eq for Name {}

impl Hash for Name {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_bytes().hash(state);
    }
}

impl From<&DomainName> for Name {
    fn from(name: &DomainName) -> Self {
        // A domain name has been checked for the lengths that matter here; the root is what is left.
        Self::from_text(name.as_str()).unwrap_or(Self::ROOT)
    }
}

impl fmt::Display for Name {
    /// Text without the dot at its end; `.` for the root. Bytes that policies cannot write are escaped as in zone files (RFC 1035, 5.1).
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut labels = self.labels();
        let Some(first) = labels.next() else { return f.write_str(".") };
        write_label(f, first)?;
        labels.try_for_each(|label| {
            f.write_str(".")?;
            write_label(f, label)
        })
    }
}

fn write_label(f: &mut fmt::Formatter<'_>, label: &[u8]) -> fmt::Result {
    label.iter().try_for_each(|byte| match *byte {
        b'.' | b'\\' | b'"' | ..=b' ' | 127.. => write!(f, "\\{byte:03}"),
        byte => write!(f, "{}", char::from(byte)),
    })
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Name({self})")
    }
}

#[cfg(test)]
mod tests;
