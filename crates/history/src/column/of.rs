//! What flows share: a column says the same of all that share what it is of, so it is asked once.

use crate::draft::ContentKind;
use ciliate_flow::{
    Answer, Content, End, Event, Flow, Judgement, MatchType, Stage, TrafficDirection, Transport, Verdict,
};
use foldhash::fast::FixedState;
use std::{collections::HashMap, hash::Hash, net::IpAddr, sync::Arc};

/// What a column says something of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Of {
    /// Of each flow something else.
    Flow,
    Kind,
    Run,
    Interface,
    Node,
    SourceAddress,
    DestinationAddress,
    Source,
    Destination,
    SourceNames,
    DestinationNames,
    Egress,
    Ingress,
    /// Of each flow that has something rare, and nothing of the others.
    Rare,
    Request,
    Http,
    Dns,
    Kafka,
    Tls,
    Malformed,
}

impl Of {
    pub const ALL: [Self; 20] = [
        Self::Flow,
        Self::Kind,
        Self::Run,
        Self::Interface,
        Self::Node,
        Self::SourceAddress,
        Self::DestinationAddress,
        Self::Source,
        Self::Destination,
        Self::SourceNames,
        Self::DestinationNames,
        Self::Egress,
        Self::Ingress,
        Self::Rare,
        Self::Request,
        Self::Http,
        Self::Dns,
        Self::Kafka,
        Self::Tls,
        Self::Malformed,
    ];
}

/// What was seen, without who and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Kind {
    event: Event,
    verdict: Verdict,
    direction: TrafficDirection,
    answer: Answer,
    /// Without its ports.
    transport: Transport,
    match_type: MatchType,
    read: Option<(Stage, ContentKind)>,
}

impl Kind {
    fn of(flow: &Flow) -> Self {
        let (source, destination) = (0, 0);
        Self {
            event: flow.event,
            verdict: flow.verdict,
            direction: flow.direction,
            answer: flow.answer,
            transport: match flow.transport {
                Transport::Tcp { flags, .. } => Transport::Tcp { source, destination, flags },
                Transport::Udp { .. } => Transport::Udp { source, destination },
                Transport::Sctp { chunk, .. } => Transport::Sctp { source, destination, chunk },
                Transport::None | Transport::Icmp { .. } | Transport::Icmp6 { .. } | Transport::Other(_) => {
                    flow.transport
                }
            },
            match_type: flow.match_type,
            read: flow.request.as_deref().map(|request| (request.stage, ContentKind::of(&request.content))),
        }
    }
}

/// Flows on end of which a column says the same.
pub(crate) struct Stretch<'a> {
    pub first: &'a Flow,
    pub rows: usize,
    /// Equal for stretches that share it, and counted from 0; none for a flow that shares it with no other.
    pub number: Option<u32>,
}

/// Numbers what flows share while they are kept in one place.
#[derive(Default)]
pub(crate) struct Sharing {
    kinds: Known<Kind>,
    runs: Known<u64>,
    addresses: Known<IpAddr>,
    /// Of what is shared by its place in memory, by what it is.
    places: [Known<usize>; 8],
}

type Known<K> = HashMap<K, u32, FixedState>;

impl Sharing {
    /// Adds the stretches that the flows make.
    pub fn stretches<'a>(&mut self, of: Of, flows: &[&'a Flow], stretches: &mut Vec<Stretch<'a>>) {
        let judgement =
            |judged: &Option<Arc<Judgement>>| judged.as_ref().map_or(0, |by| Arc::as_ptr(by).addr());
        let names = |end: &End| end.names.as_ref().map_or(0, |names| Arc::as_ptr(names).cast::<()>().addr());
        let [nodes, interfaces, sources, destinations, source_names, destination_names, egress, ingress] =
            &mut self.places;
        let mut by_place = |known: &mut Known<usize>, place: &dyn Fn(&Flow) -> usize| {
            gather(flows, |flow| Some(place(flow)), known, stretches);
        };
        match of {
            Of::Node => by_place(nodes, &|flow| Arc::as_ptr(&flow.node).addr()),
            Of::Interface => by_place(interfaces, &|flow| {
                flow.interface.as_ref().map_or(0, |interface| Arc::as_ptr(interface).addr())
            }),
            Of::Source => by_place(sources, &|flow| Arc::as_ptr(&flow.source.party).addr()),
            Of::Destination => by_place(destinations, &|flow| Arc::as_ptr(&flow.destination.party).addr()),
            Of::SourceNames => by_place(source_names, &|flow| names(&flow.source)),
            Of::DestinationNames => by_place(destination_names, &|flow| names(&flow.destination)),
            Of::Egress => by_place(egress, &|flow| judgement(&flow.egress)),
            Of::Ingress => by_place(ingress, &|flow| judgement(&flow.ingress)),
            Of::Kind => gather(flows, |flow| Some(Kind::of(flow)), &mut self.kinds, stretches),
            Of::Run => gather(flows, |flow| Some(flow.id.run.get()), &mut self.runs, stretches),
            Of::SourceAddress => gather(flows, |flow| flow.source.address, &mut self.addresses, stretches),
            Of::DestinationAddress => {
                gather(flows, |flow| flow.destination.address, &mut self.addresses, stretches);
            }
            Of::Flow => each(flows, |_| true, stretches),
            Of::Rare => each(flows, |flow| flow.rare.is_some(), stretches),
            Of::Request => each(flows, |flow| flow.request.is_some(), stretches),
            Of::Http => each(flows, |flow| reads(flow, ContentKind::Http), stretches),
            Of::Dns => each(flows, |flow| reads(flow, ContentKind::Dns), stretches),
            Of::Kafka => each(flows, |flow| reads(flow, ContentKind::Kafka), stretches),
            Of::Tls => each(flows, |flow| reads(flow, ContentKind::Tls), stretches),
            Of::Malformed => each(flows, |flow| reads(flow, ContentKind::Malformed), stretches),
        }
    }
}

fn reads(flow: &Flow, kind: ContentKind) -> bool {
    let content: Option<&Content> = flow.request.as_deref().map(|request| &request.content);
    content.is_some_and(|content| ContentKind::of(content) == kind)
}

/// Flows with the same key share.
fn gather<'a, K: Copy + Eq + Hash>(
    flows: &[&'a Flow],
    key: impl Fn(&Flow) -> Option<K>,
    known: &mut Known<K>,
    stretches: &mut Vec<Stretch<'a>>,
) {
    let mut before = None;
    for &flow in flows {
        let key = key(flow);
        if key.is_some()
            && key == before
            && let Some(last) = stretches.last_mut()
        {
            last.rows = last.rows.saturating_add(1);
            continue;
        }
        let next = u32::try_from(known.len()).unwrap_or(u32::MAX);
        let number = key.map(|key| *known.entry(key).or_insert(next));
        stretches.push(Stretch { first: flow, rows: 1, number });
        before = key;
    }
}

/// Flows that have it share it with no other, and those that lack it are alike.
fn each<'a>(flows: &[&'a Flow], has: impl Fn(&Flow) -> bool, stretches: &mut Vec<Stretch<'a>>) {
    for &flow in flows {
        match (has(flow), stretches.last_mut()) {
            (true, _) => stretches.push(Stretch { first: flow, rows: 1, number: None }),
            (false, Some(last)) if last.number.is_some() => last.rows = last.rows.saturating_add(1),
            (false, _) => stretches.push(Stretch { first: flow, rows: 1, number: Some(0) }),
        }
    }
}
