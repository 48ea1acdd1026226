//! Requests through the proxy on a node with real devices. Needs root.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::arithmetic_side_effects,
    reason = "tests state plainly what they expect"
)]

#[path = "../../bpf/tests/support/node.rs"]
#[expect(dead_code, reason = "shared with tests that use all of it")]
mod node;
#[path = "support/proxy.rs"]
#[expect(dead_code, reason = "shared with tests that use all of it")]
mod proxy;

use ciliate_policy::rule_set::{Action, Peer, RuleSet};
use ciliate_proxy::message::{HttpVersion, Message, Request, Verdict, What};
use ciliate_types::{HttpRule, L7Rules};
use node::{SURELY, connect, on_node, rules};
use proxy::{Proxy, filter, serve};
use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
};

fn landing() -> L7Rules {
    L7Rules::Http(vec![HttpRule {
        method: Some("POST".into()),
        path: Some("/v1/request-landing".into()),
        ..HttpRule::default()
    }])
}

/// Sends a request and reads the whole answer: head and as much body as it says.
fn ask(stream: &mut TcpStream, method: &str, path: &str) -> (u16, String) {
    write!(stream, "{method} {path} HTTP/1.1\r\nHost: deathstar\r\n\r\n").unwrap();
    stream.set_read_timeout(Some(SURELY)).unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).expect("an answer");
        head.extend(byte);
    }
    let head = String::from_utf8(head).unwrap().to_lowercase();
    let length =
        head.split("content-length: ").nth(1).unwrap().split("\r\n").next().unwrap().parse().unwrap();
    let mut body = vec![0; length];
    stream.read_exact(&mut body).unwrap();
    (head.get(9..12).unwrap().parse().unwrap(), String::from_utf8(body).unwrap())
}

#[test]
fn only_the_allowed_call_reaches_the_server() {
    on_node("proxyhttp", |node| {
        let tie = node.endpoint(10, &RuleSet::default());
        let set = rules([(Peer::Identity(tie.identity), 80, Action::Redirect, 5, 7)]);
        let deathstar = node.endpoint(12, &set);
        let seen = serve(&deathstar, 80);
        let proxy = Proxy::start(node, 1);
        proxy.configure([filter(7, landing())]);
        let accesses = proxy.watch();
        for address in [deathstar.v4, deathstar.v6] {
            let mut stream = connect(&tie, address, 80, SURELY).unwrap();
            // All on one connection, which a denial leaves in step.
            assert_eq!(ask(&mut stream, "POST", "/v1/request-landing"), (200, "landed".into()));
            assert_eq!(ask(&mut stream, "PUT", "/v1/exhaust-port"), (403, "Access denied\r\n".into()));
            assert_eq!(ask(&mut stream, "POST", "/v1/request-landing"), (200, "landed".into()));
        }
        let requests: Vec<_> = seen.try_iter().collect();
        assert_eq!(requests.len(), 4);
        assert!(requests.iter().all(|head| head.starts_with("POST /v1/request-landing ")), "{requests:?}");
        let told: Vec<_> = accesses.iter().take(5).collect();
        let seen = |access: &ciliate_proxy::message::Access| {
            (access.message, access.verdict, access.rule, access.what.clone())
        };
        let told_of: Vec<_> = told.iter().map(seen).collect();
        let what = |method: &str, path: &str, status| What::Http {
            method: method.into(),
            path: path.into(),
            version: HttpVersion::Http11,
            authority: "deathstar".into(),
            status,
            grpc_status: None,
            headers: Vec::new(),
            trace: None,
        };
        assert_eq!(
            told_of,
            [
                (Message::Request, Verdict::Forwarded, 7, what("POST", "/v1/request-landing", None)),
                (Message::Response, Verdict::Forwarded, 7, what("POST", "/v1/request-landing", Some(200))),
                (Message::Request, Verdict::Denied, 0, what("PUT", "/v1/exhaust-port", Some(403))),
                (Message::Request, Verdict::Forwarded, 7, what("POST", "/v1/request-landing", None)),
                (Message::Response, Verdict::Forwarded, 7, what("POST", "/v1/request-landing", Some(200))),
            ]
        );
        let closed: Vec<_> = told.iter().map(|access| access.closed_by.as_slice()).collect();
        assert_eq!(closed, [&[][..], &[], &[7], &[], &[]], "the rule that the shot would have had to match");
        assert!(told.iter().all(|access| access.latency.is_some() == (access.message == Message::Response)));
    });
}

#[test]
fn an_open_connection_follows_the_policy() {
    on_node("proxychange", |node| {
        let tie = node.endpoint(10, &RuleSet::default());
        let set = rules([(Peer::Identity(tie.identity), 80, Action::Redirect, 5, 7)]);
        let mut deathstar = node.endpoint(12, &set);
        let _seen = serve(&deathstar, 80);
        let proxy = Proxy::start(node, 2);
        let everything = L7Rules::Http(vec![HttpRule::default()]);
        proxy.configure([filter(7, landing()), filter(8, everything)]);
        let mut stream = connect(&tie, deathstar.v4, 80, SURELY).unwrap();
        assert_eq!(ask(&mut stream, "PUT", "/v1/exhaust-port").0, 403);
        let other = rules([(Peer::Identity(tie.identity), 80, Action::Redirect, 5, 8)]);
        node.set_rules(&mut deathstar, &other);
        proxy.ask(&Request::Switched);
        assert_eq!(ask(&mut stream, "PUT", "/v1/exhaust-port").0, 200);
        node.set_rules(&mut deathstar, &rules([(Peer::Identity(tie.identity), 80, Action::Allow, 5, 9)]));
        proxy.ask(&Request::Switched);
        assert_eq!(ask(&mut stream, "GET", "/").0, 200);
        node.set_rules(&mut deathstar, &rules([]));
        proxy.ask(&Request::Switched);
        stream.set_read_timeout(Some(SURELY)).unwrap();
        assert_eq!(stream.read(&mut [0]).unwrap_err().kind(), std::io::ErrorKind::ConnectionReset);
    });
}

#[test]
fn a_filter_that_nobody_has_told_of_lets_nothing_through() {
    on_node("proxyunknown", |node| {
        let tie = node.endpoint(10, &RuleSet::default());
        let set = rules([(Peer::Identity(tie.identity), 80, Action::Redirect, 5, 7)]);
        let deathstar = node.endpoint(12, &set);
        let seen = serve(&deathstar, 80);
        let _proxy = Proxy::start(node, 1);
        // It is reset at once, perhaps before the client has noticed that it is connected.
        if let Ok(mut stream) = connect(&tie, deathstar.v4, 80, SURELY) {
            stream.set_read_timeout(Some(SURELY)).unwrap();
            let _sent = stream.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n");
            assert!(!matches!(stream.read(&mut [0]), Ok(1..)));
        }
        assert_eq!(seen.try_iter().count(), 0);
    });
}

#[test]
fn a_newer_proxy_takes_over_and_no_connection_is_lost() {
    on_node("proxyupgrade", |node| {
        let tie = node.endpoint(10, &RuleSet::default());
        let set = rules([(Peer::Identity(tie.identity), 80, Action::Redirect, 5, 7)]);
        let deathstar = node.endpoint(12, &set);
        let _seen = serve(&deathstar, 80);
        let old = Proxy::start(node, 1);
        old.configure([filter(7, landing())]);
        let mut kept = connect(&tie, deathstar.v4, 80, SURELY).unwrap();
        assert_eq!(ask(&mut kept, "POST", "/v1/request-landing").0, 200);
        let address = deathstar.v4;
        let stop = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
        let prober = std::thread::spawn({
            let (netns, stop) = (tie.netns.clone(), std::sync::Arc::clone(&stop));
            move || {
                let probe = move || {
                    let mut count = 0_u32;
                    while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                        let mut stream = TcpStream::connect((address, 80)).expect("a connection");
                        assert_eq!(ask(&mut stream, "POST", "/v1/request-landing").0, 200);
                        count += 1;
                    }
                    count
                };
                netns.run(probe).unwrap()
            }
        });
        std::thread::sleep(node::NEVER);
        let new = Proxy::start(node, 1);
        std::thread::sleep(node::NEVER);
        // The old one carries what it had, the new one knows the configuration from disk.
        assert_eq!(ask(&mut kept, "POST", "/v1/request-landing").0, 200);
        assert_eq!(ask(&mut kept, "PUT", "/v1/exhaust-port").0, 403);
        drop(kept);
        std::thread::sleep(node::NEVER);
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
        assert!(prober.join().unwrap() > 10);
        assert!(new.status().accepted > 5);
        assert!(old.ended(SURELY), "the old one ends with its last connection");
    });
}

/// A body that every byte of tells where it belongs.
fn body(len: usize) -> Vec<u8> {
    (0..len).map(|at| u8::try_from(at * 31 / 7 % 251).unwrap()).collect()
}

/// Answers each request on each connection with a large body, and tells what bodies it got.
fn serve_large(endpoint: &node::Endpoint, len: usize) -> std::sync::mpsc::Receiver<Vec<u8>> {
    let listener = endpoint.netns.run(|| std::net::TcpListener::bind("[::]:80").unwrap()).unwrap();
    let (got, told) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let got = got.clone();
            std::thread::spawn(move || {
                while let Some((_, body)) = message(&mut stream) {
                    let _nobody = got.send(body);
                    let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {len}\r\n\r\n");
                    if stream
                        .write_all(answer.as_bytes())
                        .and_then(|()| stream.write_all(&self::body(len)))
                        .is_err()
                    {
                        return;
                    }
                }
            });
        }
    });
    told
}

/// Head and body; none at the end.
fn message(stream: &mut TcpStream) -> Option<(String, Vec<u8>)> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).ok()?;
        head.extend(byte);
    }
    let head = String::from_utf8(head).unwrap().to_lowercase();
    let length = head.split("content-length: ").nth(1);
    let length = length.map_or(0, |rest| rest.split("\r\n").next().unwrap().parse().unwrap());
    let mut body = vec![0; length];
    stream.read_exact(&mut body).unwrap();
    Some((head, body))
}

/// Large bodies pass by the process, and small messages before and after them keep their places. Who does not read what it asked
/// for holds nobody up.
#[test]
fn large_bodies_arrive_whole_beside_a_client_that_does_not_read() {
    const LARGE: usize = 5 << 20;
    on_node("proxylarge", |node| {
        let tie = node.endpoint(10, &RuleSet::default());
        let set = rules([(Peer::Identity(tie.identity), 80, Action::Redirect, 5, 7)]);
        let deathstar = node.endpoint(12, &set);
        let got = serve_large(&deathstar, LARGE);
        let proxy = Proxy::start(node, 1);
        proxy.configure([filter(7, landing())]);
        let post = |len: usize| {
            format!("POST /v1/request-landing HTTP/1.1\r\nHost: deathstar\r\nContent-Length: {len}\r\n\r\n")
        };
        let mut lazy = connect(&tie, deathstar.v4, 80, SURELY).unwrap();
        lazy.write_all(post(0).as_bytes()).unwrap();
        let mut stream = connect(&tie, deathstar.v4, 80, SURELY).unwrap();
        stream.set_read_timeout(Some(SURELY)).unwrap();
        for sent in [0, 100, 3 << 20, 128 << 10, 1] {
            // A denial behind the body waits for its turn.
            let denied = "GET /v1/exhaust-port HTTP/1.1\r\nHost: deathstar\r\n\r\n";
            let all = [post(sent).as_bytes(), &body(sent), denied.as_bytes()].concat();
            let mut writer = stream.try_clone().unwrap();
            let writing = std::thread::spawn(move || writer.write_all(&all).unwrap());
            let (head, received) = message(&mut stream).unwrap();
            assert!(head.starts_with("http/1.1 200 "), "{head}");
            assert!(received == body(LARGE), "the answer's body is another one");
            assert!(message(&mut stream).unwrap().0.starts_with("http/1.1 403 "));
            writing.join().unwrap();
        }
        let received: Vec<usize> = got.try_iter().map(|body| body.len()).collect();
        assert_eq!(received.len(), 6);
        // Now it reads after all.
        lazy.set_read_timeout(Some(SURELY)).unwrap();
        assert!(message(&mut lazy).unwrap().1 == body(LARGE));
    });
}
