//! Where clients of flows come in: the socket, and TCP if that is wanted.

use crate::{node::Node, socket};
use anyhow::Context as _;
use ciliate_api::settings::Config;
use ciliate_net::{Netlink, Scope};
use ciliate_observer::Peer;
use ciliate_transport::{Address, Incoming, Limits, Listener, Secrecy, ServerFiles, ServerTls, accept};
use std::{
    net::{IpAddr, SocketAddr, TcpListener},
    os::unix::net::UnixListener,
    sync::Arc,
};

/// What Cilium's relays expect at the end of the names of servers.
const DOMAIN: &str = "hubble-grpc.cilium.io";

/// The listeners, not yet served.
pub struct Doors {
    socket: UnixListener,
    tcp: Option<(TcpListener, Secrecy)>,
    limits: Limits,
}

impl Doors {
    pub fn open(config: &Config) -> anyhow::Result<Self> {
        let socket = socket::bind(config, &config.hubble_socket())?;
        let tcp = config.hubble_listen.0.map(|address| listen(config, address)).transpose()?;
        let clients = usize::try_from(config.hubble_max_clients.0)?;
        Ok(Self { socket, tcp, limits: Limits { clients, ..Limits::default() } })
    }

    /// The node of this name, as relays are told of it.
    pub fn peer(&self, config: &Config, name: String) -> Peer {
        let Some((listener, secrecy)) = &self.tcp else {
            return Peer {
                name,
                address: Address::Socket(config.hubble_socket()).to_string(),
                server_name: None,
            };
        };
        let listening = listener.local_addr().ok();
        let address = match &config.hubble_announced.0 {
            Some(announced) => announced.clone(),
            None => listening
                .map(|address| reached(config, address))
                .map_or_else(|| Address::Socket(config.hubble_socket()), Address::from)
                .to_string(),
        };
        let server_name = match secrecy {
            Secrecy::Plain => None,
            Secrecy::Tls(_) => Some(server_name(&Node::new(config).name, &config.cluster_name)),
        };
        Peer { name, address, server_name }
    }

    /// Lets clients in. Needs a tokio runtime around it.
    pub fn accept(self) -> anyhow::Result<Incoming> {
        let Self { socket, tcp, limits } = self;
        let socket =
            tokio::net::UnixListener::from_std(socket).context("cannot listen for Hubble's clients")?;
        let mut listeners = vec![Listener::Socket(socket)];
        if let Some((listener, secrecy)) = tcp {
            let listener =
                tokio::net::TcpListener::from_std(listener).context("cannot listen for Hubble's clients")?;
            listeners.push(Listener::Tcp(listener, secrecy));
        }
        Ok(accept(listeners, limits))
    }
}

/// Settings are checked together before: plain text only where that is wanted.
fn listen(config: &Config, address: SocketAddr) -> anyhow::Result<(TcpListener, Secrecy)> {
    let secrecy = match (&config.hubble_tls_certificate.0, &config.hubble_tls_key.0) {
        (Some(certificate), Some(key)) => {
            let files = ServerFiles {
                certificate: certificate.clone(),
                key: key.clone(),
                client_authorities: config.hubble_tls_authorities.clone(),
            };
            let tls = ServerTls::new(files).context("settings hubble-tls-*")?;
            Secrecy::Tls(Arc::new(tls))
        }
        _ => Secrecy::Plain,
    };
    let listener = TcpListener::bind(address)
        .and_then(|listener| listener.set_nonblocking(true).map(|()| listener))
        .with_context(|| format!("setting hubble-listen-address: cannot listen on {address}"))?;
    Ok((listener, secrecy))
}

/// Where others find what listens there: of all addresses, the node's first one that is not for its endpoints.
fn reached(config: &Config, listening: SocketAddr) -> SocketAddr {
    if !listening.ip().is_unspecified() {
        return listening;
    }
    let pools = |address: &IpAddr| match address {
        IpAddr::V4(address) => config.ipv4_pool.contains(address),
        IpAddr::V6(address) => config.ipv6_pool.contains(address),
    };
    let known = Netlink::new().and_then(|netlink| netlink.host_addresses()).unwrap_or_default();
    let first = known
        .iter()
        .filter(|known| known.scope == Scope::Global && !pools(&known.address))
        .min_by_key(|known| (known.ifindex, known.address.is_ipv6()));
    first.map_or(listening, |first| SocketAddr::new(first.address, listening.port()))
}

/// As Cilium's certificates have it: one label for the node, one for the cluster.
fn server_name(node: &str, cluster: &str) -> String {
    let cluster = if cluster.is_empty() { super::DEFAULT_CLUSTER } else { cluster };
    format!("{}.{cluster}.{DOMAIN}", node.replace('.', "-"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_have_the_names_that_relays_expect() {
        assert_eq!(server_name("node-1.example", ""), "node-1-example.default.hubble-grpc.cilium.io");
        assert_eq!(server_name("n", "west"), "n.west.hubble-grpc.cilium.io");
    }
}
