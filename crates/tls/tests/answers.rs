//! What servers answer to a hello, and what clients send before a second one.
#![expect(
    clippy::unwrap_used,
    clippy::arithmetic_side_effects,
    reason = "a test states what it expects plainly"
)]

use ciliate_tls::{
    Ahead, Answer, AnswerReader, DEFAULT_LIMIT, HelloError, HelloReader, Interlude, Progress, Walked,
};

/// The SHA-256 sum of "HelloRetryRequest", which marks one (RFC 8446, section 4.1.3).
const RETRY: &str = "cf21ad74e59a6111be1d8c021e65b891c2a211167abb8c5e079e09e2c8a8339c";
const HANDSHAKE: u8 = 22;
const ALERT: u8 = 21;

fn record(kind: u8, payload: &[u8]) -> Vec<u8> {
    [&[kind, 3, 3], &u16::try_from(payload.len()).unwrap().to_be_bytes()[..], payload].concat()
}

/// A message as far as anybody looks at it.
fn server_hello(random: [u8; 32]) -> Vec<u8> {
    [&[2, 0, 0, 72, 3, 3], &random[..], &[0; 38]].concat()
}

fn retry() -> [u8; 32] {
    let byte = |at: usize| u8::from_str_radix(&RETRY[at..at + 2], 16).unwrap();
    std::array::from_fn(|index| byte(index * 2))
}

/// The answer, which has to be the same however the bytes arrive.
fn answer(bytes: &[u8]) -> Option<Answer> {
    let whole = AnswerReader::default().read(bytes);
    for step in [1, 2, 5, 7, 44] {
        let mut reader = AnswerReader::default();
        assert_eq!(bytes.chunks(step).find_map(|piece| reader.read(piece)), whole, "{step} at a time");
    }
    whole
}

#[test]
fn answers_are_told_apart() {
    let almost = {
        let mut random = retry();
        random[31] ^= 1;
        random
    };
    let warning = record(ALERT, &[1, 112]);
    let hello = server_hello([7; 32]);
    let again = server_hello(retry());
    let scattered: Vec<u8> = again.iter().flat_map(|byte| record(HANDSHAKE, &[*byte])).collect();
    for (bytes, expected) in [
        (record(HANDSHAKE, &hello), Some(Answer::ServerHello)),
        (record(HANDSHAKE, &server_hello(almost)), Some(Answer::ServerHello)),
        (record(HANDSHAKE, &again), Some(Answer::RetryRequest)),
        (scattered, Some(Answer::RetryRequest)),
        ([warning.clone(), record(HANDSHAKE, &again)].concat(), Some(Answer::RetryRequest)),
        ([warning.clone(), warning.clone()].concat(), None),
        (record(HANDSHAKE, &hello[..37]), None),
        (record(HANDSHAKE, &again)[..42].to_vec(), None),
        (record(HANDSHAKE, &[0, 0, 0, 0]), Some(Answer::Foreign)),
        (record(23, &hello), Some(Answer::Foreign)),
        (record(20, &[1]), Some(Answer::Foreign)),
        (b"HTTP/1.1 400 Bad Request\r\n".to_vec(), Some(Answer::Foreign)),
        (b"220 ready\r\n".to_vec(), Some(Answer::Foreign)),
        (vec![HANDSHAKE, 2, 0, 0, 4], Some(Answer::Foreign)),
        (vec![HANDSHAKE, 3, 3, 0, 0], Some(Answer::Foreign)),
        (Vec::new(), None),
    ] {
        assert_eq!(answer(&bytes), expected, "{bytes:?}");
    }
}

#[test]
fn a_second_hello_is_found_behind_what_is_none() {
    let before = [record(20, &[1]), record(23, &[9; 5000]), record(ALERT, &[1, 0])].concat();
    let all = [&before[..], &record(HANDSHAKE, &[1, 0, 0])].concat();
    for step in [1, 2, 6, 100, all.len()] {
        let mut interlude = Interlude::default();
        let (mut passed, mut end) = (0, 0);
        let walked = loop {
            end = (end + step).min(all.len());
            let walked = interlude.walk(&all[passed..end]).unwrap();
            passed += walked.len;
            if walked.next == Ahead::Handshake {
                break walked;
            }
            assert!(end < all.len(), "{step} at a time");
        };
        assert_eq!((passed, walked.next), (before.len(), Ahead::Handshake), "{step} at a time");
    }
    // A record's payload is not looked at, whatever it looks like.
    let inner = record(23, &record(HANDSHAKE, &[1]));
    assert_eq!(Interlude::default().walk(&inner), Ok(Walked { len: inner.len(), next: Ahead::Unknown }));
    for (bytes, error) in [
        (b"GET / HTTP/1.1".to_vec(), HelloError::NotTls(b'G')),
        (vec![23, 2, 0, 0, 1], HelloError::Version(0x0200)),
        (vec![23, 3, 3, 0xff, 0xff], HelloError::RecordLength(0xffff)),
        (vec![20, 3, 3, 0, 0], HelloError::RecordLength(0)),
    ] {
        assert_eq!(Interlude::default().walk(&bytes), Err(error), "{bytes:?}");
    }
}

#[test]
fn a_reader_says_where_the_hello_ends() {
    for hello in [
        include_bytes!("hellos/curl.bin").as_slice(),
        include_bytes!("hellos/openssl-two-records.bin"),
        include_bytes!("hellos/openssl-fragments.bin"),
    ] {
        let behind = [hello, &record(23, &[5; 9])].concat();
        let mut reader = HelloReader::new(DEFAULT_LIMIT);
        assert!(matches!(reader.read(&behind), Ok(Progress::Complete(_))));
        assert_eq!(reader.hello_len(), hello.len());
    }
}
