//! The state that policies, identities and settings come to, kept up to date change by change.

mod cache;
mod classes;
mod compile;

use crate::{
    InputError, Object, ObjectKey,
    endpoint_labels::prefix_labels,
    identities::{Identities, IdentityInfo, NamedPorts},
    lower::{self, Lowered},
    parse::path::Problems,
    policies::{Context, Policies},
    rule_set::{Action, Filter, FilterDigest, RuleId, RuleSet},
    selector::Selector,
    selectors::{Selected, SelectorId, Selectors, SpecId},
    settings::{EnforcementMode, Settings},
};
use cache::Cache;
use ciliate_types::{Direction, Identity, L7Rules, Labels, NamePattern};
use ipnet::IpNet;
use serde::Serialize;
use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    sync::Arc,
};

/// Policies, identities and the rule sets that follow from them.
#[derive(Debug)]
pub struct Engine {
    settings: Settings,
    revision: u64,
    identities: Identities,
    selectors: Selectors,
    policies: Policies,
    cache: Cache,
}

/// One change of the objects.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::large_enum_variant, reason = "changes are few and short-lived, and most of them put")]
pub enum Change {
    Put(Object),
    Delete(ObjectKey),
}

/// The labels of an object and what it comes to.
type Content = (BTreeMap<String, String>, Lowered);

/// What kind of thing policies select.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum SubjectKind {
    #[default]
    Endpoint,
    /// The local host: no policy selects it yet.
    Host,
}

/// Whom a rule set is for.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    pub labels: &'a Labels,
    pub named_ports: &'a NamedPorts,
    pub kind: SubjectKind,
}

impl<'a> Subject<'a> {
    #[must_use]
    pub fn endpoint(labels: &'a Labels, named_ports: &'a NamedPorts) -> Self {
        Self { labels, named_ports, kind: SubjectKind::Endpoint }
    }
}

/// What a change means for others.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Effect {
    pub revision: u64,
    /// Labels of the subjects whose rule set may have changed. Each is named once until it is asked for again.
    pub stale: Vec<Arc<Labels>>,
    pub prefixes_added: Vec<IpNet>,
    pub prefixes_removed: Vec<IpNet>,
    /// Patterns of names that are in use now, and those that are no more: see [`Engine::fqdn_selectors`].
    pub names_added: Vec<NamePattern>,
    pub names_removed: Vec<NamePattern>,
}

/// Adds what moved later to what moved before.
fn merge_moved<T: PartialEq>(before: (&mut Vec<T>, &mut Vec<T>), later: (Vec<T>, Vec<T>)) {
    let ((added, removed), (later_added, later_removed)) = (before, later);
    let (cancelled, later_removed): (Vec<_>, Vec<_>) =
        later_removed.into_iter().partition(|thing| added.contains(thing));
    added.retain(|thing| !cancelled.contains(thing));
    let (cancelled, later_added): (Vec<_>, Vec<_>) =
        later_added.into_iter().partition(|thing| removed.contains(thing));
    removed.retain(|thing| !cancelled.contains(thing));
    added.extend(later_added);
    removed.extend(later_removed);
}

impl Effect {
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.stale.is_empty()
            && self.prefixes_added.is_empty()
            && self.prefixes_removed.is_empty()
            && self.names_added.is_empty()
            && self.names_removed.is_empty()
    }

    /// Adds what a later change means.
    pub fn merge(&mut self, later: Self) {
        let Self { revision, stale, prefixes_added, prefixes_removed, names_added, names_removed } = later;
        self.revision = revision;
        self.stale
            .extend(stale.into_iter().filter(|labels| !self.stale.contains(labels)).collect::<Vec<_>>());
        let prefixes = (&mut self.prefixes_added, &mut self.prefixes_removed);
        merge_moved(prefixes, (prefixes_added, prefixes_removed));
        merge_moved((&mut self.names_added, &mut self.names_removed), (names_added, names_removed));
    }
}

/// Where a rule comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RuleRef {
    /// None for a setting.
    pub object: Option<ObjectKey>,
    pub direction: Direction,
    pub action: Action,
    /// The field, such as `spec.ingress[0].toPorts[0]`, or the name of the setting.
    pub section: String,
    pub description: String,
    /// The text of the policy's field `log`.
    pub log: String,
    pub labels: Vec<String>,
    /// What requests have to be like, where the rule says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub l7: Option<Arc<L7Rules>>,
    /// Of the change that brought the object.
    pub revision: u64,
    pub scope: RuleScope,
}

/// What a rule looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RuleScope {
    pub peers: PeerScope,
    pub traffic: TrafficScope,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum PeerScope {
    Any,
    Some,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum TrafficScope {
    Any,
    /// Whole protocols.
    Protocols,
    Ports,
}

/// A pattern of names that rules choose peers by, and who uses it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FqdnSelectorRow {
    pub pattern: NamePattern,
    pub users: Vec<ObjectKey>,
}

/// A selector with who uses it and whom it selects.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SelectorRow {
    pub selector: String,
    pub users: Vec<ObjectKey>,
    pub identities: Vec<Identity>,
}

impl Engine {
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        Self {
            selectors: Selectors::new(settings.cluster_name.clone()),
            settings,
            revision: 1,
            identities: Identities::default(),
            policies: Policies::default(),
            cache: Cache::default(),
        }
    }

    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Changes settings. The name of the cluster stays what it was at the start.
    pub fn set_settings(&mut self, settings: Settings) -> Effect {
        let settings = Settings { cluster_name: self.settings.cluster_name.clone(), ..settings };
        let stale = if settings == self.settings { Vec::new() } else { self.cache.clear() };
        self.settings = settings;
        self.effect(stale)
    }

    /// Grows with every change of objects.
    #[must_use]
    pub fn revision(&self) -> u64 {
        self.revision
    }

    pub fn objects(&self) -> impl Iterator<Item = &ObjectKey> {
        self.policies.objects()
    }

    /// Makes all changes, or none.
    ///
    /// # Errors
    /// What is wrong with the objects; nothing has changed then. Objects that [`crate::parse`] returned are right.
    pub fn replace(&mut self, changes: Vec<Change>) -> Result<Effect, Vec<InputError>> {
        let mut wanted: BTreeMap<ObjectKey, Option<Content>> = BTreeMap::new();
        let mut errors = Vec::new();
        for change in changes {
            match change {
                Change::Put(object) => {
                    let mut problems = Problems::default();
                    let lowered = lower::lower(&object, &mut problems);
                    errors.extend(
                        problems.errors.into_iter().map(|p| InputError::of_object(&object.key(), &p)),
                    );
                    wanted.insert(object.key(), Some((object.labels().clone(), lowered)));
                }
                Change::Delete(key) => {
                    wanted.insert(key, None);
                }
            }
        }
        if !errors.is_empty() {
            return Err(errors);
        }
        let next = self.revision.saturating_add(1);
        let (mut fresh, mut gone, mut groups_moved, mut changed) =
            (Vec::new(), BTreeSet::new(), false, false);
        let mut context = Context { selectors: &mut self.selectors, identities: &self.identities };
        for (key, content) in wanted {
            let is_group = key.kind == crate::Kind::CiliumCidrGroup;
            let moved = match content {
                Some((labels, lowered)) => {
                    fresh.extend(self.policies.put(key, &labels, lowered, next, &mut gone, &mut context));
                    true
                }
                None => self.policies.delete(&key, &mut gone, &mut context),
            };
            groups_moved |= moved && is_group;
            changed |= moved;
        }
        if groups_moved {
            gone.extend(self.policies.resolve_groups(&mut context));
        }
        if changed {
            self.revision = next;
        }
        let policies = &self.policies;
        let stale = self.cache.drop_rows(
            |specs| specs.iter().any(|id| gone.contains(id)),
            |labels| fresh.iter().any(|id| policies.selects(*id, labels)),
        );
        Ok(self.effect(stale))
    }

    /// Tells of an identity, or of a change of what is known about it.
    pub fn put_identity(&mut self, identity: Identity, info: IdentityInfo) -> Effect {
        if self.identities.is(identity, &info) {
            return self.effect(Vec::new());
        }
        let mut affected = BTreeSet::new();
        if self.identities.has_labels(identity, &info.labels) {
            self.identities.set_names(identity, &info.named_ports);
            affected.extend(self.policies.naming_ports());
        } else {
            self.take_identity(identity, &mut affected);
            self.identities.insert(identity, &info);
            if let Some(row) = self.identities.get(identity) {
                let gained = self.selectors.identity_added(identity, row);
                self.users_of(&gained, &mut affected);
            }
            if !info.named_ports.is_empty() {
                affected.extend(self.policies.naming_ports());
            }
        }
        self.stale_where_used(&affected)
    }

    pub fn remove_identity(&mut self, identity: Identity) -> Effect {
        let mut affected = BTreeSet::new();
        self.take_identity(identity, &mut affected);
        self.stale_where_used(&affected)
    }

    fn take_identity(&mut self, identity: Identity, affected: &mut BTreeSet<SpecId>) {
        let Some(row) = self.identities.get(identity) else { return };
        let lost = self.selectors.identity_removed(identity, row);
        self.identities.remove(identity);
        self.users_of(&lost, affected);
        affected.extend(self.policies.naming_ports());
    }

    fn users_of(&self, selectors: &[SelectorId], affected: &mut BTreeSet<SpecId>) {
        // Without rule sets there is nobody to tell; this is how a node starts.
        if !self.cache.is_empty() {
            let users = selectors.iter().filter_map(|id| self.selectors.get(*id)).flat_map(|row| &row.users);
            affected.extend(users);
        }
    }

    fn stale_where_used(&mut self, affected: &BTreeSet<SpecId>) -> Effect {
        let stale = match affected.is_empty() {
            true => Vec::new(),
            false => self.cache.drop_rows(|specs| specs.iter().any(|id| affected.contains(id)), |_| false),
        };
        self.effect(stale)
    }

    fn effect(&mut self, stale: Vec<Arc<Labels>>) -> Effect {
        let (prefixes_added, prefixes_removed) = self.selectors.take_moved_prefixes();
        let (names_added, names_removed) = self.selectors.take_moved_names();
        let revision = self.revision;
        Effect { revision, stale, prefixes_added, prefixes_removed, names_added, names_removed }
    }

    /// Every prefix that some rule refers to, exceptions included. Each needs an identity of its own, with
    /// [`Self::prefix_labels`], to be matched.
    #[must_use]
    pub fn prefixes(&self) -> BTreeSet<IpNet> {
        self.selectors.prefixes().copied().collect()
    }

    /// The labels of the identity that stands for a prefix.
    #[must_use]
    pub fn prefix_labels(net: &IpNet) -> Labels {
        prefix_labels(net)
    }

    /// The rule set of a subject. Cheap while nothing changes for it; equal rule sets are one allocation.
    pub fn rule_set(&mut self, subject: &Subject<'_>) -> Arc<RuleSet> {
        if !self.is_subject(subject) {
            return self.cache.share(RuleSet::default());
        }
        if let Some(found) = self.cache.get(subject.labels, subject.named_ports) {
            return found;
        }
        let specs =
            self.cache.specs(subject.labels).unwrap_or_else(|| self.policies.selecting(subject.labels));
        let specs = self.cache.one(specs);
        let names = self.names_in_use(&specs, subject.named_ports);
        let built = match self.cache.built(&specs, &names) {
            Some(built) => built,
            None => {
                let built = self.cache.share(self.compile(&specs, &names));
                self.cache.keep_built(&specs, names, &built);
                built
            }
        };
        self.cache.keep(subject, &specs, &built);
        built
    }

    /// Forgets what is kept for a subject that is gone.
    pub fn forget(&mut self, subject: &Subject<'_>) {
        self.cache.forget(subject.labels);
    }

    /// Whether policies may apply to the subject at all.
    pub(crate) fn is_subject(&self, subject: &Subject<'_>) -> bool {
        subject.kind == SubjectKind::Endpoint && self.settings.enforcement != EnforcementMode::Never
    }

    /// The policies that isolate the subject in the direction.
    #[must_use]
    pub fn isolating(&self, subject: &Subject<'_>, direction: Direction) -> Vec<ObjectKey> {
        if !self.is_subject(subject) {
            return Vec::new();
        }
        let specs = self.policies.selecting(subject.labels);
        let isolating = specs.iter().filter_map(|id| self.policies.spec(*id));
        let keys: BTreeSet<&ObjectKey> =
            isolating.filter(|spec| spec.isolates.contains(&direction)).map(|spec| &*spec.object).collect();
        keys.into_iter().cloned().collect()
    }

    pub(crate) fn policies(&self) -> &Policies {
        &self.policies
    }

    pub(crate) fn selector(&self, id: SelectorId) -> Option<&Selected> {
        self.selectors.get(id)
    }

    /// Where a rule of a rule set comes from.
    #[must_use]
    pub fn rule(&self, id: RuleId) -> Option<RuleRef> {
        if id == RuleId::LOCALHOST {
            return Some(RuleRef {
                object: None,
                direction: Direction::Ingress,
                action: Action::Allow,
                section: "allow-localhost".to_owned(),
                description: "the local host may reach its endpoints".to_owned(),
                log: String::new(),
                labels: Vec::new(),
                l7: None,
                revision: 0,
                scope: RuleScope { peers: PeerScope::Some, traffic: TrafficScope::Any },
            });
        }
        let (spec, rule) = self.policies.rule(id)?;
        Some(RuleRef {
            object: Some(ObjectKey::clone(&spec.object)),
            direction: rule.direction,
            action: rule.effect.action(),
            section: rule.section.to_string(),
            description: spec.description.to_string(),
            log: spec.log.to_string(),
            labels: spec.labels.to_vec(),
            l7: rule.effect.l7().cloned(),
            revision: spec.revision,
            scope: rule.scope(),
        })
    }

    /// What the digest of an entry stands for, as long as somebody holds a rule set with such an entry.
    #[must_use]
    pub fn filter(&self, digest: FilterDigest) -> Option<Arc<Filter>> {
        self.cache.filter(digest)
    }

    /// The filters of all rule sets that somebody holds.
    #[must_use]
    pub fn filters(&self) -> BTreeMap<FilterDigest, Arc<Filter>> {
        self.cache.filters()
    }

    /// Every distinct pattern of `toFQDNs`. An address that was found under a name of some of them needs an identity with
    /// [`crate::fqdn_labels`].
    #[must_use]
    pub fn fqdn_selectors(&self) -> Vec<FqdnSelectorRow> {
        let row = |row: &Selected| match &*row.selector {
            Selector::Fqdn(pattern) => {
                Some(FqdnSelectorRow { pattern: pattern.clone(), users: self.users(row) })
            }
            Selector::Labels(_) | Selector::Entity(_) | Selector::Cidr(_) => None,
        };
        let mut rows: Vec<_> = self.selectors.iter().filter_map(row).collect();
        rows.sort_by(|a, b| a.pattern.cmp(&b.pattern));
        rows
    }

    /// The longest of the [`Self::prefixes`] around an address.
    #[must_use]
    pub fn covering_prefix(&self, address: IpAddr) -> Option<IpNet> {
        let mut around = Some(IpNet::from(address));
        while let Some(net) = around {
            if self.selectors.has_prefix(&net) {
                return Some(net);
            }
            around = net.supernet();
        }
        None
    }

    fn users(&self, row: &Selected) -> Vec<ObjectKey> {
        let specs = row.users.iter().filter_map(|id| self.policies.spec(*id));
        let users: BTreeSet<&ObjectKey> = specs.map(|spec| &*spec.object).collect();
        users.into_iter().cloned().collect()
    }

    /// Every distinct selector of peers.
    #[must_use]
    pub fn selectors(&self) -> Vec<SelectorRow> {
        let row = |row: &Selected| SelectorRow {
            selector: row.selector.to_string(),
            users: self.users(row),
            identities: row.identities.clone(),
        };
        let mut rows: Vec<_> = self.selectors.iter().map(row).collect();
        rows.sort_by(|a, b| a.selector.cmp(&b.selector));
        rows
    }
}
