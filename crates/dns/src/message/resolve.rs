//! Which addresses an answer gives to the name that was asked for.

use super::{Answer, Class, Question, RecordType, ResponseCode, record::Record};
use crate::{malformed::Malformed, name::Name, wire};
use std::cmp::Reverse;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The most aliases that are followed from one name to its addresses.
pub const ALIASES: usize = 16;

/// Where the name of a question leads, at the end or on the way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alias {
    pub name: Name,
    /// The least TTL of the aliases up to here, seconds.
    pub ttl: u32,
}

/// An address of the name in a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Resolution {
    pub address: IpAddr,
    /// Seconds: the least of the record's own TTL and those of the aliases that lead to it.
    pub ttl: u32,
}

/// What an answer says about its question; made once and filled again for every answer.
#[derive(Clone, Debug, Default)]
pub struct Resolved {
    /// The name of the question first, then its aliases one after the other.
    pub names: Vec<Alias>,
    /// Each address once, ascending.
    pub addresses: Vec<Resolution>,
    /// Records of the types that were asked for that have an owner off the chain of aliases, or an address that is nobody's.
    pub ignored: u32,
}

/// The least two bytes of a name that is nothing but a pointer.
const POINTER: u16 = 0xc000;
/// Keys of service parameters (RFC 9460, 14.3.2).
const IPV4_HINT: u16 = 4;
const IPV6_HINT: u16 = 6;

impl Answer<'_> {
    /// Fills `found` with what belongs to `asked`: records of the types it asks for, of the internet's class, in the answer section,
    /// whose owner is the name asked for or reached from it by aliases (CNAME; HTTPS and SVCB in alias mode).
    ///
    /// Never opened: additional records (a client that follows a service's target asks for it by name), DNAME records (the
    /// server adds the CNAME they mean), and addresses that no packet to another host can have: unspecified, loopback,
    /// multicast, broadcast, and IPv4 inside of IPv6. An answer to another question, or one that reports an error, gives nothing.
    pub fn resolve(&self, asked: &Question, found: &mut Resolved) -> Result<(), Malformed> {
        found.names.clear();
        found.addresses.clear();
        found.ignored = 0;
        if self.question.as_ref() != Some(asked)
            || self.code() != ResponseCode::NOERROR
            || asked.class != Class::IN
        {
            return Ok(());
        }
        found.names.push(Alias { name: asked.name.clone(), ttl: u32::MAX });
        self.follow_aliases(asked.kind, found)?;
        // Records of one owner stand together and mostly point to one place for it.
        let mut last: Option<(u16, Option<u32>)> = None;
        for record in self.records() {
            if !(record.class == Class::IN && gives_addresses(record.kind) && wanted(asked.kind, record.kind))
            {
                continue;
            }
            let pointer = wire::u16_at(record.message, record.owner).filter(|two| *two >= POINTER);
            let ttl = match (pointer, last) {
                (Some(pointer), Some((known, ttl))) if pointer == known => ttl,
                _ => found.owner_ttl(&record),
            };
            last = pointer.map(|pointer| (pointer, ttl));
            match ttl {
                Some(ttl) => found.take(&record, ttl.min(sane(record.ttl)))?,
                None => found.ignored = found.ignored.saturating_add(1),
            }
        }
        found.deduplicate();
        Ok(())
    }

    /// Aliases mostly stand in order; where they do not, every round finds at least one more.
    fn follow_aliases(&self, kind: RecordType, found: &mut Resolved) -> Result<(), Malformed> {
        loop {
            let (before, mut passed_over) = (found.names.len(), false);
            for record in self.records().filter(|record| record.class == Class::IN && may_alias(record, kind))
            {
                let Some(last) = found.names.last() else { continue };
                if !last.name.is_at(record.message, record.owner) {
                    passed_over = true;
                    continue;
                }
                let Some(target) = alias(&record)? else { continue };
                if found.names.iter().any(|known| known.name == target) {
                    continue;
                }
                if found.names.len() > ALIASES {
                    return Err(Malformed::Aliases);
                }
                let ttl = last.ttl.min(sane(record.ttl));
                found.names.push(Alias { name: target, ttl });
            }
            if found.names.len() == before || !passed_over {
                return Ok(());
            }
        }
    }
}

impl Resolved {
    fn owner_ttl(&self, record: &Record<'_>) -> Option<u32> {
        let owner = self.names.iter().find(|known| known.name.is_at(record.message, record.owner));
        owner.map(|known| known.ttl)
    }

    fn take(&mut self, record: &Record<'_>, ttl: u32) -> Result<(), Malformed> {
        match record.kind {
            RecordType::A => self.add(v4(record.data).ok_or(Malformed::RecordData)?, ttl),
            RecordType::AAAA => self.add(v6(record.data).ok_or(Malformed::RecordData)?, ttl),
            _ => return self.take_hints(record, ttl),
        }
        Ok(())
    }

    /// The hints of a service record; in alias mode there are none.
    fn take_hints(&mut self, record: &Record<'_>, ttl: u32) -> Result<(), Malformed> {
        let (priority, _, mut parameters) = service(record)?;
        let mut least = 0_u32;
        while !parameters.is_empty() {
            let key = wire::u16_at(parameters, 0).ok_or(Malformed::RecordData)?;
            let len = wire::u16_at(parameters, 2).ok_or(Malformed::RecordData)?;
            let end = usize::from(len).saturating_add(4);
            let value = parameters.get(4..end).ok_or(Malformed::RecordData)?;
            // Ascending and each only once.
            if u32::from(key) < least {
                return Err(Malformed::RecordData);
            }
            least = u32::from(key).saturating_add(1);
            parameters = parameters.get(end..).unwrap_or_default();
            if priority == 0 {
                continue;
            }
            match key {
                IPV4_HINT => self.add_hints(value.chunks(4).map(v4), ttl)?,
                IPV6_HINT => self.add_hints(value.chunks(16).map(v6), ttl)?,
                _ => {}
            }
        }
        Ok(())
    }

    /// A list of hints is not empty (RFC 9460, 7.3).
    fn add_hints(
        &mut self,
        mut hints: impl ExactSizeIterator<Item = Option<IpAddr>>,
        ttl: u32,
    ) -> Result<(), Malformed> {
        if hints.len() == 0 {
            return Err(Malformed::RecordData);
        }
        hints.try_for_each(|hint| {
            self.add(hint.ok_or(Malformed::RecordData)?, ttl);
            Ok(())
        })
    }

    fn add(&mut self, address: IpAddr, ttl: u32) {
        if is_nobodys(address) {
            self.ignored = self.ignored.saturating_add(1);
        } else {
            self.addresses.push(Resolution { address, ttl });
        }
    }

    /// Leaves each address once, with its longest TTL.
    fn deduplicate(&mut self) {
        if self.addresses.len() > 1 {
            self.addresses.sort_unstable_by_key(|found| (found.address, Reverse(found.ttl)));
            self.addresses.dedup_by_key(|found| found.address);
        }
    }
}

/// Whether a question of one type is answered by records of the other.
fn wanted(asked: RecordType, kind: RecordType) -> bool {
    asked == kind || asked == RecordType::ANY
}

fn gives_addresses(kind: RecordType) -> bool {
    matches!(kind, RecordType::A | RecordType::AAAA | RecordType::SVCB | RecordType::HTTPS)
}

fn may_alias(record: &Record<'_>, asked: RecordType) -> bool {
    match record.kind {
        RecordType::CNAME => true,
        RecordType::SVCB | RecordType::HTTPS => wanted(asked, record.kind),
        _ => false,
    }
}

/// The target of a record that may be an alias.
fn alias(record: &Record<'_>) -> Result<Option<Name>, Malformed> {
    if record.kind == RecordType::CNAME {
        let (target, end) = Name::read(record.message, record.data_at)?;
        return if end == record.end { Ok(Some(target)) } else { Err(Malformed::RecordData) };
    }
    let (priority, target, _) = service(record)?;
    // The root as target of an alias says that there is no service (RFC 9460, 2.5.1).
    Ok((priority == 0 && target != Name::ROOT).then_some(target))
}

/// Priority, target and parameters of a service record (RFC 9460, 2.2); its target is not compressed.
fn service<'a>(record: &Record<'a>) -> Result<(u16, Name, &'a [u8]), Malformed> {
    let priority = wire::u16_at(record.data, 0).ok_or(Malformed::RecordData)?;
    let (target, end) = Name::read_plain(record.data, 2).map_err(|_| Malformed::RecordData)?;
    Ok((priority, target, record.data.get(end..).unwrap_or_default()))
}

/// A TTL with the highest bit set is none (RFC 2181, 8).
fn sane(ttl: u32) -> u32 {
    if ttl > u32::MAX >> 1 { 0 } else { ttl }
}

fn v4(data: &[u8]) -> Option<IpAddr> {
    <[u8; 4]>::try_from(data).ok().map(|octets| Ipv4Addr::from(octets).into())
}

fn v6(data: &[u8]) -> Option<IpAddr> {
    <[u8; 16]>::try_from(data).ok().map(|octets| Ipv6Addr::from(octets).into())
}

/// Addresses that are not another host's. IPv4 inside of IPv6 would be taken for the IPv4 address in tables that map one into the other.
fn is_nobodys(address: IpAddr) -> bool {
    address.is_unspecified()
        || address.is_loopback()
        || address.is_multicast()
        || match address {
            IpAddr::V4(v4) => v4.is_broadcast(),
            IpAddr::V6(v6) => v6.to_ipv4_mapped().is_some(),
        }
}
