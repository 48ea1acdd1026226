//! Messages that hickory-proto writes are read as it means them, and what it cannot read we do not believe.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "the oracle states the plain reading")]

use ciliate_dns::{Answer, Class, Malformed, Query, RecordType, Reply, Resolution, Resolved, reply};
use hickory_proto::{
    op::{Edns, Message, MessageType, OpCode, Query as Asked, ResponseCode},
    rr::{
        Name, RData, Record, RecordType as Kind,
        rdata::{
            A, AAAA, CNAME, HTTPS, MX, SVCB, TXT,
            svcb::{Alpn, IpHint, SvcParamKey, SvcParamValue},
        },
    },
};
use proptest::prelude::*;
use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

/// Few names, so that they meet; with compression between them.
fn name() -> impl Strategy<Value = Name> {
    let label = prop_oneof![Just("a"), Just("B"), Just("c-1"), Just("_x"), Just("com")];
    prop::collection::vec(label, 1..4)
        .prop_map(|labels| Name::from_ascii(format!("{}.", labels.join("."))).unwrap())
}

fn v4() -> impl Strategy<Value = Ipv4Addr> {
    (0..6_u8).prop_map(|last| Ipv4Addr::new(192, 0, 2, last))
}

fn v6() -> impl Strategy<Value = Ipv6Addr> {
    (0..6_u16).prop_map(|last| Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, last))
}

fn service() -> impl Strategy<Value = SVCB> {
    let hints = (prop::collection::vec(v4(), 0..3), prop::collection::vec(v6(), 0..3));
    (0..2_u16, name(), hints).prop_map(|(priority, target, (four, six))| {
        let mut params = vec![(SvcParamKey::Alpn, SvcParamValue::Alpn(Alpn(vec!["h2".into()])))];
        if !four.is_empty() {
            params.push((
                SvcParamKey::Ipv4Hint,
                SvcParamValue::Ipv4Hint(IpHint(four.into_iter().map(A).collect())),
            ));
        }
        if !six.is_empty() {
            params.push((
                SvcParamKey::Ipv6Hint,
                SvcParamValue::Ipv6Hint(IpHint(six.into_iter().map(AAAA).collect())),
            ));
        }
        SVCB::new(priority, target, params)
    })
}

fn record() -> impl Strategy<Value = Record> {
    let data = prop_oneof![
        4 => v4().prop_map(|v4| RData::A(A(v4))),
        3 => v6().prop_map(|v6| RData::AAAA(AAAA(v6))),
        4 => name().prop_map(|name| RData::CNAME(CNAME(name))),
        2 => service().prop_map(|service| RData::HTTPS(HTTPS(service))),
        1 => service().prop_map(RData::SVCB),
        1 => Just(RData::TXT(TXT::new(vec!["text".into()]))),
        1 => name().prop_map(|name| RData::MX(MX::new(1, name))),
    ];
    (name(), 0..400_u32, data).prop_map(|(owner, ttl, data)| Record::from_rdata(owner, ttl, data))
}

fn kind() -> impl Strategy<Value = Kind> {
    prop_oneof![
        Just(Kind::A),
        Just(Kind::AAAA),
        Just(Kind::HTTPS),
        Just(Kind::SVCB),
        Just(Kind::ANY),
        Just(Kind::TXT)
    ]
}

fn edns() -> impl Strategy<Value = Option<Edns>> {
    prop::option::of((512..5_000_u16, any::<bool>()).prop_map(|(size, signed)| {
        let mut edns = Edns::new();
        edns.set_max_payload(size).set_dnssec_ok(signed);
        edns
    }))
}

fn message() -> impl Strategy<Value = Message> {
    let records = || prop::collection::vec(record(), 0..10);
    (any::<u16>(), name(), kind(), records(), records(), records(), edns()).prop_map(
        |(id, name, kind, answers, authority, additional, edns)| {
            let mut message = Message::new(id, MessageType::Response, OpCode::Query);
            message.add_query(Asked::query(name, kind));
            message.add_answers(answers).add_authorities(authority).add_additionals(additional);
            message.edns = edns;
            message
        },
    )
}

fn same(one: &Name, other: &Name) -> bool {
    one.to_lowercase() == other.to_lowercase()
}

/// The plain reading: aliases from the name asked for until none leads on, then the addresses of those names.
fn resolve(message: &Message) -> (Vec<String>, BTreeMap<IpAddr, u32>) {
    let asked = &message.queries[0];
    let wanted = |kind: Kind| asked.query_type == kind || asked.query_type == Kind::ANY;
    let mut chain: Vec<(Name, u32)> = vec![(asked.name.clone(), u32::MAX)];
    // Records are taken in rounds, each leading on from the end of the chain.
    loop {
        let before = chain.len();
        for record in &message.answers {
            let (last, ttl) = chain.last().unwrap().clone();
            let target = match &record.data {
                RData::CNAME(CNAME(target)) => target,
                RData::HTTPS(HTTPS(service)) if wanted(Kind::HTTPS) && service.svc_priority == 0 => {
                    &service.target_name
                }
                RData::SVCB(service) if wanted(Kind::SVCB) && service.svc_priority == 0 => {
                    &service.target_name
                }
                _ => continue,
            };
            if same(&record.name, &last) && !chain.iter().any(|(known, _)| same(known, target)) {
                chain.push((target.clone(), ttl.min(record.ttl)));
            }
        }
        if chain.len() == before {
            break;
        }
    }
    let mut addresses = BTreeMap::new();
    for record in &message.answers {
        let Some((_, ttl)) = chain.iter().find(|(name, _)| same(name, &record.name)) else { continue };
        let ttl = record.ttl.min(*ttl);
        let hints = |service: &SVCB| -> Vec<IpAddr> {
            let values = service.svc_params.iter().filter(|_| service.svc_priority > 0);
            values
                .flat_map(|(_, value)| match value {
                    SvcParamValue::Ipv4Hint(IpHint(hints)) => {
                        hints.iter().map(|hint| hint.0.into()).collect()
                    }
                    SvcParamValue::Ipv6Hint(IpHint(hints)) => {
                        hints.iter().map(|hint| hint.0.into()).collect()
                    }
                    _ => Vec::new(),
                })
                .collect()
        };
        let found = match &record.data {
            RData::A(A(v4)) if wanted(Kind::A) => vec![(*v4).into()],
            RData::AAAA(AAAA(v6)) if wanted(Kind::AAAA) => vec![(*v6).into()],
            RData::HTTPS(HTTPS(service)) if wanted(Kind::HTTPS) => hints(service),
            RData::SVCB(service) if wanted(Kind::SVCB) => hints(service),
            _ => continue,
        };
        for address in found {
            let longest = addresses.entry(address).or_insert(ttl);
            *longest = ttl.max(*longest);
        }
    }
    (chain.iter().map(|(name, _)| text(name)).collect(), addresses)
}

fn text(name: &Name) -> String {
    name.to_lowercase().to_ascii().trim_end_matches('.').to_owned()
}

proptest! {
    #[test]
    fn answers_are_read_as_they_were_meant(message in message()) {
        let bytes = message.to_vec().unwrap();
        let answer = Answer::parse(&bytes).unwrap();
        let question = answer.question.clone().unwrap();
        prop_assert_eq!(answer.id, message.metadata.id);
        prop_assert_eq!(question.name.to_string(), text(&message.queries[0].name));
        prop_assert_eq!(question.kind.0, u16::from(message.queries[0].query_type));
        prop_assert_eq!(question.class, Class::IN);
        prop_assert_eq!(answer.edns.map(|edns| (edns.udp_size, edns.dnssec_ok)),
            message.edns.as_ref().map(|edns| (edns.max_payload(), edns.flags().dnssec_ok)));
        let mut found = Resolved::default();
        answer.resolve(&question, &mut found).unwrap();
        let (names, addresses) = resolve(&message);
        prop_assert_eq!(found.names.iter().map(|alias| alias.name.to_string()).collect::<Vec<_>>(), names);
        let addresses: Vec<Resolution> = addresses.into_iter().map(|(address, ttl)| Resolution { address, ttl }).collect();
        prop_assert_eq!(&found.addresses, &addresses);
    }

    #[test]
    fn queries_are_read_and_replies_are_understood(id: u16, name in name(), kind in kind(), edns in edns(), desired: bool) {
        let mut message = Message::new(id, MessageType::Query, OpCode::Query);
        message.metadata.recursion_desired = desired;
        message.add_query(Asked::query(name.clone(), kind));
        message.edns = edns;
        let bytes = message.to_vec().unwrap();
        let query = Query::parse(&bytes).unwrap();
        prop_assert_eq!((query.id, query.question.name.to_string()), (id, text(&name)));
        prop_assert_eq!(query.question.kind, RecordType(kind.into()));
        prop_assert_eq!(query.udp_limit(), message.edns.as_ref().map_or(512, Edns::max_payload));
        for (reply, code) in [(Reply::Refused, ResponseCode::Refused), (Reply::NxDomain, ResponseCode::NXDomain),
            (Reply::ServFail, ResponseCode::ServFail), (Reply::Busy, ResponseCode::ServFail)]
        {
            let mut out = Vec::new();
            reply::to_query(&query, reply, &mut out);
            let read = Message::from_vec(&out).unwrap();
            prop_assert_eq!(&read.queries, &message.queries);
            prop_assert_eq!(read.metadata.response_code, code);
            prop_assert_eq!((read.metadata.id, read.metadata.recursion_desired), (id, desired));
            prop_assert!(read.metadata.recursion_available && !read.metadata.authoritative && !read.metadata.truncation);
            prop_assert_eq!(read.edns.is_some(), message.edns.is_some());
        }
    }

    /// A byte changed, a piece cut off: never a panic, and what we resolve, hickory could read.
    #[test]
    fn damaged_answers_are_refused_or_harmless(message in message(), changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4), cut in prop::option::of(any::<prop::sample::Index>())) {
        let mut bytes = message.to_vec().unwrap();
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        let _query = Query::parse(&bytes);
        let Ok(answer) = Answer::parse(&bytes) else { return Ok(()) };
        let (Some(question), mut found) = (answer.question.clone(), Resolved::default()) else { return Ok(()) };
        let resolved = answer.resolve(&question, &mut found).is_ok();
        let mut out = Vec::new();
        reply::truncate(&bytes, &mut out).unwrap();
        prop_assert!(Answer::parse(&out).is_ok());
        if let (true, Ok(read)) = (resolved && !found.addresses.is_empty(), Message::from_vec(&bytes)) {
            // An address that we believe stands in some record of the answer section.
            let text: String = read.answers.iter().map(|record| format!("{:?}\n", record.data)).collect();
            for found in &found.addresses {
                prop_assert!(text.contains(&found.address.to_string()), "{} in {}", found.address, text);
            }
        }
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        let mut out = Vec::new();
        if let Err(malformed) = Query::parse(&bytes) && reply::to_malformed(&bytes, malformed, &mut out) {
            prop_assert!(matches!(Answer::parse(&out), Ok(_) | Err(Malformed::Operation)));
            prop_assert!(out.len() <= bytes.len());
        }
        let _answer = Answer::parse(&bytes);
    }
}
