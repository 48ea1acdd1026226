//! What the steps of one query cost: nanoseconds of the processor each, best of several rounds. `cargo run --release -p ciliate-dns --example dns_costs`

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a program for whoever measures")]

use ciliate_dns::{
    Answer, CacheSettings, Effects, Name, NameCache, NameMatcher, Pending, PendingSettings, Query, Reply,
    Resolution, Resolved, Route, SelectorId, UnixTime, reply, set_id,
};
use ciliate_types::{EndpointId, NamePattern};
use std::{
    hint::black_box,
    net::{IpAddr, Ipv4Addr},
    time::Duration,
};

const ROUNDS: u32 = 7;
const TIMES: u32 = 200_000;

/// The processor time of this thread, seconds: other programs do not count.
fn spent() -> f64 {
    let status = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    status.split_whitespace().next().unwrap().parse::<f64>().unwrap() / 1e9
}

fn measure(what: &str, mut step: impl FnMut(u32)) -> f64 {
    let mut best = f64::MAX;
    for _ in 0..ROUNDS {
        let start = spent();
        for n in 0..TIMES {
            step(n);
        }
        best = best.min((spent() - start) * 1e9 / f64::from(TIMES));
    }
    println!("{what:<58} {best:>8.1} ns");
    best
}

fn query(name: &str) -> Vec<u8> {
    let mut message = vec![0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 1];
    message.extend_from_slice(Name::from_text(name).unwrap().as_bytes());
    message.extend_from_slice(&[0, 1, 0, 1]);
    message.extend_from_slice(&[0, 0, 41, 4, 0xd0, 0, 0, 0, 0, 0, 0]);
    message
}

/// An alias and four addresses.
fn answer(name: &str) -> Vec<u8> {
    let mut message = vec![0x12, 0x34, 0x81, 0x80, 0, 1, 0, 5, 0, 0, 0, 0];
    message.extend_from_slice(Name::from_text(name).unwrap().as_bytes());
    message.extend_from_slice(&[0, 1, 0, 1]);
    let target = Name::from_text("edge.cdn.example.net").unwrap();
    let alias = u16::try_from(message.len()).unwrap().saturating_add(12).to_be_bytes();
    message.extend_from_slice(&[
        0xc0,
        12,
        0,
        5,
        0,
        1,
        0,
        0,
        1,
        44,
        0,
        u8::try_from(target.as_bytes().len()).unwrap(),
    ]);
    message.extend_from_slice(target.as_bytes());
    for last in 1..=4 {
        message.extend_from_slice(&[
            0xc0 | alias[0],
            alias[1],
            0,
            1,
            0,
            1,
            0,
            0,
            0,
            60,
            0,
            4,
            198,
            51,
            100,
            last,
        ]);
    }
    message
}

/// Of every kind: names, one label, any depth, stars within a label.
fn patterns(count: u32) -> Vec<(SelectorId, NamePattern)> {
    let text = |n: u32| match n % 4 {
        0 => format!("api.service{n}.example.com"),
        1 => format!("*.service{n}.example.com"),
        2 => format!("**.zone{n}.example.org"),
        _ => format!("web{n}-*.example.com"),
    };
    (0..count).map(|n| (SelectorId(n), NamePattern::MatchPattern(text(n).parse().unwrap()))).collect()
}

/// Resident memory of this process, KiB.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

fn main() {
    let (asked, told) = (query("api.service1.example.com"), answer("api.service1.example.com"));
    measure("parse query", |_| {
        black_box(Query::parse(black_box(&asked)).unwrap());
    });
    let name = Query::parse(&asked).unwrap().question.name;
    for count in [1, 10, 100, 1_000, 10_000] {
        // The last pattern matches, whatever the count.
        let mut all = patterns(count);
        all.push((SelectorId(count), NamePattern::MatchPattern("*.service1.example.com".parse().unwrap())));
        let matcher = NameMatcher::new(all);
        measure(&format!("match {count} patterns"), |_| {
            assert!(black_box(&matcher).matches(black_box(&name)))
        });
        let other = Name::from_text("www.somewhere.else.example.com").unwrap();
        measure(&format!("match {count} patterns, none of them"), |_| {
            assert!(!black_box(&matcher).matches(black_box(&other)))
        });
    }
    let mut found = Resolved::default();
    measure("parse answer (alias and 4 addresses)", |_| {
        black_box(Answer::parse(black_box(&told)).unwrap());
    });
    let parsed = Answer::parse(&told).unwrap();
    let question = parsed.question.clone().unwrap();
    measure("resolve it", |_| black_box(&parsed).resolve(&question, &mut found).unwrap());
    assert_eq!((found.names.len(), found.addresses.len()), (2, 4));
    let mut out = Vec::new();
    let parsed_query = Query::parse(&asked).unwrap();
    measure("write a denial", |_| reply::to_query(black_box(&parsed_query), Reply::Refused, &mut out));

    let mut pending = Pending::new(PendingSettings::default());
    let route =
        Route { lane: 1, client: "10.0.0.1:4000".parse().unwrap(), server: "10.0.0.53:53".parse().unwrap() };
    let mut wire = told.clone();
    measure("remember a query and take its answer", |n| {
        let id = pending
            .insert(Duration::ZERO, &mut || u16::try_from(n & 0xffff).unwrap(), &parsed_query, route, ())
            .unwrap();
        set_id(&mut wire, id);
        let answer = Answer::parse(&wire).unwrap();
        black_box(pending.take(1, route.server, &answer).unwrap());
    });

    let (mut cache, mut effects) = (NameCache::new(CacheSettings::default()), Effects::default());
    let matcher = NameMatcher::new(patterns(1_000));
    cache.set_selectors(patterns(1_000), &mut effects);
    let endpoint = EndpointId::new(1);
    measure("learn an answer again", |_| {
        cache.learn(UnixTime(1_000), endpoint, &question.name, &found.addresses, &mut effects).unwrap();
        effects.clear();
    });
    measure("all of a query and its answer, 1,000 patterns", |n| {
        let query = Query::parse(black_box(&asked)).unwrap();
        assert!(matcher.matches(&query.question.name));
        let id = pending
            .insert(Duration::ZERO, &mut || u16::try_from(n & 0xffff).unwrap(), &query, route, ())
            .unwrap();
        set_id(&mut wire, id);
        let answer = Answer::parse(&wire).unwrap();
        let asked = pending.take(1, route.server, &answer).unwrap();
        let question = asked.question();
        answer.resolve(&question, &mut found).unwrap();
        cache.learn(UnixTime(1_000), endpoint, &question.name, &found.addresses, &mut effects).unwrap();
        effects.clear();
    });

    for (names, addresses) in [(10_000_u32, 2_u32), (100_000, 2)] {
        let before = resident();
        let (mut cache, start) = (
            NameCache::new(CacheSettings { max_names_per_endpoint: 100_000, ..CacheSettings::default() }),
            spent(),
        );
        cache.set_selectors(patterns(1_000), &mut effects);
        for n in 0..names {
            let name = Name::from_text(&format!("host{n}.service{}.example.com", n % 1_000)).unwrap();
            let found: Vec<Resolution> = (0..addresses)
                .map(|k| Resolution {
                    address: IpAddr::from(Ipv4Addr::from(
                        n.wrapping_mul(addresses).wrapping_add(k).wrapping_add(1 << 24),
                    )),
                    ttl: 60,
                })
                .collect();
            cache.learn(UnixTime(1_000), endpoint, &name, &found, &mut effects).unwrap();
            effects.clear();
        }
        let each = (spent() - start) * 1e9 / f64::from(names);
        println!(
            "{names} names with {addresses} addresses each: {} KiB, {each:.0} ns to learn each",
            resident().saturating_sub(before)
        );
        let start = spent();
        cache.set_selectors(patterns(1_001), &mut effects);
        effects.clear();
        println!("{:<58} {:>8.1} ms", "  new selectors", (spent() - start) * 1e3);
        let (start, mut file) = (spent(), Vec::new());
        cache.snapshot(&mut file);
        println!("{:<58} {:>8.1} ms, {} KiB", "  snapshot", (spent() - start) * 1e3, file.len() / 1024);
        let start = spent();
        let (loaded, _) = NameCache::load(&file, *cache.settings(), UnixTime(2_000));
        assert_eq!(loaded.stats().lookups, cache.stats().lookups);
        println!("{:<58} {:>8.1} ms", "  load", (spent() - start) * 1e3);
        let start = spent();
        cache.expire(UnixTime(2_000), &mut effects);
        println!("{:<58} {:>8.1} ms", "  defer all", (spent() - start) * 1e3);
    }
}
