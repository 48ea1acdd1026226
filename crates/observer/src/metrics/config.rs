//! Which metrics there are, as `--hubble-metrics` and files of Cilium's dynamic configuration say it.

mod document;
mod error;
mod spec;

pub use error::ConfigError;
pub use spec::{Kind, Spec};

use super::family::Bounds;
use ciliate_hubble::flow::FlowFilter;

/// Metrics that are wanted.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Config {
    pub(super) specs: Vec<Spec>,
}

/// One metric as it was written, not yet understood.
#[derive(Debug, Default)]
struct Raw {
    name: String,
    /// Names and values of options.
    options: Vec<(String, Option<String>)>,
    include: Vec<FlowFilter>,
    exclude: Vec<FlowFilter>,
}

impl Config {
    /// From `--hubble-metrics`: names of metrics with a space between them, each with options as in
    /// `dns:query;ignoreAAAA flow:sourceContext=workload|dns;ttl=1h`. Options that are not given have the values of `bounds`.
    ///
    /// # Errors
    /// Says which option of which metric is wrong and what would be right.
    pub fn parse(text: &str, bounds: Bounds) -> Result<Self, ConfigError> {
        let raw = text.split_whitespace().map(|metric| {
            let (name, options) = metric.split_once(':').unwrap_or((metric, ""));
            let options = options.split(';').filter(|option| !option.is_empty());
            let option = |option: &str| match option.split_once('=') {
                Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
                None => (option.to_owned(), None),
            };
            Raw { name: name.to_owned(), options: options.map(option).collect(), ..Raw::default() }
        });
        Self::understand(raw, bounds)
    }

    /// From a document in YAML or JSON, in the form of Cilium's `hubble-dynamic-metrics-config`, which also has filters.
    ///
    /// # Errors
    /// Where it is no such document, and as [`Config::parse`].
    pub fn from_document(text: &str, bounds: Bounds) -> Result<Self, ConfigError> {
        Self::understand(document::read(text)?, bounds)
    }

    fn understand(raw: impl IntoIterator<Item = Raw>, bounds: Bounds) -> Result<Self, ConfigError> {
        let mut specs: Vec<Spec> = Vec::new();
        for raw in raw {
            let spec = Spec::understand(raw, bounds)?;
            let name = spec.kind.name();
            if specs.iter().any(|other| other.kind.name() == name) {
                return Err(ConfigError::Twice { metric: name });
            }
            specs.push(spec);
        }
        let has = |wanted: &str| specs.iter().any(|spec| spec.kind.name() == wanted);
        match has("http") && has("httpV2") {
            true => Err(ConfigError::BothHttp),
            false => Ok(Self { specs }),
        }
    }

    /// Whether no metric is wanted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.specs.is_empty()
    }
}

#[cfg(test)]
mod tests;
