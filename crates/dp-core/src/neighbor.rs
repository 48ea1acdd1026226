//! Answers for the router's address: ARP (RFC 826) and neighbour discovery (RFC 4861).

use crate::flow::{ETH_LENGTH, ICMPV6, Packet};
use ciliate_abi::{Address, Config, DropReason, Endpoint};

/// A frame to send back to where the question came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    Arp([u8; ARP_LENGTH]),
    Advertisement([u8; ADVERTISEMENT_LENGTH]),
}

pub const ARP_LENGTH: usize = 42;
/// Ethernet, IPv6, neighbour advertisement with the target's link-layer address.
pub const ADVERTISEMENT_LENGTH: usize = 86;

const SOLICITATION: u8 = 135;
const ADVERTISEMENT: u8 = 136;

#[inline(always)]
pub fn answer_arp<P: Packet>(packet: &P, config: &Config, endpoint: &Endpoint) -> Result<Answer, DropReason> {
    let body: [u8; 28] = packet.load(ETH_LENGTH).ok_or(DropReason::TruncatedHeader)?;
    let [h0, h1, p0, p1, hl, pl, o0, o1, _, _, _, _, _, _, s0, s1, s2, s3, _, _, _, _, _, _, t0, t1, t2, t3] = body;
    // Ethernet, IPv4, request.
    if [h0, h1, p0, p1, hl, pl, o0, o1] != [0, 1, 8, 0, 6, 4, 0, 1] {
        return Err(DropReason::InvalidPacket);
    }
    let target = Address::v4([t0, t1, t2, t3]);
    if target != config.gateway_v4 {
        return Err(DropReason::FibLookup);
    }
    let [g0, g1, g2, g3, g4, g5] = endpoint.gateway_mac;
    let [m0, m1, m2, m3, m4, m5] = endpoint.mac;
    Ok(Answer::Arp([
        m0, m1, m2, m3, m4, m5, g0, g1, g2, g3, g4, g5, 8, 6, //
        0, 1, 8, 0, 6, 4, 0, 2, //
        g0, g1, g2, g3, g4, g5, t0, t1, t2, t3, //
        m0, m1, m2, m3, m4, m5, s0, s1, s2, s3,
    ]))
}

/// Answers a solicitation for the router; `None` if the packet is no neighbour discovery at all.
#[inline(always)]
pub fn answer_solicitation<P: Packet>(
    packet: &P,
    config: &Config,
    endpoint: &Endpoint,
) -> Option<Result<Answer, DropReason>> {
    // Neighbour discovery has no extension headers: RFC 6980 and the hop limit check of RFC 4861, 7.1.1.
    let header: [u8; 64] = packet.load(ETH_LENGTH)?;
    let [_, _, _, _, _, _, next, hops, rest @ ..] = header;
    let [source @ .., _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, kind, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _] = rest;
    if next != ICMPV6 || !(133..=137).contains(&kind) {
        return None;
    }
    let [.., t0, t1, t2, t3, t4, t5, t6, t7, t8, t9, t10, t11, t12, t13, t14, t15] = rest;
    let target = [t0, t1, t2, t3, t4, t5, t6, t7, t8, t9, t10, t11, t12, t13, t14, t15];
    if kind != SOLICITATION || hops != 255 {
        return Some(Err(DropReason::UnknownIcmp6));
    }
    // An all-zero source is duplicate address detection: nobody else has its address.
    if source == [0; 16] || Address::v6(target) != config.gateway_v6 {
        return Some(Err(DropReason::FibLookup));
    }
    Some(Ok(Answer::Advertisement(advertisement(endpoint, &target, &source))))
}

#[inline(always)]
fn advertisement(endpoint: &Endpoint, target: &[u8; 16], asker: &[u8; 16]) -> [u8; ADVERTISEMENT_LENGTH] {
    const LENGTH: u8 = 32;
    // Router, solicited, override.
    const FLAGS: u8 = 0xe0;
    let [g0, g1, g2, g3, g4, g5] = endpoint.gateway_mac;
    let [m0, m1, m2, m3, m4, m5] = endpoint.mac;
    let [t0, t1, t2, t3, t4, t5, t6, t7, t8, t9, t10, t11, t12, t13, t14, t15] = *target;
    let [a0, a1, a2, a3, a4, a5, a6, a7, a8, a9, a10, a11, a12, a13, a14, a15] = *asker;
    let mut sum = Checksum(0);
    sum.add(target).add(asker);
    sum.word(u16::from(LENGTH)).word(u16::from(ICMPV6));
    sum.word(u16::from_be_bytes([ADVERTISEMENT, 0])).word(u16::from_be_bytes([FLAGS, 0]));
    sum.add(target);
    sum.word(u16::from_be_bytes([2, 1]));
    sum.word(u16::from_be_bytes([g0, g1])).word(u16::from_be_bytes([g2, g3])).word(u16::from_be_bytes([g4, g5]));
    let [c0, c1] = sum.finish().to_be_bytes();
    [
        m0, m1, m2, m3, m4, m5, g0, g1, g2, g3, g4, g5, 0x86, 0xdd, //
        0x60, 0, 0, 0, 0, LENGTH, ICMPV6, 255, //
        t0, t1, t2, t3, t4, t5, t6, t7, t8, t9, t10, t11, t12, t13, t14, t15, //
        a0, a1, a2, a3, a4, a5, a6, a7, a8, a9, a10, a11, a12, a13, a14, a15, //
        ADVERTISEMENT, 0, c0, c1, FLAGS, 0, 0, 0, //
        t0, t1, t2, t3, t4, t5, t6, t7, t8, t9, t10, t11, t12, t13, t14, t15, //
        2, 1, g0, g1, g2, g3, g4, g5,
    ]
}

/// The Internet checksum (RFC 1071).
struct Checksum(u32);

impl Checksum {
    #[inline(always)]
    fn word(&mut self, word: u16) -> &mut Self {
        self.0 = self.0.wrapping_add(u32::from(word));
        self
    }

    #[inline(always)]
    fn add(&mut self, bytes: &[u8; 16]) -> &mut Self {
        let [b0, b1, b2, b3, b4, b5, b6, b7, b8, b9, b10, b11, b12, b13, b14, b15] = *bytes;
        self.word(u16::from_be_bytes([b0, b1])).word(u16::from_be_bytes([b2, b3]));
        self.word(u16::from_be_bytes([b4, b5])).word(u16::from_be_bytes([b6, b7]));
        self.word(u16::from_be_bytes([b8, b9])).word(u16::from_be_bytes([b10, b11]));
        self.word(u16::from_be_bytes([b12, b13])).word(u16::from_be_bytes([b14, b15]))
    }

    #[inline(always)]
    fn finish(&self) -> u16 {
        let folded = (self.0 & 0xffff).wrapping_add(self.0 >> 16);
        let folded = (folded & 0xffff).wrapping_add(folded >> 16);
        !(folded as u16)
    }
}
