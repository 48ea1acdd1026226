//! Rule sets in the kernel and who uses them.

use super::{Engine, Local};
use crate::{
    failure::Result,
    kernel::{EndpointEntry, Extended, Extension, Handle, Kernel},
    state::EndpointRow,
};
use ciliate_api::EndpointState;
use ciliate_policy::{Subject, rule_set::RuleSet};
use ciliate_types::{EndpointId, Identity};
use std::{collections::BTreeMap, sync::Arc};

/// One reference to each rule set in the kernel, shared by all endpoints that use it.
#[derive(Default)]
pub struct RuleSets {
    by_handle: BTreeMap<u32, Shared>,
    /// Where a rule set lies in memory tells which it is, while it is in `by_handle`.
    by_place: BTreeMap<usize, Handle>,
}

struct Shared {
    rules: Arc<RuleSet>,
    users: usize,
}

fn place(rules: &Arc<RuleSet>) -> usize {
    Arc::as_ptr(rules).addr()
}

impl RuleSets {
    /// One user more of a rule set, which is complete in the kernel when this returns.
    pub fn acquire(&mut self, kernel: &mut dyn Kernel, rules: &Arc<RuleSet>) -> Result<Handle> {
        if let Some(handle) = self.by_place.get(&place(rules)).copied() {
            self.add_user(handle);
            return Ok(handle);
        }
        let handle = kernel.write_rule_set(rules)?;
        if self.by_handle.contains_key(&handle.0) {
            // Equal to one that is there; that one's reference is enough.
            kernel.release_rule_set(handle);
            self.add_user(handle);
            return Ok(handle);
        }
        self.by_place.insert(place(rules), handle);
        self.by_handle.insert(handle.0, Shared { rules: Arc::clone(rules), users: 1 });
        Ok(handle)
    }

    fn add_user(&mut self, handle: Handle) {
        if let Some(shared) = self.by_handle.get_mut(&handle.0) {
            shared.users = shared.users.saturating_add(1);
        }
    }

    /// One user less; no row of the kernel may name it for that user any more.
    pub fn release(&mut self, kernel: &mut dyn Kernel, handle: Handle) {
        let Some(shared) = self.by_handle.get_mut(&handle.0) else { return };
        shared.users = shared.users.saturating_sub(1);
        if shared.users == 0 {
            self.by_place.remove(&place(&shared.rules));
            self.by_handle.remove(&handle.0);
            kernel.release_rule_set(handle);
        }
    }

    /// Changes a rule set for all its users at once, if only peers come, or go that are gone.
    fn extend(
        &mut self,
        kernel: &mut dyn Kernel,
        handle: Handle,
        new: &Arc<RuleSet>,
        gone: &[Identity],
    ) -> Result<Extended> {
        let Some(shared) = self.by_handle.get_mut(&handle.0) else { return Ok(Extended::NotPossible) };
        if self.by_place.contains_key(&place(new)) {
            return Ok(Extended::NotPossible);
        }
        let done = kernel.extend_rule_set(&Extension { handle, old: &shared.rules, new, gone })?;
        if done == Extended::InPlace {
            self.by_place.remove(&place(&shared.rules));
            self.by_place.insert(place(new), handle);
            shared.rules = Arc::clone(new);
        }
        Ok(done)
    }

    fn users(&self, handle: Handle) -> usize {
        self.by_handle.get(&handle.0).map_or(0, |shared| shared.users)
    }
}

/// Endpoints that go from one rule set to one other.
struct Group {
    handle: Handle,
    wanted: Arc<RuleSet>,
    ids: Vec<EndpointId>,
}

/// Rule sets that are complete in the kernel and not yet in force.
#[must_use = "put in force or discarded, or else it stays in the kernel for good"]
#[derive(Default)]
pub struct Prepared(Vec<(EndpointId, Arc<RuleSet>, Handle)>);

impl Engine {
    /// What the policies of now come to for an endpoint.
    pub(super) fn wanted_rules(&mut self, id: EndpointId) -> Option<Arc<RuleSet>> {
        let row = self.state.endpoints.get(&id)?;
        let local = self.locals.get(&id)?;
        Some(self.policy.rule_set(&Subject::endpoint(&row.labels, &local.ports)))
    }

    /// Writes the rule sets of all endpoints whose rules differ from what is in force.
    pub(super) fn prepare(&mut self) -> Result<Prepared> {
        let ids: Vec<EndpointId> = self.locals.keys().copied().collect();
        let mut prepared = Prepared::default();
        for id in ids {
            let Some(wanted) = self.wanted_rules(id) else { continue };
            if self.locals.get(&id).is_none_or(|local| Arc::ptr_eq(&local.rules, &wanted)) {
                continue;
            }
            match self.acquire_rules(&wanted) {
                Ok(handle) => prepared.0.push((id, wanted, handle)),
                Err(failure) => {
                    self.discard(prepared);
                    return Err(failure);
                }
            }
        }
        Ok(prepared)
    }

    /// A rule set of which kernel and proxy know everything.
    pub(super) fn acquire_rules(&mut self, rules: &Arc<RuleSet>) -> Result<Handle> {
        let filters = self.policy.filters();
        if !self.proxy.knows(&filters) {
            let secrets = self.secrets_of(&filters)?;
            self.proxy.learn(filters, secrets)?;
        }
        self.rules.acquire(&mut *self.kernel, rules)
    }

    pub(super) fn discard(&mut self, prepared: Prepared) {
        for (_, _, handle) in prepared.0 {
            self.rules.release(&mut *self.kernel, handle);
        }
    }

    /// Puts prepared rule sets in force, endpoint by endpoint. One that cannot be switched keeps its old rules, and
    /// says so; the others go on.
    pub(super) fn enforce(&mut self, prepared: Prepared) {
        let changed = !prepared.0.is_empty();
        for (id, rules, handle) in prepared.0 {
            let Some(local) = self.locals.get_mut(&id) else {
                self.rules.release(&mut *self.kernel, handle);
                continue;
            };
            let old =
                (std::mem::replace(&mut local.handle, handle), std::mem::replace(&mut local.rules, rules));
            match self.write_rows(id) {
                Ok(()) => {
                    self.rules.release(&mut *self.kernel, old.0);
                    if self.state.endpoints.get(&id).is_some_and(|row| row.state == EndpointState::NotReady) {
                        self.set_state(id, EndpointState::Ready);
                        self.log(id, EndpointState::Ready, Ok("its rules are in force again"));
                    }
                }
                Err(failure) => {
                    if let Some(local) = self.locals.get_mut(&id) {
                        (local.handle, local.rules) = old;
                    }
                    // Some of its addresses may have been switched.
                    let _ = self.write_rows(id);
                    self.rules.release(&mut *self.kernel, handle);
                    self.set_state(id, EndpointState::NotReady);
                    self.log(id, EndpointState::NotReady, Err(&failure));
                }
            }
        }
        if changed && let Err(failure) = self.proxy.switched(self.policy.filters()) {
            tracing::error!(%failure, "open connections may be judged by old rules until the proxy has heard of the new ones; it is told again");
        }
    }

    /// Brings what is in force up to date with the policies of now.
    pub(super) fn refresh(&mut self) -> Result<()> {
        let prepared = self.prepare()?;
        self.enforce(prepared);
        Ok(())
    }

    /// The same when rule sets only learn of identities that no address has yet, or forget those that no address has any
    /// more: where that only adds or takes away peers, all users of a rule set get it at once, by a few entries.
    pub(super) fn refresh_peers(&mut self, gone: &[Identity]) -> Result<()> {
        let mut groups: BTreeMap<(u32, usize), Group> = BTreeMap::new();
        let ids: Vec<EndpointId> = self.locals.keys().copied().collect();
        for id in ids {
            let Some(wanted) = self.wanted_rules(id) else { continue };
            let Some(local) = self.locals.get(&id).filter(|l| !Arc::ptr_eq(&l.rules, &wanted)) else {
                continue;
            };
            let key = (local.handle.0, place(&wanted));
            let group = Group { handle: local.handle, wanted, ids: Vec::new() };
            groups.entry(key).or_insert(group).ids.push(id);
        }
        for Group { handle, wanted, ids } in groups.into_values() {
            if self.rules.users(handle) != ids.len() {
                continue;
            }
            if self.rules.extend(&mut *self.kernel, handle, &wanted, gone)? == Extended::InPlace {
                for id in ids {
                    if let Some(local) = self.locals.get_mut(&id) {
                        local.rules = Arc::clone(&wanted);
                    }
                }
            }
        }
        self.refresh()
    }

    /// Both rows of an endpoint, as its document, its identity and its rule set say.
    pub(super) fn write_rows(&mut self, id: EndpointId) -> Result<()> {
        let (Some(row), Some(local)) = (self.state.endpoints.get(&id), self.locals.get(&id)) else {
            return Ok(());
        };
        let row = Arc::clone(row);
        let kernel_row = kernel_row(&row, local);
        for address in row.stored.addresses().iter() {
            self.kernel.put_endpoint(address, &kernel_row)?;
        }
        let handle = local.handle.0;
        let revision = self.state.revision;
        self.state.endpoints.update(&id, |row| {
            let row = Arc::make_mut(row);
            row.rule_set = handle;
            row.policy_revision = revision;
        });
        Ok(())
    }

    pub(super) fn set_state(&mut self, id: EndpointId, to: EndpointState) {
        self.state.endpoints.update(&id, |row| Arc::make_mut(row).state = to);
    }
}

fn kernel_row(row: &EndpointRow, local: &Local) -> EndpointEntry {
    let stored = &row.stored;
    let (rule_set, device) = (local.handle, local.device);
    EndpointEntry { id: stored.id, identity: stored.identity, rule_set, device, audit: stored.audit }
}
