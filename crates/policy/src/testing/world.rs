//! A small world: policies, and everybody who might send or receive.

use crate::{
    Change, Engine, IdentityInfo, NamedPorts, Object, PeerRef, Query, Settings, fqdn_labels, l7::Request,
    rule_set::PeerKind,
};
use ciliate_types::{DomainName, Identity, Label, Labels, NamePattern, Protocol, ReservedIdentity};
use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

/// The cluster that all of it is part of.
pub const CLUSTER: &str = "default";

/// Somebody with an address.
#[derive(Clone, Debug)]
pub struct Being {
    pub kind: PeerKind,
    /// Of the world these depend on the policies: see [`World::beings`].
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
    /// What names were found to stand for.
    pub names: BTreeMap<DomainName, Vec<IpAddr>>,
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

    /// What the agent gives to every prefix of the engine, to addresses with names, and the worlds.
    #[must_use]
    pub fn prefix_identities(&self, engine: &Engine) -> BTreeMap<Identity, IdentityInfo> {
        let info = |labels: Labels| IdentityInfo { labels, named_ports: NamedPorts::new() };
        let prefixes = engine.prefixes();
        let patterns: Vec<_> = engine.fqdn_selectors().into_iter().map(|row| row.pattern).collect();
        let named = self.outside.iter().map(|address| self.labels_of(engine, *address, &patterns));
        let named: BTreeSet<Vec<Label>> = named
            .filter(|labels| labels.iter().any(|l| l.source() == ciliate_types::source::FQDN))
            .map(|labels| labels.iter().cloned().collect())
            .collect();
        let labels = prefixes
            .iter()
            .map(Engine::prefix_labels)
            .chain(named.into_iter().map(|labels| labels.into_iter().collect()));
        let local =
            (Identity::FIRST_LOCAL.get()..).zip(labels).map(|(number, l)| (Identity::new(number), info(l)));
        use ReservedIdentity as R;
        let worlds = [R::World, R::WorldIpv4, R::WorldIpv6];
        let worlds = worlds.map(|w| (w.into(), info([Label::reserved(w)].into_iter().collect())));
        local.chain(worlds).collect()
    }

    fn labels_of(&self, engine: &Engine, address: IpAddr, patterns: &[NamePattern]) -> Labels {
        let names: Vec<&DomainName> =
            self.names.iter().filter(|(_, list)| list.contains(&address)).map(|(name, _)| name).collect();
        let matching = patterns.iter().filter(|p| names.iter().any(|name| p.matches(name.as_str())));
        fqdn_labels(matching, address, engine.covering_prefix(address))
    }

    /// Everybody.
    #[must_use]
    pub fn beings(&self, engine: &Engine) -> Vec<Being> {
        let patterns: Vec<_> = engine.fqdn_selectors().into_iter().map(|row| row.pattern).collect();
        let known = self.prefix_identities(engine);
        let outside = self.outside.iter().map(|address| {
            let labels = self.labels_of(engine, *address, &patterns);
            let found = known.iter().find(|(_, info)| info.labels == labels);
            let identity = found.map_or(Identity::new(0), |(identity, _)| *identity);
            Being {
                kind: PeerKind::World,
                identity,
                labels,
                address: *address,
                named_ports: NamedPorts::new(),
            }
        });
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
    pub fn query(&self, source: &Being, destination: &Being, request: Option<&Request>) -> Query {
        Query {
            source: source.to_peer(),
            destination: destination.to_peer(),
            protocol: self.protocol,
            port: self.port,
            request: request.cloned(),
        }
    }
}
