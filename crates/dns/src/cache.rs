//! Which addresses names resolved to, for whom and until when, and which selectors an address falls under because of that.
//!
//! Every endpoint has look-ups of its own, as in Cilium; an address falls under a selector while any endpoint's look-up of a name that
//! the selector matches holds it. An address whose time is over is *deferred*: it stays as it is until a survey of the
//! connections, begun after that, has found none that uses it.
//!
//! **What is guaranteed.** [`NameCache::learn`] gives the changes to write into the kernel and the bytes to append to the log. The
//! proxy does both and then releases the answer. An append is a `write` without `fsync`: it survives the end of the proxy by
//! whatever signal. A loss of power may take the last appends with it, and takes with it the clients that had got these answers.
//! The expiry in the log is rounded up to [`LOG_STEP`] seconds, so that popular names do not write with every answer.
//!
//! The caller decides what a set of selectors means for an address: one that belongs to an endpoint, the host or another node must
//! keep its own identity, whatever a server says about it.

mod effects;
mod expiry;
mod room;
mod rows;
mod selectors;
mod sets;
mod store;
mod table;
mod view;

pub use effects::{Change, Effects};
pub use sets::SelectorSet;
pub use view::{AddressSource, AddressView, CacheStats, LookupView};

use crate::{
    disk::format::{Kept, Record, RecordKind},
    matcher::NameMatcher,
    message::Resolution,
    name::Name,
};
use ciliate_types::EndpointId;
use rows::{Entry, LookupRow};
use std::{net::IpAddr, time::SystemTime};
use store::{Store, Upsert};
use thiserror::Error;

/// Seconds since 1970, until 2106.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct UnixTime(pub u32);

/// Limits and times, settings of the proxy. Names and defaults of the first four are Cilium's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CacheSettings {
    /// `tofqdns-min-ttl`: the least time for which an address is valid, seconds.
    pub min_ttl: u32,
    /// `tofqdns-endpoint-max-ip-per-hostname`: valid addresses of one name and endpoint, and as many again that are deferred. Those
    /// with the least time left make room.
    pub max_ip_per_hostname: u32,
    /// `tofqdns-idle-connection-grace-period`: how long a deferred address is kept after it was last seen in use, seconds.
    pub idle_connection_grace_period: u32,
    /// `tofqdns-max-deferred-connection-deletes`: deferred addresses of one endpoint.
    pub max_deferred_connection_deletes: u32,
    /// `dns-cache-max-names`: look-ups in all, a name counted once for each endpoint.
    pub max_names: u32,
    /// `dns-cache-max-names-per-endpoint`: of these for one endpoint, so that none can use up the room of all.
    pub max_names_per_endpoint: u32,
    /// `dns-cache-max-addresses`: addresses of all look-ups.
    pub max_addresses: u32,
}

impl Default for CacheSettings {
    fn default() -> Self {
        Self {
            min_ttl: 0,
            max_ip_per_hostname: 1_000,
            idle_connection_grace_period: 0,
            max_deferred_connection_deletes: 10_000,
            max_names: 100_000,
            max_names_per_endpoint: 50_000,
            max_addresses: 400_000,
        }
    }
}

/// Why an answer cannot be kept. It must then not be released: what the client does with it would be denied. Names that no
/// selector matches have made room before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum CacheFull {
    #[error("the DNS cache is full of names that rules select: {0} (setting dns-cache-max-names)")]
    Names(u32),
    #[error(
        "the DNS cache holds {0} names of one endpoint that rules select (setting dns-cache-max-names-per-endpoint)"
    )]
    EndpointNames(u32),
    #[error(
        "the DNS cache is full of addresses of names that rules select: {0} (setting dns-cache-max-addresses)"
    )]
    Addresses(u32),
}

/// To what multiple of seconds the log rounds an expiry up.
pub const LOG_STEP: u32 = 16;

/// The cache of one node.
#[derive(Debug)]
pub struct NameCache {
    settings: CacheSettings,
    store: Store,
    matcher: NameMatcher,
    /// No valid address expires before.
    earliest: UnixTime,
    /// Where the search for something to evict goes on.
    hand: u32,
    evicted: u64,
    passed_over: u64,
    over_limit: u64,
}

impl UnixTime {
    /// The whole second; 0 before 1970.
    #[must_use]
    pub fn of(time: SystemTime) -> Self {
        let since = time.duration_since(SystemTime::UNIX_EPOCH).map(|since| since.as_secs());
        Self(u32::try_from(since.unwrap_or_default()).unwrap_or(u32::MAX))
    }

    #[must_use]
    pub const fn plus(self, seconds: u32) -> Self {
        Self(self.0.saturating_add(seconds))
    }
}

impl NameCache {
    /// Empty, and without selectors.
    #[must_use]
    pub fn new(settings: CacheSettings) -> Self {
        Self {
            settings,
            store: Store::default(),
            matcher: NameMatcher::default(),
            earliest: UnixTime(u32::MAX),
            hand: 0,
            evicted: 0,
            passed_over: 0,
            over_limit: 0,
        }
    }

    #[must_use]
    pub fn settings(&self) -> &CacheSettings {
        &self.settings
    }

    /// Other limits and times from now on; what is too much goes with the next [`expire`](Self::expire) or answer.
    pub fn set_settings(&mut self, settings: CacheSettings) {
        self.settings = settings;
        self.earliest = UnixTime(0);
    }

    /// Keeps what `name`, the one in the question, resolved to for an endpoint; for none: what an administrator says about it.
    ///
    /// Adds to `effects`: the addresses whose set of selectors changed, and what to append to the log. After an error nothing has
    /// changed except that names without a selector may have been evicted, which `effects` then says.
    pub fn learn(
        &mut self,
        now: UnixTime,
        endpoint: Option<EndpointId>,
        name: &Name,
        found: &[Resolution],
        effects: &mut Effects,
    ) -> Result<(), CacheFull> {
        if found.is_empty() {
            return Ok(());
        }
        let endpoint = endpoint.map_or(0, EndpointId::get);
        let room = self.make_room(endpoint, name, found, effects);
        if room.is_ok() {
            self.keep(now, endpoint, name, found, effects);
        }
        self.store.finish(effects);
        // What no rule selects opens nothing, so it need not be known.
        if room.is_err() && !self.matcher.matches(name) {
            self.passed_over = self.passed_over.saturating_add(1);
            return Ok(());
        }
        room
    }

    fn keep(
        &mut self,
        now: UnixTime,
        endpoint: u16,
        name: &Name,
        found: &[Resolution],
        effects: &mut Effects,
    ) {
        let lookup = self.store.lookup(endpoint, name, &self.matcher);
        let mut record = Record::begin(&mut effects.log, RecordKind::Known, endpoint, name.as_bytes());
        for Resolution { address, ttl } in found {
            let ttl = (*ttl).max(self.settings.min_ttl);
            // The time is a whole second already begun.
            let expires = now.plus(ttl).plus(1);
            let entry = Entry { expires, ttl, ..self.store.blank(*address) };
            if self.store.upsert(lookup, entry) == Upsert::Log {
                record.push(Kept { address: *address, expires: logged(expires), ttl });
            }
            self.earliest = self.earliest.min(expires);
        }
        record.end();
        self.limit_hostname(now, lookup, effects);
    }

    /// Takes over what the log or a snapshot knows. False if there is no room.
    pub(crate) fn restore(&mut self, now: UnixTime, endpoint: u16, name: &Name, entries: &[Kept]) -> bool {
        let found: Vec<Resolution> =
            entries.iter().map(|kept| Resolution { address: kept.address, ttl: kept.ttl }).collect();
        let mut unused = Effects::default();
        if self.make_room(endpoint, name, &found, &mut unused).is_err() {
            return false;
        }
        let lookup = self.store.lookup(endpoint, name, &self.matcher);
        for Kept { address, expires, ttl } in entries {
            let entry = Entry { expires: *expires, ttl: *ttl, ..self.store.blank(*address) };
            self.store.upsert(lookup, entry);
            self.earliest = self.earliest.min(*expires);
        }
        self.limit_hostname(now, lookup, &mut unused);
        self.store.finish(&mut unused);
        true
    }

    /// Takes back addresses of a look-up, as the log says.
    pub(crate) fn revoke(&mut self, endpoint: u16, name: &Name, addresses: impl IntoIterator<Item = IpAddr>) {
        for address in addresses {
            self.store.remove_address(endpoint, name, address);
        }
        self.store.finish(&mut Effects::default());
    }

    /// Forgets the look-ups of an endpoint, as the log says.
    pub(crate) fn forget_endpoint(&mut self, endpoint: u16) {
        self.store.remove_lookups(|row, _| row.endpoint == endpoint, None);
        self.store.finish(&mut Effects::default());
    }

    /// Forgets the look-ups of an endpoint that is gone.
    pub fn remove_endpoint(&mut self, endpoint: EndpointId, effects: &mut Effects) {
        if self.store.names_of_endpoint(endpoint.get()) == 0 {
            return;
        }
        self.store.remove_lookups(|row, _| row.endpoint == endpoint.get(), None);
        Record::begin(&mut effects.log, RecordKind::EndpointGone, endpoint.get(), &[]).end_even_if_empty();
        self.store.finish(effects);
    }

    /// Forgets look-ups at an administrator's word (`fqdn cache clean`), at once and whoever uses their addresses. Says how many.
    pub fn clean(
        &mut self,
        mut which: impl FnMut(Option<EndpointId>, &Name) -> bool,
        effects: &mut Effects,
    ) -> usize {
        let which = |row: &LookupRow, name: &Name| which(EndpointId::new(row.endpoint), name);
        let removed = self.store.remove_lookups(which, Some(&mut effects.log));
        self.store.finish(effects);
        removed
    }
}

/// An expiry as the log has it.
pub(crate) fn logged(expires: UnixTime) -> UnixTime {
    UnixTime(expires.0.checked_next_multiple_of(LOG_STEP).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests;
