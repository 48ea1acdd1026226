#![expect(clippy::arithmetic_side_effects, reason = "the oracle states the arithmetic plainly")]

mod limits;
mod model;

use super::*;
use crate::{SelectorId, disk::format};
use ciliate_types::NamePattern;

pub(super) fn name(text: &str) -> Name {
    Name::from_text(text).unwrap()
}

pub(super) fn endpoint(id: u16) -> Option<EndpointId> {
    EndpointId::new(id)
}

pub(super) fn found(addresses: &[&str], ttl: u32) -> Vec<Resolution> {
    addresses.iter().map(|address| Resolution { address: address.parse().unwrap(), ttl }).collect()
}

pub(super) fn pattern(text: &str) -> NamePattern {
    NamePattern::MatchPattern(text.parse().unwrap())
}

pub(super) fn selectors(patterns: &[&str]) -> Vec<(SelectorId, NamePattern)> {
    (0..).map(SelectorId).zip(patterns.iter().map(|text| pattern(text))).collect()
}

/// `address before -> after`.
pub(super) fn changes(effects: &mut Effects) -> Vec<String> {
    let ids = |set: &SelectorSet| set.iter().map(|id| id.0).collect::<Vec<_>>();
    let told =
        effects.changes.iter().map(|c| format!("{} {:?} -> {:?}", c.address, ids(&c.before), ids(&c.after)));
    let told = told.collect();
    effects.clear();
    told
}

#[test]
fn an_address_is_what_its_names_are() {
    let (mut cache, mut effects) = (NameCache::new(CacheSettings::default()), Effects::default());
    let now = UnixTime(1_000);
    cache.set_selectors(selectors(&["*.a.com", "x.a.com", "b.com"]), &mut effects);
    let mut learn = |cache: &mut NameCache, id, text: &str, addresses: &[&str]| {
        cache.learn(now, endpoint(id), &name(text), &found(addresses, 60), &mut effects).unwrap();
        changes(&mut effects)
    };
    assert_eq!(
        learn(&mut cache, 1, "x.a.com", &["192.0.2.1", "2001:db8::1"]),
        ["192.0.2.1 [] -> [0, 1]", "2001:db8::1 [] -> [0, 1]"]
    );
    assert_eq!(
        learn(&mut cache, 2, "x.a.com", &["192.0.2.1"]),
        [""; 0],
        "the same name for another endpoint"
    );
    assert_eq!(learn(&mut cache, 1, "y.a.com", &["192.0.2.1"]), [""; 0], "a name that adds nothing");
    assert_eq!(learn(&mut cache, 1, "b.com", &["192.0.2.1"]), ["192.0.2.1 [0, 1] -> [0, 1, 2]"]);
    assert_eq!(learn(&mut cache, 1, "c.com", &["192.0.2.9"]), [""; 0], "under no selector");
    assert_eq!(cache.selectors_of("192.0.2.9".parse().unwrap()).len(), 0);
    let names: Vec<String> = cache
        .names_of(endpoint(1).unwrap(), "192.0.2.1".parse().unwrap())
        .map(|name| name.to_string())
        .collect();
    assert_eq!(names, ["x.a.com", "y.a.com", "b.com"]);

    let mut effects = Effects::default();
    cache.remove_endpoint(endpoint(1).unwrap(), &mut effects);
    assert_eq!(changes(&mut effects), ["192.0.2.1 [0, 1, 2] -> [0, 1]", "2001:db8::1 [0, 1] -> []"]);
    cache.set_selectors(selectors(&["x.**"]), &mut effects);
    assert_eq!(changes(&mut effects), ["192.0.2.1 [0, 1] -> []"]);
    cache.set_selectors(selectors(&["**.com", "q"]), &mut effects);
    assert_eq!(changes(&mut effects), ["192.0.2.1 [] -> [0]"]);
    assert_eq!(cache.clean(|_, name| name.to_string() == "x.a.com", &mut effects), 1);
    assert_eq!(changes(&mut effects), ["192.0.2.1 [0] -> []"]);
    assert_eq!(cache.stats().addresses, 0);
    assert_eq!(cache.stats().sets, 1, "only the empty one is left");
}

#[test]
fn a_deferred_address_stays_while_it_is_used() {
    let settings = CacheSettings { idle_connection_grace_period: 30, ..CacheSettings::default() };
    let (mut cache, mut effects) = (NameCache::new(settings), Effects::default());
    cache.set_selectors(selectors(&["a"]), &mut effects);
    cache
        .learn(UnixTime(100), endpoint(1), &name("a"), &found(&["192.0.2.1", "192.0.2.2"], 10), &mut effects)
        .unwrap();
    effects.clear();
    cache.expire(UnixTime(111), &mut effects);
    assert_eq!(cache.deferred().count(), 0, "valid for all of the TTL's last second");
    cache.expire(UnixTime(112), &mut effects);
    assert_eq!(cache.deferred().count(), 2);
    let first: IpAddr = "192.0.2.1".parse().unwrap();
    cache.release(UnixTime(112), &mut |_, _| false, &mut effects);
    assert!(effects.is_empty(), "the survey began before the address was deferred");
    cache.release(UnixTime(113), &mut |_, address| address == first, &mut effects);
    assert_eq!(changes(&mut effects), ["192.0.2.2 [0] -> []"]);
    cache.release(UnixTime(142), &mut |_, _| false, &mut effects);
    assert!(effects.is_empty(), "within the grace period");
    cache.release(UnixTime(143), &mut |_, _| false, &mut effects);
    assert_eq!(changes(&mut effects), ["192.0.2.1 [0] -> []"]);
    assert_eq!((cache.stats().lookups, cache.stats().deferred), (0, 0));
}

#[test]
fn a_deferred_address_that_is_answered_again_is_valid() {
    let (mut cache, mut effects) = (NameCache::new(CacheSettings::default()), Effects::default());
    cache.set_selectors(selectors(&["a"]), &mut effects);
    for now in [100, 200] {
        cache
            .learn(UnixTime(now), endpoint(1), &name("a"), &found(&["192.0.2.1"], 10), &mut effects)
            .unwrap();
        cache.expire(UnixTime(now + 5), &mut effects);
        assert_eq!(cache.deferred().count(), 0);
        cache.expire(UnixTime(now + 50), &mut effects);
        assert_eq!(cache.deferred().count(), 1);
    }
    assert_eq!(effects.changes.len(), 1);
}

#[test]
fn the_least_ttl_is_a_setting_and_a_shorter_one_takes_nothing_away() {
    let (mut cache, mut effects) =
        (NameCache::new(CacheSettings { min_ttl: 50, ..CacheSettings::default() }), Effects::default());
    let expiry = |cache: &NameCache| {
        let address = cache.lookups().next().unwrap().addresses[0];
        (address.expires.0, address.ttl)
    };
    cache.learn(UnixTime(100), endpoint(1), &name("a"), &found(&["192.0.2.1"], 10), &mut effects).unwrap();
    assert_eq!(expiry(&cache), (151, 50));
    cache.learn(UnixTime(100), endpoint(1), &name("a"), &found(&["192.0.2.1"], 90), &mut effects).unwrap();
    assert_eq!(expiry(&cache), (191, 90));
    cache.learn(UnixTime(110), endpoint(1), &name("a"), &found(&["192.0.2.1"], 10), &mut effects).unwrap();
    assert_eq!(expiry(&cache), (191, 90));
    cache
        .learn(UnixTime(u32::MAX), endpoint(1), &name("a"), &found(&["192.0.2.1"], u32::MAX), &mut effects)
        .unwrap();
    assert_eq!(expiry(&cache).0, u32::MAX);
}

/// Popular names do not write with every answer.
#[test]
fn the_log_is_only_written_when_it_matters() {
    let (mut cache, mut effects) = (NameCache::new(CacheSettings::default()), Effects::default());
    let mut written = 0;
    for now in 160..192 {
        cache
            .learn(UnixTime(now), endpoint(1), &name("a"), &found(&["192.0.2.1"], 15), &mut effects)
            .unwrap();
        written += usize::from(!effects.log.is_empty());
        effects.clear();
    }
    assert_eq!(written, 3, "expiries from 176 to 207, in steps of 16");
}

#[test]
fn a_look_up_of_many_addresses_is_several_records() {
    let (mut cache, mut effects) = (
        NameCache::new(CacheSettings { max_ip_per_hostname: 0, ..CacheSettings::default() }),
        Effects::default(),
    );
    let many: Vec<Resolution> = (1..10_000_u32)
        .map(|n| Resolution { address: IpAddr::from((n << 8).to_be_bytes()), ttl: 9 })
        .collect();
    cache.learn(UnixTime(1), None, &name("a"), &many, &mut effects).unwrap();
    let mut bytes = Vec::new();
    format::file_header(&mut bytes);
    bytes.extend_from_slice(&effects.log);
    let (again, report) = NameCache::load(&bytes, *cache.settings(), UnixTime(1));
    assert_eq!((again.stats().entries, report.records > 1, report.torn), (9_999, true, 0));
}
