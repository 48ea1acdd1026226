//! HTTP/2, frame by frame.

use crate::frames::{
    END_HEADERS, END_STREAM, Frame, PREFACE, Talk, block, data, frame, frames, get, headers, literal, reset,
    settings, window,
};
use ciliate_http::{
    ACCESS_DENIED, Limits, Refusal, ServerFault, Settings,
    h1::{ClientEnd, ServerEnd},
    h2::{ClientNext, ServerNext, Spoken, spoken},
};
use proptest::prelude::*;

const OK: &[u8] = &[0x88];

#[test]
fn the_preface_is_recognised() {
    assert_eq!(spoken(PREFACE), Spoken::Http2);
    assert_eq!(spoken(&PREFACE[..3]), Spoken::Unknown);
    assert_eq!(spoken(b""), Spoken::Unknown);
    assert_eq!(spoken(b"PUT / HTTP/1.1"), Spoken::Http1);
}

#[test]
fn what_is_allowed_passes_verbatim() {
    let mut talk = Talk::silent(Settings::default());
    let request = [
        PREFACE,
        &settings(&[(2, 0), (4, 1 << 20)]),
        &window(0, 1 << 20),
        &headers(1, 0, &[&get("/allowed")[..], &literal(0x40, "x-trace", "1")].concat()),
        &data(1, 0, "abc"),
        &headers(1, END_STREAM, &block(&[("grpc-checksum", "7")])),
        &headers(3, END_STREAM, &[&get("/allowed/2")[..], &[0xbe]].concat()),
        &frame(6, 0, 0, "12345678"),
    ]
    .concat();
    talk.client(&request);
    assert_eq!(talk.to_server, request);
    assert_eq!(talk.judged, ["GET /allowed a.example", "GET /allowed/2 a.example"]);
    let response = [
        settings(&[(3, 100)]),
        frame(4, 1, 0, ""),
        headers(3, 0, OK),
        headers(1, 0, OK),
        data(1, 0, "body"),
        headers(1, END_STREAM, &block(&[("grpc-status", "0")])),
        data(3, END_STREAM, ""),
    ]
    .concat();
    talk.server(&response);
    assert_eq!(talk.to_client, response);
    assert_eq!(talk.statuses, [(2, 200), (1, 200)]);
    assert_eq!(talk.connection.outstanding(), 0);
}

#[test]
fn settings_are_bounded_and_nobody_pushes() {
    let mut talk = Talk::silent(Settings::default());
    talk.client([PREFACE, &settings(&[(1, 1 << 20), (2, 1), (9, 9)])].concat());
    assert_eq!(talk.to_server, [PREFACE, &settings(&[(1, 65536), (2, 0), (9, 9)])].concat());
    talk.server(settings(&[(1, 1 << 20)]));
    assert_eq!(talk.to_client, settings(&[(1, 65536), (3, 250)]));
    let mut talk = Talk::silent(Settings::default());
    talk.client([PREFACE, &settings(&[])].concat());
    assert_eq!(talk.to_server, [PREFACE, &settings(&[(2, 0)])].concat());
    talk.client(settings(&[(4, 7)]));
    assert!(talk.to_server.ends_with(&settings(&[(4, 7)])));
}

/// Names and values of a block that has nothing but literals with names.
fn literals(mut block: &[u8]) -> Vec<(String, String)> {
    let mut out = Vec::new();
    while let [0x00 | 0x10 | 0x40, rest @ ..] = block {
        let (name, rest) = rest[1..].split_at(usize::from(rest[0]));
        let (value, rest) = rest[1..].split_at(usize::from(rest[0]));
        out.push((String::from_utf8(name.into()).unwrap(), String::from_utf8(value.into()).unwrap()));
        block = rest;
    }
    assert!(block.is_empty(), "{block:?}");
    out
}

fn pairs(of: &[(&str, &str)]) -> Vec<(String, String)> {
    of.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

#[test]
fn a_denial_is_a_response() {
    let mut talk = Talk::new();
    talk.client(headers(1, END_STREAM, &get("/denied")));
    assert_eq!(talk.to_server, b"");
    let [Frame(1, END_HEADERS, 1, head), Frame(0, END_STREAM, 1, body)] = &frames(&talk.to_client)[..] else {
        panic!("{:?}", frames(&talk.to_client))
    };
    assert_eq!(
        literals(head),
        pairs(&[
            (":status", "403"),
            ("content-length", "15"),
            ("content-type", "text/plain"),
            ("server", "ciliate")
        ])
    );
    assert_eq!(body, ACCESS_DENIED.as_bytes());
    assert_eq!(talk.connection.outstanding(), 0);
}

#[test]
fn a_denial_over_grpc_is_a_status() {
    let mut talk = Talk::new();
    let request = block(&[
        (":method", "POST"),
        (":scheme", "http"),
        (":path", "/package.Service/Method"),
        (":authority", "a"),
        ("content-type", "application/grpc+proto"),
        ("te", "trailers"),
    ]);
    talk.client(headers(1, 0, &request));
    let all = frames(&talk.to_client);
    assert_eq!((all[0].0, all[0].1), (1, END_HEADERS | END_STREAM));
    assert_eq!(
        literals(&all[0].3),
        pairs(&[
            (":status", "200"),
            ("content-type", "application/grpc"),
            ("grpc-status", "7"),
            ("grpc-message", "Access denied")
        ])
    );
    // The client may stop sending.
    assert_eq!(all[1..], [Frame(3, 0, 1, vec![0; 4])]);
    assert_eq!(talk.to_server, b"");
}

#[test]
fn the_text_of_a_denial_is_a_setting() {
    let mut talk = Talk::silent(Settings { denied_body: "100 % n\u{f6}\r\n".into(), ..Settings::default() });
    talk.client([PREFACE, &settings(&[(2, 0)])].concat());
    talk.server(settings(&[]));
    talk.forget();
    talk.client(headers(1, END_STREAM, &get("/denied")));
    assert_eq!(frames(&talk.to_client)[1].3, "100 % n\u{f6}\r\n".as_bytes());
    talk.forget();
    let grpc = [get("/denied"), block(&[("content-type", "application/grpc")])].concat();
    talk.client(headers(3, END_STREAM, &grpc));
    let message = literals(&frames(&talk.to_client)[0].3).pop().unwrap();
    assert_eq!(message, ("grpc-message".into(), "100 %25 n%C3%B6".into()));
}

#[test]
fn after_a_denial_headers_are_written_anew() {
    let mut talk = Talk::new();
    let first = [&get("/denied")[..], &literal(0x40, "x-secret", "s")].concat();
    talk.client(headers(1, END_STREAM, &first));
    // The client refers to what the server never saw.
    talk.client(headers(
        3,
        END_STREAM,
        &[&get("/allowed")[..], &[0xbe], &literal(0x10, "cookie", "c")].concat(),
    ));
    let [Frame(1, flags, 3, head)] = &frames(&talk.to_server)[..] else { panic!("{:?}", talk.to_server) };
    assert_eq!(*flags, END_HEADERS | END_STREAM);
    // Everything that came before is forgotten first; what the server has in its fixed table is named by number.
    assert_eq!(head[..4], [0x20, 0x3f, 0xe1, 0x1f]);
    let wanted = [
        &[0x82, 0x86][..],
        &[0x44, 8],
        b"/allowed",
        &[0x41, 9],
        b"a.example",
        &[0x40, 8],
        b"x-secret",
        &[1],
        b"s",
        // What must never be put into a table is not.
        &[0x1f, 0x11, 1],
        b"c",
    ]
    .concat();
    assert_eq!(head[4..], wanted);
    talk.forget();
    talk.client(headers(5, END_STREAM, &get("/allowed")));
    assert_eq!(frames(&talk.to_server)[0].3, [0x82, 0x86, 0xc0, 0xbf]);
}

#[test]
fn requests_are_put_into_one_form() {
    let mut talk = Talk::new();
    let request = block(&[
        (":method", "GET"),
        (":scheme", "http"),
        (":path", "/%61llowed"),
        (":authority", "A.Example:80"),
        ("cookie", "a=1"),
        ("x", "y"),
        ("cookie", "b=2"),
    ]);
    talk.client(headers(1, END_STREAM, &request));
    assert_eq!(talk.judged, ["GET /allowed a.example"]);
    let sent = frames(&talk.to_server).remove(0).3;
    assert!(sent.windows(8).any(|w| w == b"/allowed") && sent.windows(12).any(|w| w == b"a.example:80"));
    assert!(sent.windows(8).any(|w| w == b"a=1; b=2"));
}

#[test]
fn websockets_are_judged_as_over_http_1() {
    let mut talk = Talk::new();
    let request = [
        (":method", "CONNECT"),
        (":protocol", "websocket"),
        (":scheme", "http"),
        (":path", "/allowed"),
        (":authority", "a"),
    ];
    let bytes = [headers(1, 0, &block(&request)), data(1, 0, "frames")].concat();
    talk.client(&bytes);
    assert_eq!((talk.judged.clone(), &talk.to_server), (vec!["GET /allowed a".to_owned()], &bytes));
}

/// Requests that are answered with an error before any rule is asked; the connection goes on.
#[test]
fn bad_requests_are_refused() {
    use Refusal::*;
    const M: (&str, &str) = (":method", "GET");
    const S: (&str, &str) = (":scheme", "http");
    const P: (&str, &str) = (":path", "/allowed");
    const A: (&str, &str) = (":authority", "a");
    let cases: &[(&[(&str, &str)], Refusal)] = &[
        (&[S, P, A], Method),
        (&[M, P, A], PseudoHeader),
        (&[M, S, A], PseudoHeader),
        (&[M, S, P], HostMissing),
        (&[M, M, S, P, A], PseudoHeader),
        (&[M, S, P, P, A], PseudoHeader),
        (&[M, S, P, A, A], PseudoHeader),
        (&[M, S, P, ("x", "y"), A], PseudoHeader),
        (&[M, S, P, A, ("cookie", "x"), (":path", "/")], PseudoHeader),
        (&[M, S, P, A, (":status", "200")], PseudoHeader),
        (&[M, S, P, A, (":protocol", "websocket")], PseudoHeader),
        (&[(":method", "CONNECT"), (":authority", "a:443")], Connect),
        (&[(":method", "CONNECT"), (":protocol", "bytes"), S, P, A], Connect),
        (&[(":method", "G T"), S, P, A], Method),
        (&[(":method", ""), S, P, A], Method),
        (&[M, ("::scheme", "http"), P, A], PseudoHeader),
        (&[M, (":scheme", "ftp"), P, A], Target),
        (&[M, S, (":path", ""), A], Target),
        (&[M, S, (":path", "*"), A], Target),
        (&[M, S, (":path", "allowed"), A], Target),
        (&[M, S, (":path", "http://a/allowed"), A], Target),
        (&[M, S, (":path", "/allowed/../denied"), A], PathDots),
        (&[M, S, (":path", "/allowed%2f..%2fdenied"), A], PathEscapedSlash),
        (&[M, S, (":path", "//allowed"), A], PathSlashes),
        (&[M, S, (":path", "/allowed#x"), A], Fragment),
        (&[M, S, (":path", "/allowed x"), A], RequestLine),
        (&[M, S, P, (":authority", "a b")], HostInvalid),
        (&[M, S, P, (":authority", "")], HostInvalid),
        (&[M, S, P, (":authority", "u@a")], HostInvalid),
        (&[M, S, P, A, ("host", "b")], HostDiffers),
        (&[M, S, P, A, ("host", "a"), ("host", "a")], HostRepeated),
        (&[M, S, P, A, ("Host", "a")], UpperCase),
        (&[M, S, P, A, ("x y", "a")], HeaderName),
        (&[M, S, P, A, ("", "a")], HeaderName),
        (&[M, S, P, A, ("x:", "a")], HeaderName),
        (&[M, S, P, A, ("x", "a\r\nhost: b")], Control),
        (&[M, S, P, A, ("x", "a\0")], Nul),
        (&[M, S, P, A, ("x", " a")], Control),
        (&[M, S, P, A, ("x", "a ")], Control),
        (&[M, S, P, A, ("connection", "close")], ConnectionHeader),
        (&[M, S, P, A, ("keep-alive", "1")], ConnectionHeader),
        (&[M, S, P, A, ("proxy-connection", "x")], ConnectionHeader),
        (&[M, S, P, A, ("transfer-encoding", "chunked")], ConnectionHeader),
        (&[M, S, P, A, ("upgrade", "h2c")], ConnectionHeader),
        (&[M, S, P, A, ("te", "gzip")], ConnectionHeader),
        (&[M, S, P, A, ("content_length", "1")], UnderscoreName),
        (&[M, S, P, A, ("content-length", "1"), ("content-length", "1")], LengthRepeated),
        (&[M, S, P, A, ("content-length", "+1")], LengthInvalid),
        (&[M, S, P, A, ("content-length", "1")], LengthDiffers),
    ];
    for (request, refusal) in cases {
        let mut talk = Talk::new();
        talk.client(headers(1, END_STREAM, &block(request)));
        assert_eq!((&talk.refused[..], talk.client_next), (&[*refusal][..], ClientNext::More), "{request:?}");
        assert_eq!((&talk.to_server[..], talk.judged.len()), (&b""[..], 0), "{request:?}");
        let status = frames(&talk.to_client).remove(0).3;
        assert_eq!(literals(&status)[0].1, refusal.status().to_string(), "{request:?}");
        talk.client(headers(3, END_STREAM, &get("/allowed")));
        assert_eq!((talk.judged.len(), frames(&talk.to_server).len()), (1, 1));
    }
}

/// What a client cannot be forgiven: the connection ends, with a reason.
#[test]
fn bad_frames_end_the_connection() {
    use Refusal::*;
    let ok = |stream| headers(stream, 0, &get("/allowed"));
    let part = |flags, payload: &[u8]| frame(1, flags, 1, payload);
    let more = |flags, stream, payload: &[u8]| frame(9, flags, stream, payload);
    let cases: Vec<(Vec<u8>, Refusal)> = vec![
        (data(1, 0, "x"), StreamId),
        (data(0, 0, "x"), StreamId),
        (data(2, 0, "x"), StreamId),
        ([ok(1), data(1, END_STREAM, ""), data(1, 0, "x")].concat(), StreamId),
        ([ok(1), headers(1, END_STREAM, &[]), headers(1, END_STREAM, &[])].concat(), StreamId),
        (headers(2, 0, &get("/allowed")), StreamId),
        (headers(0, 0, &get("/allowed")), StreamId),
        ([ok(1), frame(0, 8, 1, [5, 0, 0])].concat(), Frame),
        (frame(1, 8 | END_HEADERS, 1, [5, 0, 0]), Frame),
        (frame(1, 0x20 | END_HEADERS, 1, [0, 0]), Frame),
        ([part(0, &get("/allowed")), frame(6, 0, 0, [0; 8])].concat(), Frame),
        ([part(0, &get("/allowed")), more(END_HEADERS, 3, &[])].concat(), Frame),
        (more(END_HEADERS, 1, &[]), Frame),
        (headers(1, 0, &[0xff]), Compression),
        (headers(1, 0, &[0xbe]), Compression),
        (headers(1, 0, &[0x3f, 0xe2, 0x1f]), Compression),
        ([part(0, &[]), more(0, 1, &[]).repeat(40)].concat(), Continuations),
        ([part(0, &[0; 16384]), more(0, 1, &[0; 16384]).repeat(4)].concat(), HeadTooLarge),
        (frame(5, END_HEADERS, 1, [0, 0, 0, 2]), Frame),
        (frame(4, 0, 1, []), Frame),
        (frame(4, 0, 0, [0; 5]), Frame),
        (settings(&[(2, 2)]), Frame),
        (settings(&[(4, 1 << 31)]), Frame),
        (settings(&[(5, 100)]), Frame),
        (frame(4, 1, 0, [0; 6]), FrameSize),
        (frame(6, 0, 0, [0; 7]), FrameSize),
        (frame(3, 0, 1, [0; 3]), FrameSize),
        (reset(1, 8), StreamId),
        (window(1, 1), StreamId),
        (window(0, 0), FlowControl),
        ([window(0, 1 << 30), window(0, 1 << 30)].concat(), FlowControl),
        (frame(8, 0, 0, [0; 3]), FrameSize),
        (frame(0xee, 0, 0, [0; 16385]), FrameSize),
        ([ok(1), data(1, 0, [0; 16385])].concat(), FrameSize),
        ((0..300).flat_map(|n| [ok(2 * n + 1), reset(2 * n + 1, 8)].concat()).collect(), RapidReset),
    ];
    for (bytes, refusal) in cases {
        let mut talk = Talk::new();
        talk.client(&bytes);
        let all = frames(&talk.to_client);
        let last = all.last().unwrap_or_else(|| panic!("{refusal:?} ends with a farewell"));
        assert_eq!(talk.client_next, ClientNext::Close(refusal), "{:?}", frames(&bytes).first());
        assert_eq!((last.0, &last.3[8..]), (7, refusal.name().as_bytes()));
    }
    for (bytes, refusal) in [
        (b"GET / HTTP/1.1\r\n\r\n".to_vec(), Preface),
        ([PREFACE, &frame(6, 0, 0, [0; 8])].concat(), Preface),
        ([PREFACE, &frame(4, 1, 0, [])].concat(), Preface),
    ] {
        let mut talk = Talk::silent(Settings::default());
        talk.client(&bytes);
        assert_eq!(talk.client_next, ClientNext::Close(refusal));
        // SETTINGS come first even here.
        assert_eq!(frames(&talk.to_client).iter().map(|frame| frame.0).collect::<Vec<_>>(), [4, 7]);
    }
}

#[test]
fn a_head_that_is_too_large_in_the_table_is_refused() {
    // One entry of the table, named over and over: few bytes that mean many.
    let mut talk = Talk::new();
    let bomb = [literal(0x40, "x", &"y".repeat(3000)), vec![0xbe; 100]].concat();
    talk.client(headers(1, END_STREAM, &[get("/allowed"), bomb].concat()));
    assert_eq!(talk.refused, [Refusal::HeadTooLarge]);
    let mut talk = Talk::new();
    let many = literal(0, "x", "y").repeat(101);
    talk.client(headers(1, END_STREAM, &[get("/allowed"), many].concat()));
    assert_eq!(talk.refused, [Refusal::TooManyHeaders]);
    let mut talk = Talk::new();
    let long = block(&[
        (":method", "GET"),
        (":scheme", "http"),
        (":path", &format!("/{}", "a".repeat(16_000))),
        (":authority", "a"),
    ]);
    talk.client(headers(1, END_STREAM, &long));
    assert_eq!(talk.refused, []);
}

#[test]
fn lengths_are_kept_to() {
    let post =
        |length: &str| headers(1, 0, &[get("/allowed"), block(&[("content-length", length)])].concat());
    for (bytes, passes) in [
        ([post("3"), data(1, END_STREAM, "abc")].concat(), true),
        ([post("3"), data(1, 0, "ab"), data(1, END_STREAM, "c")].concat(), true),
        ([post("3"), data(1, 0, "abc"), data(1, END_STREAM, "")].concat(), true),
        ([post("3"), data(1, 0, "abc"), headers(1, END_STREAM, &block(&[("x", "y")]))].concat(), true),
        ([post("3"), frame(0, 8 | END_STREAM, 1, [1, b'a', b'b', b'c', 0])].concat(), true),
        ([post("3"), data(1, 0, "abcd")].concat(), false),
        ([post("3"), data(1, END_STREAM, "ab")].concat(), false),
        ([post("3"), data(1, 0, "ab"), headers(1, END_STREAM, &block(&[("x", "y")]))].concat(), false),
        ([post("0"), data(1, END_STREAM, "a")].concat(), false),
        ([post("3"), headers(1, END_STREAM, &block(&[(":path", "/")]))].concat(), false),
        ([post("3"), headers(1, 0, &block(&[("x", "y")]))].concat(), false),
        ([post("0"), headers(1, END_STREAM, &block(&[("authorization", "y")]))].concat(), false),
    ] {
        let mut talk = Talk::new();
        talk.client(&bytes);
        assert_eq!(talk.client_next, ClientNext::More);
        if passes {
            assert_eq!((&talk.to_server, &talk.refused[..]), (&bytes, &[][..]));
        } else {
            assert_eq!(talk.refused.len(), 1, "{:?}", frames(&bytes));
            assert_eq!(frames(&talk.to_server).last().unwrap(), &Frame(3, 0, 1, vec![0, 0, 0, 1]));
            assert_eq!(
                frames(&talk.to_client).iter().find(|frame| frame.0 == 3).unwrap(),
                &Frame(3, 0, 1, vec![0, 0, 0, 1])
            );
            assert_eq!(talk.connection.outstanding(), 0);
        }
    }
}

#[test]
fn bodies_of_denied_requests_are_given_back() {
    let mut talk = Talk::new();
    talk.client(
        [
            headers(1, 0, &get("/denied")),
            data(1, 0, [0; 1000]),
            frame(0, 8, 1, [9; 20]),
            data(1, END_STREAM, ""),
        ]
        .concat(),
    );
    talk.client([window(1, 5), reset(1, 8)].concat());
    assert_eq!(talk.to_server, b"");
    let credits: Vec<_> = frames(&talk.to_client).into_iter().filter(|frame| frame.0 == 8).collect();
    assert_eq!(
        credits,
        [Frame(8, 0, 0, 1000_u32.to_be_bytes().into()), Frame(8, 0, 0, 20_u32.to_be_bytes().into())]
    );
}

#[test]
fn windows_stay_in_step() {
    // The client takes 100 bytes more than at the start; a denial uses 15 that the server knows nothing of.
    let mut talk = Talk::new();
    talk.client(headers(1, END_STREAM, &get("/denied")));
    talk.client(headers(3, END_STREAM, &get("/allowed")));
    talk.server(headers(3, 0, OK));
    for _ in 0..3 {
        talk.server(data(3, 0, [0; 16384]));
    }
    talk.forget();
    // 65535 - 15 - 3 * 16384 are left: the server believes in 15 more, and waits here.
    talk.server(data(3, 0, [0; 16383]));
    assert_eq!((talk.server_next, &talk.to_client[..]), (ServerNext::Wait, &b""[..]));
    talk.client(window(0, 16400));
    assert_eq!(frames(&talk.to_server).last().unwrap(), &Frame(8, 0, 0, 16385_u32.to_be_bytes().into()));
    talk.server("");
    assert_eq!((talk.server_next, frames(&talk.to_client).len()), (ServerNext::More, 1));
    talk.forget();
    talk.client(window(0, 7));
    assert_eq!(talk.to_server, window(0, 7));
}

#[test]
fn a_denial_without_window_has_no_body() {
    let mut talk = Talk::silent(Settings::default());
    talk.client([PREFACE, &settings(&[(2, 0), (4, 0)])].concat());
    talk.server(settings(&[]));
    talk.forget();
    talk.client(headers(1, END_STREAM, &get("/denied")));
    let all = frames(&talk.to_client);
    assert_eq!((all.len(), all[0].1), (1, END_HEADERS | END_STREAM));
    assert!(literals(&all[0].3).contains(&("content-length".into(), "0".into())));
}

#[test]
fn denials_wait_for_their_place() {
    // Before the server's SETTINGS nothing can be said.
    let mut talk = Talk::silent(Settings::default());
    talk.client([PREFACE, &settings(&[(2, 0)]), &headers(1, END_STREAM, &get("/denied"))].concat());
    assert_eq!(talk.to_client, b"");
    talk.server(settings(&[(3, 5)]));
    assert_eq!(frames(&talk.to_client).iter().map(|frame| frame.0).collect::<Vec<_>>(), [4, 1, 0]);
    // Nor in the middle of a frame.
    talk.client(headers(3, END_STREAM, &get("/allowed")));
    let body = data(3, END_STREAM, [7; 100]);
    talk.server([&headers(3, 0, OK)[..], &body[..50]].concat());
    talk.forget();
    talk.client(headers(5, END_STREAM, &get("/denied")));
    assert_eq!(talk.to_client, b"");
    talk.server(&body[50..]);
    let (rest, denial) = talk.to_client.split_at(body.len() - 50);
    assert_eq!(rest, &body[50..]);
    assert_eq!(frames(denial).iter().map(|frame| (frame.0, frame.2)).collect::<Vec<_>>(), [(1, 5), (0, 5)]);
    // And they do not pile up without end.
    talk.client(headers(7, 0, &get("/allowed")));
    talk.server([&headers(7, 0, OK)[..], &data(7, 0, [7; 100])[..50]].concat());
    let many: Vec<u8> = (0..2000).flat_map(|n| headers(9 + 2 * n, END_STREAM, &get("/denied"))).collect();
    talk.client(&many);
    assert_eq!(talk.client_next, ClientNext::Wait);
    talk.server([7; 59]);
    talk.client("");
    assert_eq!(talk.client_next, ClientNext::More);
}

#[test]
fn streams_are_bounded() {
    let settings_two = Settings { limits: Limits { streams: 2, ..Limits::default() }, ..Settings::default() };
    let mut talk = Talk::silent(settings_two);
    talk.client([PREFACE, &settings(&[(2, 0)])].concat());
    talk.server(settings(&[(3, 100)]));
    assert_eq!(talk.to_client, settings(&[(3, 2)]));
    talk.forget();
    for stream in [1, 3, 5] {
        talk.client(headers(stream, END_STREAM, &get("/allowed")));
    }
    assert_eq!((talk.connection.outstanding(), &talk.refused[..]), (2, &[Refusal::TooManyStreams][..]));
    assert_eq!(talk.to_client, reset(5, 7));
    talk.server(headers(1, END_STREAM, OK));
    talk.client(headers(7, END_STREAM, &get("/allowed")));
    assert_eq!(talk.connection.outstanding(), 2);
}

#[test]
fn streams_that_are_not_allowed_any_more_are_reset() {
    let mut talk = Talk::new();
    talk.client([headers(1, 0, &get("/allowed/a")), headers(3, 0, &get("/allowed/b"))].concat());
    talk.forget();
    let (mut to_server, mut to_client) = (Vec::new(), Vec::new());
    let closed =
        talk.connection.rejudge(&mut to_server, &mut to_client, |request| request.path == b"/allowed/b");
    assert_eq!((closed, &to_server, &to_client), (1, &reset(1, 8), &reset(1, 8)));
    // What is still on its way is dropped.
    talk.client([data(1, END_STREAM, "abc"), data(3, END_STREAM, "abc")].concat());
    assert_eq!(talk.to_server, data(3, END_STREAM, "abc"));
    assert_eq!(frames(&talk.to_client), [Frame(8, 0, 0, vec![0, 0, 0, 3])]);
}

/// Whatever a call has come to, its client gets the status of a denial, and nothing behind it.
#[test]
fn a_call_that_is_not_allowed_any_more_ends_with_a_status() {
    let call = block(&[
        (":method", "POST"),
        (":scheme", "http"),
        (":path", "/allowed.Service/Method"),
        (":authority", "a"),
        ("content-type", "application/grpc"),
    ]);
    let status = [("grpc-status", "7"), ("grpc-message", "Access denied")];
    let mut talk = Talk::new();
    talk.client([headers(1, 0, &call), headers(3, END_STREAM, &call)].concat());
    talk.server(headers(3, 0, OK));
    talk.forget();
    let (mut to_server, mut to_client) = (Vec::new(), Vec::new());
    assert_eq!(talk.connection.rejudge(&mut to_server, &mut to_client, |_| false), 2);
    assert_eq!(to_server, [reset(1, 8), reset(3, 8)].concat());
    let [Frame(1, first, 1, whole), stop, Frame(1, second, 3, trailers)] = &frames(&to_client)[..] else {
        panic!("{to_client:?}")
    };
    assert_eq!((*first, *second), (END_HEADERS | END_STREAM, END_HEADERS | END_STREAM));
    let head = [(":status", "200"), ("content-type", "application/grpc")];
    assert_eq!(literals(whole), pairs(&[&head[..], &status].concat()));
    assert_eq!(*stop, Frame(3, 0, 1, vec![0; 4]));
    assert_eq!(literals(trailers), pairs(&status));
    // What the server has sent meanwhile goes nowhere, and the room that it used is given back.
    talk.server([data(3, 0, "late"), data(3, END_STREAM, "r")].concat());
    assert_eq!(talk.to_client, b"");
    assert_eq!(frames(&talk.to_server), [Frame(8, 0, 0, vec![0, 0, 0, 4]), Frame(8, 0, 0, vec![0, 0, 0, 1])]);
}

/// The status waits for the end of a message that is on its way.
#[test]
fn a_call_is_ended_behind_the_frame_that_has_begun() {
    let call = [get("/allowed"), block(&[("content-type", "application/grpc")])].concat();
    let mut talk = Talk::new();
    talk.client(headers(1, END_STREAM, &call));
    talk.server(headers(1, 0, OK));
    let message = data(1, 0, "message");
    talk.server(&message[..12]);
    talk.forget();
    let (mut to_server, mut to_client) = (Vec::new(), Vec::new());
    talk.connection.rejudge(&mut to_server, &mut to_client, |_| false);
    assert_eq!((&to_server[..], &to_client[..]), (&reset(1, 8)[..], &b""[..]));
    talk.server(&message[12..]);
    assert_eq!(&talk.to_client[..4], b"sage");
    let [Frame(1, flags, 1, _)] = &frames(&talk.to_client[4..])[..] else { panic!("{:?}", talk.to_client) };
    assert_eq!(*flags, END_HEADERS | END_STREAM);
}

#[test]
fn servers_are_held_to_the_protocol() {
    for (bytes, fault) in [
        (headers(1, 0, OK), ServerFault::Frame),
        (data(1, 0, "x"), ServerFault::Frame),
        (frame(5, END_HEADERS, 1, [0, 0, 0, 2]), ServerFault::Push),
        (frame(9, END_HEADERS, 1, []), ServerFault::Frame),
        (reset(1, 0), ServerFault::Frame),
        (frame(4, 0, 0, [0; 3]), ServerFault::Frame),
    ] {
        let mut talk = Talk::new();
        talk.server(&bytes);
        assert_eq!(talk.server_next, ServerNext::Abort(fault), "{bytes:?}");
    }
    let mut talk = Talk::new();
    talk.client(headers(1, 0, &get("/allowed")));
    talk.server(headers(1, 0, &[0xff]));
    assert_eq!(talk.server_next, ServerNext::Abort(ServerFault::Compression));
    let mut talk = Talk::silent(Settings::default());
    talk.server(b"HTTP/1.1 400 Bad Request\r\n\r\n");
    assert_eq!(talk.server_next, ServerNext::Abort(ServerFault::Frame));
}

#[test]
fn ends_and_giving_up() {
    let mut talk = Talk::new();
    assert_eq!(
        (talk.connection.client_end(), talk.connection.server_end()),
        (ClientEnd::Idle, ServerEnd::Complete)
    );
    talk.client([headers(1, END_STREAM, &get("/allowed")), headers(3, 0, &get("/allowed"))].concat());
    assert_eq!(
        (talk.connection.client_end(), talk.connection.server_end()),
        (ClientEnd::HalfClosed, ServerEnd::Truncated)
    );
    talk.server(headers(1, 0, OK));
    let mut to_client = Vec::new();
    talk.connection.give_up(503, &mut to_client);
    let all = frames(&to_client);
    assert_eq!(all.iter().map(|frame| (frame.0, frame.2)).collect::<Vec<_>>(), [(1, 3), (0, 3), (7, 0)]);
    assert_eq!(literals(&all[0].3)[0].1, "503");
}

#[test]
fn informational_responses_are_not_the_response() {
    let mut talk = Talk::new();
    talk.client(headers(1, END_STREAM, &get("/allowed")));
    talk.server([headers(1, 0, &block(&[(":status", "103")])), headers(1, END_STREAM, OK)].concat());
    assert_eq!(talk.statuses, [(1, 200)]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    /// However the bytes are cut, the same comes of them.
    #[test]
    fn pieces_make_no_difference(which in prop::collection::vec(0_usize..9, 1..12), piece in 1_usize..40) {
        let mut stream = 1;
        let mut bytes = [PREFACE, &settings(&[(2, 0)])].concat();
        for which in which {
            let more = match which {
                0 => headers(stream, END_STREAM, &get("/allowed")),
                1 => headers(stream, END_STREAM, &get("/denied")),
                2 => [headers(stream, 0, &get("/allowed")), data(stream, END_STREAM, "some data")].concat(),
                3 => [headers(stream, 0, &get("/denied")), data(stream, END_STREAM, "some data")].concat(),
                4 => [frame(1, 0, stream, &get("/allowed")[..20]), frame(9, 4, stream, &get("/allowed")[20..]), window(stream, 7)].concat(),
                5 => [frame(6, 0, 0, [1; 8]), frame(2, 0, stream, [0; 5]), window(0, 77)].concat(),
                6 => headers(stream, 0, &get("/a//b")),
                7 => [headers(stream, 0, &get("/%61llowed")), reset(stream, 8)].concat(),
                _ => [headers(stream, 0, &get("/allowed")), frame(0, 8, stream, [3, 1, 2, 0, 0, 0]), headers(stream, 1, &block(&[("a", "b")]))].concat(),
            };
            bytes.extend(more);
            stream += 2;
        }
        let run = |piece: usize| {
            let mut talk = Talk::silent(Settings::default());
            talk.server(settings(&[]));
            for piece in bytes.chunks(piece) {
                talk.client(piece);
            }
            (talk.to_server, talk.to_client, talk.judged, talk.refused, talk.client_next)
        };
        prop_assert_eq!(run(piece), run(bytes.len()));
    }
}
