//! Bytes in pieces, damaged, or made to be read in two ways.

use crate::{Proxy, ids, once, samples, topic_rule};
use ciliate_kafka::{ClientStep, Limits, Malformed, Policy, SessionError, Verdict};
use ciliate_types::KafkaRule;
use kafka_protocol::{
    messages::{ApiKey, RequestHeader, RequestKind},
    protocol::Decodable,
};
use proptest::prelude::*;

#[test]
fn no_split_of_requests_makes_a_difference() {
    let rules = [topic_rule("good"), KafkaRule { api_key: Some(12), ..KafkaRule::default() }];
    for policy in [Policy::new(&rules[..1]), Policy::new(&rules), Policy::new(&[KafkaRule::default()])] {
        for (api, version) in samples::every().filter(|(_, version)| version % 3 == 0) {
            let Some(good) = samples::naming(api, version, &["good"]) else { continue };
            let bad = samples::naming(api, version, &["good", "bad"]).unwrap();
            let sent = [good, bad].concat();
            let run = |chunk: usize| {
                let mut proxy = Proxy::new(Limits::default());
                proxy.ids = ids(&["good", "bad"]);
                for part in sent.chunks(chunk) {
                    proxy.client(&policy, part).unwrap();
                }
                (proxy.to_server, proxy.to_client, proxy.judged)
            };
            let whole = run(sent.len());
            assert_eq!(whole.2.len(), 2);
            assert_eq!(run(1), whole, "{api:?} {version}");
        }
    }
}

#[test]
fn every_split_in_two() {
    let policy = Policy::new(&[topic_rule("good")]);
    for (api, version) in
        [(ApiKey::Produce, 9), (ApiKey::Metadata, 12), (ApiKey::Fetch, 16), (ApiKey::OffsetFetch, 8)]
    {
        let sent = samples::naming(api, version, &["good"]).unwrap();
        for split in 0..sent.len() {
            let mut proxy = Proxy::new(Limits::default());
            proxy.ids = ids(&["good"]);
            proxy.client(&policy, &sent[..split]).unwrap();
            assert!(proxy.to_server.is_empty());
            proxy.client(&policy, &sent[split..]).unwrap();
            assert_eq!(proxy.to_server, sent, "{api:?} {version} at {split}");
        }
    }
}

/// A flexible Fetch with one allowed topic, its tagged fields replaced.
fn fetch_with_tags(tags: &[u8]) -> Vec<u8> {
    let fetch = samples::fetch(12, 0, 0, &["good"]);
    // At its end it has one tagged field: 0, the cluster id.
    let plain = [1, 0, 8, 8].as_slice();
    let at = fetch.windows(4).rposition(|window| window == plain).unwrap();
    samples::framed(&[&fetch[4..at], tags])
}

#[test]
fn tagged_fields_have_one_reading() {
    let policy = Policy::new(&[topic_rule("good")]);
    let read = |tags: &[u8]| once(&policy, &ids(&[]), &fetch_with_tags(tags)).map(|(_, step)| step);
    let text = b"\x08cluster";
    assert!(matches!(read(&[&[1, 0, 8], text.as_slice()].concat()), Ok(ClientStep::Forward { .. })));
    assert!(matches!(read(&[0]), Ok(ClientStep::Forward { .. })));
    let refused = |tags: &[u8]| match read(tags) {
        Err(SessionError::Request(error)) => error,
        other => panic!("{other:?}"),
    };
    // A size beyond the text: a reader that trusts the text goes on with other bytes than one that trusts the size.
    assert_eq!(refused(&[&[1, 0, 10], text.as_slice(), &[1, 1]].concat()), Malformed::Length("cluster_id"));
    assert_eq!(refused(&[&[1, 0, 7], text.as_slice()].concat()), Malformed::Short("cluster_id"));
    assert_eq!(refused(&[1, 9, 1, 0]), Malformed::UnknownTag(9));
    assert_eq!(
        refused(&[&[2, 0, 8], text.as_slice(), &[0, 8], text].concat()),
        Malformed::Length("the tagged fields")
    );
    assert_eq!(refused(&[0, 0]), Malformed::Trailing(1));
}

#[test]
fn impossible_lengths_are_refused() {
    let policy = Policy::new(&[topic_rule("good")]);
    let refused = |bytes: &[u8]| match once(&policy, &ids(&[]), bytes) {
        Err(SessionError::Request(error)) => error,
        other => panic!("{other:?}"),
    };
    let metadata = |body: &[u8]| samples::framed(&[&[0, 3, 0, 1, 0, 0, 0, 1, 0xff, 0xff], body]);
    assert_eq!(refused(&[0xff, 0xff, 0xff, 0xff]), Malformed::Length("the request"));
    assert_eq!(refused(&[0, 0, 0, 7, 0, 0, 0]), Malformed::Short("the request header"));
    assert_eq!(refused(&[0, 0, 0, 9, 0, 3, 0, 1, 0, 0, 0, 1]), Malformed::Short("client_id"));
    assert_eq!(
        refused(&samples::framed(&[&[0, 3, 0, 1, 0, 0, 0, 1, 0, 9, b'x']])),
        Malformed::Short("client_id")
    );
    assert_eq!(refused(&metadata(&[0x7f, 0xff, 0xff, 0xff])), Malformed::Length("topics"));
    assert_eq!(refused(&metadata(&[0xff, 0xff, 0xff, 0xfe])), Malformed::Length("topics"));
    assert_eq!(refused(&metadata(&[0, 0, 0, 1, 0xff, 0xfe])), Malformed::Length("name"));
    assert_eq!(refused(&metadata(&[0, 0, 0, 1, 0, 1, 0xff])), Malformed::Text("name"));
    let mut small = Proxy::new(Limits { elements: 2, ..Limits::default() });
    let many = metadata(&[0, 0, 0, 3, 0, 1, b'a', 0, 1, b'b', 0, 1, b'c']);
    assert_eq!(small.client(&policy, &many), Err(SessionError::Request(Malformed::Elements(2))));
}

fn sample() -> impl Strategy<Value = (ApiKey, i16, Vec<u8>)> {
    let all: Vec<_> = samples::every()
        .filter_map(|(api, version)| {
            Some((api, version, samples::naming(api, version, &["good", "id-good"])?))
        })
        .collect();
    proptest::sample::select(all)
}

/// The topics of a request as the other implementation reads them, for some kinds.
fn topics(request: &RequestKind) -> Vec<String> {
    let by_id = |id: uuid::Uuid| {
        let known = ["good", "id-good"].into_iter().find(|name| samples::id(name) == id);
        known.map_or_else(|| id.to_string(), str::to_owned)
    };
    let either = |name: &str, id| if name.is_empty() { by_id(id) } else { name.to_owned() };
    match request {
        RequestKind::Produce(r) => {
            r.topic_data.iter().map(|topic| either(&topic.name, topic.topic_id)).collect()
        }
        RequestKind::Fetch(r) => r.topics.iter().map(|topic| either(&topic.topic, topic.topic_id)).collect(),
        RequestKind::Metadata(r) => {
            let topics = r.topics.as_ref().unwrap();
            topics
                .iter()
                .map(|topic| either(topic.name.as_ref().map_or("", |name| name), topic.topic_id))
                .collect()
        }
        RequestKind::ListOffsets(r) => r.topics.iter().map(|topic| topic.name.to_string()).collect(),
        RequestKind::OffsetCommit(r) => r.topics.iter().map(|topic| topic.name.to_string()).collect(),
        RequestKind::CreateTopics(r) => r.topics.iter().map(|topic| topic.name.to_string()).collect(),
        RequestKind::OffsetFetch(r) => {
            let groups = r.groups.iter().flat_map(|group| group.topics.as_ref().unwrap());
            let names = groups.map(|topic| topic.name.to_string());
            names.chain(r.topics.as_ref().unwrap().iter().map(|topic| topic.name.to_string())).collect()
        }
        _ => Vec::new(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4000, ..ProptestConfig::default() })]

    /// Whatever passes for its topics, the other implementation reads to its end, and finds no other topics in it.
    #[test]
    fn damage_is_not_read_otherwise_elsewhere(
        (api, version, mut frame) in sample(),
        damage in proptest::collection::vec((any::<prop::sample::Index>(), prop_oneof![any::<u8>(), 0_u8..10]), 1..4),
    ) {
        for (at, byte) in damage {
            // Size, kind and version stay: they say how to read the rest.
            let at = 8 + at.index(frame.len() - 8);
            frame[at] = byte;
        }
        let policy = Policy::new(&[topic_rule("good"), topic_rule("id-good")]);
        let Ok((_, ClientStep::Forward { judged: Some(judged), .. })) = once(&policy, &ids(&["good", "id-good"]), &frame) else {
            return Ok(());
        };
        prop_assert_eq!(judged.verdict, Verdict::Allowed);
        let mut rest = bytes::Bytes::copy_from_slice(&frame[4..]);
        RequestHeader::decode(&mut rest, api.request_header_version(version)).unwrap();
        // It refuses null where it must not be; a broker does so too.
        if let Ok(request) = RequestKind::decode(api, &mut rest, version) {
            prop_assert!(rest.is_empty(), "{} left", rest.len());
            let shown = format!("{request:?}");
            for topic in &judged.topics {
                let by_id = samples::id(topic).to_string();
                prop_assert!(shown.contains(&**topic) || shown.contains(&by_id), "{}: {}", topic, shown);
            }
            for topic in topics(&request) {
                prop_assert!(["good", "id-good"].contains(&&*topic), "{}: {}", topic, shown);
            }
        }
    }

}

proptest! {
    #[test]
    fn any_bytes_in_any_pieces_end_alike(bytes in proptest::collection::vec(prop_oneof![any::<u8>(), 0_u8..4], 0..300), chunk in 1_usize..40) {
        let policy = Policy::new(&[topic_rule("good")]);
        let run = |chunk: usize| {
            let mut proxy = Proxy::new(Limits::default());
            let outcome = bytes.chunks(chunk).try_for_each(|part| proxy.client(&policy, part));
            let answered = bytes.chunks(chunk).try_for_each(|part| proxy.server(&policy, part));
            (outcome, proxy.to_server, proxy.to_client, answered.is_ok())
        };
        let (outcome, sent, ..) = run(chunk);
        let whole = run(bytes.len().max(1));
        prop_assert_eq!(outcome, whole.0);
        prop_assert_eq!(sent, whole.1);
    }
}
