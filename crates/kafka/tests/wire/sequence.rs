//! Several requests on a connection.

use crate::{Proxy, judged, once, samples, topic_rule};
use bytes::BytesMut;
use ciliate_kafka::{
    ClientStep, Limits, Mode, Policy, Reason, Session, SessionError, TopicIds, Verdict, api_key,
};
use ciliate_types::{KafkaRole, KafkaRule};
use kafka_protocol::{
    messages::{self as m, ApiKey, ResponseHeader, ResponseKind, TopicName},
    protocol::{Encodable, HeaderVersion},
};

fn answer<R: Encodable + HeaderVersion>(version: i16, correlation: i32, response: &R) -> Vec<u8> {
    let mut out = BytesMut::new();
    ResponseHeader::default()
        .with_correlation_id(correlation)
        .encode(&mut out, R::header_version(version))
        .unwrap();
    response.encode(&mut out, version).unwrap();
    samples::framed(&[&out])
}

fn heartbeat(correlation: i32) -> Vec<u8> {
    samples::with_header(4, correlation, &m::HeartbeatRequest::default())
}

fn heartbeat_answer(correlation: i32) -> Vec<u8> {
    answer(4, correlation, &m::HeartbeatResponse::default())
}

fn produce(version: i16, correlation: i32, acks: i16, topic: &str) -> Vec<u8> {
    use m::produce_request as r;
    let data =
        r::TopicProduceData::default().with_name(TopicName(samples::text(topic))).with_partition_data(vec![
            r::PartitionProduceData::default().with_records(Some(vec![7; 5000].into())),
        ]);
    samples::with_header(
        version,
        correlation,
        &m::ProduceRequest::default().with_acks(acks).with_topic_data(vec![data]),
    )
}

fn correlations(mut bytes: &[u8]) -> Vec<i32> {
    let mut found = Vec::new();
    while let Some((size, rest)) = bytes.split_first_chunk() {
        let (frame, rest) = rest.split_at(usize::try_from(u32::from_be_bytes(*size)).unwrap());
        found.push(i32::from_be_bytes(*frame.first_chunk().unwrap()));
        bytes = rest;
    }
    found
}

#[test]
fn denials_keep_the_order_of_the_requests() {
    let policy = Policy::new(&[topic_rule("good")]);
    let mut proxy = Proxy::new(Limits::default());
    let sent = [
        produce(9, 1, -1, "bad"),
        heartbeat(2),
        produce(9, 3, 1, "bad"),
        produce(9, 4, 1, "good"),
        produce(3, 5, -1, "bad"),
        heartbeat(6),
    ];
    proxy.client(&policy, &sent.concat()).unwrap();
    assert_eq!(proxy.to_server, [heartbeat(2), produce(9, 4, 1, "good"), heartbeat(6)].concat());
    assert_eq!(correlations(&proxy.to_client), [1]);
    proxy.server(&policy, &heartbeat_answer(2)).unwrap();
    assert_eq!(correlations(&proxy.to_client), [1, 2, 3]);
    let produced = answer(9, 4, &m::ProduceResponse::default());
    proxy.server(&policy, &produced[..9]).unwrap();
    proxy.server(&policy, &produced[9..]).unwrap();
    assert_eq!(correlations(&proxy.to_client), [1, 2, 3, 4, 5]);
    assert!(!proxy.session.is_idle());
    proxy.server(&policy, &heartbeat_answer(6)).unwrap();
    assert_eq!(correlations(&proxy.to_client), [1, 2, 3, 4, 5, 6]);
    assert!(proxy.session.is_idle());
}

#[test]
fn producers_that_want_no_answer_get_none() {
    let policy = Policy::new(&[topic_rule("good")]);
    for version in [3, 8, 9, 12] {
        let mut proxy = Proxy::new(Limits::default());
        let sent = [produce(version, 1, 0, "bad"), produce(version, 2, 0, "good"), heartbeat(3)];
        proxy.client(&policy, &sent.concat()).unwrap();
        assert_eq!(proxy.to_server, sent[1..].concat());
        proxy.server(&policy, &heartbeat_answer(3)).unwrap();
        assert_eq!(correlations(&proxy.to_client), [3]);
        assert!(proxy.session.is_idle());
    }
}

#[test]
fn large_requests_that_the_header_allows_are_not_held() {
    let policy = Policy::new(&[KafkaRule { role: Some(KafkaRole::Produce), ..KafkaRule::default() }]);
    for version in [3, 9] {
        let request = produce(version, 1, 1, "any");
        let mut session = Session::new(Limits { request: 100, ..Limits::default() });
        let ids = TopicIds::new(1);
        let ClientStep::Forward { len: 80, judged: Some(_) } =
            session.client(&request[..80], &policy, &ids, Mode::Enforce).unwrap()
        else {
            panic!()
        };
        let rest = session.client(&request[80..], &policy, &ids, Mode::Enforce).unwrap();
        assert_eq!(rest, ClientStep::Forward { len: request.len() - 80, judged: None });
        // With topics to look for, it has to be held, and is too long for that.
        let topics = Policy::new(&[topic_rule("any")]);
        let error = session.client(&request[..80], &topics, &ids, Mode::Enforce).unwrap_err();
        assert_eq!(error, SessionError::RequestTooLong { size: request.len(), limit: 100 });
    }
}

#[test]
fn topic_ids_are_learnt_from_metadata() {
    use m::metadata_response as r;
    let policy = Policy::new(&[topic_rule("good")]);
    for version in 10..=13 {
        let mut proxy = Proxy::new(Limits::default());
        proxy.client(&policy, &samples::fetch(16, 0, 0, &["good"])).unwrap();
        assert!(proxy.to_server.is_empty());
        assert!(matches!(proxy.judged[0].verdict, Verdict::Denied(Reason::UnknownTopicId(_))));
        proxy.client(&policy, &samples::naming(ApiKey::Metadata, version, &["good"]).unwrap()).unwrap();
        let partition = r::MetadataResponsePartition::default().with_replica_nodes(vec![1.into()]);
        let topic = |name| {
            r::MetadataResponseTopic::default()
                .with_name(Some(TopicName(samples::text(name))))
                .with_topic_id(samples::id(name))
                .with_partitions(vec![partition.clone()])
        };
        let response = m::MetadataResponse::default()
            .with_brokers(vec![r::MetadataResponseBroker::default().with_host(samples::text("b"))])
            .with_topics(vec![topic("good"), topic("bad")]);
        let metadata = answer(version, samples::CORRELATION, &response);
        proxy.to_client.clear();
        for byte in &metadata {
            proxy.server(&policy, &[*byte]).unwrap();
        }
        assert_eq!(proxy.to_client, metadata);
        proxy.to_server.clear();
        proxy.client(&policy, &samples::fetch(16, 0, 0, &["good"])).unwrap();
        assert_eq!(proxy.to_server, samples::fetch(16, 0, 0, &["good"]));
        proxy.client(&policy, &samples::fetch(16, 0, 0, &["good", "bad"])).unwrap();
        assert_eq!(proxy.judged.last().unwrap().verdict, Verdict::Denied(Reason::Topic("bad".into())));
    }
}

fn fetched(version: i16, session: i32) -> Vec<u8> {
    answer(version, samples::CORRELATION, &m::FetchResponse::default().with_session_id(session))
}

#[test]
fn fetch_sessions_are_judged_by_all_their_topics() {
    let before = Policy::new(&[topic_rule("good"), topic_rule("more")]);
    let after = Policy::new(&[topic_rule("good")]);
    for version in [7, 11, 12] {
        let mut proxy = Proxy::new(Limits::default());
        let mut go = |policy: &Policy, session, epoch, topics: &[&str], started: Option<i32>| {
            proxy.client(policy, &samples::fetch(version, session, epoch, topics)).unwrap();
            let verdict = proxy.judged.pop().unwrap().verdict;
            if let Some(id) = started {
                proxy.server(policy, &fetched(version, id)).unwrap();
            }
            let (_, ResponseKind::Fetch(response)) =
                samples::decode(ApiKey::Fetch, version, &std::mem::take(&mut proxy.to_client))
            else {
                panic!()
            };
            (verdict, response.error_code)
        };
        let unknown = (Verdict::Denied(Reason::UnknownFetchSession), 70);
        assert_eq!(go(&before, 55, 1, &[], None), unknown);
        assert_eq!(go(&before, 0, 0, &["good"], Some(55)), (Verdict::Allowed, 0));
        assert_eq!(go(&before, 55, 1, &["more"], Some(55)), (Verdict::Allowed, 0));
        assert_eq!(go(&before, 55, 2, &[], Some(55)), (Verdict::Allowed, 0));
        assert_eq!(go(&before, 56, 3, &[], None), unknown);
        // What is denied for a topic of the request is not put into the session.
        assert_eq!(go(&before, 55, 3, &["bad"], None), (Verdict::Denied(Reason::Topic("bad".into())), 0));
        assert_eq!(go(&before, 55, 3, &[], Some(55)), (Verdict::Allowed, 0));
        // A rule taken away ends the session, though the request names nothing.
        assert_eq!(go(&after, 55, 4, &[], None), (Verdict::Denied(Reason::Topic("more".into())), 70));
        assert_eq!(go(&after, 0, 0, &["good"], Some(57)), (Verdict::Allowed, 0));
        assert_eq!(go(&after, 57, 1, &[], Some(57)), (Verdict::Allowed, 0));
        // Nobody looked what went through while everything was allowed.
        let everything = Policy::new(&[KafkaRule::default()]);
        assert_eq!(go(&everything, 57, 2, &["bad"], Some(57)), (Verdict::Allowed, 0));
        assert_eq!(go(&after, 57, 3, &[], None), unknown);
    }
}

#[test]
fn offered_versions_are_lowered_to_what_can_be_read() {
    use m::api_versions_response::ApiVersion;
    let policy = Policy::new(&[KafkaRule::default()]);
    let offer =
        |key, min, max| ApiVersion::default().with_api_key(key).with_min_version(min).with_max_version(max);
    for version in 0..=4 {
        let offered = m::ApiVersionsResponse::default().with_api_keys(vec![
            offer(0, 0, 99),
            offer(1, 4, 17),
            offer(8, 2, 10),
            offer(500, 0, 9),
            offer(78, 0, 9),
        ]);
        let mut proxy = Proxy::new(Limits::default());
        let request = samples::with_header(version, 9, &m::ApiVersionsRequest::default());
        proxy.client(&policy, &request).unwrap();
        assert_eq!(proxy.to_server, request);
        proxy.server(&policy, &answer(version, 9, &offered)).unwrap();
        let (_, ResponseKind::ApiVersions(read)) =
            samples::decode(ApiKey::ApiVersions, version, &proxy.to_client)
        else {
            panic!()
        };
        let expected =
            vec![offer(0, 0, 13), offer(1, 4, 17), offer(8, 2, 9), offer(500, 0, 9), offer(78, 0, 9)];
        assert_eq!(read.api_keys, expected, "{version}");
        // A broker that does not know the version says so in version 0; that passes as it is.
        proxy.to_client.clear();
        proxy.client(&policy, &request).unwrap();
        let refused = answer(0, 9, &offered.with_error_code(35));
        proxy.server(&policy, &refused).unwrap();
        assert_eq!(proxy.to_client, refused);
    }
}

#[test]
fn servers_that_are_out_of_step_are_found_out() {
    let policy = Policy::new(&[KafkaRule::default()]);
    let mut proxy = Proxy::new(Limits::default());
    assert_eq!(proxy.server(&policy, &heartbeat_answer(1)), Err(SessionError::Unasked));
    let mut proxy = Proxy::new(Limits::default());
    proxy.client(&policy, &heartbeat(1)).unwrap();
    assert_eq!(
        proxy.server(&policy, &heartbeat_answer(2)),
        Err(SessionError::OutOfStep { expected: 1, got: 2 })
    );
}

#[test]
fn no_more_is_taken_than_may_be_unanswered() {
    let policy = Policy::new(&[KafkaRule { api_key: Some(12), ..KafkaRule::default() }]);
    let mut proxy = Proxy::new(Limits { unanswered: 2, ..Limits::default() });
    let sent: Vec<_> = (0..5).map(heartbeat).collect();
    proxy.client(&policy, &sent.concat()).unwrap();
    assert_eq!(proxy.to_server, sent[..2].concat());
    proxy.server(&policy, &heartbeat_answer(0)).unwrap();
    assert_eq!(proxy.to_server, sent[..3].concat());
    // Denials wait for what is before them, and are limited likewise.
    let mut proxy = Proxy::new(Limits { denials: 10, ..Limits::default() });
    proxy.client(&policy, &[heartbeat(0), produce(9, 1, 1, "x"), heartbeat(2)].concat()).unwrap();
    assert_eq!(proxy.to_server, heartbeat(0));
    proxy.server(&policy, &heartbeat_answer(0)).unwrap();
    assert_eq!(proxy.to_server, [heartbeat(0), heartbeat(2)].concat());
}

#[test]
fn audited_requests_go_on_and_are_told_of() {
    let policy = Policy::new(&[topic_rule("good")]);
    let mut proxy = Proxy::new(Limits::default());
    proxy.mode = Mode::Audit;
    let request = produce(9, 1, 1, "bad");
    proxy.client(&policy, &request).unwrap();
    assert_eq!(proxy.to_server, request);
    assert_eq!(proxy.judged[0].verdict, Verdict::Denied(Reason::Topic("bad".into())));
    assert_eq!(proxy.judged[0].client_id.as_deref(), Some(samples::CLIENT));
}

#[test]
fn bare_sasl_tokens_are_refused() {
    let policy = Policy::new(&[KafkaRule::default()]);
    let ids = TopicIds::new(1);
    let old = samples::frame(0, &m::SaslHandshakeRequest::default());
    assert!(matches!(once(&policy, &ids, &old), Err(SessionError::BareTokens)));
    assert!(once(&policy, &ids, &samples::frame(1, &m::SaslHandshakeRequest::default())).is_ok());
}

#[test]
fn kinds_and_versions_that_nobody_knows_match_by_their_header_only() {
    let frame = |key: i16, version: i16| {
        samples::framed(&[
            &key.to_be_bytes(),
            &version.to_be_bytes(),
            &[0, 0, 0, 7, 0xff, 0xff],
            b"whatever follows",
        ])
    };
    let ids = TopicIds::new(1);
    for (key, version) in [(0, 99), (1, 3), (3, 14), (12, 9), (93, 0), (4, 1), (-1, 0)] {
        let request = frame(key, version);
        if key != 0 {
            let by_key = Policy::new(&[KafkaRule { api_key: Some(key), ..KafkaRule::default() }]);
            let (_, step) = once(&by_key, &ids, &request).unwrap();
            assert!(matches!(step, ClientStep::Forward { .. }), "{key} {version}");
        }
        for rule in [topic_rule("x"), KafkaRule { api_key: Some(100), ..KafkaRule::default() }] {
            let error = once(&Policy::new(&[rule]), &ids, &request).unwrap_err();
            assert_eq!(error, SessionError::Unanswerable { api_key: key, api_version: version });
        }
    }
    // The first request of a client of the future.
    let (_, step) = once(&Policy::new(&[topic_rule("x")]), &ids, &frame(18, 5)).unwrap();
    assert!(matches!(step, ClientStep::Forward { .. }));
}

#[test]
fn rules_match_by_role_kind_version_and_client() {
    let ids = TopicIds::new(1);
    let rule = KafkaRule::default;
    let role = |role| KafkaRule { role: Some(role), ..rule() };
    let cases: [(KafkaRule, &[ApiKey], &[ApiKey]); 6] = [
        (
            role(KafkaRole::Produce),
            &[ApiKey::Produce, ApiKey::Metadata, ApiKey::ApiVersions, ApiKey::InitProducerId],
            &[ApiKey::Fetch, ApiKey::CreateTopics, ApiKey::JoinGroup],
        ),
        (
            role(KafkaRole::Consume),
            &[
                ApiKey::Fetch,
                ApiKey::ListOffsets,
                ApiKey::Metadata,
                ApiKey::OffsetCommit,
                ApiKey::OffsetFetch,
                ApiKey::SyncGroup,
            ],
            &[ApiKey::Produce, ApiKey::InitProducerId, ApiKey::DeleteTopics],
        ),
        (KafkaRule { api_key: api_key("fetch"), ..rule() }, &[ApiKey::Fetch], &[ApiKey::Produce]),
        (KafkaRule { api_version: Some(4), ..rule() }, &[ApiKey::Fetch], &[ApiKey::ApiVersions]),
        (KafkaRule { client_id: Some(samples::CLIENT.into()), ..rule() }, &[ApiKey::Fetch], &[]),
        (
            KafkaRule { role: Some(KafkaRole::Produce), api_key: Some(1), ..rule() },
            &[],
            &[ApiKey::Produce, ApiKey::Fetch],
        ),
    ];
    for (rule, yes, no) in cases {
        let policy = Policy::new([&rule]);
        let allowed = |api: ApiKey| {
            let version = if api == ApiKey::ApiVersions { 3 } else { 4 };
            let request =
                samples::naming(api, version, &["x"]).unwrap_or_else(|| samples::naming_none(api, version));
            let (_, step) = once(&policy, &ids, &request).unwrap();
            judged(&step).verdict == Verdict::Allowed
        };
        assert!(yes.iter().all(|api| allowed(*api)), "{rule:?}");
        assert!(!no.iter().any(|api| allowed(*api)), "{rule:?}");
    }
    let other = Policy::new(&[KafkaRule { client_id: Some("other".into()), ..rule() }]);
    let (_, step) = once(&other, &ids, &heartbeat(1)).unwrap();
    assert_eq!(judged(&step).verdict, Verdict::Denied(Reason::NoRule));
}

#[test]
fn topics_of_a_request_may_be_allowed_by_several_rules() {
    let rule = |topic: &str, role| KafkaRule { role: Some(role), ..topic_rule(topic) };
    let policy = Policy::new(&[
        rule("a", KafkaRole::Produce),
        rule("b", KafkaRole::Produce),
        rule("c", KafkaRole::Consume),
    ]);
    let verdict = |topics: &[&str]| {
        let request = samples::naming(ApiKey::Produce, 9, topics).unwrap();
        judged(&once(&policy, &TopicIds::new(1), &request).unwrap().1).verdict.clone()
    };
    assert_eq!(verdict(&["a"]), Verdict::Allowed);
    assert_eq!(verdict(&["b", "a", "b"]), Verdict::Allowed);
    assert_eq!(verdict(&[]), Verdict::Allowed);
    assert_eq!(verdict(&["a", "c"]), Verdict::Denied(Reason::Topic("c".into())));
}

#[test]
fn both_ends_have_to_allow() {
    let list = |topics: &[&str]| {
        Policy::new(&topics.iter().map(|topic| topic_rule(topic)).collect::<Vec<KafkaRule>>())
    };
    let verdict = |policy: &Policy, topics: &[&str]| {
        let request = samples::naming(ApiKey::Produce, 9, topics).unwrap();
        judged(&once(policy, &TopicIds::new(1), &request).unwrap().1).verdict.clone()
    };
    let both = list(&["a", "b"]).and(list(&["b", "c"]));
    assert_eq!(verdict(&both, &["b"]), Verdict::Allowed);
    assert_eq!(verdict(&both, &["b", "a"]), Verdict::Denied(Reason::Topic("a".into())));
    assert_eq!(verdict(&both, &["c"]), Verdict::Denied(Reason::Topic("c".into())));
    let everything = Policy::new(&[KafkaRule::default()]);
    for policy in [everything.clone().and(list(&["a"])), list(&["a"]).and(everything)] {
        assert_eq!(verdict(&policy, &["a"]), Verdict::Allowed);
        assert_eq!(verdict(&policy, &["b"]), Verdict::Denied(Reason::Topic("b".into())));
    }
    let nothing = Policy::new(&[]);
    assert_eq!(verdict(&list(&["a"]).and(nothing), &["a"]), Verdict::Denied(Reason::NoRule));
}

#[test]
fn names_of_kinds() {
    for (name, key) in [("produce", 0), ("Offsets", 2), ("LISTOFFSETS", 2), ("alterconfigs", 33), ("75", 75)]
    {
        assert_eq!(api_key(name), Some(key), "{name}");
    }
    assert_eq!(api_key("produces"), None);
    assert_eq!(api_key("-1"), None);
    for api in ApiKey::iter() {
        assert_eq!(ciliate_kafka::api_name(api as i16), Some(format!("{api:?}").as_str()));
    }
}
