//! The device that endpoints have as their gateway.

use crate::stage::{GATEWAYS, Host, router};
use ciliate_net::{Error, Scope};
use std::process::Command;

#[test]
fn a_pool_that_is_in_use_is_refused() {
    let host = Host::new("host");
    let netlink = host.netlink();
    host.ip("link add lan type veth peer name wan");
    host.ip("link set lan up");
    host.ip("addr add 10.201.7.1/24 dev lan");
    let error = netlink.ensure_router(&router()).unwrap_err().to_string();
    assert_eq!(
        error,
        "address pool 10.201.0.0/16 overlaps the host's address 10.201.7.1/24: choose another pool for that address family"
    );
    assert_eq!(netlink.link("ciliate_host").unwrap(), None);
    host.ip("addr del 10.201.7.1/24 dev lan");
    host.ip("route add 10.0.0.0/8 dev lan");
    assert!(matches!(netlink.ensure_router(&router()), Err(Error::PoolInUse { .. })));
    host.ip("route replace 10.202.0.0/16 dev lan");
    host.ip("route del 10.0.0.0/8 dev lan");
    host.ip("route add default dev lan");
    netlink.ensure_router(&router()).unwrap();
}

#[test]
fn the_router_takes_new_addresses_and_leaves_nothing() {
    let host = Host::new("host");
    let routes = || {
        let show = |family| {
            let mut ip = Command::new("ip");
            let output = host.run(|| ip.args([family, "route", "show", "table", "all"]).output().unwrap());
            String::from_utf8(output.stdout).unwrap()
        };
        show("-4") + &show("-6")
    };
    let before = routes();
    let netlink = host.netlink();
    let index = netlink.ensure_router(&router()).unwrap();
    assert!(routes().contains("unreachable 10.201.0.0/16"), "{}", routes());
    let mut other = router();
    other.addresses = vec!["10.201.0.2".parse().unwrap(), GATEWAYS[1]];
    assert_eq!(netlink.ensure_router(&other).unwrap(), index);
    let held = netlink.host_addresses().unwrap();
    let held: Vec<_> = held.iter().filter(|a| a.ifindex == index).map(|a| (a.address, a.scope)).collect();
    assert_eq!(held, [(other.addresses[0], Scope::Global), (GATEWAYS[1], Scope::Global)]);
    netlink.remove_router(&other).unwrap();
    netlink.remove_router(&other).unwrap();
    assert_eq!(routes(), before);
    assert_eq!(netlink.links().unwrap().len(), fresh_links());
}

/// A fresh namespace has `lo` and, with some kernels, devices of tunnels.
fn fresh_links() -> usize {
    Host::new("fresh").netlink().links().unwrap().len()
}
