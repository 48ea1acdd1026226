//! How the agent and its parts are.

use crate::{engine::Engine, failure::Result, node::Node, state::source};
use ciliate_api::{Health, MapPressure, Status, Subsystem};
use ciliate_bpf::MapUsage;
use std::{collections::BTreeMap, fs};

/// Of this process, in bytes.
pub fn resident_bytes() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let kilobytes = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok());
    kilobytes.unwrap_or_default().saturating_mul(1024)
}

pub fn pressure(map: &MapUsage) -> MapPressure {
    MapPressure {
        name: map.name.to_owned(),
        entries: map.entries.into(),
        capacity: map.max.into(),
        pressure: f64::from(map.entries) / f64::from(map.max.max(1)),
    }
}

impl Engine {
    pub fn status(&self, node: &Node) -> Result<Status> {
        let usage = self.usage();
        let lost = self.lost_events()?;
        let state = self.state();
        let mut endpoints: BTreeMap<String, usize> = BTreeMap::new();
        for row in state.endpoints.values() {
            let count = endpoints.entry(row.state.to_string()).or_default();
            *count = count.saturating_add(1);
        }
        let subsystems = self.subsystems(&usage, lost.ring);
        Ok(Status {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            kernel: node.kernel.clone(),
            pid: std::process::id(),
            health: subsystems
                .iter()
                .map(|s| s.health)
                .filter(|health| *health != Health::Disabled)
                .max()
                .unwrap_or(Health::Ok),
            subsystems,
            node_name: node.name.clone(),
            cluster_name: self.config.cluster_name.clone(),
            uptime_seconds: self.uptime().as_secs(),
            resident_bytes: resident_bytes(),
            policy_revision: state.revision,
            policies: state.policies(),
            identities: state.identities.len(),
            endpoints,
            pools: self.pools(),
            maps: usage.iter().map(pressure).collect(),
            lost_events: BTreeMap::from([
                ("kernel".to_owned(), lost.ring),
                ("limits".to_owned(), lost.suppressed.sum()),
            ]),
        })
    }

    fn subsystems(&self, usage: &[MapUsage], lost: u64) -> Vec<Subsystem> {
        let state = self.state();
        let line = |name: &str, health, message: String| Subsystem { name: name.to_owned(), health, message };
        let limit = f64::from(self.config.map_pressure_warning.0) / 100.0;
        let full: Vec<&str> =
            usage.iter().filter(|m| pressure(m).pressure >= limit).map(|m| m.name).collect();
        let pools = self.pools();
        let exhausted: Vec<String> =
            pools.iter().filter(|p| p.used >= p.capacity).map(|p| p.pool.to_string()).collect();
        let not_ready =
            state.endpoints.values().filter(|row| row.state != ciliate_api::EndpointState::Ready).count();
        vec![
            line("Store", Health::Ok, format!("embedded, {}", self.store_path().display())),
            line("Datapath", Health::Ok, format!("programs and maps in {}", self.config.bpf_root.display())),
            match full.is_empty() {
                true => {
                    line("Maps", Health::Ok, format!("{} maps below {:.0} %", usage.len(), limit * 100.0))
                }
                false => line("Maps", Health::Warning, format!("nearly full: {}", full.join(", "))),
            },
            match exhausted.is_empty() {
                true => {
                    let used: Vec<String> = pools
                        .iter()
                        .map(|p| format!("{} of {} from {}", p.used, p.capacity, p.pool))
                        .collect();
                    line("IPAM", Health::Ok, used.join(", "))
                }
                false => {
                    line("IPAM", Health::Warning, format!("no address left in {}", exhausted.join(", ")))
                }
            },
            match not_ready {
                0 => line("Endpoints", Health::Ok, format!("{} ready", state.endpoints.len())),
                n => {
                    line("Endpoints", Health::Warning, format!("{n} of {} not ready", state.endpoints.len()))
                }
            },
            line(
                "Policy",
                Health::Ok,
                format!("{} objects, revision {} enforced", state.objects.len(), state.revision),
            ),
            match self.secrets_health() {
                None => line("Secrets", Health::Ok, "rules about secrets have what they need".to_owned()),
                Some(lack) => line("Secrets", Health::Warning, lack),
            },
            match self.config.masquerade.is_on() {
                true => line("Masquerading", Health::Ok, "nftables".to_owned()),
                false => line("Masquerading", Health::Disabled, String::new()),
            },
            match self.hosts() {
                Ok(_) => line("Names", Health::Ok, self.hosts_file().display().to_string()),
                Err(fault) => line("Names", Health::Warning, fault.to_owned()),
            },
            match state.addresses.initialised() {
                Some(_) => line("Addresses", Health::Ok, format!("{} known", state.addresses.len())),
                None => line(
                    "Addresses",
                    Health::Warning,
                    format!("the {} has not listed them yet", source::HOST),
                ),
            },
            match lost {
                0 => line("Monitor", Health::Ok, "no event lost".to_owned()),
                n => line("Monitor", Health::Warning, format!("{n} events did not fit into the ring")),
            },
        ]
    }
}
