//! What the programs tell user space through the ring buffer.

use crate::{Address, Direction, layout};

#[repr(u8)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventKind {
    Drop = 1,
    Trace = 2,
}

impl EventKind {
    #[must_use]
    pub const fn from_number(number: u8) -> Option<Self> {
        match number {
            1 => Some(Self::Drop),
            2 => Some(Self::Trace),
            _ => None,
        }
    }
}

/// What a policy decided.
#[repr(u8)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Allowed = 0,
    /// By a deny rule.
    Denied = 1,
    /// No rule allowed it and the direction is isolated.
    Unmatched = 2,
    /// Would have been denied; audit mode let it pass.
    Audited = 3,
    /// The proxy decides about what it carries.
    Redirected = 4,
}

impl Outcome {
    #[must_use]
    pub const fn from_number(number: u8) -> Option<Self> {
        match number {
            0 => Some(Self::Allowed),
            1 => Some(Self::Denied),
            2 => Some(Self::Unmatched),
            3 => Some(Self::Audited),
            4 => Some(Self::Redirected),
            _ => None,
        }
    }
}

/// Where a trace event was taken.
#[repr(u8)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TracePoint {
    /// Comes out of an endpoint.
    FromEndpoint = 0,
    /// Goes into an endpoint.
    ToEndpoint = 1,
    /// Goes to the host's network stack.
    ToStack = 2,
    /// Comes from the host's network stack.
    FromStack = 3,
    /// Goes to the proxy.
    ToProxy = 4,
}

impl TracePoint {
    #[must_use]
    pub const fn from_number(number: u8) -> Option<Self> {
        match number {
            0 => Some(Self::FromEndpoint),
            1 => Some(Self::ToEndpoint),
            2 => Some(Self::ToStack),
            3 => Some(Self::FromStack),
            4 => Some(Self::ToProxy),
            _ => None,
        }
    }
}

/// One packet: where it was seen or why it was dropped, and what policies have just said of it.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event {
    /// Monotonic clock, ns.
    pub time: u64,
    pub source: Address,
    pub destination: Address,
    pub source_identity: u32,
    pub destination_identity: u32,
    /// Rule that decided whether the connection may leave its originator; 0 = none did.
    pub egress_rule: u32,
    /// Rule that decided whether it may enter its responder; 0 = none did.
    pub ingress_rule: u32,
    pub ifindex: u32,
    /// Bytes of the packet from its network header.
    pub length: u32,
    /// Machine byte order; for ICMP the type and the code.
    pub source_port: u16,
    pub destination_port: u16,
    /// Endpoint of this node that sent the packet, 0 = none.
    pub source_endpoint: u16,
    /// Endpoint of this node that it goes to, 0 = none.
    pub destination_endpoint: u16,
    /// [`EventKind`].
    pub kind: u8,
    pub protocol: u8,
    /// [`Direction`].
    pub direction: u8,
    /// [`crate::DropReason`] of a drop, [`TracePoint`] of a trace.
    pub detail: u8,
    pub tcp_flags: u8,
    /// [`event_flags`].
    pub flags: u8,
    /// Policy verdicts of this packet, see [`Event::verdict`]; none for a connection that was judged before.
    pub verdicts: u8,
    /// Bytes of the packet that follow the event in a [`Captured`].
    pub captured: u8,
}

impl Event {
    /// What it says of the packet; `None` if only its verdicts are wanted, or of a kind that this version does not know.
    #[must_use]
    pub const fn told(&self) -> Option<EventKind> {
        match self.flags & event_flags::PACKET_UNTOLD {
            0 => EventKind::from_number(self.kind),
            _ => None,
        }
    }

    /// The verdict of one direction that somebody wants to hear of.
    #[must_use]
    pub const fn told_verdict(&self, direction: Direction) -> Option<Outcome> {
        match self.flags & event_flags::VERDICTS_UNTOLD {
            0 => self.verdict(direction),
            _ => None,
        }
    }

    /// What the policy of one direction said just now; `None` if it was not asked or nothing is policed there. Of a
    /// [`REPLY`](event_flags::REPLY) the connection was judged as it was opened: out of this packet's destination and
    /// into its source.
    #[must_use]
    pub const fn verdict(&self, direction: Direction) -> Option<Outcome> {
        match (self.verdicts >> verdict_shift(direction) & 0xf).checked_sub(1) {
            Some(number) => Outcome::from_number(number),
            None => None,
        }
    }
}

/// What an [`Event`] says of a verdict; 0 = none.
#[inline(always)]
#[must_use]
pub const fn verdict_bits(direction: Direction, outcome: Outcome) -> u8 {
    (outcome as u8).wrapping_add(1) << verdict_shift(direction)
}

#[inline(always)]
const fn verdict_shift(direction: Direction) -> u32 {
    match direction {
        Direction::Ingress => 0,
        Direction::Egress => 4,
    }
}

pub mod event_flags {
    /// Belongs to an established connection.
    pub const ESTABLISHED: u8 = 1;
    /// Flows from responder to originator.
    pub const REPLY: u8 = 1 << 1;
    /// An ICMP error about a connection.
    pub const RELATED: u8 = 1 << 2;
    /// Passed only because of audit mode.
    pub const AUDIT: u8 = 1 << 3;
    /// Nobody wants to hear of the packet, or there were too many: the event is about its verdicts.
    pub const PACKET_UNTOLD: u8 = 1 << 4;
    /// The same of the verdicts.
    pub const VERDICTS_UNTOLD: u8 = 1 << 5;
}

/// Most bytes of a packet that an event carries.
pub const CAPTURE_MAX: usize = 128;

/// An event of which bytes were wanted.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Captured {
    pub event: Event,
    /// From the Ethernet header on; the first `event.captured` of them count.
    pub bytes: [u8; CAPTURE_MAX],
}

/// Which events user space wants at present; one row, changed while the programs run. All zero: nobody listens.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Watch {
    /// [`watched`].
    pub kinds: u32,
    /// Bytes of each packet that events carry, at most [`CAPTURE_MAX`].
    pub capture: u32,
    /// Bytes waiting in the ring from which on the reader is woken. It looks by itself from time to time, so that
    /// many events cost one wake-up.
    pub wake: u32,
    /// Kinds that have an [`EventLimit`].
    pub limited: u32,
}

pub mod watched {
    pub const DROPS: u32 = 1;
    pub const TRACES: u32 = 1 << 1;
    pub const VERDICTS: u32 = 1 << 2;
    pub const ALL: u32 = DROPS | TRACES | VERDICTS;
    /// Kinds there are.
    pub const KINDS: u32 = 3;

    /// The row of one kind in tables of all kinds.
    #[inline(always)]
    #[must_use]
    pub const fn row(kind: u32) -> u32 {
        kind >> 1
    }
}

/// How many events of a kind there may be: as many as come at `interval`, and `burst` of time ahead of that.
///
/// Processors share a row without a lock: two that look at the same moment may both let an event pass.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EventLimit {
    /// Nanoseconds that each event takes up.
    pub interval: u64,
    /// Nanoseconds that may be used up at once.
    pub burst: u64,
    /// Up to this moment of the monotonic clock, ns, all time is used up.
    pub used: u64,
}

impl EventLimit {
    /// Takes up an event's time if there is enough of it.
    #[inline(always)]
    #[must_use]
    pub const fn take(&mut self, now: u64) -> bool {
        let oldest = now.saturating_sub(self.burst);
        let begin = if self.used > oldest { self.used } else { oldest };
        let end = begin.saturating_add(self.interval);
        if end > now {
            return false;
        }
        self.used = end;
        true
    }
}

layout!(Event = 80, Captured = 208, Watch = 16, EventLimit = 24);

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    #[test]
    fn a_limit_lets_a_burst_pass_and_then_so_many_a_second() {
        let interval = SECOND / 100;
        let mut limit = EventLimit { interval, burst: 5 * interval, used: 0 };
        let mut passed = |now| (0..50).filter(|_| limit.take(now)).count();
        let begin = 77 * SECOND;
        assert_eq!(passed(begin), 5);
        assert_eq!(passed(begin + interval - 1), 0);
        assert_eq!(passed(begin + interval), 1);
        assert_eq!(passed(begin + 4 * interval), 3);
        assert_eq!(passed(begin + SECOND), 5, "no more than a burst is saved up");
        let steady = (0..10_000).map(|at| passed(begin + 2 * SECOND + at * SECOND / 10_000)).sum::<usize>();
        assert!((100..=105).contains(&steady), "{steady} in a second of ten thousand");
        assert_eq!(passed(begin), 0, "a clock that goes back gives nothing");
    }
}
