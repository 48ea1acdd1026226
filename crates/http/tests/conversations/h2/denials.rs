//! What a denied client gets, and that both sides stay in step behind it.

use super::{OK, literals, pairs};
use crate::frames::{
    END_HEADERS, END_STREAM, Frame, PREFACE, Talk, block, data, frame, frames, get, headers, literal, reset,
    settings, window,
};
use ciliate_http::{
    ACCESS_DENIED, Settings,
    h2::{ClientNext, ServerNext},
};

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
