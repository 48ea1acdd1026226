//! Reading a packet's headers.

use crate::tables::Tables;
use ciliate_abi::{Address, DropReason, FragmentKey, FragmentPorts};

pub const ETH_LENGTH: u32 = 14;
pub const ETHERTYPE_IPV4: u16 = 0x0800;
pub const ETHERTYPE_ARP: u16 = 0x0806;
pub const ETHERTYPE_IPV6: u16 = 0x86dd;

pub const ICMP: u8 = 1;
pub const TCP: u8 = 6;
pub const UDP: u8 = 17;
pub const ICMPV6: u8 = 58;
pub const SCTP: u8 = 132;

pub const TCP_FIN: u8 = 1;
pub const TCP_SYN: u8 = 2;
pub const TCP_RST: u8 = 4;
pub const TCP_ACK: u8 = 16;

const ICMP_ECHO_REPLY: u8 = 0;
const ICMP_ECHO: u8 = 8;
const ICMPV6_ECHO: u8 = 128;
const ICMPV6_ECHO_REPLY: u8 = 129;

/// A packet that starts with its Ethernet header.
pub trait Packet {
    /// Copies bytes out; `None` if the packet ends before them.
    fn load<const N: usize>(&self, offset: u32) -> Option<[u8; N]>;
    /// Bytes in all.
    fn length(&self) -> u32;
    /// Network protocol by its Ethernet number.
    fn ethertype(&self) -> u16;
    /// Whether a VLAN tag was taken off it.
    fn is_tagged(&self) -> bool;
    /// [`ciliate_abi::mark`].
    fn mark(&self) -> u32;
    /// Copies the first bytes, at most `most`; returns how many. `N` is a power of two.
    fn capture<const N: usize>(&self, into: &mut [u8; N], most: u32) -> u32;
}

/// What decides about a packet, read from its network and transport headers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flow {
    pub source: Address,
    pub destination: Address,
    /// Bytes from the network header on.
    pub length: u32,
    /// Where the transport header starts.
    pub transport: u32,
    /// Ports of the connection; an echo request has its identifier as source, the reply as destination.
    pub source_port: u16,
    pub destination_port: u16,
    pub protocol: u8,
    pub tcp_flags: u8,
    pub icmp_type: u8,
    pub icmp_code: u8,
    pub kind: FlowKind,
}

/// How a packet relates to connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FlowKind {
    /// May open a connection or belong to one.
    Connection,
    /// Can only be the answer of a connection: an echo reply.
    AnswerOnly,
    /// Speaks about the connection whose packet it quotes after its own header.
    IcmpError,
    /// Judged on its own: other ICMP.
    Single,
    /// Part of a datagram whose ICMP type was in another fragment.
    LaterFragment,
}

impl Flow {
    /// A packet of which only the length is known.
    #[inline(always)]
    #[must_use]
    pub fn empty(length: u32) -> Self {
        Self {
            source: Address([0; 16]),
            destination: Address([0; 16]),
            length,
            transport: 0,
            source_port: 0,
            destination_port: 0,
            protocol: 0,
            tcp_flags: 0,
            icmp_type: 0,
            icmp_code: 0,
            kind: FlowKind::Connection,
        }
    }

    /// What policy calls the port: the destination port, or the ICMP type.
    #[inline(always)]
    #[must_use]
    pub fn policy_port(&self) -> u16 {
        match self.protocol {
            ICMP | ICMPV6 => self.icmp_type as u16,
            TCP | UDP | SCTP => self.destination_port,
            _ => 0,
        }
    }

    /// The same connection seen from the other side.
    #[inline(always)]
    pub fn reverse(&mut self) {
        core::mem::swap(&mut self.source, &mut self.destination);
        core::mem::swap(&mut self.source_port, &mut self.destination_port);
    }

    /// The ICMP type that opens connections of this protocol.
    #[inline(always)]
    #[must_use]
    pub fn opening_icmp_type(&self) -> u8 {
        match self.protocol {
            ICMP => ICMP_ECHO,
            ICMPV6 => ICMPV6_ECHO,
            _ => 0,
        }
    }
}

/// What of the network header matters only while reading.
#[derive(Clone, Copy)]
struct Network {
    fragment: Fragment,
    identification: u32,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Fragment {
    Whole,
    First,
    Later,
}

/// Reads an IP packet into `flow`; ports of later fragments come from the first one's row.
///
/// A function of its own in the kernel, like the other stages: the verifier then checks what follows once, and not
/// once for every kind of packet.
#[inline(never)]
pub fn read<P: Packet, T: Tables>(packet: &P, tables: &T, flow: &mut Flow) -> Result<(), DropReason> {
    let network = read_network(packet, ETH_LENGTH, packet.ethertype(), flow)?;
    match network.fragment {
        Fragment::Whole => read_transport(packet, flow),
        Fragment::First => {
            read_transport(packet, flow)?;
            let ports = FragmentPorts { source: flow.source_port, destination: flow.destination_port };
            tables.put_fragment(&fragment_key(flow, network), &ports);
            Ok(())
        }
        Fragment::Later if has_transport(flow.protocol) => {
            let ports = tables.fragment(&fragment_key(flow, network)).ok_or(DropReason::FragmentNotFound)?;
            flow.source_port = ports.source;
            flow.destination_port = ports.destination;
            if is_icmp(flow.protocol) {
                flow.kind = FlowKind::LaterFragment;
            }
            Ok(())
        }
        Fragment::Later => Ok(()),
    }
}

/// Reads the packet that an ICMP error quotes: addresses, protocol and ports only. Returns whether that packet
/// can belong to a connection.
#[inline(always)]
pub fn read_quoted<P: Packet>(packet: &P, error: &Flow, quoted: &mut Flow) -> bool {
    let ethertype = if error.protocol == ICMP { ETHERTYPE_IPV4 } else { ETHERTYPE_IPV6 };
    *quoted = Flow::empty(error.length);
    match read_network(packet, error.transport.wrapping_add(8), ethertype, quoted) {
        Ok(Network { fragment: Fragment::Whole | Fragment::First, .. }) => {}
        Ok(Network { fragment: Fragment::Later, .. }) | Err(_) => return false,
    }
    match quoted.protocol {
        TCP | UDP | SCTP => read_ports(packet, quoted).is_ok(),
        // An error about an error, or about what is never tracked, relates to nothing.
        ICMP | ICMPV6 => {
            read_icmp(packet, quoted).is_ok()
                && matches!(quoted.kind, FlowKind::Connection | FlowKind::AnswerOnly)
        }
        _ => true,
    }
}

#[inline(always)]
fn has_transport(protocol: u8) -> bool {
    matches!(protocol, TCP | UDP | SCTP) || is_icmp(protocol)
}

#[inline(always)]
fn is_icmp(protocol: u8) -> bool {
    matches!(protocol, ICMP | ICMPV6)
}

#[inline(always)]
fn fragment_key(flow: &Flow, network: Network) -> FragmentKey {
    FragmentKey {
        source: flow.source,
        destination: flow.destination,
        identification: network.identification,
        protocol: u32::from(flow.protocol),
    }
}

#[inline(always)]
fn read_network<P: Packet>(
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

#[inline(always)]
fn read_transport<P: Packet>(packet: &P, flow: &mut Flow) -> Result<(), DropReason> {
    match flow.protocol {
        TCP => {
            let [s0, s1, d0, d1, _, _, _, _, _, _, _, _, _, flags]: [u8; 14] =
                packet.load(flow.transport).ok_or(DropReason::TruncatedHeader)?;
            flow.source_port = u16::from_be_bytes([s0, s1]);
            flow.destination_port = u16::from_be_bytes([d0, d1]);
            flow.tcp_flags = flags;
        }
        UDP | SCTP => read_ports(packet, flow)?,
        ICMP | ICMPV6 => read_icmp(packet, flow)?,
        _ => {}
    }
    Ok(())
}

#[inline(always)]
fn read_ports<P: Packet>(packet: &P, flow: &mut Flow) -> Result<(), DropReason> {
    let [s0, s1, d0, d1]: [u8; 4] = packet.load(flow.transport).ok_or(DropReason::TruncatedHeader)?;
    flow.source_port = u16::from_be_bytes([s0, s1]);
    flow.destination_port = u16::from_be_bytes([d0, d1]);
    Ok(())
}

#[inline(always)]
fn read_icmp<P: Packet>(packet: &P, flow: &mut Flow) -> Result<(), DropReason> {
    let [kind, code, _, _, i0, i1, _, _]: [u8; 8] =
        packet.load(flow.transport).ok_or(DropReason::TruncatedHeader)?;
    let identifier = u16::from_be_bytes([i0, i1]);
    flow.icmp_type = kind;
    flow.icmp_code = code;
    flow.kind = match (flow.protocol, kind) {
        (ICMP, ICMP_ECHO) | (ICMPV6, ICMPV6_ECHO) => {
            flow.source_port = identifier;
            FlowKind::Connection
        }
        (ICMP, ICMP_ECHO_REPLY) | (ICMPV6, ICMPV6_ECHO_REPLY) => {
            flow.destination_port = identifier;
            FlowKind::AnswerOnly
        }
        // RFC 792: unreachable, time exceeded, parameter problem; RFC 4443: types below 128.
        (ICMP, 3 | 11 | 12) | (ICMPV6, 1..=4) => FlowKind::IcmpError,
        (_, _) => FlowKind::Single,
    };
    Ok(())
}
