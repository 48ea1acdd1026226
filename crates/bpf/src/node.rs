//! The node's settings in the kernel.

use ciliate_abi::{Address, Aggregation, Config, TICK_SHIFT, config_flags};
use std::{
    net::{Ipv4Addr, Ipv6Addr},
    time::Duration,
};

use crate::endpoints::Audit;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeSettings {
    /// The router's addresses; a family without one is off.
    pub gateway4: Option<Ipv4Addr>,
    pub gateway6: Option<Ipv6Addr>,
    pub lifetimes: Lifetimes,
    pub aggregation: Aggregation,
    /// Least time between two trace events of one direction of a connection.
    pub report_interval: Duration,
    pub audit: Audit,
    /// Where packets for the proxy enter the host's stack that were on their way out of it; none drops them.
    pub proxy: Option<ProxyDevice>,
}

/// A device of ours without programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProxyDevice {
    pub ifindex: u32,
    pub mac: [u8; 6],
}

/// How long an idle connection is remembered; the kernel counts in steps of 1.07 s.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lifetimes {
    pub tcp: Duration,
    pub tcp_syn: Duration,
    pub tcp_close: Duration,
    pub other: Duration,
}

impl Default for Lifetimes {
    fn default() -> Self {
        Self {
            tcp: Duration::from_secs(8000),
            tcp_syn: Duration::from_secs(60),
            tcp_close: Duration::from_secs(10),
            other: Duration::from_secs(60),
        }
    }
}

/// Rounded up, so that nothing is forgotten too early.
pub fn ticks(duration: Duration) -> u32 {
    let tick = 1_u128 << TICK_SHIFT;
    u32::try_from(duration.as_nanos().div_ceil(tick)).unwrap_or(u32::MAX >> 1)
}

impl NodeSettings {
    pub fn config(&self, peers_epoch: u32, last_epoch: u32) -> Config {
        let mut flags = 0;
        if let Audit::On = self.audit {
            flags |= config_flags::AUDIT;
        }
        if self.gateway4.is_some() && self.gateway6.is_some() {
            flags |= config_flags::DUAL_STACK;
        }
        let none = Address([0; 16]);
        Config {
            gateway_v4: self.gateway4.map_or(none, |v4| Address::v4(v4.octets())),
            gateway_v6: self.gateway6.map_or(none, |v6| Address::v6(v6.octets())),
            lifetimes: ciliate_abi::Lifetimes {
                tcp: ticks(self.lifetimes.tcp),
                tcp_syn: ticks(self.lifetimes.tcp_syn),
                tcp_close: ticks(self.lifetimes.tcp_close),
                other: ticks(self.lifetimes.other),
            },
            peers_epoch,
            last_epoch,
            aggregation: self.aggregation as u32,
            report_interval: ticks(self.report_interval),
            flags,
            proxy_ifindex: self.proxy.map_or(0, |device| device.ifindex),
            proxy_mac: self.proxy.map_or([0; 6], |device| device.mac),
            pad: [0; 2],
        }
    }
}
