//! Namespaces as hosts and endpoints, and what connects them.

use crate::stale;
use ciliate_net::{Created, EndpointDevice, Family, Netlink, Netns, Router, Sysctls};
use std::{
    fs,
    io::{Read as _, Write as _},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream},
    path::PathBuf,
    process::Command,
    sync::{
        Once,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::Duration,
};

pub const WAIT: Duration = Duration::from_secs(5);
pub const GATEWAYS: [IpAddr; 2] =
    [IpAddr::V4(Ipv4Addr::new(10, 201, 0, 1)), IpAddr::V6(Ipv6Addr::new(0xfd10, 0x201, 0, 0, 0, 0, 0, 1))];

/// A namespace that goes with its test.
pub struct Host {
    pub path: PathBuf,
    pub netns: Netns,
}

impl Host {
    pub fn new(name: &str) -> Self {
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

    pub fn run<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        self.netns.run(work).unwrap()
    }

    /// Runs `ip` with arguments that have no blanks in them.
    pub fn ip(&self, arguments: &str) {
        let mut ip = Command::new("ip");
        ip.args(arguments.split(' '));
        assert!(self.run(|| ip.status().unwrap().success()), "ip {arguments}");
    }

    pub fn netlink(&self) -> Netlink {
        Netlink::in_namespace(&self.netns).unwrap()
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        Netns::delete(&self.path).unwrap();
    }
}

pub fn router() -> Router {
    Router {
        name: "ciliate_host".into(),
        peer: "ciliate_net".into(),
        addresses: GATEWAYS.to_vec(),
        pools: vec!["10.201.0.0/16".parse().unwrap(), "fd10:201::/64".parse().unwrap()],
        mtu: 1400,
    }
}

pub fn device(host_name: &str, inside: &Host, last: u16) -> EndpointDevice {
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

pub fn connect(host: &Netlink, device: &EndpointDevice) -> Created {
    let made = host.create_veth(device).unwrap();
    host.configure_container(device, &made).unwrap();
    made
}

pub fn forward(host: &Host) {
    host.run(|| {
        let mut saved =
            Sysctls::open(&std::env::temp_dir().join(format!("{}-{:p}", std::process::id(), host))).unwrap();
        saved.forward(Family::V4).unwrap();
        saved.forward(Family::V6).unwrap();
        fs::remove_file(std::env::temp_dir().join(format!("{}-{:p}", std::process::id(), host))).unwrap();
    });
}

/// Asks a one-shot echo server in another namespace; the answer is the address it saw.
pub fn ask(server: &Host, listen: SocketAddr, client: &Host, connect: SocketAddr) -> std::io::Result<IpAddr> {
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
