//! Queries and answers, read from their bytes without allocation. The bytes themselves are what is forwarded.

mod answer;
mod edns;
mod numbers;
mod query;
mod record;
mod resolve;

pub use answer::Answer;
pub(crate) use edns::DNSSEC_OK;
pub use edns::Edns;
pub use numbers::{Class, Flags, RecordType, ResponseCode};
pub(crate) use query::id_and_flags;
pub use query::{Query, Question};
pub use resolve::{ALIASES, Alias, Resolution, Resolved};

/// The size of an answer that every client takes in one datagram (RFC 1035, 4.2.1).
pub const PLAIN_UDP_LIMIT: u16 = 512;

/// Puts another id into a message; does nothing to bytes that have no room for one.
pub fn set_id(message: &mut [u8], id: u16) {
    if let Some(place) = message.first_chunk_mut() {
        *place = id.to_be_bytes();
    }
}
