//! Everything the agent knows, as one value: a transaction works on a copy, and readers get whole copies.

use crate::{
    failure::{Failure, Result},
    stored::StoredEndpoint,
};
use ciliate_api::{AddressSource, EndpointRef, EndpointState};
use ciliate_policy::{Kind, ObjectKey};
use ciliate_proxy::message::NameSet;
use ciliate_tables::{AnyTable, Table};
use ciliate_types::{EndpointId, Identity, Labels};
use ipnet::IpNet;
use serde::{Serialize, Serializer};
use std::{net::IpAddr, sync::Arc};

/// Who fills the tables at the start.
pub mod source {
    pub const STORE: &str = "store";
    pub const HOST: &str = "host";
}

#[derive(Clone, Debug)]
pub struct State {
    /// Of all objects; grows with every change that is enforced.
    pub revision: u64,
    pub endpoints: Table<EndpointId, Arc<EndpointRow>>,
    pub identities: Table<Identity, IdentityRow>,
    pub addresses: Table<IpNet, AddressRow>,
    pub objects: Table<ObjectName, ObjectRow>,
}

/// An endpoint and what the kernel has of it.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct EndpointRow {
    #[serde(flatten)]
    pub stored: StoredEndpoint,
    /// What policies see.
    pub labels: Arc<Labels>,
    pub state: EndpointState,
    /// The kernel's number of its rule set.
    pub rule_set: u32,
    /// Since which revision of all objects its rules are what they are.
    pub policy_revision: u64,
    pub ifindex: u32,
    pub host_mac: String,
    pub ingress: Isolation,
    pub egress: Isolation,
}

impl EndpointRow {
    /// Before the kernel has anything of it.
    pub fn new(stored: StoredEndpoint, labels: Arc<Labels>, state: EndpointState) -> Self {
        Self {
            stored,
            labels,
            state,
            rule_set: 0,
            policy_revision: 0,
            ifindex: 0,
            host_mac: String::new(),
            ingress: Isolation::default(),
            egress: Isolation::default(),
        }
    }
}

/// Whether a direction lets everything pass that no rule denies.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Isolation {
    pub enforced: Enforced,
    pub by: Arc<[String]>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Enforced {
    #[default]
    No,
    Yes,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct IdentityRow {
    pub labels: Arc<Labels>,
    /// Of a prefix, which one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prefix: Option<IpNet>,
    /// Of addresses with names, which.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub names: Option<Arc<NameSet>>,
    /// Endpoints that have it, or 1 while policies name the prefix.
    pub references: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AddressRow {
    pub identity: Identity,
    pub source: AddressSource,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<EndpointId>,
}

/// The key of an object, in the table shown as `cnp/default/rule1`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ObjectName(pub Arc<ObjectKey>);

impl Serialize for ObjectName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&*self.0)
    }
}

/// The object itself stays in the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ObjectRow {
    /// Of all objects, when this one was last changed.
    pub revision: u64,
}

impl State {
    pub fn new() -> Self {
        Self {
            revision: 1,
            endpoints: Table::new("endpoints", &[source::STORE]),
            identities: Table::new("identities", &[source::STORE]),
            addresses: Table::new("addresses", &[source::STORE, source::HOST]),
            objects: Table::new("objects", &[source::STORE]),
        }
    }

    pub fn tables(&self) -> [&dyn AnyTable; 4] {
        [&self.endpoints, &self.identities, &self.addresses, &self.objects]
    }

    pub fn endpoint(&self, wanted: &EndpointRef) -> Result<Arc<EndpointRow>> {
        let rows = || self.endpoints.values();
        let found = match wanted {
            EndpointRef::Id(id) => self.endpoints.get(id),
            EndpointRef::Name { namespace, name } => {
                rows().find(|row| row.stored.name == *name && row.stored.namespace == *namespace)
            }
            EndpointRef::Address(address) => {
                rows().find(|row| row.stored.addresses().iter().any(|a| a == *address))
            }
            EndpointRef::Container { id, interface } => rows().find(|row| {
                row.stored.container_id.as_ref() == Some(id)
                    && interface.as_ref().is_none_or(|wanted| row.stored.interface == *wanted)
            }),
        };
        found.map(Arc::clone).ok_or_else(|| {
            Failure::absent(format!("there is no endpoint {wanted}: `ciliate endpoint list` shows all"))
        })
    }

    /// The row that decides an address: its longest prefix.
    pub fn address(&self, address: IpAddr) -> Option<(IpNet, AddressRow)> {
        let whole = IpNet::from(address);
        (0..=whole.prefix_len())
            .rev()
            .filter_map(|length| IpNet::new(address, length).ok().map(|net| net.trunc()))
            .find_map(|net| self.addresses.get(&net).map(|row| (net, *row)))
    }

    /// Objects that are policies.
    pub fn policies(&self) -> usize {
        let is_policy = |name: &ObjectName| match name.0.kind {
            Kind::CiliumNetworkPolicy | Kind::CiliumClusterwideNetworkPolicy | Kind::NetworkPolicy => true,
            Kind::CiliumCidrGroup | Kind::Namespace | Kind::Secret => false,
        };
        self.objects.iter().filter(|(name, _)| is_policy(name)).count()
    }

    pub fn labels(&self, identity: Identity) -> Arc<Labels> {
        self.identities.get(&identity).map(|row| Arc::clone(&row.labels)).unwrap_or_default()
    }
}
