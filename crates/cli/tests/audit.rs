//! What rules about contents deny: what clients are told, what audit mode lets through and tells, and what never comes to the
//! proxy. Needs root.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests state plainly what they expect")]

#[path = "end_to_end/observed.rs"]
mod observed;
#[path = "end_to_end/outside.rs"]
#[expect(dead_code, reason = "shared with tests that use all of it")]
mod outside;
#[path = "end_to_end/stage.rs"]
#[expect(dead_code, reason = "shared with tests that use all of it")]
mod stage;
#[path = "end_to_end/story.rs"]
#[expect(dead_code, reason = "shared with tests that use all of it")]
mod story;

use ciliate_net::Netns;
use outside::{BY_NAME, Bot, resolver};
use stage::{Stage, eventually, inside};
use std::{
    io::{ErrorKind, Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    path::Path,
    sync::mpsc::{Receiver, channel},
    thread,
};
use story::{EXHAUST, LANDING, Lines, RULE1, RULE1_L7, SURELY, Ship, ask, cast, denied, landed};

const HTTPS: u16 = 443;
const KAFKA: u16 = 9092;

/// The story's policy, with two more ports whose contents are looked at.
fn policy() -> String {
    let more = format!(
        r#"
    - ports: [{{port: "{HTTPS}", protocol: TCP}}]
      serverNames: [deathstar.empire.example]
    - ports: [{{port: "{KAFKA}", protocol: TCP}}]
      rules:
        kafka: [{{role: consume, topic: empire-announce}}]
"#
    );
    format!("{}{more}", RULE1_L7.trim_end())
}

/// Listens in an endpoint's namespace and tells what each connection says first.
fn listen(stage: &Stage, endpoint: &str, port: u16) -> Receiver<Vec<u8>> {
    let endpoint = stage.json(&["endpoint", "get", endpoint]);
    let netns = Netns::open(Path::new(endpoint[0]["device"]["netns"].as_str().unwrap())).unwrap();
    let listener = netns.run(move || TcpListener::bind(("0.0.0.0", port)).unwrap()).unwrap();
    let (sender, heard) = channel();
    thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let sender = sender.clone();
            thread::spawn(move || {
                let mut buffer = [0; 2048];
                if let Ok(count) = stream.read(&mut buffer)
                    && count > 0
                {
                    let _over = sender.send(buffer[..count].to_vec());
                }
            });
        }
    });
    heard
}

/// All that the station answers to this, until it or the proxy closes.
fn say(ship: &Ship, port: u16, bytes: &[u8]) -> Vec<u8> {
    let mut to = ship.station;
    to.set_port(port);
    let mut stream = ship.netns.run(move || TcpStream::connect_timeout(&to, SURELY)).unwrap().unwrap();
    stream.set_read_timeout(Some(SURELY)).unwrap();
    stream.write_all(bytes).unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    let mut answer = Vec::new();
    // A reset after the answer is an end, too; silence is none.
    let end = stream.read_to_end(&mut answer).map_err(|error| error.kind());
    assert!(
        !matches!(end, Err(ErrorKind::WouldBlock | ErrorKind::TimedOut)),
        "port {port}: it hangs after {answer:?}"
    );
    answer
}

fn prefixed<const WIDTH: usize>(body: &[u8]) -> Vec<u8> {
    let length = body.len().to_be_bytes();
    [&length.last_chunk::<WIDTH>().unwrap()[..], body].concat()
}

/// A ClientHello (RFC 8446, 4.1.2) with one cipher suite and the name (RFC 6066, 3).
fn hello(name: &str) -> Vec<u8> {
    let names = prefixed::<2>(&[&[0][..], &prefixed::<2>(name.as_bytes())].concat());
    let extensions = prefixed::<2>(&[&[0, 0][..], &prefixed::<2>(&names)].concat());
    let body = [&[3, 3][..], &[7; 32], &[0, 0, 2, 0x13, 1, 1, 0], &extensions].concat();
    let handshake = [&[1][..], &prefixed::<3>(&body)].concat();
    [&[22, 3, 1][..], &prefixed::<2>(&handshake)].concat()
}

/// Asks for one topic: Metadata, version 1, correlation id 7, no client id.
fn metadata(topic: &str) -> Vec<u8> {
    let head = [0, 3, 0, 1, 0, 0, 0, 7, 0xff, 0xff, 0, 0, 0, 1];
    prefixed::<4>(&[&head[..], &prefixed::<2>(topic.as_bytes())].concat())
}

/// Produces nothing to a topic: Produce, version 3, correlation id 9, no client id, no transaction, one acknowledgement,
/// one partition.
fn produce(topic: &str) -> Vec<u8> {
    let head = [0, 0, 0, 3, 0, 0, 0, 9, 0xff, 0xff, 0xff, 0xff, 0, 1, 0, 0, 3, 0xe8, 0, 0, 0, 1];
    let partition = [0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0];
    prefixed::<4>(&[&head[..], &prefixed::<2>(topic.as_bytes()), &partition].concat())
}

/// Whether a query for a name's address by TCP is answered with one.
fn asks_by_tcp(stage: &Stage, bot: &Bot, name: &str) -> bool {
    let resolver = stage.json(&["endpoint", "get", "kube-system/kube-dns"])[0]["ipv4"].clone();
    let to = format!("{}:53", resolver.as_str().unwrap()).parse().unwrap();
    let mut stream = bot.netns.run(move || TcpStream::connect_timeout(&to, SURELY)).unwrap().unwrap();
    stream.set_read_timeout(Some(SURELY)).unwrap();
    let labels: Vec<u8> = name.split('.').flat_map(|label| prefixed::<1>(label.as_bytes())).collect();
    // Recursion desired, one question: type A, class IN.
    let query = [&[7, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0][..], &labels, &[0, 0, 1, 0, 1]].concat();
    stream.write_all(&prefixed::<2>(&query)).unwrap();
    let mut answer = [0; 14];
    stream.read_exact(&mut answer).unwrap();
    answer[5] & 15 == 0 && answer[9] > 0
}

fn count(stage: &Stage, of: &str) -> u64 {
    stage.json(&["proxy", "status"]).pointer(of).and_then(serde_json::Value::as_u64).unwrap()
}

#[test]
fn a_denial_is_told_and_audit_mode_lets_through() {
    inside("a_denial_is_told_and_audit_mode_lets_through", |stage| {
        stage.done(&["up"]);
        cast(stage);
        resolver(stage);
        let (ship, bot) = (Ship::new(stage, "tiefighter"), Bot::new(stage));
        eventually("the resolver answers", || bot.asks("api.twitter.com"));
        let (https, kafka) = (listen(stage, "deathstar", HTTPS), listen(stage, "deathstar", KAFKA));
        let names =
            BY_NAME.replace(r#"dns: [{matchPattern: "*"}]"#, r#"dns: [{matchName: "api.twitter.com"}]"#);
        for (name, text) in [("rule1.yaml", &policy()), ("fqdn.yaml", &names)] {
            stage.done(&["apply", "-f", &stage.file(name, text)]);
        }
        let (good, bad) = (hello("deathstar.empire.example"), hello("rebels.example"));

        // What is allowed reaches the server byte for byte.
        assert_eq!(ship.call().unwrap().ask(LANDING).unwrap(), landed());
        say(&ship, HTTPS, &good);
        assert_eq!(https.recv_timeout(SURELY).unwrap(), good);
        say(&ship, KAFKA, &metadata("empire-announce"));
        assert_eq!(kafka.recv_timeout(SURELY).unwrap(), metadata("empire-announce"));
        assert!(bot.asks("api.twitter.com"));

        // What is not is answered by the proxy in the protocol's own way.
        let before = count(stage, "/requests/denied");
        assert_eq!(ship.call().unwrap().ask(EXHAUST).unwrap(), denied());
        // A fatal alert, access_denied (RFC 8446, 6.2).
        assert_eq!(say(&ship, HTTPS, &bad), [21, 3, 3, 0, 2, 2, 49]);
        let answer = say(&ship, KAFKA, &produce("empire-announce"));
        // The topic's partition 0 has the error TOPIC_AUTHORIZATION_FAILED (29).
        let expected =
            [&[0, 0, 0, 9, 0, 0, 0, 1, 0, 15][..], b"empire-announce", &[0, 0, 0, 1, 0, 0, 0, 0, 0, 29]];
        assert_eq!(
            answer.get(4..).map(|answer| answer.starts_with(&expected.concat())),
            Some(true),
            "{answer:?}"
        );
        assert!(!bot.asks("www.twitter.com"), "refused at once");
        assert!(asks_by_tcp(stage, &bot, "api.twitter.com") && !asks_by_tcp(stage, &bot, "www.twitter.com"));
        assert!(https.try_recv().is_err() && kafka.try_recv().is_err(), "nothing of it reaches the server");
        assert_eq!(count(stage, "/requests/denied") - before, 5);
        assert_eq!(count(stage, "/requests/audited"), 0);

        // The same in audit mode passes, and is told of as what it would have been.
        for endpoint in ["deathstar", "mediabot"] {
            stage.done(&["endpoint", "config", endpoint, "PolicyAuditMode=Enabled"]);
        }
        let lines = Lines::of(stage, &["monitor", "-t", "l7"]);
        lines.wake(|| assert!(bot.asks("api.twitter.com")));
        assert_eq!(ship.call().unwrap().ask(EXHAUST).unwrap().0, 503, "it exploded");
        say(&ship, HTTPS, &bad);
        assert_eq!(https.recv_timeout(SURELY).unwrap(), bad);
        say(&ship, KAFKA, &produce("empire-announce"));
        assert_eq!(kafka.recv_timeout(SURELY).unwrap(), produce("empire-announce"));
        assert!(bot.asks("www.twitter.com") && asks_by_tcp(stage, &bot, "www.twitter.com"));
        assert_eq!(count(stage, "/requests/audited"), 5);
        let mut told = [
            ("Request http", "PUT http://deathstar/v1/exhaust-port"),
            ("Request tls", "server name rebels.example"),
            ("Request kafka", "Produce topic -"),
            ("Request dns", "DNS Query: www.twitter.com A"),
        ]
        .to_vec();
        while !told.is_empty() {
            let line = lines.next();
            told.retain(|(kind, what)| {
                !(line.contains(kind) && line.contains("verdict Audited") && line.contains(what))
            });
        }
        drop(lines);
        let flows = observed::request_flows(stage);
        let audited = |flow: &&serde_json::Value| {
            flow["verdict"] == "AUDIT"
                && flow["l7"]["http"]["method"] == "PUT"
                && flow["l7"]["type"] == "REQUEST"
        };
        let shot = flows.iter().find(audited).unwrap_or_else(|| panic!("{flows:#?}"));
        assert_eq!(shot["ingress_denied_by"][0]["name"], "rule1", "{shot}");

        // What cannot be read safely does not pass even so.
        let twice =
            b"GET / HTTP/1.1\r\nHost: d\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n";
        assert!(say(&ship, 80, twice).starts_with(b"HTTP/1.1 400 "));

        // And back; that the client is in audit mode changes nothing of what the server's policy denies.
        stage.done(&["endpoint", "config", "deathstar", "PolicyAuditMode=Disabled"]);
        stage.done(&["endpoint", "config", "tiefighter", "PolicyAuditMode=Enabled"]);
        assert_eq!(ship.call().unwrap().ask(EXHAUST).unwrap(), denied());
        stage.done(&["down"]);
    });
}

/// The proxy runs for others' rules; an endpoint without such rules has nothing in it.
#[test]
fn only_what_rules_ask_for_comes_to_the_proxy() {
    inside("only_what_rules_ask_for_comes_to_the_proxy", |stage| {
        let serving = || story::processes().iter().any(|command| command.contains(" proxy serve"));
        stage.done(&["up"]);
        cast(stage);
        resolver(stage);
        let bot = Bot::new(stage);
        stage.done(&["apply", "-f", &stage.file("rule1.yaml", RULE1)]);
        eventually("the resolver answers", || bot.asks("api.twitter.com"));
        assert_eq!(ask(stage, "tiefighter", LANDING).0, 0);
        assert!(!serving(), "rules about ports need none");

        // A rule about requests to the xwing, and none for the others.
        let xwing = RULE1_L7.replace("rule1", "xwing").replace("class: deathstar", "class: xwing");
        let xwing = xwing
            .replace("endpointSelector: {matchLabels: {org: empire,", "endpointSelector: {matchLabels: {");
        stage.done(&["apply", "-f", &stage.file("xwing.yaml", &xwing)]);
        assert!(serving());
        for _ in 0..5 {
            assert_eq!(ask(stage, "tiefighter", LANDING), (0, "Ship landed".to_owned()));
            assert!(bot.asks("api.twitter.com"));
        }
        assert_eq!((count(stage, "/accepted"), count(stage, "/names/queries")), (0, 0));
        let heard = listen(stage, "xwing", 80);
        let mut to_xwing = Ship::new(stage, "tiefighter");
        let address = stage.json(&["endpoint", "get", "xwing"])[0]["ipv4"].as_str().unwrap().to_owned();
        to_xwing.station = format!("{address}:80").parse().unwrap();
        let mut line = to_xwing.call().unwrap();
        line.say(LANDING).unwrap();
        assert!(heard.recv_timeout(SURELY).unwrap().starts_with(b"POST /v1/request-landing "));
        assert_eq!(count(stage, "/accepted"), 1);
        stage.done(&["down"]);
    });
}
