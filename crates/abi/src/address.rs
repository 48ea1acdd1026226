//! Addresses of both families in one form.

use crate::layout;
use core::net::{IpAddr, Ipv6Addr};

/// An IPv6 address, or an IPv4 address in its mapped form `::ffff:a.b.c.d`; bytes as on the wire.
#[repr(C, align(4))]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address(pub [u8; 16]);

layout!(Address = 16, IpcacheKey = 20);

impl Address {
    /// Bits in front of an IPv4 address in its mapped form: what its prefix lengths count from.
    pub const V4_PREFIX: u32 = 96;

    #[inline(always)]
    #[must_use]
    pub const fn v4(octets: [u8; 4]) -> Self {
        let [a, b, c, d] = octets;
        Self([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, a, b, c, d])
    }

    #[inline(always)]
    #[must_use]
    pub const fn v6(octets: [u8; 16]) -> Self {
        Self(octets)
    }

    /// Some total order that is cheap to compute; the same for everybody on one machine.
    #[inline(always)]
    #[must_use]
    pub fn cmp_wire(&self, other: &Self) -> core::cmp::Ordering {
        let halves = |a: &Self| {
            let [first, second] = a.halves();
            (second, first)
        };
        halves(self).cmp(&halves(other))
    }

    /// The bytes in two numbers, as they lie in memory.
    #[inline(always)]
    #[must_use]
    pub const fn halves(&self) -> [u64; 2] {
        let [b0, b1, b2, b3, b4, b5, b6, b7, rest @ ..] = self.0;
        [u64::from_ne_bytes([b0, b1, b2, b3, b4, b5, b6, b7]), u64::from_ne_bytes(rest)]
    }

    /// 4 or 6.
    #[inline(always)]
    #[must_use]
    pub const fn family(&self) -> u8 {
        if self.is_v4() { 4 } else { 6 }
    }

    #[inline(always)]
    #[must_use]
    pub const fn is_v4(&self) -> bool {
        matches!(self.0, [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, ..])
    }
}

impl From<IpAddr> for Address {
    fn from(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(v4) => Self::v4(v4.octets()),
            IpAddr::V6(v6) => Self::v6(v6.octets()),
        }
    }
}

impl From<Address> for IpAddr {
    fn from(address: Address) -> Self {
        Ipv6Addr::from(address.0).to_canonical()
    }
}

/// Key of the longest-prefix map from addresses to identities, behind its count of significant bits.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IpcacheKey {
    /// [`Address::family`].
    pub family: u8,
    pub pad: [u8; 3],
    pub address: Address,
}

impl IpcacheKey {
    /// Bits in front of the address.
    pub const SCOPE_BITS: u32 = 32;

    #[inline(always)]
    #[must_use]
    pub const fn new(address: Address) -> Self {
        Self { family: address.family(), pad: [0; 3], address }
    }
}
