//! A server of Hubble's interface that has a handful of flows, on a socket and over mutual TLS.

use ciliate_certificates::{Authority, Folder};
use ciliate_flow::{Filter, Flow};
use ciliate_hubble::{
    Timestamp, UInt32Value,
    flow::{
        AgentEvent, AgentEventType, DebugEvent, DebugEventType, EndpointUpdateNotification,
        agent_event::Notification,
    },
    observer::{
        GetAgentEventsRequest, GetAgentEventsResponse, GetDebugEventsRequest, GetDebugEventsResponse,
        GetFlowsRequest, GetFlowsResponse, GetNamespacesRequest, GetNamespacesResponse, GetNodesRequest,
        GetNodesResponse, Namespace, Node, ServerStatusRequest, ServerStatusResponse,
        get_flows_response::ResponseTypes,
        observer_server::{Observer, ObserverServer},
    },
    relay::NodeState,
};
use futures_util::{StreamExt as _, stream};
use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    pin::Pin,
    sync::{Arc, Mutex},
};
use tokio::{net::TcpListener, runtime::Runtime};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        RootCertStore, ServerConfig,
        crypto::aws_lc_rs,
        pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
        server::WebPkiClientVerifier,
    },
};
use tonic::{Request, Response, Status, transport};

type Stream<T> = Pin<Box<dyn futures_util::Stream<Item = Result<T, Status>> + Send>>;

#[derive(Clone, Default)]
struct Recorded {
    mask: Arc<Mutex<Vec<String>>>,
}

pub struct Server {
    folder: tempfile::TempDir,
    recorded: Recorded,
    runtime: Runtime,
}

impl Server {
    pub fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let runtime = Runtime::new().expect("a runtime");
        let recorded = Recorded::default();
        let socket =
            std::os::unix::net::UnixListener::bind(folder.path().join("hubble.sock")).expect("a socket");
        socket.set_nonblocking(true).expect("a socket");
        let service = recorded.clone();
        runtime.spawn(async move {
            let socket = tokio::net::UnixListener::from_std(socket).expect("a socket");
            let incoming = stream::unfold(socket, |socket| async move {
                Some((socket.accept().await.map(|(stream, _)| stream), socket))
            });
            serve(service, incoming).await;
        });
        Self { folder, recorded, runtime }
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub fn address(&self) -> String {
        format!("unix://{}", self.folder().join("hubble.sock").display())
    }

    pub fn last_mask(&self) -> Vec<String> {
        self.recorded.mask.lock().expect("nobody panicked").clone()
    }

    /// Listens on TCP too, for clients that have a certificate; leaves theirs in the folder.
    pub fn with_tls(&self) -> SocketAddr {
        let files = Folder::new(self.folder());
        let authority = Authority::new().expect("an authority");
        files.put_authority("ca.pem", &authority).expect("a file");
        files.put_pair("server", "relay.test", &authority).expect("files");
        files.put_pair("client", "client.test", &authority).expect("files");
        let read = |path: PathBuf| CertificateDer::from_pem_file(path).expect("a certificate");
        let (certificate, key) = files.pair("server");
        let mut roots = RootCertStore::empty();
        roots.add(read(files.path("ca.pem"))).expect("an authority");
        let provider = Arc::new(aws_lc_rs::default_provider());
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider));
        let secret = PrivateKeyDer::from_pem_file(key).expect("a key");
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_client_cert_verifier(verifier.build().expect("a verifier"))
            .with_single_cert(vec![read(certificate)], secret)
            .expect("a certificate");
        config.alpn_protocols = vec![b"h2".to_vec()];
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = self.runtime.block_on(TcpListener::bind("127.0.0.1:0")).expect("a port");
        let address = listener.local_addr().expect("a port");
        let service = self.recorded.clone();
        self.runtime.spawn(async move {
            let incoming = stream::unfold((listener, acceptor), |(listener, acceptor)| async move {
                let (stream, _) = listener.accept().await.expect("a client");
                Some((acceptor.accept(stream).await, (listener, acceptor)))
            });
            // One that has no right certificate is no reason to end.
            serve(service, incoming.filter(|one| std::future::ready(one.is_ok()))).await;
        });
        address
    }
}

async fn serve<I, S>(service: Recorded, incoming: I)
where
    I: futures_util::Stream<Item = std::io::Result<S>>,
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + transport::server::Connected + Unpin + Send + 'static,
{
    let (reporter, health) = tonic_health::server::health_reporter();
    reporter.set_serving::<ObserverServer<Recorded>>().await;
    let router = transport::Server::builder().add_service(health).add_service(ObserverServer::new(service));
    router.serve_with_incoming(incoming).await.expect("it serves");
}

fn recorded() -> Vec<GetFlowsResponse> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/observe/flows.json");
    let text = fs::read_to_string(path).expect("recorded flows");
    text.lines().map(|line| serde_json::from_str(line).expect("a flow")).collect()
}

#[tonic::async_trait]
impl Observer for Recorded {
    type GetFlowsStream = Stream<GetFlowsResponse>;
    type GetAgentEventsStream = Stream<GetAgentEventsResponse>;
    type GetDebugEventsStream = Stream<GetDebugEventsResponse>;

    async fn get_flows(
        &self,
        request: Request<GetFlowsRequest>,
    ) -> Result<Response<Self::GetFlowsStream>, Status> {
        let request = request.into_inner();
        let filter = Filter::new(&request.whitelist, &request.blacklist)
            .map_err(|error| Status::invalid_argument(error.to_string()))?;
        *self.mask.lock().expect("nobody panicked") = request.field_mask.unwrap_or_default().paths;
        let wanted = move |answer: &GetFlowsResponse| match &answer.response_types {
            Some(ResponseTypes::Flow(flow)) => filter.matches(&Flow::from_message(flow).expect("a flow")),
            _ => true,
        };
        let found: Vec<_> = recorded().into_iter().filter(wanted).map(Ok).collect();
        // Who follows gets them over and over, slowly enough to be read.
        Ok(Response::new(match request.follow {
            false => Box::pin(stream::iter(found)),
            true => Box::pin(stream::iter(found.into_iter().cycle()).then(|one| async {
                tokio::time::sleep(std::time::Duration::from_millis(5)).await;
                one
            })),
        }))
    }

    async fn get_agent_events(
        &self,
        _: Request<GetAgentEventsRequest>,
    ) -> Result<Response<Self::GetAgentEventsStream>, Status> {
        let update = EndpointUpdateNotification {
            id: 12,
            namespace: "demo".to_owned(),
            pod_name: "web".to_owned(),
            ..EndpointUpdateNotification::default()
        };
        let event = GetAgentEventsResponse {
            agent_event: Some(AgentEvent {
                r#type: AgentEventType::EndpointCreated.into(),
                notification: Some(Notification::EndpointUpdate(update)),
            }),
            time: Some(Timestamp { seconds: 1, nanos: 0 }),
            ..GetAgentEventsResponse::default()
        };
        Ok(Response::new(Box::pin(stream::iter([Ok(event)]))))
    }

    async fn get_debug_events(
        &self,
        _: Request<GetDebugEventsRequest>,
    ) -> Result<Response<Self::GetDebugEventsStream>, Status> {
        let event = DebugEvent { r#type: DebugEventType::DbgCtLookup.into(), ..DebugEvent::default() };
        let event = GetDebugEventsResponse { debug_event: Some(event), ..GetDebugEventsResponse::default() };
        Ok(Response::new(Box::pin(stream::iter([Ok(event)]))))
    }

    async fn get_nodes(&self, _: Request<GetNodesRequest>) -> Result<Response<GetNodesResponse>, Status> {
        let node = Node {
            name: "n1".to_owned(),
            state: NodeState::NodeConnected.into(),
            uptime_ns: 100_000_000_000,
            num_flows: 512,
            max_flows: 4095,
            seen_flows: 1234,
            ..Node::default()
        };
        Ok(Response::new(GetNodesResponse { nodes: vec![node] }))
    }

    async fn get_namespaces(
        &self,
        _: Request<GetNamespacesRequest>,
    ) -> Result<Response<GetNamespacesResponse>, Status> {
        let one = Namespace { cluster: "default".to_owned(), namespace: "demo".to_owned() };
        Ok(Response::new(GetNamespacesResponse { namespaces: vec![one] }))
    }

    async fn server_status(
        &self,
        _: Request<ServerStatusRequest>,
    ) -> Result<Response<ServerStatusResponse>, Status> {
        Ok(Response::new(ServerStatusResponse {
            num_flows: 5,
            max_flows: 4095,
            num_connected_nodes: Some(UInt32Value { value: 2 }),
            num_unavailable_nodes: Some(UInt32Value { value: 0 }),
            flows_rate: 19.07,
            ..ServerStatusResponse::default()
        }))
    }
}
