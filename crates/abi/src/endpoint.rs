//! What the programs know of an endpoint; one row per address.

use crate::layout;

/// A row is replaced as a whole: a packet sees the old one or the new one.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Endpoint {
    pub identity: u32,
    /// Handle of its rule set; 0 = none yet, everything is dropped.
    pub rule_set: u32,
    /// Changes whenever identity or rule set change; never reused while a connection can remember it.
    pub epoch: u32,
    /// The device on the host's side.
    pub ifindex: u32,
    pub mac: [u8; 6],
    pub id: u16,
    /// The host side's address, which answers for the router.
    pub gateway_mac: [u8; 6],
    /// [`endpoint_flags`].
    pub flags: u16,
}

pub mod endpoint_flags {
    /// What policy denies is reported and passes.
    pub const AUDIT: u16 = 1;
}

layout!(Endpoint = 32);
