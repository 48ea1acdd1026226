//! Nodes that are none: servers of `GetFlows` that hand flows on in the rhythm of an agent.

use super::message::{Script, Sent, now};
use anyhow::{Context as _, Result};
use ciliate_hubble::observer::GetFlowsRequest;
use ciliate_transport::{Address, Bounds, Limits, Listener, Secrecy, ServerTls, accept, serve};
use std::{
    convert::Infallible,
    fmt::Write as _,
    future::{self, Future},
    net::Ipv4Addr,
    path::PathBuf,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    task::{Context, Poll},
    thread,
    time::Duration,
};
use tokio::{
    net::{TcpListener, UnixListener},
    runtime,
    sync::{mpsc, oneshot},
    task::JoinSet,
    time::{self, MissedTickBehavior},
};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{
    Request, Response, Status,
    body::Body,
    codegen::http,
    server::{Grpc, NamedService, ServerStreamingService},
    service::Routes,
};
use tonic_prost::ProstCodec;

const PATH: &str = "/observer.Observer/GetFlows";
/// Name in the certificates of all of them.
pub const SERVER_NAME: &str = "node.test";
/// Messages that wait for the relay, some seconds' worth; further ones are counted and left out.
const WAITING: usize = 4096;

/// Where nodes are asked.
pub enum Door {
    /// In this folder.
    Sockets(PathBuf),
    /// On ports of the loopback.
    Tls(Arc<ServerTls>),
}

#[derive(Clone, Copy, Debug)]
pub struct Rhythm {
    /// Flows a second.
    pub rate: u64,
    /// Between two times that a node hands on what it has seen since.
    pub interval: Duration,
}

#[derive(Clone, Copy, Debug)]
pub struct Counted {
    pub handed_on: u64,
    pub refused: u64,
}

#[derive(Default)]
struct Counts {
    handed_on: AtomicU64,
    refused: AtomicU64,
    stopped: AtomicBool,
}

/// All of them on a thread of their own, until this is dropped.
pub struct Nodes {
    counts: Arc<Counts>,
    addresses: Vec<(String, Address)>,
    thread: Option<(oneshot::Sender<()>, thread::JoinHandle<Result<()>>)>,
}

impl Nodes {
    pub fn start(count: u64, rhythm: Rhythm, door: &Door) -> Result<Self> {
        let counts = Arc::new(Counts::default());
        let (end, ended) = oneshot::channel();
        let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
        let (mut addresses, mut servers) = (Vec::new(), Vec::new());
        {
            let _inside = runtime.enter();
            for number in 0..count {
                let name = format!("node-{number}");
                let (address, listener) = door.open(&name)?;
                // Evenly over the interval, as machines do that were not started together.
                let phase = rhythm.interval.mul_f64(number as f64 / count as f64);
                servers.push((
                    listener,
                    Node { name: name.clone(), number, rhythm, phase, counts: Arc::clone(&counts) },
                ));
                addresses.push((name, address));
            }
        }
        let thread = thread::Builder::new().name("nodes".to_owned()).spawn(move || {
            runtime.block_on(async move {
                let mut tasks = JoinSet::new();
                for (listener, node) in servers {
                    let incoming = accept([listener], Limits::default());
                    tasks.spawn(serve(Routes::new(node), incoming, Bounds::default(), future::pending()));
                }
                tokio::select! {
                    Some(served) = tasks.join_next() => served.context("a node's server broke"),
                    // Its sender is only dropped.
                    _ = ended => Ok(()),
                }
            })
        })?;
        Ok(Self { counts, addresses, thread: Some((end, thread)) })
    }

    /// As `--peers-file` wants it.
    pub fn list(&self) -> String {
        let mut text = String::new();
        for (name, address) in &self.addresses {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "- {{name: {name}, address: '{address}', server-name: {SERVER_NAME}}}");
        }
        text
    }

    /// Nothing more happens at the nodes; what they handed on until now.
    pub fn stop(&self) -> Counted {
        self.counts.stopped.store(true, Ordering::Release);
        // Whoever is in the middle of it comes to its end.
        thread::sleep(Duration::from_millis(200));
        Counted {
            handed_on: self.counts.handed_on.load(Ordering::Acquire),
            refused: self.counts.refused.load(Ordering::Acquire),
        }
    }
}

impl Drop for Nodes {
    fn drop(&mut self) {
        if let Some((end, thread)) = self.thread.take() {
            drop(end);
            match thread.join() {
                Ok(Ok(())) => {}
                Ok(Err(error)) => eprintln!("{error:#}"),
                Err(_) => eprintln!("the nodes panicked"),
            }
        }
    }
}

impl Door {
    /// Needs a runtime around it.
    fn open(&self, name: &str) -> Result<(Address, Listener)> {
        match self {
            Self::Sockets(folder) => {
                let path = folder.join(format!("{name}.sock"));
                let listener = UnixListener::bind(&path)
                    .with_context(|| format!("cannot listen on {}", path.display()))?;
                Ok((Address::Socket(path), Listener::Socket(listener)))
            }
            Self::Tls(tls) => {
                let listener =
                    std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("cannot listen")?;
                listener.set_nonblocking(true)?;
                let address = Address::from(listener.local_addr()?);
                let secrecy = Secrecy::Tls(Arc::clone(tls));
                Ok((address, Listener::Tcp(TcpListener::from_std(listener)?, secrecy)))
            }
        }
    }
}

/// One node's server.
#[derive(Clone)]
struct Node {
    name: String,
    number: u64,
    rhythm: Rhythm,
    phase: Duration,
    counts: Arc<Counts>,
}

impl NamedService for Node {
    const NAME: &'static str = "observer.Observer";
}

impl tower::Service<http::Request<Body>> for Node {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let node = self.clone();
        Box::pin(async move {
            if request.uri().path() != PATH {
                // As a node of an older version: it counts as connected.
                return Ok(Status::unimplemented("this node has flows and nothing else").into_http());
            }
            let mut grpc = Grpc::new(ProstCodec::<Sent, GetFlowsRequest>::default());
            Ok(grpc.server_streaming(node, request).await)
        })
    }
}

impl ServerStreamingService<GetFlowsRequest> for Node {
    type Response = Sent;
    type ResponseStream = ReceiverStream<Result<Sent, Status>>;
    type Future = std::future::Ready<Result<Response<Self::ResponseStream>, Status>>;

    fn call(&mut self, _: Request<GetFlowsRequest>) -> Self::Future {
        let (out, messages) = mpsc::channel(WAITING);
        tokio::spawn(self.clone().see(out));
        std::future::ready(Ok(Response::new(ReceiverStream::new(messages))))
    }
}

impl Node {
    /// Sees flows until the relay is gone.
    async fn see(self, out: mpsc::Sender<Result<Sent, Status>>) {
        let Self { name, number, rhythm, phase, counts } = self;
        let mut script = Script::new(&name, number);
        time::sleep(phase).await;
        let mut ticks = time::interval(rhythm.interval);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
        let (mut last, mut owed) = (now(), 0.0);
        while !counts.stopped.load(Ordering::Acquire) {
            ticks.tick().await;
            let now = now();
            owed += rhythm.rate as f64 * now.saturating_sub(last) as f64 / 1e9;
            let count = owed.floor();
            let gap = now.saturating_sub(last) as f64 / count.max(1.0);
            for place in 1..=(count as u64) {
                let happened = last.saturating_add((gap * place as f64) as u64).min(now);
                match out.try_send(Ok(script.next(happened, now))) {
                    Ok(()) => counts.handed_on.fetch_add(1, Ordering::AcqRel),
                    Err(mpsc::error::TrySendError::Full(_)) => counts.refused.fetch_add(1, Ordering::AcqRel),
                    Err(mpsc::error::TrySendError::Closed(_)) => return,
                };
            }
            owed -= count;
            last = now;
        }
        // The stream stays open: what was handed on is still on its way.
        out.closed().await;
    }
}
