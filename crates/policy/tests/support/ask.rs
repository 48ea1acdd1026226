//! Questions to policies in a table's words, for the tests of features.

use ciliate_policy::{
    Change, Engine, PeerRef, Query, Settings, Verdict, endpoint_labels, fqdn_labels, parse,
};
use ciliate_types::{Label, Protocol};
use std::{collections::BTreeMap, net::IpAddr};

pub const CNP: &str = "apiVersion: cilium.io/v2\nkind: CiliumNetworkPolicy\nmetadata: {name: p}\n";
pub const CCNP: &str =
    "apiVersion: cilium.io/v2\nkind: CiliumClusterwideNetworkPolicy\nmetadata: {name: p}\n";
pub const NETPOL: &str = "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: p}\n";

/// What a resolver says.
const RESOLVED: [(&str, &str); 5] = [
    ("api.twitter.com", "192.0.2.10"),
    ("www.twitter.com", "192.0.2.11"),
    ("deep.api.twitter.com", "2001:db8::12"),
    ("cdn.example.com", "192.0.2.11"),
    ("other.example.com", "192.0.2.13"),
];

/// Everybody that the tables speak of: four pods, two nodes, and addresses.
#[expect(clippy::unwrap_used, reason = "a test")]
pub fn peer(name: &str) -> PeerRef {
    let pod = |user: &str, namespace: &str, address: &str, ports: &[(&str, Protocol, u16)]| PeerRef {
        labels: endpoint_labels(
            &user.split(',').map(|l| Label::parse(l, "k8s").unwrap()).collect(),
            namespace,
            &BTreeMap::from([("team".to_owned(), format!("team-{namespace}"))]),
            Some("robot"),
            "default",
        ),
        address: address.parse().ok(),
        named_ports: ports.iter().map(|(n, p, number)| (((*n).to_owned(), *p), [*number].into())).collect(),
    };
    let reserved = |labels: &str, address: &str| PeerRef {
        labels: labels.split(',').map(|l| l.parse().unwrap()).collect(),
        address: address.parse().ok(),
        ..PeerRef::default()
    };
    match name {
        "web" => pod(
            "app=web,tier=front",
            "default",
            "10.0.0.1",
            &[("http", Protocol::TCP, 8080), ("dns", Protocol::UDP, 53)],
        ),
        "db" => pod("app=db", "default", "10.0.0.2", &[("http", Protocol::TCP, 9090)]),
        "job" => pod("app=job,container:image=alpine", "default", "10.0.0.3", &[]),
        "other" => pod("app=web", "other", "fd00::4", &[]),
        "host" => reserved("reserved:host", "10.0.0.254"),
        "node" => reserved("reserved:remote-node,node:role=worker", "192.168.0.2"),
        "apiserver" => reserved("reserved:kube-apiserver", "192.168.0.3"),
        "health" => reserved("reserved:health", "10.0.0.250"),
        "world" => reserved("reserved:world", ""),
        address => PeerRef::address(address.parse::<IpAddr>().unwrap()),
    }
}

/// Reads `80/TCP`, `8/ICMP`.
#[expect(clippy::unwrap_used, reason = "a test")]
pub fn traffic(text: &str) -> (Protocol, u16) {
    let (port, protocol) = text.split_once('/').unwrap();
    (protocol.parse().unwrap(), port.parse().unwrap())
}

#[expect(clippy::panic, reason = "a test")]
pub fn engine(policies: &str, settings: Settings) -> Engine {
    let mut engine = Engine::new(settings);
    let parsed = match parse(policies, "test.yaml", "default") {
        Ok(parsed) => parsed,
        Err(errors) => panic!("{policies}\n{errors:#?}"),
    };
    assert!(parsed.iter().all(|p| p.warnings.is_empty()), "{parsed:#?}");
    let changes = parsed.into_iter().map(|p| Change::Put(p.object)).collect();
    assert!(engine.replace(changes).is_ok());
    engine
}

/// Somebody by name; names of the outside are what a resolver has found for them.
#[expect(clippy::expect_used, reason = "a test")]
fn found(engine: &Engine, name: &str) -> PeerRef {
    let Some((_, address)) = RESOLVED.iter().find(|(known, _)| *known == name) else { return peer(name) };
    let address: IpAddr = address.parse().expect("an address");
    let names = RESOLVED.iter().filter(|(_, of)| of.parse() == Ok(address)).map(|(name, _)| *name);
    let names: Vec<&str> = names.collect();
    let patterns: Vec<_> = engine.fqdn_selectors().into_iter().map(|row| row.pattern).collect();
    let matching = patterns.iter().filter(|pattern| names.iter().any(|name| pattern.matches(name)));
    let labels = fqdn_labels(matching, address, engine.covering_prefix(address));
    PeerRef { labels, address: Some(address), ..PeerRef::default() }
}

/// The policies of `web` and the answers for its traffic: `<` comes in from a peer, `>` goes out to one. Between the port and
/// the answer may stand a request. `proxy` is the answer where it depends on requests.
#[expect(clippy::unwrap_used, clippy::panic, reason = "a test")]
pub fn ask(engine: &Engine, questions: &str) {
    for question in questions.split(';').map(str::trim).filter(|q| !q.is_empty()) {
        let words: Vec<&str> = question.split_whitespace().collect();
        let [way, other, what, request @ .., answer] = &words[..] else {
            panic!("{question:?} is no question")
        };
        let (protocol, port) = traffic(what);
        let (source, destination) = match *way {
            "<" => (found(engine, other), peer("web")),
            ">" => (peer("web"), found(engine, other)),
            _ => panic!("{way:?} is no way"),
        };
        let request = request.join(" ").replace('|', "\n");
        let request = Some(request).filter(|text| !text.is_empty()).map(|text| text.parse().unwrap());
        let explained = engine.explain(&Query { source, destination, protocol, port, request });
        let story = if *way == "<" { &explained.ingress } else { &explained.egress };
        let expected = match *answer {
            "yes" => Verdict::Allowed,
            "proxy" => Verdict::Redirected,
            "no" => Verdict::Denied,
            _ => panic!("{answer:?} is no answer"),
        };
        assert_eq!(story.verdict, expected, "{question}\n{explained:#}");
        let end = explained.to_string();
        assert_eq!(end.lines().last().unwrap(), format!("Final verdict: {}", explained.verdict));
    }
}

pub fn check(head: &str, body: &str, questions: &str) {
    check_with(Settings::default(), &format!("{head}{body}"), questions);
}

pub fn check_with(settings: Settings, policies: &str, questions: &str) {
    ask(&engine(policies, settings), questions);
}
