//! The way of packets to the proxy: what is marked for it is delivered here, whatever its address.

use crate::{Error, Netlink, netlink};
use std::{fs, net::IpAddr, path::Path};

/// Number of the routing table with nothing but "deliver here"; the same as Cilium's.
pub(crate) const TABLE: u32 = 2004;
/// Before the table of local addresses (0), as far as others leave room.
pub(crate) const PRIORITY: u32 = 9;

impl Netlink {
    /// Has packets that the programs marked for the proxy delivered to this host. May be repeated. The route goes
    /// with the router's device.
    pub fn ensure_proxy_route(&self, router: &str, gateways: &[IpAddr]) -> Result<(), Error> {
        let index =
            self.link(router)?.map(|link| link.index).ok_or_else(|| Error::NoDevice(router.to_owned()))?;
        let requests: Vec<_> = gateways
            .iter()
            .flat_map(|&of| [netlink::route::deliver_here(of, index), netlink::rule::to_proxy(of)])
            .collect();
        self.perform(&requests)?;
        // Packets of the host's own to an endpoint come back in by this device.
        let path = Path::new("/proc/sys/net/ipv4/conf").join(router).join("accept_local");
        fs::write(&path, "1").map_err(|e| Error::file("set", &path, e))
    }

    /// Takes it back; what is not there is well too.
    pub fn remove_proxy_route(&self, gateways: &[IpAddr]) -> Result<(), Error> {
        let requests: Vec<_> = gateways.iter().map(|&of| netlink::rule::delete_to_proxy(of)).collect();
        self.perform(&requests)
    }
}
