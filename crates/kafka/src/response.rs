//! What the proxy reads and changes in the server's answers.

use crate::{
    Malformed, TopicId, TopicIds, api,
    denial::DeniedTopic,
    schema::responses,
    topics::NO_ID,
    walk::{Event, UnknownTags, Walk},
};
use bytes::BytesMut;
use kafka_protocol::{
    messages::{ApiKey, metadata_response::MetadataResponseTopic},
    protocol::Encodable,
};

/// Size and correlation id.
pub(crate) const PREFIX: usize = 8;

/// The first version of Metadata whose answers have topic ids.
pub(crate) const METADATA_WITH_IDS: i16 = 10;
pub(crate) const METADATA_FLEXIBLE: i16 = 9;

/// Learns the topic ids of an answer to Metadata; `frame` is all of it.
pub(crate) fn learn_ids(
    frame: &[u8],
    version: i16,
    elements: usize,
    ids: &TopicIds,
) -> Result<(), Malformed> {
    let mut walk = metadata(frame, version, elements)?;
    let (mut name, mut id): (Option<&str>, TopicId) = (None, NO_ID);
    walk.field(&responses::METADATA_TOPICS, &mut |event| match event {
        Event::Topic(topic) => name = topic,
        Event::TopicId(topic) => {
            id = topic;
            if let Some(name) = name.take().filter(|name| !name.is_empty()) {
                ids.learn(id, name);
            }
        }
        _ => {}
    })
}

/// Adds denied topics to an answer to Metadata.
pub(crate) fn add_topics(
    frame: &[u8],
    version: i16,
    elements: usize,
    topics: &[DeniedTopic],
) -> Result<Vec<u8>, Malformed> {
    let mut walk = metadata(frame, version, elements)?;
    let head = frame.len().saturating_sub(walk.rest().len());
    let flexible = version >= METADATA_FLEXIBLE;
    let mut count = walk.clone();
    let there = if flexible {
        count.uvarint("topics")?.saturating_sub(1)
    } else {
        u32::from_be_bytes(count.fixed("topics")?)
    };
    let elements = frame.len().saturating_sub(count.rest().len());
    walk.field(&responses::METADATA_TOPICS, &mut |_| {})?;
    let tail = frame.len().saturating_sub(walk.rest().len());
    let mut out = BytesMut::with_capacity(frame.len().saturating_add(topics.len().saturating_mul(64)));
    out.extend_from_slice(frame.get(..head).unwrap_or_default());
    let there = usize::try_from(there).unwrap_or(usize::MAX);
    put_array(&mut out, flexible, there.saturating_add(topics.len()));
    out.extend_from_slice(frame.get(elements..tail).unwrap_or_default());
    for topic in topics {
        let mut answer = MetadataResponseTopic::default()
            .with_error_code(topic.error)
            .with_name(topic.metadata_name(version));
        if version >= METADATA_WITH_IDS {
            answer = answer.with_topic_id(topic.uuid());
        }
        answer.encode(&mut out, version).map_err(|_| Malformed::Length("topics"))?;
    }
    out.extend_from_slice(walk.rest());
    let mut out = Vec::from(out);
    set_size(&mut out);
    Ok(out)
}

/// Up to the topics of an answer to Metadata.
fn metadata(frame: &[u8], version: i16, elements: usize) -> Result<Walk<'_>, Malformed> {
    let body = frame.get(PREFIX..).unwrap_or_default();
    let mut walk = Walk::new(body, version, version >= METADATA_FLEXIBLE, UnknownTags::Skipped, elements);
    walk.fields(&[], &mut |_| {})?;
    for field in responses::METADATA_HEAD {
        walk.field(field, &mut |_| {})?;
    }
    Ok(walk)
}

/// The id of the fetch session that an answer to Fetch starts or goes on with, if it has no error. None: not there yet.
pub(crate) fn fetch_session(frame: &[u8], flexible: bool) -> Option<i32> {
    // A header with tagged fields, which no broker writes, hides the id: that is no session.
    let body = match frame.get(PREFIX..)? {
        [0, body @ ..] if flexible => body,
        [_, ..] if flexible => return Some(0),
        [] if flexible => return None,
        body => body,
    };
    let &[_, _, _, _, e0, e1, s0, s1, s2, s3, ..] = body else { return None };
    match i16::from_be_bytes([e0, e1]) {
        0 => Some(i32::from_be_bytes([s0, s1, s2, s3])),
        _ => Some(0),
    }
}

/// Lowers the versions that a broker offers to those which can be read here, for requests that a topic does not rule out anyway.
/// `version` is that of the request.
pub(crate) fn clamp_versions(frame: &[u8], version: i16) -> Result<Option<Vec<u8>>, Malformed> {
    const FLEXIBLE: i16 = 3;
    const ARRAY: &str = "api_keys";
    let body = frame.get(PREFIX..).unwrap_or_default();
    // A version that the broker does not have is answered in version 0, with an error.
    let (error, rest) = body.split_first_chunk::<2>().ok_or(Malformed::Short("error_code"))?;
    if *error != [0, 0] {
        return Ok(None);
    }
    let flexible = version >= FLEXIBLE;
    let mut walk = Walk::new(rest, version, flexible, UnknownTags::Skipped, rest.len());
    let count = if flexible {
        walk.uvarint(ARRAY)?.saturating_sub(1)
    } else {
        u32::from_be_bytes(walk.fixed(ARRAY)?)
    };
    let mut out: Option<Vec<u8>> = None;
    for _ in 0..count {
        let key = i16::from_be_bytes(walk.fixed(ARRAY)?);
        let min = i16::from_be_bytes(walk.fixed(ARRAY)?);
        let at = frame.len().saturating_sub(walk.rest().len());
        let max = i16::from_be_bytes(walk.fixed(ARRAY)?);
        walk.fields(&[], &mut |_| {})?;
        let readable = ApiKey::try_from(key).ok().filter(|api| !matches!(api::body(*api), api::Body::Opaque));
        let Some(readable) = readable.map(api::versions) else { continue };
        if max > readable.max && min <= readable.max {
            let out = out.get_or_insert_with(|| frame.to_vec());
            if let Some(place) = out.get_mut(at..at.saturating_add(2)) {
                place.copy_from_slice(&readable.max.to_be_bytes());
            }
        }
    }
    Ok(out)
}

/// The number of elements before an array.
pub(crate) fn put_array(out: &mut BytesMut, flexible: bool, len: usize) {
    let len = u32::try_from(len).unwrap_or(u32::MAX);
    if flexible {
        put_uvarint(out, len.saturating_add(1));
    } else {
        out.extend_from_slice(&len.to_be_bytes());
    }
}

pub(crate) fn put_uvarint(out: &mut BytesMut, mut value: u32) {
    while let Some(low @ 0x80..) = Some(value) {
        out.extend_from_slice(&[u8::try_from(low & 0x7f).unwrap_or(0) | 0x80]);
        value >>= 7;
    }
    out.extend_from_slice(&[u8::try_from(value).unwrap_or(0)]);
}

/// Writes the length of what follows into the first four bytes.
pub(crate) fn set_size(frame: &mut [u8]) {
    let size = u32::try_from(frame.len().saturating_sub(4)).unwrap_or(u32::MAX);
    if let Some(place) = frame.first_chunk_mut() {
        *place = size.to_be_bytes();
    }
}
