//! What happens without being asked for: the host's addresses change, namespaces vanish, numbers run out of use.

use super::{Engine, Memory, Presence};
use crate::{
    failure::Result,
    news::News,
    state::{AddressRow, EndpointRow, source},
    stored::{Phase, kind, put},
};
use ciliate_api::{AddressSource, EndpointState};
use ciliate_net::Scope;
use ciliate_types::{Identity, ReservedIdentity};
use ipnet::IpNet;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Instant,
};

impl Engine {
    /// A device or an address of the host has changed.
    pub fn host_changed(&mut self) -> Result<()> {
        if self.presence == Presence::Down {
            return Ok(());
        }
        self.kernel.ensure_router()?;
        self.update_host_addresses()?;
        self.remove_vanished()?;
        self.publish();
        Ok(())
    }

    /// To be called about once a second.
    pub fn tick(&mut self) -> Result<()> {
        if self.presence == Presence::Down {
            return Ok(());
        }
        self.kernel.sweep()?;
        if let Err(failure) = self.proxy.catch_up(|| self.policy.filters()) {
            tracing::warn!(%failure, "the proxy has not heard of the last change yet");
        }
        if self.names_owed {
            self.return_names();
        }
        self.save_made()?;
        self.release_identities(Instant::now())?;
        self.retire_prefixes();
        if self.state.endpoints.values().any(|row| row.state == EndpointState::NotReady) {
            self.refresh()?;
            self.publish();
        }
        self.warn_of_pressure();
        if std::mem::replace(&mut self.memory, Memory::InUse) == Memory::Spare {
            ciliate_net::return_memory();
        }
        Ok(())
    }

    /// The host's own addresses are the host, whatever policies say of prefixes around them.
    pub(super) fn update_host_addresses(&mut self) -> Result<()> {
        let found: BTreeSet<IpNet> = self
            .kernel
            .host_addresses()?
            .into_iter()
            .filter(|a| match a.scope {
                Scope::Global => true,
                Scope::Link | Scope::Host => false,
            })
            .map(|a| IpNet::from(a.address))
            .collect();
        let known: BTreeSet<IpNet> = self
            .state
            .addresses
            .iter()
            .filter(|(_, row)| row.source == AddressSource::Local)
            .map(|(net, _)| *net)
            .collect();
        for net in found.difference(&known) {
            // An endpoint's address belongs to the endpoint.
            if self.state.addresses.get(net).is_none_or(|row| row.source != AddressSource::Endpoint) {
                let identity = ReservedIdentity::Host.into();
                self.put_address(
                    *net,
                    AddressRow { identity, source: AddressSource::Local, endpoint: None },
                )?;
            }
        }
        for net in known.difference(&found) {
            self.vacate(*net)?;
        }
        self.state.addresses.listed(source::HOST);
        Ok(())
    }

    /// An endpoint's device dies with its namespace.
    fn remove_vanished(&mut self) -> Result<()> {
        let present: BTreeMap<String, u32> =
            self.kernel.devices()?.into_iter().map(|link| (link.name, link.index)).collect();
        let vanished: Vec<Arc<EndpointRow>> = self
            .state
            .endpoints
            .values()
            .filter(|row| present.get(&row.stored.host_device()) != Some(&row.ifindex))
            .map(Arc::clone)
            .collect();
        for row in vanished {
            if let Err(failure) = self.delete(&row, "its network namespace is gone") {
                tracing::warn!(%failure, "a vanished endpoint stays for now");
            }
        }
        Ok(())
    }

    /// Lets the store know which endpoints are complete; a restart looks at the others again.
    fn save_made(&mut self) -> Result<()> {
        let made: Vec<_> = self
            .state
            .endpoints
            .values()
            .filter(|row| row.stored.phase == Phase::Making && row.state == EndpointState::Ready)
            .map(|row| row.stored.id)
            .collect();
        if made.is_empty() {
            return Ok(());
        }
        let mut writes = Vec::with_capacity(made.len());
        for id in made {
            self.state.endpoints.update(&id, |row| Arc::make_mut(row).stored.phase = Phase::Made);
            if let Some(row) = self.state.endpoints.get(&id) {
                writes.push(put(kind::ENDPOINT, &id.to_string(), &row.stored)?);
            }
        }
        self.store.commit(&writes)?;
        Ok(())
    }

    /// Forgets identities that nothing has used for a while: no address has had them since.
    pub(super) fn release_identities(&mut self, now: Instant) -> Result<()> {
        let mut expired = self.identities.expired(now);
        if expired.is_empty() {
            return Ok(());
        }
        let state = &self.state;
        let is_named = |i: &Identity| state.identities.get(i).is_some_and(|row| row.names.is_some());
        let names = expired.iter().any(is_named);
        if names && self.names_owed {
            // The proxy may still give them to addresses.
            expired.retain(|identity| !is_named(identity));
        }
        for identity in &expired {
            drop(self.policy.remove_identity(*identity));
        }
        self.refresh_peers(&expired)?;
        let writes: Vec<_> = expired
            .iter()
            .filter_map(|identity| self.identities.forget(&mut self.state, *identity))
            .collect();
        self.store.commit(&writes)?;
        if names {
            let rules = self.name_rules(&self.usage_of_names());
            self.proxy.learn_names(rules)?;
        }
        self.publish();
        Ok(())
    }

    /// Says once that a map is nearly full, and again after it was not.
    fn warn_of_pressure(&mut self) {
        let limit = f64::from(self.config.map_pressure_warning.0) / 100.0;
        for map in self.kernel.usage() {
            let pressure = f64::from(map.entries) / f64::from(map.max.max(1));
            if pressure < limit {
                self.pressed.remove(map.name);
            } else if self.pressed.insert(map.name) {
                let text = format!(
                    "map {} is {:.0} % full: {} of {} entries; raise its map-size setting and restart",
                    map.name,
                    pressure * 100.0,
                    map.entries,
                    map.max
                );
                tracing::warn!("{text}");
                self.notices.agent(&News::MapPressure(&text));
            }
        }
    }
}
