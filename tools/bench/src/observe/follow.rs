//! A client that follows flows and counts them.

use anyhow::{Context, Result};
use ciliate_hubble::observer::{
    GetFlowsRequest, ServerStatusRequest, ServerStatusResponse, get_flows_response::ResponseTypes,
    observer_client::ObserverClient,
};
use std::{
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};
use tokio::{runtime, time};
use tonic::transport::{Channel, Endpoint};

pub async fn connect(socket: &Path) -> Result<ObserverClient<Channel>> {
    let address = format!("unix://{}", socket.display());
    let channel = Endpoint::from_shared(address)?.connect().await;
    Ok(ObserverClient::new(channel.with_context(|| format!("cannot connect to {}", socket.display()))?))
}

/// What the node says of itself.
pub fn status(socket: &Path) -> Result<ServerStatusResponse> {
    let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut client = connect(socket).await?;
        Ok(client.server_status(ServerStatusRequest {}).await?.into_inner())
    })
}

/// Follows on a thread of its own until it is dropped.
pub struct Follower {
    counts: Arc<Counts>,
    thread: Option<thread::JoinHandle<Result<()>>>,
}

#[derive(Default)]
struct Counts {
    flows: AtomicU64,
    lost: AtomicU64,
    heard: AtomicBool,
    ended: AtomicBool,
}

impl Follower {
    /// Returns when it is heard.
    pub fn start(socket: PathBuf) -> Result<Self> {
        let counts = Arc::new(Counts::default());
        let of_thread = Arc::clone(&counts);
        let thread = thread::spawn(move || {
            let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
            let followed = runtime.block_on(follow(&socket, &of_thread));
            // Also where it failed: nobody waits for it any longer.
            of_thread.heard.store(true, Ordering::Release);
            followed
        });
        while !counts.heard.load(Ordering::Acquire) {
            thread::sleep(Duration::from_millis(5));
        }
        Ok(Self { counts, thread: Some(thread) })
    }

    pub fn flows(&self) -> u64 {
        self.counts.flows.load(Ordering::Acquire)
    }

    /// What it was told that it missed.
    pub fn lost(&self) -> u64 {
        self.counts.lost.load(Ordering::Acquire)
    }

    pub fn end(mut self) -> Result<()> {
        self.counts.ended.store(true, Ordering::Release);
        let thread = self.thread.take().context("it has ended already")?;
        thread.join().map_err(|_| anyhow::anyhow!("the follower panicked"))?
    }
}

async fn follow(socket: &Path, counts: &Counts) -> Result<()> {
    let mut client = connect(socket).await?;
    let request = GetFlowsRequest { follow: true, ..GetFlowsRequest::default() };
    let mut flows = client.get_flows(request).await?.into_inner();
    counts.heard.store(true, Ordering::Release);
    while !counts.ended.load(Ordering::Acquire) {
        let Ok(message) = time::timeout(Duration::from_millis(50), flows.message()).await else { continue };
        match message?.context("the node ended the stream")?.response_types {
            Some(ResponseTypes::Flow(_)) => counts.flows.fetch_add(1, Ordering::AcqRel),
            Some(ResponseTypes::LostEvents(lost)) => {
                counts.lost.fetch_add(lost.num_events_lost, Ordering::AcqRel)
            }
            Some(ResponseTypes::NodeStatus(_)) | None => 0,
        };
    }
    Ok(())
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.counts.ended.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            // What it has to say nobody asks for any more.
            let _ = thread.join();
        }
    }
}
