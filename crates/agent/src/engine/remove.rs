//! An endpoint's end.

use super::Engine;
use crate::{
    failure::{Failure, Result},
    news::News,
    state::EndpointRow,
    stored::{StoredEndpoint, host_device, kind},
};
use ciliate_api::{Endpoint, EndpointRef, EndpointState};
use ciliate_policy::Subject;
use ciliate_store::Write;
use ciliate_types::EndpointId;
use ipnet::IpNet;
use std::sync::Arc;

impl Engine {
    /// Answers with the endpoint as it was.
    pub fn delete_endpoint(&mut self, wanted: &EndpointRef) -> Result<Endpoint> {
        let row = self.find_endpoint(wanted)?;
        self.delete(&row, "deleted")?;
        let mut view = self.endpoint_view(&row);
        view.state = EndpointState::Disconnected;
        Ok(view)
    }

    pub(super) fn delete(&mut self, row: &EndpointRow, why: &str) -> Result<()> {
        let id = row.stored.id;
        self.set_state(id, EndpointState::Disconnecting);
        let name = row.stored.full_name();
        if let Err(failure) = self.erase(id) {
            let failure = failure.while_doing(format!("cannot delete endpoint {name}"));
            self.log(id, EndpointState::Disconnecting, Err(&failure));
            self.publish();
            return Err(failure);
        }
        self.logs.remove(&id);
        tracing::info!(endpoint = %id, name, "{why}");
        self.publish();
        self.notices.agent(&News::EndpointDeleted { row, why });
        Ok(())
    }

    /// Removes everything of an endpoint: first what carries packets, then what others take it for, then its document,
    /// and last what nobody looks at any more. May be repeated.
    pub(super) fn erase(&mut self, id: EndpointId) -> Result<()> {
        self.erase_from_kernel(id)?;
        self.store.commit(&[Write::delete(kind::ENDPOINT, &id.to_string())])?;
        self.erase_from_state(id)
    }

    /// Removes what there is of an endpoint that could not be made. A document that stays is removed by a restart.
    pub(super) fn abandon(&mut self, id: EndpointId) {
        let store = Arc::clone(&self.store);
        let from_store = || store.commit(&[Write::delete(kind::ENDPOINT, &id.to_string())]).map(drop);
        let results =
            [self.erase_from_kernel(id), from_store().map_err(Failure::from), self.erase_from_state(id)];
        for failure in results.into_iter().filter_map(Result::err) {
            tracing::error!(endpoint = %id, %failure, "not everything of the endpoint could be removed");
        }
        self.logs.remove(&id);
    }

    fn erase_from_kernel(&mut self, id: EndpointId) -> Result<()> {
        self.kernel.delete_device(&host_device(id))?;
        let Some(row) = self.state.endpoints.get(&id).map(Arc::clone) else { return Ok(()) };
        for address in row.stored.addresses().iter() {
            self.kernel.remove_endpoint(address)?;
            self.vacate(address.into())?;
        }
        Ok(())
    }

    fn erase_from_state(&mut self, id: EndpointId) -> Result<()> {
        let Some(row) = self.state.endpoints.remove(&id) else { return Ok(()) };
        let stored = &row.stored;
        self.forget_local(&row, stored);
        self.proxy.forget_endpoint(id);
        self.ipam.release(stored.addresses());
        self.identities.let_go(&mut self.state, stored.identity);
        self.tell_policy(stored.identity);
        self.refresh()?;
        match stored.publish.is_empty() {
            true => Ok(()),
            false => self.apply_translation(),
        }
    }

    fn forget_local(&mut self, row: &EndpointRow, stored: &StoredEndpoint) {
        let Some(local) = self.locals.remove(&stored.id) else { return };
        self.rules.release(&mut *self.kernel, local.handle);
        if !self.state.endpoints.values().any(|other| other.labels == row.labels) {
            self.policy.forget(&Subject::endpoint(&row.labels, &local.ports));
        }
    }

    /// An address is nobody's any more; a policy's prefix of exactly that address shows again.
    pub(super) fn vacate(&mut self, net: IpNet) -> Result<()> {
        self.state.addresses.remove(&net);
        let identity = self.identities.of_prefix(&net);
        let named = identity.filter(|i| self.state.identities.get(i).is_some_and(|row| row.references > 0));
        match named.and_then(|identity| self.prefix_row(&net, identity)) {
            Some(row) => self.put_address(net, row),
            None => Ok(self.kernel.remove_address(net)?),
        }
    }
}
