//! What a client or server says about itself beside the question (RFC 6891).

use super::{PLAIN_UDP_LIMIT, RecordType, record::Record};
use crate::{malformed::Malformed, wire};

/// An OPT record, without its options.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Edns {
    /// The largest datagram its sender takes; values below 512 mean 512.
    pub udp_size: u16,
    pub version: u8,
    /// The sender wants signatures (RFC 3225).
    pub dnssec_ok: bool,
}

/// The bit of [`Edns::dnssec_ok`] in the TTL of an OPT record.
pub(crate) const DNSSEC_OK: u16 = 0x8000;

impl Edns {
    /// Reads the record if it is an OPT, and checks its options.
    pub(super) fn of(record: &Record<'_>) -> Result<Option<Self>, Malformed> {
        if record.kind != RecordType::OPT {
            return Ok(None);
        }
        if record.message.get(record.owner) != Some(&0) {
            return Err(Malformed::Opt);
        }
        let mut rest = record.data;
        while !rest.is_empty() {
            let len = wire::u16_at(rest, 2).ok_or(Malformed::OptData)?;
            rest = rest.get(usize::from(len).saturating_add(4)..).ok_or(Malformed::OptData)?;
        }
        let [_, version, high, low] = record.ttl.to_be_bytes();
        let dnssec_ok = u16::from_be_bytes([high, low]) & DNSSEC_OK != 0;
        Ok(Some(Self { udp_size: record.class.0.max(PLAIN_UDP_LIMIT), version, dnssec_ok }))
    }
}
