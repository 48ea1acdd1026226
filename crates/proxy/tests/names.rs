//! Settings and limits of names, through the proxy on a node with real devices. Needs root.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "tests state plainly what they expect"
)]

#[path = "support/names.rs"]
mod names;
#[path = "../../bpf/tests/support/node.rs"]
#[expect(dead_code, reason = "shared with tests that use all of it")]
mod node;
#[path = "support/proxy.rs"]
#[expect(dead_code, reason = "shared with tests that use all of it")]
mod proxy;
#[path = "support/resolver.rs"]
#[expect(dead_code, reason = "shared with tests that use all of it")]
mod resolver;

use ciliate_proxy::DnsSettings;
use ciliate_types::L7Rules;
use names::{Scene, all_names, directory, pattern, scene, site, twitter};
use node::{NEVER, SURELY, connect, on_node};
use proxy::{Proxy, filter};
use resolver::{NOERROR, SERVFAIL, answer, ask, name_of};
use std::{
    net::UdpSocket,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

const NXDOMAIN: u8 = 3;

#[test]
fn a_denied_query_is_answered_as_the_setting_says() {
    on_node("dnsreject", |node| {
        let Scene { bot, dns, sites: _sites } = scene(node);
        let seen = resolver::serve(&dns, directory);
        let settings = DnsSettings { reject: ciliate_dns::Reply::NxDomain, ..DnsSettings::default() };
        let proxy = Proxy::start_with(node, 1, settings);
        proxy.configure_with([filter(7, L7Rules::Dns(vec![pattern("*.twitter.com")]))], twitter());
        assert_eq!(ask(&bot, dns.v4, 5, "www.example.com"), Some(NXDOMAIN));
        assert_eq!(ask(&bot, dns.v4, 6, "api.twitter.com"), Some(NOERROR));
        assert_eq!(seen.try_iter().map(|(_, name)| name).collect::<Vec<_>>(), ["api.twitter.com"]);
    });
}

#[test]
fn what_the_pre_cache_says_is_reachable_without_a_query() {
    on_node("dnsprecache", |node| {
        let Scene { bot, dns: _, sites: _sites } = scene(node);
        let file = node.settings.root.parent().unwrap().parent().unwrap().with_extension("precache");
        let row = |name: &str, year: u32, number: usize| {
            format!(
                r#"{{"fqdn": "{name}", "expiration-time": "{year}-01-01T00:00:00Z", "ips": ["{}"]}}"#,
                site(number)
            )
        };
        // The last one's time is over.
        let rows = [
            row("api.twitter.com", 2080, 0),
            row("www.example.com", 2080, 1),
            row("new.twitter.com", 2001, 3),
        ];
        std::fs::write(&file, format!("[{}]", rows.join(","))).unwrap();
        let settings = DnsSettings { pre_cache: Some(file.clone()), ..DnsSettings::default() };
        let proxy = Proxy::start_with(node, 1, settings);
        std::fs::remove_file(&file).unwrap();
        proxy.configure_with([filter(7, all_names())], twitter());
        connect(&bot, site(0), 80, SURELY).unwrap();
        connect(&bot, site(1), 80, NEVER).unwrap_err();
        connect(&bot, site(3), 80, NEVER).unwrap_err();
    });
}

#[test]
fn a_host_name_has_so_many_addresses_and_those_in_use() {
    on_node("dnsperhost", |node| {
        let Scene { bot, dns, sites } = scene(node);
        // Another address for each query.
        let asked = Arc::new(AtomicUsize::new(0));
        let _seen = resolver::serve(&dns, {
            let asked = Arc::clone(&asked);
            // Which last longer each time, so that the newest is what is kept.
            move |query| {
                let count = asked.fetch_add(1, Relaxed);
                vec![answer(query, &[site([0, 1, 3][count % 3])], 300 + 10 * u32::try_from(count).unwrap())]
            }
        });
        let mut settings = DnsSettings { survey: Duration::from_secs(1), ..DnsSettings::default() };
        settings.cache.max_ip_per_hostname = 1;
        let proxy = Proxy::start_with(node, 1, settings);
        proxy.configure_with([filter(7, all_names())], twitter());
        assert_eq!(ask(&bot, dns.v4, 5, "api.twitter.com"), Some(NOERROR));
        let used = connect(&bot, site(0), 80, SURELY).unwrap();
        let accepted = sites.accept().unwrap();
        // It is too much now, but found in use.
        assert_eq!(ask(&bot, dns.v4, 6, "api.twitter.com"), Some(NOERROR));
        std::thread::sleep(Duration::from_millis(3200));
        assert_eq!(proxy.status().names.selected, 2);
        // What nobody uses makes room: of those that are too much a name keeps as many again.
        assert_eq!(ask(&bot, dns.v4, 7, "api.twitter.com"), Some(NOERROR));
        assert_eq!(proxy.status().names.selected, 2);
        connect(&bot, site(3), 80, SURELY).unwrap();
        connect(&bot, site(1), 80, NEVER).unwrap_err();
        connect(&bot, site(0), 80, SURELY).unwrap();
        drop((used, accepted));
    });
}

#[test]
fn a_flood_of_queries_and_of_names_is_bounded_and_counted() {
    on_node("dnsflood", |node| {
        let Scene { bot, dns, sites: _sites } = scene(node);
        let _seen = resolver::serve(&dns, |query| match name_of(query).starts_with("never") {
            true => Vec::new(),
            false => vec![answer(query, &[site(0)], 300)],
        });
        let mut settings = DnsSettings::default();
        settings.pending.max_per_client = 20;
        settings.pending.timeout = Duration::from_secs(1);
        settings.cache.max_names = 30;
        let proxy = Proxy::start_with(node, 1, settings);
        proxy.configure_with([filter(7, all_names())], twitter());
        // More than may be under way, to a server that does not answer.
        let socket = bot.netns.run(|| UdpSocket::bind("0.0.0.0:0").unwrap()).unwrap();
        for id in 0..200 {
            socket.send_to(&resolver::query(id, "never.twitter.com", 1), (dns.v4, 53)).unwrap();
        }
        socket.set_read_timeout(Some(SURELY)).unwrap();
        for _ in 0..200 {
            let mut answer = [0; 512];
            let count = socket.recv(&mut answer).unwrap();
            assert!(count > 3 && answer[3] & 15 == SERVFAIL, "each gets an answer: {:?}", &answer[..count]);
        }
        let faults = proxy.status().faults;
        assert_eq!(faults.get("dns-max-pending-per-client"), Some(&180), "{faults:?}");
        assert_eq!(faults.get("dns-timeout"), Some(&20), "{faults:?}");
        // More names than may be known: those that no rule selects make room, the others are refused.
        for id in 0..40 {
            assert_eq!(ask(&bot, dns.v4, id, &format!("n{id}.example.com")), Some(NOERROR));
        }
        assert!(proxy.status().names.names <= 30);
        let codes: Vec<_> = (0..40).map(|id| ask(&bot, dns.v4, id, &format!("n{id}.twitter.com"))).collect();
        assert_eq!(codes.iter().filter(|code| **code == Some(NOERROR)).count(), 30, "{codes:?}");
        assert_eq!(codes.iter().filter(|code| **code == Some(SERVFAIL)).count(), 10, "{codes:?}");
        let status = proxy.status();
        assert_eq!((status.names.names, status.faults.get("dns-learn")), (30, Some(&10)));
        // One that is known goes on.
        assert_eq!(ask(&bot, dns.v4, 9, "n0.twitter.com"), Some(NOERROR));
    });
}
