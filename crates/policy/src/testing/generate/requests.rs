//! Requests, rules about them, and names of addresses, out of few words.

use crate::{
    l7::{HttpRequest, KafkaRequest, Request},
    object::{
        cilium::{PortProtocol, PortRule},
        l7::{FqdnSelector, HeaderMatch, HttpRule, KafkaRule, L7Rules},
    },
};
use ciliate_types::DomainName;
use proptest::{collection::vec, option, prelude::*, sample::select};
use std::{collections::BTreeMap, net::IpAddr};

const NAMES: [&str; 5] =
    ["api.twitter.com", "www.twitter.com", "a.b.twitter.com", "twitter.com", "cilium.io"];
const PATTERNS: [&str; 7] =
    ["*", "*.twitter.com", "**.twitter.com", "*twitter.com", "a*.twitter.com", "Cilium.IO.", "*.io"];

fn domain_name() -> impl Strategy<Value = DomainName> {
    select(NAMES.as_slice()).prop_filter_map("a name", |name| name.parse().ok())
}

/// What was found in the domain name system: some addresses of the world.
pub fn names() -> impl Strategy<Value = BTreeMap<DomainName, Vec<IpAddr>>> {
    let addresses = vec!["10.9.1.4", "10.9.2.1", "192.0.2.1", "fd09::5", "2001:db8::1"];
    let address = select(addresses).prop_filter_map("an address", |text| text.parse().ok());
    proptest::collection::btree_map(domain_name(), vec(address, 1..3), 0..4)
}

pub fn selector() -> impl Strategy<Value = FqdnSelector> {
    let name = select(NAMES.as_slice())
        .prop_map(|name| FqdnSelector { match_name: Some(name.to_owned()), match_pattern: None });
    let pattern = select(PATTERNS.as_slice())
        .prop_map(|pattern| FqdnSelector { match_name: None, match_pattern: Some(pattern.to_owned()) });
    prop_oneof![name, pattern]
}

/// An element of `toPorts` with rules.
pub fn element(names: bool, egress: bool) -> impl Strategy<Value = PortRule> {
    let rules = |rules: L7Rules| PortRule { rules: Some(rules), ..PortRule::default() };
    let http =
        vec(http(), 1..=2).prop_map(move |list| rules(L7Rules { http: Some(list), ..L7Rules::default() }));
    let kafka =
        vec(kafka(), 1..=2).prop_map(move |list| rules(L7Rules { kafka: Some(list), ..L7Rules::default() }));
    let server_names = vec(select(PATTERNS.as_slice()).prop_map(ToOwned::to_owned), 1..=2)
        .prop_map(|list| PortRule { server_names: Some(list), ..PortRule::default() });
    let on_tcp = prop_oneof![3 => http, 1 => kafka, 1 => server_names];
    let on_tcp =
        (on_tcp, vec(port(names, &["TCP"]), 1..=2)).prop_map(|(rule, ports)| PortRule { ports, ..rule });
    let dns =
        vec(selector(), 1..=2).prop_map(move |list| rules(L7Rules { dns: Some(list), ..L7Rules::default() }));
    let dns = (dns, vec(port(names, &["TCP", "UDP", "ANY"]), 1..=2)).prop_map(|(mut rule, mut ports)| {
        ports.iter_mut().for_each(|port| port.end_port = None);
        rule.ports = ports;
        rule
    });
    prop_oneof![3 => on_tcp, u32::from(egress) => dns]
}

fn port(names: bool, protocols: &'static [&'static str]) -> impl Strategy<Value = PortProtocol> {
    let ports = vec![("80", None), ("443", None), ("8000", Some(8100)), ("80", Some(81)), ("web", None)];
    let ports: Vec<_> = ports.into_iter().filter(|(port, _)| names || *port != "web").collect();
    (select(ports), select(protocols)).prop_map(|((port, end_port), protocol)| PortProtocol {
        port: port.to_owned(),
        end_port,
        protocol: Some(protocol.to_owned()),
    })
}

fn text(words: &'static [&'static str]) -> impl Strategy<Value = Option<String>> {
    option::weighted(0.25, select(words).prop_map(ToOwned::to_owned))
}

fn http() -> impl Strategy<Value = HttpRule> {
    let headers = text(&["X-Team", "X-Team: red"]).prop_map(|header| header.into_iter().collect());
    let wanted = (text(&["red", "blue"]), any::<bool>(), text(&["LOG", "DELETE"]));
    let wanted = wanted.prop_map(|(text, exact, mismatch)| {
        let (value, regex) = if exact { (text, None) } else { (None, text) };
        HeaderMatch { name: "x-team".to_owned(), value, regex, secret: None, mismatch }
    });
    (
        text(&["GET", "GET|PUT", "P.*"]),
        text(&["/v1/.*", "/v1/a|/v1/b", "/v2[?]x=[0-9]+"]),
        text(&["api.twitter.com", r".*\.com"]),
        headers,
        option::weighted(0.3, wanted),
    )
        .prop_map(|(method, path, host, headers, header_matches)| HttpRule {
            method,
            path,
            host,
            headers,
            header_matches: header_matches.into_iter().collect(),
        })
}

fn kafka() -> impl Strategy<Value = KafkaRule> {
    let key = select(vec![
        (None, None),
        (Some("produce"), None),
        (Some("consume"), None),
        (None, Some("fetch")),
        (None, Some("metadata")),
    ]);
    (key, text(&["1", "2"]), text(&["c"]), text(&["a", "b"])).prop_map(
        |((role, api_key), api_version, client_id, topic)| KafkaRule {
            role: role.map(ToOwned::to_owned),
            api_key: api_key.map(ToOwned::to_owned),
            api_version,
            client_id,
            topic,
        },
    )
}

/// A request that rules may care about, with all that is known about it.
pub fn request() -> impl Strategy<Value = Request> {
    let header = select(vec![("X-Team", "red"), ("x-team", "blue")]);
    let headers = vec(header.prop_map(|(name, value)| (name.to_owned(), value.to_owned())), 0..=2);
    let http = (
        select(vec!["GET", "PUT", "POST", "DELETE"]),
        select(vec!["/v1/a", "/v1/b", "/v1/", "/v2?x=7", "/v2?x=", "/"]),
        select(NAMES.as_slice()),
        headers,
    );
    let http = http.prop_map(|(method, path, host, headers)| {
        Request::Http(HttpRequest {
            method: method.to_owned(),
            path: path.to_owned(),
            host: Some(host.to_owned()),
            headers,
        })
    });
    let topics = vec(select(vec!["a", "b", "c"]).prop_map(ToOwned::to_owned), 0..=2);
    let kafka = (select(vec![0_i16, 1, 3, 19]), 1..=2_i16, text(&["c", "d"]), topics);
    let kafka = kafka.prop_map(|(api_key, version, client_id, topics)| {
        Request::Kafka(KafkaRequest { api_key, api_version: Some(version), client_id, topics })
    });
    prop_oneof![
        4 => http,
        2 => kafka,
        1 => domain_name().prop_map(Request::Dns),
        1 => option::of(domain_name()).prop_map(Request::Tls),
    ]
}
