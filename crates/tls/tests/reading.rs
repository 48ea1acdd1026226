//! Hellos of real clients and hellos made wrong, in pieces.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test states what it expects plainly"
)]

use ciliate_tls::{ClientHello, DEFAULT_LIMIT, HelloError, HelloReader, OuterName, Progress};
use proptest::prelude::*;

macro_rules! hello {
    ($name:literal) => {
        ($name, include_bytes!(concat!("hellos/", $name, ".bin")).as_slice())
    };
}

const REAL: [(&str, &[u8]); 10] = [
    hello!("curl"),
    hello!("go"),
    hello!("java"),
    hello!("node"),
    hello!("openssl-address"),
    hello!("openssl-fragments"),
    hello!("openssl-no-name"),
    hello!("openssl-tls12"),
    hello!("openssl-tls13"),
    hello!("openssl-two-records"),
];

fn whole(bytes: &[u8]) -> Result<Progress, HelloError> {
    HelloReader::new(DEFAULT_LIMIT).read(bytes)
}

fn complete(bytes: &[u8]) -> ClientHello {
    match whole(bytes).unwrap() {
        Progress::Complete(hello) => hello,
        Progress::More { at_least } => panic!("{at_least} of {} bytes wanted", bytes.len()),
    }
}

/// As the bytes come in, `step` at a time. Fewer than asked for have to change nothing.
fn in_steps(bytes: &[u8], step: usize) -> Result<Progress, HelloError> {
    let mut reader = HelloReader::new(DEFAULT_LIMIT);
    let mut wanted = 0;
    for end in (0..bytes.len()).step_by(step).chain([bytes.len()]) {
        match reader.read(&bytes[..end])? {
            Progress::More { at_least } => {
                assert!(at_least > end && at_least >= wanted, "{at_least} after {end} and {wanted}");
                wanted = at_least;
            }
            done @ Progress::Complete(_) => {
                assert!(end >= wanted);
                return Ok(done);
            }
        }
    }
    Ok(Progress::More { at_least: wanted })
}

#[test]
fn real_hellos_have_their_names() {
    for (client, bytes) in REAL {
        let hello = complete(bytes);
        let name = match client {
            "openssl-address" | "openssl-no-name" => None,
            _ => Some("shop.example.com"),
        };
        assert_eq!(hello.name(OuterName::Ignored), name, "{client}");
        assert!(!hello.encrypted && !hello.early_data, "{client}");
    }
}

#[test]
fn no_split_makes_a_difference() {
    for (client, bytes) in REAL {
        let expected = Progress::Complete(complete(bytes));
        for split in 0..bytes.len() {
            let mut reader = HelloReader::new(DEFAULT_LIMIT);
            match reader.read(&bytes[..split]).unwrap() {
                Progress::More { at_least } => {
                    assert!(at_least > split && at_least <= bytes.len(), "{client}")
                }
                done @ Progress::Complete(_) => panic!("{client}: {done:?} after {split} bytes"),
            }
            assert_eq!(reader.read(bytes).unwrap(), expected, "{client} split at {split}");
        }
        assert_eq!(in_steps(bytes, 1).unwrap(), expected, "{client} byte by byte");
    }
}

/// The handshake message in a hello of a single record.
fn message(bytes: &[u8]) -> &[u8] {
    assert_eq!(usize::from(u16::from_be_bytes([bytes[3], bytes[4]])) + 5, bytes.len());
    &bytes[5..]
}

fn records(message: &[u8], fragment: usize) -> Vec<u8> {
    let record = |part: &[u8]| {
        [&[22, 3, 1], u16::try_from(part.len()).unwrap().to_be_bytes().as_slice(), part].concat()
    };
    message.chunks(fragment).flat_map(record).collect()
}

#[test]
fn no_fragmentation_makes_a_difference() {
    let (_, bytes) = hello!("curl");
    let expected = Progress::Complete(complete(bytes));
    for fragment in 1..message(bytes).len() {
        let fragmented = records(message(bytes), fragment);
        assert_eq!(whole(&fragmented).unwrap(), expected, "{fragment}");
    }
    assert_eq!(in_steps(&records(message(bytes), 1), 1).unwrap(), expected);
}

/// A hello with these extensions.
fn with_extensions(extensions: &[(u16, Vec<u8>)]) -> Vec<u8> {
    let mut list = Vec::new();
    for (kind, data) in extensions {
        list.extend(kind.to_be_bytes());
        list.extend(u16::try_from(data.len()).unwrap().to_be_bytes());
        list.extend(data);
    }
    let mut body = vec![3, 3];
    body.extend([7; 32]);
    body.extend([0, 0, 2, 0x13, 1, 1, 0]);
    body.extend(u16::try_from(list.len()).unwrap().to_be_bytes());
    body.extend(list);
    with_body(&body)
}

fn with_body(body: &[u8]) -> Vec<u8> {
    let len = u32::try_from(body.len()).unwrap().to_be_bytes();
    records(&[&[1], &len[1..], body].concat(), 1 << 14)
}

fn names(entries: &[(u8, &[u8])]) -> Vec<u8> {
    let mut list = Vec::new();
    for (kind, name) in entries {
        list.push(*kind);
        list.extend(u16::try_from(name.len()).unwrap().to_be_bytes());
        list.extend(*name);
    }
    [u16::try_from(list.len()).unwrap().to_be_bytes().as_slice(), &list].concat()
}

fn named(name: &[u8]) -> Result<Progress, HelloError> {
    whole(&with_extensions(&[(0, names(&[(0, name)]))]))
}

#[test]
fn names_are_normalised_or_refused() {
    let name_of = |name: &str| match named(name.as_bytes()).unwrap() {
        Progress::Complete(hello) => hello.server_name.map(String::from),
        Progress::More { .. } => unreachable!(),
    };
    for (sent, read) in [
        ("a.example", Some("a.example")),
        ("A.Example", Some("a.example")),
        ("a.example.", Some("a.example")),
        ("localhost", Some("localhost")),
        ("_x.xn--bcher-kva.example", Some("_x.xn--bcher-kva.example")),
        ("192.0.2.1", None),
        ("192.0.2.1.", None),
        ("127.1", None),
        ("2001:db8::1", None),
        ("[2001:db8::1]", None),
    ] {
        assert_eq!(name_of(sent).as_deref(), read, "{sent}");
    }
    for wrong in [
        b"".as_slice(),
        b".",
        b"a..example",
        b".example",
        b"a.example..",
        b"a example",
        b"a.example\0.other",
        b"*.example",
        b"a.example:443",
        b"http://a",
        "b\u{fc}cher.example".as_bytes(),
        b"\xff\xfe",
        &[b'a'; 64],
        "a.".repeat(128).as_bytes(),
    ] {
        assert!(matches!(named(wrong), Err(HelloError::Name(_))), "{:?}", String::from_utf8_lossy(wrong));
    }
}

#[test]
fn odd_name_lists_are_refused() {
    let with = |data: Vec<u8>| whole(&with_extensions(&[(0, data)]));
    let one = names(&[(0, b"a.example")]);
    assert_eq!(with(names(&[(0, b"a.example"), (0, b"b.example")])), Err(HelloError::SeveralNames));
    assert_eq!(with(names(&[(0, b"a.example"), (1, b"x")])), Err(HelloError::SeveralNames));
    assert_eq!(with(names(&[(1, b"x"), (0, b"a.example")])), Err(HelloError::NameType(1)));
    assert_eq!(with(vec![]), Err(HelloError::Length("server_name_list")));
    assert_eq!(with(vec![0, 0]), Err(HelloError::Length("server_name_list")));
    assert_eq!(with([one.clone(), vec![0]].concat()), Err(HelloError::Length("server_name_list")));
    assert_eq!(with(vec![0, 4, 0, 0, 9, b'a']), Err(HelloError::Length("host_name")));
    let twice = with_extensions(&[(0, one.clone()), (16, vec![]), (0, one)]);
    assert_eq!(whole(&twice), Err(HelloError::SeveralNames));
}

#[test]
fn what_is_no_hello_is_refused_with_a_reason() {
    let (_, good) = hello!("openssl-tls13");
    let changed = |at: usize, byte: u8| {
        let mut bytes = good.to_vec();
        bytes[at] = byte;
        whole(&bytes)
    };
    assert_eq!(whole(b"GET / HTTP/1.1\r\n"), Err(HelloError::NotTls(b'G')));
    assert_eq!(whole(&[0x80, 0x2e, 1, 0, 2]), Err(HelloError::Ssl2));
    assert_eq!(in_steps(&[0x80, 0x2e, 1, 0, 2], 1), Err(HelloError::Ssl2));
    assert_eq!(whole(&[0x80, 0x2e, 2]), Err(HelloError::NotTls(0x80)));
    assert_eq!(changed(1, 2), Err(HelloError::Version(0x0201)));
    assert_eq!(whole(&[22, 3, 1, 0, 0]), Err(HelloError::RecordLength(0)));
    assert_eq!(whole(&[22, 3, 1, 0x40, 1]), Err(HelloError::RecordLength(16385)));
    assert_eq!(changed(5, 2), Err(HelloError::NotClientHello(2)));
    assert_eq!(changed(9, 2), Err(HelloError::Version(0x0203)));
    assert_eq!(changed(8, good[8] - 1), Err(HelloError::Trailing));
    assert_eq!(changed(43, 255), Err(HelloError::Length("legacy_session_id")));
    let mut interrupted = records(&good[5..40], 100);
    interrupted.extend([23, 3, 3, 0, 1, 0]);
    assert_eq!(whole(&interrupted), Err(HelloError::Interrupted(23)));
    let body = &message(good)[4..];
    let longer = [body, &[0]].concat();
    assert_eq!(whole(&with_body(&longer)), Err(HelloError::Length("extensions")));
    // Without extensions, as the oldest clients send it: no name.
    let bare = with_body(&[&[3, 1], [7; 32].as_slice(), &[0, 0, 2, 0, 47, 1, 0]].concat());
    assert_eq!(complete(&bare), ClientHello::default());
}

#[test]
fn every_truncated_hello_is_refused() {
    let (_, good) = hello!("go");
    let body = &message(good)[4..];
    // Up to the end of the compression methods it may end; there, it has no extensions.
    let mut whole_ones = 0;
    for len in 0..body.len() {
        whole_ones += u32::from(whole(&with_body(&body[..len])).is_ok());
    }
    assert_eq!(whole_ones, 1);
}

#[test]
fn the_limit_holds() {
    let (_, large) = hello!("openssl-two-records");
    let limited = |limit| HelloReader::new(limit).read(large);
    assert!(matches!(limited(large.len()), Ok(Progress::Complete(_))));
    assert_eq!(limited(large.len() - 6), Err(HelloError::TooLong(large.len() - 6)));
    // Announced, not sent.
    assert_eq!(HelloReader::new(1000).read(&[22, 3, 1, 0x20, 0]), Err(HelloError::TooLong(1000)));
    assert_eq!(HelloReader::new(1000).read(&[22, 3, 1, 0, 4, 1, 0, 0x10, 0]), Err(HelloError::TooLong(1000)));
}

#[test]
fn a_name_beside_an_encrypted_one_counts_only_by_setting() {
    let hello = |extension: (u16, Vec<u8>)| {
        complete(&with_extensions(&[(0, names(&[(0, b"front.example")])), extension]))
    };
    let outer = vec![0, 0, 1, 0, 1, 5, 0, 0, 0, 0];
    for hidden in [(0xfe0d, outer), (0xfe0d, vec![]), (0xffce, vec![1]), (0xfe0a, vec![0])] {
        let hello = hello(hidden);
        assert_eq!(hello.name(OuterName::Ignored), None);
        assert_eq!(hello.name(OuterName::Counts), Some("front.example"));
    }
    // What a front end hands on after it has decrypted.
    assert_eq!(hello((0xfe0d, vec![1])).name(OuterName::Ignored), Some("front.example"));
    assert_eq!(hello((0x0a0a, vec![])).name(OuterName::Ignored), Some("front.example"));
    assert!(hello((42, vec![])).early_data);
}

proptest! {
    #[test]
    fn any_bytes_in_any_steps_are_read_alike(bytes in proptest::collection::vec(any::<u8>(), 0..200), step in 1_usize..9) {
        prop_assert_eq!(in_steps(&bytes, step), whole(&bytes));
    }

    #[test]
    fn damaged_hellos_in_any_steps_are_read_alike(
        which in 0..REAL.len(),
        damage in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        step in 1_usize..400,
    ) {
        let mut bytes = REAL[which].1.to_vec();
        for (at, byte) in damage {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        prop_assert_eq!(in_steps(&bytes, step), whole(&bytes));
    }
}
