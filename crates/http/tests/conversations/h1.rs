//! Whole conversations over HTTP/1, byte for byte.

use crate::driver::{Conversation, denied};
use ciliate_http::{
    ACCESS_DENIED, Refusal, ServerFault, Settings,
    h1::{ClientEnd, ClientNext, Rejudged, ServerEnd, ServerNext},
};

const GET: &str = "GET /allowed HTTP/1.1\r\nHost: a.example\r\n\r\n";
const PUT: &str = "PUT /denied HTTP/1.1\r\nHost: a.example\r\nContent-Length: 5\r\n\r\nabcde";
const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

#[test]
fn an_allowed_request_passes_verbatim() {
    let mut talk = Conversation::new();
    talk.client(GET);
    assert_eq!(talk.to_server(), GET);
    assert_eq!(talk.outstanding(), 1);
    talk.server(OK);
    assert_eq!(talk.to_client(), OK);
    assert_eq!(talk.statuses(), [200]);
    assert_eq!(talk.outstanding(), 0);
}

#[test]
fn a_denial_is_what_cilium_says() {
    let mut talk = Conversation::new();
    talk.client(PUT);
    assert_eq!(talk.to_server(), "");
    assert_eq!(
        talk.to_client(),
        "HTTP/1.1 403 Forbidden\r\ncontent-length: 15\r\ncontent-type: text/plain\r\nserver: ciliate\r\n\r\nAccess denied\r\n"
    );
    assert_eq!(ACCESS_DENIED.len(), 15);
    // The connection goes on, in step.
    talk.client(GET);
    assert_eq!(talk.to_server(), GET);
}

#[test]
fn the_text_of_a_denial_is_a_setting() {
    let mut talk = Conversation::with(Settings { denied_body: "no".into(), ..Settings::default() });
    talk.client(PUT);
    assert!(talk.to_client().contains("content-length: 2\r\n") && talk.to_client().ends_with("\r\n\r\nno"));
}

#[test]
fn answers_keep_the_order_of_requests() {
    let mut talk = Conversation::new();
    talk.client([GET, PUT, PUT, GET, PUT].concat());
    assert_eq!(talk.to_server(), [GET, GET].concat());
    assert_eq!(talk.to_client(), "");
    assert_eq!(talk.outstanding(), 5);
    talk.server([OK, OK].concat());
    let no = denied("");
    assert_eq!(talk.to_client(), [OK, &no, &no, OK, &no].concat());
    assert_eq!(talk.statuses(), [200, 200]);
}

#[test]
fn bodies_end_where_they_say() {
    let chunked = "POST /allowed HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0A;x=\"y\"\r\n0123456789\r\n0\r\nX-Sum: 1\r\n\r\n";
    let sized = "POST /allowed HTTP/1.1\r\nHost: a\r\nContent-Length: 43\r\n\r\nGET /denied HTTP/1.1\r\nHost: a.example\r\n\r\n..";
    let mut talk = Conversation::new();
    talk.client([chunked, sized, GET].concat());
    assert_eq!(talk.to_server(), [chunked, sized, GET].concat());
    let answer = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4  \r\nabcd\r\n0\r\n\r\n";
    let none = "HTTP/1.1 204 No Content\r\nContent-Length: 7\r\n\r\n";
    talk.server([answer, none, OK].concat());
    assert_eq!(talk.to_client(), [answer, none, OK].concat());
    assert_eq!(talk.statuses(), [200, 204, 200]);
    assert_eq!(talk.outstanding(), 0);
}

#[test]
fn head_has_no_body() {
    let mut talk = Conversation::new();
    talk.client(
        "HEAD /allowed HTTP/1.1\r\nHost: a\r\n\r\nHEAD /denied HTTP/1.1\r\nHost: a\r\n\r\nGET /allowed HTTP/1.1\r\nHost: a\r\n\r\n",
    );
    let head = "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n";
    talk.server([head, OK].concat());
    let no = denied("").strip_suffix(ACCESS_DENIED).unwrap().to_owned();
    assert_eq!(talk.to_client(), [head, &no, OK].concat());
}

#[test]
fn interim_responses_pass() {
    let mut talk = Conversation::new();
    talk.client("POST /allowed HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n");
    let (interim, last) = ("HTTP/1.1 100 Continue\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    talk.server(interim);
    assert_eq!(talk.to_client(), interim);
    talk.client(["hi", GET].concat());
    talk.server([last, OK].concat());
    assert_eq!(talk.to_client(), [interim, last, OK].concat());
    assert_eq!(talk.statuses(), [200, 200]);
}

/// A server that has forgotten the length of a body ("CL.0") answers at once, and would take the rest for requests.
#[test]
fn who_answers_before_the_body_does_not_get_the_rest() {
    let smuggled = "DELETE /denied HTTP/1.1\r\nHost: a\r\n\r\n";
    let head = |size: usize| format!("POST /allowed HTTP/1.1\r\nHost: a\r\nContent-Length: {size}\r\n\r\n");
    for (head, first) in [
        (head(smuggled.len()), ""),
        (head(smuggled.len() + 4), "1234"),
        ("POST /allowed HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n".into(), "2A\r\n"),
    ] {
        let mut talk = Conversation::new();
        talk.client([head.as_str(), first].concat());
        talk.server(OK);
        talk.client([smuggled, GET].concat());
        assert_eq!(talk.to_server(), [head.as_str(), first].concat());
        assert_eq!(talk.to_client(), OK);
        assert_eq!((talk.server_next(), talk.client_next()), (ServerNext::Close, ClientNext::Last));
        // Nor does a second answer get through.
        talk.server(OK);
        assert_eq!(talk.to_client(), OK);
    }
}

/// An answer may begin before the body has ended, as long as it does not end before.
#[test]
fn answers_may_begin_early() {
    let mut talk = Conversation::new();
    let head = "POST /allowed HTTP/1.1\r\nHost: a\r\nContent-Length: 8\r\n\r\n";
    let answer = "HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\n";
    talk.client([head, "ping"].concat());
    talk.server([answer, "PING"].concat());
    talk.client("pong");
    talk.server("PONG");
    talk.client(GET);
    assert_eq!(talk.to_server(), [head, "pingpong", GET].concat());
    assert_eq!((talk.to_client(), talk.server_next()), ([answer, "PINGPONG"].concat(), ServerNext::More));
}

#[test]
fn an_answer_instead_of_100_ends_the_connection() {
    let mut talk = Conversation::new();
    talk.client("POST /allowed HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 40\r\n\r\n");
    talk.server(OK);
    assert_eq!(talk.server_next(), ServerNext::Close);
    // What the client sends now could be the body or a request.
    talk.client(GET);
    assert!(!talk.to_server().contains("GET"));
    assert_eq!(talk.client_next(), ClientNext::Last);

    let mut talk = Conversation::new();
    talk.client("POST /denied HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 40\r\n\r\n");
    assert_eq!(talk.to_client(), denied("connection: close\r\n"));
    assert_eq!(talk.client_next(), ClientNext::Last);
    talk.client(GET);
    assert_eq!(talk.to_server(), "");
}

#[test]
fn old_clients_and_closing() {
    let mut talk = Conversation::new();
    let old = "GET /allowed HTTP/1.0\r\n\r\n";
    talk.client([old, GET].concat());
    assert_eq!(talk.to_server(), old);
    assert_eq!(talk.client_next(), ClientNext::Last);
    talk.server("HTTP/1.0 200 OK\r\n\r\nall of it");
    assert_eq!(talk.server_end(), ServerEnd::Complete);
    assert!(talk.to_client().ends_with("all of it"));

    let mut talk = Conversation::new();
    talk.client("GET /denied HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\nGET /denied HTTP/1.0\r\n\r\n");
    let (on, off) = (denied("connection: keep-alive\r\n"), denied("connection: close\r\n"));
    assert_eq!(talk.to_client(), [on, off].concat());
    assert_eq!(talk.outstanding(), 0);

    // What is left unanswered when the server closes stays so.
    let mut talk = Conversation::new();
    talk.client([GET, GET].concat());
    let last = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
    talk.server(last);
    assert_eq!(talk.to_client(), last);
    assert_eq!(talk.server_next(), ServerNext::Close);
}

#[test]
fn ends_are_told_apart() {
    let mut talk = Conversation::new();
    assert_eq!(talk.server_end(), ServerEnd::Complete);
    let mut talk = Conversation::new();
    assert_eq!(talk.client_end(), ClientEnd::Idle);
    let mut talk = Conversation::new();
    talk.client(GET);
    assert_eq!(talk.client_end(), ClientEnd::HalfClosed);
    talk.server(OK);
    assert_eq!(talk.server_next(), ServerNext::Close);
    let mut talk = Conversation::new();
    talk.client("POST /allowed HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nhalf");
    assert_eq!(talk.client_end(), ClientEnd::Truncated);
    let mut talk = Conversation::new();
    talk.client(GET);
    talk.server("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf");
    assert_eq!(talk.server_end(), ServerEnd::Truncated);
    let mut talk = Conversation::new();
    talk.client(GET);
    assert_eq!(talk.server_end(), ServerEnd::Truncated);
}

const UPGRADE: &str = "GET /allowed HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: x\r\n\r\n";
const SWITCH: &str = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n";

#[test]
fn a_websocket_is_a_tunnel() {
    let mut talk = Conversation::new();
    talk.client([UPGRADE, "frames"].concat());
    assert_eq!(talk.to_server(), UPGRADE);
    assert_eq!(talk.client_next(), ClientNext::Wait);
    talk.server([SWITCH, "more frames"].concat());
    assert_eq!(talk.to_client(), [SWITCH, "more frames"].concat());
    talk.client("");
    assert_eq!(talk.to_server(), [UPGRADE, "frames"].concat());
    assert_eq!(talk.statuses(), [101]);
    assert_eq!(talk.connection().client_opaque(), u64::MAX);
    assert_eq!(
        talk.connection().rejudge(|request| request.websocket && request.path == b"/allowed"),
        Rejudged::Allowed
    );
    assert_eq!(talk.connection().rejudge(|_| false), Rejudged::Denied);
    assert_eq!(talk.client_end(), ClientEnd::HalfClosed);
    assert_eq!(talk.server_end(), ServerEnd::HalfClosed);
}

#[test]
fn a_websocket_that_is_turned_down_is_a_request() {
    let mut talk = Conversation::new();
    talk.client([UPGRADE, GET].concat());
    talk.server(OK);
    talk.client("");
    assert_eq!(talk.to_server(), [UPGRADE, GET].concat());
}

#[test]
fn nothing_else_is_switched_to() {
    let mut talk = Conversation::new();
    talk.client(GET);
    talk.server(SWITCH);
    assert_eq!(talk.server_next(), ServerNext::Abort(ServerFault::UnrequestedUpgrade));
    let mut talk = Conversation::new();
    talk.client(UPGRADE);
    talk.server("HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n");
    assert_eq!(talk.server_next(), ServerNext::Abort(ServerFault::UnrequestedUpgrade));
}

#[test]
fn servers_are_held_to_their_framing() {
    use ServerFault::*;
    for (answer, fault) in [
        ("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", LengthAndCoding),
        ("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", LengthInvalid),
        ("HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", LengthInvalid),
        ("HTTP/1.1 200 OK\r\nContent-Length:\r\n 7\r\n\r\n", LengthInvalid),
        ("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n 7\r\n\r\n", Header),
        ("HTTP/1.1 200 OK\r\nContent-Length : 1\r\n\r\n", Header),
        ("HTTP/1.1 200 OK\r\nno colon\r\n\r\n", Header),
        ("HTTP/2 200 OK\r\n\r\n", StatusLine),
        ("HTTP/1.1 20 OK\r\n\r\n", StatusLine),
        ("HTTP/1.1 2000 OK\r\n\r\n", StatusLine),
        ("SSH-2.0-x", StatusLine),
    ] {
        let mut talk = Conversation::new();
        talk.client(GET);
        talk.server(answer);
        assert!(
            matches!(talk.server_next(), ServerNext::Abort(own) if own == fault),
            "{answer:?} {:?}",
            talk.server_next()
        );
        assert!(talk.to_client().starts_with("HTTP/1.1 502 "), "{answer:?}");
    }
    let mut talk = Conversation::new();
    talk.server(OK);
    assert_eq!(talk.server_next(), ServerNext::Abort(Unrequested));
    assert_eq!(talk.to_client(), "");
    let mut talk = Conversation::new();
    talk.client(GET);
    talk.server([OK, OK].concat());
    assert_eq!(talk.server_next(), ServerNext::Abort(Unrequested));
    assert_eq!(talk.to_client(), OK);
    // What is sloppy but certain passes.
    for answer in [
        "HTTP/1.1 200 OK\nContent-Length: 02\n\nok",
        "HTTP/1.1 200\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nok",
        "HTTP/1.1 200 OK\r\nX-Long: a\r\n b\r\nContent-Length: 2\r\n\r\nok",
    ] {
        let mut talk = Conversation::new();
        talk.client(GET);
        talk.server(answer);
        assert_eq!((talk.to_client(), talk.outstanding()), (answer.to_owned(), 0));
    }
}

#[test]
fn a_bad_body_cuts_the_connection() {
    for (body, refusal) in [
        ("x\r\n", Refusal::ChunkSize),
        ("0x1\r\na\r\n", Refusal::ChunkSize),
        ("1 \r\na\r\n", Refusal::ChunkSize),
        ("+1\r\na\r\n", Refusal::ChunkSize),
        ("\r\n", Refusal::ChunkSize),
        ("1000000000000000\r\n", Refusal::ChunkSize),
        ("1\na\r\n", Refusal::BareLf),
        ("1;a\nb\r\na\r\n", Refusal::BareLf),
        ("1;a\rb\r\na\r\n", Refusal::ChunkLine),
        ("1\r\nab\r\n", Refusal::ChunkEnd),
        ("0\r\nContent-Length: 5\r\n\r\n", Refusal::Trailer),
        ("0\r\nTransfer_Encoding: x\r\n\r\n", Refusal::Trailer),
        ("0\r\nAuthorization: x\r\n\r\n", Refusal::Trailer),
        ("0\r\n X: y\r\n\r\n", Refusal::Folding),
        ("0\r\nX : y\r\n\r\n", Refusal::SpaceBeforeColon),
    ] {
        let mut talk = Conversation::new();
        talk.client(
            ["POST /allowed HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", body, GET].concat(),
        );
        assert_eq!(talk.client_next(), ClientNext::Abort(refusal), "{body:?}");
        assert!(!talk.to_server().contains("GET"));
        // The same behind a denied head: the client learns of it, the server knows nothing.
        let mut talk = Conversation::new();
        talk.client(
            ["POST /denied HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", body, GET].concat(),
        );
        assert_eq!(talk.client_next(), ClientNext::Refused(refusal), "{body:?}");
        assert_eq!((talk.to_server().as_str(), talk.to_client()), ("", denied("")));
    }
}

#[test]
fn limits_are_named() {
    let long = |n: usize| "a".repeat(n);
    for (head, refusal) in [
        (format!("GET /{} HTTP/1.1\r\n", long(16 * 1024)), Refusal::TargetTooLong),
        (format!("GET /{}", long(17 * 1024)), Refusal::TargetTooLong),
        (format!("GET / HTTP/1.1\r\nHost: a\r\nX: {}", long(60 * 1024)), Refusal::HeadTooLarge),
        (format!("GET / HTTP/1.1\r\nHost: a\r\n{}", "X: y\r\n".repeat(100)), Refusal::TooManyHeaders),
        (format!("{} / HTTP/1.1\r\nHost: a\r\n\r\n", long(33)), Refusal::Method),
    ] {
        let mut talk = Conversation::new();
        talk.client(&head);
        assert_eq!(talk.client_next(), ClientNext::Refused(refusal));
        assert!(talk.to_client().starts_with(&format!("HTTP/1.1 {} ", refusal.status())));
    }
}

#[test]
fn pipelines_are_bounded() {
    let mut talk = Conversation::new();
    talk.client(GET.repeat(70));
    assert_eq!(talk.client_next(), ClientNext::Wait);
    assert_eq!(talk.outstanding(), 64);
    talk.server(OK.repeat(64));
    talk.client("");
    assert_eq!(talk.outstanding(), 6);
    assert_eq!(talk.to_server(), GET.repeat(70));
}

#[test]
fn splicing_is_counted() {
    let mut talk = Conversation::new();
    talk.client("POST /allowed HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\nabc");
    assert_eq!(talk.connection().client_opaque(), 997);
    talk.connection().client_spliced(997);
    assert_eq!(talk.connection().client_opaque(), 0);
    talk.client(GET);
    assert!(talk.to_server().ends_with(GET));
    talk.server("HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n");
    assert_eq!(talk.connection().server_opaque(), 500);
    talk.connection().server_spliced(500);
    talk.server("");
    assert_eq!(talk.outstanding(), 1);
    talk.server("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nff\r\n");
    assert_eq!(talk.connection().server_opaque(), 255);
    talk.connection().server_spliced(255);
    talk.server("\r\n0\r\n\r\n");
    assert_eq!(talk.outstanding(), 0);
}

#[test]
fn giving_up_is_told_once() {
    let mut talk = Conversation::new();
    talk.client(GET);
    assert!(talk.give_up(503).starts_with("HTTP/1.1 503 Service Unavailable\r\n"));
    let mut talk = Conversation::new();
    talk.client(GET);
    talk.server("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\na");
    assert_eq!(talk.give_up(504), "");
}
