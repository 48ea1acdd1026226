//! Many names at once: what they cost, and that all of them open what they should.

use crate::{
    names::{Scene, all_names, scene, twitter},
    node::{SURELY, on_node},
    proxy::{Proxy, filter},
    resolver::{self, NOERROR, answer, name_of},
};
use std::{
    net::{IpAddr, Ipv4Addr},
    time::Instant,
};

/// Under way at a time: below what the kernel keeps for a socket.
const TOGETHER: usize = 100;
/// For one name with one address, everything included; what this process holds besides is in it, too.
const EACH: usize = 2_500;

/// Another one for each name.
fn address(number: usize) -> IpAddr {
    Ipv4Addr::from_bits(0x0b00_0000 + u32::try_from(number).unwrap()).into()
}

/// Of this process, the proxy in it.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/statm").unwrap();
    status.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4096
}

/// `CILIATE_NAMES` says how many; 10,000 unless told.
#[test]
fn names_by_the_thousand_cost_little_and_outlive_the_proxy() {
    let count = std::env::var("CILIATE_NAMES").ok().and_then(|n| n.parse().ok()).unwrap_or(10_000);
    on_node("dnsmany", move |node| {
        let Scene { bot, dns, sites: _sites } = scene(node);
        let _seen = resolver::serve(&dns, |query| {
            let number = name_of(query)[1..].split('.').next().unwrap().parse().unwrap();
            vec![answer(query, &[address(number)], 3600)]
        });
        let mut settings = ciliate_proxy::DnsSettings::default();
        settings.cache.max_names_per_endpoint = settings.cache.max_names;
        let proxy = Proxy::start_with(node, 1, settings.clone());
        proxy.configure_with([filter(7, all_names())], twitter());
        let socket = resolver::towards(&bot, dns.v4, SURELY);
        let (before, start) = (resident(), Instant::now());
        for first in (0..count).step_by(TOGETHER) {
            let batch = first..(first + TOGETHER).min(count);
            for number in batch.clone() {
                let id = u16::try_from(number % 60_000).unwrap();
                socket.send(&resolver::query(id, &format!("n{number}.twitter.com"), 1)).unwrap();
            }
            for _ in batch {
                let mut buffer = [0; 512];
                let length = socket.recv(&mut buffer).expect("an answer to each");
                assert_eq!((length > 12, buffer[3] & 15, buffer[7]), (true, NOERROR, 1));
            }
        }
        let (took, grown) = (start.elapsed(), resident().saturating_sub(before));
        eprintln!("{count} names in {took:?}, {} bytes each", grown / count);
        assert!(grown < count * EACH, "{grown} bytes for {count} names");
        let names = proxy.status().names;
        assert_eq!((names.names, names.selected), (count, count));
        for number in [0, count / 2, count - 1] {
            let found = node.datapath.lookup_ipcache(address(number));
            assert_eq!(found, Some(crate::names::TWITTER), "{number}");
        }
        // A new one reads them all before it answers anybody.
        let start = Instant::now();
        let next = Proxy::start_with(node, 1, settings);
        let took = start.elapsed();
        eprintln!("another proxy knows them after {took:?}");
        assert_eq!(next.status().names.names, count);
    });
}
