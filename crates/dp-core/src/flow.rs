//! Reading a packet's headers.

mod network;
mod transport;

use crate::tables::Tables;
use ciliate_abi::{Address, DropReason, FragmentKey, FragmentPorts};
use network::{Fragment, Network, read_network};
use transport::{ICMP_ECHO, ICMPV6_ECHO, read_icmp, read_ports, read_transport};

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
