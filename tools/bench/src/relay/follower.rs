//! A client that follows the relay, and says how late flows are.

use super::message::{Told, nanoseconds, now};
use anyhow::{Context, Result, bail, ensure};
use ciliate_hubble::observer::{GetFlowsRequest, ServerStatusRequest, observer_client::ObserverClient};
use ciliate_transport::{Address, ClientTls, connect};
use hyper_util::rt::TokioIo;
use std::{
    io,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
        mpsc,
    },
    thread,
    time::{Duration, Instant},
};
use tokio::{runtime, sync::oneshot, time};
use tonic::{
    Request,
    client::Grpc,
    codegen::http::uri::PathAndQuery,
    transport::{Channel, Endpoint},
};
use tonic_prost::ProstCodec;

/// Name in the relay's certificate.
pub const SERVER_NAME: &str = "relay.test";

/// Of some time.
#[derive(Debug, Default)]
pub struct Heard {
    /// Milliseconds from when the node handed a flow on.
    pub delays: Vec<f64>,
    /// Milliseconds from when it happened.
    pub ages: Vec<f64>,
    /// Flows that happened before one that came earlier.
    pub late: u64,
}

impl Heard {
    pub fn add(&mut self, other: Self) {
        self.delays.extend(other.delays);
        self.ages.extend(other.ages);
        self.late = self.late.saturating_add(other.late);
    }
}

#[derive(Default)]
struct Counts {
    flows: AtomicU64,
    lost: AtomicU64,
    heard: Mutex<Heard>,
}

/// On a thread of its own, until this is dropped.
pub struct Follower {
    counts: Arc<Counts>,
    thread: Option<(oneshot::Sender<()>, thread::JoinHandle<Result<()>>)>,
}

impl Follower {
    /// Returns when all nodes are connected to the relay and it follows them.
    pub fn start(
        address: Address,
        tls: Option<Arc<ClientTls>>,
        nodes: u64,
        patience: Duration,
    ) -> Result<Self> {
        let counts = Arc::new(Counts::default());
        let of_thread = Arc::clone(&counts);
        let (end, ended) = oneshot::channel();
        let (ready, follows) = mpsc::channel();
        let thread = thread::Builder::new().name("follower".to_owned()).spawn(move || {
            let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(async {
                let channel = time::timeout(patience, until_connected(&address, tls.as_ref(), nodes))
                    .await
                    .with_context(|| {
                        format!("not all nodes are connected after {} s", patience.as_secs())
                    })??;
                tokio::select! {
                    followed = follow(channel, &of_thread, &ready) => followed,
                    // Its sender is only dropped.
                    _ = ended => Ok(()),
                }
            })
        })?;
        // Nobody is ready where it failed.
        let ready = follows.recv();
        let mut follower = Self { counts, thread: Some((end, thread)) };
        match ready {
            Ok(()) => Ok(follower),
            Err(_) => {
                follower.end()?;
                bail!("the follower ended before it began")
            }
        }
    }

    /// What came since the last time.
    pub fn take(&self) -> Heard {
        std::mem::take(&mut *self.counts.heard.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Flows that came in all, once so many have come or no more come.
    pub fn rest(mut self, expected: u64, patience: Duration) -> Result<u64> {
        let (mut last, mut since) = (0, Instant::now());
        loop {
            let now = self.counts.flows.load(Ordering::Acquire);
            if now >= expected || since.elapsed() > patience {
                break;
            }
            if now != last {
                (last, since) = (now, Instant::now());
            }
            thread::sleep(Duration::from_millis(20));
        }
        self.end()?;
        let told = self.counts.lost.load(Ordering::Acquire);
        ensure!(told == 0, "the relay's nodes told of {told} flows that were lost, but they never lose any");
        Ok(self.counts.flows.load(Ordering::Acquire))
    }

    fn end(&mut self) -> Result<()> {
        let Some((end, thread)) = self.thread.take() else { return Ok(()) };
        drop(end);
        thread.join().map_err(|_| anyhow::anyhow!("the follower panicked"))?
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        if let Err(error) = self.end() {
            eprintln!("{error:#}");
        }
    }
}

async fn until_connected(address: &Address, tls: Option<&Arc<ClientTls>>, nodes: u64) -> Result<Channel> {
    let dial = || async {
        let (address, tls) = (address.clone(), tls.cloned());
        let connector = tower::service_fn(move |_| {
            let (address, tls) = (address.clone(), tls.clone());
            async move {
                let tls = tls.as_ref().map(|tls| (tls, SERVER_NAME));
                connect(&address, tls).await.map(TokioIo::new).map_err(io::Error::other)
            }
        });
        Endpoint::from_static("http://relay").connect_with_connector(connector).await
    };
    loop {
        time::sleep(Duration::from_millis(100)).await;
        // It may not listen yet.
        let Ok(channel) = dial().await else { continue };
        let mut client = ObserverClient::new(channel.clone());
        let status = client.server_status(ServerStatusRequest {}).await?.into_inner();
        if status.num_connected_nodes.is_some_and(|count| u64::from(count.value) >= nodes) {
            return Ok(channel);
        }
    }
}

async fn follow(channel: Channel, counts: &Counts, ready: &mpsc::Sender<()>) -> Result<()> {
    let mut client = Grpc::new(channel);
    client.ready().await?;
    let request = Request::new(GetFlowsRequest { follow: true, ..GetFlowsRequest::default() });
    let path = PathAndQuery::from_static("/observer.Observer/GetFlows");
    let codec = ProstCodec::<GetFlowsRequest, Told>::default();
    let mut answers = client.server_streaming(request, path, codec).await?.into_inner();
    // Nobody waits any more where that fails.
    let _ = ready.send(());
    let mut latest = 0;
    while let Some(Told { flow, lost }) = answers.message().await? {
        if let Some(lost) = lost {
            counts.lost.fetch_add(lost.count, Ordering::AcqRel);
        }
        let Some(flow) = flow else { continue };
        let (now, happened) = (now(), flow.time.as_ref().map_or(0, nanoseconds));
        let mut heard = counts.heard.lock().unwrap_or_else(PoisonError::into_inner);
        heard.delays.push(now.saturating_sub(flow.handed_on) as f64 / 1e6);
        heard.ages.push(now.saturating_sub(happened) as f64 / 1e6);
        heard.late = heard.late.saturating_add(u64::from(happened < latest));
        latest = happened.max(latest);
        counts.flows.fetch_add(1, Ordering::AcqRel);
    }
    bail!("the relay ended the stream")
}
