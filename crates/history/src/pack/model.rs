//! The model's types as bytes.

use super::Pack;
use ciliate_flow::{
    Answer, Content, Dns, DropReason, Event, EventType, Header, Http, Interface, Judgement, Kafka, MatchType,
    Node, Outcome, Party, PolicyRef, Rare, Request, Run, Service, Stage, TcpFlags, TraceObservationPoint,
    TraceReason, TrafficDirection, Transport, Verdict, Workload,
};
use ciliate_types::Protocol;

/// Field after field; one that is added is missed by the compiler.
macro_rules! pack_struct {
    ($($kind:ty { $($field:ident),* })*) => {$(
        impl Pack for $kind {
            fn pack(&self, out: &mut Vec<u8>) {
                let Self { $($field),* } = self;
                $($field.pack(out);)*
            }

            fn unpack(input: &mut &[u8]) -> Option<Self> {
                $(let $field = Pack::unpack(input)?;)*
                Some(Self { $($field),* })
            }
        }
    )*};
}

pack_struct! {
    Node { name, labels }
    Interface { index, name }
    Party { endpoint, identity, cluster, namespace, pod, labels, workloads }
    Workload { name, kind }
    Service { name, namespace }
    Judgement { outcome, by }
    PolicyRef { kind, namespace, name, labels, revision, section }
    Request { stage, latency, content }
    Http { code, method, url, protocol, headers }
    Header { name, value }
    Dns { query, addresses, ttl, cnames, observer, rcode, query_types, record_types }
    Kafka { error_code, api_version, api_key, correlation_id, topic }
    Rare {
        source_translated, source_service, destination_service, proxy_port, trace_id, ip_trace_id,
        encrypted
    }
    EventType { kind, sub }
}

/// By Hubble's number.
macro_rules! pack_number {
    ($($kind:ty),*) => {$(
        impl Pack for $kind {
            fn pack(&self, out: &mut Vec<u8>) {
                (*self as i32).pack(out);
            }

            fn unpack(input: &mut &[u8]) -> Option<Self> {
                Self::try_from(i32::unpack(input)?).ok()
            }
        }
    )*};
}
pack_number!(Verdict, TrafficDirection, DropReason, TraceObservationPoint, TraceReason);

/// By a number of the journal's own.
macro_rules! pack_case {
    ($($kind:ident { $($number:literal = $case:ident $(($($part:ident),*))? $({$($field:ident),*})?),* })*) => {$(
        impl Pack for $kind {
            fn pack(&self, out: &mut Vec<u8>) {
                match self {
                    $(Self::$case $(($($part),*))? $({$($field),*})? => {
                        out.push($number);
                        $($($part.pack(out);)*)?
                        $($($field.pack(out);)*)?
                    })*
                }
            }

            fn unpack(input: &mut &[u8]) -> Option<Self> {
                match u8::unpack(input)? {
                    $($number => {
                        $($(let $part = Pack::unpack(input)?;)*)?
                        $($(let $field = Pack::unpack(input)?;)*)?
                        Some(Self::$case $(($($part),*))? $({$($field),*})?)
                    })*
                    _ => None,
                }
            }
        }
    )*};
}

pack_case! {
    Answer { 0 = No, 1 = Yes, 2 = Unknown }
    Outcome { 0 = Allowed, 1 = Denied }
    Stage { 0 = Request, 1 = Response, 2 = Sample }
    Event { 0 = Drop(reason), 1 = Trace(point, reason), 2 = PolicyVerdict(reason), 3 = Request, 4 = Other(number) }
    Content { 0 = Http(http), 1 = Dns(dns), 2 = Kafka(kafka), 3 = Tls(name), 4 = Malformed(reason), 5 = Other }
    Transport {
        0 = None, 1 = Tcp { source, destination, flags }, 2 = Udp { source, destination },
        3 = Sctp { source, destination, chunk }, 4 = Icmp { kind, code }, 5 = Icmp6 { kind, code }, 6 = Other(protocol)
    }
    MatchType { 0 = None, 1 = L3Only, 2 = L3L4, 3 = L4Only, 4 = All, 5 = L3Proto, 6 = ProtoOnly }
}

impl Pack for TcpFlags {
    fn pack(&self, out: &mut Vec<u8>) {
        self.0.pack(out);
    }

    fn unpack(input: &mut &[u8]) -> Option<Self> {
        u16::unpack(input).map(Self)
    }
}

impl Pack for Protocol {
    fn pack(&self, out: &mut Vec<u8>) {
        self.number().pack(out);
    }

    fn unpack(input: &mut &[u8]) -> Option<Self> {
        u8::unpack(input).map(Self::new)
    }
}

impl Pack for Run {
    fn pack(&self, out: &mut Vec<u8>) {
        self.get().pack(out);
    }

    fn unpack(input: &mut &[u8]) -> Option<Self> {
        u64::unpack(input).map(Self::new)
    }
}
