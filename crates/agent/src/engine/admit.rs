//! Identities on their way into rule sets and onto addresses.

use super::Engine;
use crate::{failure::Result, identity::Meaning, state::AddressRow};
use ciliate_api::AddressSource;
use ciliate_policy::{IdentityInfo, NamedPorts};
use ciliate_proxy::message::NameSet;
use ciliate_types::{EndpointId, Identity, IdentityScope, Labels};
use ipnet::IpNet;
use std::sync::Arc;

/// An endpoint and the labels it shall have.
pub type Relabel = (EndpointId, Arc<Labels>);

impl Engine {
    /// Numbers for these meanings, on the disk and known to every rule set; no address has them yet.
    pub(super) fn admit(&mut self, meanings: Vec<Meaning>) -> Result<Vec<Identity>> {
        let given = self.identities.give(&mut self.state, meanings)?;
        if let Err(error) = self.store.commit(&given.writes) {
            for identity in given.fresh {
                self.identities.forget(&mut self.state, identity);
            }
            return Err(error.into());
        }
        for identity in &given.fresh {
            self.tell_policy(*identity);
        }
        self.refresh_peers(&[])?;
        Ok(given.identities)
    }

    /// Forgets numbers that may not have reached the disk, so that they are not taken for given later.
    pub(super) fn unlearn(&mut self, fresh: Vec<Identity>) {
        for identity in &fresh {
            drop(self.policy.remove_identity(*identity));
        }
        if let Err(failure) = self.refresh_peers(&fresh) {
            tracing::warn!(%failure, "rule sets still name an identity that nobody has");
        }
        for identity in fresh {
            self.identities.forget(&mut self.state, identity);
        }
    }

    /// Tells the policy engine what an identity means now: its labels and the named ports of its endpoints.
    pub(super) fn tell_policy(&mut self, identity: Identity) {
        let labels = Labels::clone(&self.state.labels(identity));
        let mut named_ports = NamedPorts::new();
        if identity.scope() != IdentityScope::Global {
            self.policy.put_identity(identity, IdentityInfo { labels, named_ports });
            return;
        }
        for row in self.state.endpoints.values().filter(|row| row.stored.identity == identity) {
            for (name, ports) in row.stored.named_ports() {
                named_ports.entry(name).or_default().extend(ports);
            }
        }
        self.policy.put_identity(identity, IdentityInfo { labels, named_ports });
    }

    /// Gives a prefix an identity that every rule set knows.
    pub(super) fn put_address(&mut self, net: IpNet, row: AddressRow) -> Result<()> {
        self.kernel.put_address(net, row.identity)?;
        self.state.addresses.put(net, row);
        Ok(())
    }

    pub(super) fn remove_address(&mut self, net: IpNet) -> Result<()> {
        self.kernel.remove_address(net)?;
        self.state.addresses.remove(&net);
        Ok(())
    }

    /// Whether a policy's prefix gets a row of its own: an address that is an endpoint's or the host's keeps that.
    pub(super) fn prefix_row(&self, net: &IpNet, identity: Identity) -> Option<AddressRow> {
        let taken = self
            .state
            .addresses
            .get(net)
            .is_some_and(|row| matches!(row.source, AddressSource::Endpoint | AddressSource::Local));
        // What the proxy gave it says the same of the prefix, and more.
        let named = self.name_identity(net).is_some_and(|set| set.around.prefix() == Some(*net));
        let taken = taken || named;
        (!taken).then_some(AddressRow { identity, source: AddressSource::Policy, endpoint: None })
    }

    /// The names for which the proxy has given a single address its identity.
    pub(super) fn name_identity(&self, net: &IpNet) -> Option<&NameSet> {
        let is_whole = net.prefix_len() == net.max_prefix_len();
        let identity = is_whole.then(|| self.kernel.address(net.addr())).flatten()?;
        self.state.identities.get(&identity)?.names.as_deref()
    }

    /// Moves endpoints to other labels under the policies of now. What fails is moved back.
    pub(super) fn relabel(&mut self, moves: Vec<Relabel>) -> Result<()> {
        let back: Vec<Relabel> = moves
            .iter()
            .filter_map(|(id, _)| Some((*id, Arc::clone(&self.state.endpoints.get(id)?.labels))))
            .collect();
        let done = self.try_relabel(moves);
        if done.is_err() {
            // The identities exist and the rule sets know them: nothing but a broken kernel can refuse this.
            if let Err(failure) = self.try_relabel(back) {
                tracing::error!(%failure, "cannot give endpoints back their labels");
            }
        }
        done
    }

    fn try_relabel(&mut self, moves: Vec<Relabel>) -> Result<()> {
        let meanings = moves.iter().map(|(_, labels)| Meaning::Labels(Labels::clone(labels))).collect();
        let identities = self.admit(meanings)?;
        for ((id, labels), identity) in moves.into_iter().zip(identities) {
            self.move_endpoint(id, labels, identity)?;
        }
        Ok(())
    }

    /// The endpoint's own rules first, then what others take it for.
    fn move_endpoint(&mut self, id: EndpointId, labels: Arc<Labels>, identity: Identity) -> Result<()> {
        let Some(before) = self.state.endpoints.get(&id).map(Arc::clone) else { return Ok(()) };
        let old = before.stored.identity;
        self.state.endpoints.update(&id, |row| {
            let row = Arc::make_mut(row);
            row.labels = labels;
            row.stored.identity = identity;
        });
        if old != identity {
            self.identities.hold(&mut self.state, identity);
            self.identities.let_go(&mut self.state, old);
            self.tell_policy(identity);
        }
        self.refresh_peers(&[])?;
        self.write_rows(id)?;
        for address in before.stored.addresses().iter() {
            let row = AddressRow { identity, source: AddressSource::Endpoint, endpoint: Some(id) };
            self.put_address(address.into(), row)?;
        }
        if old != identity {
            self.tell_policy(old);
            self.refresh()?;
        }
        Ok(())
    }
}
