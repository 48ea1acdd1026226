//! Every identity that is in use, found by its labels, its prefix and its port names.

use crate::selector::label_prefix;
use ciliate_types::{Identity, IdentityScope, Label, Labels, Protocol, ReservedIdentity};
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    net::{Ipv4Addr, Ipv6Addr},
    sync::Arc,
};

/// Port names of an endpoint, or of all endpoints with one identity, and what numbers they stand for.
pub type NamedPorts = BTreeMap<(String, Protocol), BTreeSet<u16>>;

/// What the engine needs to know about an identity.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IdentityInfo {
    pub labels: Labels,
    /// The port names of the endpoints with the identity, for rules about their peers.
    pub named_ports: NamedPorts,
}

/// One identity. Equal labels are one allocation, however many identities have them.
#[derive(Debug, PartialEq, Eq)]
pub struct Row {
    pub labels: Box<[Arc<Label>]>,
    /// The addresses that the identity stands for, if it stands for addresses.
    pub prefix: Option<IpNet>,
    has_names: bool,
}

impl Row {
    pub fn labels(&self) -> impl Iterator<Item = &Label> + Clone {
        self.labels.iter().map(|label| &**label)
    }
}

type Names = HashMap<Protocol, HashMap<String, BTreeMap<Identity, BTreeSet<u16>>>>;

#[derive(Debug, Default)]
pub struct Identities {
    rows: HashMap<Identity, Row>,
    by_label: HashMap<Arc<Label>, Vec<Identity>>,
    /// How many distinct labels have the source.
    sources: BTreeMap<Box<str>, usize>,
    by_prefix: BTreeMap<IpNet, BTreeSet<Identity>>,
    names: Names,
}

impl Identities {
    pub fn get(&self, identity: Identity) -> Option<&Row> {
        self.rows.get(&identity)
    }

    pub fn iter(&self) -> impl Iterator<Item = (Identity, &Row)> {
        self.rows.iter().map(|(identity, row)| (*identity, row))
    }

    /// Whether the identity is known with exactly this.
    pub fn is(&self, identity: Identity, info: &IdentityInfo) -> bool {
        self.rows.get(&identity).is_some_and(|row| row.labels().eq(info.labels.iter()))
            && self.named_ports(identity) == info.named_ports
    }

    pub fn has_labels(&self, identity: Identity, labels: &Labels) -> bool {
        self.rows.get(&identity).is_some_and(|row| row.labels().eq(labels.iter()))
    }

    fn named_ports(&self, identity: Identity) -> NamedPorts {
        if !self.rows.get(&identity).is_some_and(|row| row.has_names) {
            return NamedPorts::new();
        }
        let of = |(protocol, names): (&Protocol, &HashMap<String, BTreeMap<Identity, BTreeSet<u16>>>)| {
            let found =
                names.iter().filter_map(|(name, ids)| Some((name.clone(), ids.get(&identity)?.clone())));
            found.map(|(name, ports)| ((name, *protocol), ports)).collect::<Vec<_>>()
        };
        self.names.iter().flat_map(of).collect()
    }

    pub fn insert(&mut self, identity: Identity, info: &IdentityInfo) {
        self.remove(identity);
        let labels: Box<[_]> = info.labels.iter().map(|label| self.file(label, identity)).collect();
        let prefix = prefix_of(identity, &info.labels);
        if let Some(prefix) = prefix {
            self.by_prefix.entry(prefix).or_default().insert(identity);
        }
        self.rows.insert(identity, Row { labels, prefix, has_names: false });
        self.set_names(identity, &info.named_ports);
    }

    pub fn set_names(&mut self, identity: Identity, ports: &NamedPorts) {
        let Some(row) = self.rows.get_mut(&identity) else { return };
        if row.has_names {
            for names in self.names.values_mut() {
                for ids in names.values_mut() {
                    ids.remove(&identity);
                }
                names.retain(|_, ids| !ids.is_empty());
            }
        }
        row.has_names = !ports.is_empty();
        for ((name, protocol), numbers) in ports {
            let ids = self.names.entry(*protocol).or_default().entry(name.to_ascii_lowercase()).or_default();
            ids.entry(identity).or_default().extend(numbers);
        }
    }

    pub fn remove(&mut self, identity: Identity) {
        self.set_names(identity, &NamedPorts::new());
        let Some(row) = self.rows.remove(&identity) else { return };
        if let Some(prefix) = row.prefix
            && let Some(ids) = self.by_prefix.get_mut(&prefix)
        {
            ids.remove(&identity);
            if ids.is_empty() {
                self.by_prefix.remove(&prefix);
            }
        }
        for label in &row.labels {
            let Some(ids) = self.by_label.get_mut(label) else { continue };
            if let Ok(at) = ids.binary_search(&identity) {
                ids.remove(at);
            }
            if ids.is_empty() {
                self.by_label.remove(label);
                if let Some(count) = self.sources.get_mut(label.source()) {
                    *count = count.saturating_sub(1);
                }
            }
        }
        self.sources.retain(|_, count| *count > 0);
    }

    /// Notes that the identity has the label, and returns the one copy of it.
    fn file(&mut self, label: &Label, identity: Identity) -> Arc<Label> {
        let label = match self.by_label.get_key_value(label) {
            Some((label, _)) => Arc::clone(label),
            None => {
                let count = self.sources.entry(label.source().into()).or_default();
                *count = count.saturating_add(1);
                Arc::new(label.clone())
            }
        };
        let ids = self.by_label.entry(Arc::clone(&label)).or_default();
        if let Err(at) = ids.binary_search(&identity) {
            ids.insert(at, identity);
        }
        label
    }

    fn lists_with_label(&self, key: &str, value: &str) -> impl Iterator<Item = &Vec<Identity>> {
        let of = |source: &str| self.by_label.get(&Label::new(source, key, value));
        self.sources.keys().filter_map(move |source| of(source))
    }

    /// Identities with a label of this key and value, of any source.
    pub fn with_label(&self, key: &str, value: &str) -> impl Iterator<Item = Identity> {
        self.lists_with_label(key, value).flatten().copied()
    }

    pub fn count_with_label(&self, key: &str, value: &str) -> usize {
        self.lists_with_label(key, value).map(Vec::len).sum()
    }

    /// Identities that stand for addresses within the prefix.
    pub fn within(&self, net: IpNet) -> impl Iterator<Item = (IpNet, Identity)> {
        // Prefixes sort by their first address, so those inside follow without a gap.
        let inside = self.by_prefix.range(net..).take_while(move |(prefix, _)| net.contains(*prefix));
        inside.flat_map(|(prefix, ids)| ids.iter().map(|identity| (*prefix, *identity)))
    }

    /// The numbers behind a port name, by identity.
    pub fn named(&self, protocol: Protocol, name: &str) -> Option<&BTreeMap<Identity, BTreeSet<u16>>> {
        self.names.get(&protocol)?.get(name)
    }
}

/// Local identities stand for the prefix of their label, the worlds for all addresses of their family.
fn prefix_of(identity: Identity, labels: &Labels) -> Option<IpNet> {
    match identity.reserved() {
        Some(ReservedIdentity::WorldIpv4) => Some(Ipv4Net::new(Ipv4Addr::UNSPECIFIED, 0).ok()?.into()),
        Some(ReservedIdentity::WorldIpv6) => Some(Ipv6Net::new(Ipv6Addr::UNSPECIFIED, 0).ok()?.into()),
        Some(_) => None,
        None if identity.scope() == IdentityScope::Local => {
            labels.iter().filter_map(label_prefix).max_by_key(IpNet::prefix_len)
        }
        None => None,
    }
}
