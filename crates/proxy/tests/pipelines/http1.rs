//! Pipelines of HTTP/1.1: a plain reader finds nothing in the server's bytes that was not allowed.

use crate::{
    allowed, cases, configure,
    node::{Endpoint, SURELY, connect, listen, on_node},
    place,
    proxy::Proxy,
    rule,
};
use proptest::{prelude::*, sample::select, strategy::ValueTree as _, test_runner::TestRunner};
use std::{
    io::{Read as _, Write as _},
    net::Shutdown,
    sync::mpsc::{Receiver, channel},
    thread,
    time::Duration,
};

/// A server that is silent for so long has got all there is.
const SILENCE: Duration = Duration::from_millis(60);

/// Good ones mostly, since a bad one ends its connection; bad ones carry another request where a careless reader would find it.
fn request() -> impl Strategy<Value = String> {
    let good = (
        select(vec!["GET", "GET", "POST", "PUT"]),
        select(vec!["/", "/a", "/a", "/a/b", "/a/b?x=1", "/api", "http://h/a"]),
        select(vec![
            "\r\n",
            "\r\n",
            "Content-Length: 3\r\n\r\nabc",
            "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
            // Bodies that look like requests.
            "Content-Length: 33\r\n\r\nPUT /secret HTTP/1.1\r\nHost: h\r\n\r\n",
            "Transfer-Encoding: chunked\r\n\r\n21\r\nPUT /secret HTTP/1.1\r\nHost: h\r\n\r\n\r\n0\r\n\r\n",
        ]),
    );
    let bad = (
        select(vec!["GET", "POST", "PUT", "get"]),
        select(vec!["/a", "/%61", "/a/../api", "//a", "http://other/a"]),
        select(vec![
            "\r\n",
            "Content-Length: 26\r\n\r\nPUT /api HTTP/1.1\r\nHost: h\r\n",
            "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nPUT /api HTTP/1.1\r\nHost: h\r\n\r\n",
            "Transfer-Encoding: chunked\r\n\r\n1;\nx\r\nPUT /api HTTP/1.1\r\nHost: h\r\n\r\n",
            "Transfer_Encoding: chunked\r\n\r\n",
            "Content-Length: +3\r\n\r\nabc",
            "X: y\n\nPUT /api HTTP/1.1\r\nHost: h\r\n\r\n",
            "Upgrade: h2c\r\nConnection: upgrade\r\n\r\n",
        ]),
    );
    let text = |(m, t, r)| format!("{m} {t} HTTP/1.1\r\nHost: h\r\n{r}");
    prop_oneof![12 => good.prop_map(text), 1 => bad.prop_map(text)]
}

/// Method and path of each request, as a plain server reads what it got.
fn requests(mut bytes: &[u8]) -> Vec<(String, String)> {
    let mut found = Vec::new();
    while let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
        let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
        bytes = &bytes[end + 4..];
        let words: Vec<_> = head.split("\r\n").next().unwrap().split(' ').collect();
        let path = words[1].strip_prefix("http://h").unwrap_or(words[1]);
        found.push((words[0].to_owned(), path.to_owned()));
        let lower = head.to_lowercase();
        if let Some((_, length)) = lower.split_once("content-length: ") {
            let length: usize = length.split("\r\n").next().unwrap().parse().unwrap();
            bytes = bytes.get(length..).unwrap_or_default();
        } else if lower.contains("transfer-encoding") {
            let end = bytes.windows(5).position(|five| five == b"0\r\n\r\n");
            bytes = end.map_or(&[][..], |at| &bytes[at + 5..]);
        }
    }
    found
}

/// A server that says nothing, and tells of each connection which bytes it got on it until it ended or was silent for so long.
pub fn record(station: &Endpoint, silence: Duration) -> Receiver<Vec<u8>> {
    let listener = listen(station, 80);
    let (record, recorded) = channel();
    thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            stream.set_read_timeout(Some(silence)).unwrap();
            let (mut all, mut buffer) = (Vec::new(), [0; 4096]);
            while let Ok(count @ 1..) = stream.read(&mut buffer) {
                all.extend_from_slice(&buffer[..count]);
            }
            record.send(all).unwrap();
        }
    });
    recorded
}

#[test]
fn what_the_server_got_was_allowed() {
    on_node("proxypipelines", |node| {
        let (tie, deathstar) = place(node);
        let recorded = record(&deathstar, SILENCE);
        let proxy = Proxy::start(node, 1);
        let mut runner = TestRunner::default();
        let strategy = (
            prop::collection::vec(rule(), 1..5),
            prop::collection::vec(request(), 1..6),
            prop::collection::vec(1_usize..60, 1..6),
        );
        let (mut forwarded, mut sent) = (0, 0);
        for _ in 0..cases() {
            let (rules, asked, pieces) = strategy.new_tree(&mut runner).unwrap().current();
            configure(&proxy, &rules);
            let bytes = asked.concat().into_bytes();
            let mut client = connect(&tie, deathstar.v4, 80, SURELY).unwrap();
            client.set_nodelay(true).unwrap();
            let (mut rest, mut sizes) = (&bytes[..], pieces.iter().cycle());
            while !rest.is_empty() {
                let (piece, behind) = rest.split_at((*sizes.next().unwrap()).min(rest.len()));
                // It may have been refused already.
                if client.write_all(piece).is_err() {
                    break;
                }
                rest = behind;
            }
            let _refused = client.shutdown(Shutdown::Write);
            let got = recorded.recv_timeout(SURELY).expect("a connection of the server");
            let seen = requests(&got);
            for (method, path) in &seen {
                assert!(
                    allowed(&rules, method, path),
                    "{method} {path} by {rules:?}\nof {asked:#?}\ngot {:?}",
                    String::from_utf8_lossy(&got)
                );
            }
            (forwarded, sent) = (forwarded + seen.len(), sent + asked.len());
        }
        eprintln!("{forwarded} of {sent} requests reached the server");
        assert!(forwarded > 0 && forwarded < sent, "the test lets something through, and not everything");
    });
}
