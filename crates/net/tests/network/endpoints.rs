//! An endpoint's pair of devices.

use crate::stage::{GATEWAYS, Host, WAIT, ask, connect, device, forward, router};
use ciliate_net::{Error, Netlink};
use std::{
    fs,
    net::{IpAddr, SocketAddr, TcpStream},
    thread,
    time::{Duration, Instant},
};

#[test]
fn endpoints_talk_by_plain_host_routing_once_configured() {
    let (host, a, b) = (Host::new("host"), Host::new("a"), Host::new("b"));
    forward(&host);
    let netlink = host.netlink();
    let index = netlink.ensure_router(&router()).unwrap();
    assert_eq!(netlink.ensure_router(&router()).unwrap(), index, "may be repeated");
    let (da, db) = (device("cila", &a, 10), device("cilb", &b, 11));

    let made = netlink.create_veth(&da).unwrap();
    assert!(!netlink.link("cila").unwrap().unwrap().up, "down until it is configured");
    let inside = a.netlink().link("eth0").unwrap().unwrap();
    assert_eq!(
        (inside.index, inside.mac, inside.up),
        (made.container_ifindex, Some(made.container_mac), false)
    );
    assert_eq!(netlink.link("cila").unwrap().unwrap().mac, Some(made.host_mac));
    assert!(!netlink.check_endpoint(&da).unwrap().is_empty());
    netlink.configure_container(&da, &made).unwrap();
    netlink.configure_container(&da, &made).unwrap();
    assert_eq!(netlink.check_endpoint(&da).unwrap(), Vec::<String>::new());
    connect(&netlink, &db);

    for (from, to) in [(0, 0), (1, 1)] {
        let (source, target) = (da.addresses[from], db.addresses[to]);
        let seen = ask(&b, (target, 0).into(), &a, (target, 0).into()).unwrap();
        assert_eq!(seen, source, "endpoint to endpoint");
        let seen = ask(&b, (target, 0).into(), &host, (target, 0).into()).unwrap();
        assert_eq!(seen, GATEWAYS[to], "the host speaks with the router's address");
        let gateway = GATEWAYS[to];
        let seen = ask(&host, (gateway, 0).into(), &a, (gateway, 0).into()).unwrap();
        assert_eq!(seen, source, "endpoint to host");
    }
    for nobody in ["10.201.9.9", "fd10:201::9:9"] {
        let to = SocketAddr::new(nobody.parse().unwrap(), 80);
        let start = Instant::now();
        a.run(|| TcpStream::connect_timeout(&to, WAIT)).unwrap_err();
        assert!(start.elapsed() < Duration::from_secs(4), "{nobody} is refused, not lost");
    }
}

#[test]
fn nothing_but_the_endpoints_own_addresses_is_on_the_pair() {
    let (host, a) = (Host::new("host"), Host::new("a"));
    let netlink = host.netlink();
    netlink.ensure_router(&router()).unwrap();
    let made = connect(&netlink, &device("cila", &a, 10));
    let on = |netlink: &Netlink, index| -> Vec<IpAddr> {
        let all = netlink.host_addresses().unwrap();
        all.into_iter().filter(|h| h.ifindex == index).map(|h| h.address).collect()
    };
    assert_eq!(on(&netlink, made.host_ifindex), Vec::<IpAddr>::new());
    assert_eq!(on(&a.netlink(), made.container_ifindex), device("cila", &a, 10).addresses);
}

#[test]
fn a_namespace_with_ipv6_turned_off_gets_it_for_its_device() {
    let (host, a) = (Host::new("host"), Host::new("a"));
    a.run(|| {
        for name in ["all", "default"] {
            fs::write(format!("/proc/sys/net/ipv6/conf/{name}/disable_ipv6"), "1").unwrap();
        }
    });
    let netlink = host.netlink();
    netlink.ensure_router(&router()).unwrap();
    let a_device = device("cila", &a, 10);
    connect(&netlink, &a_device);
    assert_eq!(netlink.check_endpoint(&a_device).unwrap(), Vec::<String>::new());
}

#[test]
fn check_names_what_is_missing() {
    let (host, a) = (Host::new("host"), Host::new("a"));
    let netlink = host.netlink();
    netlink.ensure_router(&router()).unwrap();
    let device = device("cila", &a, 10);
    connect(&netlink, &device);
    a.ip("addr del 10.201.0.10/32 dev eth0");
    host.ip("-6 route del fd10:201::a dev cila");
    let faults = netlink.check_endpoint(&device).unwrap().join("\n");
    assert!(faults.contains("address 10.201.0.10 is missing on eth0"), "{faults}");
    assert!(faults.contains("the route to fd10:201::a by cila is missing on the host"), "{faults}");
    // Kernels before 6.2 rename only what is down.
    a.ip("link set eth0 down");
    a.ip("link set eth0 name net1");
    let faults = netlink.check_endpoint(&device).unwrap().join("\n");
    assert!(faults.contains("device eth0 is missing in the endpoint"), "{faults}");
    netlink.delete_endpoint("cila").unwrap();
    netlink.delete_endpoint("cila").unwrap();
    let faults = netlink.check_endpoint(&device).unwrap().join("\n");
    assert!(faults.contains("device cila is missing on the host"), "{faults}");
}

#[test]
fn a_taken_name_is_named_and_nothing_is_left() {
    let (host, a, b) = (Host::new("host"), Host::new("a"), Host::new("b"));
    let netlink = host.netlink();
    netlink.create_veth(&device("cila", &a, 10)).unwrap();
    let error = netlink.create_veth(&device("cila", &b, 11)).unwrap_err();
    assert_eq!(error.to_string(), "device cila already exists: delete it, or choose another name");
    let error = netlink.create_veth(&device("cilb", &a, 11)).unwrap_err();
    assert!(matches!(&error, Error::DeviceExists { name, .. } if name == "eth0"), "{error}");
    assert_eq!(netlink.link("cilb").unwrap(), None);
    assert_eq!(b.netlink().link("eth0").unwrap(), None);
}

#[test]
fn an_endpoints_devices_go_with_its_namespace() {
    let host = Host::new("host");
    let netlink = host.netlink();
    {
        let a = Host::new("a");
        netlink.create_veth(&device("cila", &a, 10)).unwrap();
    }
    // The kernel takes a namespace apart in the background.
    let gone = (0..200).any(|_| {
        thread::sleep(Duration::from_millis(10));
        netlink.link("cila").unwrap().is_none()
    });
    assert!(gone);
}

#[test]
fn many_devices_are_deleted_at_once_and_others_stay() {
    let host = Host::new("host");
    let netlink = host.netlink();
    let a = Host::new("a");
    for number in 0..5 {
        let mut device = device(&format!("cil{number}"), &a, 10);
        device.container_name = format!("eth{number}");
        netlink.create_veth(&device).unwrap();
    }
    let (stays, doomed): (Vec<_>, Vec<_>) =
        netlink.links().unwrap().into_iter().partition(|link| matches!(link.name.as_str(), "lo" | "cil3"));
    netlink.delete_link("cil1").unwrap();
    netlink.delete_links(&doomed).unwrap();
    netlink.delete_links(&[]).unwrap();
    assert_eq!(netlink.links().unwrap(), stays);
}
