//! What is in the cache, for people and for comparison with the kernel.

use super::{
    NameCache, SelectorSet, UnixTime, logged,
    rows::{Key, LookupRow, NameRow},
};
use crate::{disk::format::Kept, name::Name};
use ciliate_types::EndpointId;
use std::net::IpAddr;

/// What a name resolved to for an endpoint: rows of `fqdn cache list`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LookupView {
    /// None: an administrator said so (`tofqdns-pre-cache`).
    pub endpoint: Option<EndpointId>,
    pub name: Name,
    pub addresses: Vec<AddressView>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AddressView {
    pub address: IpAddr,
    /// Seconds, as it was answered or by the least TTL.
    pub ttl: u32,
    pub expires: UnixTime,
    pub source: AddressSource,
}

/// Why an address is still there, in Cilium's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AddressSource {
    /// `lookup`: it is valid.
    Lookup,
    /// `connection`: it is deferred.
    Connection,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CacheStats {
    /// Names of all endpoints, each once.
    pub names: usize,
    /// Names, once for each endpoint (`dns-cache-max-names`).
    pub lookups: usize,
    /// Of these: under no selector.
    pub unselected: usize,
    /// Addresses of all look-ups (`dns-cache-max-addresses`).
    pub entries: usize,
    /// Of these: deferred.
    pub deferred: usize,
    /// Addresses, each once.
    pub addresses: usize,
    /// Different sets of selectors.
    pub sets: usize,
    /// Look-ups under no selector that had to make room, since the start.
    pub evicted: u64,
    /// Answers under no selector that were not kept for lack of room, since the start.
    pub passed_over: u64,
    /// Deferred addresses that went before their connections, because there were too many, since the start.
    pub over_limit: u64,
}

impl AddressSource {
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Lookup => "lookup",
            Self::Connection => "connection",
        }
    }
}

impl NameCache {
    /// The selectors that an address falls under; empty if it is not known.
    #[must_use]
    pub fn selectors_of(&self, address: IpAddr) -> SelectorSet {
        let row = self.store.addresses.find(Key::of(address)).and_then(|at| self.store.addresses.get(at));
        self.store.members(row.map_or(super::sets::SetId::EMPTY, |row| row.selectors)).clone()
    }

    /// All addresses under some selector: what the kernel should have.
    pub fn selected(&self) -> impl Iterator<Item = (IpAddr, &SelectorSet)> {
        let all =
            self.store.addresses.iter().map(|(_, row)| (row.address(), self.store.members(row.selectors)));
        all.filter(|(_, selectors)| !selectors.is_empty())
    }

    /// All look-ups, in no order.
    pub fn lookups(&self) -> impl Iterator<Item = LookupView> {
        self.store.lookups.iter().map(|(_, row)| self.view(row))
    }

    /// The names that an endpoint got an address for, for its flows.
    pub fn names_of(&self, endpoint: EndpointId, address: IpAddr) -> impl Iterator<Item = Name> {
        let row = self.store.addresses.find(Key::of(address)).and_then(|at| self.store.addresses.get(at));
        let lookups = row.map(|row| row.lookups.as_slice()).unwrap_or_default();
        let rows = lookups.iter().filter_map(|lookup| self.store.lookups.get(*lookup));
        rows.filter(move |row| row.endpoint == endpoint.get()).map(|row| self.name(row))
    }

    /// Everything, for a snapshot: endpoint (0: none), name in wire form, addresses with expiry and TTL.
    pub(crate) fn each_entry(&self, mut each: impl FnMut(u16, &[u8], &mut dyn Iterator<Item = Kept>)) {
        for (_, row) in self.store.lookups.iter() {
            let Some(name) = self.store.names.get(row.name) else { continue };
            let entries = row.entries.iter();
            let mut entries = entries.map(|entry| Kept {
                address: self.store.address(entry.address),
                expires: logged(entry.expires),
                ttl: entry.ttl,
            });
            each(row.endpoint, &name.bytes, &mut entries);
        }
    }

    #[must_use]
    pub fn stats(&self) -> CacheStats {
        CacheStats {
            names: self.store.names.len(),
            lookups: self.store.lookups.len(),
            unselected: self.store.unselected,
            entries: self.store.entries,
            deferred: self.store.deferred,
            addresses: self.store.addresses.len(),
            sets: self.store.set_count(),
            evicted: self.evicted,
            passed_over: self.passed_over,
            over_limit: self.over_limit,
        }
    }

    fn name(&self, row: &LookupRow) -> Name {
        self.store.names.get(row.name).map_or(Name::ROOT, NameRow::name)
    }

    fn view(&self, row: &LookupRow) -> LookupView {
        let addresses = row.entries.iter().map(|entry| AddressView {
            address: self.store.address(entry.address),
            ttl: entry.ttl,
            expires: entry.expires,
            source: if entry.is_deferred() { AddressSource::Connection } else { AddressSource::Lookup },
        });
        LookupView {
            endpoint: EndpointId::new(row.endpoint),
            name: self.name(row),
            addresses: addresses.collect(),
        }
    }
}
