//! One flow.

use crate::{
    DropReason, FlowId, Node, Party, Request, Service, Time, TraceObservationPoint, TraceReason,
    TrafficDirection, Verdict,
};
use ciliate_types::Protocol;
use std::{net::IpAddr, sync::Arc};

/// What was seen of one packet or of one request.
#[derive(Clone, Debug, PartialEq)]
pub struct Flow {
    pub id: FlowId,
    pub time: Time,
    pub node: Arc<Node>,
    pub source: End,
    pub destination: End,
    pub event: Event,
    pub verdict: Verdict,
    /// From the view of the endpoint whose policy was asked or whose device saw it.
    pub direction: TrafficDirection,
    pub answer: Answer,
    pub transport: Transport,
    /// The device that it was seen at, where that is known.
    pub interface: Option<Arc<Interface>>,
    /// What policy said about leaving the originator.
    pub egress: Option<Arc<Judgement>>,
    /// What policy said about entering the responder.
    pub ingress: Option<Arc<Judgement>>,
    pub match_type: MatchType,
    pub request: Option<Box<Request>>,
    pub rare: Option<Box<Rare>>,
}

/// Sender or receiver.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct End {
    pub address: Option<IpAddr>,
    pub party: Arc<Party>,
    /// What the address was resolved from, without the dot of the root.
    pub names: Option<Arc<[String]>>,
}

/// A device of a node.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Interface {
    /// 0 = only its name is known.
    pub index: u32,
    /// Empty = only its index is known.
    pub name: String,
}

/// Why there is a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Event {
    /// A packet went no further.
    Drop(DropReason),
    /// A packet was here.
    Trace(TraceObservationPoint, TraceReason),
    /// The policy of a direction was asked about a connection; why not, if it said no.
    PolicyVerdict(Option<DropReason>),
    /// A proxy read a request.
    Request,
    /// Another kind, by its numbers.
    Other(EventType),
}

/// A kind of event by numbers: those of Cilium's monitor.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct EventType {
    pub kind: i32,
    pub sub: i32,
}

impl EventType {
    pub const DROP: i32 = 1;
    pub const DEBUG: i32 = 2;
    pub const CAPTURE: i32 = 3;
    pub const TRACE: i32 = 4;
    pub const POLICY_VERDICT: i32 = 5;
    pub const RECORD_CAPTURE: i32 = 6;
    pub const TRACE_SOCK: i32 = 7;
    pub const L7: i32 = 129;
    pub const AGENT: i32 = 130;

    /// What tells an endpoint's end of a trace from one that is unknown.
    const TO_ENDPOINT: i32 = 0;
}

impl Flow {
    /// Of a policy's verdict the sub-type is the direction that was asked.
    #[must_use]
    pub fn event_type(&self) -> EventType {
        let (kind, sub) = match self.event {
            Event::Drop(reason) => (EventType::DROP, reason as i32),
            Event::Trace(TraceObservationPoint::ToEndpoint, _) => (EventType::TRACE, EventType::TO_ENDPOINT),
            Event::Trace(point, _) => (EventType::TRACE, point as i32),
            Event::PolicyVerdict(_) => (EventType::POLICY_VERDICT, self.direction as i32),
            Event::Request => (EventType::L7, 0),
            Event::Other(other) => (other.kind, other.sub),
        };
        EventType { kind, sub }
    }
}

/// Whether it goes back to who opened the connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Answer {
    No,
    Yes,
    #[default]
    Unknown,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Transport {
    /// No layer 4 that is known.
    #[default]
    None,
    Tcp {
        source: u16,
        destination: u16,
        flags: TcpFlags,
    },
    Udp {
        source: u16,
        destination: u16,
    },
    /// With the chunk's type by Hubble's number.
    Sctp {
        source: u16,
        destination: u16,
        chunk: i32,
    },
    Icmp {
        kind: u8,
        code: u8,
    },
    Icmp6 {
        kind: u8,
        code: u8,
    },
    Other(Protocol),
}

impl Transport {
    /// Source and destination.
    #[must_use]
    pub fn ports(self) -> Option<(u16, u16)> {
        match self {
            Self::Tcp { source, destination, .. }
            | Self::Udp { source, destination }
            | Self::Sctp { source, destination, .. } => Some((source, destination)),
            Self::None | Self::Icmp { .. } | Self::Icmp6 { .. } | Self::Other(_) => None,
        }
    }
}

/// As in the header of TCP: FIN is the lowest bit, CWR the eighth, NS the ninth.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct TcpFlags(pub u16);

impl TcpFlags {
    /// In the order of their bits.
    pub const NAMES: [&str; 9] = ["FIN", "SYN", "RST", "PSH", "ACK", "URG", "ECE", "CWR", "NS"];

    pub fn names(self) -> impl Iterator<Item = &'static str> {
        Self::NAMES.into_iter().enumerate().filter(move |(bit, _)| self.has(*bit)).map(|(_, name)| name)
    }

    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    pub(crate) const fn has(self, bit: usize) -> bool {
        self.0 >> bit & 1 == 1
    }
}

/// What a policy said, and which.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Judgement {
    pub outcome: Outcome,
    /// Who said so: the policy of the rule that decided, or for a default denial those that closed the direction.
    pub by: Vec<PolicyRef>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Outcome {
    Allowed,
    #[default]
    Denied,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct PolicyRef {
    /// Such as `CiliumNetworkPolicy`.
    pub kind: String,
    pub namespace: String,
    pub name: String,
    pub labels: Vec<String>,
    pub revision: u64,
    /// The place in the policy, such as `spec.ingress[0].toPorts[0]`; Hubble's clients do not look at it.
    pub section: String,
}

/// What about an entry of a policy matched, by Cilium's numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum MatchType {
    #[default]
    None,
    L3Only,
    L3L4,
    L4Only,
    All,
    L3Proto,
    ProtoOnly,
}

impl MatchType {
    const ALL: [Self; 7] =
        [Self::None, Self::L3Only, Self::L3L4, Self::L4Only, Self::All, Self::L3Proto, Self::ProtoOnly];

    /// None of a number that nobody has given a meaning.
    #[must_use]
    pub fn from_number(number: u32) -> Self {
        Self::ALL.into_iter().find(|kind| *kind as u32 == number).unwrap_or_default()
    }

    /// As `hubble observe` prints it.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::L3Only => "L3-Only",
            Self::L3L4 => "L3-L4",
            Self::L4Only => "L4-Only",
            Self::All => "all",
            Self::L3Proto => "L3-Proto",
            Self::ProtoOnly => "Proto-Only",
        }
    }
}

/// What few flows have.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rare {
    /// The source's address after translation.
    pub source_translated: Option<IpAddr>,
    pub source_service: Service,
    pub destination_service: Service,
    /// Where the proxy listens; 0 = not redirected.
    pub proxy_port: u16,
    /// Of the request, as a tracing system numbers it.
    pub trace_id: String,
    /// In the packet's IP options.
    pub ip_trace_id: u64,
    pub encrypted: bool,
}
