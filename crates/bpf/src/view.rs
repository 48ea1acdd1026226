//! The node's tables read by another process: the proxy asks them what the programs ask them.

mod names;

pub use names::{Stamp, Use};

use crate::{Error, batch::syscall, maps::call, pins::Pins};
use ciliate_abi::{
    Address, Config, Connection, ConnectionKey, Direction, Endpoint, IpcacheKey, PolicyEntry, PolicyKey,
    PrefixKey, RuleSet, TICK_SHIFT, config_flags, connection_flags, endpoint_flags,
};
use ciliate_dp_core::{
    connection,
    inquiry::{self, Inquiry, Rows},
};
use ciliate_types::{EndpointId, Identity, Protocol};
use std::{
    net::{IpAddr, SocketAddr},
    os::fd::{AsFd as _, OwnedFd},
    path::Path,
    time::Duration,
};

/// Handles to the maps of a datapath below one root.
#[derive(Debug)]
pub struct View {
    config: OwnedFd,
    endpoints: OwnedFd,
    ipcache: OwnedFd,
    rule_sets: OwnedFd,
    policy: OwnedFd,
    prefixes: OwnedFd,
    connections: OwnedFd,
}

/// What the tables say about a connection from `client` to `server`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judged {
    pub client: Side,
    pub server: Side,
}

/// One end of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Side {
    pub identity: Identity,
    /// None if the address is not an endpoint's of this node.
    pub endpoint: Option<EndpointId>,
    /// What its policy says; open where there is none.
    pub ruling: Ruling,
    /// Whether what is refused is only reported.
    pub audit: bool,
}

/// What one policy says about a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ruling {
    /// No policy applies.
    Open,
    Allowed {
        rule: u32,
    },
    /// 0 = no rule allowed it.
    Refused {
        rule: u32,
    },
    /// Each request has to pass one of these filters.
    Filtered {
        rule: u32,
        filters: Vec<u64>,
    },
}

impl View {
    /// # Errors
    /// No datapath has been opened below `root`, or missing rights.
    pub fn open(root: &Path) -> Result<Self, Error> {
        let pins = Pins::new(root);
        let open = |name: &'static str| syscall::open_pin(&pins.map(name)).map_err(call("open", name));
        Ok(Self {
            config: open("CONFIG")?,
            endpoints: open("ENDPOINTS")?,
            ipcache: open("IPCACHE")?,
            rule_sets: open("RULE_SETS")?,
            policy: open("POLICY")?,
            prefixes: open("PREFIXES")?,
            connections: open("CONNECTIONS")?,
        })
    }

    /// What both ends' policies say about a connection.
    pub fn judge(&self, protocol: Protocol, client: IpAddr, server: SocketAddr) -> Result<Judged, Error> {
        let config = self.config()?;
        let (from, to) = (self.party(&config, client)?, self.party(&config, server.ip())?);
        let side = |own: &Party, direction, peer: &Party| {
            let ruling = match &own.row {
                None => Ruling::Open,
                Some(row) => {
                    let inquiry = Inquiry {
                        rule_set: row.rule_set,
                        direction,
                        peer: peer.identity,
                        peer_address: peer.address,
                        protocol: protocol.number(),
                        port: server.port(),
                    };
                    let mut filters = Vec::new();
                    match inquiry.answer(self, |filter| filters.push(filter))? {
                        inquiry::Ruling::Open => Ruling::Open,
                        inquiry::Ruling::Allowed { rule } => Ruling::Allowed { rule },
                        inquiry::Ruling::Refused { rule } => Ruling::Refused { rule },
                        inquiry::Ruling::Filtered { rule } => {
                            filters.sort_unstable();
                            filters.dedup();
                            Ruling::Filtered { rule, filters }
                        }
                    }
                }
            };
            let audit = |row: &Endpoint| row.flags & endpoint_flags::AUDIT != 0;
            Ok::<_, Error>(Side {
                identity: Identity::new(own.identity),
                endpoint: own.row.as_ref().and_then(|row| EndpointId::new(row.id)),
                ruling,
                audit: config.flags & config_flags::AUDIT != 0 || own.row.as_ref().is_some_and(audit),
            })
        };
        Ok(Judged {
            client: side(&from, Direction::Egress, &to)?,
            server: side(&to, Direction::Ingress, &from)?,
        })
    }

    /// How long the row of an announced connection lives without packets.
    pub fn lifetime(&self, protocol: Protocol) -> Result<Duration, Error> {
        let config = self.config()?;
        let ticks = match protocol {
            Protocol::TCP => config.lifetimes.tcp_syn,
            _ => config.lifetimes.other,
        };
        Ok(Duration::from_nanos(u64::from(ticks) << TICK_SHIFT))
    }

    /// Makes a connection that the proxy is about to open for a client known to the programs, so that answers find
    /// their way to the proxy. `from` is the client's address with the proxy's port.
    pub fn announce(&self, protocol: Protocol, from: SocketAddr, to: SocketAddr) -> Result<(), Error> {
        let config = self.config()?;
        let (source, destination) = (self.party(&config, from.ip())?, self.party(&config, to.ip())?);
        let mut key = ConnectionKey {
            low: source.address,
            high: destination.address,
            low_port: 0,
            high_port: 0,
            protocol: protocol.number(),
            pad: [0; 3],
        };
        let end =
            connection::key_of((&source.address, from.port()), (&destination.address, to.port()), &mut key);
        let now = now();
        let lifetime = match protocol {
            Protocol::TCP => config.lifetimes.tcp_syn,
            _ => config.lifetimes.other,
        };
        let row = Connection {
            expires: now.wrapping_add(lifetime),
            flags: connection::origin(end) | connection_flags::PROXIED,
            source_epoch: source.epoch(&config),
            destination_epoch: destination.epoch(&config),
            source_identity: source.identity,
            destination_identity: destination.identity,
            reported: [now, now],
            ..Connection::default()
        };
        syscall::update(self.connections.as_fd(), &key, &row).map_err(call("write", "CONNECTIONS"))
    }

    fn party(&self, config: &Config, at: IpAddr) -> Result<Party, Error> {
        let address = Address::from(at);
        let row: Option<Endpoint> =
            syscall::look_up(self.endpoints.as_fd(), &address).map_err(call("read", "ENDPOINTS"))?;
        let identity = match &row {
            Some(row) => row.identity,
            None => inquiry::peer_identity(self, config.flags & config_flags::DUAL_STACK != 0, &address)?,
        };
        Ok(Party { address, row, identity })
    }

    fn config(&self) -> Result<Config, Error> {
        let found = syscall::look_up(self.config.as_fd(), &0_u32).map_err(call("read", "CONFIG"))?;
        found.ok_or(Error::Missing("CONFIG"))
    }
}

struct Party {
    address: Address,
    row: Option<Endpoint>,
    identity: u32,
}

impl Party {
    fn epoch(&self, config: &Config) -> u32 {
        self.row.as_ref().map_or(config.peers_epoch, |row| row.epoch)
    }
}

/// The programs' clock, in their ticks.
fn now() -> u32 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the kernel fills the structure.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut time) };
    let nanoseconds = u128::from(time.tv_sec.cast_unsigned())
        .wrapping_mul(1_000_000_000)
        .wrapping_add(u128::from(time.tv_nsec.cast_unsigned()));
    (nanoseconds >> TICK_SHIFT) as u32
}

/// A key of a longest-prefix map: all bits count.
#[repr(C)]
#[derive(Clone, Copy)]
struct Prefixed<K> {
    bits: u32,
    key: K,
}

// SAFETY: repr(C) of plain data without padding: both keys are aligned as the length in front of them is.
unsafe impl<K: aya::Pod> aya::Pod for Prefixed<K> {}

impl Rows for View {
    type Error = Error;

    fn rule_set(&self, handle: u32) -> Result<Option<RuleSet>, Error> {
        syscall::look_up(self.rule_sets.as_fd(), &handle).map_err(call("read", "RULE_SETS"))
    }

    fn policy_entry(&self, key: &PolicyKey) -> Result<Option<PolicyEntry>, Error> {
        syscall::look_up(self.policy.as_fd(), key).map_err(call("read", "POLICY"))
    }

    fn class(&self, key: &PrefixKey) -> Result<Option<u32>, Error> {
        let key = Prefixed { bits: PrefixKey::SCOPE_BITS.saturating_add(128), key: *key };
        syscall::look_up(self.prefixes.as_fd(), &key).map_err(call("read", "PREFIXES"))
    }

    fn identity(&self, address: &Address) -> Result<Option<u32>, Error> {
        let key =
            Prefixed { bits: IpcacheKey::SCOPE_BITS.saturating_add(128), key: IpcacheKey::new(*address) };
        syscall::look_up(self.ipcache.as_fd(), &key).map_err(call("read", "IPCACHE"))
    }
}
