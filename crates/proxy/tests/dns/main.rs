//! Queries through the proxy, and addresses that become reachable by them, on a node with real devices. Needs root.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "tests state plainly what they expect"
)]

mod lifetimes;
mod many;
#[path = "../support/names.rs"]
mod names;
#[path = "../../../bpf/tests/support/node.rs"]
#[expect(dead_code, reason = "shared with tests that use all of it")]
mod node;
#[path = "../support/proxy.rs"]
#[expect(dead_code, reason = "shared with tests that use all of it")]
mod proxy;
#[path = "../support/resolver.rs"]
mod resolver;
mod untrusted;

use ciliate_proxy::message::{Around, DnsAnswer, Message, NameRules, Request, Verdict, What};
use ciliate_types::L7Rules;
use names::{BOTH, Scene, all_names, directory, named, pattern, scene, site, twitter};
use node::{NEVER, SURELY, connect, on_node};
use proxy::{Proxy, filter};
use resolver::{NOERROR, REFUSED, ask};
use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
    time::Instant,
};

#[test]
fn a_name_that_is_asked_for_becomes_reachable_with_the_answer() {
    on_node("dnsstory", |node| {
        let Scene { bot, dns, sites: _sites } = scene(node);
        let seen = resolver::serve(&dns, directory);
        let proxy = Proxy::start(node, 1);
        proxy.configure_with([filter(7, all_names())], twitter());
        connect(&bot, site(0), 80, NEVER).unwrap_err();
        assert_eq!(ask(&bot, dns.v4, 4711, "api.twitter.com"), Some(NOERROR));
        // The first connection.
        connect(&bot, site(0), 80, SURELY).unwrap();
        let (from, name) = seen.recv_timeout(SURELY).unwrap();
        assert_eq!(
            (from.ip().to_canonical(), name.as_str()),
            (bot.v4, "api.twitter.com"),
            "the server sees the client"
        );
        connect(&bot, site(2), 80, NEVER).unwrap_err();
        assert_eq!(ask(&bot, dns.v6, 4712, "api.twitter.com"), Some(NOERROR));
        connect(&bot, site(2), 80, SURELY).unwrap();
        assert_eq!(ask(&bot, dns.v4, 4713, "www.example.com"), Some(NOERROR));
        connect(&bot, site(1), 80, NEVER).unwrap_err();
        let status = proxy.status();
        assert_eq!((status.names.names, status.names.selected, status.requests.forwarded), (2, 2, 3));
    });
}

#[test]
fn names_that_no_rule_allows_are_refused_at_once() {
    on_node("dnsrefused", |node| {
        let Scene { bot, dns, sites: _sites } = scene(node);
        let seen = resolver::serve(&dns, directory);
        let proxy = Proxy::start(node, 1);
        proxy.configure_with([filter(7, L7Rules::Dns(vec![pattern("api.twitter.com")]))], twitter());
        let accesses = proxy.watch();
        assert_eq!(ask(&bot, dns.v4, 1, "API.twitter.com"), Some(NOERROR));
        let begun = Instant::now();
        assert_eq!(ask(&bot, dns.v4, 2, "new.twitter.com"), Some(REFUSED));
        assert!(begun.elapsed().as_secs() < 2, "without waiting for anybody");
        let told: Vec<_> = accesses.iter().take(3).collect();
        assert!(told.iter().all(|access| access.transport == 17
            && access.latency.is_some() == (access.message == Message::Response)));
        let found: Vec<_> =
            told.into_iter().map(|r| (r.message, r.verdict, r.rule, r.closed_by, r.what)).collect();
        let refused = DnsAnswer { code: REFUSED, ..DnsAnswer::default() };
        let said = DnsAnswer {
            code: NOERROR,
            addresses: vec![site(0)],
            ttl: 300,
            aliases: Vec::new(),
            kinds: vec!["A".into()],
        };
        let what = |name: &str, answer| What::Dns { name: name.into(), kind: "A".into(), answer };
        assert_eq!(
            found,
            [
                (Message::Request, Verdict::Forwarded, 7, vec![], what("api.twitter.com", None)),
                (Message::Response, Verdict::Forwarded, 7, vec![], what("api.twitter.com", Some(said))),
                (Message::Request, Verdict::Denied, 0, vec![7], what("new.twitter.com", Some(refused))),
            ]
        );
        assert_eq!(seen.try_iter().count(), 1, "a denied query does not reach the server");
    });
}

#[test]
fn new_names_become_reachable_while_nobody_numbers_sets() {
    on_node("dnsalone", |node| {
        let Scene { bot, dns, sites: _sites } = scene(node);
        let _seen = resolver::serve(&dns, directory);
        let proxy = Proxy::start(node, 1);
        let mut rules = twitter();
        rules.patterns.insert(pattern("new.*.com"));
        proxy.configure_with([filter(7, all_names())], rules.clone());
        // The set of both patterns has no number: its largest known part is one pattern, and that allows it.
        assert_eq!(ask(&bot, dns.v4, 5, "new.twitter.com"), Some(NOERROR));
        connect(&bot, site(3), 80, SURELY).unwrap();
        assert_eq!(proxy.status().names.waiting, 1);
        // An agent that comes is asked at once, and with its number all is settled.
        let mut wanted = proxy.client().watch_wanted().unwrap();
        let sets = wanted.next().unwrap().unwrap();
        let both = named(&["*.twitter.com", "new.*.com"], Around::WorldIpv4, BOTH);
        assert_eq!(sets, std::slice::from_ref(&both.set));
        rules.identities.push(both);
        proxy.configure_with([filter(7, all_names())], rules);
        assert_eq!((proxy.status().names.waiting, proxy.status().names.selected), (0, 1));
        connect(&bot, site(3), 80, SURELY).unwrap();
    });
}

#[test]
fn an_answer_waits_for_the_number_of_its_set() {
    on_node("dnswaits", |node| {
        let Scene { bot, dns, sites: _sites } = scene(node);
        let _seen = resolver::serve(&dns, directory);
        let proxy = Proxy::start(node, 1);
        // No set of this pattern has a number.
        let rules = NameRules { patterns: [pattern("*.twitter.com")].into(), ..NameRules::default() };
        proxy.configure_with([filter(7, all_names())], rules);
        let wanted = proxy.client().watch_wanted().unwrap();
        let mut agent = proxy.client();
        std::thread::spawn(move || {
            for sets in wanted.map_while(Result::ok) {
                assert_eq!(sets, [twitter().identities[0].set.clone()]);
                let filters = [filter(7, all_names())].into();
                let configuration = ciliate_proxy::message::Configuration {
                    revision: 2,
                    filters,
                    names: twitter(),
                    ..ciliate_proxy::message::Configuration::default()
                };
                agent.ask(&Request::Learn(configuration)).unwrap();
            }
        });
        assert_eq!(ask(&bot, dns.v4, 5, "api.twitter.com"), Some(NOERROR));
        connect(&bot, site(0), 80, SURELY).unwrap();
        assert_eq!(proxy.status().faults.get("tofqdns-proxy-response-max-delay"), None);
    });
}

#[test]
fn queries_by_tcp_are_judged_and_learned_from() {
    on_node("dnstcp", |node| {
        let Scene { bot, dns, sites: _sites } = scene(node);
        let seen = resolver::serve(&dns, directory);
        let proxy = Proxy::start(node, 1);
        proxy.configure_with([filter(7, L7Rules::Dns(vec![pattern("api.twitter.com")]))], twitter());
        let mut stream = connect(&bot, dns.v4, 53, SURELY).unwrap();
        stream.set_read_timeout(Some(SURELY)).unwrap();
        // One after the other without waiting, and in pieces.
        let mut sent = resolver::framed(&resolver::query(7, "api.twitter.com", 1));
        sent.extend(resolver::framed(&resolver::query(8, "new.twitter.com", 1)));
        for piece in sent.chunks(5) {
            stream.write_all(piece).unwrap();
        }
        let mut answers: Vec<_> = (0..2).map(|_| resolver::frame(&mut stream).unwrap()).collect();
        answers.sort();
        assert_eq!((answers[0][..2].to_vec(), answers[0][3] & 15), (vec![0, 7], NOERROR));
        assert_eq!((answers[1][..2].to_vec(), answers[1][3] & 15), (vec![0, 8], REFUSED));
        connect(&bot, site(0), 80, SURELY).unwrap();
        assert_eq!(seen.try_iter().map(|(_, name)| name).collect::<Vec<_>>(), ["api.twitter.com"]);
    });
}

#[test]
fn a_new_proxy_knows_what_the_one_before_it_knew() {
    on_node("dnsrestart", |node| {
        let Scene { bot, dns, sites: _sites } = scene(node);
        let _seen = resolver::serve(&dns, directory);
        let old = Proxy::start(node, 1);
        old.configure_with([filter(7, all_names())], twitter());
        assert_eq!(ask(&bot, dns.v4, 5, "api.twitter.com"), Some(NOERROR));
        // As after a restart of the host.
        node.datapath.remove_ipcache(site(0).into()).unwrap();
        let new = Proxy::start(node, 1);
        connect(&bot, site(0), 80, SURELY).unwrap();
        assert_eq!(ask(&bot, dns.v4, 6, "new.twitter.com"), Some(NOERROR));
        connect(&bot, site(3), 80, SURELY).unwrap();
        assert_eq!(new.status().names.selected, 2);
        assert!(old.ended(SURELY));
        new.ask(&Request::CleanNames(Some(pattern("new.*.com"))));
        connect(&bot, site(3), 80, NEVER).unwrap_err();
        connect(&bot, site(0), 80, SURELY).unwrap();
    });
}

#[test]
fn what_was_asked_before_a_hand_over_is_answered_after_it() {
    on_node("dnshandover", |node| {
        let Scene { bot, dns, sites: _sites } = scene(node);
        // Slower than the start of a proxy.
        let seen = resolver::serve(&dns, |query| {
            std::thread::sleep(std::time::Duration::from_millis(800));
            directory(query)
        });
        let old = Proxy::start(node, 1);
        old.configure_with([filter(7, all_names())], twitter());
        let mut stream = connect(&bot, dns.v4, 53, SURELY).unwrap();
        stream.set_read_timeout(Some(SURELY)).unwrap();
        stream.write_all(&resolver::framed(&resolver::query(7, "new.twitter.com", 1))).unwrap();
        std::thread::scope(|scope| {
            let asked = scope.spawn(|| ask(&bot, dns.v4, 4711, "api.twitter.com"));
            // Both are with the resolver.
            for _ in 0..2 {
                seen.recv_timeout(SURELY).unwrap();
            }
            let new = Proxy::start(node, 1);
            assert!(!asked.is_finished(), "the resolver is slower than that");
            assert_eq!(asked.join().unwrap(), Some(NOERROR));
            connect(&bot, site(0), 80, SURELY).unwrap();
            let frame = resolver::frame(&mut stream).unwrap();
            assert_eq!((frame[..2].to_vec(), frame[3] & 15), (vec![0, 7], NOERROR));
            connect(&bot, site(3), 80, SURELY).unwrap();
            assert_eq!(new.status().names.selected, 2, "the new one knows both");
            drop(stream);
            assert!(old.ended(SURELY));
        });
    });
}

/// Both directions of a connection that was opened before.
fn still_speaks(client: &mut TcpStream, server: &mut TcpStream) -> bool {
    let passes = |from: &mut TcpStream, to: &mut TcpStream| {
        to.set_read_timeout(Some(NEVER)).unwrap();
        from.write_all(b"x").is_ok() && to.read_exact(&mut [0]).is_ok()
    };
    passes(client, server) && passes(server, client)
}

#[test]
fn what_is_forgotten_ends_the_connections_that_names_allowed() {
    on_node("dnsclean", |node| {
        let Scene { bot, dns, sites } = scene(node);
        let _seen = resolver::serve(&dns, directory);
        let proxy = Proxy::start(node, 1);
        proxy.configure_with([filter(7, all_names())], twitter());
        let mut open = ["api.twitter.com", "new.twitter.com"].map(|name| {
            assert_eq!(ask(&bot, dns.v4, 5, name), Some(NOERROR));
            let number = if name.starts_with("api") { 0 } else { 3 };
            let client = connect(&bot, site(number), 80, SURELY).unwrap();
            (client, sites.accept().unwrap().0)
        });
        for (client, server) in &mut open {
            assert!(still_speaks(client, server));
        }
        proxy.ask(&Request::CleanNames(Some(pattern("new.twitter.com"))));
        let [(client, server), (other_client, other_server)] = &mut open;
        assert!(still_speaks(client, server), "its name is known");
        assert!(!still_speaks(other_client, other_server), "no name allows it");
        // Whoever asks again may go on: the segment is sent again.
        assert_eq!(ask(&bot, dns.v4, 6, "new.twitter.com"), Some(NOERROR));
        other_server.set_read_timeout(Some(SURELY)).unwrap();
        other_server.read_exact(&mut [0]).unwrap();
        assert!(still_speaks(client, server));
    });
}
