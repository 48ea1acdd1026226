//! What the datapath, the proxy and the agent report as it happens.

mod request;

pub use request::{Content, DnsAnswerView, Message, RequestEvent, RequestVerdict};

use crate::RuleView;
use ciliate_types::{Direction, EndpointId, Identity, Labels, Protocol};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::{fmt, net::IpAddr, str::FromStr};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum EventKind {
    Drop,
    Trace,
    PolicyVerdict,
    L7,
    Agent,
    Lost,
}

impl EventKind {
    pub const ALL: [Self; 6] =
        [Self::Drop, Self::Trace, Self::PolicyVerdict, Self::L7, Self::Agent, Self::Lost];
}

impl fmt::Display for EventKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Drop => "drop",
            Self::Trace => "trace",
            Self::PolicyVerdict => "policy-verdict",
            Self::L7 => "l7",
            Self::Agent => "agent",
            Self::Lost => "lost",
        })
    }
}

impl FromStr for EventKind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|kind| kind.to_string() == text).ok_or_else(|| {
            format!("event type {text:?} is unknown: write drop, trace, policy-verdict, l7, agent or lost")
        })
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    Allowed,
    /// Goes to the proxy, which looks at every request.
    Redirected,
    Denied,
    /// Would have been denied.
    Audit,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Allowed => "ALLOWED",
            Self::Redirected => "REDIRECTED",
            Self::Denied => "DENIED",
            Self::Audit => "AUDIT",
        })
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Event {
    #[schemars(with = "String")]
    pub time: Timestamp,
    #[serde(flatten)]
    pub body: EventBody,
}

impl Event {
    /// Without the bytes of its packet.
    #[must_use]
    pub fn without_bytes(mut self) -> Self {
        match &mut self.body {
            EventBody::Drop { packet, .. }
            | EventBody::Trace { packet, .. }
            | EventBody::PolicyVerdict { packet, .. } => packet.hex = None,
            EventBody::L7(_) | EventBody::Agent { .. } | EventBody::Lost { .. } => {}
        }
        self
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum EventBody {
    Drop {
        /// Such as `Policy denied`.
        reason: String,
        #[serde(flatten)]
        packet: Box<PacketEvent>,
    },
    Trace {
        /// Where the packet was seen, such as `to-endpoint`.
        point: String,
        #[serde(flatten)]
        packet: Box<PacketEvent>,
    },
    PolicyVerdict {
        verdict: Verdict,
        #[serde(flatten)]
        packet: Box<PacketEvent>,
    },
    /// A request that the proxy judged, or the response to one.
    L7(Box<RequestEvent>),
    /// Something the agent did.
    Agent {
        /// Such as `endpoint-created`, `policy-updated`.
        subject: String,
        message: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schemars(with = "Option<u16>")]
        endpoint: Option<EndpointId>,
    },
    Lost {
        count: u64,
        /// `kernel` (the ring was full), `proxy` (it could not be followed), `client` (this client could not follow).
        place: String,
    },
}

impl EventBody {
    #[must_use]
    pub fn kind(&self) -> EventKind {
        match self {
            Self::Drop { .. } => EventKind::Drop,
            Self::Trace { .. } => EventKind::Trace,
            Self::PolicyVerdict { .. } => EventKind::PolicyVerdict,
            Self::L7(_) => EventKind::L7,
            Self::Agent { .. } => EventKind::Agent,
            Self::Lost { .. } => EventKind::Lost,
        }
    }

    #[must_use]
    pub fn packet(&self) -> Option<&PacketEvent> {
        match self {
            Self::Drop { packet, .. } | Self::Trace { packet, .. } | Self::PolicyVerdict { packet, .. } => {
                Some(packet)
            }
            Self::L7(_) | Self::Agent { .. } | Self::Lost { .. } => None,
        }
    }
}

/// A packet in an event.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PacketEvent {
    /// The endpoint whose policy was judged or whose device saw it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<u16>")]
    pub endpoint: Option<EndpointId>,
    #[schemars(with = "String")]
    pub direction: Direction,
    pub source: PeerView,
    pub destination: PeerView,
    #[schemars(with = "String")]
    pub protocol: Protocol,
    /// TCP flags such as `SYN, ACK`, or the ICMP type and code; empty for others.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub details: String,
    /// `new`, `established`, `reply`, `related`; empty before conntrack.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub connection: String,
    /// Which rule decided; none where no rule matched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<RuleView>,
    pub ifindex: u32,
    /// Bytes of the packet from its network header on.
    pub length: u32,
    /// First bytes of the packet in hexadecimal, from its Ethernet header on, when asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hex: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PeerView {
    pub address: IpAddr,
    /// 0 where the protocol has none.
    pub port: u16,
    #[schemars(with = "u32")]
    pub identity: Identity,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<u16>")]
    pub endpoint: Option<EndpointId>,
    /// `namespace/name` of the endpoint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    #[schemars(with = "Vec<String>")]
    pub labels: Labels,
}

/// Which events to send. Empty lists let everything pass; different lists must all match.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct MonitorFilter {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub types: Vec<EventKind>,
    /// Endpoints as source or destination.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(with = "Vec<u16>")]
    pub related_to: Vec<EndpointId>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(with = "Vec<u16>")]
    pub from: Vec<EndpointId>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(with = "Vec<u16>")]
    pub to: Vec<EndpointId>,
    /// With the first bytes of each packet.
    pub hex: bool,
}

impl MonitorFilter {
    #[must_use]
    pub fn lets_pass(&self, event: &Event) -> bool {
        let kind = event.body.kind();
        if kind == EventKind::Lost {
            return true;
        }
        if !self.types.is_empty() && !self.types.contains(&kind) {
            return false;
        }
        let (source, destination, at) = match (&event.body, event.body.packet()) {
            (_, Some(packet)) => (packet.source.endpoint, packet.destination.endpoint, packet.endpoint),
            (EventBody::L7(seen), None) => (seen.source.endpoint, seen.destination.endpoint, None),
            (EventBody::Agent { endpoint, .. }, None) => (*endpoint, *endpoint, *endpoint),
            (_, None) => (None, None, None),
        };
        let among = |wanted: &[EndpointId], found: &[Option<EndpointId>]| {
            wanted.is_empty() || found.iter().flatten().any(|id| wanted.contains(id))
        };
        among(&self.from, &[source])
            && among(&self.to, &[destination])
            && among(&self.related_to, &[source, destination, at])
    }
}
