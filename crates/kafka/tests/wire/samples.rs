//! Requests of every kind and version, written by another implementation of the protocol.

mod admin;
mod groups;
mod plain;
mod records;

pub use plain::naming_none;

use bytes::{Bytes, BytesMut};
use kafka_protocol::{
    messages::{self as m, ApiKey, RequestHeader, ResponseHeader, ResponseKind, TopicName},
    protocol::{Decodable, Encodable, Message, Request, StrBytes},
};
use uuid::Uuid;

pub const CORRELATION: i32 = 0x0102_0304;
pub const CLIENT: &str = "tester";

pub fn text(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}

fn topic(name: &str) -> TopicName {
    TopicName(text(name))
}

/// The id of a topic in all tests.
pub fn id(name: &str) -> Uuid {
    Uuid::from_u128(name.bytes().fold(0xabcd, |id, byte| (id << 8) | u128::from(byte)))
}

/// With the size in front.
pub fn framed(parts: &[&[u8]]) -> Vec<u8> {
    let body = parts.concat();
    [u32::try_from(body.len()).unwrap().to_be_bytes().as_slice(), &body].concat()
}

pub fn with_header<R: Request>(version: i16, correlation: i32, request: &R) -> Vec<u8> {
    let header = RequestHeader::default()
        .with_request_api_key(R::KEY)
        .with_request_api_version(version)
        .with_correlation_id(correlation)
        .with_client_id(Some(text(CLIENT)));
    let mut out = BytesMut::new();
    header
        .encode(&mut out, R::header_version(version))
        .unwrap_or_else(|e| panic!("header {} {version}: {e}", R::KEY));
    request.encode(&mut out, version).unwrap_or_else(|e| panic!("body {} {version}: {e}", R::KEY));
    framed(&[&out])
}

pub fn frame<R: Request>(version: i16, request: &R) -> Vec<u8> {
    with_header(version, CORRELATION, request)
}

/// A whole answer as its type; every byte has to be part of it.
pub fn decode(api: ApiKey, version: i16, bytes: &[u8]) -> (i32, ResponseKind) {
    let mut rest = Bytes::copy_from_slice(&bytes[4..]);
    assert_eq!(usize::try_from(u32::from_be_bytes(*bytes.first_chunk().unwrap())).unwrap(), rest.len());
    let header = ResponseHeader::decode(&mut rest, api.response_header_version(version)).unwrap();
    let response = ResponseKind::decode(api, &mut rest, version).unwrap();
    assert!(rest.is_empty(), "{api:?} {version}: {} bytes too many", rest.len());
    (header.correlation_id, response)
}

fn each<T>(topics: &[&str], make: impl Fn(&str) -> T) -> Vec<T> {
    topics.iter().map(|name| make(name)).collect()
}

/// Two partitions.
fn parts<T>(make: impl Fn(i32) -> T) -> Vec<T> {
    [3, 5].into_iter().map(make).collect()
}

/// A request for these topics, with two partitions each; none if this kind names no topics.
pub fn naming(api: ApiKey, version: i16, topics: &[&str]) -> Option<Vec<u8>> {
    records::naming(api, version, topics)
        .or_else(|| groups::naming(api, version, topics))
        .or_else(|| admin::naming(api, version, topics))
}

/// A fetch in a session, epoch 0 starting one.
pub fn fetch(v: i16, session: i32, epoch: i32, topics: &[&str]) -> Vec<u8> {
    use m::fetch_request as r;
    let topics = topics.iter().map(|name| {
        let partitions = [3, 5].into_iter().map(|index| {
            let partition = r::FetchPartition::default()
                .with_partition(index)
                .with_fetch_offset(9)
                .with_partition_max_bytes(1 << 20);
            let partition =
                if v >= 17 { partition.with_replica_directory_id(id("directory")) } else { partition };
            if v >= 18 { partition.with_high_watermark(11) } else { partition }
        });
        let fetched = r::FetchTopic::default().with_partitions(partitions.collect());
        if v < 13 { fetched.with_topic(topic(name)) } else { fetched.with_topic_id(id(name)) }
    });
    let mut request = m::FetchRequest::default().with_topics(topics.collect());
    if v >= 7 {
        let forgotten = r::ForgottenTopic::default().with_partitions(vec![1]);
        let forgotten = if v < 13 {
            forgotten.with_topic(topic("forgotten"))
        } else {
            forgotten.with_topic_id(id("forgotten"))
        };
        request = request
            .with_session_id(session)
            .with_session_epoch(epoch)
            .with_forgotten_topics_data(vec![forgotten]);
    }
    if v >= 11 {
        request = request.with_rack_id(text("rack"));
    }
    if v >= 12 {
        request = request.with_cluster_id(Some(text("cluster")));
    }
    if v >= 15 {
        request = request.with_replica_state(r::ReplicaState::default().with_replica_id((-1).into()));
    }
    frame(v, &request)
}

/// Every kind with every version that there is.
pub fn every() -> impl Iterator<Item = (ApiKey, i16)> {
    ApiKey::iter().flat_map(|api| {
        let versions = match api {
            // The other implementation lists versions that it cannot write.
            ApiKey::OffsetCommit => m::OffsetCommitRequest::VERSIONS,
            ApiKey::OffsetFetch => m::OffsetFetchRequest::VERSIONS,
            ApiKey::InitProducerId => m::InitProducerIdRequest::VERSIONS,
            api => api.valid_versions(),
        };
        (versions.min..=versions.max).map(move |version| (api, version))
    })
}
