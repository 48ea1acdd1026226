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
//!
//! [`guard`] runs all of that in a child process and holds the sockets, so that nothing that waits in them is lost when the
//! child dies; [`run`] runs it here.

mod client;
mod configuration;
mod control;
mod descriptors;
mod dns;
mod gate;
mod guardian;
mod half;
mod names;
mod pipe;
mod protocol;
mod redaction;
mod session;
mod settings;
mod shared;
mod socket;
mod sockets;
mod watch;
mod worker;

pub mod message;

pub use client::{Client, Switch};
pub use guardian::guard;
pub use names::{LearnError, Learned, Names, Rows};
pub use redaction::{Headers, Redaction, Shown};
pub use settings::{DnsSettings, Limits, Settings};

use ciliate_abi::Listener;
use ciliate_bpf::{Listeners, View};
use configuration::Ready;
use control::Control;
use dns::Dns;
use guardian::{Guardian, Word};
use shared::Shared;
use sockets::Sockets;
use std::{
    io,
    os::fd::{AsFd as _, OwnedFd},
    sync::Arc,
    time::{Duration, Instant},
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
    #[error("cannot start a process of its own: {0}")]
    Guardian(#[source] io::Error),
}

/// Which of the processes that serve the same sockets this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Turn {
    /// It takes over from whoever served before, with other sockets.
    First,
    /// Its sockets are known already.
    Another,
}

/// How long a predecessor may take to hand over; one that does not answer is passed over.
const PREDECESSOR: Duration = Duration::from_secs(5);

/// Serves until it is asked to hand over and its last connection has ended. `ready` is called once connections are taken.
///
/// # Errors
/// What keeps it from starting.
pub fn run(settings: Settings, ready: impl FnOnce()) -> Result<(), Error> {
    let settings = descriptors::fit(settings);
    let sockets = Sockets::open(&settings)?;
    serve(settings, sockets, Turn::First, None, ready)
}

fn serve(
    settings: Settings,
    sockets: Sockets,
    turn: Turn,
    guardian: Option<Guardian>,
    ready: impl FnOnce(),
) -> Result<(), Error> {
    let Sockets { port, connections, queries, control: listener } = sockets;
    let view = View::open(&settings.bpf_root)?;
    let listeners = Listeners::open(&settings.bpf_root)?;
    let at = |source| Error::Configuration { path: settings.state_dir.clone(), source };
    let kept = configuration::load(&settings.state_dir).map_err(at)?.unwrap_or_default();
    let configuration = Ready::new(&kept).map_err(|error| at(io::Error::other(error)))?;
    let first: Vec<OwnedFd> = connections
        .first()
        .map(|pair| pair.iter().map(|fd| fd.try_clone()).collect::<io::Result<_>>())
        .transpose()
        .map_err(Error::Listen)?
        .unwrap_or_default();
    let path = settings.socket.clone();
    let mut predecessor = match turn {
        Turn::First => Client::connect_within(&path, PREDECESSOR).ok(),
        Turn::Another => None,
    };
    if turn == Turn::First {
        // Queries wait in these sockets until the names are here.
        for (kind, socket) in [Listener::UdpV4, Listener::UdpV6].into_iter().zip(&queries) {
            listeners.set(kind, socket.as_fd())?;
        }
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
    let workers: Vec<_> = connections
        .into_iter()
        .map(|pair| Worker::start(&shared, pair))
        .collect::<io::Result<_>>()
        .map_err(Error::Listen)?;
    let workers = Arc::new(workers);
    let guardian_pid = guardian.as_ref().map(|guardian| guardian.pid);
    let control = Control::new(&shared, &workers, kept, guardian_pid);
    if turn == Turn::First {
        for (kind, socket) in [Listener::TcpV4, Listener::TcpV6].into_iter().zip(&first) {
            listeners.set(kind, socket.as_fd())?;
        }
        listener.take_over(&path)?;
    }
    drop(first);
    control.serve_all(listener).map_err(|source| Error::Control { path, source })?;
    if let Some(mut predecessor) = predecessor {
        match predecessor.ask(&message::Request::HandOver) {
            Ok(_) => tracing::info!("new connections come here; the proxy before keeps its own"),
            Err(error) => tracing::info!(%error, "the proxy before this one has gone"),
        }
        control.remember(predecessor);
    }
    tracing::info!(
        process = std::process::id(),
        workers = workers.len(),
        port,
        filters = shared.ready().1.len(),
        connections = shared.settings.limits.connections,
        "ready"
    );
    if let Some(guardian) = &guardian {
        guardian.say(Word::Ready);
        guardian.replace_when_gone(&shared).map_err(Error::Guardian)?;
    }
    ready();
    let (mut drained_from, mut untold) = (None, guardian.as_ref());
    loop {
        std::thread::park_timeout(Duration::from_millis(200));
        if !shared.is_draining() {
            continue;
        }
        let since = *drained_from.get_or_insert_with(Instant::now);
        if since.elapsed() > worker::HANDSHAKES
            && let Some(guardian) = untold.take()
        {
            guardian.say(Word::Released);
        }
        if resolver.is_finished() && workers.iter().all(Worker::is_finished) {
            tracing::info!("the last connection has ended");
            return Ok(());
        }
    }
}
