//! Reading and clearing connection tracking.

use crate::{
    Datapath, Error, Handle, batch,
    maps::{Maps, call},
};
use ciliate_abi::{Connection, ConnectionKey, TICK_SHIFT, connection_flags as flags};
use ciliate_types::{Identity, Protocol};
use std::{net::IpAddr, time::Duration};

/// One connection, seen from its originator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConnectionRow {
    pub protocol: Protocol,
    pub source: IpAddr,
    pub destination: IpAddr,
    /// For ICMP echo the identifier is the source port.
    pub source_port: u16,
    pub destination_port: u16,
    pub source_identity: Identity,
    pub destination_identity: Identity,
    /// Rules that allowed it; 0 = no policy applied.
    pub egress_rule: u32,
    pub ingress_rule: u32,
    pub answered: bool,
    pub source_closed: bool,
    pub destination_closed: bool,
    pub reset: bool,
    /// From the originator, and from the responder. Approximate under load: see [`Connection::packets`].
    pub sent: Traffic,
    pub received: Traffic,
    /// Zero = expired, waiting to be swept.
    pub remaining: Duration,
}

/// What a connection has carried in one direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    pub packets: u64,
    /// From the network header on.
    pub bytes: u64,
}

/// What housekeeping found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sweep {
    /// Connections that live, as far as they are counted: a walk through the map takes some calls.
    pub connections: u32,
    pub rule_sets_freed: u32,
}

fn now_ticks() -> u32 {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: writes one timespec.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut now) };
    let nanoseconds =
        i128::from(now.tv_sec).saturating_mul(1_000_000_000).saturating_add(i128::from(now.tv_nsec));
    u32::try_from((nanoseconds >> TICK_SHIFT) & 0xffff_ffff).unwrap_or_default()
}

/// Ticks until a row expires; negative = past.
fn remaining(row: &Connection, now: u32) -> i32 {
    row.expires.wrapping_sub(now).cast_signed()
}

fn row((key, value): &(ConnectionKey, Connection), now: u32) -> ConnectionRow {
    let low = (IpAddr::from(key.low), key.low_port);
    let high = (IpAddr::from(key.high), key.high_port);
    let (source, destination) = if value.flags & flags::FROM_HIGH == 0 { (low, high) } else { (high, low) };
    let has = |flag| value.flags & flag != 0;
    let ticks = u64::try_from(remaining(value, now)).unwrap_or_default();
    let ([packets_out, packets_in], [bytes_out, bytes_in]) = (value.packets, value.bytes);
    ConnectionRow {
        protocol: Protocol::new(key.protocol),
        source: source.0,
        destination: destination.0,
        source_port: source.1,
        destination_port: destination.1,
        source_identity: Identity::new(value.source_identity),
        destination_identity: Identity::new(value.destination_identity),
        egress_rule: value.egress_rule,
        ingress_rule: value.ingress_rule,
        answered: has(flags::ANSWERED),
        source_closed: has(flags::SOURCE_CLOSED),
        destination_closed: has(flags::DESTINATION_CLOSED),
        reset: has(flags::RESET),
        sent: Traffic { packets: packets_out, bytes: bytes_out },
        received: Traffic { packets: packets_in, bytes: bytes_in },
        remaining: Duration::from_nanos(ticks << TICK_SHIFT),
    }
}

impl Maps {
    pub fn connection_rows(&self) -> Result<Vec<ConnectionRow>, Error> {
        let now = now_ticks();
        Ok(self.connection_entries()?.iter().map(|entry| row(entry, now)).collect())
    }
}

impl Datapath {
    pub fn connections(&self) -> Result<Vec<ConnectionRow>, Error> {
        self.maps.connection_rows()
    }

    /// Forgets the connections that `select` names; returns how many.
    pub fn flush_connections(&mut self, select: impl Fn(&ConnectionRow) -> bool) -> Result<usize, Error> {
        let now = now_ticks();
        let keys: Vec<_> = self
            .maps
            .connection_entries()?
            .iter()
            .filter(|e| select(&row(e, now)))
            .map(|(key, _)| *key)
            .collect();
        batch::delete(&self.maps.connections, &keys).map_err(call("delete from", "CONNECTIONS"))?;
        Ok(keys.len())
    }

    /// Housekeeping, to be called about once a second: frees released rule sets and counts connections.
    ///
    /// Expired connections stay until the map evicts them: deleting one could hit a row that a packet has just
    /// revived, and its answers would be judged as if they opened a connection.
    pub fn sweep(&mut self) -> Result<Sweep, Error> {
        let rule_sets_freed = self.free_rule_sets()?;
        let now = now_ticks();
        self.census.tick(&self.maps.connections, |row| remaining(row, now) > 0)?;
        Ok(Sweep { connections: self.census.count(), rule_sets_freed })
    }

    /// The handle of a rule set that was dumped by number.
    #[must_use]
    pub fn handle(&self, number: u32) -> Option<Handle> {
        self.rule_sets.contains(number).then(|| Handle::new(number))
    }
}
