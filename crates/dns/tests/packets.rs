//! Packets of dig, unbound and dnsmasq, and packets that nobody should send.

#![expect(clippy::unwrap_used, reason = "packets are written by hand")]

use ciliate_dns::{
    Answer, FrameReader, Malformed, Query, Question, RecordType, Reply, Resolved, ResponseCode, reply, set_id,
};

fn bytes(hex: &str) -> Vec<u8> {
    let hex: Vec<char> = hex.chars().filter(|c| !c.is_whitespace()).collect();
    hex.chunks(2).map(|two| u8::from_str_radix(&two.iter().collect::<String>(), 16).unwrap()).collect()
}

/// What an answer says about the question it repeats.
fn told(answer: &Answer<'_>, asked: &Question) -> Result<String, Malformed> {
    let mut found = Resolved::default();
    answer.resolve(asked, &mut found)?;
    let names: Vec<String> = found.names.iter().map(|alias| alias.name.to_string()).collect();
    let addresses: Vec<String> =
        found.addresses.iter().map(|found| format!("{}/{}", found.address, found.ttl)).collect();
    Ok(format!("{}: {} ({})", names.join(" "), addresses.join(" "), found.ignored))
}

fn resolve(message: &[u8]) -> Result<String, Malformed> {
    let answer = Answer::parse(message)?;
    told(&answer, answer.question.as_ref().unwrap())
}

#[test]
fn queries_of_dig() {
    for (hex, name, kind, limit) in [
        (
            "45320120000100000000000103777777076578616d706c6503636f6d000001000100002904d000000000000c000a0008825675c20c0c926d",
            "www.example.com",
            "A",
            1232,
        ),
        (
            "ea8f01200001000000000001074578616d706c65034f52470000410001000029100000008000000c000a0008c36f411558bb873f",
            "example.org",
            "HTTPS",
            4096,
        ),
        ("20d801200001000000000000076578616d706c65036e65740000ff0001", "example.net", "ANY", 512),
        (
            "1f38013000010000000000010131013201300331393207696e2d61646472046172706100000c000100002904d000000000000c000a0008ceeedebb8ef16a7d",
            "1.2.0.192.in-addr.arpa",
            "PTR",
            1232,
        ),
        ("ba55012000010000000000000000020001", ".", "NS", 512),
    ] {
        let message = bytes(hex);
        let query = Query::parse(&message).unwrap();
        assert_eq!(query.question.name.to_string(), name);
        assert_eq!(query.question.kind.to_string(), kind);
        assert_eq!(query.udp_limit(), limit);
        assert_eq!(query.edns.is_some_and(|edns| edns.dnssec_ok), kind == "HTTPS");
        // Cut anywhere, it is no query.
        for end in 0..message.len() {
            assert!(Query::parse(&message[..end]).is_err(), "{name} cut at {end}");
        }
    }
}

#[test]
fn answers_of_unbound_and_dnsmasq() {
    for (hex, expected) in [
        (
            "12348580000100020000000103577757076558616d706c6503636f6d0000010001c00c000100010000012c0004c000020bc00c000100010000012c0004c000020a00002904d0000000000000",
            "www.example.com: 192.0.2.10/300 192.0.2.11/300 (0)",
        ),
        (
            "12348580000100010000000003777777076578616d706c6503636f6d00001c0001c00c001c00010000012c001020010db8000000000000000000000010",
            "www.example.com: 2001:db8::10/300 (0)",
        ),
        (
            "12348580000100010000000103737663076578616d706c6503636f6d0000410001c00c004100010000003c002d0001000001000602683202683300040008c0000214c00002150006001020010db800000000000000000000002000002904d0000000000000",
            "svc.example.com: 192.0.2.20/60 192.0.2.21/60 2001:db8::20/60 (0)",
        ),
        (
            "1234858000010003000000010573686f7274076578616d706c65036f72670000010001c00c0005000100000000001305616c696173076578616d706c6503636f6d00c02f0005000100000000001406746172676574076578616d706c65036e657400c04e00010001000000000004c000024d00002904d0000000000000",
            "short.example.org alias.example.com target.example.net: 192.0.2.77/0 (0)",
        ),
        ("123485830001000000000001026e78076578616d706c6503636f6d000001000100002904d0000000000000", ":  (0)"),
        (
            "12348580000100010000000103747874076578616d706c6503636f6d0000100001c00c001000010000003c000e062268656c6c6f06776f726c642200002904d0000000000000",
            "txt.example.com:  (0)",
        ),
    ] {
        let message = bytes(hex);
        assert_eq!(resolve(&message).unwrap(), expected);
        for end in 0..message.len() {
            assert!(Answer::parse(&message[..end]).is_err(), "{expected} cut at {end}");
        }
        let mut longer = message.clone();
        longer.push(0);
        assert_eq!(Answer::parse(&longer).map(|_| ()), Err(Malformed::TrailingBytes));
    }
}

/// Header counts, then the sections.
fn message(counts: [u8; 4], flags: [u8; 2], sections: &[&[u8]]) -> Vec<u8> {
    let mut message = vec![0, 1, flags[0], flags[1]];
    message.extend(counts.iter().flat_map(|count| [0, *count]));
    message.extend(sections.concat());
    message
}

const QUESTION: &[u8] = b"\x01a\x01b\0\0\x01\0\x01";

fn record(owner: &[u8], kind: u8, ttl: u32, data: &[u8]) -> Vec<u8> {
    [owner, &[0, kind, 0, 1], &ttl.to_be_bytes(), &[0, u8::try_from(data.len()).unwrap()], data].concat()
}

#[test]
fn queries_that_lie_are_named_and_answered() {
    let opt: &[u8] = b"\0\0\x29\x10\0\0\0\0\0\0\0";
    let a = record(b"\x01a\0", 1, 1, &[1, 2, 3, 4]);
    for (malformed, reply, message) in [
        (Malformed::NoHeader, None, vec![0; 11]),
        (Malformed::NotAQuery, None, message([1, 0, 0, 0], [0x80, 0], &[QUESTION])),
        (Malformed::Operation, Some(4), message([1, 0, 0, 0], [0x28, 0], &[QUESTION])),
        (Malformed::QuestionCount, Some(1), message([0, 0, 0, 0], [1, 0], &[])),
        (Malformed::QuestionCount, Some(1), message([2, 0, 0, 0], [1, 0], &[QUESTION, QUESTION])),
        (Malformed::QueryRecords, Some(1), message([1, 1, 0, 0], [1, 0], &[QUESTION, &a])),
        (Malformed::QueryRecords, Some(1), message([1, 0, 1, 0], [1, 0], &[QUESTION, &a])),
        (Malformed::CutShort, Some(1), message([1, 0, 0, 1], [1, 0], &[QUESTION])),
        (Malformed::CutShort, Some(1), message([1, 0, 0, 2], [1, 0], &[QUESTION, opt])),
        (Malformed::TrailingBytes, Some(1), message([1, 0, 0, 0], [1, 0], &[QUESTION, opt])),
        (Malformed::Pointer, Some(1), message([1, 0, 0, 0], [1, 0], &[b"\xc0\x0c\0\x01\0\x01"])),
        (Malformed::Pointer, Some(1), message([1, 0, 0, 0], [1, 0], &[b"\x01a\xc0\x10\0\0\x01\0\x01"])),
        (Malformed::Pointer, Some(1), message([1, 0, 0, 1], [1, 0], &[QUESTION, b"\xc0\x15\0\x01\0\x01"])),
        (Malformed::LabelKind, Some(1), message([1, 0, 0, 0], [1, 0], &[b"\x41a\0\0\x01\0\x01"])),
        (
            Malformed::NameLength,
            Some(1),
            message([1, 0, 0, 0], [1, 0], &[&b"\x01a".repeat(128), b"\0\0\x01\0\x01"]),
        ),
        (Malformed::Opt, Some(1), message([1, 0, 0, 2], [1, 0], &[QUESTION, opt, opt])),
        (Malformed::Opt, Some(1), message([1, 0, 0, 1], [1, 0], &[QUESTION, b"\x01a", opt])),
        (
            Malformed::OptData,
            Some(1),
            message([1, 0, 0, 1], [1, 0], &[QUESTION, &opt[..9], b"\0\x05\0\x0a\0\x02x"]),
        ),
    ] {
        assert_eq!(Query::parse(&message).map(|_| ()), Err(malformed), "{message:x?}");
        let mut out = vec![9];
        let code = reply::to_malformed(&message, malformed, &mut out).then(|| out[3] & 0x0f);
        assert_eq!(code, reply, "{malformed}");
        if let Some(code) = code {
            assert_eq!(out[..2], [0, 1]);
            let read = Answer::parse(&out).map(|answer| answer.id);
            assert_eq!(read, if code == 4 { Err(Malformed::Operation) } else { Ok(1) });
            assert!(out.len() <= message.len(), "an answer that amplifies");
        }
    }
    assert!(Query::parse(&message([1, 0, 1, 0], [1, 0], &[b"\x01a\0\0\xfb\0\x01", &a])).is_ok(), "IXFR");
}

#[test]
fn only_what_was_asked_for_is_opened() {
    let asked = Query::parse(&message([1, 0, 0, 0], [1, 0], &[QUESTION])).unwrap().question;
    let address = |last| [192, 0, 2, last];
    let tell = |records: &[Vec<u8>], additional: &[Vec<u8>]| {
        let (count, more) = (u8::try_from(records.len()).unwrap(), u8::try_from(additional.len()).unwrap());
        let sections = [&[QUESTION.to_vec()], records, additional].concat();
        let sections: Vec<&[u8]> = sections.iter().map(Vec::as_slice).collect();
        let bytes = message([1, count, 0, more], [0x81, 0x80], &sections);
        told(&Answer::parse(&bytes).unwrap(), &asked)
    };
    let a = |owner: &[u8], last| record(owner, 1, 60, &address(last));
    let cname = |owner: &[u8], target: &[u8]| record(owner, 5, 30, target);
    let (ab, c, d) = (&b"\x01A\x01b\0"[..], &b"\x01c\0"[..], &b"\x01d\0"[..]);
    for (records, additional, expected) in [
        (vec![a(ab, 1)], vec![], "a.b: 192.0.2.1/60 (0)"),
        (vec![a(ab, 1), a(c, 2)], vec![a(ab, 3)], "a.b: 192.0.2.1/60 (1)"),
        (vec![cname(ab, c), a(c, 1)], vec![], "a.b c: 192.0.2.1/30 (0)"),
        // Out of order.
        (vec![a(d, 1), cname(c, d), cname(ab, c)], vec![], "a.b c d: 192.0.2.1/30 (0)"),
        // In a circle.
        (vec![cname(ab, c), cname(c, ab), a(c, 1)], vec![], "a.b c: 192.0.2.1/30 (0)"),
        // Two aliases of one name: the first.
        (vec![cname(ab, c), cname(ab, d), a(c, 1), a(d, 2)], vec![], "a.b c: 192.0.2.1/30 (1)"),
        // An alias beside the chain.
        (vec![cname(c, d), a(d, 1)], vec![], "a.b:  (1)"),
        // Another type than was asked for.
        (vec![record(ab, 28, 60, &[1; 16])], vec![], "a.b:  (0)"),
        // Not another host's.
        (
            vec![
                record(ab, 1, 60, &[127, 0, 0, 1]),
                record(ab, 1, 60, &[0; 4]),
                record(ab, 1, 60, &[224, 0, 0, 1]),
            ],
            vec![],
            "a.b:  (3)",
        ),
        // Twice, and a TTL with the highest bit.
        (
            vec![record(ab, 1, 5, &address(1)), record(ab, 1, 1 << 31, &address(1))],
            vec![],
            "a.b: 192.0.2.1/5 (0)",
        ),
    ] {
        assert_eq!(tell(&records, &additional).unwrap(), expected);
    }
    assert_eq!(tell(&[record(ab, 1, 60, &[1; 5])], &[]), Err(Malformed::RecordData));
    assert_eq!(tell(&[record(ab, 5, 60, b"\x01c\0x")], &[]), Err(Malformed::RecordData));
    let long: Vec<Vec<u8>> = (0..20_u8)
        .map(|n| cname(&if n == 0 { ab.to_vec() } else { vec![1, b'e' + n, 0] }, &[1, b'e' + n + 1, 0]))
        .collect();
    assert_eq!(tell(&long, &[]), Err(Malformed::Aliases));
}

#[test]
fn another_question_or_an_error_gives_nothing() {
    let record = record(b"\x01a\x01b\0", 1, 60, &[192, 0, 2, 1]);
    let asked = Query::parse(&message([1, 0, 0, 0], [1, 0], &[QUESTION])).unwrap().question;
    let tell = |flags, question: &[u8]| {
        let bytes = message([1, 1, 0, 0], flags, &[question, &record]);
        told(&Answer::parse(&bytes).unwrap(), &asked).unwrap()
    };
    assert_eq!(tell([0x81, 0x80], QUESTION), "a.b: 192.0.2.1/60 (0)");
    assert_eq!(tell([0x81, 0x83], QUESTION), ":  (0)", "NXDOMAIN");
    assert_eq!(tell([0x81, 0x80], b"\x01a\x01c\0\0\x01\0\x01"), ":  (0)", "another name");
    assert_eq!(tell([0x81, 0x80], b"\x01a\x01b\0\0\xff\0\x01"), ":  (0)", "another type");
    assert_eq!(tell([0x81, 0x80], b"\x01a\x01b\0\0\x01\0\x03"), ":  (0)", "another class");
}

#[test]
fn addresses_of_ipv4_inside_of_ipv6_are_nobodys() {
    let question = b"\x01a\0\0\x1c\0\x01";
    let mapped = [&[0; 10][..], &[0xff, 0xff, 192, 0, 2, 1]].concat();
    let bytes = message([1, 1, 0, 0], [0x81, 0x80], &[question, &record(b"\xc0\x0c", 28, 9, &mapped)]);
    assert_eq!(resolve(&bytes).unwrap(), "a:  (1)");
}

#[test]
fn services_in_alias_mode_are_followed_and_bad_ones_refused() {
    let question = b"\x01a\0\0\x41\0\x01";
    let tell = |records: &[Vec<u8>]| {
        let sections: Vec<&[u8]> =
            std::iter::once(&question[..]).chain(records.iter().map(Vec::as_slice)).collect();
        resolve(&message([1, u8::try_from(records.len()).unwrap(), 0, 0], [0x81, 0x80], &sections))
    };
    let https = |owner: &[u8], data: &[u8]| record(owner, 65, 60, data);
    let hint = b"\0\x01\0\0\x04\0\x04\xc0\0\x02\x01";
    assert_eq!(
        tell(&[https(b"\xc0\x0c", b"\0\0\x01b\0"), https(b"\x01b\0", hint)]).unwrap(),
        "a b: 192.0.2.1/60 (0)"
    );
    assert_eq!(tell(&[https(b"\x01b\0", hint)]).unwrap(), "a:  (1)");
    assert_eq!(tell(&[https(b"\xc0\x0c", b"\0\0\0")]).unwrap(), "a:  (0)", "no service");
    for data in [
        &b"\0"[..],
        b"\0\x01\xc0\x0c",
        b"\0\x01\0\0\x04\0\x05\x01\x02\x03\x04\x05",
        b"\0\x01\0\0\x04\0\0",
        b"\0\x01\0\0\x04\0\x08\x01\x02\x03\x04",
        b"\0\x01\0\0\x06\0\x04\x01\x02\x03\x04",
        b"\0\x01\0\0\x04\0\x04\x01\x02\x03\x04\0\x04\0\x04\x01\x02\x03\x04",
        b"\0\x01\0\0\x05\0\0\0\x04\0\x04\x01\x02\x03\x04",
    ] {
        assert_eq!(tell(&[https(b"\xc0\x0c", data)]), Err(Malformed::RecordData), "{data:x?}");
    }
}

#[test]
fn replies_repeat_the_question() {
    let edns = bytes(
        "ea8f01300001000000000001074578616d706c65034f52470000410001000029100000008000000c000a0008c36f411558bb873f",
    );
    let query = Query::parse(&edns).unwrap();
    for (reply, code) in [
        (Reply::Refused, ResponseCode::REFUSED),
        (Reply::NxDomain, ResponseCode::NXDOMAIN),
        (Reply::ServFail, ResponseCode::SERVFAIL),
        (Reply::Busy, ResponseCode::SERVFAIL),
        (Reply::FormErr, ResponseCode::FORMERR),
        (Reply::NotImp, ResponseCode::NOTIMP),
    ] {
        let mut out = vec![1, 2, 3];
        reply::to_query(&query, reply, &mut out);
        let answer = Answer::parse(&out).unwrap();
        assert_eq!((answer.id, answer.code()), (0xea8f, code));
        assert_eq!(answer.flags.0 & 0xfff0, 0x8190, "answer, RD and CD as asked, RA");
        assert_eq!(answer.question_bytes(), query.question_bytes());
        let edns = answer.edns.unwrap();
        assert_eq!((edns.udp_size, edns.version, edns.dnssec_ok), (1232, 0, true));
    }
    let plain = bytes("20d800000001000000000000076578616d706c65036e65740000ff0001");
    let mut out = Vec::new();
    reply::to_query(&Query::parse(&plain).unwrap(), Reply::Refused, &mut out);
    assert_eq!(out, bytes("20d880850001000000000000076578616d706c65036e65740000ff0001"));
}

#[test]
fn truncated_answers_send_the_client_to_tcp() {
    let whole = bytes(
        "12348580000100020000000103577757076558616d706c6503636f6d0000010001c00c000100010000012c0004c000020bc00c000100010000012c0004c000020a00002904d0000000000000",
    );
    let mut out = Vec::new();
    reply::truncate(&whole, &mut out).unwrap();
    set_id(&mut out, 0xabcd);
    assert_eq!(
        out,
        bytes("abcd8780000100000000000103577757076558616d706c6503636f6d000001000100002904d0000000000000")
    );
    assert_eq!(resolve(&out).unwrap(), "www.example.com:  (0)");
    assert!(reply::truncate(&whole[..20], &mut out).is_err());
}

#[test]
fn types_are_written_as_people_know_them() {
    assert_eq!(RecordType(65).to_string(), "HTTPS");
    assert_eq!(RecordType(65_280).to_string(), "TYPE65280");
    assert_eq!(ResponseCode(5).to_string(), "REFUSED");
    let labels: std::collections::HashSet<&str> =
        Malformed::ALL.iter().map(|malformed| malformed.label()).collect();
    assert_eq!(labels.len(), Malformed::ALL.len());
    assert!(FrameReader::new().is_between());
}
