//! Which identity an address has by the names it was found under.

use crate::message::{Around, NameRules, NameSet};
use ciliate_dns::SelectorId;
use ciliate_types::{Identity, NamePattern};
use ipnet::IpNet;
use std::{
    collections::{BTreeSet, HashMap, HashSet},
    net::IpAddr,
    sync::Arc,
};

/// The rules made ready for many look-ups.
#[derive(Debug, Default)]
pub struct Numbers {
    /// At the place that is the selector's number.
    patterns: Vec<NamePattern>,
    sets: HashMap<Around, HashMap<Arc<[SelectorId]>, Identity>>,
    prefixes: HashMap<IpNet, Identity>,
    /// Lengths that prefixes have, of IPv4 and of IPv6, longest first.
    lengths: [BTreeSet<std::cmp::Reverse<u8>>; 2],
    /// All identities that names ever gave an address.
    ours: HashSet<Identity>,
}

impl Numbers {
    pub fn new(rules: &NameRules) -> Self {
        let patterns: Vec<NamePattern> = rules.patterns.iter().cloned().collect();
        let mut numbers = Self { patterns, ..Self::default() };
        for named in &rules.identities {
            numbers.ours.insert(named.identity);
            if let Some(members) = numbers.members(&named.set.patterns) {
                numbers.sets.entry(named.set.around).or_default().insert(members, named.identity);
            }
        }
        for (net, identity) in &rules.prefixes {
            let net = net.trunc();
            numbers.prefixes.insert(net, *identity);
            let [v4, v6] = &mut numbers.lengths;
            let lengths = if net.addr().is_ipv4() { v4 } else { v6 };
            lengths.insert(std::cmp::Reverse(net.prefix_len()));
        }
        numbers
    }

    /// None if one of the patterns is not in use any more.
    fn members(&self, patterns: &BTreeSet<NamePattern>) -> Option<Arc<[SelectorId]>> {
        let number = |pattern| {
            let at = self.patterns.binary_search(pattern).ok()?;
            u32::try_from(at).ok().map(SelectorId)
        };
        patterns.iter().map(number).collect()
    }

    /// All patterns with their numbers.
    pub fn selectors(&self) -> impl Iterator<Item = (SelectorId, NamePattern)> {
        (0..).map(SelectorId).zip(self.patterns.iter().cloned())
    }

    /// What the agent would have to number.
    #[must_use]
    pub fn set(&self, members: &[SelectorId], around: Around) -> NameSet {
        let pattern = |id: &SelectorId| self.patterns.get(usize::try_from(id.0).ok()?).cloned();
        NameSet { patterns: members.iter().filter_map(pattern).collect(), around }
    }

    #[must_use]
    pub fn around(&self, address: IpAddr) -> Around {
        let [v4, v6] = &self.lengths;
        let lengths = if address.is_ipv4() { v4 } else { v6 };
        let mut nets = lengths.iter().filter_map(|length| IpNet::new(address, length.0).ok());
        let found = nets.find_map(|net| {
            let net = net.trunc();
            self.prefixes.contains_key(&net).then_some(net)
        });
        found.map_or_else(|| Around::world(address), Around::Prefix)
    }

    #[must_use]
    pub fn exact(&self, members: &[SelectorId], around: Around) -> Option<Identity> {
        self.sets.get(&around)?.get(members).copied()
    }

    /// The identity that stands for most of these patterns and no others: it allows less than is allowed, never more. Patterns that
    /// the address has by its identity of `before` stay, so that it loses nothing while it waits for a number.
    #[must_use]
    pub fn nearest(
        &self,
        members: &[SelectorId],
        around: Around,
        before: Option<Identity>,
    ) -> Option<Identity> {
        let all = self.sets.get(&around)?;
        let within = |set: &[SelectorId]| set.iter().all(|id| members.binary_search(id).is_ok());
        let had = before.and_then(|before| all.iter().find(|(_, identity)| **identity == before));
        let keeps = |set: &[SelectorId]| {
            had.is_some_and(|(had, _)| had.iter().all(|id| set.binary_search(id).is_ok()))
        };
        let sets = all.iter().filter(|(set, _)| within(set));
        let best = sets.max_by_key(|(set, identity)| (keeps(set), set.len(), std::cmp::Reverse(**identity)));
        best.map(|(_, identity)| *identity)
    }

    /// What a rule's prefix of exactly this address gives it.
    #[must_use]
    pub fn own_row(&self, address: IpAddr) -> Option<Identity> {
        self.prefixes.get(&address.into()).copied()
    }

    #[must_use]
    pub fn is_ours(&self, identity: Identity) -> bool {
        self.ours.contains(&identity)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::NameIdentity;

    fn pattern(text: &str) -> NamePattern {
        match text.contains('*') {
            true => NamePattern::MatchPattern(text.parse().unwrap()),
            false => NamePattern::MatchName(text.parse().unwrap()),
        }
    }

    fn named(patterns: &[&str], around: Around, number: u32) -> NameIdentity {
        let set = NameSet { patterns: patterns.iter().map(|text| pattern(text)).collect(), around };
        NameIdentity { set, identity: Identity::new(number) }
    }

    #[test]
    fn the_nearest_set_never_has_a_pattern_that_the_name_does_not_match() {
        let rules = NameRules {
            patterns: ["a.com", "*.com", "*.a.com"].map(pattern).into(),
            identities: vec![
                named(&["a.com"], Around::WorldIpv4, 1),
                named(&["*.com"], Around::WorldIpv4, 2),
                named(&["a.com", "*.com"], Around::WorldIpv4, 3),
                named(&["a.com", "gone.com"], Around::WorldIpv4, 4),
                named(&["*.a.com"], Around::WorldIpv4, 5),
            ],
            prefixes: vec![("192.0.2.0/24".parse().unwrap(), Identity::new(9))],
        };
        let numbers = Numbers::new(&rules);
        let id = |text: &str| numbers.selectors().find(|(_, p)| *p == pattern(text)).unwrap().0;
        let set = |texts: &[&str]| {
            let mut ids: Vec<_> = texts.iter().map(|text| id(text)).collect();
            ids.sort_unstable();
            ids
        };
        let v4 = Around::WorldIpv4;
        assert_eq!(numbers.exact(&set(&["a.com", "*.com"]), v4), Some(Identity::new(3)));
        assert_eq!(numbers.exact(&set(&["a.com", "*.com", "*.a.com"]), v4), None);
        let nearest = |texts: &[&str], around, before: Option<u32>| {
            numbers.nearest(&set(texts), around, before.map(Identity::new)).map(Identity::get)
        };
        let all = ["a.com", "*.com", "*.a.com"];
        assert_eq!(nearest(&all, v4, None), Some(3));
        assert_eq!(nearest(&["*.com", "*.a.com"], v4, None), Some(2));
        assert_eq!(nearest(&["*.a.com"], v4, None), Some(5));
        assert_eq!(nearest(&["a.com"], Around::WorldIpv6, None), None);
        // What it had by its names stays, however many patterns others stand for.
        assert_eq!(nearest(&all, v4, Some(5)), Some(5));
        assert_eq!(nearest(&all, v4, Some(2)), Some(3));
        assert_eq!(nearest(&["*.com"], v4, Some(5)), Some(2), "but not what it has no more");
        assert!(numbers.is_ours(Identity::new(4)) && !numbers.is_ours(Identity::new(9)));
    }

    #[test]
    fn the_longest_prefix_is_around_an_address() {
        let prefixes = ["0.0.0.0/0", "192.0.2.0/24", "192.0.2.7/32", "2001:db8::/32"];
        let prefixes = (1..).map(Identity::new).zip(prefixes).map(|(id, net)| (net.parse().unwrap(), id));
        let numbers = Numbers::new(&NameRules { prefixes: prefixes.collect(), ..NameRules::default() });
        for (address, expected) in [
            ("192.0.2.7", Around::Prefix("192.0.2.7/32".parse().unwrap())),
            ("192.0.2.8", Around::Prefix("192.0.2.0/24".parse().unwrap())),
            ("198.51.100.1", Around::Prefix("0.0.0.0/0".parse().unwrap())),
            ("2001:db8::1", Around::Prefix("2001:db8::/32".parse().unwrap())),
            ("2001:db9::1", Around::WorldIpv6),
        ] {
            assert_eq!(numbers.around(address.parse().unwrap()), expected, "{address}");
        }
        assert_eq!(numbers.own_row("192.0.2.7".parse().unwrap()), Some(Identity::new(3)));
    }
}
