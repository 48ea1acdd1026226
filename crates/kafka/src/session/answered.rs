//! That a request was answered, and the error in the answer.

use crate::api;
use kafka_protocol::messages::ApiKey;

/// An answer of the broker's to a request that was passed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answered {
    pub correlation_id: i32,
    /// The error of the whole answer or, of a produced batch, of the first partition; 0 = none. None of kinds whose answers have
    /// many errors, and where it had not come yet.
    pub error: Option<i16>,
}

/// Size, correlation id.
const HEAD: usize = 8;
const THROTTLE_TIME: usize = 4;

/// Reads the error of an answer to a request of this kind and version from as much of it as is there.
pub fn first_error(frame: &[u8], (key, version): (i16, i16)) -> Option<i16> {
    let api = api::known(key, version)?;
    let flexible = api::is_flexible(api, version);
    let mut rest = frame.get(HEAD..)?;
    if flexible && api != ApiKey::ApiVersions {
        // No broker puts tags there; those of one that does are not read.
        rest = rest.strip_prefix(&[0])?;
    }
    if api == ApiKey::Produce {
        rest = first_partition(rest, flexible)?;
    } else {
        // Since when a time to wait precedes the error.
        let throttled_since = match api {
            ApiKey::Heartbeat | ApiKey::LeaveGroup | ApiKey::SyncGroup => 1,
            ApiKey::FindCoordinator if version <= 3 => 1,
            ApiKey::JoinGroup => 2,
            ApiKey::InitProducerId | ApiKey::AddOffsetsToTxn | ApiKey::EndTxn => 0,
            ApiKey::Fetch if version >= 7 => 0,
            ApiKey::ListGroups => 1,
            ApiKey::ApiVersions | ApiKey::SaslHandshake | ApiKey::SaslAuthenticate => i16::MAX,
            _ => return None,
        };
        if version >= throttled_since {
            rest = rest.get(THROTTLE_TIME..)?;
        }
    }
    rest.first_chunk().map(|error| i16::from_be_bytes(*error))
}

/// From where the error of the first partition of the first topic in an answer to Produce stands.
fn first_partition(rest: &[u8], flexible: bool) -> Option<&[u8]> {
    let partition_index = 4;
    if flexible {
        let (topics, rest) = uvarint(rest)?;
        let (name, rest) = uvarint(rest)?;
        let rest = rest.get(usize::try_from(name).ok()?.checked_sub(1)?..)?;
        let (partitions, rest) = uvarint(rest)?;
        return if topics > 1 && partitions > 1 { rest.get(partition_index..) } else { None };
    }
    let (topics, rest) = rest.split_first_chunk()?;
    let (name, rest) = rest.split_first_chunk()?;
    let rest = rest.get(usize::from(u16::from_be_bytes(*name))..)?;
    let (partitions, rest) = rest.split_first_chunk()?;
    let some = |count: &[u8; 4]| i32::from_be_bytes(*count) > 0;
    if some(topics) && some(partitions) { rest.get(partition_index..) } else { None }
}

/// Seven bits a byte, the lowest first, five bytes at most; and what follows.
fn uvarint(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let end = bytes.iter().take(5).position(|byte| byte & 0x80 == 0)?.saturating_add(1);
    let (number, rest) = bytes.split_at_checked(end)?;
    Some((number.iter().rev().fold(0, |sum, byte| sum << 7 | u64::from(byte & 0x7f)), rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(parts: &[&[u8]]) -> Vec<u8> {
        [&[0; HEAD], parts.concat().as_slice()].concat()
    }

    #[test]
    fn the_error_is_found_where_each_version_has_it() {
        let (throttle, error, tags) = ([0_u8; 4], 15_i16.to_be_bytes(), [0_u8]);
        let error = error.as_slice();
        let old = [&[0, 0, 0, 1, 0, 2], b"ab".as_slice(), &[0, 0, 0, 1, 0, 0, 0, 7]].concat();
        let new = [&[0, 2, 3], b"ab".as_slice(), &[2, 0, 0, 0, 7]].concat();
        for (what, key, version, parts, expected) in [
            ("api versions, flexible", 18, 3, vec![error], Some(15)),
            ("find coordinator", 10, 0, vec![error], Some(15)),
            ("find coordinator, throttled", 10, 3, vec![&tags, &throttle, error], Some(15)),
            ("find coordinators", 10, 4, vec![&tags, &throttle, error], None),
            ("init producer id", 22, 4, vec![&tags, &throttle, error], Some(15)),
            ("fetch", 1, 4, vec![&throttle, error], None),
            ("fetch with sessions", 1, 11, vec![&throttle, error], Some(15)),
            ("produce", 0, 8, vec![&old, error], Some(15)),
            ("produce, flexible", 0, 9, vec![&new, error], Some(15)),
            ("produce, to nothing", 0, 8, vec![&[0; 12], error], None),
            ("cut short", 10, 3, vec![&tags, &throttle], None),
            ("metadata", 3, 9, vec![&tags, &throttle, error], None),
            ("unknown", 999, 0, vec![error], None),
        ] {
            assert_eq!(first_error(&frame(&parts), (key, version)), expected, "{what}");
        }
    }
}
