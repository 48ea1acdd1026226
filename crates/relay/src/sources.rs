//! Who says which nodes there are: a peer service, a file, the command line.

use crate::{
    dial::Dialer,
    peer::{Peer, listed},
    roster::Change,
};
use ciliate_hubble::peer::{
    ChangeNotification, ChangeNotificationType, NotifyRequest, peer_client::PeerClient,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    time::Duration,
};
use tokio::{
    sync::mpsc,
    task,
    time::{self, Instant, sleep, sleep_until, timeout},
};

/// How often a file of nodes is looked at.
const FILE_INTERVAL: Duration = Duration::from_secs(1);
/// A service names all nodes at once when it is asked; whom it has not named by then is gone.
const SETTLED: Duration = Duration::from_secs(10);

/// One source of nodes.
#[derive(Clone, Debug)]
pub enum Source {
    /// Nodes that stay.
    Fixed(Vec<Peer>),
    /// A file that is read again when it changes.
    File(PathBuf),
    /// Hubble's `peer.Peer`, there.
    Service(Peer),
}

impl Source {
    /// Says what changes, as long as somebody listens.
    pub async fn run(self, dialer: Dialer, retry: Duration, changes: mpsc::Sender<Change>) {
        match self {
            Self::Fixed(peers) => {
                for peer in peers {
                    if changes.send(Change::Put(peer)).await.is_err() {
                        return;
                    }
                }
                changes.closed().await;
            }
            Self::File(path) => follow_file(path, changes).await,
            Self::Service(service) => follow_service(service, dialer, retry, changes).await,
        }
    }
}

async fn follow_file(path: PathBuf, changes: mpsc::Sender<Change>) {
    let mut interval = time::interval(FILE_INTERVAL);
    let (mut known, mut last) = (BTreeMap::new(), None);
    loop {
        interval.tick().await;
        let from = path.clone();
        let read = task::spawn_blocking(move || ciliate_config_file::read(&from)).await;
        let read = read.map_err(|error| error.to_string()).and_then(|read| read.map_err(|e| e.to_string()));
        if last.as_ref() == Some(&read) {
            continue;
        }
        match read.clone().and_then(|text| listed(&text).map_err(|error| error.to_string())) {
            Ok(peers) => {
                let fresh: BTreeMap<String, Peer> =
                    peers.into_iter().map(|peer| (peer.name.clone(), peer)).collect();
                let gone = known.keys().filter(|name| !fresh.contains_key(*name)).cloned();
                let all = gone.map(Change::Remove).chain(fresh.values().cloned().map(Change::Put));
                for change in all.collect::<Vec<_>>() {
                    if changes.send(change).await.is_err() {
                        return;
                    }
                }
                known = fresh;
            }
            Err(error) => {
                tracing::error!(file = %path.display(), "the nodes stay as they are: {error}");
            }
        }
        last = Some(read);
    }
}

async fn follow_service(service: Peer, dialer: Dialer, retry: Duration, changes: mpsc::Sender<Change>) {
    let mut known = BTreeSet::new();
    loop {
        let why = match ask(&service, &dialer, &mut known, &changes).await {
            Ok(()) => return,
            Err(why) => why,
        };
        tracing::warn!(service = %service.address, "the peer service is away, its nodes stay: {why}");
        sleep(retry).await;
    }
}

/// Until the service fails, which is an error, or nobody listens any more.
async fn ask(
    service: &Peer,
    dialer: &Dialer,
    known: &mut BTreeSet<String>,
    changes: &mpsc::Sender<Change>,
) -> Result<(), String> {
    let (channel, _ended) = dialer.open(service).await.map_err(|error| error.to_string())?;
    let mut client = PeerClient::new(channel);
    let asked = timeout(dialer.timeout, client.notify(NotifyRequest {})).await;
    let asked = asked.map_err(|_| "it does not answer".to_owned())?;
    let mut news = asked.map_err(|status| status.message().to_owned())?.into_inner();
    let settled = Instant::now().checked_add(SETTLED);
    let mut unnamed = Some(known.clone());
    loop {
        let settling = async {
            match settled.filter(|_| unnamed.is_some()) {
                Some(at) => sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            next = news.message() => {
                let change = next.map_err(|status| status.message().to_owned())?.ok_or("it has ended")?;
                if let Some(unnamed) = &mut unnamed {
                    unnamed.remove(&change.name);
                }
                let Some(change) = told(change) else { continue };
                match &change {
                    Change::Put(peer) => known.insert(peer.name.clone()),
                    Change::Remove(name) => known.remove(name),
                };
                if changes.send(change).await.is_err() {
                    return Ok(());
                }
            }
            () = settling => for name in unnamed.take().unwrap_or_default() {
                known.remove(&name);
                if changes.send(Change::Remove(name)).await.is_err() {
                    return Ok(());
                }
            },
            () = changes.closed() => return Ok(()),
        }
    }
}

/// None for what cannot be understood, which the log says.
fn told(change: ChangeNotification) -> Option<Change> {
    match change.r#type() {
        ChangeNotificationType::PeerAdded | ChangeNotificationType::PeerUpdated => Peer::told(change)
            .inspect_err(
                |error| tracing::error!(%error, "the peer service names a node that cannot be asked"),
            )
            .ok()
            .map(Change::Put),
        ChangeNotificationType::PeerDeleted => Some(Change::Remove(change.name)),
        ChangeNotificationType::Unknown => None,
    }
}
