//! Any bytes as DNS messages, streams of them, and the cache's file: no panic, and answers give nothing but to their question.
#![no_main]

use ciliate_dns::{
    Answer, CacheSettings, FrameReader, Name, NameCache, Query, Question, RecordType, Resolved, UnixTime, reply,
};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let mut out = Vec::new();
    match Query::parse(bytes) {
        Ok(query) => {
            reply::to_query(&query, reply::Reply::Refused, &mut out);
            let denied = Answer::parse(&out).expect("we read what we write");
            assert_eq!(denied.question_bytes(), query.question_bytes());
        }
        Err(malformed) => {
            if reply::to_malformed(bytes, malformed, &mut out) {
                assert!(out.len() <= bytes.len());
            }
        }
    }
    if let Ok(answer) = Answer::parse(bytes) {
        let mut found = Resolved::default();
        if let Some(question) = answer.question.clone() {
            let other = Question { kind: RecordType(question.kind.0 ^ 1), ..question.clone() };
            if answer.resolve(&other, &mut found).is_ok() {
                assert!(found.names.is_empty() && found.addresses.is_empty());
            }
            if answer.resolve(&question, &mut found).is_ok() && !found.addresses.is_empty() {
                assert_eq!(found.names.first().map(|alias| &alias.name), Some(&question.name));
            }
            assert_eq!(Name::from_bytes(question.name.as_bytes()).as_ref(), Ok(&question.name));
        }
        reply::truncate(bytes, &mut out).expect("what can be read can be truncated");
        assert!(Answer::parse(&out).is_ok());
    }
    let mut reader = FrameReader::new();
    let mut rest = bytes;
    while !rest.is_empty() {
        let taken = reader.feed(rest.get(..7).unwrap_or(rest));
        rest = &rest[taken..];
        while let Ok(Some(message)) = reader.next() {
            assert!(!message.is_empty());
        }
    }
    let (cache, _) = NameCache::load(bytes, CacheSettings::default(), UnixTime(1));
    cache.snapshot(&mut out);
    let (again, report) = NameCache::load(&out, CacheSettings::default(), UnixTime(1));
    assert_eq!((again.stats().entries, report.torn), (cache.stats().entries, 0));
});
