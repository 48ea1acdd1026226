//! The rows of the cache and how they hang together: look-ups (endpoint and name) hold addresses, addresses know their look-ups.

use super::{
    Change, Effects, UnixTime, logged,
    rows::{AddressRow, Entry, Key, LookupRow, NameRow, count, discount},
    sets::{SelectorSet, SetId, Sets},
    table::Table,
};
use crate::{
    disk::format::{Kept, Record, RecordKind},
    matcher::{NameMatcher, SelectorId},
    name::Name,
};
use smallvec::SmallVec;
use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
};

#[derive(Debug, Default)]
pub(super) struct Store {
    pub names: Table<NameRow>,
    pub lookups: Table<LookupRow>,
    pub addresses: Table<AddressRow>,
    sets: Sets,
    /// How many look-ups each endpoint has.
    endpoints: HashMap<u16, u32>,
    /// Addresses of look-ups.
    pub entries: usize,
    /// Of these: deferred.
    pub deferred: usize,
    /// Look-ups whose name is under no selector.
    pub unselected: usize,
    /// Addresses whose set may have changed since the last `finish`, and what it was.
    changed: Vec<(Key, SelectorSet)>,
    scratch: Vec<SelectorId>,
}

/// Whether the log has to say it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Upsert {
    Log,
    Known,
}

impl Store {
    pub fn members(&self, set: SetId) -> &SelectorSet {
        self.sets.members(set)
    }

    pub fn set_count(&self) -> usize {
        self.sets.len()
    }

    pub fn address(&self, at: u32) -> IpAddr {
        self.addresses.get(at).map_or(IpAddr::V6(Ipv6Addr::UNSPECIFIED), AddressRow::address)
    }

    pub fn names_of_endpoint(&self, endpoint: u16) -> u32 {
        self.endpoints.get(&endpoint).copied().unwrap_or_default()
    }

    pub fn find_lookup(&self, endpoint: u16, name: &Name) -> Option<u32> {
        self.lookups.find((endpoint, self.names.find(name.as_bytes())?))
    }

    /// The look-up of a name by an endpoint, made if need be.
    pub fn lookup(&mut self, endpoint: u16, name: &Name, matcher: &NameMatcher) -> u32 {
        let name = match self.names.find(name.as_bytes()) {
            Some(name) => name,
            None => {
                matcher.matching(name, &mut self.scratch);
                let selectors = self.sets.acquire(&self.scratch);
                self.names.insert(NameRow { bytes: name.as_bytes().into(), uses: 0, selectors })
            }
        };
        if let Some(lookup) = self.lookups.find((endpoint, name)) {
            return lookup;
        }
        if let Some(row) = self.names.get_mut(name) {
            row.uses = row.uses.saturating_add(1);
            self.unselected = self.unselected.saturating_add(usize::from(row.selectors == SetId::EMPTY));
        }
        let count = self.endpoints.entry(endpoint).or_default();
        *count = count.saturating_add(1);
        self.lookups.insert(LookupRow { endpoint, name, entries: SmallVec::new() })
    }

    /// An entry with nothing but its address, which gets a row if it has none. Follow up with [`upsert`](Self::upsert).
    pub fn blank(&mut self, address: IpAddr) -> Entry {
        let key = Key::of(address);
        let address = self.addresses.find(key).unwrap_or_else(|| {
            self.addresses.insert(AddressRow {
                key,
                lookups: SmallVec::new(),
                sets: SmallVec::new(),
                selectors: SetId::EMPTY,
                is_changed: false,
            })
        });
        Entry { address, expires: UnixTime(0), ttl: 0, deferred: UnixTime(0), used: UnixTime(0) }
    }

    /// Adds a valid entry, or makes the one that is there valid for at least as long.
    pub fn upsert(&mut self, lookup: u32, entry: Entry) -> Upsert {
        let Some(row) = self.lookups.get_mut(lookup) else { return Upsert::Known };
        let place = row.entries.binary_search_by_key(&entry.address, |known| known.address);
        match place {
            Ok(at) => {
                let Some(known) = row.entries.get_mut(at) else { return Upsert::Known };
                let before = logged(known.expires);
                if entry.expires >= known.expires {
                    (known.expires, known.ttl) = (entry.expires, entry.ttl);
                }
                if known.is_deferred() {
                    (known.deferred, known.used) = (UnixTime(0), UnixTime(0));
                    self.deferred = self.deferred.saturating_sub(1);
                }
                if logged(known.expires) == before { Upsert::Known } else { Upsert::Log }
            }
            Err(at) => {
                row.entries.insert(at, entry);
                let name = row.name;
                self.entries = self.entries.saturating_add(1);
                self.hang(entry.address, lookup, name);
                Upsert::Log
            }
        }
    }

    /// Removes an address of a look-up, and the look-up with its last one.
    pub fn remove_address(&mut self, endpoint: u16, name: &Name, address: IpAddr) {
        let Some(lookup) = self.find_lookup(endpoint, name) else { return };
        if let Some(address) = self.addresses.find(Key::of(address)) {
            self.remove_entries(lookup, |entry| entry.address == address, None);
        }
    }

    /// Removes entries of a look-up, and the look-up with its last one.
    pub fn remove_entries(
        &mut self,
        lookup: u32,
        mut which: impl FnMut(&Entry) -> bool,
        log: Option<&mut Vec<u8>>,
    ) {
        let Some(row) = self.lookups.get_mut(lookup) else { return };
        let (name, endpoint) = (row.name, row.endpoint);
        let mut removed: SmallVec<[Entry; 4]> = SmallVec::new();
        row.entries.retain(|entry| {
            let goes = which(entry);
            if goes {
                removed.push(*entry);
            }
            !goes
        });
        let is_empty = row.entries.is_empty();
        if let (Some(log), Some(name)) = (log, self.names.get(name)) {
            let mut record = Record::begin(log, RecordKind::Gone, endpoint, &name.bytes);
            removed.iter().for_each(|entry| {
                record.push(Kept { address: self.address(entry.address), expires: UnixTime(0), ttl: 0 })
            });
            record.end();
        }
        for entry in &removed {
            self.forget(entry, lookup, name);
        }
        if is_empty {
            self.drop_lookup(lookup);
        }
    }

    /// Removes whole look-ups and says how many.
    pub fn remove_lookups(
        &mut self,
        mut which: impl FnMut(&LookupRow, &Name) -> bool,
        mut log: Option<&mut Vec<u8>>,
    ) -> usize {
        let chosen =
            |(at, row): (u32, &LookupRow)| which(row, &self.names.get(row.name)?.name()).then_some(at);
        let chosen: Vec<u32> = self.lookups.iter().filter_map(chosen).collect();
        for lookup in &chosen {
            self.remove_entries(*lookup, |_| true, log.as_deref_mut());
        }
        chosen.len()
    }

    /// Hands over which addresses have other selectors than before the operation.
    pub fn finish(&mut self, effects: &mut Effects) {
        // What was removed and added again in one operation stands here twice; the first is from before.
        self.changed.sort_by_key(|(key, _)| *key);
        self.changed.dedup_by_key(|(key, _)| *key);
        let mut changed = std::mem::take(&mut self.changed);
        for (key, before) in changed.drain(..) {
            let row = self.addresses.find(key).and_then(|at| self.addresses.get_mut(at));
            let selectors = row.map_or(SetId::EMPTY, |row| {
                row.is_changed = false;
                row.selectors
            });
            let after = self.sets.members(selectors).clone();
            if before != after {
                effects.changes.push(Change { address: key.address(), before, after });
            }
        }
        self.changed = changed;
    }

    /// Gives every name its selectors anew, and then every address.
    pub fn select_anew(&mut self, matcher: &NameMatcher) {
        self.unselected = 0;
        for (_, row) in self.names.iter_mut() {
            matcher.matching(&row.name(), &mut self.scratch);
            let before = std::mem::replace(&mut row.selectors, self.sets.acquire(&self.scratch));
            self.sets.release(before);
            if row.selectors == SetId::EMPTY {
                self.unselected =
                    self.unselected.saturating_add(usize::try_from(row.uses).unwrap_or_default());
            }
        }
        for address in 0..self.addresses.end() {
            let Some(row) = self.addresses.get_mut(address) else { continue };
            row.sets.clear();
            for lookup in &row.lookups {
                let name = self.lookups.get(*lookup).and_then(|lookup| self.names.get(lookup.name));
                count(&mut row.sets, name.map_or(SetId::EMPTY, |name| name.selectors));
            }
            self.unite(address);
        }
    }

    fn selectors_of_name(&self, name: u32) -> SetId {
        self.names.get(name).map_or(SetId::EMPTY, |name| name.selectors)
    }

    /// Lets an address know that a look-up holds it.
    fn hang(&mut self, address: u32, lookup: u32, name: u32) {
        let set = self.selectors_of_name(name);
        let Some(row) = self.addresses.get_mut(address) else { return };
        if let Err(at) = row.lookups.binary_search(&lookup) {
            row.lookups.insert(at, lookup);
        }
        if count(&mut row.sets, set) {
            self.unite(address);
        }
    }

    /// The opposite of `hang`, for an entry that its look-up has lost.
    fn forget(&mut self, entry: &Entry, lookup: u32, name: u32) {
        self.entries = self.entries.saturating_sub(1);
        self.deferred = self.deferred.saturating_sub(usize::from(entry.is_deferred()));
        let set = self.selectors_of_name(name);
        let Some(row) = self.addresses.get_mut(entry.address) else { return };
        if let Ok(at) = row.lookups.binary_search(&lookup) {
            row.lookups.remove(at);
        }
        let is_unused = row.lookups.is_empty();
        if discount(&mut row.sets, set) {
            self.unite(entry.address);
        }
        if is_unused && let Some(row) = self.addresses.remove(entry.address) {
            self.sets.release(row.selectors);
        }
    }

    fn drop_lookup(&mut self, lookup: u32) {
        let Some(row) = self.lookups.remove(lookup) else { return };
        if let Some(count) = self.endpoints.get_mut(&row.endpoint) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.endpoints.remove(&row.endpoint);
            }
        }
        let Some(name) = self.names.get_mut(row.name) else { return };
        name.uses = name.uses.saturating_sub(1);
        let (is_unused, selectors) = (name.uses == 0, name.selectors);
        self.unselected = self.unselected.saturating_sub(usize::from(selectors == SetId::EMPTY));
        if is_unused && self.names.remove(row.name).is_some() {
            self.sets.release(selectors);
        }
    }

    /// Computes the set of an address from those of its names.
    fn unite(&mut self, address: u32) {
        let Some(row) = self.addresses.get_mut(address) else { return };
        let union = match row.sets.as_slice() {
            [] => SetId::EMPTY,
            [(only, _)] => self.sets.acquire_again(*only),
            several => {
                self.scratch.clear();
                for (set, _) in several {
                    self.scratch.extend_from_slice(self.sets.members(*set));
                }
                self.scratch.sort_unstable();
                self.scratch.dedup();
                self.sets.acquire(&self.scratch)
            }
        };
        let before = std::mem::replace(&mut row.selectors, union);
        if before != union && !std::mem::replace(&mut row.is_changed, true) {
            self.changed.push((row.key, self.sets.members(before).clone()));
        }
        self.sets.release(before);
    }
}
