//! What is known about a packet while it is decided about, and what its events are made of.
//!
//! It does not fit on the programs' stack of 512 bytes: in the kernel it lies in a row of the processor's own.

use crate::{
    admission::{Epochs, Known},
    flow::{Flow, ICMP, ICMPV6},
    policy::{Judgement, Search},
    tables::Tables,
};
use ciliate_abi::{
    Address, Config, ConnectionKey, Direction, DropReason, Event, EventKind, TracePoint, config_flags,
};

#[derive(Clone, Copy, Debug)]
pub struct Scene {
    pub flow: Flow,
    /// The packet that an ICMP error quotes.
    pub quoted: Flow,
    /// The row its connection has.
    pub key: ConnectionKey,
    pub search: Search,
    pub known: Known,
    pub epochs: Epochs,
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
    /// Whether the packet's connection leads through the proxy.
    pub proxied: bool,
}

impl Scene {
    #[inline(always)]
    #[must_use]
    pub fn new(ifindex: u32, length: u32, direction: Direction) -> Self {
        let nobody = Address([0; 16]);
        Self {
            flow: Flow::empty(length),
            quoted: Flow::empty(0),
            key: ConnectionKey {
                low: nobody,
                high: nobody,
                low_port: 0,
                high_port: 0,
                protocol: 0,
                pad: [0; 3],
            },
            search: Search::IDLE,
            known: Known::NOTHING,
            epochs: Epochs::NONE,
            source_identity: 0,
            destination_identity: 0,
            ifindex,
            endpoint: 0,
            peer_endpoint: 0,
            direction,
            rule: 0,
            flags: 0,
            proxied: false,
        }
    }

    /// Makes a scene ready for the next packet. What is always written before it is read stays as it is: this runs
    /// for every packet.
    #[inline(always)]
    pub fn reset(&mut self, ifindex: u32, length: u32, direction: Direction) {
        self.flow = Flow::empty(length);
        self.source_identity = 0;
        self.destination_identity = 0;
        self.ifindex = ifindex;
        self.endpoint = 0;
        self.peer_endpoint = 0;
        self.direction = direction;
        self.rule = 0;
        self.flags = 0;
        self.proxied = false;
    }

    /// The same packet's connection seen from the other side.
    #[inline(always)]
    pub fn reverse(&mut self) {
        self.flow.reverse();
        core::mem::swap(&mut self.source_identity, &mut self.destination_identity);
        self.epochs.reverse();
    }

    /// Reports a policy decision, if somebody's policy applied and verdicts are wanted.
    #[inline(always)]
    pub fn report_verdict<T: Tables>(
        &self,
        tables: &T,
        config: &Config,
        endpoint: u16,
        judgement: &Judgement,
    ) {
        if judgement.enforced && config.flags & config_flags::VERDICT_EVENTS != 0 {
            self.report(tables, EventKind::Verdict, judgement.outcome as u8, endpoint);
        }
    }

    #[inline(always)]
    pub fn report_trace<T: Tables>(&self, tables: &T, point: TracePoint) {
        self.report(tables, EventKind::Trace, point as u8, self.endpoint);
    }

    #[inline(always)]
    pub fn report_drop<T: Tables>(&self, tables: &T, reason: DropReason) {
        self.report(tables, EventKind::Drop, reason as u8, self.endpoint);
    }

    /// Events are written in place: they are too large for the programs' stack.
    #[inline(never)]
    fn report<T: Tables>(&self, tables: &T, kind: EventKind, detail: u8, endpoint: u16) {
        let time = tables.nanoseconds();
        tables.emit(|| {
            let flow = &self.flow;
            let (source_port, destination_port) = match flow.protocol {
                ICMP | ICMPV6 => (u16::from(flow.icmp_type), u16::from(flow.icmp_code)),
                _ => (flow.source_port, flow.destination_port),
            };
            Event {
                time,
                source: flow.source,
                destination: flow.destination,
                source_identity: self.source_identity,
                destination_identity: self.destination_identity,
                rule: self.rule,
                ifindex: self.ifindex,
                length: flow.length,
                source_port,
                destination_port,
                endpoint,
                kind: kind as u8,
                protocol: flow.protocol,
                direction: self.direction as u8,
                detail,
                tcp_flags: flow.tcp_flags,
                flags: self.flags,
                peer_endpoint: self.peer_endpoint,
                pad: [0; 2],
            }
        });
    }

    #[inline(always)]
    pub fn set_flag(&mut self, flag: u8) {
        self.flags |= flag;
    }
}
