//! `rules.kafka`.

use super::said;
use crate::{object::l7, parse::path::Problems};
use ciliate_types::{KafkaRole, KafkaRule};

/// Kafka itself allows 249 since version 0.10; policies may still name older topics.
const MAX_TOPIC: usize = 255;
/// The longest text of Kafka's protocol: its length is a signed number of 16 bits.
const MAX_CLIENT_ID: usize = 32_767;

pub fn rule(written: &l7::KafkaRule, problems: &mut Problems) -> KafkaRule {
    let l7::KafkaRule { role, api_key, api_version, client_id, topic } = written;
    if said(role.as_ref()).is_some() && said(api_key.as_ref()).is_some() {
        problems.fail("role and apiKey cannot stand in one rule: a role is a set of keys");
    }
    KafkaRule {
        role: said(role.as_ref()).and_then(|text| problems.at("role", |p| read_role(text, p))),
        api_key: said(api_key.as_ref()).and_then(|text| problems.at("apiKey", |p| read_api_key(text, p))),
        api_version: said(api_version.as_ref())
            .and_then(|text| problems.at("apiVersion", |p| read_version(text, p))),
        client_id: said(client_id.as_ref()).map(|text| {
            if text.len() > MAX_CLIENT_ID {
                problems.at("clientID", |p| {
                    p.fail(format!("is longer than the {MAX_CLIENT_ID} bytes that a client's name may have"));
                });
            }
            text.to_owned()
        }),
        topic: said(topic.as_ref()).map(|text| {
            problems.at("topic", |p| check_topic(text, p));
            text.to_owned()
        }),
    }
}

fn read_role(text: &str, problems: &mut Problems) -> Option<KafkaRole> {
    match text.to_ascii_lowercase().as_str() {
        "produce" => Some(KafkaRole::Produce),
        "consume" => Some(KafkaRole::Consume),
        _ => {
            problems.fail(format!("{text:?} is unknown: write produce or consume"));
            None
        }
    }
}

fn read_api_key(text: &str, problems: &mut Problems) -> Option<i16> {
    let number = ciliate_kafka::api_key(text);
    if number.is_none() {
        problems.fail(format!(
            "{text:?} is no request of Kafka: write a name such as produce, fetch or createtopics"
        ));
    }
    number
}

fn read_version(text: &str, problems: &mut Problems) -> Option<i16> {
    let number = text.parse().ok().filter(|number: &i16| *number >= 0);
    if number.is_none() {
        problems.fail(format!("{text:?} is not a number from 0 to {}", i16::MAX));
    }
    number
}

fn check_topic(text: &str, problems: &mut Problems) {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    if text.len() > MAX_TOPIC || !text.chars().all(allowed) {
        problems.fail(format!(
            "{text:?} is not a topic: write at most {MAX_TOPIC} letters, digits, dots, dashes and underscores"
        ));
    }
}
