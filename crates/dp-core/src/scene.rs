//! What is known about a packet while it is decided about, and what its events are made of.
//!
//! It does not fit on the programs' stack of 512 bytes: in the kernel it lies in a row of the processor's own.

use crate::{
    admission::{Epochs, Known},
    flow::{Flow, ICMP, ICMPV6, Packet},
    hook::{Action, Receiver},
    policy::{Judgement, Search},
    tables::Tables,
};
use ciliate_abi::{
    Address, ConnectionKey, Direction, Event, EventKind, TracePoint, event_flags, verdict_bits, watched,
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
    /// The endpoint of this node that sent the packet; 0 = none, or not known yet.
    pub source_endpoint: u16,
    /// The endpoint of this node that it goes to; 0 = none, or not known yet.
    pub destination_endpoint: u16,
    /// Whose policy is being asked, and what counters go by.
    pub direction: Direction,
    /// Rules that let the connection out of its originator and into its responder, or would not; 0 = none did.
    pub egress_rule: u32,
    pub ingress_rule: u32,
    /// [`verdict_bits`] of the policies asked about this packet.
    pub verdicts: u8,
    /// [`event_flags`](ciliate_abi::event_flags).
    pub flags: u8,
    /// Whether the packet's connection leads through the proxy.
    pub proxied: bool,
    /// What becomes of the packet.
    pub action: Action,
    /// Number of the [`DropReason`] if it is dropped, otherwise 0.
    pub drop_reason: u8,
    /// Of a packet that is delivered.
    pub receiver: Receiver,
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
            source_endpoint: 0,
            destination_endpoint: 0,
            direction,
            egress_rule: 0,
            ingress_rule: 0,
            verdicts: 0,
            flags: 0,
            proxied: false,
            action: Action::Drop,
            drop_reason: 0,
            receiver: Receiver { addresses: [[0; 6]; 2], ifindex: 0 },
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
        self.source_endpoint = 0;
        self.destination_endpoint = 0;
        self.direction = direction;
        self.egress_rule = 0;
        self.ingress_rule = 0;
        self.verdicts = 0;
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

    /// Notes what a policy said, for the packet's event and its connection's row.
    #[inline(always)]
    pub fn note(&mut self, direction: Direction, judgement: &Judgement) {
        match direction {
            Direction::Egress => self.egress_rule = judgement.rule,
            Direction::Ingress => self.ingress_rule = judgement.rule,
        }
        if judgement.enforced {
            self.verdicts |= verdict_bits(direction, judgement.outcome);
        }
    }

    #[inline(always)]
    pub fn report_trace<P: Packet, T: Tables>(&self, packet: &P, tables: &T, point: TracePoint) {
        self.report(packet, tables, EventKind::Trace, point as u8);
    }

    #[inline(always)]
    pub fn report_drop<P: Packet, T: Tables>(&self, packet: &P, tables: &T) {
        self.report(packet, tables, EventKind::Drop, self.drop_reason);
    }

    /// One event says all of a packet: where it goes or why not, and what policies said. It is written in place,
    /// being too large for the programs' stack, and only if somebody wants it.
    #[inline(never)]
    fn report<P: Packet, T: Tables>(&self, packet: &P, tables: &T, kind: EventKind, detail: u8) {
        let Some(watch) = tables.watch() else { return };
        let kinds = match kind {
            EventKind::Drop => watched::DROPS,
            EventKind::Trace => watched::TRACES,
        };
        let all = if self.verdicts == 0 { kinds } else { kinds | watched::VERDICTS };
        let mut told = watch.kinds & all;
        if told == 0 {
            return;
        }
        let time = tables.nanoseconds();
        let limited = told & watch.limited;
        if limited != 0 {
            if limited & kinds != 0 && !tables.within_limit(kinds, time) {
                told &= !kinds;
            }
            if limited & watched::VERDICTS != 0 && !tables.within_limit(watched::VERDICTS, time) {
                told &= !watched::VERDICTS;
            }
            if told == 0 {
                return;
            }
        }
        let mut untold = 0;
        if told & kinds == 0 {
            untold |= event_flags::PACKET_UNTOLD;
        }
        if told & all & watched::VERDICTS != all & watched::VERDICTS {
            untold |= event_flags::VERDICTS_UNTOLD;
        }
        tables.emit(packet, watch, || {
            let event = self.event(kind as u8, detail, time);
            Event { flags: event.flags | untold, ..event }
        });
    }

    #[inline(always)]
    #[must_use]
    pub fn event(&self, kind: u8, detail: u8, time: u64) -> Event {
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
            egress_rule: self.egress_rule,
            ingress_rule: self.ingress_rule,
            ifindex: self.ifindex,
            length: flow.length,
            source_port,
            destination_port,
            source_endpoint: self.source_endpoint,
            destination_endpoint: self.destination_endpoint,
            kind,
            protocol: flow.protocol,
            direction: self.direction as u8,
            detail,
            tcp_flags: flow.tcp_flags,
            flags: self.flags,
            verdicts: self.verdicts,
            captured: 0,
        }
    }

    #[inline(always)]
    pub fn set_flag(&mut self, flag: u8) {
        self.flags |= flag;
    }
}
