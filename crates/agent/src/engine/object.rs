//! Policies and other objects: applied all or none, enforced when the answer is given.

use super::{Engine, Memory, admit::Relabel, rules::Prepared};
use crate::{
    failure::{Failure, Result},
    identity::Meaning,
    news::News,
    state::{ObjectName, ObjectRow},
    stored::{StoredObject, kind, put, read},
};
use ciliate_api::{
    AddressSource, ApplyRequest, ApplyResult, DeleteRequest, ObjectAction, ObjectRef, ObjectResult,
    ObjectView,
};
use ciliate_policy::{
    Change, Kind, Object, ObjectKey, Parsed, endpoint_labels, object::secret::redacted, parse, parse_stored,
};
use ciliate_store::Write;
use ciliate_types::{EndpointId, Identity, Labels};
use ipnet::IpNet;
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// What is to become of an object.
enum Wanted {
    Put(Box<Object>, Value),
    Delete,
}

/// Bytes of a request from which on its memory is given back.
const LARGE: usize = 64 << 10;

type Changes = BTreeMap<ObjectKey, Wanted>;

impl Engine {
    pub fn apply(&mut self, request: &ApplyRequest) -> Result<ApplyResult> {
        let result = self.try_apply(request);
        self.count(&result);
        result
    }

    fn count(&mut self, result: &Result<ApplyResult>) {
        let counter = match result {
            Ok(_) => &mut self.changes.done,
            Err(_) => &mut self.changes.refused,
        };
        *counter = counter.saturating_add(1);
    }

    fn try_apply(&mut self, request: &ApplyRequest) -> Result<ApplyResult> {
        if request.text.len() > LARGE {
            self.memory = Memory::Spare;
        }
        let parsed = parse_request(request)?;
        let mut changes = Changes::new();
        let mut results = Vec::with_capacity(parsed.len());
        let mut with_secrets = Vec::new();
        for Parsed { object, warnings, raw } in parsed {
            let key = object.key();
            let before = self.stored(&key)?;
            let action = match &before {
                None => ObjectAction::Created,
                Some(stored) if stored.raw == raw => ObjectAction::Unchanged,
                Some(_) => ObjectAction::Configured,
            };
            results.push(ObjectResult {
                object: object_ref(&key),
                action,
                warnings: warnings.iter().map(ToString::to_string).collect(),
            });
            if changes.contains_key(&key) {
                return Err(Failure::invalid(format!(
                    "{}: {key} stands there twice; nothing was changed",
                    request.origin
                )));
            }
            if matches!(object, Object::Secret(_)) || !object.secrets_used().is_empty() {
                with_secrets.push((results.len().saturating_sub(1), object.clone()));
            }
            if action != ObjectAction::Unchanged {
                changes.insert(key, Wanted::Put(Box::new(object), raw));
            }
        }
        self.change_objects(changes)?;
        for (at, object) in with_secrets {
            let warnings = self.warnings_of_secrets(&object)?;
            if let Some(result) = results.get_mut(at) {
                result.warnings.extend(warnings);
            }
        }
        Ok(ApplyResult { results, revision: self.state.revision })
    }

    pub fn delete_objects(&mut self, request: &DeleteRequest) -> Result<ApplyResult> {
        let result = self.try_delete(request);
        self.count(&result);
        result
    }

    fn try_delete(&mut self, request: &DeleteRequest) -> Result<ApplyResult> {
        let mut keys: Vec<ObjectKey> = request.objects.iter().map(object_key).collect::<Result<_>>()?;
        if let Some(text) = &request.text {
            keys.extend(parse_request(text)?.iter().map(|parsed| parsed.object.key()));
        }
        for wanted in &request.all_of_kinds {
            let wanted = object_kind(wanted)?;
            keys.extend(
                self.state.objects.iter().filter(|(n, _)| n.0.kind == wanted).map(|(n, _)| (*n.0).clone()),
            );
        }
        let mut changes = Changes::new();
        let mut results = Vec::with_capacity(keys.len());
        for key in keys {
            let action = match self.state.objects.get(&ObjectName(Arc::new(key.clone()))) {
                Some(_) => ObjectAction::Deleted,
                None => ObjectAction::Absent,
            };
            results.push(ObjectResult { object: object_ref(&key), action, warnings: Vec::new() });
            if action == ObjectAction::Deleted {
                changes.insert(key, Wanted::Delete);
            }
        }
        let deleted: Vec<ObjectKey> = changes.keys().cloned().collect();
        self.change_objects(changes)?;
        for key in deleted {
            let warnings = self.warnings_of_deletion(&key);
            let object = object_ref(&key);
            if let Some(result) = results.iter_mut().find(|result| result.object == object) {
                result.warnings.extend(warnings);
            }
        }
        Ok(ApplyResult { results, revision: self.state.revision })
    }

    /// Strictly: what `apply` warns of is a mistake here. Changes nothing.
    pub fn validate(&mut self, request: &ApplyRequest) -> Result<ApplyResult> {
        let parsed = parse_request(request)?;
        let warnings: Vec<_> = parsed.iter().flat_map(|p| p.warnings.iter().cloned()).collect();
        if !warnings.is_empty() {
            return Err(Failure::input(warnings));
        }
        let valid = |p: &Parsed| ObjectResult {
            object: object_ref(&p.object.key()),
            action: ObjectAction::Valid,
            warnings: Vec::new(),
        };
        Ok(ApplyResult { results: parsed.iter().map(valid).collect(), revision: self.state.revision })
    }

    pub fn objects(&self, wanted: Option<&str>) -> Result<Vec<ObjectView>> {
        let wanted = wanted.map(object_kind).transpose()?;
        let mut views = Vec::new();
        for (name, row) in
            self.state.objects.iter().filter(|(n, _)| wanted.is_none_or(|kind| n.0.kind == kind))
        {
            let Some(stored) = self.stored(&name.0)? else { continue };
            let text = name.0.to_string();
            let isolated = |row: &&Arc<crate::state::EndpointRow>| {
                row.ingress.by.contains(&text) || row.egress.by.contains(&text)
            };
            views.push(ObjectView {
                object: object_ref(&name.0),
                revision: row.revision,
                endpoints: self.state.endpoints.values().filter(isolated).count(),
                raw: match name.0.kind {
                    Kind::Secret => redacted(stored.raw),
                    Kind::CiliumNetworkPolicy
                    | Kind::CiliumClusterwideNetworkPolicy
                    | Kind::NetworkPolicy
                    | Kind::CiliumCidrGroup
                    | Kind::Namespace => stored.raw,
                },
            });
        }
        Ok(views)
    }

    pub(super) fn stored(&self, key: &ObjectKey) -> Result<Option<StoredObject>> {
        let key = key.to_string();
        let document = self.store.get(kind::OBJECT, &key)?;
        document.map(|document| read(kind::OBJECT, &key, document.value)).transpose()
    }

    /// An object of the store as the policy engine takes it.
    pub(super) fn stored_object(&self, key: &ObjectKey) -> Result<Option<Object>> {
        let Some(stored) = self.stored(key)? else { return Ok(None) };
        parse_stored(&stored.raw, &key.to_string()).map(Some).map_err(Failure::input)
    }

    /// Labels that policies see of an endpoint, with those of its namespace as it stands now.
    pub(super) fn security_labels(
        &self,
        given: &Labels,
        namespace: &str,
        service_account: &str,
    ) -> Result<Labels> {
        let key = ObjectKey { kind: Kind::Namespace, namespace: None, name: namespace.to_owned() };
        let object = self.stored_object(&key)?;
        Ok(self.labels_with(given, namespace, service_account, object.as_ref()))
    }

    fn labels_with(&self, given: &Labels, namespace: &str, account: &str, object: Option<&Object>) -> Labels {
        let none = BTreeMap::new();
        let of_namespace = object.map_or(&none, Object::labels);
        endpoint_labels(given, namespace, of_namespace, Some(account), &self.config.cluster_name)
    }

    /// The transaction. What it puts in force, in this order: identities of new prefixes into rule sets, then onto
    /// addresses, by the proxy onto those with names, then the changed policies, and then prefixes that no policy names any more go.
    fn change_objects(&mut self, changes: Changes) -> Result<()> {
        if changes.is_empty() {
            return Ok(());
        }
        let inverse = self.inverse(&changes)?;
        let moves = self.moves(&changes);
        let (forth, writes) = split(changes.iter())?;
        let names: Vec<String> = changes.keys().map(ToString::to_string).collect();

        let names_before = self.usage_of_names();
        let effect = self.policy.replace(forth.clone()).map_err(Failure::input)?;
        let fresh: Vec<IpNet> = effect.prefixes_added;
        let names_after = self.usage_of_names();
        if !fresh.is_empty() || !moves.is_empty() || names_before != names_after {
            // Under the policies of before: a new prefix must be known everywhere before any address has it.
            self.policy.replace(inverse.clone()).map_err(Failure::input)?;
            self.admit_prefixes(&fresh)?;
            let admitted = match names_before != names_after {
                true => self.admit_names(&names_before.or(&names_after)),
                false => Ok(()),
            };
            if let Err(failure) = admitted.and_then(|()| self.cover_prefixes(&fresh)) {
                self.retire_prefixes();
                self.return_names();
                return Err(failure);
            }
            let back = self.labels_of(&moves);
            self.relabel(moves)?;
            if let Err(errors) = self.policy.replace(forth) {
                self.move_back(back);
                return Err(Failure::input(errors));
            }
            let done = self.prepare_and_save(&inverse, &writes);
            match done {
                Ok(prepared) => self.enforce(prepared),
                Err(failure) => {
                    self.move_back(back);
                    self.retire_prefixes();
                    self.return_names();
                    return Err(failure);
                }
            }
            self.save_moved(&back);
        } else {
            let prepared = self.prepare_and_save(&inverse, &writes)?;
            self.enforce(prepared);
        }

        self.tell_secrets();
        self.state.revision = self.state.revision.saturating_add(1);
        self.note_objects(changes);
        self.retire_prefixes();
        if names_before != names_after {
            self.return_names();
        }
        self.describe_policies();
        self.publish();
        self.notices.agent(&News::PolicyUpdated {
            objects: &names,
            revision: self.state.revision,
            policies: self.state.policies(),
        });
        Ok(())
    }

    /// Has the proxy go by the policies of now. Until it does, it knows more patterns than are in use, which opens nothing.
    pub(super) fn return_names(&mut self) {
        let concluded = self.conclude_names();
        self.names_owed = concluded.is_err();
        if let Err(failure) = concluded {
            tracing::error!(%failure, "the proxy still goes by patterns that are not in use; it is told again");
        }
    }

    /// The point of no return: after this the change is made, whatever happens. On failure the policies are as before.
    fn prepare_and_save(&mut self, inverse: &[Change], writes: &[Write]) -> Result<Prepared> {
        let prepared = self.prepare();
        let failure = match prepared {
            Ok(prepared) => match self.store.commit(writes) {
                Ok(_) => return Ok(prepared),
                Err(error) => {
                    self.discard(prepared);
                    error.into()
                }
            },
            Err(failure) => failure,
        };
        // These objects were accepted before.
        if let Err(errors) = self.policy.replace(inverse.to_vec()) {
            tracing::error!(failure = %Failure::input(errors), "cannot return to the previous policies");
        }
        if let Err(undo) = self.refresh() {
            tracing::error!(%undo, "cannot return to the previous rules");
        }
        Err(failure)
    }

    /// What undoes these changes.
    fn inverse(&self, changes: &Changes) -> Result<Vec<Change>> {
        let undo = |key: &ObjectKey| {
            Ok(match self.stored_object(key)? {
                Some(object) => Change::Put(object),
                None => Change::Delete(key.clone()),
            })
        };
        changes.keys().map(undo).collect()
    }

    /// Endpoints whose namespaces get other labels.
    fn moves(&self, changes: &Changes) -> Vec<Relabel> {
        let namespaces: BTreeMap<&str, Option<&Object>> = changes
            .iter()
            .filter(|(key, _)| key.kind == Kind::Namespace)
            .map(|(key, wanted)| match wanted {
                Wanted::Put(object, _) => (key.name.as_str(), Some(&**object)),
                Wanted::Delete => (key.name.as_str(), None),
            })
            .collect();
        let relabel = |row: &Arc<crate::state::EndpointRow>| {
            let stored = &row.stored;
            let object = *namespaces.get(stored.namespace.as_str())?;
            let labels =
                self.labels_with(&stored.given_labels, &stored.namespace, &stored.service_account, object);
            (labels != *row.labels).then(|| (stored.id, Arc::new(labels)))
        };
        self.state.endpoints.values().filter_map(relabel).collect()
    }

    fn labels_of(&self, moves: &[Relabel]) -> Vec<Relabel> {
        let of = |id: &EndpointId| Some((*id, Arc::clone(&self.state.endpoints.get(id)?.labels)));
        moves.iter().filter_map(|(id, _)| of(id)).collect()
    }

    fn move_back(&mut self, back: Vec<Relabel>) {
        if let Err(failure) = self.relabel(back) {
            tracing::error!(%failure, "cannot give endpoints back their labels");
        }
    }

    /// Their identities changed; should this not reach the disk, a restart finds the same by their labels.
    fn save_moved(&self, moved: &[Relabel]) {
        for (id, _) in moved {
            if let Err(failure) = self.save_endpoint(*id) {
                tracing::warn!(endpoint = %id, %failure, "cannot save the endpoint");
            }
        }
    }

    fn note_objects(&mut self, changes: Changes) {
        for (key, wanted) in changes {
            let name = ObjectName(Arc::new(key));
            let revision = self.state.revision;
            match wanted {
                Wanted::Put(..) => self.state.objects.put(name, ObjectRow { revision }),
                Wanted::Delete => self.state.objects.remove(&name),
            };
        }
    }

    /// Gives prefixes their identities, in rule sets first and then on addresses. A single address that has an identity by its names
    /// keeps that until the proxy gives it one with the labels of both: see [`Self::cover_prefixes`].
    pub(super) fn admit_prefixes(&mut self, prefixes: &[IpNet]) -> Result<()> {
        let identities = self.admit(prefixes.iter().copied().map(Meaning::Prefix).collect())?;
        for identity in identities {
            self.identities.hold(&mut self.state, identity);
        }
        for net in prefixes {
            if self.name_identity(net).is_none()
                && let Err(failure) = self.put_prefix(net)
            {
                self.retire_prefixes();
                return Err(failure);
            }
        }
        Ok(())
    }

    /// Once the proxy goes by these prefixes: what has no row yet gets one, unless the proxy has given it an identity with the labels of
    /// both.
    pub(super) fn cover_prefixes(&mut self, prefixes: &[IpNet]) -> Result<()> {
        for net in prefixes {
            if self.state.addresses.get(net).is_none() {
                self.put_prefix(net)?;
            }
        }
        Ok(())
    }

    /// An admitted prefix's own row, where it is to have one.
    pub(super) fn put_prefix(&mut self, net: &IpNet) -> Result<()> {
        let row = self.identities.of_prefix(net).and_then(|identity| self.prefix_row(net, identity));
        row.map_or(Ok(()), |row| self.put_address(*net, row))
    }

    /// Takes identities from prefixes that no policy names; rule sets forget them when their delay is over.
    pub(super) fn retire_prefixes(&mut self) {
        let named: BTreeSet<IpNet> = self.policy.prefixes();
        let held = |identity: &_| self.state.identities.get(identity).is_some_and(|row| row.references > 0);
        let gone: Vec<_> = self
            .identities
            .prefixes()
            .filter(|(net, identity)| !named.contains(net) && held(identity))
            .map(|(net, identity)| (*net, identity))
            .collect();
        for (net, identity) in gone {
            if let Err(failure) = self.remove_prefix(net, identity) {
                tracing::warn!(%net, %failure, "cannot take the identity from a prefix; it is tried again later");
                continue;
            }
            self.identities.let_go(&mut self.state, identity);
        }
    }

    fn remove_prefix(&mut self, net: IpNet, identity: Identity) -> Result<()> {
        // An address that somebody else has given another identity keeps that.
        let is_whole = net.prefix_len() == net.max_prefix_len();
        if !is_whole || self.kernel.address(net.addr()) == Some(identity) {
            return self.remove_address(net);
        }
        if self.state.addresses.get(&net).is_some_and(|row| row.source == AddressSource::Policy) {
            self.state.addresses.remove(&net);
        }
        Ok(())
    }
}

fn split<'a>(
    changes: impl Iterator<Item = (&'a ObjectKey, &'a Wanted)>,
) -> Result<(Vec<Change>, Vec<Write>)> {
    let mut forth = Vec::new();
    let mut writes = Vec::new();
    for (key, wanted) in changes {
        let text = key.to_string();
        match wanted {
            Wanted::Put(object, raw) => {
                forth.push(Change::Put((**object).clone()));
                writes.push(put(kind::OBJECT, &text, &StoredObject { raw: raw.clone() })?);
            }
            Wanted::Delete => {
                forth.push(Change::Delete(key.clone()));
                writes.push(Write::delete(kind::OBJECT, &text));
            }
        }
    }
    Ok((forth, writes))
}

fn parse_request(request: &ApplyRequest) -> Result<Vec<Parsed>> {
    crate::name::namespace(&request.namespace, "namespace")?;
    parse(&request.text, &request.origin, &request.namespace).map_err(Failure::input)
}

pub(super) fn object_ref(key: &ObjectKey) -> ObjectRef {
    ObjectRef { kind: key.kind.to_string(), namespace: key.namespace.clone(), name: key.name.clone() }
}

fn object_kind(text: &str) -> Result<Kind> {
    text.parse().map_err(|_| {
        let known: Vec<&str> = Kind::ALL.iter().map(|kind| kind.short()).collect();
        Failure::invalid(format!("kind {text:?} is unknown: use one of {}", known.join(", ")))
    })
}

fn object_key(object: &ObjectRef) -> Result<ObjectKey> {
    let kind = object_kind(&object.kind)?;
    let namespace = match kind.namespaced() {
        true => Some(object.namespace.clone().unwrap_or_else(|| "default".to_owned())),
        false => None,
    };
    Ok(ObjectKey { kind, namespace, name: object.name.clone() })
}
