//! The state that policies, identities and settings come to, kept up to date change by change.

mod cache;
mod classes;
mod compile;
mod effect;
mod view;

pub use effect::Effect;
pub use view::{FqdnSelectorRow, PeerScope, RuleRef, RuleScope, SelectorRow, TrafficScope};

use crate::{
    InputError, Object, ObjectKey,
    endpoint_labels::prefix_labels,
    identities::{Identities, IdentityInfo, NamedPorts},
    lower::{self, Lowered},
    parse::path::Problems,
    policies::{Context, Policies},
    rule_set::RuleSet,
    selectors::{Selected, SelectorId, Selectors, SpecId},
    settings::{EnforcementMode, Settings},
};
use cache::Cache;
use ciliate_types::{Identity, Labels};
use ipnet::IpNet;
use std::{
    collections::{BTreeMap, BTreeSet},
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

    pub(crate) fn policies(&self) -> &Policies {
        &self.policies
    }

    pub(crate) fn selector(&self, id: SelectorId) -> Option<&Selected> {
        self.selectors.get(id)
    }
}
