//! Sites outside of the cluster, a resolver that knows their names, and `mediabot`, who reads them.

use crate::stage::{Stage, shell};
use ciliate_net::Netns;
use std::{
    net::{IpAddr, SocketAddr, TcpListener, TcpStream, ToSocketAddrs, UdpSocket},
    path::Path,
    thread,
    time::{Duration, Instant},
};

/// For what nobody answers.
pub const NEVER: Duration = Duration::from_millis(700);
/// For what is answered, on a machine that has other things to do.
const PATIENCE: Duration = Duration::from_secs(5);

pub const BY_NAME: &str = include_str!("../../../../examples/star-wars/mediabot-name.yaml");
pub const BY_PATTERN: &str = include_str!("../../../../examples/star-wars/mediabot-pattern.yaml");
pub const BY_PORT: &str = include_str!("../../../../examples/star-wars/mediabot-port.yaml");

/// Sites outside of the cluster, in a namespace behind a router's port.
pub fn outside(stage: &Stage) {
    let path = stage.folder.join("outside");
    let netns = Netns::create(&path).unwrap();
    shell(&format!(
        "ip link add out0 type veth peer name out1
         ip link set out1 netns {0}
         ip addr add 198.51.100.1/24 dev out0; ip link set out0 up
         ip -6 addr add 2001:db8:5::1/64 dev out0 nodad
         nsenter --net={0} sh -c '
           for last in 10 11 12 13; do ip addr add 198.51.100.$last/24 dev out1; done
           ip -6 addr add 2001:db8:5::10/64 dev out1 nodad
           ip link set out1 up; ip link set lo up
           ip route add default via 198.51.100.1
           ip -6 route add default via 2001:db8:5::1'",
        path.display()
    ));
    for port in [80, 443] {
        let listener = netns.run(move || TcpListener::bind(("::", port)).unwrap()).unwrap();
        thread::spawn(move || listener.incoming().for_each(drop));
    }
}

pub struct Bot {
    pub netns: Netns,
    /// Of the resolver.
    server: SocketAddr,
}

impl Bot {
    pub fn new(stage: &Stage) -> Self {
        let labels = ["-l", "org=empire", "-l", "class=mediabot"];
        let run = ["run", "--detach", "--name", "mediabot"];
        stage.done(&[&run[..], &labels, &["--", "sleep", "infinity"]].concat());
        let endpoint = stage.json(&["endpoint", "get", "mediabot"]);
        let path = endpoint[0]["device"]["netns"].as_str().unwrap();
        let resolver = stage.json(&["endpoint", "get", "kube-system/kube-dns"])[0]["ipv4"].clone();
        let server = format!("{}:53", resolver.as_str().unwrap()).parse().unwrap();
        Self { netns: Netns::open(Path::new(path)).unwrap(), server }
    }

    /// Whether one query for the address of a name is answered with one, without a second try.
    pub fn asks(&self, name: &str) -> bool {
        let socket = self.netns.run(|| UdpSocket::bind("0.0.0.0:0").unwrap()).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        // One question, recursion desired.
        let mut query = vec![7, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        for label in name.split('.') {
            query.push(u8::try_from(label.len()).unwrap());
            query.extend(label.as_bytes());
        }
        // The root; type A, class IN.
        query.extend([0, 0, 1, 0, 1]);
        socket.send_to(&query, self.server).unwrap();
        let mut answer = [0; 512];
        let begun = Instant::now();
        let received = socket.recv_from(&mut answer);
        // The last byte of each pair: no error, at least one record.
        let well = received.is_ok() && answer[3] & 15 == 0 && answer[7] > 0;
        if !well {
            eprintln!("{name}: {received:?} after {:?}, {:?}", begun.elapsed(), &answer[..12]);
        }
        well
    }

    /// What the name resolves to, as any program asks.
    pub fn resolve(&self, name: &str) -> Vec<IpAddr> {
        let name = name.to_owned();
        let found = move || (name.as_str(), 0).to_socket_addrs().map(|all| all.map(|one| one.ip()).collect());
        self.netns.run(found).unwrap().unwrap_or_default()
    }

    /// Whether the first connection after resolving succeeds, to every address.
    pub fn reaches(&self, name: &str, port: u16) -> bool {
        let addresses = self.resolve(name);
        assert!(!addresses.is_empty(), "{name} does not resolve");
        addresses.into_iter().all(|address| {
            let connect = move || TcpStream::connect_timeout(&(address, port).into(), NEVER).is_ok();
            self.netns.run(connect).unwrap()
        })
    }
}

/// A resolver for everybody, from Debian, as an endpoint.
pub fn resolver(stage: &Stage) {
    let mut command: Vec<&str> = "run --detach --name kube-dns --namespace kube-system -l k8s-app=kube-dns -- \
        dnsmasq -k -p 53 --no-resolv --no-hosts --user=root --pid-file= --conf-file=/dev/null --local-ttl=300 \
        --address=/api.twitter.com/198.51.100.10 --address=/api.twitter.com/2001:db8:5::10 \
        --address=/www.twitter.com/198.51.100.11 --address=/new.twitter.com/198.51.100.13 \
        --address=/www.example.com/198.51.100.12"
        .split_whitespace()
        .collect();
    stage.done(&std::mem::take(&mut command));
    let endpoint = stage.json(&["endpoint", "get", "kube-system/kube-dns"]);
    let conf =
        format!("nameserver {}\noptions timeout:3 attempts:2\n", endpoint[0]["ipv4"].as_str().unwrap());
    let conf = stage.file("resolv.conf", &conf);
    shell(&format!("mount --bind {conf} /etc/resolv.conf"));
}
