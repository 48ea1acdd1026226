//! One metric, understood.

use super::{ConfigError, Raw};
use crate::metrics::{
    context::{Attribute, CONTEXTS, Context, LABELS, Label},
    family::Bounds,
};
use ciliate_flow::Filter;
use ciliate_hubble::flow::FlowFilter;
use std::time::Duration;

/// What one handler does.
#[derive(Clone, Debug, PartialEq)]
pub struct Spec {
    pub kind: Kind,
    pub context: Context,
    pub bounds: Bounds,
    pub include: Vec<FlowFilter>,
    pub exclude: Vec<FlowFilter>,
}

/// Which handler, with the options of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Dns { query: bool, ignore_aaaa: bool },
    Drop,
    Flow,
    FlowsToWorld { any_drop: bool, port: bool, syn_only: bool },
    Http { exemplars: bool },
    HttpV2 { exemplars: bool },
    Icmp,
    Kafka,
    Policy,
    PortDistribution,
    Sctp,
    Tcp,
}

/// Names that there are, in the order in which they are told.
const KINDS: [Kind; 12] = [
    Kind::Dns { query: false, ignore_aaaa: false },
    Kind::Drop,
    Kind::Flow,
    Kind::FlowsToWorld { any_drop: false, port: false, syn_only: false },
    Kind::Http { exemplars: false },
    Kind::HttpV2 { exemplars: false },
    Kind::Icmp,
    Kind::Kafka,
    Kind::Policy,
    Kind::PortDistribution,
    Kind::Sctp,
    Kind::Tcp,
];

impl Kind {
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Dns { .. } => "dns",
            Self::Drop => "drop",
            Self::Flow => "flow",
            Self::FlowsToWorld { .. } => "flows-to-world",
            Self::Http { .. } => "http",
            Self::HttpV2 { .. } => "httpV2",
            Self::Icmp => "icmp",
            Self::Kafka => "kafka",
            Self::Policy => "policy",
            Self::PortDistribution => "port-distribution",
            Self::Sctp => "sctp",
            Self::Tcp => "tcp",
        }
    }

    /// Its switches by their names.
    fn switches(&mut self) -> Vec<(&'static str, &mut bool)> {
        match self {
            Self::Dns { query, ignore_aaaa } => vec![("query", query), ("ignoreAAAA", ignore_aaaa)],
            Self::FlowsToWorld { any_drop, port, syn_only } => {
                vec![("any-drop", any_drop), ("port", port), ("syn-only", syn_only)]
            }
            Self::Http { exemplars } | Self::HttpV2 { exemplars } => vec![("exemplars", exemplars)],
            Self::Drop
            | Self::Flow
            | Self::Icmp
            | Self::Kafka
            | Self::Policy
            | Self::PortDistribution
            | Self::Sctp
            | Self::Tcp => Vec::new(),
        }
    }
}

/// Options of every metric.
const COMMON: [&str; 9] = [
    "sourceContext",
    "sourceEgressContext",
    "sourceIngressContext",
    "destinationContext",
    "destinationEgressContext",
    "destinationIngressContext",
    "labelsContext",
    "ttl",
    "max-series",
];

impl Spec {
    pub(super) fn understand(raw: Raw, bounds: Bounds) -> Result<Self, ConfigError> {
        let Raw { name, options, include, exclude } = raw;
        let Some(kind) = KINDS.into_iter().find(|kind| kind.name() == name) else {
            let known = KINDS.map(Kind::name).join(", ");
            return Err(ConfigError::Metric { name, known });
        };
        let metric = kind.name();
        Filter::new(&include, &exclude).map_err(|filter| ConfigError::Filter { metric, filter })?;
        let mut spec = Self { kind, context: Context::default(), bounds, include, exclude };
        let mut seen: Vec<String> = Vec::new();
        for (option, value) in options {
            let small = option.to_ascii_lowercase();
            if seen.contains(&small) {
                return Err(ConfigError::OptionTwice { metric, option });
            }
            seen.push(small);
            spec.set(&option, value)?;
        }
        Ok(spec)
    }

    fn set(&mut self, option: &str, value: Option<String>) -> Result<(), ConfigError> {
        let metric = self.kind.name();
        let is = |name: &str| name.eq_ignore_ascii_case(option);
        if let Some((_, switch)) = self.kind.switches().into_iter().find(|(name, _)| is(name)) {
            *switch = match value.as_deref() {
                None | Some("true") => true,
                Some("false") => false,
                Some(_) => return Err(wrong(metric, option, value, "write it alone, or =true or =false")),
            };
            return Ok(());
        }
        let Some(known) = COMMON.into_iter().find(|name| is(name)) else {
            let own = self.kind.switches().into_iter().map(|(name, _)| name).collect::<Vec<_>>();
            let known = own.into_iter().chain(COMMON).collect::<Vec<_>>().join(", ");
            return Err(ConfigError::Option { metric, option: option.to_owned(), known });
        };
        let text = value.clone().unwrap_or_default();
        let refuse = |right: String| wrong(metric, known, value.clone(), &right);
        let Context { labels, source, destination } = &mut self.context;
        match known {
            "sourceContext" => source.any = contexts(&text).map_err(refuse)?,
            "sourceEgressContext" => source.egress = Some(contexts(&text).map_err(refuse)?),
            "sourceIngressContext" => source.ingress = Some(contexts(&text).map_err(refuse)?),
            "destinationContext" => destination.any = contexts(&text).map_err(refuse)?,
            "destinationEgressContext" => destination.egress = Some(contexts(&text).map_err(refuse)?),
            "destinationIngressContext" => destination.ingress = Some(contexts(&text).map_err(refuse)?),
            "labelsContext" => *labels = context_labels(&text).map_err(refuse)?,
            "ttl" => self.bounds.ttl = ttl(&text).map_err(refuse)?,
            _ => {
                let count = text.parse().ok().filter(|count| (1..=10_000_000).contains(count));
                let right = || "write a number from 1 to 10000000".to_owned();
                self.bounds.series = count.ok_or_else(right).map_err(refuse)?;
            }
        }
        Ok(())
    }
}

fn wrong(metric: &'static str, option: &str, value: Option<String>, right: &str) -> ConfigError {
    let (option, right) = (option.to_owned(), right.to_owned());
    match value {
        Some(value) => ConfigError::Value { metric, option, value, right },
        None => ConfigError::NoValue { metric, option, right },
    }
}

/// `dns|ip`; a document may have had them apart.
fn contexts(text: &str) -> Result<Vec<Attribute>, String> {
    let one = |name: &str| {
        let found = CONTEXTS.into_iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map(|(_, attribute)| attribute).ok_or_else(|| {
            let known = CONTEXTS.map(|(name, _)| name).join(", ");
            format!("{name:?} is none of {known}, which are joined by '|'")
        })
    };
    text.split(['|', ',']).map(|name| one(name.trim())).collect()
}

/// In the order of the table and each once, whatever that of the text is.
fn context_labels(text: &str) -> Result<Vec<Label>, String> {
    let names: Vec<&str> = text.split(['|', ',']).map(str::trim).collect();
    if let Some(unknown) = names.iter().find(|name| !LABELS.iter().any(|(known, _)| known == *name)) {
        let known = LABELS.map(|(name, _)| name).join(", ");
        return Err(format!("{unknown:?} is none of {known}, which are joined by ','"));
    }
    Ok(LABELS.into_iter().filter(|(name, _)| names.contains(name)).map(|(_, label)| label).collect())
}

/// `90s`, `5m`, `2h`, or `0` for series that stay for ever.
fn ttl(text: &str) -> Result<Option<Duration>, String> {
    if matches!(text, "0" | "0s") {
        return Ok(None);
    }
    let units = [("s", 1), ("m", 60), ("h", 3600), ("d", 86_400)];
    let read = units.into_iter().find_map(|(unit, seconds)| {
        let number: u64 = text.strip_suffix(unit)?.parse().ok()?;
        number.checked_mul(seconds).filter(|seconds| (1..=365 * 86_400).contains(seconds))
    });
    read.map(|seconds| Some(Duration::from_secs(seconds)))
        .ok_or_else(|| "write a time from 1s to 365d such as 90s, 5m or 2h, or 0 for no end".to_owned())
}
