//! What the agent tells the programs about the node; one row, changed while they run.

use crate::{Address, layout};

/// Time in the kernel is counted in units of 2^30 ns (1.07 s) of the monotonic clock.
pub const TICK_SHIFT: u32 = 30;

#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    /// The router's addresses, which ARP and neighbour discovery answer for; all zero = family disabled.
    pub gateway_v4: Address,
    pub gateway_v6: Address,
    pub lifetimes: Lifetimes,
    /// Grows whenever an address gets another identity: connections to peers that are not endpoints here
    /// are judged again.
    pub peers_epoch: u32,
    /// No epoch up to this one may be given out again; only user space reads it.
    pub last_epoch: u32,
    /// [`Aggregation`] of trace events.
    pub aggregation: u32,
    /// Ticks between two trace events of one direction of a connection.
    pub report_interval: u32,
    /// [`config_flags`].
    pub flags: u32,
    /// Device through which packets for the proxy enter the host's stack when they were on their way out of it.
    pub proxy_ifindex: u32,
    pub proxy_mac: [u8; 6],
    pub pad: [u8; 2],
}

pub mod config_flags {
    /// What policy denies is reported and passes.
    pub const AUDIT: u32 = 1;
    /// Peers without an entry of their own are `world-ipv4` and `world-ipv6` instead of `world`.
    pub const DUAL_STACK: u32 = 2;
}

/// How long an idle connection is kept, in ticks.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lifetimes {
    pub tcp: u32,
    /// TCP before an answer came.
    pub tcp_syn: u32,
    /// TCP after both sides closed, or a reset.
    pub tcp_close: u32,
    /// Everything else.
    pub other: u32,
}

/// Which trace events are sent.
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Aggregation {
    /// Every packet, where it comes in and where it leaves.
    None = 0,
    /// Every packet, where it leaves.
    Low = 1,
    /// New connections, new TCP flags, and once per interval and direction.
    Medium = 2,
    /// New connections and new TCP flags.
    Maximum = 3,
}

layout!(Lifetimes = 16, Config = 80);
