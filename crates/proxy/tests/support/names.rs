//! A bot on a node, a name server, and sites outside of it that the bot reaches by name.

use crate::{
    node::{Endpoint, Node},
    resolver::{answer, name_of},
};
use ciliate_policy::rule_set::{
    Action, DirectionRules, Entry, EntryKey, FilterDigest, Otherwise, Peer, RuleId, RuleSet, Traffic,
};
use ciliate_proxy::message::{Around, NameIdentity, NameRules, NameSet};
use ciliate_types::{Identity, L7Rules, NamePattern, PortPrefix, Protocol};
use std::{
    net::{IpAddr, TcpListener},
    process::Command,
};

/// Outside of the node, as far as policy is concerned.
pub const SITES: [&str; 4] = ["192.0.2.10", "192.0.2.11", "2001:db8::10", "192.0.2.12"];
pub const TWITTER: Identity = Identity::new(0x0100_0001);
pub const TWITTER6: Identity = Identity::new(0x0100_0002);
pub const BOTH: Identity = Identity::new(0x0100_0003);

pub fn pattern(text: &str) -> NamePattern {
    match text.contains('*') {
        true => NamePattern::MatchPattern(text.parse().unwrap()),
        false => NamePattern::MatchName(text.parse().unwrap()),
    }
}

pub fn site(number: usize) -> IpAddr {
    SITES[number].parse().unwrap()
}

pub fn named(patterns: &[&str], around: Around, identity: Identity) -> NameIdentity {
    NameIdentity {
        set: NameSet { patterns: patterns.iter().map(|text| pattern(text)).collect(), around },
        identity,
    }
}

pub fn twitter() -> NameRules {
    NameRules {
        patterns: [pattern("*.twitter.com")].into(),
        identities: vec![
            named(&["*.twitter.com"], Around::WorldIpv4, TWITTER),
            named(&["*.twitter.com"], Around::WorldIpv6, TWITTER6),
        ],
        prefixes: Vec::new(),
    }
}

/// May ask `resolver`, and reach these identities at port 80.
pub fn egress<const N: usize>(resolver: Identity, reachable: [Identity; N]) -> RuleSet {
    let entry = |peer, protocol, port, action, rule: u32| {
        let traffic = Traffic::Ports(protocol, PortPrefix { value: port, len: 16 });
        let filter = FilterDigest(u64::from(rule) << 32 | 1);
        (EntryKey { peer, traffic }, Entry { action, precedence: 5, rule: RuleId(rule), filter })
    };
    let queries = [Protocol::UDP, Protocol::TCP]
        .map(|protocol| entry(Peer::Identity(resolver), protocol, 53, Action::Redirect, 7));
    let sites = reachable.map(|one| entry(Peer::Identity(one), Protocol::TCP, 80, Action::Allow, 8));
    let egress = DirectionRules {
        otherwise: Otherwise::Deny,
        entries: queries.into_iter().chain(sites).collect(),
        ..DirectionRules::default()
    };
    RuleSet { ingress: DirectionRules::default(), egress }
}

/// The sites' servers. They listen in the node's own namespace.
pub fn sites() -> TcpListener {
    let ip = |args: &[&str]| assert!(Command::new("ip").args(args).status().unwrap().success());
    ip(&["link", "set", "lo", "up"]);
    for address in SITES {
        ip(&["address", "add", address, "dev", "lo"]);
    }
    TcpListener::bind(("::", 80)).unwrap()
}

/// `api.twitter.com` and others have addresses, the same for every query.
pub fn directory(query: &[u8]) -> Vec<Vec<u8>> {
    let is_v6 = query[query.len() - 3] == 28;
    let numbers: &[usize] = match (name_of(query).to_ascii_lowercase().as_str(), is_v6) {
        ("api.twitter.com", false) => &[0],
        ("api.twitter.com", true) => &[2],
        ("www.example.com", false) => &[1],
        ("new.twitter.com", false) => &[3],
        _ => &[],
    };
    let addresses: Vec<IpAddr> = numbers.iter().map(|number| site(*number)).collect();
    vec![answer(query, &addresses, 300)]
}

pub struct Scene {
    pub bot: Endpoint,
    pub dns: Endpoint,
    pub sites: TcpListener,
}

/// A bot that may ask a resolver and reach the identities of Twitter.
pub fn scene(node: &mut Node) -> Scene {
    let dns = node.endpoint(12, &RuleSet::default());
    let bot = node.endpoint(10, &egress(dns.identity, [TWITTER, TWITTER6, BOTH]));
    Scene { bot, dns, sites: sites() }
}

pub fn all_names() -> L7Rules {
    L7Rules::Dns(vec![pattern("*")])
}
