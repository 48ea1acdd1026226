//! What happens at the limits, and that errors name them.

use super::*;

fn cache(settings: CacheSettings, patterns: &[&str]) -> NameCache {
    let mut cache = NameCache::new(settings);
    cache.set_selectors(selectors(patterns), &mut Effects::default());
    cache
}

fn learn(cache: &mut NameCache, id: u16, text: &str, address: &str) -> Result<Vec<String>, String> {
    let mut effects = Effects::default();
    let learned = cache.learn(UnixTime(100), endpoint(id), &name(text), &found(&[address], 60), &mut effects);
    learned.map(|()| changes(&mut effects)).map_err(|full| full.to_string())
}

fn names(cache: &NameCache) -> Vec<String> {
    let mut names: Vec<String> = cache.lookups().map(|lookup| lookup.name.to_string()).collect();
    names.sort();
    names
}

#[test]
fn names_that_nothing_selects_make_room() {
    let mut cache = cache(CacheSettings { max_names: 3, ..CacheSettings::default() }, &["*.in"]);
    for text in ["a.out", "b.in", "c.out"] {
        learn(&mut cache, 1, text, "192.0.2.1").unwrap();
    }
    assert_eq!(learn(&mut cache, 1, "d.in", "192.0.2.2").unwrap(), ["192.0.2.2 [] -> [0]"]);
    learn(&mut cache, 1, "e.out", "192.0.2.1").unwrap();
    learn(&mut cache, 2, "b.in", "192.0.2.1").unwrap();
    assert_eq!(names(&cache), ["b.in", "b.in", "d.in"]);
    assert_eq!(
        learn(&mut cache, 3, "b.in", "192.0.2.1").unwrap_err(),
        "the DNS cache is full of names that rules select: 3 (setting dns-cache-max-names)"
    );
    assert_eq!(
        learn(&mut cache, 1, "f.out", "192.0.2.1").unwrap(),
        [""; 0],
        "opens nothing and is passed over"
    );
    assert_eq!(
        learn(&mut cache, 1, "d.in", "192.0.2.3").unwrap(),
        ["192.0.2.3 [] -> [0]"],
        "a known name needs no room"
    );
    let stats = cache.stats();
    assert_eq!((stats.evicted, stats.passed_over, stats.unselected), (3, 1, 0));
}

#[test]
fn no_endpoint_uses_up_the_room_of_all() {
    let mut cache = cache(CacheSettings { max_names_per_endpoint: 2, ..CacheSettings::default() }, &["*.in"]);
    learn(&mut cache, 2, "z.out", "192.0.2.1").unwrap();
    for text in ["a.out", "b.in", "c.in"] {
        learn(&mut cache, 1, text, "192.0.2.1").unwrap();
    }
    assert_eq!(names(&cache), ["b.in", "c.in", "z.out"], "room comes from the endpoint itself");
    assert!(
        learn(&mut cache, 1, "d.in", "192.0.2.1")
            .unwrap_err()
            .ends_with("(setting dns-cache-max-names-per-endpoint)")
    );
    learn(&mut cache, 2, "d.in", "192.0.2.1").unwrap();
}

#[test]
fn addresses_are_bounded() {
    let mut cache = cache(CacheSettings { max_addresses: 2, ..CacheSettings::default() }, &["*.in"]);
    learn(&mut cache, 1, "a.out", "192.0.2.1").unwrap();
    learn(&mut cache, 1, "b.in", "192.0.2.1").unwrap();
    learn(&mut cache, 1, "b.in", "192.0.2.2").unwrap();
    learn(&mut cache, 1, "b.in", "192.0.2.2").unwrap();
    assert_eq!(names(&cache), ["b.in"]);
    assert!(
        learn(&mut cache, 1, "b.in", "192.0.2.3").unwrap_err().ends_with("(setting dns-cache-max-addresses)")
    );
    assert_eq!(cache.stats().entries, 2);
}

#[test]
fn a_host_name_has_so_many_addresses_and_defers_the_others() {
    let mut cache = cache(CacheSettings { max_ip_per_hostname: 2, ..CacheSettings::default() }, &["a"]);
    let mut effects = Effects::default();
    for last in 1..=6_u8 {
        let address = format!("192.0.2.{last}");
        let answer = found(&[&address], 60 + u32::from(last));
        cache.learn(UnixTime(100 + u32::from(last)), endpoint(1), &name("a"), &answer, &mut effects).unwrap();
    }
    let states = |cache: &NameCache| {
        let lookup = cache.lookups().next().unwrap();
        let mut states: Vec<String> =
            lookup.addresses.iter().map(|a| format!("{} {}", a.address, a.source.as_str())).collect();
        states.sort();
        states
    };
    assert_eq!(
        states(&cache),
        ["192.0.2.3 connection", "192.0.2.4 connection", "192.0.2.5 lookup", "192.0.2.6 lookup"]
    );
    assert_eq!(cache.stats().over_limit, 2);
    assert_eq!(changes(&mut effects).last().unwrap(), "192.0.2.6 [] -> [0]");
    assert_eq!(cache.stats().deferred, 2);
}

#[test]
fn an_endpoint_has_so_many_deferred_addresses() {
    let settings = CacheSettings { max_deferred_connection_deletes: 2, ..CacheSettings::default() };
    let mut cache = cache(settings, &["*"]);
    let mut effects = Effects::default();
    for last in 1..=3_u8 {
        learn(&mut cache, 1, &format!("n{last}"), &format!("192.0.2.{last}")).unwrap();
    }
    learn(&mut cache, 2, "other", "192.0.2.9").unwrap();
    cache.expire(UnixTime(1_000), &mut effects);
    assert_eq!(changes(&mut effects).len(), 1);
    assert_eq!((cache.stats().deferred, cache.stats().lookups), (3, 3));
}

#[test]
fn lower_limits_are_told_when_a_file_is_loaded() {
    let mut cache = cache(CacheSettings::default(), &["*"]);
    for text in ["a", "b", "c"] {
        learn(&mut cache, 1, text, "192.0.2.1").unwrap();
    }
    let mut file = Vec::new();
    cache.snapshot(&mut file);
    let (loaded, report) =
        NameCache::load(&file, CacheSettings { max_names: 2, ..CacheSettings::default() }, UnixTime(100));
    assert_eq!((loaded.stats().lookups, report.refused, loaded.stats().evicted), (2, 1, 0));
}

#[test]
fn a_hundred_thousand_names_and_no_more() {
    let settings = CacheSettings::default();
    let most = usize::try_from(settings.max_names).unwrap();
    let mut cache = cache(settings, &["*.in"]);
    let mut effects = Effects::default();
    let mut refused = 0;
    for number in 0..120_000_u32 {
        // No endpoint has more than it may.
        let id = endpoint(1 + u16::try_from(number % 4).unwrap());
        let [_, b, c, d] = number.to_be_bytes();
        let address = format!("10.{b}.{c}.{d}");
        let name = name(&format!("host-{number}.in"));
        let learned = cache.learn(UnixTime(100), id, &name, &found(&[&address], 60), &mut effects);
        refused += usize::from(learned.is_err());
        effects.clear();
    }
    let stats = cache.stats();
    assert_eq!((stats.lookups, stats.addresses, refused), (most, most, 20_000));
}
