//! Asking which rule decides a packet, without sending one.

use crate::Verdict;
use ciliate_types::{Direction, EndpointId, Identity, Labels};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::{fmt, net::IpAddr};

/// One side of the question.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum TracePeer {
    /// An endpoint in the forms of [`EndpointRef`](crate::EndpointRef).
    Endpoint(String),
    /// Anything with these labels, whether or not it exists.
    Labels(Vec<String>),
    Identity(#[schemars(with = "u32")] Identity),
    Address(IpAddr),
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TraceRequest {
    pub source: TracePeer,
    pub destination: TracePeer,
    /// `80/TCP`; `53/ANY` asks about TCP, UDP and SCTP; `ICMP:8` and `ICMPv6:128` ask for a type.
    pub traffic: String,
    /// What is asked for within the connection: `POST /v1/x` with headers on further lines, `dns:NAME`, `sni:NAME`,
    /// `kafka:produce topic=NAME`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum RuleOutcome {
    /// It decides.
    Decides,
    /// It matches, but another one stands above it.
    Overruled,
    /// It selects the subject but not this packet.
    NoMatch,
}

impl fmt::Display for RuleOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Decides => "decides",
            Self::Overruled => "overruled",
            Self::NoMatch => "no match",
        })
    }
}

/// A rule and where it stands.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RuleView {
    /// The kernel's number of the rule.
    pub id: u32,
    /// `cnp/default/rule1`.
    pub object: String,
    /// `spec.ingress[0].toPorts[0]`.
    pub section: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
}

impl fmt::Display for RuleView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.object, self.section)
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ConsideredRule {
    pub rule: RuleView,
    pub outcome: RuleOutcome,
    pub why: String,
    /// What requests have to be like, a line for each way; empty if the rule does not look at them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub l7: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DirectionTrace {
    #[schemars(with = "String")]
    pub direction: Direction,
    /// Policies that isolate the subject in this direction.
    pub isolated_by: Vec<String>,
    pub considered: Vec<ConsideredRule>,
    pub verdict: Verdict,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decided_by: Option<RuleView>,
    pub why: String,
}

/// One side as the agent understood it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TraceSide {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<u16>")]
    pub endpoint: Option<EndpointId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<u32>")]
    pub identity: Option<Identity>,
    #[schemars(with = "Vec<String>")]
    pub labels: Labels,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<IpAddr>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TraceReply {
    pub source: TraceSide,
    pub destination: TraceSide,
    /// As it was asked, with the protocol that this answer is about where it was `ANY`.
    pub traffic: String,
    /// The request that was asked about, as it was understood.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<String>,
    /// Egress of the source and ingress of the destination, where these are under policy here.
    pub directions: Vec<DirectionTrace>,
    pub verdict: Verdict,
    /// The same for people.
    pub text: String,
}
