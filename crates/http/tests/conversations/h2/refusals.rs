//! What is refused before any rule is asked, and what ends the connection.

use super::{OK, literals};
use crate::frames::{
    END_HEADERS, END_STREAM, Frame, PREFACE, Talk, block, data, frame, frames, get, headers, literal, reset,
    settings, window,
};
use ciliate_http::{
    Limits, Refusal, ServerFault, Settings,
    h2::{ClientNext, ServerNext},
};

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
