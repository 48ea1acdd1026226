//! From the specs that select a subject to its rule set.

use super::{
    Engine,
    classes::{Claim, classes},
};
use crate::{
    identities::NamedPorts,
    policies::{StoredPeer, StoredPeers, StoredRule},
    rule::TrafficMatch,
    rule_set::{
        Action, DirectionRules, Entry, EntryKey, Filter, FilterDigest, FilterRule, Otherwise, Peer, PeerKind,
        RuleId, RuleSet, SETTING_PRECEDENCE, Traffic,
    },
    selector::Selector,
    selectors::{SelectorId, SpecId},
    settings::{AllowLocalhost, EnforcementMode},
};
use ciliate_types::{Direction, Identity, PortRange, Protocol, ReservedIdentity};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

impl Engine {
    /// Of a subject's port names, those that its rules use: what else it has makes no difference.
    pub(super) fn names_in_use(&self, specs: &[SpecId], ports: &NamedPorts) -> NamedPorts {
        if ports.is_empty() {
            return NamedPorts::new();
        }
        let rules = specs.iter().filter_map(|id| self.policies.spec(*id)).flat_map(|spec| &spec.rules);
        let ingress = rules.filter(|rule| rule.direction == Direction::Ingress);
        let mut used = NamedPorts::new();
        for traffic in ingress.flat_map(|rule| &rule.traffic) {
            let TrafficMatch::Named(protocol, name) = traffic else { continue };
            for ((known, of), numbers) in ports {
                if of == protocol && known.eq_ignore_ascii_case(name) {
                    used.entry((name.to_string(), *protocol)).or_default().extend(numbers);
                }
            }
        }
        used
    }

    pub(super) fn compile(&self, specs: &[SpecId], names: &NamedPorts) -> RuleSet {
        let mut ingress = self.compile_direction(Direction::Ingress, specs, names);
        // Not by the entries: those come and go with identities.
        let rules = specs.iter().filter_map(|id| self.policies.spec(*id)).flat_map(|spec| &spec.rules);
        let has_rules = rules.into_iter().any(|rule| rule.direction == Direction::Ingress);
        let closed = ingress.otherwise == Otherwise::Deny || has_rules;
        if self.settings.allow_localhost == AllowLocalhost::Always && closed {
            let key = EntryKey { peer: Peer::Identity(ReservedIdentity::Host.into()), traffic: Traffic::Any };
            let entry = Entry {
                action: Action::Allow,
                precedence: SETTING_PRECEDENCE,
                rule: RuleId::LOCALHOST,
                filter: FilterDigest::NONE,
            };
            // No rule is above a setting, and no redirection has the key: they name ports.
            ingress.entries.insert(key, entry);
        }
        RuleSet { ingress, egress: self.compile_direction(Direction::Egress, specs, names) }
    }

    fn compile_direction(
        &self,
        direction: Direction,
        specs: &[SpecId],
        names: &NamedPorts,
    ) -> DirectionRules {
        let mut build = Build {
            engine: self,
            direction,
            names,
            entries: BTreeMap::new(),
            redirects: BTreeMap::new(),
            claims: Vec::new(),
        };
        let mut otherwise = match self.settings.enforcement {
            EnforcementMode::Always => Otherwise::Deny,
            EnforcementMode::Default | EnforcementMode::Never => Otherwise::Allow,
        };
        for spec in specs.iter().filter_map(|id| self.policies.spec(*id)) {
            if spec.isolates.contains(&direction) {
                otherwise = Otherwise::Deny;
            }
            spec.rules.iter().filter(|rule| rule.direction == direction).for_each(|rule| build.rule(rule));
        }
        build.finish(otherwise)
    }
}

struct Build<'a> {
    engine: &'a Engine,
    direction: Direction,
    names: &'a NamedPorts,
    entries: BTreeMap<EntryKey, Entry>,
    /// The rules of entries that redirect.
    redirects: BTreeMap<EntryKey, BTreeSet<RuleId>>,
    /// What is matched by address, with the rule that says so.
    claims: Vec<(Claim<'a>, &'a StoredRule)>,
}

impl<'a> Build<'a> {
    fn rule(&mut self, rule: &'a StoredRule) {
        match &rule.peers {
            StoredPeers::Any => {
                self.peer(rule, Peer::Any);
                self.names_of_anybody(rule);
            }
            StoredPeers::Of(peers) => {
                for peer in peers {
                    match peer {
                        StoredPeer::Selector(id) => self.selector(rule, *id),
                        StoredPeer::Address(block) => {
                            self.claims.push((Claim { kinds: &PeerKind::ALL, block }, rule));
                        }
                        StoredPeer::Group { resolved, .. } => {
                            resolved.iter().for_each(|id| self.selector(rule, *id));
                        }
                    }
                }
            }
        }
    }

    fn selector(&mut self, rule: &'a StoredRule, id: SelectorId) {
        let engine: &'a Engine = self.engine;
        let Some(selected) = engine.selectors.get(id) else { return };
        for identity in &selected.identities {
            self.peer(rule, Peer::Identity(*identity));
        }
        if let Selector::Cidr(block) = &*selected.selector {
            let mode = engine.settings.cidr_match_mode;
            let kinds: &[PeerKind] = match (mode.nodes, mode.endpoints) {
                (false, false) => return,
                (true, false) => &[PeerKind::Node],
                (false, true) => &[PeerKind::Endpoint],
                (true, true) => &[PeerKind::Endpoint, PeerKind::Node],
            };
            self.claims.push((Claim { kinds, block }, rule));
        }
    }

    /// Entries for all traffic of the rule with one peer.
    fn peer(&mut self, rule: &StoredRule, peer: Peer) {
        let entry = entry(rule);
        for traffic in &rule.traffic {
            match traffic {
                TrafficMatch::Any => self.add(EntryKey { peer, traffic: Traffic::Any }, entry),
                TrafficMatch::Ports(protocol, range) => self.ports(peer, *protocol, *range, entry),
                TrafficMatch::Named(protocol, name) => match (self.direction, peer) {
                    (Direction::Ingress, _) => {
                        let numbers = self.names.get(&(name.to_string(), *protocol));
                        for port in numbers.into_iter().flatten() {
                            self.ports(peer, *protocol, PortRange::one(*port), entry);
                        }
                    }
                    (Direction::Egress, Peer::Identity(identity)) => {
                        self.names_of(identity, peer, *protocol, name, entry);
                    }
                    // Whoever has no identity of its own has no names either.
                    (Direction::Egress, Peer::Any | Peer::Class(_)) => {}
                },
            }
        }
    }

    fn names_of(&mut self, identity: Identity, peer: Peer, protocol: Protocol, name: &str, entry: Entry) {
        let engine: &'a Engine = self.engine;
        let numbers = engine.identities.named(protocol, name).and_then(|ids| ids.get(&identity));
        for port in numbers.into_iter().flatten() {
            self.ports(peer, protocol, PortRange::one(*port), entry);
        }
    }

    /// On the way out a name means a different number for every destination, also where any will do.
    fn names_of_anybody(&mut self, rule: &StoredRule) {
        let engine: &'a Engine = self.engine;
        if self.direction == Direction::Ingress {
            return;
        }
        for traffic in &rule.traffic {
            let TrafficMatch::Named(protocol, name) = traffic else { continue };
            let Some(ids) = engine.identities.named(*protocol, name) else { continue };
            for identity in ids.keys() {
                self.names_of(*identity, Peer::Identity(*identity), *protocol, name, entry(rule));
            }
        }
    }

    fn ports(&mut self, peer: Peer, protocol: Protocol, range: PortRange, entry: Entry) {
        for prefix in range.prefixes() {
            self.add(EntryKey { peer, traffic: Traffic::Ports(protocol, prefix) }, entry);
        }
    }

    fn finish(mut self, otherwise: Otherwise) -> DirectionRules {
        let claims = std::mem::take(&mut self.claims);
        let found = classes(&claims.iter().map(|(claim, _)| claim.clone()).collect::<Vec<_>>());
        for (class, number) in found.claims {
            if let Some((_, rule)) = claims.get(number) {
                self.peer(rule, Peer::Class(class));
            }
        }
        let filters = self.filters();
        DirectionRules { otherwise, entries: self.entries, filters, prefixes: found.prefixes }
    }

    /// The entry with the higher precedence stays; of equals the one of the lower rule.
    fn add(&mut self, key: EntryKey, entry: Entry) {
        let rank = |entry: &Entry| (entry.precedence, std::cmp::Reverse(entry.rule));
        let kept = self.entries.entry(key).or_insert(entry);
        if rank(&entry) > rank(kept) {
            *kept = entry;
        }
        if entry.action == Action::Redirect {
            self.redirects.entry(key).or_default().insert(entry.rule);
        }
    }

    /// Gives every entry that still redirects the filter with all of its rules.
    fn filters(&mut self) -> BTreeMap<FilterDigest, Arc<Filter>> {
        let mut filters = BTreeMap::new();
        // Many keys have the same rules.
        let mut digests: BTreeMap<BTreeSet<RuleId>, FilterDigest> = BTreeMap::new();
        for (key, rules) in std::mem::take(&mut self.redirects) {
            let Some(entry) = self.entries.get_mut(&key).filter(|e| e.action == Action::Redirect) else {
                continue;
            };
            entry.filter = match digests.get(&rules) {
                Some(digest) => *digest,
                None => {
                    let filter = Filter {
                        rules: rules.iter().filter_map(|id| filter_rule(self.engine, *id)).collect(),
                    };
                    let digest = filter.digest();
                    filters.insert(digest, Arc::new(filter));
                    digests.insert(rules, digest);
                    digest
                }
            };
        }
        filters
    }
}

fn filter_rule(engine: &Engine, id: RuleId) -> Option<FilterRule> {
    let (spec, rule) = engine.policies.rule(id)?;
    Some(FilterRule {
        rule: id,
        object: Arc::clone(&spec.object),
        section: rule.section.clone(),
        l7: Arc::clone(rule.effect.l7()?),
    })
}

fn entry(rule: &StoredRule) -> Entry {
    let action = rule.effect.action();
    Entry { action, precedence: action.precedence(), rule: rule.id, filter: FilterDigest::NONE }
}
