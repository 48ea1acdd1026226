//! The file as it is written.

use super::{
    ConfigError,
    target::{RawFluentd, RawOtlp, RawSyslog, Targets},
};
use crate::{
    buffer::Bounds,
    selection::SelectionError,
    spec::{Spec, Target},
};
use ciliate_config_file::{YamlError, parse};
use ciliate_flow::{FilterError, Keys, Mask, Time};
use ciliate_hubble::flow::FlowFilter;
use serde::Deserialize;
use serde_saphyr::Spanned;
use std::path::{Path, PathBuf};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Document {
    #[serde(default)]
    flow_logs: Vec<Spanned<Log>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Log {
    name: Spanned<String>,
    file_path: Option<Spanned<String>>,
    file_max_size_mb: Option<Spanned<u32>>,
    file_max_backups: Option<Spanned<usize>>,
    file_compress: Option<Spanned<bool>>,
    syslog: Option<Spanned<RawSyslog>>,
    fluentd: Option<Spanned<RawFluentd>>,
    otlp: Option<Spanned<RawOtlp>>,
    #[serde(default)]
    include_filters: Vec<Spanned<FlowFilter>>,
    #[serde(default)]
    exclude_filters: Vec<Spanned<FlowFilter>>,
    #[serde(default)]
    field_mask: Vec<Spanned<String>>,
    #[serde(default)]
    field_aggregate: Vec<Spanned<String>>,
    aggregation_interval: Option<Spanned<String>>,
    end: Option<Spanned<String>>,
    buffer: Option<Spanned<usize>>,
}

/// The same once more, for what typed reading passes over.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Loose {
    #[serde(default)]
    flow_logs: Vec<LooseLog>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct LooseLog {
    #[serde(default)]
    include_filters: Vec<Keys<Spanned<String>>>,
    #[serde(default)]
    exclude_filters: Vec<Keys<Spanned<String>>>,
}

/// One exporter and where it stands.
pub struct Read {
    pub line: u64,
    /// What nobody else may write.
    pub file: Option<PathBuf>,
    pub spec: Spec,
}

/// For messages: which key of which exporter.
pub(super) struct Place<'a> {
    path: &'a Path,
    name: &'a str,
}

impl Place<'_> {
    pub fn error<T>(&self, key: &str, at: &Spanned<T>, what: impl Into<String>) -> ConfigError {
        ConfigError::new(self.path, at.referenced.line(), &format!("{} ({})", key, self.name), what.into())
    }
}

pub fn read(path: &Path, text: &str) -> Result<Vec<Read>, ConfigError> {
    let wrong = |YamlError { line, what }| ConfigError::new(path, line, "flowLogs", what);
    let Some(document) = parse::<Document>(text).map_err(wrong)? else { return Ok(Vec::new()) };
    let loose: Loose = parse(text).map_err(wrong)?.unwrap_or_default();
    for log in &loose.flow_logs {
        for keys in log.include_filters.iter().chain(&log.exclude_filters) {
            keys.check_filter(&|key: &Spanned<String>| key.value.as_str()).map_err(|unknown| {
                let what = format!("a filter has no such field: it has {}", unknown.known);
                ConfigError::new(path, unknown.key.referenced.line(), &unknown.key.value, what)
            })?;
        }
    }
    document.flow_logs.into_iter().map(|log| understand(path, log)).collect()
}

fn understand(path: &Path, log: Spanned<Log>) -> Result<Read, ConfigError> {
    let line = log.referenced.line();
    let log = log.value;
    let name = log.name.value.clone();
    let place = Place { path, name: &name };
    let fits = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    if name.is_empty() || name.len() > 63 || !name.chars().all(fits) {
        let what = "write 1 to 63 letters, digits, '.', '_' and '-'";
        return Err(place.error("name", &log.name, what));
    }
    if let Some(first) = log.field_aggregate.first() {
        let what = "flows are not aggregated here: take the key out, or set monitor-aggregation";
        return Err(place.error("fieldAggregate", first, what));
    }
    if let Some(interval) = log.aggregation_interval.as_ref().filter(|text| !is_zero(&text.value)) {
        let what = "flows are not aggregated here: take the key out, or set monitor-aggregation";
        return Err(place.error("aggregationInterval", interval, what));
    }
    for field in &log.field_mask {
        Mask::new(&[&field.value]).map_err(|what| place.error("fieldMask", field, what.to_string()))?;
    }
    let end = log.end.as_ref().map(|end| read_end(&place, end)).transpose()?;
    let bounds = match &log.buffer {
        None => Bounds::default(),
        Some(flows) if (1..=1 << 20).contains(&flows.value) => Bounds::of_flows(flows.value),
        Some(flows) => return Err(place.error("buffer", flows, "write a number of flows from 1 to 1048576")),
    };
    let target = target(&place, &log)?;
    let file = match &target {
        Target::File(file) => Some(file.path.clone()),
        Target::Stdout => Some(PathBuf::from(STDOUT)),
        Target::Syslog(_) | Target::Fluentd(_) | Target::Otlp(_) => None,
    };
    let lines = [&log.include_filters, &log.exclude_filters]
        .map(|list| list.iter().map(|f| f.referenced.line()).collect());
    let values = |list: Vec<Spanned<FlowFilter>>| list.into_iter().map(|filter| filter.value).collect();
    let spec = Spec {
        name: name.clone(),
        target,
        allow: values(log.include_filters),
        deny: values(log.exclude_filters),
        mask: log.field_mask.into_iter().map(|field| field.value).collect(),
        end,
        bounds,
    };
    spec.selection().map_err(|error| selection_error(path, &name, line, &lines, &error))?;
    Ok(Read { line, file, spec })
}

/// As the exporter of the settings does it.
const STDOUT: &str = "stdout";

fn target(place: &Place<'_>, log: &Log) -> Result<Target, ConfigError> {
    let targets = Targets {
        file_path: log.file_path.as_ref(),
        file_max_size_mb: log.file_max_size_mb.as_ref(),
        file_max_backups: log.file_max_backups.as_ref(),
        file_compress: log.file_compress.as_ref(),
        syslog: log.syslog.as_ref(),
        fluentd: log.fluentd.as_ref(),
        otlp: log.otlp.as_ref(),
    };
    targets.understand(place, &log.name)
}

fn is_zero(interval: &str) -> bool {
    interval.trim_end_matches(|c: char| c.is_ascii_alphabetic()).parse() == Ok(0_u64)
}

fn read_end(place: &Place<'_>, end: &Spanned<String>) -> Result<Time, ConfigError> {
    let moment = end.value.parse::<jiff::Timestamp>().ok();
    let nanoseconds = moment.and_then(|moment| u64::try_from(moment.as_nanosecond()).ok());
    let what = "write a time such as 2026-11-21T23:59:59+01:00";
    nanoseconds.map(Time).ok_or_else(|| place.error("end", end, what))
}

/// In the line of the filter that is wrong.
fn selection_error(
    path: &Path,
    name: &str,
    line: u64,
    lines: &[Vec<u64>; 2],
    error: &SelectionError,
) -> ConfigError {
    let [allow, deny] = lines;
    let (line, key, what) = match error {
        SelectionError::Filter(FilterError::Field { list, number, field, what }) => {
            let (key, lines) = match list {
                ciliate_flow::List::Allow => ("includeFilters", allow),
                ciliate_flow::List::Deny => ("excludeFilters", deny),
            };
            let line = lines.get(*number).copied().unwrap_or(line);
            (line, format!("{key}[{number}].{field}"), what.clone())
        }
        SelectionError::Filter(other) => {
            let text = other
                .to_string()
                .replace("whitelist", "includeFilters")
                .replace("blacklist", "excludeFilters");
            (line, "includeFilters, excludeFilters".to_owned(), text)
        }
        SelectionError::Mask(mask) => (line, "fieldMask".to_owned(), mask.to_string()),
    };
    ConfigError::new(path, line, &format!("{key} ({name})"), what)
}
