//! Cilium's `hubble-dynamic-metrics-config`.

use super::{ConfigError, Raw};
use ciliate_flow::Keys;
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

/// The same, as far as filters have names in it that may be wrong.
#[derive(Default, Deserialize)]
struct Loose {
    #[serde(default)]
    metrics: Vec<LooseMetric>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct LooseMetric {
    name: String,
    #[serde(default)]
    include_filters: Vec<Keys<String>>,
    #[serde(default)]
    exclude_filters: Vec<Keys<String>>,
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
    let loose: Loose = ciliate_config_file::parse(text)?.unwrap_or_default();
    for metric in &loose.metrics {
        for keys in metric.include_filters.iter().chain(&metric.exclude_filters) {
            keys.check_filter(&String::as_str).map_err(|unknown| ConfigError::FilterField {
                metric: metric.name.clone(),
                field: unknown.key.clone(),
                known: unknown.known,
            })?;
        }
    }
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
