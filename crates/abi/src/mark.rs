//! Marks of packets between the programs, the host's stack and the proxy; the numbers are those of Cilium.

/// The bits that tell these marks apart; all others are left to the host.
pub const MASK: u32 = 0x0f00;
/// To be delivered to the proxy, whatever the address.
pub const TO_PROXY: u32 = 0x0200;
/// Sent by the proxy to the responder of a connection.
pub const FORWARD: u32 = 0x0a00;
/// Sent by the proxy back to the originator.
pub const BACK: u32 = 0x0b00;

/// Whether the proxy sent the packet. Endpoints cannot mark theirs: marks do not leave a namespace.
#[must_use]
pub const fn is_from_proxy(mark: u32) -> bool {
    matches!(mark & MASK, FORWARD | BACK)
}
