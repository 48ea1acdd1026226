//! Streams that a change of the rules ends.

use super::{OK, literals, pairs};
use crate::frames::{END_HEADERS, END_STREAM, Frame, Talk, block, data, frames, get, headers, reset};

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
