//! The node's router: a veth pair of which one end holds the gateway addresses of all endpoints.
//!
//! The pools are `unreachable` but for the endpoints' own routes, so that packets for an address that nobody has
//! are answered here and never leave by the default route.

use crate::{Error, Netlink, endpoint, link, netlink};
use ipnet::IpNet;
use netlink_packet_route::{
    RouteNetlinkMessage,
    link::LinkAttribute,
    route::{RouteAddress, RouteAttribute, RouteHeader, RouteMessage},
};
use std::net::IpAddr;

#[derive(Clone, Debug)]
pub struct Router {
    /// Holds the addresses: `ciliate_host`.
    pub name: String,
    /// The other end: `ciliate_net`.
    pub peer: String,
    pub addresses: Vec<IpAddr>,
    /// Where the endpoints' addresses come from.
    pub pools: Vec<IpNet>,
    pub mtu: u32,
}

impl Netlink {
    /// Makes the router what it shall be, and returns its device's index. May be repeated.
    pub fn ensure_router(&self, router: &Router) -> Result<u32, Error> {
        link::check_name(&router.name)?;
        link::check_name(&router.peer)?;
        let existing = self.link(&router.name)?;
        self.check_pools(router, existing.as_ref().map(|l| l.index))?;
        if existing.is_none() {
            let end =
                |name: &str| vec![LinkAttribute::IfName(name.to_owned()), LinkAttribute::Mtu(router.mtu)];
            let what = format!("make devices {} and {}", router.name, router.peer);
            self.perform(&[netlink::link::add(endpoint::veth(end(&router.name), end(&router.peer)), what)])?;
        }
        let index = self.index(&router.name)?;
        let peer = self.index(&router.peer)?;

        let held = self.host_addresses()?;
        let stale = held.iter().filter(|a| a.ifindex == index && !router.addresses.contains(&a.address));
        let mut requests = vec![
            netlink::link::no_link_local(index, &router.name).tolerate(libc::EAFNOSUPPORT),
            netlink::link::no_link_local(peer, &router.peer).tolerate(libc::EAFNOSUPPORT),
        ];
        requests
            .extend(stale.map(|a| netlink::address::delete(index, &router.name, a.address, a.prefix_len)));
        requests.extend(router.addresses.iter().map(|&a| netlink::address::add(index, &router.name, a)));
        requests.push(netlink::link::up(index, &router.name));
        requests.push(netlink::link::up(peer, &router.peer));
        requests.extend(router.pools.iter().map(|&pool| netlink::route::unreachable(pool)));
        self.perform(&requests)?;
        Ok(index)
    }

    /// Takes the devices and the pools' routes away; what is not there is well too.
    pub fn remove_router(&self, router: &Router) -> Result<(), Error> {
        let mut requests: Vec<_> =
            router.pools.iter().map(|&p| netlink::route::delete_unreachable(p)).collect();
        requests.push(netlink::link::delete(&router.name).tolerate(libc::ENODEV));
        self.perform(&requests)
    }

    fn index(&self, name: &str) -> Result<u32, Error> {
        self.link(name)?.map(|l| l.index).ok_or_else(|| Error::NoDevice(name.to_owned()))
    }

    /// A pool that somebody else uses would cut the host off from them.
    fn check_pools(&self, router: &Router, own: Option<u32>) -> Result<(), Error> {
        let overlapping =
            |net: IpNet| router.pools.iter().copied().find(|p| p.contains(&net) || net.contains(p));
        for held in self.host_addresses()?.iter().filter(|a| Some(a.ifindex) != own) {
            let Ok(net) = IpNet::new(held.address, held.prefix_len) else { continue };
            if let Some(pool) = overlapping(net.trunc()) {
                return Err(Error::PoolInUse { pool, by: format!("the host's address {net}") });
            }
        }
        for message in self.query(netlink::route_dump())? {
            let RouteNetlinkMessage::NewRoute(route) = message else { continue };
            if let Some((net, pool)) = foreign(&route).and_then(|net| Some((net, overlapping(net)?))) {
                return Err(Error::PoolInUse { pool, by: format!("the route to {net}") });
            }
        }
        Ok(())
    }
}

/// Where a route of the main table leads that we did not make; default routes overlap everything and do not count.
fn foreign(route: &RouteMessage) -> Option<IpNet> {
    let header = &route.header;
    if header.table != RouteHeader::RT_TABLE_MAIN
        || header.protocol == netlink::ROUTE_PROTOCOL
        || header.protocol == netlink_packet_route::route::RouteProtocol::Kernel
    {
        return None;
    }
    let to = route.attributes.iter().find_map(|attribute| match attribute {
        RouteAttribute::Destination(RouteAddress::Inet(v4)) => Some(IpAddr::V4(*v4)),
        RouteAttribute::Destination(RouteAddress::Inet6(v6)) => Some(IpAddr::V6(*v6)),
        _ => None,
    })?;
    // 0.0.0.0/1 and its kin are default routes in two halves.
    (header.destination_prefix_length > 1).then(|| IpNet::new(to, header.destination_prefix_length).ok())?
}
