//! What makes room when a limit is reached.

use super::{
    CacheFull, Effects, NameCache, UnixTime,
    rows::{Entry, Key, LookupRow},
    sets::SetId,
};
use crate::{message::Resolution, name::Name};

/// How many look-ups are tried when room has to come from one endpoint's.
const STEPS: u32 = 4_096;

impl NameCache {
    /// Makes sure that an answer fits, if need be by evicting look-ups of names that no selector matches.
    pub(super) fn make_room(
        &mut self,
        endpoint: u16,
        name: &Name,
        found: &[Resolution],
        effects: &mut Effects,
    ) -> Result<(), CacheFull> {
        let settings = self.settings;
        if self.store.find_lookup(endpoint, name).is_none() {
            if self.store.names_of_endpoint(endpoint) >= settings.max_names_per_endpoint
                && !self.evict(Some(endpoint), effects)
            {
                return Err(CacheFull::EndpointNames(settings.max_names_per_endpoint));
            }
            if self.store.lookups.len() >= size(settings.max_names) && !self.evict(None, effects) {
                return Err(CacheFull::Names(settings.max_names));
            }
        }
        let limit = size(settings.max_addresses);
        let fits = |entries: usize, more: usize| entries.saturating_add(more) <= limit;
        while !fits(self.store.entries, found.len())
            && !fits(self.store.entries, self.unknown(endpoint, name, found))
        {
            if !self.evict(None, effects) {
                return Err(CacheFull::Addresses(settings.max_addresses));
            }
        }
        Ok(())
    }

    /// How many of the addresses the look-up does not have yet.
    fn unknown(&self, endpoint: u16, name: &Name, found: &[Resolution]) -> usize {
        let row = self.store.find_lookup(endpoint, name).and_then(|at| self.store.lookups.get(at));
        let is_known = |row: &LookupRow, found: &Resolution| {
            let address = self.store.addresses.find(Key::of(found.address));
            address.is_some_and(|at| row.entries.binary_search_by_key(&at, |entry| entry.address).is_ok())
        };
        found.iter().filter(|found| !row.is_some_and(|row| is_known(row, found))).count()
    }

    /// Removes one look-up of a name that no selector matches, going round from where the last one was found.
    fn evict(&mut self, endpoint: Option<u16>, effects: &mut Effects) -> bool {
        if self.store.unselected == 0 {
            return false;
        }
        let end = self.store.lookups.end();
        let steps = if endpoint.is_some() { end.min(STEPS) } else { end };
        for _ in 0..steps {
            if self.hand >= end {
                self.hand = 0;
            }
            if self.may_go(self.hand, endpoint) {
                self.store.remove_entries(self.hand, |_| true, Some(&mut effects.log));
                self.evicted = self.evicted.saturating_add(1);
                return true;
            }
            self.hand = self.hand.saturating_add(1);
        }
        false
    }

    /// How many look-ups had to make room since the last call.
    pub(crate) fn take_evicted(&mut self) -> usize {
        usize::try_from(std::mem::take(&mut self.evicted)).unwrap_or(usize::MAX)
    }

    fn may_go(&self, lookup: u32, endpoint: Option<u16>) -> bool {
        self.store.lookups.get(lookup).is_some_and(|row| {
            endpoint.is_none_or(|endpoint| endpoint == row.endpoint)
                && self.store.names.get(row.name).is_some_and(|name| name.selectors == SetId::EMPTY)
        })
    }

    /// Defers what a look-up has too many valid addresses, those with the least time left, and removes what it has too many deferred.
    pub(super) fn limit_hostname(&mut self, now: UnixTime, lookup: u32, effects: &mut Effects) {
        let limit = size(self.settings.max_ip_per_hostname);
        let Some(row) = self.store.lookups.get_mut(lookup) else { return };
        if limit == 0 || row.entries.len() <= limit {
            return;
        }
        let mut valid: Vec<&mut Entry> =
            row.entries.iter_mut().filter(|entry| !entry.is_deferred()).collect();
        valid.sort_unstable_by_key(|entry| entry.expires);
        let excess = valid.len().saturating_sub(limit);
        for entry in valid.into_iter().take(excess) {
            entry.deferred = deferred_at(now);
        }
        self.store.deferred = self.store.deferred.saturating_add(excess);
        let mut deferred: Vec<Entry> =
            row.entries.iter().filter(|entry| entry.is_deferred()).copied().collect();
        let excess = deferred.len().saturating_sub(limit);
        if excess == 0 {
            return;
        }
        deferred.sort_unstable_by_key(least_wanted);
        deferred.truncate(excess);
        deferred.sort_unstable_by_key(|entry| entry.address);
        let goes = |entry: &Entry| deferred.binary_search_by_key(&entry.address, |gone| gone.address).is_ok();
        self.store.remove_entries(lookup, goes, Some(&mut effects.log));
        self.over_limit = self.over_limit.saturating_add(u64::try_from(excess).unwrap_or_default());
    }
}

/// The order in which deferred entries make room: used the longest ago, then deferred the longest ago.
pub(super) fn least_wanted(entry: &Entry) -> (UnixTime, UnixTime, UnixTime) {
    (entry.used, entry.deferred, entry.expires)
}

/// A moment that is not the one which stands for none.
pub(super) fn deferred_at(now: UnixTime) -> UnixTime {
    now.max(UnixTime(1))
}

pub(super) fn size(setting: u32) -> usize {
    usize::try_from(setting).unwrap_or(usize::MAX)
}
