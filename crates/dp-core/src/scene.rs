//! What is known about a packet while it is decided about: what its events are made of.

use crate::{
    flow::{Flow, FlowKind, ICMP, ICMPV6},
    policy::Judgement,
    tables::Tables,
};
use ciliate_abi::{Address, Config, Direction, DropReason, Event, EventKind, TracePoint, config_flags, event_flags};

#[derive(Clone, Copy, Debug)]
pub struct Scene {
    pub flow: Flow,
    pub source_identity: u32,
    pub destination_identity: u32,
    pub ifindex: u32,
    /// The endpoint at whose device the packet was seen; 0 = not known yet.
    pub endpoint: u16,
    /// The endpoint it goes to, if that is another one.
    pub peer_endpoint: u16,
    /// Whose policy is being asked, and what counters go by.
    pub direction: Direction,
    /// The rule that decided last.
    pub rule: u32,
    /// [`event_flags`].
    pub flags: u8,
}

impl Scene {
    #[inline(always)]
    #[must_use]
    pub fn new(ifindex: u32, length: u32, direction: Direction) -> Self {
        let nobody = Address([0; 16]);
        let flow = Flow {
            source: nobody,
            destination: nobody,
            length,
            transport: 0,
            source_port: 0,
            destination_port: 0,
            protocol: 0,
            tcp_flags: 0,
            icmp_type: 0,
            icmp_code: 0,
            kind: FlowKind::Single,
        };
        Self {
            flow,
            source_identity: 0,
            destination_identity: 0,
            ifindex,
            endpoint: 0,
            peer_endpoint: 0,
            direction,
            rule: 0,
            flags: 0,
        }
    }

    /// Reports a policy decision, if somebody's policy applied and verdicts are wanted.
    #[inline(always)]
    pub fn report_verdict<T: Tables>(&self, tables: &T, config: &Config, endpoint: u16, judgement: &Judgement) {
        if judgement.enforced && config.flags & config_flags::VERDICT_EVENTS != 0 {
            let mut event = self.event(tables, EventKind::Verdict, judgement.outcome as u8);
            event.endpoint = endpoint;
            event.peer_endpoint = 0;
            event.rule = judgement.rule;
            tables.emit(&event);
        }
    }

    #[inline(always)]
    pub fn report_trace<T: Tables>(&self, tables: &T, point: TracePoint) {
        tables.emit(&self.event(tables, EventKind::Trace, point as u8));
    }

    #[inline(always)]
    pub fn report_drop<T: Tables>(&self, tables: &T, reason: DropReason) {
        tables.emit(&self.event(tables, EventKind::Drop, reason as u8));
    }

    #[inline(always)]
    fn event<T: Tables>(&self, tables: &T, kind: EventKind, detail: u8) -> Event {
        let flow = &self.flow;
        let (source_port, destination_port) = match flow.protocol {
            ICMP | ICMPV6 => (u16::from(flow.icmp_type), u16::from(flow.icmp_code)),
            _ => (flow.source_port, flow.destination_port),
        };
        Event {
            time: tables.nanoseconds(),
            source: flow.source,
            destination: flow.destination,
            source_identity: self.source_identity,
            destination_identity: self.destination_identity,
            rule: self.rule,
            ifindex: self.ifindex,
            length: flow.length,
            source_port,
            destination_port,
            endpoint: self.endpoint,
            kind: kind as u8,
            protocol: flow.protocol,
            direction: self.direction as u8,
            detail,
            tcp_flags: flow.tcp_flags,
            flags: self.flags,
            peer_endpoint: self.peer_endpoint,
            pad: [0; 2],
        }
    }

    #[inline(always)]
    pub fn set_flag(&mut self, flag: u8) {
        self.flags |= flag;
    }

    #[inline(always)]
    #[must_use]
    pub fn is_reply(&self) -> bool {
        self.flags & event_flags::REPLY != 0
    }
}
