//! Policies as the engine keeps them: selectors by number, groups resolved, every rule with its id.

use crate::{
    ObjectKey,
    engine::{PeerScope, RuleScope, TrafficScope},
    identities::Identities,
    lower::Lowered,
    rule::{GroupMatch, PeerMatch, Peers, Rule, RuleEffect, Spec, TrafficMatch},
    rule_set::RuleId,
    selector::{Block, LabelMatch, Selector},
    selectors::{AnchorIndex, SelectorId, Selectors, SpecId},
};
use ciliate_types::{Direction, Label, Labels, PortRange};
use ipnet::IpNet;
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

#[derive(Debug)]
pub struct StoredSpec {
    pub object: Arc<ObjectKey>,
    pub revision: u64,
    pub subject: LabelMatch,
    pub isolates: BTreeSet<Direction>,
    pub rules: Box<[StoredRule]>,
    pub description: Box<str>,
    pub log: Box<str>,
    pub labels: Box<[String]>,
}

#[derive(Debug)]
pub struct StoredRule {
    pub id: RuleId,
    pub direction: Direction,
    pub effect: RuleEffect,
    pub section: Box<str>,
    pub peers: StoredPeers,
    pub traffic: Box<[TrafficMatch]>,
}

#[derive(Debug)]
pub enum StoredPeers {
    Any,
    Of(Box<[StoredPeer]>),
}

#[derive(Debug)]
pub enum StoredPeer {
    Selector(SelectorId),
    Address(Box<Block>),
    Group { groups: GroupMatch, except: BTreeSet<IpNet>, resolved: Vec<SelectorId> },
}

impl StoredRule {
    pub fn scope(&self) -> RuleScope {
        let whole = |traffic: &TrafficMatch| matches!(traffic, TrafficMatch::Ports(_, PortRange::ALL));
        RuleScope {
            peers: match self.peers {
                StoredPeers::Any => PeerScope::Any,
                StoredPeers::Of(_) => PeerScope::Some,
            },
            traffic: match &*self.traffic {
                traffic if traffic.contains(&TrafficMatch::Any) => TrafficScope::Any,
                traffic if traffic.iter().all(whole) => TrafficScope::Protocols,
                _ => TrafficScope::Ports,
            },
        }
    }

    fn peers(&self) -> &[StoredPeer] {
        match &self.peers {
            StoredPeers::Any => &[],
            StoredPeers::Of(peers) => peers,
        }
    }

    pub fn selectors(&self) -> impl Iterator<Item = SelectorId> {
        self.peers()
            .iter()
            .flat_map(|peer| match peer {
                StoredPeer::Selector(id) => std::slice::from_ref(id),
                StoredPeer::Address(_) => &[],
                StoredPeer::Group { resolved, .. } => resolved,
            })
            .copied()
    }
}

impl StoredSpec {
    /// Whether rules about peers use port names, whose numbers depend on the peer.
    fn names_ports_of_peers(&self) -> bool {
        let named = |t: &TrafficMatch| matches!(t, TrafficMatch::Named(..));
        self.rules.iter().any(|r| r.direction == Direction::Egress && r.traffic.iter().any(named))
    }

    fn has_groups(&self) -> bool {
        self.rules.iter().flat_map(StoredRule::peers).any(|peer| matches!(peer, StoredPeer::Group { .. }))
    }
}

#[derive(Debug, Default)]
struct Group {
    labels: Labels,
    nets: BTreeSet<IpNet>,
}

#[derive(Debug, Default)]
pub struct Policies {
    objects: BTreeMap<Arc<ObjectKey>, Vec<SpecId>>,
    specs: Vec<Option<StoredSpec>>,
    free: Vec<SpecId>,
    subjects: AnchorIndex<SpecId>,
    rules: HashMap<RuleId, (SpecId, u32)>,
    groups: BTreeMap<String, Group>,
    with_groups: BTreeSet<SpecId>,
    naming_ports: BTreeSet<SpecId>,
}

/// What the engine lends to a change of policies.
pub struct Context<'a> {
    pub selectors: &'a mut Selectors,
    pub identities: &'a Identities,
}

impl Policies {
    pub fn objects(&self) -> impl Iterator<Item = &ObjectKey> {
        self.objects.keys().map(|key| &**key)
    }

    pub fn spec(&self, id: SpecId) -> Option<&StoredSpec> {
        self.specs.get(usize::try_from(id.0).ok()?)?.as_ref()
    }

    fn slot(&mut self, id: SpecId) -> Option<&mut Option<StoredSpec>> {
        self.specs.get_mut(usize::try_from(id.0).ok()?)
    }

    pub fn specs(&self) -> impl Iterator<Item = &StoredSpec> {
        self.specs.iter().flatten()
    }

    pub fn rule(&self, id: RuleId) -> Option<(&StoredSpec, &StoredRule)> {
        let (spec, at) = self.rules.get(&id)?;
        let spec = self.spec(*spec)?;
        Some((spec, spec.rules.get(usize::try_from(*at).ok()?)?))
    }

    /// Specs whose rules depend on the port names of peers.
    pub fn naming_ports(&self) -> &BTreeSet<SpecId> {
        &self.naming_ports
    }

    /// The specs that select endpoints with these labels, in the order of their objects.
    pub fn selecting(&self, labels: &Labels) -> Arc<[SpecId]> {
        let candidates = self.subjects.candidates(labels.iter()).into_iter();
        let mut found: Vec<_> = candidates.filter(|id| self.selects(*id, labels)).collect();
        found.sort_by_cached_key(|id| self.spec(*id).map(|spec| Arc::clone(&spec.object)));
        found.into()
    }

    pub fn selects(&self, id: SpecId, labels: &Labels) -> bool {
        self.spec(id).is_some_and(|spec| spec.subject.matches(labels.iter()))
    }

    /// Adds or replaces an object. Returns the specs that are new and collects those that are gone.
    pub fn put(
        &mut self,
        key: ObjectKey,
        labels: &BTreeMap<String, String>,
        lowered: Lowered,
        revision: u64,
        gone: &mut BTreeSet<SpecId>,
        context: &mut Context<'_>,
    ) -> Vec<SpecId> {
        self.delete(&key, gone, context);
        let key = Arc::new(key);
        let ids = match lowered {
            Lowered::Policy(specs) => {
                specs.into_iter().map(|spec| self.add_spec(&key, spec, revision, context)).collect()
            }
            Lowered::CidrGroup(nets) => {
                let label = |(k, v): (&String, &String)| Label::new(ciliate_types::source::K8S, k, v);
                let group = Group { labels: labels.iter().map(label).collect(), nets };
                self.groups.insert(key.name.clone(), group);
                Vec::new()
            }
            Lowered::Nothing => Vec::new(),
        };
        self.objects.insert(key, ids.clone());
        ids
    }

    /// Returns whether the object was there.
    pub fn delete(
        &mut self,
        key: &ObjectKey,
        gone: &mut BTreeSet<SpecId>,
        context: &mut Context<'_>,
    ) -> bool {
        let Some(ids) = self.objects.remove(key) else { return false };
        if key.kind == crate::Kind::CiliumCidrGroup {
            self.groups.remove(&key.name);
        }
        for id in ids {
            self.remove_spec(id, context);
            gone.insert(id);
        }
        true
    }

    /// Brings rules that refer to groups up to date. Returns the specs that changed.
    pub fn resolve_groups(&mut self, context: &mut Context<'_>) -> Vec<SpecId> {
        let mut changed = Vec::new();
        for id in self.with_groups.clone() {
            let Some(mut spec) = self.slot(id).and_then(Option::take) else { continue };
            let mut different = false;
            for rule in &mut spec.rules {
                let StoredPeers::Of(peers) = &mut rule.peers else { continue };
                for peer in peers {
                    let StoredPeer::Group { groups, except, resolved } = peer else { continue };
                    let now = self.resolve(groups, except, id, context);
                    different |= now != *resolved;
                    let before = std::mem::replace(resolved, now);
                    before.into_iter().for_each(|selector| context.selectors.release(selector, id));
                }
            }
            if different {
                changed.push(id);
            }
            if let Some(slot) = self.slot(id) {
                *slot = Some(spec);
            }
        }
        changed
    }

    fn resolve(
        &self,
        groups: &GroupMatch,
        except: &BTreeSet<IpNet>,
        user: SpecId,
        context: &mut Context<'_>,
    ) -> Vec<SelectorId> {
        let chosen: Vec<&Group> = match groups {
            GroupMatch::Name(name) => self.groups.get(name).into_iter().collect(),
            GroupMatch::Labels(labels) => {
                self.groups.values().filter(|group| labels.matches(group.labels.iter())).collect()
            }
        };
        let nets: BTreeSet<IpNet> = chosen.into_iter().flat_map(|group| &group.nets).copied().collect();
        let acquire = |net: IpNet| {
            // An exception that lies around the prefix, or beside it, has no part of it to take away but all or nothing.
            let covered = except.iter().any(|e| e.contains(&net));
            let except = except.iter().filter(|e| net.contains(*e)).copied().collect();
            let block = Selector::Cidr(Block { net, except });
            (!covered).then(|| context.selectors.acquire(&block, user, context.identities))
        };
        nets.into_iter().filter_map(acquire).collect()
    }

    fn add_spec(
        &mut self,
        object: &Arc<ObjectKey>,
        spec: Spec,
        revision: u64,
        context: &mut Context<'_>,
    ) -> SpecId {
        let id = self.free.pop().unwrap_or_else(|| {
            self.specs.push(None);
            SpecId(u32::try_from(self.specs.len()).unwrap_or(u32::MAX).saturating_sub(1))
        });
        let Spec { subject, isolates, rules, description, log, labels } = spec;
        let mut stored = Vec::with_capacity(rules.len());
        for (at, rule) in rules.into_iter().enumerate() {
            let Rule { direction, effect, section, peers, traffic } = rule;
            let rule_id = self.free_rule_id(object, &section);
            self.rules.insert(rule_id, (id, u32::try_from(at).unwrap_or(u32::MAX)));
            let peers = match peers {
                Peers::Any => StoredPeers::Any,
                Peers::Of(peers) => StoredPeers::Of(
                    peers.into_iter().map(|peer| self.store_peer(peer, id, context)).collect(),
                ),
            };
            let (section, traffic) = (section.into(), traffic.into());
            stored.push(StoredRule { id: rule_id, direction, effect, section, peers, traffic });
        }
        let stored = StoredSpec {
            object: Arc::clone(object),
            revision,
            subject,
            isolates,
            rules: stored.into(),
            description: description.into(),
            log: log.into(),
            labels: labels.into(),
        };
        self.subjects.insert(stored.subject.anchor(), id);
        if stored.has_groups() {
            self.with_groups.insert(id);
        }
        if stored.names_ports_of_peers() {
            self.naming_ports.insert(id);
        }
        if let Some(slot) = self.slot(id) {
            *slot = Some(stored);
        }
        id
    }

    fn store_peer(&self, peer: PeerMatch, user: SpecId, context: &mut Context<'_>) -> StoredPeer {
        match peer {
            PeerMatch::Selector(selector) => {
                StoredPeer::Selector(context.selectors.acquire(&selector, user, context.identities))
            }
            PeerMatch::Address(block) => StoredPeer::Address(Box::new(block)),
            PeerMatch::Group { groups, except } => {
                let resolved = self.resolve(&groups, &except, user, context);
                StoredPeer::Group { groups, except, resolved }
            }
        }
    }

    fn remove_spec(&mut self, id: SpecId, context: &mut Context<'_>) {
        let Some(spec) = self.slot(id).and_then(Option::take) else { return };
        self.subjects.remove(spec.subject.anchor(), id);
        self.with_groups.remove(&id);
        self.naming_ports.remove(&id);
        for rule in &spec.rules {
            self.rules.remove(&rule.id);
            rule.selectors().for_each(|selector| context.selectors.release(selector, id));
        }
        self.free.push(id);
    }

    /// The number of a rule follows from its object and section, so that it is the same after a restart.
    fn free_rule_id(&self, object: &ObjectKey, section: &str) -> RuleId {
        let text = format!("{object} {section}");
        // FNV-1a: short, and enough where a collision only moves the number by one.
        let hash = text
            .bytes()
            .fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
        let mut id = RuleId(hash.max(RuleId::FIRST.0));
        while self.rules.contains_key(&id) {
            id = RuleId(id.0.wrapping_add(1).max(RuleId::FIRST.0));
        }
        id
    }
}
