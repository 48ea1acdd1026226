//! A node in a network namespace of its own, with endpoints behind real devices, for tests of the datapath.

use ciliate_bpf::{
    Audit, Datapath, EndpointRow, Handle, Lifetimes, MapSizes, NodeSettings, ProxyDevice, Settings,
};
use ciliate_net::{Created, EndpointDevice, Netlink, Netns, Router};
use ciliate_policy::rule_set::{
    Action, DirectionRules, Entry, EntryKey, FilterDigest, Otherwise, Peer, RuleId, RuleSet, Traffic,
};
use ciliate_types::{EndpointId, Identity, PortPrefix, Protocol};
use nix::{
    mount::{MsFlags, mount},
    sched::{CloneFlags, unshare},
};
use std::{
    io::{Read as _, Write as _},
    net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket},
    path::PathBuf,
    time::Duration,
};

const HOUR: Duration = Duration::from_secs(3600);

pub const HOST: Identity = Identity::new(1);
pub const GATEWAYS: [&str; 2] = ["10.201.0.1", "fd10:201::1"];

pub struct Node {
    pub netlink: Netlink,
    pub datapath: Datapath,
    pub settings: Settings,
    directory: PathBuf,
    endpoints: Vec<PathBuf>,
}

pub struct Endpoint {
    pub netns: Netns,
    pub v4: IpAddr,
    pub v6: IpAddr,
    pub identity: Identity,
    pub rule_set: Handle,
    pub device: String,
    pub created: Created,
    pub id: u16,
}

/// Runs a test as a node: in new network and mount namespaces, on a thread of its own.
pub fn on_node(name: &str, test: impl FnOnce(&mut Node) + Send + 'static) {
    let directory = std::env::temp_dir().join(format!("cil-test-{}-{name}", std::process::id()));
    let result = std::thread::spawn({
        let directory = directory.clone();
        move || {
            let mut node = Node::new(directory);
            test(&mut node);
        }
    })
    .join();
    // Namespaces' mounts went with the thread's mount namespace.
    let _removed = std::fs::remove_dir_all(&directory);
    if let Err(panic) = result {
        std::panic::resume_unwind(panic);
    }
}

impl Node {
    fn new(directory: PathBuf) -> Self {
        unshare(CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWNS).expect("tests of the datapath need root");
        mount(None::<&str>, "/", None::<&str>, MsFlags::MS_REC | MsFlags::MS_PRIVATE, None::<&str>).unwrap();
        for part in ["bpf", "netns"] {
            std::fs::create_dir_all(directory.join(part)).unwrap();
        }
        mount(Some("bpf"), &directory.join("bpf"), Some("bpf"), MsFlags::empty(), None::<&str>).unwrap();
        let netlink = Netlink::new().unwrap();
        let router = Router {
            name: "ciliate_host".into(),
            peer: "ciliate_net".into(),
            addresses: GATEWAYS.map(|a| a.parse().unwrap()).to_vec(),
            pools: ["10.201.0.0/16", "fd10:201::/64"].map(|a| a.parse().unwrap()).to_vec(),
            mtu: 1500,
        };
        let ifindex = netlink.ensure_router(&router).unwrap();
        netlink.ensure_proxy_route(&router.name, &router.addresses).unwrap();
        let mac = netlink.link("ciliate_host").unwrap().unwrap().mac.unwrap().0;
        std::fs::write("/proc/sys/net/ipv4/ip_forward", "1").unwrap();
        let settings = Settings {
            root: directory.join("bpf/ciliate"),
            sizes: MapSizes { connections: 4096, ..MapSizes::default() },
            node: NodeSettings {
                gateway4: GATEWAYS[0].parse().ok(),
                gateway6: GATEWAYS[1].parse().ok(),
                // Nothing ends by itself, however slow the machine is.
                lifetimes: Lifetimes { tcp: HOUR, tcp_syn: HOUR, tcp_close: HOUR, other: HOUR },
                aggregation: ciliate_abi::Aggregation::Medium,
                report_interval: Duration::from_secs(5),
                audit: Audit::Off,
                proxy: Some(ProxyDevice { ifindex, mac }),
            },
        };
        let mut datapath = Datapath::open(&settings).unwrap();
        for gateway in GATEWAYS {
            datapath.put_ipcache(gateway.parse::<IpAddr>().unwrap().into(), HOST).unwrap();
        }
        Self { netlink, datapath, settings, directory, endpoints: Vec::new() }
    }

    /// An endpoint with addresses ending in `number` and the identity 1000 + `number`.
    pub fn endpoint(&mut self, number: u8, rules: &RuleSet) -> Endpoint {
        let path = self.directory.join(format!("netns/e{number}"));
        let netns = Netns::create(&path).unwrap();
        self.endpoints.push(path);
        let v4: IpAddr = format!("10.201.0.{number}").parse().unwrap();
        let v6: IpAddr = format!("fd10:201::{number}").parse().unwrap();
        let device = EndpointDevice {
            host_name: format!("cil{number}"),
            container_name: "eth0".into(),
            netns: netns.clone(),
            addresses: vec![v4, v6],
            gateways: GATEWAYS.map(|a| a.parse().unwrap()).to_vec(),
            mtu: 1500,
            mac: None,
        };
        let created = self.netlink.create_veth(&device).unwrap();
        let rule_set = self.datapath.write_rule_set(rules).unwrap();
        let endpoint = Endpoint {
            netns,
            v4,
            v6,
            identity: Identity::new(1000 + u32::from(number)),
            rule_set,
            device: device.host_name.clone(),
            created,
            id: u16::from(number),
        };
        self.put(&endpoint);
        self.datapath.attach(&endpoint.device).unwrap();
        self.netlink.configure_container(&device, &created).unwrap();
        endpoint
    }

    /// Switches an endpoint to other rules.
    pub fn set_rules(&mut self, endpoint: &mut Endpoint, rules: &RuleSet) {
        let old = endpoint.rule_set;
        endpoint.rule_set = self.datapath.write_rule_set(rules).unwrap();
        self.put(endpoint);
        self.datapath.release_rule_set(old);
    }

    pub fn put(&mut self, endpoint: &Endpoint) {
        for address in [endpoint.v4, endpoint.v6] {
            let row = EndpointRow {
                id: EndpointId::new(endpoint.id).unwrap(),
                identity: endpoint.identity,
                rule_set: endpoint.rule_set,
                ifindex: endpoint.created.host_ifindex,
                mac: endpoint.created.container_mac.0,
                gateway_mac: endpoint.created.host_mac.0,
                audit: Audit::Off,
            };
            self.datapath.put_endpoint(address, &row).unwrap();
        }
    }

    pub fn drops(&self, reason: ciliate_abi::DropReason) -> u64 {
        self.datapath.metrics().unwrap().iter().filter(|m| m.reason == Some(reason)).map(|m| m.packets).sum()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        for path in &self.endpoints {
            let _gone = Netns::delete(path);
        }
    }
}

/// Allows one peer to one TCP port, and nothing else into the endpoint.
pub fn only(peer: Identity, port: u16) -> RuleSet {
    rules([(Peer::Identity(peer), port, Action::Allow, 10, 7)])
}

pub fn rules(entries: impl IntoIterator<Item = (Peer, u16, Action, u32, u32)>) -> RuleSet {
    let entries = entries.into_iter().map(|(peer, port, action, precedence, rule)| {
        let traffic = Traffic::Ports(Protocol::TCP, PortPrefix { value: port, len: 16 });
        (
            EntryKey { peer, traffic },
            Entry {
                action,
                precedence,
                rule: RuleId(rule),
                filter: FilterDigest((u64::from(rule) << 32) | 1),
            },
        )
    });
    let ingress = DirectionRules {
        otherwise: Otherwise::Deny,
        entries: entries.collect(),
        ..DirectionRules::default()
    };
    RuleSet { ingress, egress: DirectionRules::default() }
}

/// A TCP listener in an endpoint's namespace.
pub fn listen(endpoint: &Endpoint, port: u16) -> TcpListener {
    endpoint.netns.run(move || TcpListener::bind(("::", port)).unwrap()).unwrap()
}

pub fn connect(endpoint: &Endpoint, to: IpAddr, port: u16, wait: Duration) -> std::io::Result<TcpStream> {
    let to = SocketAddr::new(to, port);
    endpoint.netns.run(move || TcpStream::connect_timeout(&to, wait)).unwrap()
}

/// How long to wait for what must not arrive.
pub const NEVER: Duration = Duration::from_millis(400);
/// How long to wait for what must arrive, on a machine that is busy with other things.
pub const SURELY: Duration = Duration::from_secs(20);

/// Sends a byte one way and one back.
pub fn exchange(client: &mut TcpStream, server: &mut TcpStream, wait: Duration) -> std::io::Result<()> {
    client.set_read_timeout(Some(wait))?;
    server.set_read_timeout(Some(wait))?;
    let mut byte = [0];
    client.write_all(b"a")?;
    server.read_exact(&mut byte)?;
    server.write_all(b"b")?;
    client.read_exact(&mut byte)
}

pub fn udp(endpoint: &Endpoint, port: u16) -> UdpSocket {
    let socket = endpoint.netns.run(move || UdpSocket::bind(("::", port)).unwrap()).unwrap();
    socket.set_read_timeout(Some(SURELY)).unwrap();
    socket
}
