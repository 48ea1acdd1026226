//! This host's kernel.

mod journal;

use super::{
    DeviceIds, EndpointEntry, Extended, Extension, Handle, Kernel, KernelError, Namespace, Owner, Result,
};
use crate::ipam::by_family;
use ciliate_api::{
    AuditMode, MapEvent,
    settings::{Config, MonitorAggregation},
};
use ciliate_bpf::{
    Audit, Datapath, Events, Lifetimes, LostEvents, MapSizes, MapUsage, MetricRow, NodeSettings, ProxyDevice,
    Settings, Sweep,
};
use ciliate_net::{
    Created, EndpointDevice, Family, HostAddress, Link, Mac, Masquerade, Netlink, Netns, Router, Sysctls,
};
use ciliate_policy::rule_set::RuleSet;
use ciliate_types::Identity;
use ipnet::IpNet;
use journal::Journal;
use std::{collections::BTreeSet, net::IpAddr, path::Path, time::Duration};

/// Programs, maps, devices and settings of the network namespace that the agent runs in.
pub struct HostKernel {
    /// Absent once it was taken down.
    datapath: Option<Datapath>,
    netlink: Netlink,
    router: Router,
    /// Where packets for the proxy come back into the host's stack.
    proxy: Option<ProxyDevice>,
    sysctls: Sysctls,
    journal: Journal,
}

/// No error to note.
const NONE: Option<&ciliate_bpf::Error> = None;
/// Least time between two trace events of one direction of a connection.
const REPORT_INTERVAL: Duration = Duration::from_secs(5);

impl HostKernel {
    /// Adopts what an earlier run left, or sets everything up. On failure a host that had nothing has nothing.
    pub fn open(config: &Config, gateways: &[IpAddr], pools: &[IpNet]) -> Result<(Self, Events)> {
        let router = Router {
            name: "ciliate_host".to_owned(),
            peer: "ciliate_net".to_owned(),
            addresses: gateways.to_vec(),
            pools: pools.to_vec(),
            mtu: config.mtu.0,
        };
        let netlink = Netlink::new()?;
        let before = netlink.link(&router.name)?;
        let fresh = before.is_none();
        let device = before.as_ref().and_then(proxy_device);
        let sysctls = Sysctls::open(&config.state_dir.join("sysctls.json"))?;
        let settings = Settings {
            root: config.bpf_root.clone(),
            sizes: map_sizes(config),
            node: NodeSettings { proxy: device, ..node_settings(config, gateways) },
        };
        let datapath = Datapath::open(&settings)?;
        let mut host = Self {
            datapath: Some(datapath),
            netlink,
            router,
            proxy: device,
            sysctls,
            journal: Journal::default(),
        };
        match host.set_up(gateways, settings.node) {
            Ok(events) => Ok((host, events)),
            Err(error) => {
                if fresh {
                    for undo in host.take_down() {
                        tracing::warn!(%undo, "cannot take back what was set up");
                    }
                }
                Err(error)
            }
        }
    }

    /// For reading maps on other threads.
    pub fn reader(&self) -> Result<ciliate_bpf::Reader> {
        Ok(self.datapath()?.reader()?)
    }

    fn set_up(&mut self, gateways: &[IpAddr], node: NodeSettings) -> Result<Events> {
        self.netlink.ensure_router(&self.router)?;
        self.netlink.ensure_proxy_route(&self.router.name, gateways)?;
        self.proxy = self.netlink.link(&self.router.name)?.as_ref().and_then(proxy_device);
        self.set_node(&node)?;
        for gateway in gateways {
            self.sysctls.forward(match gateway {
                IpAddr::V4(_) => Family::V4,
                IpAddr::V6(_) => Family::V6,
            })?;
        }
        Ok(self.datapath_mut()?.events()?)
    }

    fn datapath(&self) -> Result<&Datapath> {
        self.datapath.as_ref().ok_or(KernelError::TakenDown)
    }

    fn datapath_mut(&mut self) -> Result<&mut Datapath> {
        self.datapath.as_mut().ok_or(KernelError::TakenDown)
    }
}

fn proxy_device(router: &Link) -> Option<ProxyDevice> {
    router.mac.map(|mac| ProxyDevice { ifindex: router.index, mac: mac.0 })
}

fn map_sizes(config: &Config) -> MapSizes {
    MapSizes {
        endpoints: config.map_endpoints.0,
        ipcache: config.map_ipcache.0,
        rule_sets: config.map_rule_sets.0,
        policy: config.map_policy.0,
        prefixes: config.map_prefixes.0,
        connections: config.map_conntrack.0,
        fragments: config.map_fragments.0,
        events: config.map_events.0,
        records: config.map_records.0,
    }
}

/// What the programs are told of the node.
pub fn node_settings(config: &Config, gateways: &[IpAddr]) -> NodeSettings {
    let (gateway4, gateway6) = by_family(gateways);
    NodeSettings {
        gateway4,
        gateway6,
        lifetimes: Lifetimes {
            tcp: config.ct_tcp_timeout.0,
            tcp_syn: config.ct_syn_timeout.0,
            tcp_close: config.ct_close_timeout.0,
            other: config.ct_any_timeout.0,
        },
        aggregation: match config.monitor_aggregation {
            MonitorAggregation::None => ciliate_abi::Aggregation::None,
            MonitorAggregation::Low => ciliate_abi::Aggregation::Low,
            MonitorAggregation::Medium => ciliate_abi::Aggregation::Medium,
            MonitorAggregation::Maximum => ciliate_abi::Aggregation::Maximum,
        },
        report_interval: REPORT_INTERVAL,
        audit: match config.policy_audit_mode.is_on() {
            true => Audit::On,
            false => Audit::Off,
        },
        // Known only to whoever has the router's device.
        proxy: None,
    }
}

impl Kernel for HostKernel {
    fn set_node(&mut self, settings: &NodeSettings) -> Result<()> {
        let proxy = self.proxy;
        Ok(self.datapath_mut()?.set_node(&NodeSettings { proxy, ..settings.clone() })?)
    }

    fn write_rule_set(&mut self, rules: &RuleSet) -> Result<Handle> {
        let written = self.datapath_mut()?.write_rule_set(rules);
        let entries = rules.ingress.entries.len().saturating_add(rules.egress.entries.len());
        let number = written.as_ref().map_or(0, |handle| handle.get());
        self.journal.note(
            "POLICY",
            "update",
            format!("rule set {number}"),
            format!("{entries} entries"),
            written.as_ref().err(),
        );
        Ok(Handle(written?.get()))
    }

    fn extend_rule_set(&mut self, extension: &Extension<'_>) -> Result<Extended> {
        let datapath = self.datapath_mut()?;
        let Some(handle) = datapath.handle(extension.handle.0) else { return Ok(Extended::NotPossible) };
        let extended = datapath.extend_rule_set(handle, extension.old, extension.new, extension.gone);
        match extended {
            Ok(ciliate_bpf::Extended::NotPossible) => Ok(Extended::NotPossible),
            Ok(ciliate_bpf::Extended::InPlace { written, deleted }) => {
                let value = format!("{written} entries more, {deleted} less");
                self.journal.note("POLICY", "update", format!("rule set {handle}"), value, NONE);
                Ok(Extended::InPlace)
            }
            Err(error) => {
                let value = "other peers".to_owned();
                self.journal.note("POLICY", "update", format!("rule set {handle}"), value, Some(&error));
                Err(error.into())
            }
        }
    }

    fn release_rule_set(&mut self, handle: Handle) {
        let Some(datapath) = self.datapath.as_mut() else { return };
        if let Some(known) = datapath.handle(handle.0) {
            datapath.release_rule_set(known);
            self.journal.note("POLICY", "delete", format!("rule set {known}"), String::new(), NONE);
        }
    }

    fn release_unclaimed_rule_sets(&mut self) {
        if let Some(datapath) = self.datapath.as_mut() {
            datapath.release_unreferenced_rule_sets();
        }
    }

    fn put_endpoint(&mut self, at: IpAddr, row: &EndpointEntry) -> Result<()> {
        let datapath = self.datapath_mut()?;
        let rule_set =
            datapath.handle(row.rule_set.0).ok_or(ciliate_bpf::Error::UnknownRuleSet(row.rule_set.0))?;
        let entry = ciliate_bpf::EndpointRow {
            id: row.id,
            identity: row.identity,
            rule_set,
            ifindex: row.device.ifindex,
            mac: row.device.mac,
            gateway_mac: row.device.gateway_mac,
            audit: match row.audit {
                AuditMode::Off => Audit::Off,
                AuditMode::On => Audit::On,
            },
        };
        let written = datapath.put_endpoint(at, &entry);
        let value = format!("id={} identity={} rule_set={}", row.id, row.identity, row.rule_set.0);
        self.journal.note("ENDPOINTS", "update", at.to_string(), value, written.as_ref().err());
        Ok(written?)
    }

    fn remove_endpoint(&mut self, at: IpAddr) -> Result<()> {
        let removed = self.datapath_mut()?.remove_endpoint(at);
        self.journal.note("ENDPOINTS", "delete", at.to_string(), String::new(), removed.as_ref().err());
        Ok(removed?)
    }

    fn endpoints(&self) -> Result<Vec<(IpAddr, EndpointEntry)>> {
        let rows = self.datapath()?.endpoints()?;
        Ok(rows
            .into_iter()
            .map(|(at, row)| {
                let device = DeviceIds { ifindex: row.ifindex, mac: row.mac, gateway_mac: row.gateway_mac };
                let audit = match row.audit {
                    Audit::Off => AuditMode::Off,
                    Audit::On => AuditMode::On,
                };
                let rule_set = Handle(row.rule_set.get());
                (at, EndpointEntry { id: row.id, identity: row.identity, rule_set, device, audit })
            })
            .collect())
    }

    fn put_address(&mut self, net: IpNet, identity: Identity) -> Result<()> {
        let written = self.datapath_mut()?.put_ipcache(net, identity);
        self.journal.note("IPCACHE", "update", net.to_string(), identity.to_string(), written.as_ref().err());
        Ok(written?)
    }

    fn remove_address(&mut self, net: IpNet) -> Result<()> {
        let removed = self.datapath_mut()?.remove_ipcache(net);
        self.journal.note("IPCACHE", "delete", net.to_string(), String::new(), removed.as_ref().err());
        Ok(removed?)
    }

    fn addresses(&self) -> Result<Vec<(IpNet, Identity)>> {
        Ok(self.datapath()?.ipcache().collect())
    }

    fn address(&self, at: IpAddr) -> Option<Identity> {
        self.datapath.as_ref().and_then(|datapath| datapath.lookup_ipcache(at))
    }

    fn namespace(&self, path: &Path) -> Result<Namespace> {
        let netns = Netns::open(path)?;
        let id = netns.id()?;
        let owner = match id == Netns::current()?.id()? {
            true => Owner::Host,
            false => Owner::Other,
        };
        Ok(Namespace { netns, id, owner })
    }

    fn create_device(&mut self, device: &EndpointDevice) -> Result<Created> {
        let made = self.netlink.create_veth(device)?;
        match self.datapath_mut().and_then(|datapath| Ok(datapath.attach(&device.host_name)?)) {
            Ok(()) => Ok(made),
            Err(error) => {
                // The first failure is the one to report.
                let _ = self.netlink.delete_endpoint(&device.host_name);
                Err(error)
            }
        }
    }

    fn start_device(&mut self, device: &EndpointDevice, made: &Created) -> Result<()> {
        Ok(self.netlink.configure_container(device, made)?)
    }

    fn made(&self, device: &EndpointDevice, host: &Link) -> Result<Created> {
        let missing = || ciliate_net::Error::NoDevice(device.container_name.clone());
        let inside =
            Netlink::in_namespace(&device.netns)?.link(&device.container_name)?.ok_or_else(missing)?;
        let none = Mac([0; 6]);
        Ok(Created {
            host_ifindex: host.index,
            host_mac: host.mac.unwrap_or(none),
            container_ifindex: inside.index,
            container_mac: inside.mac.unwrap_or(none),
        })
    }

    fn attach(&mut self, device: &str) -> Result<()> {
        Ok(self.datapath_mut()?.attach(device)?)
    }

    fn attached(&self) -> Result<BTreeSet<String>> {
        Ok(self.datapath()?.attached()?.into_iter().collect())
    }

    fn delete_device(&mut self, device: &str) -> Result<()> {
        self.netlink.delete_endpoint(device)?;
        Ok(self.datapath_mut()?.detach(device)?)
    }

    fn devices(&self) -> Result<Vec<Link>> {
        Ok(self.netlink.links()?)
    }

    fn check_device(&self, device: &EndpointDevice) -> Result<Vec<String>> {
        Ok(self.netlink.check_endpoint(device)?)
    }

    fn host_addresses(&self) -> Result<Vec<HostAddress>> {
        Ok(self.netlink.host_addresses()?)
    }

    fn ensure_router(&mut self) -> Result<()> {
        let held = self.netlink.host_addresses()?;
        let missing = |gateway: &IpAddr| !held.iter().any(|h| h.address == *gateway);
        if self.router.addresses.iter().any(missing) {
            tracing::warn!(device = self.router.name, "lost its addresses: they are put back");
            self.netlink.ensure_router(&self.router)?;
        }
        Ok(())
    }

    fn translate(&mut self, masquerade: &Masquerade) -> Result<()> {
        Ok(masquerade.apply()?)
    }

    fn open_to_loopback(&mut self, device: &str) -> Result<()> {
        Ok(ciliate_net::route_loopback(device)?)
    }

    fn flush_connections(&mut self, of: &[IpAddr]) -> Result<usize> {
        Ok(self.datapath_mut()?.flush_connections(|row| {
            of.is_empty() || of.contains(&row.source) || of.contains(&row.destination)
        })?)
    }

    fn metrics(&self) -> Result<Vec<MetricRow>> {
        Ok(self.datapath()?.metrics()?)
    }

    fn lost_events(&self) -> Result<LostEvents> {
        Ok(self.datapath()?.lost_events()?)
    }

    fn usage(&self) -> Vec<MapUsage> {
        self.datapath.as_ref().map(Datapath::usage).unwrap_or_default()
    }

    fn sweep(&mut self) -> Result<Sweep> {
        Ok(self.datapath_mut()?.sweep()?)
    }

    fn journal(&self, map: &str) -> Vec<MapEvent> {
        self.journal.events(map)
    }

    fn errors(&self, map: &str) -> u64 {
        self.journal.errors(map)
    }

    fn take_down(&mut self) -> Vec<KernelError> {
        let mut errors = Vec::new();
        let doomed: Vec<Link> = match self.netlink.links() {
            Ok(links) => links
                .into_iter()
                .filter(|link| crate::stored::endpoint_of_device(&link.name).is_some())
                .collect(),
            Err(error) => {
                errors.push(error.into());
                Vec::new()
            }
        };
        errors.extend(self.netlink.delete_links(&doomed).err().map(Into::into));
        errors.extend(self.netlink.remove_proxy_route(&self.router.addresses).err().map(Into::into));
        errors.extend(self.netlink.remove_router(&self.router).err().map(Into::into));
        errors.extend(Masquerade::remove().err().map(Into::into));
        errors.extend(self.sysctls.restore().into_iter().map(Into::into));
        if let Some(datapath) = self.datapath.take() {
            errors.extend(datapath.unload().err().map(Into::into));
        }
        errors
    }
}
