//! Nodes that are none: servers of Hubble's interface on sockets, with manners.

use ciliate_hubble::{
    Timestamp,
    flow::Flow,
    observer::{
        GetAgentEventsRequest, GetAgentEventsResponse, GetDebugEventsRequest, GetDebugEventsResponse,
        GetFlowsRequest, GetFlowsResponse, GetNamespacesRequest, GetNamespacesResponse, GetNodesRequest,
        GetNodesResponse, Namespace, ServerStatusRequest, ServerStatusResponse,
        get_flows_response::ResponseTypes,
        observer_server::{Observer, ObserverServer},
    },
};
use ciliate_transport::{Address, Limits, Listener, accept};
use std::{
    future,
    path::{Path, PathBuf},
    pin::Pin,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};
use tokio::{
    net::{UnixListener, UnixStream},
    sync::{oneshot, watch},
    task::JoinHandle,
    time::timeout,
};
use tokio_stream::{Stream, StreamExt as _, wrappers::WatchStream};
use tonic::{
    Request, Response, Status, async_trait,
    transport::{Channel, Endpoint, Server},
};

type Reply<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    Well,
    /// Is connected, and answers nothing.
    Hangs,
    /// Says how it is, and nothing of flows.
    Mute,
    /// Knows none of the questions.
    Old,
    /// Says of every question about flows that it is wrong.
    Picky,
}

pub struct Simulated {
    pub name: String,
    pub manner: Manner,
    folder: tempfile::TempDir,
    flows: Arc<watch::Sender<Vec<i64>>>,
    asked: Arc<watch::Sender<u64>>,
    serving: Option<Serving>,
}

struct Serving {
    task: JoinHandle<()>,
    end: oneshot::Sender<()>,
}

#[derive(Clone)]
struct Service {
    name: String,
    manner: Manner,
    flows: Arc<watch::Sender<Vec<i64>>>,
    asked: Arc<watch::Sender<u64>>,
}

pub fn seconds_now() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
    i64::try_from(now.as_secs()).expect("before the end")
}

pub async fn channel(path: &Path) -> Channel {
    let path = path.to_owned();
    let connect = tower::service_fn(move |_| {
        let path = path.clone();
        async move { UnixStream::connect(path).await.map(hyper_util::rt::TokioIo::new) }
    });
    Endpoint::from_static("http://relay").connect_with_connector(connect).await.expect("a connection")
}

impl Simulated {
    pub async fn start(name: &str, manner: Manner) -> Self {
        let mut node = Self::absent(name);
        node.manner = manner;
        node.back().await;
        node
    }

    /// One that nobody can reach.
    pub fn absent(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            manner: Manner::Well,
            folder: tempfile::tempdir().expect("a folder"),
            flows: Arc::new(watch::Sender::new(Vec::new())),
            asked: Arc::new(watch::Sender::new(0)),
            serving: None,
        }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("hubble.sock")
    }

    pub fn address(&self) -> Address {
        Address::Socket(self.path())
    }

    /// Has a flow of this second.
    pub fn see(&mut self, second: i64) {
        self.flows.send_modify(|flows| flows.push(second));
    }

    /// Waits until it was asked for flows so many times.
    pub async fn asked(&self, times: u64) {
        let mut asked = self.asked.subscribe();
        let asked = timeout(Duration::from_secs(20), asked.wait_for(|asked| *asked >= times)).await;
        asked.expect("asked in time").expect("a node");
    }

    /// All its connections break.
    pub async fn cut(&mut self) {
        let Serving { task, end } = self.serving.take().expect("it serves");
        drop(end);
        task.await.expect("an end");
    }

    pub async fn back(&mut self) {
        let path = self.path();
        let _ = std::fs::remove_file(&path);
        let listener = UnixListener::bind(&path).expect("a socket");
        let service = Service {
            name: self.name.clone(),
            manner: self.manner,
            flows: Arc::clone(&self.flows),
            asked: Arc::clone(&self.asked),
        };
        let (end, ended) = oneshot::channel();
        let task = tokio::spawn(async move {
            // Connections live as tasks of their own: each ends with this.
            let (cutting, cut) = watch::channel(());
            let incoming = accept([Listener::Socket(listener)], Limits::default());
            let incoming = incoming.map(move |next| next.map(|stream| Cuttable::new(stream, cut.clone())));
            let server = Server::builder().add_service(ObserverServer::new(service));
            tokio::select! {
                served = server.serve_with_incoming_shutdown(incoming, future::pending()) => served.expect("a server"),
                _ = ended => drop(cutting),
            }
        });
        self.serving = Some(Serving { task, end });
    }
}

/// A connection that ends when its node does.
struct Cuttable {
    stream: ciliate_transport::Connection,
    /// None once it is.
    cut: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
}

impl Cuttable {
    fn new(stream: ciliate_transport::Connection, mut cut: watch::Receiver<()>) -> Self {
        Self { stream, cut: Some(Box::pin(async move { while cut.changed().await.is_ok() {} })) }
    }
}

impl tonic::transport::server::Connected for Cuttable {
    type ConnectInfo = ();

    fn connect_info(&self) {}
}

impl tokio::io::AsyncRead for Cuttable {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
        buffer: &mut tokio::io::ReadBuf<'_>,
    ) -> std::task::Poll<std::io::Result<()>> {
        let this = self.get_mut();
        if this.cut.as_mut().is_none_or(|cut| cut.as_mut().poll(context).is_ready()) {
            this.cut = None;
            return std::task::Poll::Ready(Err(std::io::ErrorKind::ConnectionReset.into()));
        }
        Pin::new(&mut this.stream).poll_read(context, buffer)
    }
}

impl tokio::io::AsyncWrite for Cuttable {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
        bytes: &[u8],
    ) -> std::task::Poll<std::io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(context, bytes)
    }

    fn poll_flush(
        self: Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<std::io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(context)
    }

    fn poll_shutdown(
        self: Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<std::io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(context)
    }
}

impl Service {
    fn answer(&self, seconds: i64) -> GetFlowsResponse {
        let time = Some(Timestamp { seconds, nanos: 0 });
        let flow = Flow { time, node_name: self.name.clone(), ..Flow::default() };
        GetFlowsResponse {
            node_name: self.name.clone(),
            time,
            response_types: Some(ResponseTypes::Flow(flow)),
        }
    }

    async fn hang_or_not(&self) {
        if self.manner == Manner::Hangs {
            future::pending().await
        }
    }
}

#[async_trait]
impl Observer for Service {
    type GetFlowsStream = Reply<GetFlowsResponse>;
    type GetAgentEventsStream = Reply<GetAgentEventsResponse>;
    type GetDebugEventsStream = Reply<GetDebugEventsResponse>;

    async fn get_flows(
        &self,
        request: Request<GetFlowsRequest>,
    ) -> Result<Response<Self::GetFlowsStream>, Status> {
        match self.manner {
            Manner::Well => {}
            Manner::Hangs | Manner::Mute => return Ok(Response::new(Box::pin(tokio_stream::pending()))),
            Manner::Old => return Err(Status::unimplemented("unknown method GetFlows")),
            Manner::Picky => return Err(Status::invalid_argument("source_ip: \"x\" is none")),
        }
        let request = request.into_inner();
        let all = self.flows.borrow().clone();
        let since = request.since.map(|since| since.seconds + i64::from(since.nanos > 0));
        let mut begin = match (request.follow, request.number, since) {
            (true, 0, None) => all.len(),
            (_, 0, Some(since)) => all.iter().position(|second| *second >= since).unwrap_or(all.len()),
            (_, number, _) if number > 0 => {
                all.len() - all.len().min(usize::try_from(number).expect("small"))
            }
            _ => 0,
        };
        self.asked.send_modify(|asked| *asked += 1);
        let this = self.clone();
        let past = all.get(begin..).unwrap_or_default().to_vec();
        begin = all.len();
        let first = past.into_iter().map(move |second| Ok(this.answer(second))).collect::<Vec<_>>();
        let first = tokio_stream::iter(first);
        if !request.follow {
            return Ok(Response::new(Box::pin(first)));
        }
        let this = self.clone();
        let mut next = begin;
        let news = WatchStream::new(self.flows.subscribe()).map(move |flows| {
            let fresh = flows.get(next..).unwrap_or_default().to_vec();
            next = flows.len();
            fresh
        });
        let news = Flattened { news: Box::pin(news), current: Vec::new().into_iter() };
        Ok(Response::new(Box::pin(first.chain(news.map(move |second| Ok(this.answer(second)))))))
    }

    async fn get_agent_events(
        &self,
        _: Request<GetAgentEventsRequest>,
    ) -> Result<Response<Self::GetAgentEventsStream>, Status> {
        Err(Status::unimplemented("not asked"))
    }

    async fn get_debug_events(
        &self,
        _: Request<GetDebugEventsRequest>,
    ) -> Result<Response<Self::GetDebugEventsStream>, Status> {
        Err(Status::unimplemented("not asked"))
    }

    async fn get_nodes(&self, _: Request<GetNodesRequest>) -> Result<Response<GetNodesResponse>, Status> {
        Err(Status::unimplemented("not asked"))
    }

    async fn get_namespaces(
        &self,
        _: Request<GetNamespacesRequest>,
    ) -> Result<Response<GetNamespacesResponse>, Status> {
        if self.manner == Manner::Old {
            return Err(Status::unimplemented("unknown method GetNamespaces"));
        }
        let namespace = |namespace: String| Namespace { cluster: String::new(), namespace };
        let namespaces = vec![namespace("shared".to_owned()), namespace(format!("of-{}", self.name))];
        Ok(Response::new(GetNamespacesResponse { namespaces }))
    }

    async fn server_status(
        &self,
        _: Request<ServerStatusRequest>,
    ) -> Result<Response<ServerStatusResponse>, Status> {
        if self.manner == Manner::Old {
            return Err(Status::unimplemented("unknown method ServerStatus"));
        }
        self.hang_or_not().await;
        let seen_flows = u64::try_from(self.flows.borrow().len()).expect("few");
        Ok(Response::new(ServerStatusResponse { seen_flows, ..ServerStatusResponse::default() }))
    }
}

/// One after the other.
struct Flattened {
    news: Pin<Box<dyn Stream<Item = Vec<i64>> + Send>>,
    current: std::vec::IntoIter<i64>,
}

impl Stream for Flattened {
    type Item = i64;

    fn poll_next(self: Pin<&mut Self>, context: &mut std::task::Context<'_>) -> std::task::Poll<Option<i64>> {
        let this = self.get_mut();
        loop {
            if let Some(next) = this.current.next() {
                return std::task::Poll::Ready(Some(next));
            }
            match this.news.as_mut().poll_next(context) {
                std::task::Poll::Ready(Some(fresh)) => this.current = fresh.into_iter(),
                std::task::Poll::Ready(None) => return std::task::Poll::Ready(None),
                std::task::Poll::Pending => return std::task::Poll::Pending,
            }
        }
    }
}
