//! R: each end behind a veth pair, and between them a namespace that routes as a host does. I and N add rules to it.

use super::{Between, Netns, Route, filter};
use anyhow::Result;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What the router does besides routing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Filter {
    Nothing,
    Iptables,
    Nftables,
}

pub fn set_up(name: &str, filter: Filter) -> Result<Route> {
    let client = Netns::new(&format!("{name}-client"))?;
    let router = Netns::new(&format!("{name}-router"))?;
    let server = Netns::new(&format!("{name}-server"))?;
    for sysctl in ["net.ipv4.ip_forward", "net.ipv6.conf.all.forwarding"] {
        router.sysctl(sysctl, "1")?;
    }
    let client_ipv4 = attach(&router, &client, 1)?;
    let server_ipv4 = attach(&router, &server, 2)?;
    let ends = filter::Ends { client_ipv4, server_ipv4, client_ipv6: ipv6(1, 2), server_ipv6: ipv6(2, 2) };
    match filter {
        Filter::Nothing => {}
        Filter::Iptables => filter::iptables(&router, &ends)?,
        Filter::Nftables => filter::nftables(&router, &ends)?,
    }
    let server_ipv6 = ends.server_ipv6;
    Ok(Route { client, server, server_ipv4, server_ipv6, _between: vec![Between::Router(router)] })
}

fn ipv6(net: u16, host: u16) -> Ipv6Addr {
    Ipv6Addr::new(0xfd91, 0, 0, net, 0, 0, 0, host)
}

/// Connects an end as the router's net of that number; returns its IPv4 address.
fn attach(router: &Netns, end: &Netns, net: u8) -> Result<Ipv4Addr> {
    let device = format!("end{net}");
    router.connect(&device, end, "eth0")?;
    let ipv4 = |host| Ipv4Addr::new(10, 91, net, host);
    router.address(&device, ipv4(1).into(), 24)?;
    router.address(&device, ipv6(net.into(), 1).into(), 64)?;
    end.address("eth0", ipv4(2).into(), 24)?;
    end.address("eth0", ipv6(net.into(), 2).into(), 64)?;
    let gateways: [IpAddr; 2] = [ipv4(1).into(), ipv6(net.into(), 1).into()];
    for gateway in gateways {
        end.ip(&format!("route add default via {gateway}"))?;
    }
    Ok(ipv4(2))
}
