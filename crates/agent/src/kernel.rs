//! What the engine asks of the kernel; tests put one in memory in its place.

mod host;
#[cfg(test)]
#[expect(clippy::arithmetic_side_effects, reason = "a few steps of a test do not overflow")]
pub mod memory;

pub use host::{HostKernel, node_settings};

use ciliate_api::{AuditMode, MapEvent};
use ciliate_bpf::{ConnectionRow, LostEvents, MapUsage, MetricRow, NodeSettings, PolicyDump, Sweep};
use ciliate_net::{Created, EndpointDevice, HostAddress, Link, Masquerade, Netns, NetnsId};
use ciliate_policy::rule_set::RuleSet;
use ciliate_types::{EndpointId, Identity};
use ipnet::IpNet;
use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    path::Path,
};
use thiserror::Error;

#[derive(Debug, Error)]
pub enum KernelError {
    #[error(transparent)]
    Bpf(#[from] ciliate_bpf::Error),
    #[error(transparent)]
    Net(#[from] ciliate_net::Error),
    #[error("the programs and maps were taken down")]
    TakenDown,
    #[cfg(test)]
    #[error("{0}")]
    Test(&'static str),
}

pub type Result<T, E = KernelError> = std::result::Result<T, E>;

/// The kernel's number of a rule set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Handle(pub u32);

/// What the programs know of one address of an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EndpointEntry {
    pub id: EndpointId,
    pub identity: Identity,
    pub rule_set: Handle,
    pub device: DeviceIds,
    pub audit: AuditMode,
}

/// A rule set and the one that is to take its place.
pub struct Extension<'a> {
    pub handle: Handle,
    pub old: &'a RuleSet,
    pub new: &'a RuleSet,
    /// No address has these any more.
    pub gone: &'a [Identity],
}

/// Whether a rule set could be changed without a new one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extended {
    InPlace,
    NotPossible,
}

/// Maps, programs and devices of one node. All calls block.
pub trait Kernel: Send {
    fn set_node(&mut self, settings: &NodeSettings) -> Result<()>;
    fn write_rule_set(&mut self, rules: &RuleSet) -> Result<Handle>;
    /// Changes it in place, if only peers that are allowed come, and only peers go that are gone.
    fn extend_rule_set(&mut self, extension: &Extension<'_>) -> Result<Extended>;
    fn release_rule_set(&mut self, handle: Handle);
    /// Every endpoint has its row: rule sets of an earlier run that nobody has asked for may go.
    fn release_unclaimed_rule_sets(&mut self);
    fn put_endpoint(&mut self, at: IpAddr, row: &EndpointEntry) -> Result<()>;
    fn remove_endpoint(&mut self, at: IpAddr) -> Result<()>;
    fn endpoints(&self) -> Result<Vec<(IpAddr, EndpointEntry)>>;
    fn put_address(&mut self, net: IpNet, identity: Identity) -> Result<()>;
    fn remove_address(&mut self, net: IpNet) -> Result<()>;
    fn addresses(&self) -> Result<Vec<(IpNet, Identity)>>;
    fn address(&self, at: IpAddr) -> Option<Identity>;

    /// A namespace that an endpoint is to be, or is, made of.
    fn namespace(&self, path: &Path) -> Result<Namespace>;
    /// Both ends exist and are down, programs are attached.
    fn create_device(&mut self, device: &EndpointDevice) -> Result<Created>;
    /// Addresses, routes, up. May be repeated.
    fn start_device(&mut self, device: &EndpointDevice, made: &Created) -> Result<()>;
    /// What `create_device` said of a device that is there.
    fn made(&self, device: &EndpointDevice, host: &Link) -> Result<Created>;
    /// Puts the programs on a device that is there.
    fn attach(&mut self, device: &str) -> Result<()>;
    /// Devices that have the programs.
    fn attached(&self) -> Result<BTreeSet<String>>;
    /// Programs and device; what is gone is well.
    fn delete_device(&mut self, device: &str) -> Result<()>;
    fn devices(&self) -> Result<Vec<Link>>;
    /// What is missing of a device, in words.
    fn check_device(&self, device: &EndpointDevice) -> Result<Vec<String>>;
    fn host_addresses(&self) -> Result<Vec<HostAddress>>;
    /// The gateways' device with the pools' routes, should somebody have taken them away.
    fn ensure_router(&mut self) -> Result<()>;
    fn translate(&mut self, masquerade: &Masquerade) -> Result<()>;
    /// Published ports of this device's endpoint answer on the host's 127.0.0.1 as well.
    fn open_to_loopback(&mut self, device: &str) -> Result<()>;

    /// Forgets connections of an address, or all.
    fn flush_connections(&mut self, of: &[IpAddr]) -> Result<usize>;
    fn metrics(&self) -> Result<Vec<MetricRow>>;
    fn lost_events(&self) -> Result<LostEvents>;
    fn usage(&self) -> Vec<MapUsage>;
    fn sweep(&mut self) -> Result<Sweep>;
    /// The last writes to a map, oldest first.
    fn journal(&self, map: &str) -> Vec<MapEvent>;
    /// Writes to a map that failed.
    fn errors(&self, map: &str) -> u64;
    /// Devices, routes, translation, settings, programs, maps: the host as it was.
    fn take_down(&mut self) -> Vec<KernelError>;
}

/// Whole maps, read beside the engine: they may be large, and changes do not wait for them.
pub trait MapReader: Send + Sync {
    fn connections(&self) -> Result<Vec<ConnectionRow>>;
    /// Those that are gone are left out.
    fn rule_sets(&self, wanted: &BTreeSet<u32>) -> Result<BTreeMap<u32, PolicyDump>>;
}

impl MapReader for ciliate_bpf::Reader {
    fn connections(&self) -> Result<Vec<ConnectionRow>> {
        Ok(self.connections()?)
    }

    fn rule_sets(&self, wanted: &BTreeSet<u32>) -> Result<BTreeMap<u32, PolicyDump>> {
        Ok(self.rule_sets(wanted)?)
    }
}

/// An open network namespace.
#[derive(Clone, Debug)]
pub struct Namespace {
    pub netns: Netns,
    pub id: NetnsId,
    pub owner: Owner,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    /// The namespace that the agent itself is in.
    Host,
    Other,
}

/// What the programs know a device by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeviceIds {
    pub ifindex: u32,
    pub mac: [u8; 6],
    pub gateway_mac: [u8; 6],
}
