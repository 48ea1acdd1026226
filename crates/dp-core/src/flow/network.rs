//! Network headers: IPv4, and IPv6 with its extension headers.

use super::{ETHERTYPE_IPV4, ETHERTYPE_IPV6, Flow, Packet};
use ciliate_abi::{Address, DropReason};

/// What of the network header matters only while reading.
#[derive(Clone, Copy)]
pub struct Network {
    pub fragment: Fragment,
    pub identification: u32,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Fragment {
    Whole,
    First,
    Later,
}

#[inline(always)]
pub fn read_network<P: Packet>(
    packet: &P,
    offset: u32,
    ethertype: u16,
    flow: &mut Flow,
) -> Result<Network, DropReason> {
    match ethertype {
        ETHERTYPE_IPV4 => read_ipv4(packet, offset, flow),
        ETHERTYPE_IPV6 => read_ipv6(packet, offset, flow),
        _ => Err(DropReason::UnsupportedL3),
    }
}

#[inline(always)]
fn read_ipv4<P: Packet>(packet: &P, offset: u32, flow: &mut Flow) -> Result<Network, DropReason> {
    let header: [u8; 20] = packet.load(offset).ok_or(DropReason::TruncatedHeader)?;
    let [
        version_length,
        _,
        total_high,
        total_low,
        id_high,
        id_low,
        fragment_high,
        fragment_low,
        _,
        protocol,
        _,
        _,
        s0,
        s1,
        s2,
        s3,
        d0,
        d1,
        d2,
        d3,
    ] = header;
    let header_length = u32::from(version_length & 0xf).wrapping_mul(4);
    let total = u32::from(u16::from_be_bytes([total_high, total_low]));
    if version_length >> 4 != 4 || header_length < 20 || total < header_length {
        return Err(DropReason::InvalidPacket);
    }
    let fragment = u16::from_be_bytes([fragment_high, fragment_low]);
    flow.source = Address::v4([s0, s1, s2, s3]);
    flow.destination = Address::v4([d0, d1, d2, d3]);
    flow.protocol = protocol;
    flow.transport = offset.wrapping_add(header_length);
    Ok(Network {
        fragment: fragment_position(fragment & 0x1fff, fragment & 0x2000 != 0),
        identification: u32::from(u16::from_be_bytes([id_high, id_low])),
    })
}

#[inline(always)]
fn fragment_position(offset: u16, more: bool) -> Fragment {
    match (offset, more) {
        (0, false) => Fragment::Whole,
        (0, true) => Fragment::First,
        (_, _) => Fragment::Later,
    }
}

const HOP_BY_HOP: u8 = 0;
const ROUTING: u8 = 43;
const FRAGMENT: u8 = 44;
const AUTHENTICATION: u8 = 51;
const DESTINATION_OPTIONS: u8 = 60;
/// More than any sane sender uses, few enough for the verifier.
const MAX_EXTENSION_HEADERS: u32 = 6;

#[inline(always)]
fn read_ipv6<P: Packet>(packet: &P, offset: u32, flow: &mut Flow) -> Result<Network, DropReason> {
    let header: [u8; 40] = packet.load(offset).ok_or(DropReason::TruncatedHeader)?;
    let [version, _, _, _, _, _, next, _, addresses @ ..] = header;
    if version >> 4 != 6 {
        return Err(DropReason::InvalidPacket);
    }
    let (source, destination) = split_addresses(addresses);
    flow.source = Address::v6(source);
    flow.destination = Address::v6(destination);
    let mut network = Network { fragment: Fragment::Whole, identification: 0 };
    let mut protocol = next;
    let mut transport = offset.wrapping_add(40);
    // A mapped address on the wire would pass for an IPv4 one in every table.
    if flow.source.is_v4() || flow.destination.is_v4() {
        return Err(DropReason::InvalidPacket);
    }
    let mut count = 0;
    while matches!(protocol, HOP_BY_HOP | ROUTING | FRAGMENT | AUTHENTICATION | DESTINATION_OPTIONS) {
        if count == MAX_EXTENSION_HEADERS {
            return Err(DropReason::ExtensionHeader);
        }
        count = count.wrapping_add(1);
        let [next, length, fragment_high, fragment_low, i0, i1, i2, i3]: [u8; 8] =
            packet.load(transport).ok_or(DropReason::ExtensionHeader)?;
        let bytes = match protocol {
            FRAGMENT => {
                let fragment = u16::from_be_bytes([fragment_high, fragment_low]);
                network.fragment = fragment_position(fragment >> 3, fragment & 1 != 0);
                network.identification = u32::from_be_bytes([i0, i1, i2, i3]);
                8
            }
            AUTHENTICATION => u32::from(length).wrapping_add(2).wrapping_mul(4),
            _ => u32::from(length).wrapping_add(1).wrapping_mul(8),
        };
        protocol = next;
        transport = transport.wrapping_add(bytes);
        if let Fragment::Later = network.fragment {
            break;
        }
    }
    flow.protocol = protocol;
    flow.transport = transport;
    Ok(network)
}

#[inline(always)]
fn split_addresses(both: [u8; 32]) -> ([u8; 16], [u8; 16]) {
    let [
        a0,
        a1,
        a2,
        a3,
        a4,
        a5,
        a6,
        a7,
        a8,
        a9,
        a10,
        a11,
        a12,
        a13,
        a14,
        a15, //
        b0,
        b1,
        b2,
        b3,
        b4,
        b5,
        b6,
        b7,
        b8,
        b9,
        b10,
        b11,
        b12,
        b13,
        b14,
        b15,
    ] = both;
    (
        [a0, a1, a2, a3, a4, a5, a6, a7, a8, a9, a10, a11, a12, a13, a14, a15],
        [b0, b1, b2, b3, b4, b5, b6, b7, b8, b9, b10, b11, b12, b13, b14, b15],
    )
}
