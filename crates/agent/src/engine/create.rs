//! A network namespace becomes an endpoint.

use super::{
    Engine, Local,
    endpoint::{Asked, Plan},
};
use crate::{
    failure::{Failure, Result},
    identity::Meaning,
    kernel::DeviceIds,
    news::News,
    state::{AddressRow, EndpointRow},
    stored::{StoredEndpoint, kind, put},
};
use ciliate_api::{AddressSource, Endpoint, EndpointRequest, EndpointState};
use ciliate_net::{Created, EndpointDevice};
use ciliate_policy::Subject;
use ciliate_store::Write;
use ciliate_types::{EndpointId, Identity, Labels};
use std::{net::IpAddr, sync::Arc, thread};

impl Engine {
    /// Returns when the first packet may flow, under policy from the start.
    pub fn create_endpoint(&mut self, request: EndpointRequest) -> Result<Endpoint> {
        let wanted = request.addresses.clone();
        match self.plan_endpoint(request)? {
            Asked::Existing(row) => Ok(self.endpoint_view(&row)),
            Asked::New(plan) => self.create(*plan, &wanted),
        }
    }

    fn create(&mut self, plan: Plan, wanted: &[IpAddr]) -> Result<Endpoint> {
        let Plan { mut stored, labels, netns } = plan;
        let id = stored.id;
        let addresses = self.ipam.allocate(wanted)?;
        (stored.ipv4, stored.ipv6) = (addresses.v4, addresses.v6);
        let name = stored.full_name();
        let device = self.device(&stored, netns);
        let publishes = !stored.publish.is_empty();
        let mut fresh = Vec::new();
        let entered = self.enter(stored, labels, &mut fresh);
        let made = entered.and_then(|writes| self.save_and_make(id, &device, &writes));
        let started = made.and_then(|made| {
            if publishes {
                self.kernel.open_to_loopback(&device.host_name)?;
                self.apply_translation()?;
            }
            Ok(self.kernel.start_device(&device, &made)?)
        });
        if let Err(failure) = started {
            self.log(id, EndpointState::Creating, Err(&failure));
            self.abandon(id);
            self.unlearn(fresh);
            self.ipam.release(addresses);
            return Err(failure.while_doing(format!("cannot create endpoint {name}")));
        }
        self.set_state(id, EndpointState::Ready);
        self.describe_policy(id);
        self.log(id, EndpointState::Ready, Ok("created"));
        self.publish();
        let row = self.state.endpoints.get(&id).map(Arc::clone);
        let row = row.ok_or_else(|| Failure::absent(format!("endpoint {id} vanished while it was made")))?;
        self.notices.agent(&News::EndpointCreated(&row));
        Ok(self.endpoint_view(&row))
    }

    /// Into the state; returns what is to be written to the store.
    fn enter(
        &mut self,
        mut stored: StoredEndpoint,
        labels: Labels,
        fresh: &mut Vec<Identity>,
    ) -> Result<Vec<Write>> {
        let mut given = self.identities.give(&mut self.state, vec![Meaning::Labels(labels.clone())])?;
        fresh.append(&mut given.fresh);
        stored.identity =
            *given.identities.first().ok_or_else(|| Failure::unavailable("no identity was given"))?;
        given.writes.push(put(kind::ENDPOINT, &stored.id.to_string(), &stored)?);
        self.identities.hold(&mut self.state, stored.identity);
        let row = EndpointRow::new(stored, Arc::new(labels), EndpointState::Creating);
        self.state.endpoints.put(row.stored.id, Arc::new(row));
        Ok(given.writes)
    }

    /// Makes the endpoint while the disk is busy with its document. It is down until both are done; should only the
    /// document be missing after a crash, a restart removes what nobody has a document of.
    fn save_and_make(
        &mut self,
        id: EndpointId,
        device: &EndpointDevice,
        writes: &[Write],
    ) -> Result<Created> {
        let store = Arc::clone(&self.store);
        thread::scope(|scope| {
            let saving = thread::Builder::new()
                .name("save".to_owned())
                .spawn_scoped(scope, || store.commit(writes))?;
            let made = self.make(id, device);
            let saved = saving.join().map_err(|_| Failure::unavailable("the store broke while it saved"))?;
            saved?;
            made
        })
    }

    /// Peers learn of it, its rules are written, its device is made; rows and programs stand before anything is up.
    fn make(&mut self, id: EndpointId, device: &EndpointDevice) -> Result<Created> {
        let row = self.state.endpoints.get(&id).map(Arc::clone);
        let row = row.ok_or_else(|| Failure::absent(format!("endpoint {id} has no row")))?;
        let made = self.kernel.create_device(device)?;
        self.tell_policy(row.stored.identity);
        self.refresh_peers(&[])?;
        self.adopt(&row, ids(&made))?;
        self.put_endpoint_addresses(&row.stored)?;
        self.state.endpoints.update(&id, |row| {
            let row = Arc::make_mut(row);
            row.ifindex = made.host_ifindex;
            row.host_mac = made.host_mac.to_string();
        });
        Ok(made)
    }

    /// Its rules and rows, for a device that is down yet, or that was under policy before a restart.
    pub(super) fn adopt(&mut self, row: &EndpointRow, device: DeviceIds) -> Result<()> {
        let id = row.stored.id;
        let ports = row.stored.named_ports();
        let rules = self.policy.rule_set(&Subject::endpoint(&row.labels, &ports));
        let handle = self.acquire_rules(&rules)?;
        self.locals.insert(id, Local { device, ports, rules, handle });
        self.write_rows(id)
    }

    /// What others take its addresses for.
    pub(super) fn put_endpoint_addresses(&mut self, stored: &StoredEndpoint) -> Result<()> {
        for address in stored.addresses().iter() {
            let (identity, endpoint) = (stored.identity, Some(stored.id));
            self.put_address(
                address.into(),
                AddressRow { identity, source: AddressSource::Endpoint, endpoint },
            )?;
        }
        Ok(())
    }
}

fn ids(made: &Created) -> DeviceIds {
    DeviceIds { ifindex: made.host_ifindex, mac: made.container_mac.0, gateway_mac: made.host_mac.0 }
}
