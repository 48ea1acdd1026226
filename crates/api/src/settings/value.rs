//! The kinds of values that settings have.

use ipnet::{Ipv4Net, Ipv6Net};
use std::{
    net::{Ipv6Addr, SocketAddr},
    path::PathBuf,
    time::Duration,
};

/// A value that is read from and shown as text.
pub trait SettingValue: Sized {
    /// What a value looks like.
    const FORM: &'static str;

    /// Fails with what would be right.
    fn read(text: &str) -> Result<Self, String>;

    fn show(&self) -> String;
}

macro_rules! choice {
    ($(#[$doc:meta])* $name:ident: $form:literal { $($variant:ident = $text:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum $name { $($variant),+ }

        impl SettingValue for $name {
            const FORM: &'static str = $form;

            fn read(text: &str) -> Result<Self, String> {
                match text {
                    $($text => Ok(Self::$variant),)+
                    _ => Err(format!("one of {}", $form)),
                }
            }

            fn show(&self) -> String {
                match self {
                    $(Self::$variant => $text.to_owned(),)+
                }
            }
        }
    };
}

choice! { Switch: "true|false" { On = "true", Off = "false" } }
choice! {
    /// When endpoints are isolated.
    EnforcementMode: "default|always|never" { Default = "default", Always = "always", Never = "never" }
}
choice! {
    /// Whether the local host may always enter its endpoints.
    AllowLocalhost: "always|policy" { Always = "always", Policy = "policy" }
}
choice! {
    /// What CIDR rules match besides the world, exactly by address.
    CidrMatchTarget: "nodes|endpoints" { Nodes = "nodes", Endpoints = "endpoints" }
}
choice! {
    /// How much the kernel leaves out of its events.
    MonitorAggregation: "none|low|medium|maximum" {
        None = "none", Low = "low", Medium = "medium", Maximum = "maximum",
    }
}
choice! {
    LogLevel: "error|warn|info|debug|trace" {
        Error = "error", Warn = "warn", Info = "info", Debug = "debug", Trace = "trace",
    }
}
choice! { LogFormat: "text|json" { Text = "text", Json = "json" } }

choice! {
    /// What a client is told whose DNS query policy denies; the words are those of Cilium.
    RejectCode: "refused|nameError" { Refused = "refused", NameError = "nameError" }
}

impl Switch {
    #[must_use]
    pub fn is_on(self) -> bool {
        self == Self::On
    }
}

/// Name of an HTTP header.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct HeaderName(pub String);

impl SettingValue for HeaderName {
    const FORM: &'static str = "NAME";

    fn read(text: &str) -> Result<Self, String> {
        // RFC 9110, 5.6.2.
        let is_token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
        match !text.is_empty() && text.chars().all(is_token) {
            true => Ok(Self(text.to_owned())),
            false => Err("names of HTTP headers".to_owned()),
        }
    }

    fn show(&self) -> String {
        self.0.clone()
    }
}

/// `key=value` of a node, or `key` alone.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct NodeLabel(pub String);

impl SettingValue for NodeLabel {
    const FORM: &'static str = "KEY=VALUE";

    fn read(text: &str) -> Result<Self, String> {
        // As Kubernetes has them: a key may have a domain in front, a value may be empty.
        let (key, value) = text.split_once('=').unwrap_or((text, ""));
        let (domain, name) = key.split_once('/').unwrap_or(("x", key));
        let is_word = |part: &str| part.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c));
        match ![domain, name].contains(&"") && [domain, name, value].into_iter().all(is_word) {
            true => Ok(Self(format!("{key}={value}"))),
            false => Err("labels such as topology.kubernetes.io/zone=a".to_owned()),
        }
    }

    fn show(&self) -> String {
        self.0.clone()
    }
}

impl SettingValue for PathBuf {
    const FORM: &'static str = "PATH";

    fn read(text: &str) -> Result<Self, String> {
        match text.starts_with('/') {
            true => Ok(Self::from(text)),
            false => Err("an absolute path".to_owned()),
        }
    }

    fn show(&self) -> String {
        self.display().to_string()
    }
}

impl SettingValue for String {
    const FORM: &'static str = "TEXT";

    fn read(text: &str) -> Result<Self, String> {
        match text.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c)) && text.len() <= 253 {
            true => Ok(text.to_owned()),
            false => Err("up to 253 letters, digits, '-', '_' and '.'".to_owned()),
        }
    }

    fn show(&self) -> String {
        self.clone()
    }
}

/// A number of things between two bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Count<const MIN: u32, const MAX: u32>(pub u32);

impl<const MIN: u32, const MAX: u32> SettingValue for Count<MIN, MAX> {
    const FORM: &'static str = "NUMBER";

    fn read(text: &str) -> Result<Self, String> {
        text.parse()
            .ok()
            .filter(|n| (MIN..=MAX).contains(n))
            .map(Self)
            .ok_or_else(|| format!("a number from {MIN} to {MAX}"))
    }

    fn show(&self) -> String {
        self.0.to_string()
    }
}

/// A time in whole seconds, at least one, at most 30 days: `60s`, `10m`, `2h`, `8000`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seconds(pub Duration);

impl SettingValue for Seconds {
    const FORM: &'static str = "DURATION";

    fn read(text: &str) -> Result<Self, String> {
        let (number, unit) = match text.char_indices().last() {
            Some((at, 's')) => (text.get(..at), 1),
            Some((at, 'm')) => (text.get(..at), 60),
            Some((at, 'h')) => (text.get(..at), 3600),
            Some(_) | None => (Some(text), 1),
        };
        number
            .and_then(|n| n.parse::<u64>().ok()?.checked_mul(unit))
            .filter(|n| (1..=30 * 86400).contains(n))
            .map(|n| Self(Duration::from_secs(n)))
            .ok_or_else(|| "a time from 1s to 720h, such as 60s, 10m or 2h".to_owned())
    }

    fn show(&self) -> String {
        format!("{}s", self.0.as_secs())
    }
}

/// A time in whole seconds, also none, at most 30 days: `0s`, `60s`, `10m`, `3600`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SecondsOrNone(pub u32);

impl SettingValue for SecondsOrNone {
    const FORM: &'static str = "DURATION";

    fn read(text: &str) -> Result<Self, String> {
        if matches!(text, "0" | "0s" | "0m" | "0h") {
            return Ok(Self(0));
        }
        let read = Seconds::read(text).ok().and_then(|some| u32::try_from(some.0.as_secs()).ok());
        read.map(Self).ok_or_else(|| "0 or a time up to 720h, such as 60s, 10m or 2h".to_owned())
    }

    fn show(&self) -> String {
        format!("{}s", self.0)
    }
}

/// A file; empty for none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OptionalPath(pub Option<PathBuf>);

impl SettingValue for OptionalPath {
    const FORM: &'static str = "PATH";

    fn read(text: &str) -> Result<Self, String> {
        match text {
            "" => Ok(Self(None)),
            _ => PathBuf::read(text).map(|path| Self(Some(path))),
        }
    }

    fn show(&self) -> String {
        self.0.as_ref().map(SettingValue::show).unwrap_or_default()
    }
}

/// Where to listen; empty for nowhere, `:9965` for all addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OptionalAddress(pub Option<SocketAddr>);

impl SettingValue for OptionalAddress {
    const FORM: &'static str = "IP:PORT";

    fn read(text: &str) -> Result<Self, String> {
        let read = match text.strip_prefix(':') {
            _ if text.is_empty() => return Ok(Self(None)),
            Some(port) => port.parse().ok().map(|port: u16| SocketAddr::from((Ipv6Addr::UNSPECIFIED, port))),
            None => text.parse().ok(),
        };
        let right = || "an IP address and a port such as 127.0.0.1:9965, or nothing".to_owned();
        read.filter(|address| address.port() != 0).map(|address| Self(Some(address))).ok_or_else(right)
    }

    fn show(&self) -> String {
        self.0.as_ref().map(SocketAddr::to_string).unwrap_or_default()
    }
}

/// `HOST:PORT` as others reach it; empty for none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AnnouncedAddress(pub Option<String>);

impl SettingValue for AnnouncedAddress {
    const FORM: &'static str = "HOST:PORT";

    fn read(text: &str) -> Result<Self, String> {
        let right = || "a host and a port such as node-1.example:4244, or nothing".to_owned();
        if text.is_empty() {
            return Ok(Self(None));
        }
        let (host, port) = text.rsplit_once(':').ok_or_else(right)?;
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        let is_host = match bare {
            Some(address) => address.parse::<Ipv6Addr>().is_ok(),
            None => !host.is_empty() && host.chars().all(|c| c.is_ascii_alphanumeric() || "-.".contains(c)),
        };
        let is_port = port.parse::<u16>().is_ok_and(|port| port != 0);
        if is_host && is_port { Ok(Self(Some(text.to_owned()))) } else { Err(right()) }
    }

    fn show(&self) -> String {
        self.0.clone().unwrap_or_default()
    }
}

/// Where flows are written to; empty for nowhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ExportPath {
    None,
    Stdout,
    File(PathBuf),
}

impl SettingValue for ExportPath {
    const FORM: &'static str = "PATH|stdout";

    fn read(text: &str) -> Result<Self, String> {
        match text {
            "" => Ok(Self::None),
            "stdout" => Ok(Self::Stdout),
            _ => PathBuf::read(text).map(Self::File).map_err(|right| format!("{right}, or stdout")),
        }
    }

    fn show(&self) -> String {
        match self {
            Self::None => String::new(),
            Self::Stdout => "stdout".to_owned(),
            Self::File(path) => path.show(),
        }
    }
}

/// Filters of flows in JSON, one after the other; what each says the agent understands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FilterList(pub String);

/// Bytes of a list of filters: no more are taken of a client, either.
const LONGEST_FILTERS: usize = 128 << 10;

impl SettingValue for FilterList {
    const FORM: &'static str = "FILTERS";

    fn read(text: &str) -> Result<Self, String> {
        match text.len() <= LONGEST_FILTERS {
            true => Ok(Self(text.trim().to_owned())),
            false => {
                Err("at most 128 KiB of filters in JSON, such as {\"verdict\":[\"DROPPED\"]}".to_owned())
            }
        }
    }

    fn show(&self) -> String {
        self.0.clone()
    }
}

/// Name of a field of flows.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct FieldPath(pub String);

impl SettingValue for FieldPath {
    const FORM: &'static str = "FIELD";

    fn read(text: &str) -> Result<Self, String> {
        match !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || "_.".contains(c)) {
            true => Ok(Self(text.to_owned())),
            false => Err("names of fields, such as source.pod_name".to_owned()),
        }
    }

    fn show(&self) -> String {
        self.0.clone()
    }
}

/// Metrics with a space between them; what each says the agent understands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MetricList(pub String);

/// Bytes of a list of metrics.
const LONGEST_METRICS: usize = 16 << 10;

impl SettingValue for MetricList {
    const FORM: &'static str = "METRICS";

    fn read(text: &str) -> Result<Self, String> {
        match text.len() <= LONGEST_METRICS && !text.contains(|c: char| c.is_control()) {
            true => Ok(Self(text.split_whitespace().collect::<Vec<_>>().join(" "))),
            false => Err("names of metrics with spaces between them, such as \"dns:query drop\"".to_owned()),
        }
    }

    fn show(&self) -> String {
        self.0.clone()
    }
}

/// A short time, at most ten seconds: `50ms`, `1s`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Milliseconds(pub Duration);

impl SettingValue for Milliseconds {
    const FORM: &'static str = "DURATION";

    fn read(text: &str) -> Result<Self, String> {
        let milliseconds = match (text.strip_suffix("ms"), text.strip_suffix('s')) {
            (Some(number), _) => number.parse::<u64>().ok(),
            (None, Some(number)) => number.parse::<u64>().ok().and_then(|n| n.checked_mul(1000)),
            (None, None) => None,
        };
        milliseconds
            .filter(|n| (1..=10_000).contains(n))
            .map(|n| Self(Duration::from_millis(n)))
            .ok_or_else(|| "a time from 1ms to 10s, such as 50ms".to_owned())
    }

    fn show(&self) -> String {
        format!("{}ms", self.0.as_millis())
    }
}

/// A pool whose first address is the gateway; one with host bits set is a mistake.
macro_rules! pool {
    ($net:ty, $longest:literal, $example:literal) => {
        impl SettingValue for $net {
            const FORM: &'static str = "CIDR";

            fn read(text: &str) -> Result<Self, String> {
                text.parse::<$net>()
                    .ok()
                    .filter(|net| net.prefix_len() <= $longest && net.addr() == net.network())
                    .ok_or_else(|| format!("a network of at most /{} such as {}", $longest, $example))
            }

            fn show(&self) -> String {
                self.to_string()
            }
        }
    };
}
pool!(Ipv4Net, 29, "10.201.0.0/16");
pool!(Ipv6Net, 125, "fd10:201::/64");

/// A list, separated by commas; empty for none.
impl<T: SettingValue + Ord> SettingValue for Vec<T> {
    const FORM: &'static str = "LIST";

    fn read(text: &str) -> Result<Self, String> {
        let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
        let mut list = parts
            .map(T::read)
            .collect::<Result<Self, _>>()
            .map_err(|_| format!("a list of {}, separated by commas", T::FORM))?;
        list.sort();
        list.dedup();
        Ok(list)
    }

    fn show(&self) -> String {
        self.iter().map(T::show).collect::<Vec<_>>().join(",")
    }
}
