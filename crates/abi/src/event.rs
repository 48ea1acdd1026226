//! What the programs tell user space through the ring buffer.

use crate::{Address, layout};

#[repr(u8)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventKind {
    Drop = 1,
    Trace = 2,
    Verdict = 3,
}

impl EventKind {
    #[must_use]
    pub const fn from_number(number: u8) -> Option<Self> {
        match number {
            1 => Some(Self::Drop),
            2 => Some(Self::Trace),
            3 => Some(Self::Verdict),
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

#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event {
    /// Monotonic clock, ns.
    pub time: u64,
    pub source: Address,
    pub destination: Address,
    pub source_identity: u32,
    pub destination_identity: u32,
    /// Rule that decided; 0 = none did.
    pub rule: u32,
    pub ifindex: u32,
    /// Bytes of the packet from its network header.
    pub length: u32,
    /// Machine byte order; for ICMP the type and the code.
    pub source_port: u16,
    pub destination_port: u16,
    /// Endpoint at which it was seen, 0 = none.
    pub endpoint: u16,
    /// [`EventKind`].
    pub kind: u8,
    pub protocol: u8,
    /// [`crate::Direction`].
    pub direction: u8,
    /// [`crate::DropReason`] of a drop, [`Outcome`] of a verdict, [`TracePoint`] of a trace.
    pub detail: u8,
    pub tcp_flags: u8,
    /// [`event_flags`].
    pub flags: u8,
    /// Endpoint a trace leads to, 0 = none.
    pub peer_endpoint: u16,
    pub pad: [u8; 2],
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
}

layout!(Event = 80);
