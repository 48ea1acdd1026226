//! Metrics in the Prometheus text format, under Cilium's names where they mean the same, so that its dashboards
//! work; what is our own begins with `ciliate_`.

mod server;

pub use server::Server;

use crate::{
    engine::{Engine, PolicyChanges},
    failure::Result,
    observer::families,
    state::{Enforced, State},
    status::{pressure, resident_bytes},
};
use ciliate_bpf::{LostEvents, MapUsage, MetricRow, Suppressed};
use ciliate_export::Report;
use ciliate_observer::metrics::{Foreign, ForeignKind};
use ciliate_types::IdentityScope;
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric as _, text::encode},
    metrics::{counter::ConstCounter, gauge::ConstGauge},
    registry::{Registry, Unit},
};
use std::{collections::BTreeMap, fmt, sync::Arc};

/// All that a scrape shows, taken at one moment.
#[derive(Debug)]
pub struct Sample {
    state: Arc<State>,
    packets: Vec<MetricRow>,
    maps: Vec<MapUsage>,
    lost: LostEvents,
    changes: PolicyChanges,
    uptime: f64,
    audited: bool,
}

impl Engine {
    pub fn sample(&self, state: Arc<State>) -> Result<Sample> {
        Ok(Sample {
            state,
            packets: self.packet_counts()?,
            maps: self.usage(),
            lost: self.lost_events()?,
            changes: self.policy_changes(),
            uptime: self.uptime().as_secs_f64(),
            audited: self.config.policy_audit_mode.is_on(),
        })
    }
}

pub fn text(sample: Sample, exports: &Report) -> Result<String> {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(sample));
    registry.register_collector(Box::new(Others(families(exports))));
    let mut text = String::new();
    encode(&mut text, &registry)?;
    Ok(text)
}

type Labels<'a> = Vec<(&'static str, &'a str)>;

fn gauge<'a>(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    rows: impl IntoIterator<Item = (Labels<'a>, f64)>,
) -> fmt::Result {
    let kind = ConstGauge::new(0.0_f64).metric_type();
    let mut family = encoder.encode_descriptor(name, help, None::<&Unit>, kind)?;
    for (labels, value) in rows {
        let gauge = ConstGauge::new(value);
        gauge.encode(family.encode_family(&Set(labels))?)?;
    }
    Ok(())
}

fn counter<'a>(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    rows: impl IntoIterator<Item = (Labels<'a>, u64)>,
) -> fmt::Result {
    let kind = ConstCounter::new(0_u64).metric_type();
    let mut family = encoder.encode_descriptor(name, help, None::<&Unit>, kind)?;
    for (labels, value) in rows {
        let counter = ConstCounter::new(value);
        counter.encode(family.encode_family(&Set(labels))?)?;
    }
    Ok(())
}

#[derive(Debug, Hash)]
struct Set<'a>(Labels<'a>);

impl EncodeLabelSet for Set<'_> {
    fn encode(&self, encoder: &mut prometheus_client::encoding::LabelSetEncoder<'_>) -> fmt::Result {
        self.0.encode(encoder)
    }
}

/// Counts fit into a double exactly up to 2^53.
#[expect(clippy::cast_precision_loss, reason = "a count of rows is far below 2^53")]
fn number(count: usize) -> f64 {
    count as f64
}

fn count<K: Ord>(keys: impl Iterator<Item = K>) -> BTreeMap<K, f64> {
    let mut counts: BTreeMap<K, f64> = BTreeMap::new();
    for key in keys {
        *counts.entry(key).or_default() += 1.0;
    }
    counts
}

fn labelled<'a>(names: &[&'static str], values: &'a [String]) -> Labels<'a> {
    names.iter().copied().zip(values.iter().map(String::as_str)).collect()
}

/// Metrics that others make.
#[derive(Debug)]
struct Others(Vec<Foreign>);

impl Collector for Others {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        for Foreign { name, help, kind, labels, rows } in &self.0 {
            match kind {
                ForeignKind::Counter => {
                    // The encoder adds the ending.
                    let name = name.strip_suffix("_total").unwrap_or(name);
                    counter(
                        &mut encoder,
                        name,
                        help,
                        rows.iter().map(|(values, n)| (labelled(labels, values), *n)),
                    )?;
                }
                ForeignKind::Gauge => {
                    let float = |n: u64| number(usize::try_from(n).unwrap_or(usize::MAX));
                    let rows = rows.iter().map(|(values, n)| (labelled(labels, values), float(*n)));
                    gauge(&mut encoder, name, help, rows)?;
                }
            }
        }
        Ok(())
    }
}

impl Collector for Sample {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let e = &mut encoder;
        gauge(
            e,
            "cilium_version",
            "Version of the agent",
            [(vec![("version", env!("CARGO_PKG_VERSION"))], 1.0)],
        )?;
        gauge(e, "ciliate_uptime_seconds", "Time since the agent started", [(vec![], self.uptime)])?;
        let resident = number(usize::try_from(resident_bytes()).unwrap_or(usize::MAX));
        gauge(
            e,
            "cilium_process_resident_memory_bytes",
            "Resident memory of the agent",
            [(vec![], resident)],
        )?;
        self.endpoints(e)?;
        self.policies(e)?;
        self.addresses(e)?;
        self.packets(e)?;
        self.maps(e)?;
        counter(
            e,
            "ciliate_events_lost",
            "Events that did not fit into the kernel's ring",
            [(vec![("place", "kernel")], self.lost.ring)],
        )?;
        let Suppressed { drops, traces, verdicts } = self.lost.suppressed;
        let rows = [("drop", drops), ("trace", traces), ("policy-verdict", verdicts)];
        counter(
            e,
            "ciliate_events_suppressed",
            "Events that the kernel did not report because there were more of their type than its limit",
            rows.map(|(kind, count)| (vec![("type", kind)], count)),
        )
    }
}

impl Sample {
    fn endpoints(&self, e: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let rows = || self.state.endpoints.values();
        gauge(e, "cilium_endpoint", "Number of endpoints", [(vec![], number(rows().count()))])?;
        let states = count(rows().map(|row| row.state.to_string()));
        gauge(
            e,
            "cilium_endpoint_state",
            "Endpoints by state",
            states.iter().map(|(state, n)| (vec![("endpoint_state", state.as_str())], *n)),
        )?;
        let enforcement = count(rows().map(|row| {
            let audited = self.audited || row.stored.audit == ciliate_api::AuditMode::On;
            match (row.ingress.enforced, row.egress.enforced, audited) {
                (Enforced::No, Enforced::No, _) => "none",
                (Enforced::Yes, Enforced::No, false) => "ingress",
                (Enforced::No, Enforced::Yes, false) => "egress",
                (Enforced::Yes, Enforced::Yes, false) => "both",
                (Enforced::Yes, Enforced::No, true) => "audit-ingress",
                (Enforced::No, Enforced::Yes, true) => "audit-egress",
                (Enforced::Yes, Enforced::Yes, true) => "audit-both",
            }
        }));
        gauge(
            e,
            "cilium_policy_endpoint_enforcement_status",
            "Endpoints by what policies isolate",
            enforcement.iter().map(|(status, n)| (vec![("enforcement", *status)], *n)),
        )
    }

    fn policies(&self, e: &mut DescriptorEncoder<'_>) -> fmt::Result {
        gauge(e, "cilium_policy", "Number of policies", [(vec![], number(self.state.policies()))])?;
        let revision = number(usize::try_from(self.state.revision).unwrap_or(usize::MAX));
        gauge(e, "cilium_policy_max_revision", "Revision that is enforced", [(vec![], revision)])?;
        let PolicyChanges { done, refused } = self.changes;
        let outcome = |outcome, count| (vec![("outcome", outcome)], count);
        let rows = [outcome("success", done), outcome("fail", refused)];
        counter(e, "cilium_policy_change", "Requests to change objects", rows)
    }

    fn addresses(&self, e: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let kinds = count(self.state.identities.iter().map(|(identity, _)| match identity.scope() {
            IdentityScope::Reserved => "reserved",
            IdentityScope::Global => "cluster_local",
            IdentityScope::Local => "node_local",
            IdentityScope::RemoteNode => "remote_node",
        }));
        gauge(
            e,
            "cilium_identity",
            "Identities by type",
            kinds.iter().map(|(kind, n)| (vec![("type", *kind)], *n)),
        )?;
        let addresses = self.state.endpoints.values().flat_map(|row| row.stored.addresses().iter());
        let families = count(addresses.map(|a| if a.is_ipv4() { "ipv4" } else { "ipv6" }));
        gauge(
            e,
            "cilium_ip_addresses",
            "Addresses given to endpoints",
            families.iter().map(|(family, n)| (vec![("family", *family)], *n)),
        )
    }

    fn packets(&self, e: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let direction = |row: &MetricRow| row.direction.to_string().to_uppercase();
        let rows: Vec<(String, Option<&str>, u64, u64)> = self
            .packets
            .iter()
            .map(|r| (direction(r), r.reason.map(ciliate_abi::DropReason::text), r.packets, r.bytes))
            .collect();
        let forwarded = || rows.iter().filter(|row| row.1.is_none());
        let packets = forwarded().map(|(d, _, packets, _)| (vec![("direction", d.as_str())], *packets));
        counter(e, "cilium_forward_count", "Packets forwarded", packets)?;
        let bytes = forwarded().map(|(d, _, _, bytes)| (vec![("direction", d.as_str())], *bytes));
        counter(e, "cilium_forward_bytes", "Bytes forwarded", bytes)?;
        let dropped = || rows.iter().filter_map(|(d, reason, p, b)| Some((d.as_str(), (*reason)?, *p, *b)));
        let labels = |direction, reason| vec![("reason", reason), ("direction", direction)];
        let packets = dropped().map(|(d, reason, packets, _)| (labels(d, reason), packets));
        counter(e, "cilium_drop_count", "Packets dropped", packets)?;
        let bytes = dropped().map(|(d, reason, _, bytes)| (labels(d, reason), bytes));
        counter(e, "cilium_drop_bytes", "Bytes dropped", bytes)
    }

    fn maps(&self, e: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let names: Vec<(String, &MapUsage)> = self.maps.iter().map(|m| (m.name.to_lowercase(), m)).collect();
        gauge(
            e,
            "cilium_bpf_map_pressure",
            "Fill level of a map, 1 is full",
            names.iter().map(|(name, map)| (vec![("map_name", name.as_str())], pressure(map).pressure)),
        )?;
        gauge(
            e,
            "cilium_bpf_map_capacity",
            "Entries that fit into a map",
            names.iter().map(|(name, map)| (vec![("map_name", name.as_str())], f64::from(map.max))),
        )
    }
}
