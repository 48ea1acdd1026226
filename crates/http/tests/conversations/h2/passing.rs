//! What passes, and in which form.

use super::{OK, literals};
use crate::frames::{
    END_STREAM, PREFACE, Talk, block, data, frame, frames, get, headers, literal, reset, settings, window,
};
use ciliate_http::{
    Settings,
    h1::{ClientEnd, ServerEnd},
    h2::{Spoken, spoken},
};
use proptest::prelude::*;

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

#[test]
fn informational_responses_are_not_the_response() {
    let mut talk = Talk::new();
    talk.client(headers(1, END_STREAM, &get("/allowed")));
    talk.server([headers(1, 0, &block(&[(":status", "103")])), headers(1, END_STREAM, OK)].concat());
    assert_eq!(talk.statuses, [(1, 200)]);
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

/// Whoever wants to know of a call is told when its status is known, or when there is none to come.
#[test]
fn calls_are_told_of_when_they_end() {
    let call = |path: &str| [get(path), block(&[("content-type", "application/grpc")])].concat();
    let said = |status: &str| block(&[("grpc-status", status)]);
    let mut talk = Talk::new();
    for stream in [1, 3, 5, 7, 9, 11] {
        talk.client(headers(stream, 0, &call("/allowed")));
    }
    // With a message before it, without any, in the head; without a status.
    talk.server([headers(1, 0, OK), headers(3, 0, OK), data(1, 0, "message")].concat());
    assert_eq!(talk.ended, []);
    talk.server([headers(3, END_STREAM, &said("0")), headers(1, END_STREAM, &said("11"))].concat());
    talk.server(headers(5, END_STREAM, &[OK, &said("14")].concat()));
    assert_eq!(talk.ended, [(2, Some(0)), (1, Some(11)), (3, Some(14))]);
    talk.server([headers(7, 0, OK), reset(7, 2)].concat());
    talk.server([headers(9, 0, OK), headers(9, END_STREAM, &said("none"))].concat());
    assert_eq!(talk.ended[3..], [(4, None), (5, None)]);
    // The client has had enough.
    talk.server(headers(11, 0, OK));
    talk.client(reset(11, 8));
    assert_eq!(talk.ended[5..], [(6, None)]);
    // Cut in the middle, before anything and behind the head.
    talk.client([headers(13, 0, &call("/allowed")), headers(15, 0, &call("/allowed"))].concat());
    talk.server(headers(15, 0, OK));
    let left: Vec<_> = talk.connection.abandon().map(|response| (response.token, response.status)).collect();
    assert_eq!((left, talk.ended.len()), (vec![(8, 200)], 6));
    // What is no call is told of at once, whatever its trailers say.
    let mut talk = Talk::new();
    talk.client(headers(1, END_STREAM, &get("/allowed")));
    talk.server(headers(1, 0, OK));
    assert_eq!(talk.ended, [(1, None)]);
    talk.server(headers(1, END_STREAM, &said("7")));
    assert_eq!(talk.ended, [(1, None)]);
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
