//! Keeps connections to all nodes that sources name, and tries again where there is none.

use crate::{
    dial::{Dialer, Ended},
    nodes::{Link, Node, Nodes, State},
    peer::Peer,
};
use ciliate_hubble::observer::{ServerStatusRequest, observer_client::ObserverClient};
use ciliate_transport::Backoff;
use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::{
    sync::mpsc,
    task::{AbortHandle, JoinSet},
    time::{sleep, timeout},
};
use tonic::{Code, Status};

/// Before the second try.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
/// A connection that lasted so long was a good one: the next pause is the first again.
const GOOD: Duration = Duration::from_secs(30);

/// What a source says of a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// It is there, or is elsewhere now.
    Put(Peer),
    Remove(String),
}

/// How connections are made, and made again.
#[derive(Clone)]
pub struct Upkeep {
    pub dialer: Dialer,
    /// Longest pause between two tries.
    pub retry: Duration,
}

/// Does what sources say, until they are gone.
pub async fn follow(nodes: Nodes, upkeep: Upkeep, mut changes: mpsc::Receiver<Change>) {
    let mut tasks = JoinSet::new();
    let mut known: BTreeMap<String, (Arc<Peer>, AbortHandle)> = BTreeMap::new();
    while let Some(change) = changes.recv().await {
        // What has ended need not be kept.
        while tasks.try_join_next().is_some() {}
        match change {
            Change::Put(peer) => {
                if known.get(&peer.name).is_some_and(|(before, _)| **before == peer) {
                    continue;
                }
                let peer = Arc::new(peer);
                let server_name = upkeep.dialer.server_name(&peer);
                if let Some((_, before)) = known.remove(&peer.name) {
                    before.abort();
                }
                nodes.put(
                    &peer.name,
                    Node { peer: Arc::clone(&peer), server_name, state: State::Unavailable },
                );
                let task = tasks.spawn(keep(nodes.clone(), upkeep.clone(), Arc::clone(&peer)));
                tracing::info!(node = peer.name, address = %peer.address, "a node is known");
                known.insert(peer.name.clone(), (peer, task));
            }
            Change::Remove(name) => {
                if let Some((_, task)) = known.remove(&name) {
                    task.abort();
                    nodes.remove(&name);
                    tracing::info!(node = name, "a node is gone");
                }
            }
        }
    }
    std::future::pending().await
}

/// Connects to one node again and again.
async fn keep(nodes: Nodes, upkeep: Upkeep, peer: Arc<Peer>) {
    let mut backoff = Backoff::between(FIRST_PAUSE, upkeep.retry);
    let mut told = String::new();
    loop {
        let why = match open(&upkeep.dialer, &peer).await {
            Ok((link, ended)) => {
                tracing::info!(node = peer.name, "connected");
                told.clear();
                nodes.set_state(&peer.name, State::Connected(link));
                let since = Instant::now();
                ended.wait().await;
                if since.elapsed() >= GOOD {
                    backoff.reset();
                }
                "the connection has ended".to_owned()
            }
            Err(why) => why,
        };
        if told != why {
            tracing::warn!(node = peer.name, "unavailable: {why}");
            told.clone_from(&why);
        }
        nodes.set_state(&peer.name, State::Unavailable);
        sleep(backoff.wait()).await;
    }
}

/// Connected is who answers, whatever.
async fn open(dialer: &Dialer, peer: &Peer) -> Result<(Link, Ended), String> {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    let (channel, ended) = dialer.open(peer).await.map_err(|error| error.to_string())?;
    let mut client = ObserverClient::new(channel.clone());
    let answer = timeout(dialer.timeout, client.server_status(ServerStatusRequest {})).await;
    let late = |_| Status::deadline_exceeded(format!("no answer within {} s", dialer.timeout.as_secs_f32()));
    if let Err(status) = answer.map_err(late).flatten()
        && !speaks(&status)
    {
        return Err(format!("{} does not answer: {}", peer.address, status.message()));
    }
    Ok((Link { channel, number: NUMBER.fetch_add(1, Ordering::Relaxed) }, ended))
}

/// Whether a server said that, and not what lies before it.
fn speaks(status: &Status) -> bool {
    match status.code() {
        Code::Unavailable | Code::Unknown | Code::Cancelled | Code::DeadlineExceeded => false,
        // Also what an older version does not know.
        _ => true,
    }
}
