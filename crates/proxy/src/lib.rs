//! The process between clients and servers whose policy says more than ports: it reads what they say to each other.
//!
//! The kernel hands it connections ([`ciliate_bpf::Listeners`]); for each it asks the kernel's own tables which filters apply
//! ([`gate`]), connects on in the client's name, and shows every byte to a protocol ([`protocol`]) before it goes on. It
//! needs the agent for changes only: its configuration is on disk, and policy lies in pinned maps.
//!
//! ```text
//! listener -> worker -> session { client's half | protocol + gate | server's half }
//! listener -> dns thread -> names: the same for queries by UDP
//! agent -> control -> configuration -> shared -> every session's next request
//! ```

mod client;
mod configuration;
mod control;
mod descriptors;
mod dns;
mod gate;
mod half;
mod names;
mod protocol;
mod session;
mod settings;
mod shared;
mod socket;
mod watch;
mod worker;

pub mod message;

pub use client::{Client, Switch};
pub use settings::{DnsSettings, Limits, Settings};

use ciliate_abi::Listener;
use ciliate_bpf::{Listeners, View};
use configuration::Ready;
use control::Control;
use dns::Dns;
use names::Names;
use shared::Shared;
use socket::Family;
use std::{
    io,
    os::fd::{AsFd as _, OwnedFd},
    sync::Arc,
};
use thiserror::Error;
use worker::Worker;

/// Why a proxy cannot start.
#[derive(Debug, Error)]
pub enum Error {
    #[error(transparent)]
    Kernel(#[from] ciliate_bpf::Error),
    #[error("cannot read the configuration in {}: {source}", path.display())]
    Configuration { path: std::path::PathBuf, source: io::Error },
    #[error("cannot restore the names that were known: {0}")]
    Names(#[source] Box<dyn std::error::Error + Send + Sync>),
    #[error("cannot listen for redirected connections: {0}")]
    Listen(#[source] io::Error),
    #[error("cannot listen at {}: {source}", path.display())]
    Control { path: std::path::PathBuf, source: io::Error },
}

/// Serves until it is asked to hand over and its last connection has ended. `ready` is called once connections are taken.
///
/// # Errors
/// What keeps it from starting.
pub fn run(settings: Settings, ready: impl FnOnce()) -> Result<(), Error> {
    let settings = descriptors::fit(settings);
    let view = View::open(&settings.bpf_root)?;
    let listeners = Listeners::open(&settings.bpf_root)?;
    let at = |source| Error::Configuration { path: settings.state_dir.clone(), source };
    let kept = configuration::load(&settings.state_dir).map_err(at)?.unwrap_or_default();
    let configuration = Ready::new(&kept).map_err(|error| at(io::Error::other(error)))?;
    let (port, sockets) = listen(settings.workers).map_err(Error::Listen)?;
    let first: Vec<OwnedFd> = sockets
        .first()
        .map(|pair| pair.iter().map(|fd| fd.try_clone()).collect::<io::Result<_>>())
        .transpose()
        .map_err(Error::Listen)?
        .unwrap_or_default();
    let queries =
        Family::BOTH.map(dns::listener).into_iter().collect::<io::Result<Vec<_>>>().map_err(Error::Listen)?;
    let path = settings.socket.clone();
    let mut predecessor = Client::connect(&path).ok();
    // Queries wait in these sockets until the names are here.
    for (kind, socket) in [Listener::UdpV4, Listener::UdpV6].into_iter().zip(&queries) {
        listeners.set(kind, socket.as_fd())?;
    }
    if let Some(client) = &mut predecessor
        && let Err(error) = client.ask(&message::Request::HandOverNames)
    {
        tracing::info!(%error, "the proxy before this one keeps no names");
    }
    let dns = &settings.dns;
    let names =
        Names::open(&settings.state_dir, dns.cache, dns.pre_cache.as_deref(), kept.names.clone(), &view)
            .map_err(|error| Error::Names(error.into()))?;
    let shared = Arc::new(Shared::new(settings, view, configuration, names, port));
    let resolver = Dns::start(&shared, queries).map_err(Error::Listen)?;
    names::start_upkeep(&shared).map_err(Error::Listen)?;
    let workers: Vec<_> = sockets
        .into_iter()
        .map(|pair| Worker::start(&shared, pair))
        .collect::<io::Result<_>>()
        .map_err(Error::Listen)?;
    let workers = Arc::new(workers);
    let control = Control::new(&shared, &workers, kept);
    for (kind, socket) in [Listener::TcpV4, Listener::TcpV6].into_iter().zip(&first) {
        listeners.set(kind, socket.as_fd())?;
    }
    drop(first);
    control.listen().map_err(|source| Error::Control { path, source })?;
    if let Some(mut predecessor) = predecessor {
        match predecessor.ask(&message::Request::HandOver) {
            Ok(_) => tracing::info!("new connections come here; the proxy before keeps its own"),
            Err(error) => tracing::info!(%error, "the proxy before this one has gone"),
        }
    }
    tracing::info!(
        process = std::process::id(),
        workers = workers.len(),
        port,
        filters = shared.ready().1.len(),
        connections = shared.settings.limits.connections,
        "ready"
    );
    ready();
    loop {
        std::thread::park_timeout(std::time::Duration::from_millis(200));
        if shared.is_draining() && resolver.is_finished() && workers.iter().all(Worker::is_finished) {
            tracing::info!("the last connection has ended");
            return Ok(());
        }
    }
}

/// A pair of listening sockets, one a family, for each worker, all on one port.
fn listen(workers: usize) -> io::Result<(u16, Vec<Vec<OwnedFd>>)> {
    let first = socket::listener(Family::V4, 0)?;
    let port = socket::local(&first)?.port();
    let mut pairs = vec![vec![first, socket::listener(Family::V6, port)?]];
    for _ in 1..workers.max(1) {
        let pair = Family::BOTH.into_iter().map(|family| socket::listener(family, port));
        pairs.push(pair.collect::<io::Result<_>>()?);
    }
    Ok((port, pairs))
}
