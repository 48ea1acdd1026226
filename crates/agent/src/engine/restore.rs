//! The start: what the store says is put in force again, over whatever the kernel still enforces of it.
//!
//! Numbers of identities and rules are the same as before, so every step on the way enforces the same verdicts.
//! Only when everything is listed is removed what belongs to nobody.

use super::Engine;
use crate::{
    failure::{Failure, Result},
    identity::{self, Meaning},
    kernel::DeviceIds,
    proxy::Earlier,
    state::{EndpointRow, ObjectName, ObjectRow, source},
    stored::{Phase, StoredEndpoint, StoredObject, endpoint_of_device, kind, read},
};
use ciliate_api::EndpointState;
use ciliate_net::Link;
use ciliate_policy::{Change, Object, parse_stored};
use ciliate_store::{Document, Embedded};
use ciliate_types::{EndpointId, Identity, IdentityScope};
use ipnet::IpNet;
use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    sync::Arc,
    thread,
};

impl Engine {
    /// To be called once, before any request.
    pub fn restore(&mut self) -> Result<()> {
        let store = Arc::clone(&self.store);
        let objects = thread::scope(|scope| {
            // Reading thousands of policies takes as long as entering thousands of identities.
            let reading = thread::Builder::new()
                .name("read".to_owned())
                .spawn_scoped(scope, || read_objects(&store))?;
            self.restore_identities()?;
            reading.join().map_err(|_| Failure::unavailable("the stored objects could not be read"))?
        })?;
        self.restore_objects(objects)?;
        let stored = self.read_endpoints()?;
        let prefixes: Vec<IpNet> = self.policy.prefixes().into_iter().collect();
        self.know_identities(&stored, &prefixes)?;
        let usage = self.usage_of_names();
        self.settle_names(&usage);
        let earlier = self.names_of_earlier_agents()?;
        self.proxy.restore_names(self.name_rules(&usage), earlier);
        let present: BTreeMap<String, Link> =
            self.kernel.devices()?.into_iter().map(|link| (link.name.clone(), link)).collect();
        self.restore_endpoints(stored, &present)?;
        self.restore_addresses(&prefixes)?;
        self.conclude_names()?;
        self.cover_prefixes(&prefixes)?;
        self.prune(&present)?;
        self.apply_translation()?;
        self.describe_policies();
        self.note_lacking_secrets();
        self.publish();
        Ok(())
    }

    fn restore_identities(&mut self) -> Result<()> {
        for document in self.store.list(kind::IDENTITY)? {
            let stored = read(kind::IDENTITY, &document.key, document.value)?;
            match identity::from_key(&document.key) {
                Some(number) => self.identities.restore(&mut self.state, number, stored),
                None => tracing::warn!(key = document.key, "the store has an identity that is no number"),
            }
        }
        self.state.identities.listed(source::STORE);
        // Before the policies, which then find what each selects at once. Those of endpoints follow with their ports.
        let local: Vec<Identity> = self.state.identities.iter().map(|(identity, _)| *identity).collect();
        local.into_iter().filter(|i| !is_of_endpoints(*i)).for_each(|identity| self.tell_policy(identity));
        Ok(())
    }

    fn restore_objects(&mut self, objects: Vec<Object>) -> Result<()> {
        let mut changes = Vec::with_capacity(objects.len());
        for object in objects {
            let name = ObjectName(Arc::new(object.key()));
            self.state.objects.put(name, ObjectRow { revision: self.state.revision });
            changes.push(Change::Put(object));
        }
        self.state.objects.listed(source::STORE);
        self.policy.replace(changes).map(drop).map_err(Failure::input)
    }

    fn read_endpoints(&mut self) -> Result<Vec<StoredEndpoint>> {
        let documents = self.store.list(kind::ENDPOINT)?;
        documents.into_iter().map(|document| read(kind::ENDPOINT, &document.key, document.value)).collect()
    }

    /// Numbers for all labels and prefixes in use. They are on the disk already, unless the agent was killed between
    /// two steps; and the policy engine learns what every number means.
    fn know_identities(&mut self, stored: &[StoredEndpoint], prefixes: &[IpNet]) -> Result<()> {
        let mut meanings: Vec<Meaning> = prefixes.iter().copied().map(Meaning::Prefix).collect();
        let mut rows = Vec::with_capacity(stored.len());
        for stored in stored {
            let labels =
                self.security_labels(&stored.given_labels, &stored.namespace, &stored.service_account)?;
            meanings.push(Meaning::Labels(labels.clone()));
            rows.push((stored.clone(), Arc::new(labels)));
        }
        let given = self.identities.give(&mut self.state, meanings)?;
        self.store.commit(&given.writes)?;
        for identity in &given.identities {
            self.identities.hold(&mut self.state, *identity);
        }
        for ((mut stored, labels), identity) in
            rows.into_iter().zip(given.identities.iter().skip(prefixes.len()))
        {
            stored.identity = *identity;
            self.ipam.restore(stored.addresses());
            self.next_id = self.next_id.max(stored.id.get().checked_add(1).unwrap_or(1));
            let row = EndpointRow::new(stored, labels, EndpointState::Restoring);
            self.state.endpoints.put(row.stored.id, Arc::new(row));
        }
        self.state.endpoints.listed(source::STORE);
        let of_endpoints: BTreeSet<Identity> =
            self.state.identities.iter().map(|(i, _)| *i).filter(|i| is_of_endpoints(*i)).collect();
        of_endpoints.into_iter().chain(given.fresh).for_each(|identity| self.tell_policy(identity));
        Ok(())
    }

    fn restore_endpoints(
        &mut self,
        stored: Vec<StoredEndpoint>,
        present: &BTreeMap<String, Link>,
    ) -> Result<()> {
        let attached = self.kernel.attached()?;
        for id in stored.iter().map(|stored| stored.id) {
            let Some(row) = self.state.endpoints.get(&id).map(Arc::clone) else { continue };
            if present.contains_key(&row.stored.host_device()) {
                self.check_pools(&row)?;
            }
            match present.get(&row.stored.host_device()) {
                Some(link) => {
                    if !attached.contains(&link.name) {
                        self.kernel.attach(&link.name)?;
                    }
                    self.restore_endpoint(&row, link).map_err(|failure| {
                        failure.while_doing(format!("cannot restore endpoint {}", row.stored.full_name()))
                    })?;
                }
                None => self.erase_vanished(id, &row)?,
            }
        }
        Ok(())
    }

    /// Other pools have other gateways, which running endpoints would not know.
    fn check_pools(&self, row: &EndpointRow) -> Result<()> {
        let pools = self.ipam.networks();
        match row.stored.addresses().iter().find(|address| !pools.iter().any(|pool| pool.contains(address))) {
            None => Ok(()),
            Some(address) => Err(Failure::conflict(format!(
                "endpoint {} has address {address}, which is in no pool any more: set the pools back, or take \
                 everything down with `ciliate down` before changing them",
                row.stored.full_name()
            ))),
        }
    }

    fn restore_endpoint(&mut self, row: &EndpointRow, link: &Link) -> Result<()> {
        let id = row.stored.id;
        let gateway_mac = link.mac.map_or([0; 6], |mac| mac.0);
        self.adopt(row, DeviceIds { ifindex: link.index, mac: row.stored.mac.0, gateway_mac })?;
        self.state.endpoints.update(&id, |row| {
            let row = Arc::make_mut(row);
            row.ifindex = link.index;
            row.host_mac = link.mac.map(|mac| mac.to_string()).unwrap_or_default();
            row.state = EndpointState::Ready;
        });
        self.put_endpoint_addresses(&row.stored)?;
        self.log(id, EndpointState::Ready, Ok("restored"));
        match row.stored.phase {
            Phase::Made => Ok(()),
            Phase::Making => self.complete(row, link),
        }
    }

    /// The agent was killed while it made this endpoint, or right after.
    fn complete(&mut self, row: &EndpointRow, link: &Link) -> Result<()> {
        let completed = self.kernel.namespace(&row.stored.netns).map_err(Failure::from).and_then(|found| {
            if found.id != row.stored.netns_id {
                return Err(Failure::absent("its namespace is another one now"));
            }
            if !row.stored.publish.is_empty() {
                self.kernel.open_to_loopback(&link.name)?;
            }
            let device = self.device(&row.stored, found.netns);
            let made = self.kernel.made(&device, link)?;
            Ok(self.kernel.start_device(&device, &made)?)
        });
        match completed {
            Ok(()) => Ok(()),
            Err(failure) => {
                self.log(row.stored.id, EndpointState::Disconnecting, Err(&failure));
                self.erase_vanished(row.stored.id, row)
            }
        }
    }

    fn erase_vanished(&mut self, id: EndpointId, row: &EndpointRow) -> Result<()> {
        tracing::info!(endpoint = %id, name = row.stored.full_name(), "gone since the last run: removed");
        self.erase(id)?;
        self.logs.remove(&id);
        Ok(())
    }

    /// After all rule sets know all identities.
    fn restore_addresses(&mut self, prefixes: &[IpNet]) -> Result<()> {
        self.update_host_addresses()?;
        for net in prefixes {
            // Those with names wait for the proxy.
            if self.name_identity(net).is_none() {
                self.put_prefix(net)?;
            }
        }
        self.state.addresses.listed(source::STORE);
        Ok(())
    }

    /// Whether addresses have identities by their names still.
    fn names_of_earlier_agents(&self) -> Result<Earlier> {
        let is_named = |identity| self.state.identities.get(&identity).is_some_and(|row| row.names.is_some());
        let given = self.kernel.addresses()?.into_iter().any(|(_, identity)| is_named(identity));
        Ok(if given { Earlier::Names } else { Earlier::Nothing })
    }

    /// Removes from the kernel what has no row.
    fn prune(&mut self, present: &BTreeMap<String, Link>) -> Result<()> {
        let orphans: Vec<&String> = match self.state.endpoints.initialised() {
            Some(endpoints) => {
                let devices = present.keys().filter_map(|name| Some((name, endpoint_of_device(name)?)));
                endpoints.prune(devices, |(_, id)| *id).into_iter().map(|(name, _)| name).collect()
            }
            None => Vec::new(),
        };
        for device in orphans {
            tracing::info!(device, "belongs to no endpoint: removed");
            self.kernel.delete_device(device)?;
        }
        let ours: Vec<IpAddr> =
            self.state.endpoints.values().flat_map(|row| row.stored.addresses().iter()).collect();
        for (address, _) in self.kernel.endpoints()? {
            if self.state.endpoints.initialised().is_some() && !ours.contains(&address) {
                self.kernel.remove_endpoint(address)?;
            }
        }
        let stale: Vec<IpNet> = match self.state.addresses.initialised() {
            Some(addresses) => addresses
                .prune(self.kernel.addresses()?, |(net, _)| *net)
                .into_iter()
                // Those are the proxy's.
                .filter(|(_, identity)| {
                    self.state.identities.get(identity).is_none_or(|row| row.names.is_none())
                })
                .map(|(net, _)| net)
                .collect(),
            None => Vec::new(),
        };
        for net in stale {
            self.kernel.remove_address(net)?;
        }
        self.kernel.release_unclaimed_rule_sets();
        Ok(())
    }
}

fn is_of_endpoints(identity: Identity) -> bool {
    identity.scope() == IdentityScope::Global
}

fn read_objects(store: &Embedded) -> Result<Vec<Object>> {
    let object = |document: Document| {
        let stored: StoredObject = read(kind::OBJECT, &document.key, document.value)?;
        parse_stored(&stored.raw, &document.key).map_err(|errors| {
            Failure::input(errors).while_doing(format!(
                "the stored object {} is not valid for this version; use the version that stored it, or delete it",
                document.key
            ))
        })
    };
    store.list(kind::OBJECT)?.into_iter().map(object).collect()
}
