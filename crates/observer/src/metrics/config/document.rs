//! Cilium's `hubble-dynamic-metrics-config`.

use super::{ConfigError, Raw};
use ciliate_hubble::flow::FlowFilter;
use serde::Deserialize;

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Document {
    #[serde(default)]
    metrics: Vec<Metric>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Metric {
    name: String,
    #[serde(default)]
    context_options: Vec<ContextOption>,
    #[serde(default)]
    include_filters: Vec<FlowFilter>,
    #[serde(default)]
    exclude_filters: Vec<FlowFilter>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ContextOption {
    name: String,
    #[serde(default)]
    values: Vec<String>,
}

pub(super) fn read(text: &str) -> Result<Vec<Raw>, ConfigError> {
    let document: Document = ciliate_config_file::parse(text)?.unwrap_or_default();
    Ok(document.metrics.into_iter().map(raw).collect())
}

fn raw(metric: Metric) -> Raw {
    let option = |ContextOption { name, values }| {
        let value = values.join("|");
        (name, (!value.is_empty()).then_some(value))
    };
    Raw {
        name: metric.name,
        options: metric.context_options.into_iter().map(option).collect(),
        include: metric.include_filters,
        exclude: metric.exclude_filters,
    }
}
