//! What happens to addresses whose time is over.

use super::{
    Effects, NameCache, UnixTime,
    room::{deferred_at, least_wanted, size},
    rows::Entry,
};
use ciliate_types::EndpointId;
use std::{collections::HashMap, net::IpAddr};

/// A look-up, one of its addresses.
type Place = (u32, u32);

impl NameCache {
    /// Defers addresses whose time is over; they stay what they are until [`release`](Self::release). Cheap when there are none.
    pub fn expire(&mut self, now: UnixTime, effects: &mut Effects) {
        if now <= self.earliest {
            return;
        }
        self.earliest = UnixTime(u32::MAX);
        for (_, row) in self.store.lookups.iter_mut() {
            for entry in row.entries.iter_mut().filter(|entry| !entry.is_deferred()) {
                if entry.expires < now {
                    entry.deferred = deferred_at(now);
                    self.store.deferred = self.store.deferred.saturating_add(1);
                } else {
                    self.earliest = self.earliest.min(entry.expires);
                }
            }
        }
        self.limit_deferred(effects);
        self.store.finish(effects);
    }

    /// The deferred addresses, whose connections a survey has to look for.
    pub fn deferred(&self) -> impl Iterator<Item = (Option<EndpointId>, IpAddr)> {
        let rows = self.store.lookups.iter().filter(|_| self.store.deferred > 0);
        rows.flat_map(|(_, row)| {
            let entries = row.entries.iter().filter(|entry| entry.is_deferred());
            entries.map(|entry| (EndpointId::new(row.endpoint), self.store.address(entry.address)))
        })
    }

    /// Removes deferred addresses that no connection uses any more.
    ///
    /// `in_use` answers from a survey of the connections that was begun at `surveyed`. Only addresses deferred before that are
    /// judged by it, for others may have got a connection behind its back. What was in use stays, and after its last use for
    /// `tofqdns-idle-connection-grace-period`. Programs use answers somewhat longer than their TTL says, so surveys should not be
    /// more frequent than Cilium's, once a minute. Look-ups of no endpoint (`None`) are in use when any endpoint uses the address.
    pub fn release(
        &mut self,
        surveyed: UnixTime,
        in_use: &mut impl FnMut(Option<EndpointId>, IpAddr) -> bool,
        effects: &mut Effects,
    ) {
        if self.store.deferred == 0 {
            return;
        }
        let grace = self.settings.idle_connection_grace_period;
        let mut unused: Vec<Place> = Vec::new();
        let (lookups, addresses) = (&mut self.store.lookups, &self.store.addresses);
        for (lookup, row) in lookups.iter_mut() {
            let endpoint = EndpointId::new(row.endpoint);
            for entry in
                row.entries.iter_mut().filter(|entry| entry.is_deferred() && entry.deferred < surveyed)
            {
                let Some(address) = addresses.get(entry.address).map(|row| row.address()) else { continue };
                if in_use(endpoint, address) {
                    entry.used = surveyed;
                } else if entry.used == UnixTime(0) || entry.used.plus(grace) <= surveyed {
                    unused.push((lookup, entry.address));
                }
            }
        }
        self.remove(unused, effects);
        self.limit_deferred(effects);
        self.store.finish(effects);
    }

    /// Removes what endpoints have too many deferred addresses.
    fn limit_deferred(&mut self, effects: &mut Effects) {
        let limit = size(self.settings.max_deferred_connection_deletes);
        if self.store.deferred <= limit {
            return;
        }
        let mut by_endpoint: HashMap<u16, Vec<(Entry, Place)>> = HashMap::new();
        for (lookup, row) in self.store.lookups.iter() {
            for entry in row.entries.iter().filter(|entry| entry.is_deferred()) {
                by_endpoint.entry(row.endpoint).or_default().push((*entry, (lookup, entry.address)));
            }
        }
        for mut deferred in by_endpoint.into_values() {
            let excess = deferred.len().saturating_sub(limit);
            deferred.sort_unstable_by_key(|(entry, _)| least_wanted(entry));
            deferred.truncate(excess);
            self.over_limit = self.over_limit.saturating_add(u64::try_from(excess).unwrap_or_default());
            self.remove(deferred.into_iter().map(|(_, place)| place).collect(), effects);
        }
    }

    fn remove(&mut self, mut places: Vec<Place>, effects: &mut Effects) {
        places.sort_unstable();
        for group in places.chunk_by(|(a, _), (b, _)| a == b) {
            let Some((lookup, _)) = group.first() else { continue };
            let goes = |entry: &Entry| group.binary_search(&(*lookup, entry.address)).is_ok();
            self.store.remove_entries(*lookup, goes, Some(&mut effects.log));
        }
    }
}
