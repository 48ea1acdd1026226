//! What a request for an endpoint comes to, before anything of it exists.

use super::Engine;
use crate::{
    failure::{Failure, Result},
    kernel::{Namespace, Owner},
    name,
    state::EndpointRow,
    stored::{Phase, StoredEndpoint},
};
use ciliate_api::{AuditMode, EndpointRef, EndpointRequest, NamedPort, NetnsRef, Publish};
use ciliate_net::{EndpointDevice, Mac, Netns};
use ciliate_types::{EndpointId, Identity, Labels};
use jiff::Timestamp;
use std::{collections::BTreeSet, path::PathBuf, sync::Arc};

/// An endpoint that is asked for.
pub enum Asked {
    /// The same was asked before.
    Existing(Arc<EndpointRow>),
    New(Box<Plan>),
}

/// A document whose addresses and identity are yet to be given.
pub struct Plan {
    pub stored: StoredEndpoint,
    pub labels: Labels,
    pub netns: Netns,
}

impl Engine {
    pub fn find_endpoint(&self, wanted: &EndpointRef) -> Result<Arc<EndpointRow>> {
        self.state.endpoint(wanted)
    }

    /// Checks all that can be checked without changing anything.
    pub(super) fn plan_endpoint(&mut self, request: EndpointRequest) -> Result<Asked> {
        let EndpointRequest {
            name: wanted_name,
            namespace,
            service_account,
            labels,
            netns,
            interface,
            addresses: _,
            ports,
            publish,
            container_id,
        } = request;
        let namespace = namespace.unwrap_or_else(|| "default".to_owned());
        let service_account = service_account.unwrap_or_else(|| "default".to_owned());
        let interface = interface.unwrap_or_else(|| "eth0".to_owned());
        name::namespace(&namespace, "namespace")?;
        check_service_account(&service_account)?;
        let given_labels = name::labels(&labels)?;
        check_ports(&ports)?;
        self.check_publish(&publish)?;

        let path = match netns {
            NetnsRef::Path(path) => path,
            NetnsRef::Pid(pid) => PathBuf::from(format!("/proc/{pid}/ns/net")),
        };
        let Namespace { netns, id: netns_id, owner } =
            self.kernel.namespace(&path).map_err(|e| Failure::invalid(e.to_string()))?;
        if let Some(container) = &container_id {
            let reference =
                EndpointRef::Container { id: container.clone(), interface: Some(interface.clone()) };
            if let Ok(row) = self.find_endpoint(&reference) {
                return match row.stored.netns_id == netns_id {
                    true => Ok(Asked::Existing(row)),
                    false => Err(Failure::conflict(format!(
                        "container {container} is endpoint {} in another namespace: delete that first",
                        row.stored.id
                    ))),
                };
            }
        }
        if owner == Owner::Host {
            return Err(Failure::invalid(format!("{} is the host's own network namespace", path.display())));
        }
        let same =
            |row: &&Arc<EndpointRow>| row.stored.netns_id == netns_id && row.stored.interface == interface;
        if let Some(row) = self.state.endpoints.values().find(same) {
            return Err(Failure::conflict(format!(
                "{} is endpoint {} ({}) already: delete that first",
                path.display(),
                row.stored.id,
                row.stored.full_name()
            )));
        }

        let id = self.free_id()?;
        let name = match wanted_name {
            Some(wanted) => name::endpoint_name(&wanted)?.to_owned(),
            None => format!("endpoint-{id}"),
        };
        let reference = EndpointRef::Name { namespace: namespace.clone(), name: name.clone() };
        if let Ok(row) = self.find_endpoint(&reference) {
            return Err(Failure::conflict(format!(
                "name {reference} belongs to endpoint {} already: choose another, or delete that one",
                row.stored.id
            )));
        }
        let labels = self.security_labels(&given_labels, &namespace, &service_account)?;
        let stored = StoredEndpoint {
            id,
            name,
            namespace,
            service_account,
            container_id,
            given_labels,
            identity: Identity::new(0),
            ipv4: None,
            ipv6: None,
            ports,
            publish,
            interface,
            mac: Mac::random(),
            netns: path,
            netns_id,
            audit: AuditMode::Off,
            phase: Phase::Making,
            created: Timestamp::now(),
        };
        Ok(Asked::New(Box::new(Plan { stored, labels, netns })))
    }

    /// A host's port can lead to one endpoint only.
    fn check_publish(&self, publish: &[Publish]) -> Result<()> {
        let clash = |a: &Publish, b: &Publish| {
            let same_address = a.host_ip.is_none() || b.host_ip.is_none() || a.host_ip == b.host_ip;
            a.host_port == b.host_port && a.protocol == b.protocol && same_address
        };
        for (at, wanted) in publish.iter().enumerate() {
            if publish.iter().take(at).any(|other| clash(wanted, other)) {
                return Err(Failure::invalid(format!("port {wanted} is published twice")));
            }
            let taken =
                self.state.endpoints.values().find(|row| row.stored.publish.iter().any(|p| clash(wanted, p)));
            if let Some(row) = taken {
                return Err(Failure::conflict(format!(
                    "host port {}/{} leads to endpoint {} already: choose another",
                    wanted.host_port,
                    wanted.protocol,
                    row.stored.full_name()
                )));
            }
        }
        Ok(())
    }

    /// Goes round, so that a number rests before it means another endpoint.
    fn free_id(&mut self) -> Result<EndpointId> {
        let first = self.next_id.max(1);
        let free = (first..=u16::MAX)
            .chain(1..first)
            .filter_map(EndpointId::new)
            .find(|id| self.state.endpoints.get(id).is_none())
            .ok_or_else(|| Failure::conflict("there are 65535 endpoints: no number is left"))?;
        self.next_id = free.get().checked_add(1).unwrap_or(1);
        Ok(free)
    }

    /// How the devices of an endpoint are to be.
    pub(super) fn device(&self, stored: &StoredEndpoint, netns: Netns) -> EndpointDevice {
        EndpointDevice {
            host_name: stored.host_device(),
            container_name: stored.interface.clone(),
            netns,
            addresses: stored.addresses().iter().collect(),
            gateways: self.ipam.gateways(),
            mtu: self.config.mtu.0,
            mac: Some(stored.mac),
        }
    }
}

fn check_service_account(text: &str) -> Result<()> {
    text.split('.').try_for_each(|part| name::namespace(part, "service account").map(drop))
}

fn check_ports(ports: &[NamedPort]) -> Result<()> {
    let mut seen = BTreeSet::new();
    for port in ports {
        // The same rules wherever the request came from.
        port.to_string().parse::<NamedPort>().map_err(Failure::invalid)?;
        if !seen.insert((&port.name, port.protocol)) {
            return Err(Failure::invalid(format!(
                "port name {:?} is given twice for {}",
                port.name, port.protocol
            )));
        }
    }
    Ok(())
}
