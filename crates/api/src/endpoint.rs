//! Endpoints: what one is, how it is asked for and what it tells about itself.

use ciliate_types::{EndpointId, Identity, Labels, Protocol};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    path::PathBuf,
    str::FromStr,
};

/// One network namespace under policy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Endpoint {
    #[schemars(with = "u16")]
    pub id: EndpointId,
    /// Its name, unique in its namespace while it lives.
    pub name: String,
    pub namespace: String,
    pub service_account: String,
    /// Who made it outside: a container's id, as CNI gives it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub container_id: Option<String>,
    pub state: EndpointState,
    #[schemars(with = "u32")]
    pub identity: Identity,
    /// The labels that policies see; they make the identity.
    #[schemars(with = "Vec<String>")]
    pub labels: Labels,
    /// The part of them that was given by whoever made the endpoint.
    #[schemars(with = "Vec<String>")]
    pub given_labels: Labels,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ipv4: Option<Ipv4Addr>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ipv6: Option<Ipv6Addr>,
    pub ports: Vec<NamedPort>,
    pub publish: Vec<Publish>,
    pub device: Device,
    pub policy: EndpointPolicy,
    #[schemars(with = "String")]
    pub created: Timestamp,
    /// What its namespace needs besides: answered with every endpoint so that CNI need not ask again.
    pub network: Network,
}

/// Where an endpoint is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum EndpointState {
    /// Rows and devices are being made; no packet passes yet.
    Creating,
    /// Known from before the agent's start; the kernel enforces what it enforced.
    Restoring,
    /// A changed policy or identity is being written; the kernel enforces the previous one.
    Regenerating,
    Ready,
    /// The last change could not be written; the kernel enforces the previous one.
    NotReady,
    Disconnecting,
    Disconnected,
}

impl EndpointState {
    pub const ALL: [Self; 7] = [
        Self::Creating,
        Self::Restoring,
        Self::Regenerating,
        Self::Ready,
        Self::NotReady,
        Self::Disconnecting,
        Self::Disconnected,
    ];
}

impl fmt::Display for EndpointState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Creating => "creating",
            Self::Restoring => "restoring",
            Self::Regenerating => "regenerating",
            Self::Ready => "ready",
            Self::NotReady => "not-ready",
            Self::Disconnecting => "disconnecting",
            Self::Disconnected => "disconnected",
        })
    }
}

/// Whether a direction of an endpoint is isolated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Enforcement {
    Disabled,
    /// Policies are judged and logged; nothing is dropped.
    DisabledAudit,
    Enabled,
}

impl fmt::Display for Enforcement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Disabled => "Disabled",
            Self::DisabledAudit => "Disabled (Audit)",
            Self::Enabled => "Enabled",
        })
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EndpointPolicy {
    pub ingress: Enforcement,
    pub egress: Enforcement,
    /// Set for this endpoint alone; the node's setting adds to it.
    pub audit: AuditMode,
    /// The revision of all policies that the kernel enforces for it.
    pub revision: u64,
    /// The kernel's number of its rule set; endpoints with equal rules show the same.
    pub rule_set: u32,
    /// Policies that isolate it, such as `cnp/default/rule1`.
    pub ingress_isolated_by: Vec<String>,
    pub egress_isolated_by: Vec<String>,
}

/// Whether denied packets are dropped or only reported.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum AuditMode {
    #[default]
    Off,
    On,
}

/// The pair of devices that connects the namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Device {
    /// Name and number on the host's side.
    pub name: String,
    pub ifindex: u32,
    /// `12:8B:D2:8D:C0:05`: the host side's, which the namespace sees as its gateway's.
    pub host_mac: String,
    /// Name and address inside the namespace.
    pub container_name: String,
    pub container_mac: String,
    /// Path of the namespace, if it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub netns: Option<PathBuf>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Network {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gateway4: Option<Ipv4Addr>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gateway6: Option<Ipv6Addr>,
    pub mtu: u32,
    /// File with the names of all endpoints in the form of /etc/hosts.
    pub hosts_file: PathBuf,
}

/// A port that policies may name: `http=8080/TCP`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NamedPort {
    pub name: String,
    pub port: u16,
    #[schemars(with = "String")]
    pub protocol: Protocol,
}

impl FromStr for NamedPort {
    type Err = String;

    /// Reads `http=8080/TCP` or `http=8080` (TCP).
    fn from_str(text: &str) -> Result<Self, String> {
        let wrong =
            |why: &str| format!("port {text:?} {why}: write NAME=PORT[/PROTOCOL], such as http=8080/TCP");
        let (name, rest) = text.split_once('=').ok_or_else(|| wrong("has no name"))?;
        let (port, protocol) = rest.split_once('/').unwrap_or((rest, "TCP"));
        let port =
            port.parse().ok().filter(|p| *p != 0).ok_or_else(|| wrong("has no number from 1 to 65535"))?;
        let letters = name.chars().any(|c| c.is_ascii_lowercase());
        let valid = name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-');
        if !letters || !valid || name.len() > 15 {
            return Err(wrong("has a name that is not 1 to 15 of a-z, 0-9 and - with a letter"));
        }
        let protocol: Protocol = protocol.parse().map_err(|e| wrong(&format!("is wrong ({e})")))?;
        match protocol.has_ports() {
            true => Ok(Self { name: name.to_owned(), port, protocol }),
            false => Err(wrong("has a protocol without ports")),
        }
    }
}

impl fmt::Display for NamedPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}/{}", self.name, self.port, self.protocol)
    }
}

/// A port of the host that leads to one of the endpoint: `8080:80/TCP`, `127.0.0.1:8080:80`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Publish {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host_ip: Option<IpAddr>,
    pub host_port: u16,
    pub port: u16,
    #[schemars(with = "String")]
    pub protocol: Protocol,
}

impl FromStr for Publish {
    type Err = String;

    /// Reads `[ADDRESS:]HOSTPORT:PORT[/PROTOCOL]`; an IPv6 address stands in brackets.
    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = |why: &str| {
            format!(
                "{text:?} {why}: write [ADDRESS:]HOSTPORT:PORT[/PROTOCOL], such as 8080:80/TCP or [::1]:8080:80"
            )
        };
        let (rest, protocol) = text.rsplit_once('/').unwrap_or((text, "TCP"));
        let protocol: Protocol = protocol.parse().map_err(|e| wrong(&format!("is wrong ({e})")))?;
        if !protocol.has_ports() {
            return Err(wrong("has a protocol without ports"));
        }
        let number = |s: &str| s.parse().ok().filter(|p: &u16| *p != 0);
        let (rest, port) = rest.rsplit_once(':').ok_or_else(|| wrong("has only one port"))?;
        let port = number(port).ok_or_else(|| wrong("has a port that is not from 1 to 65535"))?;
        let (address, host_port) = match rest.rsplit_once(':') {
            Some((address, port)) => (Some(address), port),
            None => (None, rest),
        };
        let host_port = number(host_port).ok_or_else(|| wrong("has a port that is not from 1 to 65535"))?;
        let bare = |a: &str| a.strip_prefix('[').and_then(|a| a.strip_suffix(']')).unwrap_or(a).parse();
        let host_ip = address.map(bare).transpose().map_err(|_| wrong("has an address that is none"))?;
        Ok(Self { host_ip, host_port, port, protocol })
    }
}

impl fmt::Display for Publish {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host_ip {
            Some(IpAddr::V6(ip)) => write!(f, "[{ip}]:")?,
            Some(IpAddr::V4(ip)) => write!(f, "{ip}:")?,
            None => {}
        }
        write!(f, "{}:{}/{}", self.host_port, self.port, self.protocol)
    }
}

/// An endpoint to be made of an existing network namespace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct EndpointRequest {
    /// Default: `endpoint-<id>`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Default: `default`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Default: `default`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_account: Option<String>,
    /// `[source:]key[=value]`; the source is `k8s` where none is given.
    #[serde(default)]
    pub labels: Vec<String>,
    pub netns: NetnsRef,
    /// Name of the device inside; default `eth0`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interface: Option<String>,
    /// Addresses wanted, at most one of each family; others are taken from the pools.
    #[serde(default)]
    pub addresses: Vec<IpAddr>,
    #[serde(default)]
    pub ports: Vec<NamedPort>,
    #[serde(default)]
    pub publish: Vec<Publish>,
    /// Asking again with the same container and interface answers with the endpoint that is there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container_id: Option<String>,
}

/// How a network namespace is named.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum NetnsRef {
    /// A file such as `/run/netns/foo` or `/proc/17/ns/net`.
    Path(PathBuf),
    Pid(u32),
}

/// How a request names an endpoint that is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EndpointRef {
    Id(EndpointId),
    Name { namespace: String, name: String },
    Address(IpAddr),
    Container { id: String, interface: Option<String> },
}

impl FromStr for EndpointRef {
    type Err = std::convert::Infallible;

    /// Reads `65`, `10.0.0.1`, `container-id:ID[:INTERFACE]`, `namespace/name` or `name` (namespace `default`).
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Ok(id) = text.parse() {
            return Ok(Self::Id(id));
        }
        if let Ok(address) = text.parse() {
            return Ok(Self::Address(address));
        }
        if let Some(rest) = text.strip_prefix("container-id:") {
            let (id, interface) =
                rest.split_once(':').map_or((rest, None), |(id, i)| (id, Some(i.to_owned())));
            return Ok(Self::Container { id: id.to_owned(), interface });
        }
        let (namespace, name) = text.split_once('/').unwrap_or(("default", text));
        Ok(Self::Name { namespace: namespace.to_owned(), name: name.to_owned() })
    }
}

impl fmt::Display for EndpointRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Id(id) => write!(f, "{id}"),
            Self::Name { namespace, name } => write!(f, "{namespace}/{name}"),
            Self::Address(address) => write!(f, "{address}"),
            Self::Container { id, interface: None } => write!(f, "container-id:{id}"),
            Self::Container { id, interface: Some(interface) } => write!(f, "container-id:{id}:{interface}"),
        }
    }
}

impl From<EndpointId> for EndpointRef {
    fn from(id: EndpointId) -> Self {
        Self::Id(id)
    }
}

/// Changes to one endpoint.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct EndpointPatch {
    pub add_labels: Vec<String>,
    /// `[source:]key`; a value is not compared.
    pub delete_labels: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub audit: Option<AuditMode>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EndpointLogEntry {
    #[schemars(with = "String")]
    pub time: Timestamp,
    pub state: EndpointState,
    /// `OK`, or what failed.
    pub code: String,
    pub message: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EndpointHealth {
    pub overall: crate::Health,
    /// Its row, rule set and programs in the kernel.
    pub bpf: crate::Health,
    /// What the kernel enforces is what the policies say.
    pub policy: crate::Health,
    pub connected: crate::Health,
}
