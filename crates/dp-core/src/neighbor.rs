//! Answers for the router's address: ARP (RFC 826) and neighbour discovery (RFC 4861).

use crate::flow::{ETH_LENGTH, Flow, ICMPV6, Packet};
use ciliate_abi::{Address, Config, DropReason, Endpoint};

const ROUTER_SOLICITATION: u8 = 133;
const SOLICITATION: u8 = 135;
const ADVERTISEMENT: u8 = 136;
const REDIRECT: u8 = 137;

/// Whether a packet is neighbour discovery of any kind.
#[inline(always)]
#[must_use]
pub fn is_discovery(flow: &Flow) -> bool {
    flow.protocol == ICMPV6 && (ROUTER_SOLICITATION..=REDIRECT).contains(&flow.icmp_type)
}

/// Accepts an ARP request for the router's address.
#[inline(always)]
pub fn check_arp<P: Packet>(packet: &P, config: &Config) -> Result<(), DropReason> {
    let [h0, h1, p0, p1, hl, pl, o0, o1]: [u8; 8] =
        packet.load(ETH_LENGTH).ok_or(DropReason::TruncatedHeader)?;
    // Ethernet, IPv4, request.
    if [h0, h1, p0, p1, hl, pl, o0, o1] != [0, 1, 8, 0, 6, 4, 0, 1] {
        return Err(DropReason::InvalidPacket);
    }
    let target =
        packet.load(ETH_LENGTH.wrapping_add(24)).map(Address::v4).ok_or(DropReason::TruncatedHeader)?;
    if target == config.gateway_v4 { Ok(()) } else { Err(DropReason::FibLookup) }
}

/// Accepts a neighbour solicitation for the router's address.
#[inline(always)]
pub fn check_solicitation<P: Packet>(packet: &P, config: &Config, flow: &Flow) -> Result<(), DropReason> {
    // A router in between would have lowered the hop limit: RFC 4861, 7.1.1.
    let [hops]: [u8; 1] = packet.load(ETH_LENGTH.wrapping_add(7)).ok_or(DropReason::TruncatedHeader)?;
    if flow.icmp_type != SOLICITATION || hops != 255 {
        return Err(DropReason::UnknownIcmp6);
    }
    let target =
        packet.load(flow.transport.wrapping_add(8)).map(Address::v6).ok_or(DropReason::TruncatedHeader)?;
    if target == config.gateway_v6 { Ok(()) } else { Err(DropReason::FibLookup) }
}

/// The frame that tells an endpoint the router's link-layer address (RFC 826).
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ArpReply {
    to: [u8; 6],
    from: [u8; 6],
    /// Ethertype, then hardware and protocol with their address lengths, then the operation.
    header: [u8; 10],
    router_mac: [u8; 6],
    router: [u8; 4],
    asker_mac: [u8; 6],
    asker: [u8; 4],
}

const _: () = assert!(size_of::<ArpReply>() == 42);

impl ArpReply {
    #[inline(always)]
    #[must_use]
    pub fn new(config: &Config, endpoint: &Endpoint, asker: &Address) -> Self {
        Self {
            to: endpoint.mac,
            from: endpoint.gateway_mac,
            header: [0x08, 0x06, 0, 1, 0x08, 0, 6, 4, 0, 2],
            router_mac: endpoint.gateway_mac,
            router: v4(&config.gateway_v4),
            asker_mac: endpoint.mac,
            asker: v4(asker),
        }
    }
}

#[inline(always)]
fn v4(address: &Address) -> [u8; 4] {
    let [.., a, b, c, d] = address.0;
    [a, b, c, d]
}

/// The same for IPv6: a neighbour advertisement with the target's link-layer address (RFC 4861, 4.4).
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Advertisement {
    to: [u8; 6],
    from: [u8; 6],
    /// Ethertype, then the IPv6 header up to its addresses.
    header: [u8; 10],
    router: [u8; 16],
    asker: [u8; 16],
    /// Type and code.
    kind: [u8; 2],
    checksum: [u8; 2],
    flags: [u8; 4],
    target: [u8; 16],
    /// Target link-layer address, one unit of eight bytes.
    option: [u8; 2],
    router_mac: [u8; 6],
}

const _: () = assert!(size_of::<Advertisement>() == 86);

impl Advertisement {
    #[inline(always)]
    #[must_use]
    pub fn new(config: &Config, endpoint: &Endpoint, asker: &Address) -> Self {
        const LENGTH: u8 = 32;
        // Router, solicited, override.
        const FLAGS: [u8; 4] = [0xe0, 0, 0, 0];
        const KIND: [u8; 2] = [ADVERTISEMENT, 0];
        const OPTION: [u8; 2] = [2, 1];
        let router = &config.gateway_v6.0;
        let mut sum = Checksum(0);
        // The pseudo-header, then the message; the target is the router once more.
        sum.add(router).add(&asker.0).word([0, LENGTH]).word([0, ICMPV6]);
        sum.word(KIND).word([FLAGS[0], 0]).add(router).word(OPTION);
        let [g0, g1, g2, g3, g4, g5] = endpoint.gateway_mac;
        sum.word([g0, g1]).word([g2, g3]).word([g4, g5]);
        Self {
            to: endpoint.mac,
            from: endpoint.gateway_mac,
            header: [0x86, 0xdd, 0x60, 0, 0, 0, 0, LENGTH, ICMPV6, 255],
            router: *router,
            asker: asker.0,
            kind: KIND,
            checksum: sum.finish(),
            flags: FLAGS,
            target: *router,
            option: OPTION,
            router_mac: endpoint.gateway_mac,
        }
    }
}

/// The Internet checksum (RFC 1071).
struct Checksum(u32);

impl Checksum {
    #[inline(always)]
    fn word(&mut self, bytes: [u8; 2]) -> &mut Self {
        self.0 = self.0.wrapping_add(u32::from(u16::from_be_bytes(bytes)));
        self
    }

    #[inline(always)]
    fn add(&mut self, bytes: &[u8; 16]) -> &mut Self {
        let (words, _) = bytes.as_chunks::<2>();
        let [a, b, c, d, e, f, g, h] = words else { return self };
        self.word(*a).word(*b).word(*c).word(*d).word(*e).word(*f).word(*g).word(*h)
    }

    #[inline(always)]
    fn finish(&self) -> [u8; 2] {
        let folded = (self.0 & 0xffff).wrapping_add(self.0 >> 16);
        let folded = (folded & 0xffff).wrapping_add(folded >> 16);
        (!(folded as u16)).to_be_bytes()
    }
}
