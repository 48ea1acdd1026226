//! Any bytes from a client and a broker: steps that fit what is there, denials that can be decoded, and no request that passes for
//! its topics while another implementation of the protocol reads it otherwise.
#![no_main]

use ciliate_kafka::{ClientStep, Judged, Limits, Mode, Policy, ServerStep, Session, TopicIds, Verdict};
use ciliate_types::KafkaRule;
use kafka_protocol::{
    messages::{ApiKey, RequestHeader, RequestKind, ResponseHeader, ResponseKind},
    protocol::Decodable,
};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (u8, &[u8], &[u8])| {
    let (step, mut client, mut server) = input;
    let policy = Policy::new(&[KafkaRule { topic: Some("a".into()), ..KafkaRule::default() }]);
    let ids = TopicIds::new(10);
    ids.learn([1; 16], "a");
    let mut session = Session::new(Limits { elements: 1000, ..Limits::default() });
    let mut denied = std::collections::VecDeque::new();
    loop {
        let mut moved = false;
        let there = client.len().min(usize::from(step).saturating_add(client.len() / 2));
        match session.client(&client[..there], &policy, &ids, Mode::Enforce) {
            Err(_) => return,
            Ok(ClientStep::More { at_least }) => {
                assert!(at_least > there);
                // All that there is, then.
                match session.client(client, &policy, &ids, Mode::Enforce) {
                    Err(_) => return,
                    Ok(ClientStep::More { at_least }) => assert!(at_least > client.len()),
                    Ok(step) => {
                        client = taken(step, client, &mut denied);
                        moved = true;
                    }
                }
            }
            Ok(ClientStep::Wait) => {}
            Ok(step) => {
                client = taken(step, client, &mut denied);
                moved = true;
            }
        }
        match session.server(server, &ids) {
            Err(_) => return,
            Ok(ServerStep::More { at_least }) => assert!(at_least > server.len()),
            Ok(ServerStep::Forward { len }) => {
                assert!(len > 0);
                server = &server[len..];
                moved = true;
            }
            Ok(ServerStep::Replace { len, with }) => {
                server = &server[len..];
                moved = true;
                if len == 0 {
                    decodes(&with, &mut denied);
                }
            }
        }
        if !moved {
            return;
        }
    }
});

fn taken<'a>(
    step: ClientStep,
    client: &'a [u8],
    denied: &mut std::collections::VecDeque<Judged>,
) -> &'a [u8] {
    match step {
        ClientStep::Forward { len, judged } => {
            assert!(len > 0);
            if let Some(judged) = judged {
                read_elsewhere(&client[..len], &judged);
            }
            &client[len..]
        }
        ClientStep::Discard { len, judged } => {
            assert!(len > 0);
            denied.extend(judged);
            &client[len..]
        }
        ClientStep::Replace { len, judged, .. } => {
            assert!(matches!(judged.verdict, Verdict::Denied(_)));
            &client[len..]
        }
        ClientStep::More { .. } | ClientStep::Wait => client,
    }
}

/// What was allowed for its topics has to have the same end for the other implementation.
fn read_elsewhere(frame: &[u8], judged: &Judged) {
    let Ok(api) = ApiKey::try_from(judged.api_key) else { return };
    if judged.topics.is_empty() {
        return;
    }
    let mut rest = bytes::Bytes::copy_from_slice(&frame[4..]);
    if RequestHeader::decode(&mut rest, api.request_header_version(judged.api_version)).is_err() {
        return;
    }
    if RequestKind::decode(api, &mut rest, judged.api_version).is_ok() {
        assert!(rest.is_empty());
    }
}

fn decodes(answer: &[u8], denied: &mut std::collections::VecDeque<Judged>) {
    // Producers that want no answer are denied without one.
    let correlation = i32::from_be_bytes([answer[4], answer[5], answer[6], answer[7]]);
    let judged = loop {
        let judged = denied.pop_front().expect("a denied request for each denial");
        if judged.correlation_id == correlation {
            break judged;
        }
    };
    let api = ApiKey::try_from(judged.api_key).expect("known");
    let mut rest = bytes::Bytes::copy_from_slice(&answer[4..]);
    ResponseHeader::decode(&mut rest, api.response_header_version(judged.api_version)).expect("header");
    ResponseKind::decode(api, &mut rest, judged.api_version).expect("answer");
    assert!(rest.is_empty());
}
