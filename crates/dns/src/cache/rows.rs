//! What the tables of the cache hold.

use super::{UnixTime, sets::SetId, table::Row};
use crate::name::Name;
use smallvec::SmallVec;
use std::net::{IpAddr, Ipv6Addr};

/// An address as tables have it: IPv4 mapped into IPv6.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Key([u8; 16]);

#[derive(Debug)]
pub(super) struct NameRow {
    pub bytes: Box<[u8]>,
    /// Look-ups of this name.
    pub uses: u32,
    pub selectors: SetId,
}

#[derive(Debug)]
pub(super) struct LookupRow {
    /// 0: none.
    pub endpoint: u16,
    pub name: u32,
    /// Ascending by the number of the address.
    pub entries: SmallVec<[Entry; 1]>,
}

/// An address of a look-up.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    pub address: u32,
    pub expires: UnixTime,
    /// Seconds, as it was learned.
    pub ttl: u32,
    /// Since when it is deferred; 0 while it is valid.
    pub deferred: UnixTime,
    /// When it was last seen in use while deferred.
    pub used: UnixTime,
}

#[derive(Debug)]
pub(super) struct AddressRow {
    pub key: Key,
    /// Look-ups that hold it, ascending.
    pub lookups: SmallVec<[u32; 4]>,
    /// The sets of their names, without the empty one, and how many have each.
    pub sets: SmallVec<[(SetId, u32); 2]>,
    /// The union of these sets.
    pub selectors: SetId,
    /// It stands in `Store::changed`.
    pub is_changed: bool,
}

impl Key {
    pub fn of(address: IpAddr) -> Self {
        Self(match address {
            IpAddr::V4(v4) => v4.to_ipv6_mapped().octets(),
            IpAddr::V6(v6) => v6.octets(),
        })
    }

    pub fn address(self) -> IpAddr {
        Ipv6Addr::from(self.0).to_canonical()
    }
}

impl Row for NameRow {
    type Key<'a> = &'a [u8];

    fn key(&self) -> &[u8] {
        &self.bytes
    }
}

impl Row for LookupRow {
    type Key<'a> = (u16, u32);

    fn key(&self) -> (u16, u32) {
        (self.endpoint, self.name)
    }
}

impl Row for AddressRow {
    type Key<'a> = Key;

    fn key(&self) -> Key {
        self.key
    }
}

impl NameRow {
    pub fn name(&self) -> Name {
        Name::from_bytes(&self.bytes).unwrap_or(Name::ROOT)
    }
}

impl Entry {
    pub fn is_deferred(&self) -> bool {
        self.deferred != UnixTime(0)
    }
}

impl AddressRow {
    pub fn address(&self) -> IpAddr {
        self.key.address()
    }
}

/// Counts one more name with this set. True: it is the first.
pub(super) fn count(sets: &mut SmallVec<[(SetId, u32); 2]>, set: SetId) -> bool {
    if set == SetId::EMPTY {
        return false;
    }
    if let Some((_, uses)) = sets.iter_mut().find(|(known, _)| *known == set) {
        *uses = uses.saturating_add(1);
        return false;
    }
    sets.push((set, 1));
    true
}

/// Counts one less. True: it was the last.
pub(super) fn discount(sets: &mut SmallVec<[(SetId, u32); 2]>, set: SetId) -> bool {
    let Some(at) = sets.iter().position(|(known, _)| *known == set) else { return false };
    let Some((_, uses)) = sets.get_mut(at) else { return false };
    *uses = uses.saturating_sub(1);
    let is_last = *uses == 0;
    if is_last {
        sets.swap_remove(at);
    }
    is_last
}
