//! Whether an endpoint's devices are still as they were made.

use super::EndpointDevice;
use crate::{Error, Netlink, netlink};
use netlink_packet_route::{
    RouteNetlinkMessage,
    route::{RouteAddress, RouteAttribute, RouteMessage},
};
use std::{collections::BTreeSet, net::IpAddr};

/// Destination (none: everything), its prefix length, gateway and device of a route.
type Path = (Option<IpAddr>, u8, Option<IpAddr>, u32);

fn ip(address: &RouteAddress) -> Option<IpAddr> {
    match address {
        RouteAddress::Inet(v4) => Some(IpAddr::V4(*v4)),
        RouteAddress::Inet6(v6) => Some(IpAddr::V6(*v6)),
        _ => None,
    }
}

fn path(route: &RouteMessage) -> Path {
    let mut path = (None, route.header.destination_prefix_length, None, 0);
    for attribute in &route.attributes {
        match attribute {
            RouteAttribute::Destination(to) => path.0 = ip(to),
            RouteAttribute::Gateway(by) => path.2 = ip(by),
            RouteAttribute::Oif(index) => path.3 = *index,
            _ => {}
        }
    }
    path
}

impl Netlink {
    fn paths(&self) -> Result<BTreeSet<Path>, Error> {
        let routes = self.query(netlink::route_dump())?;
        let path = |message: &RouteNetlinkMessage| match message {
            RouteNetlinkMessage::NewRoute(route) => Some(path(route)),
            _ => None,
        };
        Ok(routes.iter().filter_map(path).collect())
    }

    /// What is missing or wrong, in words; nothing if all is well. An error means that it could not be found out.
    pub fn check_endpoint(&self, device: &EndpointDevice) -> Result<Vec<String>, Error> {
        let mut faults = Vec::new();
        let mut end = |netlink: &Self, name: &str, place: &str| {
            let link = netlink.link(name)?;
            match &link {
                None => faults.push(format!("device {name} is missing {place}")),
                Some(link) if !link.up => faults.push(format!("device {name} is down {place}")),
                Some(_) => {}
            }
            Ok::<_, Error>(link)
        };
        let inside = Self::in_namespace(&device.netns)?;
        let host = end(self, &device.host_name, "on the host")?;
        let container = end(&inside, &device.container_name, "in the endpoint")?;

        if let Some(link) = container {
            let held: BTreeSet<IpAddr> = inside
                .host_addresses()?
                .into_iter()
                .filter(|a| a.ifindex == link.index)
                .map(|a| a.address)
                .collect();
            let lost = device.addresses.iter().filter(|a| !held.contains(a));
            faults.extend(lost.map(|a| format!("address {a} is missing on {}", link.name)));
            let paths = inside.paths()?;
            for &gateway in device.gateways.iter().filter(|g| held.iter().any(|a| a.is_ipv4() == g.is_ipv4()))
            {
                if !paths.contains(&(None, 0, Some(gateway), link.index)) {
                    faults.push(format!("the default route by {gateway} is missing on {}", link.name));
                }
            }
        }
        if let Some(link) = host {
            let paths = self.paths()?;
            for &address in &device.addresses {
                let len = netlink::host_prefix(address).prefix_len();
                if !paths.contains(&(Some(address), len, None, link.index)) {
                    faults.push(format!("the route to {address} by {} is missing on the host", link.name));
                }
            }
        }
        Ok(faults)
    }
}
