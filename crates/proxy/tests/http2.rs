//! HTTP/2 of real clients and servers through the proxy. Needs root, nghttp and nghttpd.

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
use ciliate_proxy::message::{Request, Verdict};
use ciliate_types::{HttpRule, L7Rules};
use node::{Endpoint, on_node, rules};
use proxy::{Proxy, filter};
use std::{
    collections::BTreeMap,
    fs,
    path::Path,
    process::{Child, Command},
};

/// A server that ends with its test.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ended = self.0.kill().and_then(|()| self.0.wait());
    }
}

fn nghttpd(at: &Endpoint, files: &Path) -> Server {
    let files = files.display().to_string();
    let start = move || Command::new("nghttpd").args(["--no-tls", "-d", &files, "80"]).spawn();
    let server = Server(at.netns.run(start).unwrap().expect("nghttpd (package nghttp2-server)"));
    let ready = || std::net::TcpStream::connect(("127.0.0.1", 80)).is_ok();
    at.netns
        .run(move || {
            Command::new("ip").args(["link", "set", "lo", "up"]).status().unwrap();
            while !ready() {
                std::thread::sleep(std::time::Duration::from_millis(20));
            }
        })
        .unwrap();
    server
}

/// What a client was answered on one stream.
#[derive(Debug, Default, PartialEq)]
struct Answer {
    status: u16,
    /// Bytes of body.
    length: usize,
}

/// Asks for all at once on one connection; the answers in the order of the questions.
fn nghttp(from: &Endpoint, urls: Vec<String>) -> Vec<Answer> {
    let run = move || Command::new("nghttp").args(["-v", "-n", "-t", "20"]).args(urls).output();
    let output = from.netns.run(run).unwrap().expect("nghttp (package nghttp2-client)");
    let text = String::from_utf8(output.stdout).unwrap();
    let mut answers: BTreeMap<u32, Answer> = BTreeMap::new();
    let number =
        |text: &str| text.chars().take_while(char::is_ascii_digit).collect::<String>().parse().unwrap();
    for line in text.lines().filter(|line| line.contains(" recv ")) {
        let Some((_, stream)) = line.split_once("stream_id=") else { continue };
        let answer = answers.entry(number(stream)).or_default();
        if let Some((_, status)) = line.split_once(":status: ") {
            answer.status = u16::try_from(number(status)).unwrap();
        }
        if let Some((_, length)) = line.split_once("recv DATA frame <length=") {
            answer.length += usize::try_from(number(length)).unwrap();
        }
    }
    assert!(output.status.success(), "{text}");
    answers.into_values().filter(|answer| answer.status != 0).collect()
}

#[test]
fn streams_are_judged_one_by_one() {
    on_node("proxyh2", |node| {
        let files = std::env::temp_dir().join(format!("cil-h2-{}", std::process::id()));
        fs::create_dir_all(files.join("public")).unwrap();
        fs::write(files.join("public/a"), "public").unwrap();
        fs::write(files.join("secret"), "secret").unwrap();
        let large = "x".repeat(3 << 20);
        fs::write(files.join("public/large"), &large).unwrap();
        let client = node.endpoint(10, &RuleSet::default());
        let set = rules([(Peer::Identity(client.identity), 80, Action::Redirect, 5, 7)]);
        let server = node.endpoint(12, &set);
        let _nghttpd = nghttpd(&server, &files);
        let proxy = Proxy::start(node, 1);
        let public = HttpRule { path: Some("/public/.*".into()), ..HttpRule::default() };
        proxy.configure([filter(7, L7Rules::Http(vec![public]))]);
        let accesses = proxy.watch();
        for host in [server.v4.to_string(), format!("[{}]", server.v6)] {
            let url = |path: &str| format!("http://{host}{path}");
            let answers =
                nghttp(&client, vec![url("/public/a"), url("/secret"), url("/public/large"), url("/none")]);
            let answer = |status, length| Answer { status, length };
            let denied = answer(403, "Access denied\r\n".len());
            assert_eq!(answers, [answer(200, 6), answer(403, 15), answer(200, large.len()), denied]);
        }
        let verdicts: Vec<_> = accesses.iter().take(3).map(|access| access.verdict).collect();
        assert_eq!(verdicts, [Verdict::Forwarded, Verdict::Denied, Verdict::Forwarded]);
        proxy.ask(&Request::Switched);
        fs::remove_dir_all(files).unwrap();
    });
}
