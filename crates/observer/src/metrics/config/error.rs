//! What can be wrong with a configuration of metrics.

use ciliate_config_file::YamlError;
use ciliate_flow::FilterError;

/// Why metrics cannot be as they are configured.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    #[error("metric {name:?} is unknown: there are {known}")]
    Metric { name: String, known: String },
    #[error("metric {metric} is there twice: give it once, with all its options")]
    Twice { metric: &'static str },
    #[error("the metrics http and httpV2 have the same names: choose one")]
    BothHttp,
    #[error("metric {metric}: option {option:?} is unknown: it has {known}")]
    Option { metric: &'static str, option: String, known: String },
    #[error("metric {metric}: option {option} is there twice")]
    OptionTwice { metric: &'static str, option: String },
    #[error("metric {metric}: option {option} is {value:?}: {right}")]
    Value { metric: &'static str, option: String, value: String, right: String },
    #[error("metric {metric}: option {option} has no value: {right}")]
    NoValue { metric: &'static str, option: String, right: String },
    #[error("metric {metric}: {}", renamed(filter))]
    Filter { metric: &'static str, filter: FilterError },
    #[error("metric {metric}: a filter has no field {field:?}: it has {known}")]
    FilterField { metric: String, field: String, known: String },
    #[error("this is no list of metrics: {0}")]
    Document(#[from] YamlError),
}

/// With the names that the lists have in a document.
fn renamed(error: &FilterError) -> String {
    error.to_string().replace("whitelist", "includeFilters").replace("blacklist", "excludeFilters")
}
