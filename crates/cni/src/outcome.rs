//! The result of ADD, in the form of the version that was asked for.

use crate::version::Version;
use ciliate_api::Endpoint;
use serde::Serialize;
use std::net::IpAddr;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Outcome<'a> {
    cni_version: String,
    interfaces: [Interface<'a>; 2],
    ips: Vec<Ip>,
    routes: Vec<Route>,
    dns: Dns,
}

#[derive(Serialize)]
struct Interface<'a> {
    name: &'a str,
    mac: &'a str,
    /// Since 1.1.0.
    #[serde(skip_serializing_if = "Option::is_none")]
    mtu: Option<u32>,
    /// Path of the namespace; absent for the host's side.
    #[serde(skip_serializing_if = "Option::is_none")]
    sandbox: Option<&'a str>,
}

#[derive(Serialize)]
struct Ip {
    /// `4` or `6`, before 1.0.0.
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<&'static str>,
    address: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    gateway: Option<IpAddr>,
    /// Which of the interfaces.
    interface: usize,
}

#[derive(Serialize)]
struct Route {
    dst: &'static str,
    gw: IpAddr,
}

/// Containers keep the name servers of their runtime.
#[derive(Serialize)]
struct Dns {}

/// The second of the interfaces is the container's.
const INSIDE: usize = 1;

pub(crate) fn json(version: Version, endpoint: &Endpoint, netns: &str) -> String {
    let (device, network) = (&endpoint.device, &endpoint.network);
    let addresses = [
        endpoint.ipv4.map(|a| (IpAddr::V4(a), network.gateway4.map(IpAddr::V4))),
        endpoint.ipv6.map(|a| (IpAddr::V6(a), network.gateway6.map(IpAddr::V6))),
    ];
    let mtu = (version >= Version::V1_1_0).then_some(network.mtu);
    let mut outcome = Outcome {
        cni_version: version.to_string(),
        interfaces: [
            Interface { name: &device.name, mac: &device.host_mac, mtu, sandbox: None },
            Interface { name: &device.container_name, mac: &device.container_mac, mtu, sandbox: Some(netns) },
        ],
        ips: Vec::new(),
        routes: Vec::new(),
        dns: Dns {},
    };
    for (address, gateway) in addresses.into_iter().flatten() {
        let (family, len, everything) = match address {
            IpAddr::V4(_) => ("4", 32, "0.0.0.0/0"),
            IpAddr::V6(_) => ("6", 128, "::/0"),
        };
        outcome.ips.push(Ip {
            version: (version < Version::V1_0_0).then_some(family),
            address: format!("{address}/{len}"),
            gateway,
            interface: INSIDE,
        });
        outcome.routes.extend(gateway.map(|gw| Route { dst: everything, gw }));
    }
    // The types above hold nothing that JSON cannot.
    serde_json::to_string(&outcome).unwrap_or_default()
}
