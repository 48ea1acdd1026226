//! A small world: policies, and everybody who might send or receive.

use crate::{
    Change, Engine, IdentityInfo, NamedPorts, Object, PeerRef, Query, Settings, endpoint_labels::world_of,
    rule_set::PeerKind,
};
use ciliate_types::{Identity, Label, Labels, Protocol};
use ipnet::IpNet;
use std::{collections::BTreeMap, net::IpAddr};

/// The cluster that all of it is part of.
pub const CLUSTER: &str = "default";

/// Somebody with an address.
#[derive(Clone, Debug)]
pub struct Being {
    pub kind: PeerKind,
    /// Of the world these depend on the policies: see [`World::of_address`].
    pub identity: Identity,
    pub labels: Labels,
    pub address: IpAddr,
    pub named_ports: NamedPorts,
}

#[derive(Clone, Debug)]
pub struct World {
    pub settings: Settings,
    pub objects: Vec<Object>,
    /// Endpoints and nodes with their identities.
    pub inside: Vec<Being>,
    /// Addresses of the world.
    pub outside: Vec<IpAddr>,
}

/// A packet that begins a connection.
#[derive(Clone, Copy, Debug)]
pub struct Packet {
    pub protocol: Protocol,
    /// The destination port; of ICMP the type; else 0.
    pub port: u16,
}

impl World {
    /// An engine that was told everything, objects first or identities first.
    ///
    /// # Panics
    /// Never: generated objects are valid. An invalid one leaves the engine without policies, which tests notice.
    #[must_use]
    pub fn engine(&self) -> Engine {
        let mut engine = Engine::new(self.settings.clone());
        let changes = self.objects.iter().cloned().map(Change::Put).collect();
        let done = engine.replace(changes);
        debug_assert!(done.is_ok(), "{done:?}");
        for being in &self.inside {
            engine.put_identity(being.identity, being.info());
        }
        for being in self.prefix_identities(&engine) {
            engine.put_identity(being.0, being.1);
        }
        engine
    }

    /// What the agent gives to every prefix of the engine, and the two worlds.
    #[must_use]
    pub fn prefix_identities(&self, engine: &Engine) -> BTreeMap<Identity, IdentityInfo> {
        let numbers = Identity::FIRST_LOCAL.get()..;
        let info = |labels: Labels| IdentityInfo { labels, named_ports: NamedPorts::new() };
        let prefixes = engine.prefixes();
        let local = numbers
            .zip(prefixes.iter())
            .map(|(number, net)| (Identity::new(number), info(Engine::prefix_labels(net))));
        use ciliate_types::ReservedIdentity as R;
        let worlds = [R::World, R::WorldIpv4, R::WorldIpv6];
        let worlds = worlds.map(|w| (w.into(), info([Label::reserved(w)].into_iter().collect())));
        local.chain(worlds).collect()
    }

    /// Who an address of the world is to an engine.
    #[must_use]
    pub fn of_address(&self, engine: &Engine, address: IpAddr) -> Being {
        let prefixes = engine.prefixes();
        let around = prefixes.iter().filter(|net| net.contains(&address)).max_by_key(|net| net.prefix_len());
        let (identity, labels) = match around {
            Some(net) => {
                let labels = Engine::prefix_labels(net);
                let known = self.prefix_identities(engine);
                let found = known.iter().find(|(_, info)| info.labels == labels);
                (found.map_or(Identity::new(0), |(identity, _)| *identity), labels)
            }
            None => {
                let world = world_of(&IpNet::from(address));
                (world.into(), [Label::reserved(world)].into_iter().collect())
            }
        };
        Being { kind: PeerKind::World, identity, labels, address, named_ports: NamedPorts::new() }
    }

    /// Everybody.
    #[must_use]
    pub fn beings(&self, engine: &Engine) -> Vec<Being> {
        let outside = self.outside.iter().map(|address| self.of_address(engine, *address));
        self.inside.iter().cloned().chain(outside).collect()
    }
}

impl Being {
    #[must_use]
    pub fn info(&self) -> IdentityInfo {
        IdentityInfo { labels: self.labels.clone(), named_ports: self.named_ports.clone() }
    }

    #[must_use]
    pub fn to_peer(&self) -> PeerRef {
        PeerRef {
            labels: self.labels.clone(),
            address: Some(self.address),
            named_ports: self.named_ports.clone(),
        }
    }
}

impl Packet {
    #[must_use]
    pub fn query(&self, source: &Being, destination: &Being) -> Query {
        Query {
            source: source.to_peer(),
            destination: destination.to_peer(),
            protocol: self.protocol,
            port: self.port,
        }
    }
}
