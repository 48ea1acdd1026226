//! What was seen, where and when.

use super::{Column, Of, Width, filled, flag, number, push, put, put_text, set, some, text, texts};
use crate::draft::{EventKind, Wire};
use ciliate_flow::{
    Answer, DropReason, Event, Flow, MatchType, TcpFlags, TraceObservationPoint, TraceReason,
    TrafficDirection, Transport, Verdict,
};
use std::borrow::Cow;

pub(super) const COLUMNS: &[Column] = &[
    number(
        "time",
        Of::Flow,
        "when it was seen, UTC",
        Width::Time,
        |flow| Some(i64::try_from(flow.time.0).unwrap_or(i64::MAX)),
        |draft, time| put(&mut draft.time, time),
    ),
    number(
        "run",
        Of::Run,
        "the life of the observer that numbered it; with `sequence` it gives the flow's UUID",
        Width::U64,
        |flow| Some(flow.id.run.get().cast_signed()),
        |draft, run| set(&mut draft.run, run.cast_unsigned()),
    ),
    number(
        "sequence",
        Of::Flow,
        "its number in that life",
        Width::U64,
        |flow| Some(flow.id.sequence.cast_signed()),
        |draft, number| set(&mut draft.sequence, number.cast_unsigned()),
    ),
    text(
        "verdict",
        Of::Kind,
        "`FORWARDED`, `DROPPED`, `AUDIT`, `REDIRECTED`, `ERROR`, ...",
        |flow| Some(Cow::Borrowed(flow.verdict.as_str_name())),
        |draft, text| Verdict::from_str_name(text).map(|verdict| draft.verdict = verdict),
    ),
    text(
        "direction",
        Of::Kind,
        "`INGRESS` or `EGRESS`, as the endpoint sees it whose policy was asked or whose device saw it",
        |flow| {
            (flow.direction != TrafficDirection::default())
                .then(|| Cow::Borrowed(flow.direction.as_str_name()))
        },
        |draft, text| TrafficDirection::from_str_name(text).map(|direction| draft.direction = direction),
    ),
    text(
        "event",
        Of::Kind,
        "why there is a flow: `drop`, `trace`, `policy-verdict`, `l7` or `other`",
        |flow| Some(Cow::Borrowed(EventKind::from(flow.event).name())),
        |draft, text| EventKind::named(text).map(|event| draft.event = event),
    ),
    number(
        "event_type",
        Of::Kind,
        "the kind of event by Cilium's number: 1 drop, 4 trace, 5 policy verdict, 129 request",
        Width::I32,
        |flow| Some(flow.event_type().kind.into()),
        |draft, kind| put(&mut draft.number.kind, kind),
    ),
    number(
        "event_subtype",
        Of::Kind,
        "what it is within its kind, by Cilium's number",
        Width::I32,
        |flow| Some(flow.event_type().sub.into()),
        |draft, sub| put(&mut draft.number.sub, sub),
    ),
    text(
        "drop_reason",
        Of::Kind,
        "why it went no further or was denied, such as `POLICY_DENIED`",
        |flow| flow.drop_reason().map(|reason| Cow::Borrowed(reason.as_str_name())),
        |draft, text| DropReason::from_str_name(text).map(|reason| draft.reason = Some(reason)),
    ),
    text(
        "observation_point",
        Of::Kind,
        "of a trace: where it was seen, such as `TO_ENDPOINT`",
        |flow| traced(flow).map(|(point, _)| Cow::Borrowed(point.as_str_name())),
        |draft, text| TraceObservationPoint::from_str_name(text).map(|point| draft.point = point),
    ),
    text(
        "trace_reason",
        Of::Kind,
        "of a trace: what its connection is, such as `NEW` or `ESTABLISHED`",
        |flow| traced(flow).map(|(_, reason)| Cow::Borrowed(reason.as_str_name())),
        |draft, text| TraceReason::from_str_name(text).map(|reason| draft.trace_reason = reason),
    ),
    flag(
        "is_reply",
        Of::Kind,
        "whether it goes back to who opened the connection; null if that is not known",
        |flow| match flow.answer {
            Answer::Yes => Some(true),
            Answer::No => Some(false),
            Answer::Unknown => None,
        },
        |draft, reply| {
            draft.answer = match reply {
                true => Answer::Yes,
                false => Answer::No,
            };
        },
    ),
    text(
        "protocol",
        Of::Kind,
        "`TCP`, `UDP`, `SCTP`, `ICMPv4`, `ICMPv6`, or the number of another",
        |flow| Wire::of(flow.transport).map(Wire::name),
        |draft, text| Wire::named(text).map(|wire| draft.wire = Some(wire)),
    ),
    number(
        "source_port",
        Of::Flow,
        "of TCP, UDP and SCTP",
        Width::U16,
        |flow| flow.transport.ports().map(|(source, _)| source.into()),
        |draft, port| put(&mut draft.source_port, port),
    ),
    number(
        "destination_port",
        Of::Flow,
        "of TCP, UDP and SCTP",
        Width::U16,
        |flow| flow.transport.ports().map(|(_, destination)| destination.into()),
        |draft, port| put(&mut draft.destination_port, port),
    ),
    number(
        "tcp_flags",
        Of::Kind,
        "as in the header: 1 FIN, 2 SYN, 4 RST, 8 PSH, 16 ACK, 32 URG, 64 ECE, 128 CWR, 256 NS",
        Width::U16,
        |flow| match flow.transport {
            Transport::Tcp { flags: TcpFlags(bits), .. } => Some(bits.into()),
            Transport::None
            | Transport::Udp { .. }
            | Transport::Sctp { .. }
            | Transport::Icmp { .. }
            | Transport::Icmp6 { .. }
            | Transport::Other(_) => None,
        },
        |draft, bits| put(&mut draft.flags.0, bits),
    ),
    number(
        "icmp_type",
        Of::Kind,
        "of ICMPv4 and ICMPv6",
        Width::U8,
        |flow| icmp(flow).map(|(kind, _)| kind.into()),
        |draft, kind| put(&mut draft.icmp.0, kind),
    ),
    number(
        "icmp_code",
        Of::Kind,
        "of ICMPv4 and ICMPv6",
        Width::U8,
        |flow| icmp(flow).map(|(_, code)| code.into()),
        |draft, code| put(&mut draft.icmp.1, code),
    ),
    number(
        "sctp_chunk",
        Of::Kind,
        "type of the chunk by Hubble's number",
        Width::I32,
        |flow| match flow.transport {
            Transport::Sctp { chunk, .. } => Some(chunk.into()),
            Transport::None
            | Transport::Tcp { .. }
            | Transport::Udp { .. }
            | Transport::Icmp { .. }
            | Transport::Icmp6 { .. }
            | Transport::Other(_) => None,
        },
        |draft, chunk| put(&mut draft.chunk, chunk),
    ),
    number(
        "interface",
        Of::Interface,
        "index of the device",
        Width::U32,
        |flow| flow.interface.as_ref().and_then(|interface| some(interface.index)),
        |draft, index| put(&mut draft.interface.index, index),
    ),
    text(
        "interface_name",
        Of::Interface,
        "its name",
        |flow| flow.interface.as_ref().and_then(|interface| filled(&interface.name)),
        |draft, name| put_text(&mut draft.interface.name, name),
    ),
    text(
        "node_name",
        Of::Node,
        "the node that saw it; `cluster/node` where the cluster has a name of its own",
        |flow| filled(&flow.node.name),
        |draft, name| put_text(&mut draft.node.name, name),
    ),
    texts(
        "node_labels",
        Of::Node,
        "the node's labels, `key=value`",
        |flow, each| flow.node.labels.iter().for_each(|label| each(label.into())),
        |draft, label| push(&mut draft.node.labels, label),
    ),
    text(
        "policy_match",
        Of::Kind,
        "what about a policy's entry matched: `L3-Only`, `L3-L4`, `L4-Only`, `all`, `L3-Proto`, `Proto-Only`",
        |flow| (flow.match_type != MatchType::None).then(|| Cow::Borrowed(flow.match_type.text())),
        |draft, text| {
            let found = (0..7).map(MatchType::from_number).find(|kind| kind.text() == text)?;
            set(&mut draft.match_type, found)
        },
    ),
    flag(
        "encrypted",
        Of::Rare,
        "whether it was encrypted between nodes; null if not",
        |flow| flow.rare.as_ref().filter(|rare| rare.encrypted).map(|_| true),
        |draft, encrypted| draft.rare.encrypted = encrypted,
    ),
    number(
        "proxy_port",
        Of::Rare,
        "where the proxy listens, of what was redirected to it",
        Width::U16,
        |flow| flow.rare.as_ref().and_then(|rare| some(rare.proxy_port)),
        |draft, port| put(&mut draft.rare.proxy_port, port),
    ),
    text(
        "trace_id",
        Of::Rare,
        "of the request, as a tracing system numbers it",
        |flow| flow.rare.as_ref().and_then(|rare| filled(&rare.trace_id)),
        |draft, id| put_text(&mut draft.rare.trace_id, id),
    ),
    number(
        "ip_trace_id",
        Of::Rare,
        "from the packet's IP options",
        Width::U64,
        |flow| flow.rare.as_ref().map(|rare| rare.ip_trace_id.cast_signed()).filter(|id| *id != 0),
        |draft, id| set(&mut draft.rare.ip_trace_id, id.cast_unsigned()),
    ),
];

fn traced(flow: &Flow) -> Option<(TraceObservationPoint, TraceReason)> {
    match flow.event {
        Event::Trace(point, reason) => Some((point, reason)),
        Event::Drop(_) | Event::PolicyVerdict(_) | Event::Request | Event::Other(_) => None,
    }
}

fn icmp(flow: &Flow) -> Option<(u8, u8)> {
    match flow.transport {
        Transport::Icmp { kind, code } | Transport::Icmp6 { kind, code } => Some((kind, code)),
        Transport::None
        | Transport::Tcp { .. }
        | Transport::Udp { .. }
        | Transport::Sctp { .. }
        | Transport::Other(_) => None,
    }
}
