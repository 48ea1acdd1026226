//! `observer.Observer` and `peer.Peer`, with reflection and health, and `recorder.Recorder` for who comes by the socket.

mod agent_events;
mod flows;
mod losses;
mod node;
mod peer;
mod range;
mod selection;
mod turn;

pub use peer::Peer;

use crate::Observer;
use ciliate_hubble::{
    DESCRIPTORS,
    observer::{
        GetAgentEventsRequest, GetAgentEventsResponse, GetDebugEventsRequest, GetDebugEventsResponse,
        GetFlowsRequest, GetFlowsResponse, GetNamespacesRequest, GetNamespacesResponse, GetNodesRequest,
        GetNodesResponse, ServerStatusRequest, ServerStatusResponse,
        observer_server::{self, ObserverServer},
    },
    peer::peer_server::PeerServer,
    recorder::recorder_server::RecorderServer,
};
use ciliate_recorder::Service as Recordings;
use ciliate_transport::{Incoming, Origin};
use std::{future::Future, pin::Pin, time::Duration};
use tokio::sync::mpsc;
use tokio_stream::{Stream, wrappers::ReceiverStream};
use tonic::{Request, Response, Status, async_trait, transport};

/// Messages that wait for a client; then the stream waits for it, and the log goes on without.
const WAITING: usize = 256;
/// Longest request: filters of thousands of names fit, a flood does not.
const LONGEST_REQUEST: usize = 4 << 20;

/// Requests of one connection that are under way at once.
const STREAMS: u32 = 256;
/// How often a client is asked whether it is still there, and how long it may take to answer.
const KEEP_ALIVE: (Duration, Duration) = (Duration::from_secs(30), Duration::from_secs(20));

/// Hubble's clients ask for the health of this name.
const HEALTH_NAME: &str = "hubble.server.Observer";

type Reply<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

/// Serves the clients that come in, until `end` is there.
///
/// # Errors
/// When the server breaks.
pub async fn serve(
    observer: Observer,
    peer: Peer,
    recordings: Option<Recordings>,
    incoming: Incoming,
    end: impl Future<Output = ()>,
) -> Result<(), transport::Error> {
    let (health, health_service) = tonic_health::server::health_reporter();
    for name in ["", HEALTH_NAME] {
        health.set_service_status(name, tonic_health::ServingStatus::Serving).await;
    }
    health.set_serving::<ObserverServer<Service>>().await;
    let reflection =
        || tonic_reflection::server::Builder::configure().register_encoded_file_descriptor_set(DESCRIPTORS);
    let mut server = transport::Server::builder()
        .max_concurrent_streams(STREAMS)
        .http2_keepalive_interval(Some(KEEP_ALIVE.0))
        .http2_keepalive_timeout(Some(KEEP_ALIVE.1))
        .add_service(health_service)
        .add_service(ObserverServer::new(Service(observer)).max_decoding_message_size(LONGEST_REQUEST))
        .add_service(PeerServer::new(peer))
        .add_optional_service(
            recordings.map(|recordings| RecorderServer::with_interceptor(recordings, on_the_node)),
        );
    // Clients know one or the other.
    if let Ok(service) = reflection().build_v1() {
        server = server.add_service(service);
    }
    if let Ok(service) = reflection().build_v1alpha() {
        server = server.add_service(service);
    }
    server.serve_with_incoming_shutdown(incoming, end).await
}

/// Packets hold what others said, so that they stay with who may do everything on the node: as at Cilium's agents, a certificate that lets
/// one read flows is no right to record.
fn on_the_node(request: Request<()>) -> Result<Request<()>, Status> {
    match request.extensions().get::<Origin>() {
        Some(Origin::Socket) => Ok(request),
        Some(Origin::Network) | None => Err(Status::permission_denied(
            "packets are recorded for nobody who comes over TCP: run `hubble record` or `ciliate recorder` on the node \
             itself, where they ask its socket",
        )),
    }
}

/// Answers for one node.
#[derive(Clone)]
struct Service(Observer);

#[async_trait]
impl observer_server::Observer for Service {
    type GetFlowsStream = Reply<GetFlowsResponse>;
    type GetAgentEventsStream = Reply<GetAgentEventsResponse>;
    type GetDebugEventsStream = Reply<GetDebugEventsResponse>;

    async fn get_flows(
        &self,
        request: Request<GetFlowsRequest>,
    ) -> Result<Response<Self::GetFlowsStream>, Status> {
        let stream = flows::Flows::new(&self.0, request.into_inner())?;
        Ok(reply(|out| stream.send(out)))
    }

    async fn get_agent_events(
        &self,
        request: Request<GetAgentEventsRequest>,
    ) -> Result<Response<Self::GetAgentEventsStream>, Status> {
        let stream = agent_events::AgentEvents::new(&self.0, &request.into_inner());
        Ok(reply(|out| stream.send(out)))
    }

    /// There are none: the datapath has one program for all, and says why by flows.
    async fn get_debug_events(
        &self,
        request: Request<GetDebugEventsRequest>,
    ) -> Result<Response<Self::GetDebugEventsStream>, Status> {
        let follow = request.into_inner().follow;
        Ok(reply(|out| async move {
            if follow {
                out.closed().await;
            }
        }))
    }

    async fn get_nodes(&self, _: Request<GetNodesRequest>) -> Result<Response<GetNodesResponse>, Status> {
        Ok(Response::new(node::nodes(&self.0)))
    }

    async fn get_namespaces(
        &self,
        _: Request<GetNamespacesRequest>,
    ) -> Result<Response<GetNamespacesResponse>, Status> {
        Ok(Response::new(node::namespaces(&self.0).await))
    }

    async fn server_status(
        &self,
        _: Request<ServerStatusRequest>,
    ) -> Result<Response<ServerStatusResponse>, Status> {
        Ok(Response::new(node::status(&self.0)))
    }
}

/// Answers with what a task sends, until it ends or nobody listens any more.
fn reply<T, F>(task: impl FnOnce(mpsc::Sender<Result<T, Status>>) -> F) -> Response<Reply<T>>
where
    T: Send + 'static,
    F: Future<Output = ()> + Send + 'static,
{
    let (out, messages) = mpsc::channel(WAITING);
    tokio::spawn(task(out));
    Response::new(Box::pin(ReceiverStream::new(messages)))
}
