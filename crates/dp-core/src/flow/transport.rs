//! Transport headers.

use super::{Flow, FlowKind, ICMP, ICMPV6, Packet, SCTP, TCP, UDP};
use ciliate_abi::DropReason;

const ICMP_ECHO_REPLY: u8 = 0;
pub const ICMP_ECHO: u8 = 8;
pub const ICMPV6_ECHO: u8 = 128;
const ICMPV6_ECHO_REPLY: u8 = 129;

#[inline(always)]
pub fn read_transport<P: Packet>(packet: &P, flow: &mut Flow) -> Result<(), DropReason> {
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
pub fn read_ports<P: Packet>(packet: &P, flow: &mut Flow) -> Result<(), DropReason> {
    let [s0, s1, d0, d1]: [u8; 4] = packet.load(flow.transport).ok_or(DropReason::TruncatedHeader)?;
    flow.source_port = u16::from_be_bytes([s0, s1]);
    flow.destination_port = u16::from_be_bytes([d0, d1]);
    Ok(())
}

#[inline(always)]
pub fn read_icmp<P: Packet>(packet: &P, flow: &mut Flow) -> Result<(), DropReason> {
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
