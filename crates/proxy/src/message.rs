//! What the agent and the proxy say to each other: one JSON document a line, over a unix socket. Accesses alone, of which
//! there may be very many, are packed.

mod access;
mod names;
mod packed;
mod trace;

pub use access::{Access, DnsAnswer, HttpVersion, Message, Side, Verdict, What};
pub use names::{
    Around, CachedAddress, CachedName, Lesson, NameIdentity, NameRules, NameSet, NameStatus, WireName,
};
pub(crate) use packed::{Frame, read_frame};
pub(crate) use trace::HEADER as TRACE_HEADER;
pub use trace::TraceId;

use ciliate_types::{Concealed, EndpointId, Identity, L7Rules, NamePattern};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, net::SocketAddr};

/// A request to the proxy; each is answered by one [`Answer`], but for [`Request::Watch`], which is answered by many.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Request {
    /// Adds filters to those of the configuration, in the same way as [`Request::Configure`].
    Learn(Configuration),
    /// Replaces the configuration. It is on disk when the answer comes; requests are judged by it from then on.
    Configure(Configuration),
    /// The kernel's policy has changed: every connection is judged anew before the answer comes.
    Switched,
    Status,
    Connections,
    Configuration,
    /// From the first of these on, the connection is a watcher's: it gets [`Answer::Done`] for each, and what it wants as it
    /// happens.
    Watch(Interest),
    /// Sends [`Answer::Wanted`] from now on: what addresses need identities that nobody has numbered yet.
    WatchWanted,
    /// Which identities known addresses would need under these rules; changes nothing.
    Plan(NameRules),
    /// What names resolved to: [`Answer::Names`].
    Names,
    /// The patterns of names in use: [`Answer::NamePatterns`].
    NamePatterns,
    /// Forgets what names resolved to: those that the pattern matches, or all.
    CleanNames(Option<NamePattern>),
    /// Forgets what names resolved to for an endpoint that is gone.
    ForgetEndpoint(EndpointId),
    /// Keeps no names from now on, for another process begins to.
    HandOverNames,
    /// What that process still hears: the kernel has its addresses when the answer comes.
    LearnName(Lesson),
    /// Another process has taken the new connections over: end when the last connection does.
    HandOver,
    /// End now, with every connection.
    End,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Answer {
    Done,
    Status(Status),
    Connections(Vec<ConnectionInfo>),
    Configuration(Configuration),
    /// To a watcher. Never a line: they come packed.
    #[serde(skip)]
    Accesses(Vec<Access>),
    /// So many accesses this watcher has missed, being too slow or because of a limit.
    Lost(u64),
    /// To a watcher: another process has taken the new connections over, and listens at the same path.
    HandedOver,
    Wanted(Vec<NameSet>),
    Names(Vec<CachedName>),
    NamePatterns(NameRules),
    /// So many names were forgotten.
    Cleaned(usize),
    /// Nothing has changed.
    Failed(String),
}

/// What a watcher wants to be told of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Interest {
    /// Nothing but the end of the process, which the connection tells.
    #[default]
    Nothing,
    /// An [`Access`] for each request and each response.
    Requests,
}

/// Everything the proxy has to know besides the kernel's maps.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Configuration {
    /// Counts the agent's changes.
    pub revision: u64,
    /// What the kernel's entries stand for.
    pub filters: BTreeMap<Digest, Filter>,
    #[serde(default)]
    pub names: NameRules,
    /// What filters compare headers with, by `namespace/name`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub secrets: Secrets,
}

/// Values by `namespace/name`.
pub type Secrets = BTreeMap<String, Concealed>;

impl Configuration {
    /// Without the values of secrets.
    #[must_use]
    pub fn redacted(mut self) -> Self {
        self.secrets.values_mut().for_each(|value| *value = Concealed::default());
        self
    }
}

/// Names a filter in the kernel's entries: 16 hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Digest(pub u64);

impl From<Digest> for String {
    fn from(digest: Digest) -> Self {
        format!("{:016x}", digest.0)
    }
}

impl TryFrom<String> for Digest {
    type Error = std::num::ParseIntError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        u64::from_str_radix(&text, 16).map(Self)
    }
}

/// Rules of which one has to match a request.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Filter {
    pub rules: Vec<FilterRule>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FilterRule {
    /// As the kernel numbers it.
    pub rule: u32,
    /// The policy, as users name it.
    pub policy: String,
    /// Such as `spec.ingress[0].toPorts[0]`.
    pub section: String,
    pub l7: L7Rules,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    pub version: String,
    pub pid: u32,
    /// The process that starts another one should this one die.
    #[serde(default)]
    pub guardian: Option<u32>,
    /// Seconds since the process began.
    pub uptime: u64,
    pub workers: usize,
    pub port: u16,
    pub revision: u64,
    pub filters: usize,
    pub connections: u64,
    pub accepted: u64,
    pub requests: Verdicts,
    /// Connections that ended because of a limit or a fault, by its name.
    pub faults: BTreeMap<String, u64>,
    /// Accesses that nobody had time for.
    pub lost_accesses: u64,
    #[serde(default)]
    pub names: NameStatus,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdicts {
    pub forwarded: u64,
    pub denied: u64,
    pub audited: u64,
    /// Malformed, or ambiguous.
    pub refused: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ConnectionInfo {
    pub client: SocketAddr,
    pub server: SocketAddr,
    pub client_identity: Identity,
    pub server_identity: Identity,
    pub protocol: Parser,
    /// Seconds since it was accepted.
    pub age: u64,
    pub requests: u64,
}

/// What the proxy reads a connection as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Parser {
    Http,
    Kafka,
    Tls,
    Dns,
    /// Passed on unread: policy has come to allow all of it.
    Tcp,
}
