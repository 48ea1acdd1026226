//! Devices, routes, rules and settings in namespaces of their own. Needs root.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

#[path = "support/stale.rs"]
mod stale;

use ciliate_net::{
    AddressWatch, Egress, EndpointDevice, Error, Family, Masquerade, Netlink, Netns, Publish, Router, Scope,
    Sysctls, route_loopback,
};
use ciliate_types::Protocol;
use std::{
    fs,
    io::{Read, Write},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream, UdpSocket},
    path::PathBuf,
    sync::{
        Once,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::Duration,
};

const WAIT: Duration = Duration::from_secs(5);
const GATEWAYS: [IpAddr; 2] =
    [IpAddr::V4(Ipv4Addr::new(10, 201, 0, 1)), IpAddr::V6(Ipv6Addr::new(0xfd10, 0x201, 0, 0, 0, 0, 0, 1))];

/// A namespace that goes with its test.
struct Host {
    path: PathBuf,
    netns: Netns,
}

impl Host {
    fn new(name: &str) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        static SWEEP: Once = Once::new();
        SWEEP.call_once(stale::remove_stale_namespaces);
        let path = PathBuf::from(format!(
            "/run/netns/cil-test-{}-{}-{name}",
            std::process::id(),
            NEXT.fetch_add(1, Ordering::Relaxed)
        ));
        let netns = Netns::create(&path).expect("tests of the network need root");
        Self { path, netns }
    }

    fn run<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        self.netns.run(work).unwrap()
    }

    fn netlink(&self) -> Netlink {
        Netlink::in_namespace(&self.netns).unwrap()
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        Netns::delete(&self.path).unwrap();
    }
}

fn router() -> Router {
    Router {
        name: "ciliate_host".into(),
        peer: "ciliate_net".into(),
        addresses: GATEWAYS.to_vec(),
        pools: vec!["10.201.0.0/16".parse().unwrap(), "fd10:201::/64".parse().unwrap()],
        mtu: 1400,
    }
}

fn device(host_name: &str, inside: &Host, last: u16) -> EndpointDevice {
    EndpointDevice {
        host_name: host_name.into(),
        container_name: "eth0".into(),
        netns: inside.netns.clone(),
        addresses: vec![
            Ipv4Addr::new(10, 201, 0, last.to_be_bytes()[1]).into(),
            Ipv6Addr::new(0xfd10, 0x201, 0, 0, 0, 0, 0, last).into(),
        ],
        gateways: GATEWAYS.to_vec(),
        mtu: 1400,
        mac: None,
    }
}

fn connect(host: &Netlink, device: &EndpointDevice) -> ciliate_net::Created {
    let made = host.create_veth(device).unwrap();
    host.configure_container(device, &made).unwrap();
    made
}

fn forward(host: &Host) {
    host.run(|| {
        let mut saved =
            Sysctls::open(&std::env::temp_dir().join(format!("{}-{:p}", std::process::id(), host))).unwrap();
        saved.forward(Family::V4).unwrap();
        saved.forward(Family::V6).unwrap();
        fs::remove_file(std::env::temp_dir().join(format!("{}-{:p}", std::process::id(), host))).unwrap();
    });
}

/// Asks a one-shot echo server in another namespace; the answer is the address it saw.
fn ask(server: &Host, listen: SocketAddr, client: &Host, connect: SocketAddr) -> std::io::Result<IpAddr> {
    let listener = server.run(|| TcpListener::bind(listen)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let to = SocketAddr::new(connect.ip(), if connect.port() == 0 { port } else { connect.port() });
    let done = &AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(move || {
            listener.set_nonblocking(true).unwrap();
            while !done.load(Ordering::Relaxed) {
                if let Ok((mut stream, from)) = listener.accept() {
                    return stream.write_all(from.ip().to_string().as_bytes()).unwrap();
                }
                std::thread::sleep(Duration::from_millis(5));
            }
        });
        let answer = client.run(|| {
            let mut stream = TcpStream::connect_timeout(&to, Duration::from_secs(2))?;
            stream.set_read_timeout(Some(WAIT))?;
            let mut seen = String::new();
            stream.read_to_string(&mut seen)?;
            Ok(seen.parse().unwrap())
        });
        done.store(true, Ordering::Relaxed);
        answer
    })
}

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
        let start = std::time::Instant::now();
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
    let ip = |arguments: &str| {
        let arguments: Vec<_> = arguments.split(' ').collect();
        assert!(std::process::Command::new("ip").args(arguments).status().unwrap().success());
    };
    a.run(|| ip("addr del 10.201.0.10/32 dev eth0"));
    host.run(|| ip("-6 route del fd10:201::a dev cila"));
    let faults = netlink.check_endpoint(&device).unwrap().join("\n");
    assert!(faults.contains("address 10.201.0.10 is missing on eth0"), "{faults}");
    assert!(faults.contains("the route to fd10:201::a by cila is missing on the host"), "{faults}");
    // Kernels before 6.2 rename only what is down.
    a.run(|| ip("link set eth0 down"));
    a.run(|| ip("link set eth0 name net1"));
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
        std::thread::sleep(Duration::from_millis(10));
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

#[test]
fn a_pool_that_is_in_use_is_refused() {
    let host = Host::new("host");
    let netlink = host.netlink();
    let ip = |arguments: &str| {
        let arguments: Vec<_> = arguments.split(' ').collect();
        host.run(|| assert!(std::process::Command::new("ip").args(arguments).status().unwrap().success()));
    };
    ip("link add lan type veth peer name wan");
    ip("link set lan up");
    ip("addr add 10.201.7.1/24 dev lan");
    let error = netlink.ensure_router(&router()).unwrap_err().to_string();
    assert_eq!(
        error,
        "address pool 10.201.0.0/16 overlaps the host's address 10.201.7.1/24: choose another pool for that address family"
    );
    assert_eq!(netlink.link("ciliate_host").unwrap(), None);
    ip("addr del 10.201.7.1/24 dev lan");
    ip("route add 10.0.0.0/8 dev lan");
    assert!(matches!(netlink.ensure_router(&router()), Err(Error::PoolInUse { .. })));
    ip("route replace 10.202.0.0/16 dev lan");
    ip("route del 10.0.0.0/8 dev lan");
    ip("route add default dev lan");
    netlink.ensure_router(&router()).unwrap();
}

#[test]
fn the_router_takes_new_addresses_and_leaves_nothing() {
    let host = Host::new("host");
    let routes = || {
        let show = |family| {
            let mut ip = std::process::Command::new("ip");
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
    assert_eq!(netlink.links().unwrap().len(), before_links(&host));
}

/// A fresh namespace has `lo` and, with some kernels, devices of tunnels.
fn before_links(host: &Host) -> usize {
    let _ = host;
    Host::new("fresh").netlink().links().unwrap().len()
}

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
        let add = |host: &Host, address: IpAddr, device: &str| {
            let address = format!("{address}/{len}");
            let mut ip = std::process::Command::new("ip");
            ip.args(["addr", "add", &address, "dev", device]);
            if near.is_ipv6() {
                ip.arg("nodad");
            }
            assert!(host.run(|| ip.status().unwrap().success()));
        };
        add(&host, near, "uplink");
        add(&outside, far, "eth0");
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
    let tables =
        world.host.run(|| std::process::Command::new("nft").args(["list", "tables"]).output().unwrap());
    assert_eq!(String::from_utf8(tables.stdout).unwrap(), "");
}

#[test]
fn an_endpoint_cannot_reach_the_hosts_loopback_services() {
    let world = uplink();
    let rules = Masquerade { pools: router().pools, egress: Egress::Masquerade, publishes: Vec::new() };
    world.host.run(|| route_loopback("cila")).unwrap();
    // Sent by way of the gateway instead of to its own loopback.
    world.inside.run(|| {
        let ip = |arguments: &str| {
            let arguments: Vec<_> = arguments.split(' ').collect();
            assert!(std::process::Command::new("ip").args(arguments).status().unwrap().success());
        };
        fs::write("/proc/sys/net/ipv4/conf/eth0/route_localnet", "1").unwrap();
        ip("rule add pref 100 lookup local");
        ip("rule del pref 0");
        ip("rule add pref 50 to 127.0.0.5 lookup 77");
        ip("route add 127.0.0.5 via 10.201.0.1 dev eth0 src 10.201.0.10 table 77");
    });
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

#[test]
fn kernel_settings_come_back_as_they_were() {
    let host = Host::new("host");
    let file = std::env::temp_dir().join(format!("cil-test-sysctl-{}.json", std::process::id()));
    host.run(|| {
        let ip = |arguments: &str| {
            let arguments: Vec<_> = arguments.split(' ').collect();
            assert!(std::process::Command::new("ip").args(arguments).status().unwrap().success());
        };
        ip("link add lan type veth peer name wan");
        let set = |key: &str, value: &str| fs::write(format!("/proc/sys/{key}"), value).unwrap();
        set("net/ipv6/conf/wan/forwarding", "1");
        set("net/ipv6/conf/wan/accept_ra", "0");
        set("net/ipv4/conf/lan/forwarding", "1");
        let all = || -> Vec<(PathBuf, String)> {
            let mut found = Vec::new();
            let mut folders = vec![PathBuf::from("/proc/sys/net/ipv4"), PathBuf::from("/proc/sys/net/ipv6")];
            while let Some(folder) = folders.pop() {
                for entry in fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()) {
                    let name = entry.file_name().unwrap().to_string_lossy().into_owned();
                    match fs::read_to_string(&entry) {
                        _ if entry.is_dir() => folders.push(entry),
                        // These count and are made up at random.
                        Ok(text) if !name.contains("stable_secret") && !name.contains("mem") => {
                            found.push((entry, text))
                        }
                        _ => {}
                    }
                }
            }
            found.sort();
            found
        };
        let get = |key: &str| fs::read_to_string(format!("/proc/sys/{key}")).unwrap().trim().to_owned();
        let before = all();
        let mut saved = Sysctls::open(&file).unwrap();
        assert!(saved.is_empty());
        saved.forward(Family::V4).unwrap();
        saved.forward(Family::V6).unwrap();
        saved.set("net.ipv4.conf.wan.rp_filter", "2").unwrap();
        saved.set("net.ipv4.conf.wan.rp_filter", "1").unwrap();
        assert_eq!(get("net/ipv4/ip_forward"), "1");
        assert_eq!(get("net/ipv6/conf/all/forwarding"), "1");
        assert_eq!(get("net/ipv6/conf/lan/accept_ra"), "2", "a router that listens to routers");
        assert_eq!(get("net/ipv6/conf/wan/accept_ra"), "0", "as somebody wanted it");

        // As after a crash: what was noted on disk is enough.
        drop(saved);
        let mut saved = Sysctls::open(&file).unwrap();
        saved.forward(Family::V6).unwrap();
        let errors = saved.restore();
        assert!(errors.is_empty(), "{errors:?}");
        for (was, is) in before.iter().zip(all()) {
            assert_eq!(*was, is);
        }
        assert!(!file.exists());

        // What somebody else changed meanwhile stays; what is gone is no error.
        let mut saved = Sysctls::open(&file).unwrap();
        saved.set("net.ipv4.conf.lan.rp_filter", "2").unwrap();
        saved.set("net.ipv4.conf.all.rp_filter", "2").unwrap();
        set("net/ipv4/conf/all/rp_filter", "1");
        ip("link del lan");
        assert!(saved.restore().is_empty());
        assert_eq!(get("net/ipv4/conf/all/rp_filter"), "1");

        assert!(matches!(saved.set("net.ipv4.nonsense", "1"), Err(Error::Sysctl { .. })));
        assert!(matches!(saved.set("../../etc/passwd", "1"), Err(Error::SysctlKey(_))));
    });
}

#[test]
fn a_change_of_addresses_is_noticed() {
    let host = Host::new("host");
    host.run(|| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut watch = AddressWatch::new().unwrap();
            let silence = tokio::time::timeout(Duration::from_millis(100), watch.changed()).await;
            assert!(silence.is_err(), "nothing has changed yet");
            Netlink::new().unwrap().ensure_router(&router()).unwrap();
            tokio::time::timeout(WAIT, watch.changed()).await.expect("a change is seen").unwrap();
            let silence = tokio::time::timeout(Duration::from_millis(100), watch.changed()).await;
            assert!(silence.is_err(), "a burst is one change");
        });
    });
}

#[test]
fn namespaces_are_told_apart_and_from_other_things() {
    let (a, b) = (Host::new("a"), Host::new("b"));
    assert_ne!(a.netns.id().unwrap(), b.netns.id().unwrap());
    assert_eq!(a.netns.id().unwrap(), Netns::open(&a.path).unwrap().id().unwrap());
    assert_eq!(a.netns.id().unwrap(), a.run(|| Netns::current().unwrap().id().unwrap()));
    assert_ne!(a.netns.id().unwrap(), Netns::current().unwrap().id().unwrap());
    assert_eq!(
        Netns::of_pid(std::process::id()).unwrap().id().unwrap(),
        Netns::current().unwrap().id().unwrap()
    );
    assert!(Netns::create(&a.path).unwrap_err().to_string().contains("File exists"));
    assert_eq!(Netns::open(&a.path).unwrap().id().unwrap(), a.netns.id().unwrap(), "and it is still there");
    for path in ["/etc/passwd", "/proc/self/ns/mnt", "/dev/null", "/tmp"] {
        let error = Netns::open(path.as_ref()).unwrap_err();
        assert!(matches!(error, Error::NotANamespace(_)), "{path}: {error}");
    }
    assert!(Netns::of_pid(u32::MAX).unwrap_err().is_missing());
    assert!(Netns::open("/nowhere".as_ref()).unwrap_err().is_missing());
    let lo = a.netlink().link("lo").unwrap().unwrap();
    assert!(lo.up && lo.index == 1);
}
