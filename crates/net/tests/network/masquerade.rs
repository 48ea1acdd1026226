//! What leaves the host and what comes in.

use crate::stage::{GATEWAYS, Host, WAIT, ask, connect, device, forward, router};
use ciliate_net::{Egress, EndpointDevice, Masquerade, Publish, route_loopback};
use ciliate_types::Protocol;
use std::{
    fs,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, UdpSocket},
    process::Command,
    time::Duration,
};

/// An endpoint, its host, and a machine elsewhere that knows the host only.
struct Uplink {
    host: Host,
    inside: Host,
    outside: Host,
    device: EndpointDevice,
}

const HOST: [IpAddr; 2] =
    [IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1))];
const OUTSIDE: [IpAddr; 2] =
    [IpAddr::V4(Ipv4Addr::new(192, 0, 2, 2)), IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 2))];

fn uplink() -> Uplink {
    let (host, inside, outside) = (Host::new("host"), Host::new("in"), Host::new("out"));
    forward(&host);
    let netlink = host.netlink();
    // The same devices serve as a cable, addressed below.
    let cable = EndpointDevice {
        host_name: "uplink".into(),
        container_name: "eth0".into(),
        netns: outside.netns.clone(),
        addresses: Vec::new(),
        gateways: Vec::new(),
        mtu: 1500,
        mac: None,
    };
    connect(&netlink, &cable);
    for (near, far, len) in [(HOST[0], OUTSIDE[0], 24), (HOST[1], OUTSIDE[1], 64)] {
        let nodad = if near.is_ipv6() { " nodad" } else { "" };
        host.ip(&format!("addr add {near}/{len} dev uplink{nodad}"));
        outside.ip(&format!("addr add {far}/{len} dev eth0{nodad}"));
    }
    netlink.ensure_router(&router()).unwrap();
    let device = device("cila", &inside, 10);
    connect(&netlink, &device);
    Uplink { host, inside, outside, device }
}

#[test]
fn what_leaves_is_masqueraded_and_published_ports_lead_in() {
    let world = uplink();
    let publishes =
        [(None, world.device.addresses[0]), (None, world.device.addresses[1])].map(|(host_ip, address)| {
            Publish { host_ip, host_port: 8080, protocol: Protocol::TCP, address, port: 80 }
        });
    let rules =
        Masquerade { pools: router().pools, egress: Egress::Masquerade, publishes: publishes.to_vec() };
    world.host.run(|| rules.apply()).unwrap();
    world.host.run(|| rules.apply()).unwrap();
    world.host.run(|| route_loopback("cila")).unwrap();
    for family in [0, 1] {
        let (inside, outside, host) = (world.device.addresses[family], OUTSIDE[family], HOST[family]);
        let seen = ask(&world.outside, (outside, 0).into(), &world.inside, (outside, 0).into()).unwrap();
        assert_eq!(seen, host, "from the host's address");
        let seen = ask(&world.inside, (inside, 80).into(), &world.outside, (host, 8080).into()).unwrap();
        assert_eq!(seen, outside, "the client's own address");
        let seen = ask(&world.inside, (inside, 80).into(), &world.host, (host, 8080).into()).unwrap();
        assert_eq!(seen, host, "from the host itself");
        ask(&world.inside, (inside, 80).into(), &world.inside, (host, 8080).into())
            .expect_err("endpoints do not use published ports");
    }
    let local = SocketAddr::from(([127, 0, 0, 1], 8080));
    let seen = ask(&world.inside, (world.device.addresses[0], 80).into(), &world.host, local).unwrap();
    assert!(
        [GATEWAYS[0], HOST[0]].contains(&seen),
        "published on loopback too, from some address of the host: {seen}"
    );

    let refused =
        world.host.run(|| TcpStream::connect_timeout(&"[::1]:8080".parse().unwrap(), WAIT)).unwrap_err();
    assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused, "so that clients try 127.0.0.1");

    world.host.run(Masquerade::remove).unwrap();
    world.host.run(Masquerade::remove).unwrap();
    let tables = world.host.run(|| Command::new("nft").args(["list", "tables"]).output().unwrap());
    assert_eq!(String::from_utf8(tables.stdout).unwrap(), "");
}

#[test]
fn an_endpoint_cannot_reach_the_hosts_loopback_services() {
    let world = uplink();
    let rules = Masquerade { pools: router().pools, egress: Egress::Masquerade, publishes: Vec::new() };
    world.host.run(|| route_loopback("cila")).unwrap();
    // Sent by way of the gateway instead of to its own loopback.
    world.inside.run(|| fs::write("/proc/sys/net/ipv4/conf/eth0/route_localnet", "1").unwrap());
    for arguments in [
        "rule add pref 100 lookup local",
        "rule del pref 0",
        "rule add pref 50 to 127.0.0.5 lookup 77",
        "route add 127.0.0.5 via 10.201.0.1 dev eth0 src 10.201.0.10 table 77",
    ] {
        world.inside.ip(arguments);
    }
    let server = world.host.run(|| UdpSocket::bind("127.0.0.5:999")).unwrap();
    server.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
    let knock = || {
        world.inside.run(|| {
            let socket = UdpSocket::bind("10.201.0.10:0").unwrap();
            let _ = socket.send_to(b"x", "127.0.0.5:999");
        });
        server.recv(&mut [0; 1]).is_ok()
    };
    assert!(knock(), "without the rules the test would prove nothing");
    world.host.run(|| rules.apply()).unwrap();
    assert!(!knock());
}
