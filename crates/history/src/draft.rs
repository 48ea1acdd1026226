//! A flow while it is put together from columns.

use ciliate_flow::{
    Answer, Content, Dns, DropReason, End, Event, EventType, Flow, FlowId, Header, Http, Interface,
    Judgement, Kafka, MatchType, Node, Outcome, Party, PolicyRef, Rare, Request, Run, Stage, TcpFlags, Time,
    TraceObservationPoint, TraceReason, TrafficDirection, Transport, Verdict, Workload,
};
use ciliate_types::Protocol;
use std::{borrow::Cow, collections::HashSet, hash::Hash, net::IpAddr, sync::Arc};

#[derive(Default)]
pub(crate) struct Draft {
    pub run: u64,
    pub sequence: u64,
    pub time: u64,
    pub verdict: Verdict,
    pub direction: TrafficDirection,
    pub event: EventKind,
    pub number: EventType,
    pub reason: Option<DropReason>,
    pub point: TraceObservationPoint,
    pub trace_reason: TraceReason,
    pub answer: Answer,
    pub wire: Option<Wire>,
    pub source_port: u16,
    pub destination_port: u16,
    pub flags: TcpFlags,
    pub icmp: (u8, u8),
    pub chunk: i32,
    pub interface: Interface,
    pub node: Node,
    pub match_type: MatchType,
    pub rare: Rare,
    pub source: EndDraft,
    pub destination: EndDraft,
    pub egress: Judged,
    pub ingress: Judged,
    pub stage: Option<Stage>,
    pub content: ContentKind,
    pub latency: u64,
    pub http: Http,
    pub header_names: Vec<String>,
    pub header_values: Vec<String>,
    pub dns: Dns,
    pub kafka: Kafka,
    pub tls: Option<String>,
    pub malformed: String,
}

#[derive(Default)]
pub(crate) struct EndDraft {
    pub address: Option<IpAddr>,
    pub party: Party,
    pub workload_names: Vec<String>,
    pub workload_kinds: Vec<String>,
    pub names: Vec<String>,
}

/// What one policy is lies at the same index of every list.
#[derive(Default)]
pub(crate) struct Judged {
    pub outcome: Option<Outcome>,
    pub names: Vec<String>,
    pub namespaces: Vec<String>,
    pub kinds: Vec<String>,
    pub sections: Vec<String>,
    pub labels: Vec<Vec<String>>,
    pub revisions: Vec<u64>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum EventKind {
    Drop,
    Trace,
    PolicyVerdict,
    Request,
    #[default]
    Other,
}

impl EventKind {
    const ALL: [Self; 5] = [Self::Drop, Self::Trace, Self::PolicyVerdict, Self::Request, Self::Other];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Drop => "drop",
            Self::Trace => "trace",
            Self::PolicyVerdict => "policy-verdict",
            Self::Request => "l7",
            Self::Other => "other",
        }
    }

    pub fn named(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == text)
    }
}

impl From<Event> for EventKind {
    fn from(event: Event) -> Self {
        match event {
            Event::Drop(_) => Self::Drop,
            Event::Trace(..) => Self::Trace,
            Event::PolicyVerdict(_) => Self::PolicyVerdict,
            Event::Request => Self::Request,
            Event::Other(_) => Self::Other,
        }
    }
}

/// Layer 4 without its numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wire {
    Tcp,
    Udp,
    Sctp,
    Icmp,
    Icmp6,
    Other(u8),
}

impl Wire {
    const NAMED: [(Self, &str); 5] = [
        (Self::Tcp, "TCP"),
        (Self::Udp, "UDP"),
        (Self::Sctp, "SCTP"),
        (Self::Icmp, "ICMPv4"),
        (Self::Icmp6, "ICMPv6"),
    ];

    pub const fn of(transport: Transport) -> Option<Self> {
        Some(match transport {
            Transport::None => return None,
            Transport::Tcp { .. } => Self::Tcp,
            Transport::Udp { .. } => Self::Udp,
            Transport::Sctp { .. } => Self::Sctp,
            Transport::Icmp { .. } => Self::Icmp,
            Transport::Icmp6 { .. } => Self::Icmp6,
            Transport::Other(protocol) => Self::Other(protocol.number()),
        })
    }

    pub fn name(self) -> Cow<'static, str> {
        match (Self::NAMED.iter().find(|(wire, _)| *wire == self), self) {
            (Some((_, name)), _) => Cow::Borrowed(name),
            (None, Self::Other(number)) => Cow::Owned(number.to_string()),
            (None, Self::Tcp | Self::Udp | Self::Sctp | Self::Icmp | Self::Icmp6) => Cow::Borrowed(""),
        }
    }

    pub fn named(text: &str) -> Option<Self> {
        let found = Self::NAMED.iter().find(|(_, name)| *name == text).map(|(wire, _)| *wire);
        found.or_else(|| text.parse().ok().map(Self::Other))
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) enum ContentKind {
    Http,
    Dns,
    Kafka,
    Tls,
    Malformed,
    #[default]
    Other,
}

impl ContentKind {
    const ALL: [Self; 6] = [Self::Http, Self::Dns, Self::Kafka, Self::Tls, Self::Malformed, Self::Other];

    pub const fn of(content: &Content) -> Self {
        match content {
            Content::Http(_) => Self::Http,
            Content::Dns(_) => Self::Dns,
            Content::Kafka(_) => Self::Kafka,
            Content::Tls(_) => Self::Tls,
            Content::Malformed(_) => Self::Malformed,
            Content::Other => Self::Other,
        }
    }

    pub const fn name(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Dns => "dns",
            Self::Kafka => "kafka",
            Self::Tls => "tls",
            Self::Malformed => "malformed",
            Self::Other => "other",
        }
    }

    pub fn named(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == text)
    }
}

/// What many flows share, so that a file read has each of it once.
#[derive(Default)]
pub(crate) struct Shared {
    nodes: HashSet<Arc<Node>>,
    interfaces: HashSet<Arc<Interface>>,
    parties: HashSet<Arc<Party>>,
    judgements: HashSet<Arc<Judgement>>,
    names: HashSet<Arc<[String]>>,
}

/// The one that is equal, if there is one.
fn share<T: ?Sized + Eq + Hash, V: Into<Arc<T>> + std::borrow::Borrow<T>>(
    known: &mut HashSet<Arc<T>>,
    value: V,
) -> Arc<T> {
    if let Some(found) = known.get(value.borrow()) {
        return found.clone();
    }
    let shared: Arc<T> = value.into();
    known.insert(shared.clone());
    shared
}

impl Draft {
    /// None if lists that belong together have different lengths.
    pub fn finish(self, shared: &mut Shared) -> Option<Flow> {
        let transport = self.transport();
        let event = match self.event {
            EventKind::Drop => Event::Drop(self.reason.unwrap_or_default()),
            EventKind::Trace => Event::Trace(self.point, self.trace_reason),
            EventKind::PolicyVerdict => Event::PolicyVerdict(self.reason),
            EventKind::Request => Event::Request,
            EventKind::Other => Event::Other(self.number),
        };
        let request = match self.stage {
            None => None,
            Some(stage) => {
                let content = match self.content {
                    ContentKind::Http => {
                        let headers = zip(self.header_names, self.header_values)?
                            .map(|(name, value)| Header { name, value })
                            .collect();
                        Content::Http(Http { headers, ..self.http })
                    }
                    ContentKind::Dns => Content::Dns(self.dns),
                    ContentKind::Kafka => Content::Kafka(self.kafka),
                    ContentKind::Tls => Content::Tls(self.tls),
                    ContentKind::Malformed => Content::Malformed(self.malformed),
                    ContentKind::Other => Content::Other,
                };
                Some(Box::new(Request { stage, latency: self.latency, content }))
            }
        };
        Some(Flow {
            id: FlowId { run: Run::new(self.run), sequence: self.sequence },
            time: Time(self.time),
            node: share(&mut shared.nodes, self.node),
            source: self.source.finish(shared)?,
            destination: self.destination.finish(shared)?,
            event,
            verdict: self.verdict,
            direction: self.direction,
            answer: self.answer,
            transport,
            interface: (self.interface != Interface::default())
                .then(|| share(&mut shared.interfaces, self.interface)),
            egress: self.egress.finish(shared)?,
            ingress: self.ingress.finish(shared)?,
            match_type: self.match_type,
            request,
            rare: (self.rare != Rare::default()).then(|| Box::new(self.rare)),
        })
    }

    const fn transport(&self) -> Transport {
        let Self { source_port: source, destination_port: destination, flags, chunk, .. } = *self;
        let (kind, code) = self.icmp;
        match self.wire {
            None => Transport::None,
            Some(Wire::Tcp) => Transport::Tcp { source, destination, flags },
            Some(Wire::Udp) => Transport::Udp { source, destination },
            Some(Wire::Sctp) => Transport::Sctp { source, destination, chunk },
            Some(Wire::Icmp) => Transport::Icmp { kind, code },
            Some(Wire::Icmp6) => Transport::Icmp6 { kind, code },
            Some(Wire::Other(number)) => Transport::Other(Protocol::new(number)),
        }
    }
}

impl EndDraft {
    fn finish(self, shared: &mut Shared) -> Option<End> {
        let workloads = zip(self.workload_names, self.workload_kinds)?
            .map(|(name, kind)| Workload { name, kind })
            .collect();
        Some(End {
            address: self.address,
            party: share(&mut shared.parties, Party { workloads, ..self.party }),
            names: (!self.names.is_empty()).then(|| share(&mut shared.names, self.names)),
        })
    }
}

impl Judged {
    fn finish(self, shared: &mut Shared) -> Option<Option<Arc<Judgement>>> {
        let Self { outcome, names, namespaces, kinds, sections, labels, revisions } = self;
        let Some(outcome) = outcome else { return Some(None) };
        let places = zip(zip(kinds, namespaces)?.collect(), zip(names, sections)?.collect())?;
        let versions = zip(labels, revisions)?;
        let by = zip(places.collect(), versions.collect())?.map(
            |(((kind, namespace), (name, section)), (labels, revision))| PolicyRef {
                kind,
                namespace,
                name,
                labels,
                revision,
                section,
            },
        );
        Some(Some(share(&mut shared.judgements, Judgement { outcome, by: by.collect() })))
    }
}

/// None if one is longer.
fn zip<A, B>(left: Vec<A>, right: Vec<B>) -> Option<impl Iterator<Item = (A, B)>> {
    (left.len() == right.len()).then(|| left.into_iter().zip(right))
}
