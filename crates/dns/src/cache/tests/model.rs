//! Random histories against a list of what was said.

use super::*;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

const PATTERNS: [&str; 6] = ["*", "a.x", "*.x", "**.y", "b.*", "a.b.y"];
const NAMES: [&str; 6] = ["a.x", "b.x", "b.y", "a.b.y", "c", "b.c"];

#[derive(Clone, Debug)]
enum Step {
    Learn {
        endpoint: u16,
        name: usize,
        addresses: Vec<u8>,
        ttl: u32,
    },
    Wait(u32),
    Expire,
    /// Of these addresses, the survey finds connections.
    Release(Vec<u8>),
    Select(Vec<usize>),
    RemoveEndpoint(u16),
    Clean(usize),
    /// The proxy ends and begins again with what is on disk.
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    let addresses = || prop::collection::vec(0..8_u8, 1..4);
    prop_oneof![
        8 => (0..4_u16, 0..NAMES.len(), addresses(), 0..100_u32)
            .prop_map(|(endpoint, name, addresses, ttl)| Step::Learn { endpoint, name, addresses, ttl }),
        4 => (0..60_u32).prop_map(Step::Wait),
        3 => Just(Step::Expire),
        3 => addresses().prop_map(Step::Release),
        2 => prop::collection::vec(0..PATTERNS.len(), 0..4).prop_map(Step::Select),
        1 => (1..4_u16).prop_map(Step::RemoveEndpoint),
        1 => (0..NAMES.len()).prop_map(Step::Clean),
        1 => Just(Step::Restart),
    ]
}

fn address(last: u8) -> IpAddr {
    // Both families.
    if last.is_multiple_of(2) {
        IpAddr::from([192, 0, 2, last])
    } else {
        IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, last.into()])
    }
}

#[derive(Clone, Copy, Debug)]
struct Said {
    expires: u32,
    deferred: Option<u32>,
    used: Option<u32>,
}

type Said3 = (u16, usize, u8);

#[derive(Default)]
struct Model {
    said: BTreeMap<Said3, Said>,
    patterns: Vec<usize>,
}

impl Model {
    fn selected(&self) -> BTreeMap<IpAddr, BTreeSet<u32>> {
        let mut selected: BTreeMap<IpAddr, BTreeSet<u32>> = BTreeMap::new();
        for (_, name, last) in self.said.keys() {
            for at in &self.patterns {
                if pattern(PATTERNS[*at]).matches(NAMES[*name]) {
                    selected.entry(address(*last)).or_default().insert(u32::try_from(*at).unwrap());
                }
            }
        }
        selected
    }
}

fn chosen(patterns: &[usize]) -> Vec<(SelectorId, NamePattern)> {
    patterns.iter().map(|at| (SelectorId(u32::try_from(*at).unwrap()), pattern(PATTERNS[*at]))).collect()
}

proptest! {
    #[test]
    fn the_cache_is_what_was_said(steps in prop::collection::vec(step(), 0..120), grace in prop_oneof![Just(0), Just(40_u32)]) {
        let settings = CacheSettings { idle_connection_grace_period: grace, ..CacheSettings::default() };
        let (mut cache, mut effects, mut model) = (NameCache::new(settings), Effects::default(), Model::default());
        let (mut now, mut kernel, mut disk) = (1_000_u32, BTreeMap::<IpAddr, BTreeSet<u32>>::new(), Vec::new());
        format::file_header(&mut disk);
        for step in steps {
            match step {
                Step::Learn { endpoint: id, name: at, addresses, ttl } => {
                    let answer: Vec<Resolution> = addresses.iter().map(|last| Resolution { address: address(*last), ttl }).collect();
                    cache.learn(UnixTime(now), endpoint(id), &name(NAMES[at]), &answer, &mut effects).unwrap();
                    for last in addresses {
                        let expires = now + ttl + 1;
                        let before = model.said.get(&(id, at, last)).map_or(0, |said| said.expires);
                        model.said.insert((id, at, last), Said { expires: expires.max(before), deferred: None, used: None });
                    }
                }
                Step::Wait(seconds) => now += seconds,
                Step::Expire => {
                    cache.expire(UnixTime(now), &mut effects);
                    for said in model.said.values_mut().filter(|said| said.deferred.is_none() && said.expires < now) {
                        said.deferred = Some(now);
                    }
                }
                Step::Release(used) => {
                    let surveyed = now;
                    now += 1;
                    cache.release(UnixTime(surveyed), &mut |_, found| used.iter().any(|last| address(*last) == found), &mut effects);
                    model.said.retain(|(_, _, last), said| {
                        if said.deferred.is_none_or(|since| since >= surveyed) {
                            return true;
                        }
                        if used.contains(last) {
                            said.used = Some(surveyed);
                        }
                        said.used.is_some_and(|at| at == surveyed || at + grace > surveyed)
                    });
                }
                Step::Select(patterns) => {
                    cache.set_selectors(chosen(&patterns), &mut effects);
                    model.patterns = patterns;
                }
                Step::RemoveEndpoint(id) => {
                    cache.remove_endpoint(endpoint(id).unwrap(), &mut effects);
                    model.said.retain(|(endpoint, ..), _| *endpoint != id);
                }
                Step::Clean(at) => {
                    cache.clean(|_, found| *found == name(NAMES[at]), &mut effects);
                    model.said.retain(|(_, name, _), _| *name != at);
                }
                Step::Restart => {
                    let (loaded, report) = NameCache::load(&disk, settings, UnixTime(now));
                    prop_assert_eq!((report.torn, report.refused), (0, 0));
                    cache = loaded;
                    for lookup in cache.lookups() {
                        for found in lookup.addresses {
                            let key = model.said.keys().find(|(id, at, last)| {
                                endpoint(*id) == lookup.endpoint && name(NAMES[*at]) == lookup.name && address(*last) == found.address
                            });
                            let key = *key.expect("only what was said is on disk");
                            let said = model.said.get_mut(&key).unwrap();
                            prop_assert!((said.expires..said.expires + LOG_STEP).contains(&found.expires.0));
                            *said = Said { expires: found.expires.0, deferred: None, used: None };
                        }
                    }
                    kernel.clear();
                    cache.set_selectors(chosen(&model.patterns), &mut effects);
                }
            }
            for change in effects.changes.drain(..) {
                let set = |set: &SelectorSet| set.iter().map(|id| id.0).collect::<BTreeSet<u32>>();
                let before = kernel.remove(&change.address).unwrap_or_default();
                prop_assert_eq!(before, set(&change.before));
                prop_assert_ne!(&change.before, &change.after);
                if !change.after.is_empty() {
                    kernel.insert(change.address, set(&change.after));
                }
            }
            disk.extend_from_slice(&effects.log);
            effects.clear();
            prop_assert_eq!(&kernel, &model.selected());
            let selected: BTreeMap<IpAddr, BTreeSet<u32>> =
                cache.selected().map(|(address, set)| (address, set.iter().map(|id| id.0).collect())).collect();
            prop_assert_eq!(&kernel, &selected);
            let deferred = model.said.values().filter(|said| said.deferred.is_some()).count();
            let stats = cache.stats();
            prop_assert_eq!((stats.entries, stats.deferred), (model.said.len(), deferred));
            prop_assert_eq!(cache.deferred().count(), deferred);
            let lookups: BTreeSet<(u16, usize)> = model.said.keys().map(|(id, name, _)| (*id, *name)).collect();
            prop_assert_eq!(stats.lookups, lookups.len());
            let unselected = lookups.iter().filter(|(_, at)| !model.patterns.iter().any(|p| pattern(PATTERNS[*p]).matches(NAMES[*at])));
            prop_assert_eq!(stats.unselected, unselected.count());
        }
        let mut snapshot = Vec::new();
        cache.snapshot(&mut snapshot);
        let (again, report) = NameCache::load(&snapshot, settings, UnixTime(now));
        prop_assert_eq!(report.torn, 0);
        prop_assert_eq!(again.stats().entries, cache.stats().entries);
        cache.set_selectors([], &mut effects);
        prop_assert_eq!(cache.stats().sets, 1);
    }
}
