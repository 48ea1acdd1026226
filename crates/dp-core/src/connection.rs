//! Connection tracking: keys, states and lifetimes.

use crate::{
    flow::{Flow, TCP, TCP_ACK, TCP_FIN, TCP_RST, TCP_SYN},
    tables::Tables,
};
use ciliate_abi::{
    Address, Aggregation, Config, Connection, ConnectionKey, Lifetimes, connection_flags as flags,
};
use core::cmp::Ordering;

/// Flags whose first appearance is worth an event.
const REPORTED_TCP_FLAGS: u8 = TCP_FIN | TCP_SYN | TCP_RST;

/// Which end of a connection sent a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sender {
    Originator,
    Responder,
}

/// Which end of the key sent a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    Low,
    High,
}

/// Writes the key of the flow's connection and says which end of it sent the packet.
#[inline(always)]
pub fn key(flow: &Flow, key: &mut ConnectionKey) -> End {
    key.protocol = flow.protocol;
    key_of((&flow.source, flow.source_port), (&flow.destination, flow.destination_port), key)
}

/// Writes both ends into a key that has its protocol already, and says which of them is the first one.
#[inline(always)]
pub fn key_of(first: (&Address, u16), second: (&Address, u16), key: &mut ConnectionKey) -> End {
    let first_is_low = match first.0.cmp_wire(second.0) {
        Ordering::Less => true,
        Ordering::Equal => first.1 <= second.1,
        Ordering::Greater => false,
    };
    key.pad = [0; 3];
    if first_is_low {
        (key.low, key.high) = (*first.0, *second.0);
        (key.low_port, key.high_port) = (first.1, second.1);
        End::Low
    } else {
        (key.low, key.high) = (*second.0, *first.0);
        (key.low_port, key.high_port) = (second.1, first.1);
        End::High
    }
}

/// Whether packets between the two ends belong to the proxy's sockets.
#[inline(always)]
pub fn is_proxied<T: Tables>(tables: &T, key: &ConnectionKey) -> bool {
    let now = tables.now();
    let proxied = tables.with_connection(key, |row| is_live(row, now) && row.flags & flags::PROXIED != 0);
    proxied.unwrap_or(false)
}

/// The flag of a row whose originator is this end of the key.
#[inline(always)]
#[must_use]
pub fn origin(end: End) -> u32 {
    match end {
        End::Low => 0,
        End::High => flags::FROM_HIGH,
    }
}

#[inline(always)]
#[must_use]
pub fn sender(connection: &Connection, end: End) -> Sender {
    let from_high = connection.flags & flags::FROM_HIGH != 0;
    match (end, from_high) {
        (End::Low, false) | (End::High, true) => Sender::Originator,
        (End::Low, true) | (End::High, false) => Sender::Responder,
    }
}

/// Ticks are compared as distances, so that the counter may wrap.
#[inline(always)]
#[must_use]
pub fn is_live(connection: &Connection, now: u32) -> bool {
    connection.expires.wrapping_sub(now) as i32 > 0
}

#[inline(always)]
#[must_use]
pub fn is_closing(connection: &Connection) -> bool {
    const BOTH: u32 = flags::SOURCE_CLOSED | flags::DESTINATION_CLOSED;
    connection.flags & flags::RESET != 0 || connection.flags & BOTH == BOTH
}

/// A SYN without ACK asks for a new connection. It is one where the row's connection ends, and where the
/// responder sends it: otherwise whoever was once connected to could connect back unasked.
#[inline(always)]
#[must_use]
pub fn opens_anew(connection: &Connection, flow: &Flow, sender: Sender) -> bool {
    flow.protocol == TCP
        && flow.tcp_flags & (TCP_SYN | TCP_ACK) == TCP_SYN
        && (matches!(sender, Sender::Responder) || is_closing(connection))
}

/// A row for a connection whose first packet is `flow`.
#[inline(always)]
#[must_use]
pub fn open(flow: &Flow, end: End, now: u32, lifetimes: &Lifetimes) -> Connection {
    let mut connection = Connection { flags: origin(end), reported: [now, now], ..Connection::default() };
    advance(&mut connection, flow, Sender::Originator, now, lifetimes);
    count(&mut connection, flow, Sender::Originator);
    connection
}

/// Follows a packet: closes, answers, prolongs. Writes only what changes, so that a busy connection's row
/// stays clean in the caches.
#[inline(always)]
pub fn advance(connection: &mut Connection, flow: &Flow, sender: Sender, now: u32, lifetimes: &Lifetimes) {
    let (closed, shift) = match sender {
        Sender::Originator => (flags::SOURCE_CLOSED, flags::SOURCE_TCP_SHIFT),
        Sender::Responder => (flags::DESTINATION_CLOSED, flags::DESTINATION_TCP_SHIFT),
    };
    let mut next = connection.flags | u32::from(flow.tcp_flags) << shift;
    if let Sender::Responder = sender {
        next |= flags::ANSWERED;
    }
    if flow.tcp_flags & TCP_FIN != 0 {
        next |= closed;
    }
    if flow.tcp_flags & TCP_RST != 0 {
        next |= flags::RESET;
    }
    if next != connection.flags {
        connection.flags = next;
    }
    let lifetime = match flow.protocol {
        TCP if is_closing(connection) => lifetimes.tcp_close,
        TCP if connection.flags & flags::ANSWERED == 0 => lifetimes.tcp_syn,
        TCP => lifetimes.tcp,
        _ => lifetimes.other,
    };
    let expires = now.wrapping_add(lifetime);
    if expires != connection.expires {
        connection.expires = expires;
    }
}

/// Counts a packet of a connection.
#[inline(always)]
pub fn count(connection: &mut Connection, flow: &Flow, sender: Sender) {
    let ([from, to], [bytes_from, bytes_to]) = (&mut connection.packets, &mut connection.bytes);
    let (packets, bytes) = match sender {
        Sender::Originator => (from, bytes_from),
        Sender::Responder => (to, bytes_to),
    };
    *packets = packets.wrapping_add(1);
    *bytes = bytes.wrapping_add(u64::from(flow.length));
}

/// Whether this packet of an established connection deserves a trace event; notes that it was sent.
#[inline(always)]
pub fn is_reportable(
    connection: &mut Connection,
    flow: &Flow,
    sender: Sender,
    seen_before: u32,
    now: u32,
    config: &Config,
) -> bool {
    if config.aggregation <= Aggregation::Low as u32 {
        return true;
    }
    let shift = match sender {
        Sender::Originator => flags::SOURCE_TCP_SHIFT,
        Sender::Responder => flags::DESTINATION_TCP_SHIFT,
    };
    let fresh = flow.tcp_flags & REPORTED_TCP_FLAGS & !((seen_before >> shift) as u8) != 0;
    let [originator, responder] = &mut connection.reported;
    let last = match sender {
        Sender::Originator => originator,
        Sender::Responder => responder,
    };
    let due =
        config.aggregation == Aggregation::Medium as u32 && now.wrapping_sub(*last) >= config.report_interval;
    if fresh || due {
        *last = now;
    }
    // The first answer is news even where it carries no flags.
    fresh || due || (matches!(sender, Sender::Responder) && seen_before & flags::ANSWERED == 0)
}
