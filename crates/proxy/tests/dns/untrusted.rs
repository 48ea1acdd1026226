//! Servers that lie, truncate, are late or silent: nothing of it opens anything, and clients get answers.

use crate::{
    names::{Scene, all_names, directory, scene, site, twitter},
    node::{NEVER, SURELY, connect, on_node},
    proxy::{Proxy, filter},
    resolver::{self, NOERROR, SERVFAIL, answer, ask, ask_in_vain},
};
use ciliate_policy::rule_set::RuleSet;
use ciliate_proxy::DnsSettings;
use std::{
    io::Write as _,
    thread,
    time::{Duration, Instant},
};

#[test]
fn a_server_that_lies_opens_nothing() {
    on_node("dnslies", |node| {
        let Scene { bot, dns, sites: _sites } = scene(node);
        let liar = node.endpoint(13, &RuleSet::default());
        let stranger = liar.netns.run(|| std::net::UdpSocket::bind(("::", 53)).unwrap()).unwrap();
        let seen = resolver::serve(&dns, |query| {
            let lie = answer(query, &[site(3)], 300);
            let mut other_id = lie.clone();
            other_id[0] ^= 1;
            let mut other_name = lie.clone();
            other_name[13] ^= 3;
            // An owner that nobody asked for.
            let mut other_owner = answer(query, &[site(3)], 300);
            let at = query.len();
            other_owner.splice(
                at..at + 2,
                [3, b'w', b'w', b'w', 7, b't', b'w', b'i', b't', b't', b'e', b'r', 3, b'c', b'o', b'm', 0],
            );
            vec![other_id, other_name, other_owner]
        });
        let proxy = Proxy::start(node, 1);
        proxy.configure_with([filter(7, all_names())], twitter());
        assert_eq!(
            ask(&bot, dns.v4, 5, "api.twitter.com"),
            Some(NOERROR),
            "the third is an answer to the question"
        );
        connect(&bot, site(3), 80, NEVER).unwrap_err();
        // From another source, with everything else right.
        let (proxied, _) = seen.recv_timeout(SURELY).unwrap();
        for id in 0..u16::MAX {
            if id % 97 == 0 {
                let lie = answer(&resolver::query(id, "api.twitter.com", 1), &[site(3)], 300);
                let _dropped = stranger.send_to(&lie, proxied);
            }
        }
        std::thread::sleep(NEVER);
        connect(&bot, site(3), 80, NEVER).unwrap_err();
        let faults = proxy.status().faults;
        assert_eq!(
            (faults.get("unknown_id"), faults.get("other_question")),
            (Some(&1), Some(&1)),
            "{faults:?}"
        );
    });
}

#[test]
fn a_server_that_is_silent_or_gone_is_answered_for() {
    on_node("dnssilent", |node| {
        let Scene { bot, dns, sites: _sites } = scene(node);
        let proxy = Proxy::start(node, 1);
        proxy.configure_with([filter(7, all_names())], twitter());
        // Its port is closed: the host says so.
        assert_eq!(ask(&bot, dns.v4, 5, "api.twitter.com"), Some(SERVFAIL));
        let _seen = resolver::serve(&dns, |_| Vec::new());
        assert_eq!(ask(&bot, dns.v4, 6, "api.twitter.com"), Some(SERVFAIL));
        assert_eq!(proxy.status().faults.get("dns-timeout"), Some(&1));
        assert_eq!(ask_in_vain(&dns, bot.v4, 7, "api.twitter.com"), None);
    });
}

/// The answer by UDP says that there is more, and lies about what there is; the one by TCP counts.
#[test]
fn a_truncated_answer_is_got_whole_by_tcp() {
    const TRUNCATED: u8 = 2;
    on_node("dnstruncated", |node| {
        let Scene { bot, dns, sites: _sites } = scene(node);
        let cut = |query: &[u8]| {
            let mut cut = answer(query, &[], 300);
            cut[2] |= TRUNCATED;
            vec![cut]
        };
        let _seen = resolver::serve_each(&dns, cut, directory);
        let proxy = Proxy::start(node, 1);
        proxy.configure_with([filter(7, all_names())], twitter());
        let socket = resolver::towards(&bot, dns.v4, SURELY);
        socket.send(&resolver::query(5, "api.twitter.com", 1)).unwrap();
        let mut buffer = [0; 512];
        let count = socket.recv(&mut buffer).unwrap();
        assert!(count > 12 && buffer[2] & TRUNCATED != 0, "the client is told: {:?}", &buffer[..count]);
        connect(&bot, site(0), 80, NEVER).unwrap_err();
        let mut stream = connect(&bot, dns.v4, 53, SURELY).unwrap();
        stream.set_read_timeout(Some(SURELY)).unwrap();
        stream.write_all(&resolver::framed(&resolver::query(6, "api.twitter.com", 1))).unwrap();
        let whole = resolver::frame(&mut stream).unwrap();
        assert_eq!((whole[2] & TRUNCATED, whole[3] & 15, whole[7]), (0, NOERROR, 1));
        connect(&bot, site(0), 80, SURELY).unwrap();
    });
}

/// What comes in time is released, however late; what comes later opens nothing.
#[test]
fn a_late_answer_counts_until_the_client_was_answered_for() {
    const LIMIT: Duration = Duration::from_millis(1500);
    on_node("dnslate", |node| {
        let Scene { bot, dns, sites: _sites } = scene(node);
        let _seen = resolver::serve_each(
            &dns,
            |query| {
                let late = resolver::name_of(query).starts_with("new");
                thread::sleep(if late { LIMIT * 2 } else { LIMIT / 3 });
                directory(query)
            },
            directory,
        );
        let mut settings = DnsSettings::default();
        settings.pending.timeout = LIMIT;
        let proxy = Proxy::start_with(node, 1, settings);
        proxy.configure_with([filter(7, all_names())], twitter());
        assert_eq!(ask(&bot, dns.v4, 5, "api.twitter.com"), Some(NOERROR));
        connect(&bot, site(0), 80, SURELY).unwrap();
        let begun = Instant::now();
        assert_eq!(ask(&bot, dns.v4, 6, "new.twitter.com"), Some(SERVFAIL));
        assert!(begun.elapsed() >= LIMIT);
        // The server's answer is on its way by then, and nobody waits for it.
        thread::sleep(LIMIT * 2);
        connect(&bot, site(3), 80, NEVER).unwrap_err();
        let status = proxy.status();
        assert_eq!((status.names.selected, status.faults.get("dns-timeout")), (1, Some(&1)));
    });
}
