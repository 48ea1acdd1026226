//! The relay's flags, with the names that hubble-relay's have, and what they come to.

use crate::exit::{Code, Failure};
use anyhow::Context as _;
use ciliate_api::settings::{Config, Milliseconds, SettingValue as _};
use ciliate_relay::{Collecting, Dialer, Encryption, Peer, Settings, Sorting, Source};
use ciliate_transport::{
    Address, ClientFiles, ClientTls, HTTP2, Listener, Secrecy, ServerFiles, ServerTls, Trust, bind,
};
use std::{
    net::{SocketAddr, TcpListener, ToSocketAddrs as _},
    os::unix::net::UnixListener,
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

/// The relay's socket in the folder of the agent's.
const SOCKET: &str = "hubble-relay.sock";
/// Where a relay listens that names no port.
const PORT: u16 = 4245;
/// How often a node is asked whether it is there, and how long it may take to say so.
const KEEP_ALIVE: Duration = Duration::from_secs(10);
/// How long a node may take to say how it is.
const PATIENCE: Duration = Duration::from_secs(5);

#[derive(Clone, Debug, clap::Args)]
pub struct ServeFlags {
    /// Where clients find the relay: HOST:PORT, :PORT or unix:///PATH [default: the socket hubble-relay.sock in the run directory]
    #[arg(long, value_name = "ADDRESS", help_heading = "Clients")]
    listen_address: Option<String>,
    /// File with the relay's certificate for its clients, in PEM; read again when it changes, as all of these
    #[arg(long, value_name = "FILE", alias = "tls-server-cert-file", help_heading = "Clients")]
    tls_relay_server_cert_file: Option<PathBuf>,
    /// File with the key of that certificate, in PEM
    #[arg(long, value_name = "FILE", alias = "tls-server-key-file", help_heading = "Clients")]
    tls_relay_server_key_file: Option<PathBuf>,
    /// Files with the authorities, in PEM, that sign the certificates of clients; nobody else reads flows
    #[arg(long, value_name = "FILE", value_delimiter = ',', help_heading = "Clients")]
    tls_relay_client_ca_files: Vec<PathBuf>,
    /// Let clients without a certificate read flows over TLS, also on an address that other hosts reach
    #[arg(long, help_heading = "Clients")]
    tls_relay_allow_any_client: bool,
    /// Serve flows unencrypted, to anybody, also on an address that other hosts reach
    #[arg(long, help_heading = "Clients")]
    disable_server_tls: bool,
    /// Clients that are connected over TCP at once
    #[arg(long, value_name = "NUMBER", default_value_t = 256, value_parser = number, help_heading = "Clients")]
    pub max_clients: usize,
    /// Streams of flows that are under way at once
    #[arg(long, value_name = "NUMBER", default_value_t = 256, value_parser = number, help_heading = "Clients")]
    max_streams: usize,

    /// Whom to ask which nodes there are [default: the agent's socket, unless --peer or --peers-file is given]
    #[arg(long, value_name = "ADDRESS", help_heading = "Nodes")]
    peer_service: Option<String>,
    /// Name that the certificate of the peer service must have [default: its host]
    #[arg(long, value_name = "NAME", requires = "peer_service", help_heading = "Nodes")]
    peer_service_server_name: Option<String>,
    /// A node, and the name that its certificate must have if that is not its host; may be given again
    #[arg(long, value_name = "NAME=HOST:PORT[,SERVER-NAME]", help_heading = "Nodes")]
    peer: Vec<Peer>,
    /// File with nodes in YAML, a list of name, address and server-name; read again when it changes
    #[arg(long, value_name = "FILE", help_heading = "Nodes")]
    peers_file: Option<PathBuf>,
    /// File with the relay's certificate for nodes, in PEM; read again when it changes, as all of these
    #[arg(
        long,
        value_name = "FILE",
        alias = "tls-client-cert-file",
        requires = "tls_hubble_client_key_file",
        help_heading = "Nodes"
    )]
    tls_hubble_client_cert_file: Option<PathBuf>,
    /// File with the key of that certificate, in PEM
    #[arg(
        long,
        value_name = "FILE",
        alias = "tls-client-key-file",
        requires = "tls_hubble_client_cert_file",
        help_heading = "Nodes"
    )]
    tls_hubble_client_key_file: Option<PathBuf>,
    /// Files with the authorities, in PEM, that sign the certificates of nodes
    #[arg(long, value_name = "FILE", value_delimiter = ',', help_heading = "Nodes")]
    tls_hubble_server_ca_files: Vec<PathBuf>,
    /// Ask nodes in plain text, also those that are elsewhere
    #[arg(long, help_heading = "Nodes")]
    disable_client_tls: bool,
    /// How long a connection to a node may take to come up
    #[arg(long, value_name = "DURATION", default_value = "5s", value_parser = duration, help_heading = "Nodes")]
    dial_timeout: Duration,
    /// Longest pause before a node is tried again
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = duration, help_heading = "Nodes")]
    retry_timeout: Duration,
    /// How long a node may say nothing when it is asked for what is past
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = duration, help_heading = "Nodes")]
    node_timeout: Duration,

    /// Flows of one client that wait at most to be put in order
    #[arg(long, value_name = "NUMBER", default_value_t = Sorting::default().most, value_parser = number, help_heading = "Order")]
    sort_buffer_len_max: usize,
    /// How long a flow waits at most for earlier ones of other nodes
    #[arg(long, value_name = "DURATION", default_value = "1s", value_parser = duration, help_heading = "Order")]
    sort_buffer_drain_timeout: Duration,
    /// How long an error of a node waits for others of the same kind before a client is told
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = duration, help_heading = "Order")]
    error_aggregation_window: Duration,
}

/// Where clients come in, not yet served.
pub enum Door {
    Socket(UnixListener, PathBuf),
    Tcp(TcpListener, SocketAddr, Secrecy),
}

impl Door {
    pub fn address(&self) -> Address {
        match self {
            Self::Socket(_, path) => Address::Socket(path.clone()),
            Self::Tcp(_, address, _) => Address::from(*address),
        }
    }

    /// Needs a tokio runtime around it.
    pub fn listener(self) -> anyhow::Result<Listener> {
        match self {
            Self::Socket(listener, _) => Ok(Listener::Socket(tokio::net::UnixListener::from_std(listener)?)),
            Self::Tcp(listener, _, secrecy) => {
                Ok(Listener::Tcp(tokio::net::TcpListener::from_std(listener)?, secrecy))
            }
        }
    }
}

impl ServeFlags {
    pub fn settings(&self, config: &Config) -> anyhow::Result<Settings> {
        Ok(Settings {
            sources: self.sources(config)?,
            dialer: Dialer {
                encryption: self.encryption()?,
                timeout: self.dial_timeout,
                keep_alive: (KEEP_ALIVE, KEEP_ALIVE),
            },
            retry: self.retry_timeout,
            collecting: Collecting {
                sorting: Sorting { most: self.sort_buffer_len_max, drain: self.sort_buffer_drain_timeout },
                patience: self.node_timeout,
                error_window: self.error_aggregation_window,
                relay: own_name(config),
            },
            patience: PATIENCE,
            streams: self.max_streams,
        })
    }

    fn sources(&self, config: &Config) -> anyhow::Result<Vec<Source>> {
        let mut sources = Vec::new();
        if !self.peer.is_empty() {
            sources.push(Source::Fixed(self.peer.clone()));
        }
        if let Some(path) = &self.peers_file {
            // Said now rather than in the log.
            let text =
                ciliate_config_file::read(path).map_err(|error| usage(format!("--peers-file: {error}")))?;
            ciliate_relay::listed(&text)
                .map_err(|error| usage(format!("--peers-file: {}: {error}", path.display())))?;
            sources.push(Source::File(path.clone()));
        }
        let service = match &self.peer_service {
            Some(address) => Some(
                Address::parse(address, ciliate_relay::NODE_PORT)
                    .map_err(|error| usage(format!("--peer-service: {error}")))?,
            ),
            None if sources.is_empty() => Some(Address::Socket(config.hubble_socket())),
            None => None,
        };
        if let Some(address) = service {
            let server_name = self.peer_service_server_name.clone();
            sources.push(Source::Service(Peer { name: "peer-service".to_owned(), address, server_name }));
        }
        Ok(sources)
    }

    /// What nodes are told over TCP.
    fn encryption(&self) -> anyhow::Result<Encryption> {
        let identity = self.tls_hubble_client_cert_file.clone().zip(self.tls_hubble_client_key_file.clone());
        let files = ClientFiles { identity, trust: Trust::from(self.tls_hubble_server_ca_files.clone()) };
        match (self.disable_client_tls, files == ClientFiles::default()) {
            (true, true) => Ok(Encryption::Off),
            (true, false) => Err(usage(
                "--disable-client-tls goes with no files for TLS: leave out the one or the others".to_owned(),
            )),
            (false, true) => Ok(Encryption::Missing),
            (false, false) => {
                let tls = ClientTls::new(files, &[HTTP2])
                    .map_err(|error| usage(format!("--tls-hubble-*: {error}")))?;
                Ok(Encryption::Tls(Arc::new(tls)))
            }
        }
    }

    /// Listens, if nobody without the right reads flows there.
    pub fn door(&self, config: &Config) -> anyhow::Result<Door> {
        let tls = self.server_tls()?;
        let wrong = |what: String| usage(format!("--listen-address: {what}"));
        let address = match &self.listen_address {
            None => Address::Socket(config.run_dir.join(SOCKET)),
            Some(text) => {
                let whole = text.strip_prefix(':').map(|port| format!("[::]:{port}"));
                Address::parse(whole.as_ref().unwrap_or(text), PORT)
                    .map_err(|error| wrong(error.to_string()))?
            }
        };
        let target = match &address {
            Address::Socket(path) => {
                if let Some(folder) = path.parent() {
                    std::fs::create_dir_all(folder)
                        .with_context(|| format!("cannot make the folder {}", folder.display()))?;
                }
                let listener = bind(path, &config.socket_group)?;
                return Ok(Door::Socket(listener, path.clone()));
            }
            Address::Tcp(address) => address.target(),
        };
        let secrecy = match tls {
            Some(tls) if address.is_local() || self.lets_only_some() => Secrecy::Tls(tls),
            Some(_) => {
                return Err(wrong(format!(
                    "other hosts reach {address}, and any of them may read flows: name who signs the certificates of \
                     clients with --tls-relay-client-ca-files, or give --tls-relay-allow-any-client"
                )));
            }
            None if address.is_local() || self.disable_server_tls => Secrecy::Plain,
            None => {
                return Err(wrong(format!(
                    "other hosts reach {address}, and it has no encryption: give --tls-relay-server-cert-file, \
                     --tls-relay-server-key-file and --tls-relay-client-ca-files, or --disable-server-tls"
                )));
            }
        };
        let addresses = target.to_socket_addrs().map_err(|error| wrong(format!("{address}: {error}")))?;
        let listener = TcpListener::bind(addresses.collect::<Vec<_>>().as_slice())
            .and_then(|listener| listener.set_nonblocking(true).map(|()| listener))
            .with_context(|| format!("cannot listen on {address}"))?;
        let bound = listener.local_addr()?;
        Ok(Door::Tcp(listener, bound, secrecy))
    }

    fn lets_only_some(&self) -> bool {
        !self.tls_relay_client_ca_files.is_empty() || self.tls_relay_allow_any_client
    }

    fn server_tls(&self) -> anyhow::Result<Option<Arc<ServerTls>>> {
        let (certificate, key) = match (
            &self.tls_relay_server_cert_file,
            &self.tls_relay_server_key_file,
            self.tls_relay_client_ca_files.is_empty(),
        ) {
            (None, None, true) => return Ok(None),
            (Some(certificate), Some(key), _) => (certificate.clone(), key.clone()),
            _ => {
                return Err(usage(
                    "TLS needs a certificate and its key: give both --tls-relay-server-cert-file and \
                     --tls-relay-server-key-file"
                        .to_owned(),
                ));
            }
        };
        if self.disable_server_tls {
            return Err(usage(
                "--disable-server-tls goes with no files for TLS: leave out the one or the others".to_owned(),
            ));
        }
        let client_authorities = self.tls_relay_client_ca_files.clone();
        let tls = ServerTls::new(ServerFiles { certificate, key, client_authorities })
            .map_err(|error| usage(format!("--tls-relay-*: {error}")))?;
        Ok(Some(Arc::new(tls)))
    }
}

/// As nodes are named.
fn own_name(config: &Config) -> String {
    match config.node_name.as_str() {
        "" => std::fs::read_to_string("/proc/sys/kernel/hostname")
            .map_or_else(|_| "relay".to_owned(), |name| name.trim().to_owned()),
        name => name.to_owned(),
    }
}

/// `10s`, `5m`, `250ms`, or a number of seconds.
fn duration(text: &str) -> Result<Duration, String> {
    crate::progress::duration(text)
        .or_else(|expected| Milliseconds::read(text).map(|read| read.0).map_err(|_| expected))
}

fn number(text: &str) -> Result<usize, String> {
    let right = "a number from 1 to 1000000";
    text.parse().ok().filter(|number| (1..=1_000_000).contains(number)).ok_or_else(|| right.to_owned())
}

fn usage(message: String) -> anyhow::Error {
    Failure::new(Code::Usage, message).into()
}
