//! How long the address of a name is reachable: its time, the settings that make it longer, and connections.

use crate::{
    names::{Scene, all_names, scene, site, twitter},
    node::{NEVER, SURELY, connect, on_node},
    proxy::{Proxy, filter},
    resolver::{self, NOERROR, answer, ask},
};
use ciliate_proxy::DnsSettings;
use std::{
    thread,
    time::{Duration, Instant},
};

/// How often connections are looked through here; a minute elsewhere.
const SURVEY: Duration = Duration::from_secs(1);

/// Waits until so many addresses are left; says how long that took.
fn left(proxy: &Proxy, count: usize) -> Duration {
    let start = Instant::now();
    while proxy.status().names.selected != count {
        assert!(start.elapsed() < SURELY, "{:?}, not {count}", proxy.status().names);
        thread::sleep(Duration::from_millis(50));
    }
    start.elapsed()
}

#[test]
fn an_address_goes_when_its_time_is_over_and_nobody_uses_it() {
    on_node("dnsexpiry", |node| {
        let Scene { bot, dns, sites } = scene(node);
        let _seen = resolver::serve(&dns, |query| vec![answer(query, &[site(0)], 1)]);
        let settings = DnsSettings { survey: SURVEY, ..DnsSettings::default() };
        let proxy = Proxy::start_with(node, 1, settings);
        proxy.configure_with([filter(7, all_names())], twitter());
        assert_eq!(ask(&bot, dns.v4, 5, "api.twitter.com"), Some(NOERROR));
        let stream = connect(&bot, site(0), 80, SURELY).unwrap();
        let (server, _) = sites.accept().unwrap();
        thread::sleep(Duration::from_secs(5));
        assert_eq!(proxy.status().names.selected, 1, "a connection keeps it");
        connect(&bot, site(0), 80, SURELY).unwrap();
        let (other, _) = sites.accept().unwrap();
        drop((stream, server, other));
        left(&proxy, 0);
        connect(&bot, site(0), 80, NEVER).unwrap_err();
    });
}

/// `tofqdns-min-ttl`.
#[test]
fn the_least_time_is_a_setting() {
    on_node("dnsminttl", |node| {
        let Scene { bot, dns, sites } = scene(node);
        let _seen = resolver::serve(&dns, |query| vec![answer(query, &[site(0)], 1)]);
        let mut settings = DnsSettings { survey: SURVEY, ..DnsSettings::default() };
        settings.cache.min_ttl = 6;
        let proxy = Proxy::start_with(node, 1, settings);
        proxy.configure_with([filter(7, all_names())], twitter());
        assert_eq!(ask(&bot, dns.v4, 5, "api.twitter.com"), Some(NOERROR));
        let asked = Instant::now();
        thread::sleep(Duration::from_secs(4));
        drop((connect(&bot, site(0), 80, SURELY).unwrap(), sites.accept().unwrap()));
        left(&proxy, 0);
        assert!(asked.elapsed() >= Duration::from_secs(6), "{:?}", asked.elapsed());
        connect(&bot, site(0), 80, NEVER).unwrap_err();
    });
}

/// `tofqdns-idle-connection-grace-period`.
#[test]
fn an_idle_address_has_its_grace() {
    const GRACE: Duration = Duration::from_secs(6);
    on_node("dnsgrace", |node| {
        let Scene { bot, dns, sites } = scene(node);
        let _seen = resolver::serve(&dns, |query| vec![answer(query, &[site(0)], 1)]);
        let mut settings = DnsSettings { survey: SURVEY, ..DnsSettings::default() };
        settings.cache.idle_connection_grace_period = u32::try_from(GRACE.as_secs()).unwrap();
        let proxy = Proxy::start_with(node, 1, settings);
        proxy.configure_with([filter(7, all_names())], twitter());
        assert_eq!(ask(&bot, dns.v4, 5, "api.twitter.com"), Some(NOERROR));
        let used = connect(&bot, site(0), 80, SURELY).unwrap();
        let served = sites.accept().unwrap();
        // Long enough for a survey to find it in use.
        thread::sleep(Duration::from_secs(6));
        let closed = Instant::now();
        drop((used, served));
        // Its time is over and nobody uses it: for so long whoever comes back is let in.
        thread::sleep(GRACE / 3);
        assert_eq!(proxy.status().names.selected, 1);
        left(&proxy, 0);
        assert!(closed.elapsed() + SURVEY * 3 >= GRACE, "{:?}", closed.elapsed());
        connect(&bot, site(0), 80, NEVER).unwrap_err();
    });
}

/// `tofqdns-max-deferred-connection-deletes`: of the addresses whose time is over so many are kept for connections.
#[test]
fn deferred_addresses_are_bounded() {
    on_node("dnsdeferred", |node| {
        let Scene { bot, dns, sites } = scene(node);
        let _seen = resolver::serve(&dns, |query| {
            let number = if resolver::name_of(query).starts_with("api") { 0 } else { 3 };
            vec![answer(query, &[site(number)], 1)]
        });
        let mut settings = DnsSettings { survey: SURVEY, ..DnsSettings::default() };
        settings.cache.max_deferred_connection_deletes = 1;
        let proxy = Proxy::start_with(node, 1, settings);
        proxy.configure_with([filter(7, all_names())], twitter());
        let used: Vec<_> = [("api.twitter.com", 0), ("new.twitter.com", 3)]
            .map(|(name, number)| {
                assert_eq!(ask(&bot, dns.v4, 5, name), Some(NOERROR));
                (connect(&bot, site(number), 80, SURELY).unwrap(), sites.accept().unwrap())
            })
            .into();
        left(&proxy, 1);
        let open = [0, 3].map(|number| connect(&bot, site(number), 80, NEVER).is_ok());
        assert!(open[0] != open[1], "one of both is kept: {open:?}");
        drop(used);
    });
}
