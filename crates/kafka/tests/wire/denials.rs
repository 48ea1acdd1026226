//! Every kind of request in every version: read, judged, and denied so that the client understands.

use crate::{ids, judged, once, samples, topic_rule};
use ciliate_kafka::{ClientStep, Policy, Reason, ServerStep, SessionError, Verdict};
use ciliate_types::KafkaRule;
use kafka_protocol::messages::{ApiKey, ResponseKind};
use std::collections::BTreeSet;

/// All error codes in an answer, however deep.
fn errors(response: &ResponseKind) -> BTreeSet<i16> {
    let shown = format!("{response:?}");
    shown
        .match_indices("error_code: ")
        .map(|(at, label)| {
            let digits = &shown[at + label.len()..];
            digits[..digits.find(|c: char| !c.is_ascii_digit() && c != '-').unwrap()].parse().unwrap()
        })
        .filter(|code| *code != 0)
        .collect()
}

/// The denial that a step has led to.
fn denial(
    policy: &Policy,
    known: &[&str],
    request: &[u8],
    api: ApiKey,
    version: i16,
) -> (Reason, ResponseKind) {
    let ids = ids(known);
    let (mut session, step) =
        once(policy, &ids, request).unwrap_or_else(|error| panic!("{api:?} {version}: {error}"));
    let Verdict::Denied(reason) = judged(&step).verdict.clone() else {
        panic!("{api:?} {version}: {step:?}")
    };
    let answer = match step {
        ClientStep::Discard { len, .. } => {
            assert_eq!(len, request.len());
            session.server(&[], &ids).unwrap()
        }
        ClientStep::Replace { len, with, .. } => {
            assert_eq!(len, request.len());
            let frame = broker_metadata(version, &with);
            let step = session.server(&frame, &ids).unwrap();
            assert!(matches!(step, ServerStep::Replace { len, .. } if len == frame.len()), "{step:?}");
            step
        }
        other => panic!("{api:?} {version}: {other:?}"),
    };
    let ServerStep::Replace { with, .. } = answer else { panic!("{api:?} {version}: {answer:?}") };
    assert!(session.is_idle());
    let (correlation, response) = samples::decode(api, version, &with);
    assert_eq!(correlation, samples::CORRELATION, "{api:?} {version}");
    (reason, response)
}

/// What a broker answers to a request for metadata of at most the topic `good`, which `request` has to be.
fn broker_metadata(version: i16, request: &[u8]) -> Vec<u8> {
    use bytes::{Bytes, BytesMut};
    use kafka_protocol::{
        messages::{
            MetadataRequest, MetadataResponse, RequestHeader, ResponseHeader, metadata_response as r,
        },
        protocol::{Decodable, Encodable, HeaderVersion},
    };
    let mut rest = Bytes::copy_from_slice(&request[4..]);
    let header = RequestHeader::decode(&mut rest, MetadataRequest::header_version(version)).unwrap();
    assert_eq!(header.client_id.as_deref(), Some(samples::CLIENT));
    let asked = MetadataRequest::decode(&mut rest, version).unwrap();
    assert!(rest.is_empty());
    let topics = asked.topics.unwrap();
    assert!(topics.iter().all(|topic| topic.name.as_ref().unwrap().as_str() == "good"));
    assert!(asked.allow_auto_topic_creation);
    let topics = topics.into_iter().map(|topic| {
        let partition = r::MetadataResponsePartition::default().with_isr_nodes(vec![4.into()]);
        let topic =
            r::MetadataResponseTopic::default().with_name(topic.name).with_partitions(vec![partition]);
        if version >= 10 { topic.with_topic_id(samples::id("good")) } else { topic }
    });
    let broker = r::MetadataResponseBroker::default()
        .with_node_id(4.into())
        .with_host(samples::text("b4"))
        .with_port(9092);
    let answer = MetadataResponse::default()
        .with_brokers(vec![broker])
        .with_topics(topics.collect())
        .with_controller_id(if version > 0 { 4 } else { -1 }.into());
    let mut out = BytesMut::new();
    ResponseHeader::default()
        .with_correlation_id(header.correlation_id)
        .encode(&mut out, MetadataResponse::header_version(version))
        .unwrap();
    answer.encode(&mut out, version).unwrap();
    samples::framed(&[&out])
}

#[test]
fn requests_for_allowed_topics_pass_in_every_version() {
    let both = [topic_rule("good"), topic_rule("id-good")];
    let policy = Policy::new(&both);
    let mut seen = 0;
    for (api, version) in samples::every() {
        let Some(request) = samples::naming(api, version, &["good", "id-good"]) else { continue };
        let (_, step) = once(&policy, &ids(&["good", "id-good"]), &request).unwrap();
        assert_eq!(judged(&step).verdict, Verdict::Allowed, "{api:?} {version}");
        assert_eq!(judged(&step).topics, ["good".into(), "id-good".into()], "{api:?} {version}");
        assert!(matches!(step, ClientStep::Forward { len, .. } if len == request.len()));
        seen += 1;
    }
    assert_eq!(seen, 132, "kinds and versions that name topics");
}

#[test]
fn one_topic_that_is_not_allowed_denies_the_request_in_every_version() {
    let policy = Policy::new(&[topic_rule("good")]);
    for (api, version) in samples::every() {
        let Some(request) = samples::naming(api, version, &["good", "bad"]) else { continue };
        let (reason, response) = denial(&policy, &["good", "bad"], &request, api, version);
        assert_eq!(reason, Reason::Topic("bad".into()), "{api:?} {version}");
        let expected: &[i16] = match api {
            ApiKey::ListPartitionReassignments => &[31],
            ApiKey::DescribeLogDirs if version < 3 => &[],
            ApiKey::DescribeLogDirs => &[31],
            // Of the resources, the broker (a resource of its own) is denied as such.
            ApiKey::DescribeConfigs => &[29, 31],
            _ => &[29],
        };
        assert_eq!(errors(&response), expected.iter().copied().collect(), "{api:?} {version}: {response:?}");
        let shown = format!("{response:?}");
        let by_topic = !matches!(
            api,
            ApiKey::ListPartitionReassignments
                | ApiKey::AlterShareGroupOffsets
                | ApiKey::DeleteShareGroupOffsets
                | ApiKey::DescribeShareGroupOffsets
                | ApiKey::DescribeLogDirs
                | ApiKey::ConsumerGroupHeartbeat
                | ApiKey::ShareGroupHeartbeat
        );
        let by_id = matches!((api, version), (ApiKey::Produce, 13..) | (ApiKey::Fetch, 13..));
        for topic in ["good", "bad"] {
            let named = if by_id { samples::id(topic).to_string() } else { format!("\"{topic}\"") };
            assert_eq!(shown.contains(&named), by_topic, "{api:?} {version}: {shown}");
        }
    }
}

#[test]
fn requests_that_no_rule_has_are_denied_in_every_version() {
    let policy = Policy::new(&[KafkaRule { client_id: Some("other".into()), ..KafkaRule::default() }]);
    let mut closed = BTreeSet::new();
    for (api, version) in samples::every() {
        if (api, version) == (ApiKey::SaslHandshake, 0) {
            continue;
        }
        let named = samples::naming(api, version, &["good", "bad"]);
        let items = named.is_none();
        let request = named.unwrap_or_else(|| samples::naming_none(api, version));
        if let Err(error) = once(&policy, &ids(&[]), &request) {
            assert!(matches!(error, SessionError::Unanswerable { .. }), "{api:?} {version}: {error}");
            closed.insert(format!("{api:?}"));
            continue;
        }
        let (reason, response) = denial(&policy, &["good", "bad"], &request, api, version);
        assert_eq!(reason, Reason::NoRule);
        let errors = errors(&response);
        let silent = matches!((api, version), (ApiKey::DescribeLogDirs, ..3));
        assert_eq!(errors.is_empty(), silent, "{api:?} {version}: {response:?}");
        let fitting: &[i16] = if items { &[30, 31, 33, 53, 58, 65] } else { &[29, 30, 31] };
        assert!(errors.iter().all(|code| fitting.contains(code)), "{api:?} {version}: {errors:?}");
    }
    // Their answers have no place for an error.
    let among_brokers = [
        "DeleteShareGroupState",
        "InitializeShareGroupState",
        "ReadShareGroupState",
        "ReadShareGroupStateSummary",
        "WriteShareGroupState",
    ];
    assert_eq!(closed.into_iter().collect::<Vec<_>>(), among_brokers);
}

#[test]
fn a_topic_does_not_hinder_requests_without_topics() {
    let policy = Policy::new(&[topic_rule("good")]);
    let opaque = [
        ApiKey::DescribeAcls,
        ApiKey::CreateAcls,
        ApiKey::DeleteAcls,
        ApiKey::ShareFetch,
        ApiKey::ShareAcknowledge,
        ApiKey::Vote,
        ApiKey::BeginQuorumEpoch,
        ApiKey::EndQuorumEpoch,
        ApiKey::DescribeQuorum,
        ApiKey::AlterPartition,
        ApiKey::Envelope,
        ApiKey::FetchSnapshot,
        ApiKey::BrokerRegistration,
        ApiKey::BrokerHeartbeat,
        ApiKey::AllocateProducerIds,
        ApiKey::ControllerRegistration,
        ApiKey::AssignReplicasToDirs,
        ApiKey::AddRaftVoter,
        ApiKey::RemoveRaftVoter,
        ApiKey::UpdateRaftVoter,
        ApiKey::InitializeShareGroupState,
        ApiKey::ReadShareGroupState,
        ApiKey::WriteShareGroupState,
        ApiKey::DeleteShareGroupState,
        ApiKey::ReadShareGroupStateSummary,
    ];
    for (api, version) in samples::every() {
        if samples::naming(api, version, &[]).is_some() || (api, version) == (ApiKey::SaslHandshake, 0) {
            continue;
        }
        let outcome = once(&policy, &ids(&[]), &samples::naming_none(api, version));
        let passed = matches!(&outcome, Ok((_, ClientStep::Forward { .. })));
        assert_eq!(passed, !opaque.contains(&api), "{api:?} {version}: {outcome:?}");
    }
}

#[test]
fn unknown_ids_are_asked_for_again() {
    let policy = Policy::new(&[topic_rule("good")]);
    for (api, version) in [(ApiKey::Fetch, 13), (ApiKey::Fetch, 18), (ApiKey::Produce, 13)] {
        let request = samples::naming(api, version, &["good"]).unwrap();
        let (reason, response) = denial(&policy, &[], &request, api, version);
        assert_eq!(reason, Reason::UnknownTopicId(samples::id("good").into_bytes()));
        assert_eq!(errors(&response), BTreeSet::from([100]), "{api:?}");
    }
}

#[test]
fn requests_for_all_topics_match_no_topic() {
    use kafka_protocol::messages as m;
    let policy = Policy::new(&[topic_rule("good")]);
    let mut cases = Vec::new();
    for version in 0..=13 {
        let topics = if version == 0 { Some(vec![]) } else { None };
        cases.push((
            ApiKey::Metadata,
            version,
            samples::frame(version, &m::MetadataRequest::default().with_topics(topics)),
        ));
    }
    for version in 2..=7 {
        cases.push((
            ApiKey::OffsetFetch,
            version,
            samples::frame(version, &m::OffsetFetchRequest::default().with_topics(None)),
        ));
    }
    for version in 8..=9 {
        let group = m::offset_fetch_request::OffsetFetchRequestGroup::default().with_topics(None);
        cases.push((
            ApiKey::OffsetFetch,
            version,
            samples::frame(version, &m::OffsetFetchRequest::default().with_groups(vec![group])),
        ));
    }
    for version in 0..=2 {
        cases.push((
            ApiKey::ElectLeaders,
            version,
            samples::frame(version, &m::ElectLeadersRequest::default().with_topic_partitions(None)),
        ));
    }
    for version in 1..=4 {
        cases.push((
            ApiKey::DescribeLogDirs,
            version,
            samples::frame(version, &m::DescribeLogDirsRequest::default().with_topics(None)),
        ));
    }
    cases.push((
        ApiKey::ListPartitionReassignments,
        0,
        samples::frame(0, &m::ListPartitionReassignmentsRequest::default().with_topics(None)),
    ));
    cases.push((
        ApiKey::DescribeTopicPartitions,
        0,
        samples::frame(0, &m::DescribeTopicPartitionsRequest::default()),
    ));
    let regex =
        m::ConsumerGroupHeartbeatRequest::default().with_subscribed_topic_regex(Some(samples::text(".*")));
    cases.push((ApiKey::ConsumerGroupHeartbeat, 1, samples::frame(1, &regex)));
    for (api, version, request) in cases {
        let (reason, _) = denial(&policy, &[], &request, api, version);
        assert_eq!(reason, Reason::EveryTopic, "{api:?} {version}");
    }
    // No topics at all are another matter.
    for version in 1..=13 {
        let (_, step) =
            once(&policy, &ids(&[]), &samples::naming(ApiKey::Metadata, version, &[]).unwrap()).unwrap();
        assert_eq!(judged(&step).verdict, Verdict::Allowed, "{version}");
    }
}

#[test]
fn a_denied_metadata_tells_of_brokers_and_of_what_is_allowed() {
    let policy = Policy::new(&[topic_rule("good")]);
    for version in 1..=13 {
        let request = samples::naming(ApiKey::Metadata, version, &["bad"]).unwrap();
        let (_, response) = denial(&policy, &[], &request, ApiKey::Metadata, version);
        let ResponseKind::Metadata(response) = response else { panic!() };
        assert_eq!(response.brokers.len(), 1, "{version}");
        assert_eq!(response.topics.len(), 1, "{version}");
        assert_eq!(response.topics[0].error_code, 29, "{version}");
        // One wrong name does not take the others with it.
        let request = samples::naming(ApiKey::Metadata, version, &["bad", "good", "worse"]).unwrap();
        let (_, response) = denial(&policy, &[], &request, ApiKey::Metadata, version);
        let ResponseKind::Metadata(response) = response else { panic!() };
        let topics: Vec<_> = response
            .topics
            .iter()
            .map(|topic| (topic.name.as_ref().unwrap().as_str(), topic.error_code, topic.partitions.len()))
            .collect();
        assert_eq!(topics, [("good", 0, 1), ("bad", 29, 0), ("worse", 29, 0)], "{version}");
    }
}
