//! A network namespace becomes an endpoint.

use super::{
    Engine, Local,
    endpoint::{Asked, Plan},
};
use crate::{
    failure::{Failure, Result},
    identity::Meaning,
    kernel::DeviceIds,
    record::{EndpointRecord, kind, put},
    state::{AddressRow, EndpointRow, Isolation},
};
use ciliate_api::{AddressSource, Endpoint, EndpointRequest, EndpointState};
use ciliate_net::{Created, Netns};
use ciliate_policy::Subject;
use ciliate_types::{EndpointId, Labels};
use std::{net::IpAddr, sync::Arc};

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
        let Plan { mut record, labels, netns } = plan;
        let id = record.id;
        let addresses = self.ipam.allocate(wanted)?;
        (record.ipv4, record.ipv6) = (addresses.v4, addresses.v6);
        let name = record.full_name();
        let failed = |failure: Failure| failure.while_doing(format!("cannot create endpoint {name}"));
        if let Err(failure) = self.record_endpoint(record, labels) {
            self.ipam.release(addresses);
            return Err(failed(failure));
        }
        if let Err(failure) = self.bring_up(id, netns) {
            self.log(id, EndpointState::Creating, Err(&failure));
            if let Err(undo) = self.erase(id) {
                tracing::error!(endpoint = %id, %undo, "what was made of the endpoint could not be removed");
            }
            self.logs.remove(&id);
            return Err(failed(failure));
        }
        self.set_state(id, EndpointState::Ready);
        self.describe_policy(id);
        self.log(id, EndpointState::Ready, Ok("created"));
        self.publish();
        self.notices.agent("endpoint-created", name, Some(id));
        let row = self.state.endpoints.get(&id).map(Arc::clone);
        let row = row.ok_or_else(|| Failure::absent(format!("endpoint {id} vanished while it was made")))?;
        Ok(self.endpoint_view(&row))
    }

    /// On the disk before anything exists: whatever happens now, a restart completes or removes it.
    fn record_endpoint(&mut self, mut record: EndpointRecord, labels: Labels) -> Result<()> {
        let mut given = self.identities.give(&mut self.state, vec![Meaning::Labels(labels.clone())])?;
        record.identity =
            *given.identities.first().ok_or_else(|| Failure::unavailable("no identity was given"))?;
        given.writes.push(put(kind::ENDPOINT, &record.id.to_string(), &record)?);
        if let Err(error) = self.store.commit(&given.writes) {
            for identity in given.fresh {
                self.identities.forget(&mut self.state, identity);
            }
            return Err(error.into());
        }
        self.identities.hold(&mut self.state, record.identity);
        let row = EndpointRow {
            labels: Arc::new(labels),
            state: EndpointState::Creating,
            rule_set: 0,
            policy_revision: 0,
            ifindex: 0,
            host_mac: String::new(),
            ingress: Isolation::default(),
            egress: Isolation::default(),
            record,
        };
        self.state.endpoints.put(row.record.id, Arc::new(row));
        Ok(())
    }

    /// Peers learn of it, its rules are written, its device is made; rows and programs stand before anything is up.
    fn bring_up(&mut self, id: EndpointId, netns: Netns) -> Result<()> {
        let Some(row) = self.state.endpoints.get(&id).map(Arc::clone) else { return Ok(()) };
        let device = self.device(&row.record, netns);
        let made = self.kernel.create_device(&device)?;
        self.tell_policy(row.record.identity);
        self.refresh_peers()?;
        self.adopt(&row, ids(&made))?;
        self.put_endpoint_addresses(&row.record)?;
        self.state.endpoints.update(&id, |row| {
            let row = Arc::make_mut(row);
            row.ifindex = made.host_ifindex;
            row.host_mac = made.host_mac.to_string();
        });
        if !row.record.publish.is_empty() {
            self.kernel.open_to_loopback(&device.host_name)?;
            self.apply_translation()?;
        }
        Ok(self.kernel.start_device(&device, &made)?)
    }

    /// Its rules and rows, for a device that is down yet, or that was under policy before a restart.
    pub(super) fn adopt(&mut self, row: &EndpointRow, device: DeviceIds) -> Result<()> {
        let id = row.record.id;
        let ports = row.record.named_ports();
        let rules = self.policy.rule_set(&Subject::endpoint(&row.labels, &ports));
        let handle = self.rules.acquire(&mut *self.kernel, &rules)?;
        self.locals.insert(id, Local { device, ports, rules, handle });
        self.write_rows(id)
    }

    /// What others take its addresses for.
    pub(super) fn put_endpoint_addresses(&mut self, record: &EndpointRecord) -> Result<()> {
        for address in record.addresses().iter() {
            let (identity, endpoint) = (record.identity, Some(record.id));
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
