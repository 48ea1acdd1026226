//! Exporters of flows, as the settings and the file that they name say.

use anyhow::{Context as _, anyhow};
use ciliate_api::settings::{Config, ExportPath, Switch};
use ciliate_export::{Bounds, Compression, Exports, FileTarget, Report, Service, Sources, Spec, Target};
use ciliate_flow::{Flow, Node, read_filters};
use ciliate_observer::{
    log::Log,
    metrics::{Foreign, ForeignKind},
};
use std::sync::Arc;

/// Cilium's name for the exporter of the settings.
const STATIC: &str = "static-exporter";

pub fn start(config: &Config, node: Arc<Node>, log: &Log<Flow>) -> anyhow::Result<Service> {
    let sources = Sources { fixed: fixed(config)?, file: config.hubble_flowlogs.0.clone() };
    Service::start(sources, Exports::new(node, log.clone())).context("cannot export flows")
}

/// The exporter of the settings; none if they name no file.
fn fixed(config: &Config) -> anyhow::Result<Option<Spec>> {
    let target = match &config.hubble_export_file {
        ExportPath::None => return Ok(None),
        ExportPath::Stdout => Target::Stdout,
        ExportPath::File(path) => Target::File(FileTarget {
            path: path.clone(),
            most_bytes: u64::from(config.hubble_export_megabytes.0) << 20,
            backups: usize::try_from(config.hubble_export_backups.0).unwrap_or(usize::MAX),
            compression: match config.hubble_export_compress {
                Switch::On => Compression::Gzip,
                Switch::Off => Compression::None,
            },
        }),
    };
    let filters = |name, text| read_filters(text).map_err(|what| anyhow!("setting {name}: {what}"));
    let spec = Spec {
        name: STATIC.to_owned(),
        target,
        allow: filters("hubble-export-allowlist", &config.hubble_export_allow.0)?,
        deny: filters("hubble-export-denylist", &config.hubble_export_deny.0)?,
        mask: config.hubble_export_mask.iter().map(|path| path.0.clone()).collect(),
        end: None,
        bounds: Bounds::default(),
    };
    spec.selection().context("settings hubble-export-allowlist, -denylist and -fieldmask")?;
    Ok(Some(spec))
}

/// What exporters do, as metrics: Cilium's names where it has one.
pub fn families(report: &Report) -> Vec<Foreign> {
    let each = |value: &dyn Fn(&ciliate_export::ExporterReport) -> u64| {
        report.exporters.iter().map(|one| (vec![one.name.clone()], value(one))).collect::<Vec<_>>()
    };
    let named =
        |rows: &[(&str, u64)]| rows.iter().map(|(name, value)| (vec![(*name).to_owned()], *value)).collect();
    let family = |name, help, kind, labels, rows| Foreign { name, help, kind, labels, rows };
    use ForeignKind::{Counter, Gauge};
    if report.exporters.is_empty() && report.reconfigurations.iter().all(|(_, count)| *count == 0) {
        return Vec::new();
    }
    let active = report.exporters.iter().filter(|one| one.active).count();
    let inactive = report.exporters.len().saturating_sub(active);
    let count = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
    let lost = report.exporters.iter().flat_map(|one| {
        one.lost.iter().map(|(reason, count)| (vec![one.name.clone(), (*reason).to_owned()], *count))
    });
    vec![
        family(
            "hubble_dynamic_exporter_exporters_total",
            "Number of configured exporters",
            Gauge,
            &["status"],
            named(&[("active", count(active)), ("inactive", count(inactive))]),
        ),
        family(
            "hubble_dynamic_exporter_up",
            "Status of individual exporters",
            Gauge,
            &["name"],
            each(&|one| u64::from(one.active)),
        ),
        family(
            "hubble_dynamic_exporter_reconfigurations_total",
            "Number of dynamic exporters reconfigurations",
            Counter,
            &["op"],
            named(&report.reconfigurations),
        ),
        family(
            "hubble_dynamic_exporter_config_last_applied",
            "Timestamp of last applied config",
            Gauge,
            &[],
            vec![(vec![], report.last_applied)],
        ),
        family(
            "hubble_export_flows_total",
            "Flows that an exporter has delivered",
            Counter,
            &["name"],
            each(&|one| one.exported),
        ),
        family(
            "hubble_export_lost_flows_total",
            "Flows that an exporter has not delivered",
            Counter,
            &["name", "reason"],
            lost.collect(),
        ),
        family(
            "hubble_export_buffered_flows",
            "Flows that wait in an exporter's buffer or may not have arrived",
            Gauge,
            &["name"],
            each(&|one| one.buffered),
        ),
        family(
            "hubble_export_faults_total",
            "Deliveries that failed and are tried again",
            Counter,
            &["name"],
            each(&|one| one.faults),
        ),
        family(
            "hubble_export_repeated_total",
            "Flows that were sent once more because they may not have arrived",
            Counter,
            &["name"],
            each(&|one| one.repeated),
        ),
        family(
            "hubble_export_working",
            "Whether an exporter's last delivery succeeded",
            Gauge,
            &["name"],
            each(&|one| one.up),
        ),
    ]
}

#[cfg(test)]
mod tests;
