//! Records, to and from bytes.

use crate::{cache::UnixTime, name::Name, wire};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

pub(crate) const MAGIC: [u8; 6] = *b"CILDNS";
pub(crate) const VERSION: u16 = 1;
/// Bytes in front of the first record.
pub(crate) const HEADER: usize = 8;
/// Length and checksum.
const RECORD_HEADER: usize = 8;
/// The most that a record is believed to have; larger look-ups are written as several.
const LONGEST: usize = 1 << 16;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RecordKind {
    Known,
    Gone,
    EndpointGone,
}

impl RecordKind {
    const fn number(self) -> u8 {
        match self {
            Self::Known => 1,
            Self::Gone => 2,
            Self::EndpointGone => 3,
        }
    }

    const fn of(number: u8) -> Option<Self> {
        match number {
            1 => Some(Self::Known),
            2 => Some(Self::Gone),
            3 => Some(Self::EndpointGone),
            _ => None,
        }
    }
}

pub(crate) fn file_header(out: &mut Vec<u8>) {
    out.extend_from_slice(&MAGIC);
    out.extend_from_slice(&VERSION.to_be_bytes());
}

/// A record that is being written.
pub(crate) struct Record<'a> {
    out: &'a mut Vec<u8>,
    start: usize,
    kind: RecordKind,
    endpoint: u16,
    name: &'a [u8],
    is_empty: bool,
}

impl<'a> Record<'a> {
    /// `name` in its wire form. Call [`end`](Self::end).
    pub fn begin(out: &'a mut Vec<u8>, kind: RecordKind, endpoint: u16, name: &'a [u8]) -> Self {
        let mut record = Self { start: 0, out, kind, endpoint, name, is_empty: true };
        record.open();
        record
    }

    /// Expiry and TTL are of use only in a record of the kind `Known`.
    pub fn push(&mut self, Kept { address, expires, ttl }: Kept) {
        if self.out.len().saturating_sub(self.start) > LONGEST.saturating_sub(64) {
            self.close();
            self.open();
        }
        match address {
            IpAddr::V4(v4) => {
                self.out.push(4);
                self.out.extend_from_slice(&v4.octets());
            }
            IpAddr::V6(v6) => {
                self.out.push(6);
                self.out.extend_from_slice(&v6.octets());
            }
        }
        if self.kind == RecordKind::Known {
            self.out.extend_from_slice(&expires.0.to_be_bytes());
            self.out.extend_from_slice(&ttl.to_be_bytes());
        }
        self.is_empty = false;
    }

    /// Completes the record; without addresses there is none.
    pub fn end(mut self) {
        if self.is_empty {
            self.out.truncate(self.start);
        } else {
            self.close();
        }
    }

    /// Completes the record, with or without addresses.
    pub fn end_even_if_empty(mut self) {
        self.close();
    }

    fn open(&mut self) {
        self.start = self.out.len();
        self.out.extend_from_slice(&[0; RECORD_HEADER]);
        self.out.push(self.kind.number());
        self.out.extend_from_slice(&self.endpoint.to_be_bytes());
        // A name has at most 255 bytes.
        self.out.push(u8::try_from(self.name.len()).unwrap_or_default());
        self.out.extend_from_slice(self.name);
    }

    fn close(&mut self) {
        let body = self.start.saturating_add(RECORD_HEADER);
        let Some(bytes) = self.out.get(body..) else { return };
        let (length, checksum) = (u32::try_from(bytes.len()).unwrap_or(u32::MAX), crc32fast::hash(bytes));
        if let Some(header) = self.out.get_mut(self.start..).and_then(|record| record.first_chunk_mut()) {
            *header = (u64::from(length) << 32 | u64::from(checksum)).to_be_bytes();
        }
    }
}

/// An address in a record; expiry and TTL are 0 where its kind has none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Kept {
    pub address: IpAddr,
    pub expires: UnixTime,
    pub ttl: u32,
}

/// A record as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    pub kind: RecordKind,
    pub endpoint: u16,
    pub name: Name,
    pub entries: Vec<Kept>,
}

/// Reads the first record of `bytes` and says how long it is; none where there is no whole and undamaged one.
pub(crate) fn read(bytes: &[u8]) -> Option<(Found, usize)> {
    let length = usize::try_from(wire::u32_at(bytes, 0)?).ok().filter(|length| *length <= LONGEST)?;
    let end = RECORD_HEADER.checked_add(length)?;
    let body = bytes.get(RECORD_HEADER..end)?;
    if wire::u32_at(bytes, 4)? != crc32fast::hash(body) {
        return None;
    }
    let (kind, rest) = body.split_first()?;
    let kind = RecordKind::of(*kind)?;
    let (endpoint, rest) = rest.split_first_chunk()?;
    let (name_len, rest) = rest.split_first()?;
    let (name, mut rest) = rest.split_at_checked(usize::from(*name_len))?;
    let name = if kind == RecordKind::EndpointGone { Name::ROOT } else { Name::from_bytes(name).ok()? };
    let mut entries = Vec::new();
    while !rest.is_empty() {
        let (entry, after) = read_entry(kind, rest)?;
        entries.push(entry);
        rest = after;
    }
    Some((Found { kind, endpoint: u16::from_be_bytes(*endpoint), name, entries }, end))
}

fn read_entry(kind: RecordKind, bytes: &[u8]) -> Option<(Kept, &[u8])> {
    let (family, rest) = bytes.split_first()?;
    let (address, rest): (IpAddr, &[u8]) = match family {
        4 => rest.split_first_chunk::<4>().map(|(octets, rest)| (Ipv4Addr::from(*octets).into(), rest))?,
        6 => rest.split_first_chunk::<16>().map(|(octets, rest)| (Ipv6Addr::from(*octets).into(), rest))?,
        _ => return None,
    };
    match kind {
        RecordKind::Known => {
            let (expires, ttl) = (wire::u32_at(rest, 0)?, wire::u32_at(rest, 4)?);
            Some((Kept { address, expires: UnixTime(expires), ttl }, rest.get(8..)?))
        }
        RecordKind::Gone | RecordKind::EndpointGone => {
            Some((Kept { address, expires: UnixTime(0), ttl: 0 }, rest))
        }
    }
}
