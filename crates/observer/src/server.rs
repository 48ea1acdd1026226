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
    describe,
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
use ciliate_transport::{Bounds, Incoming, Origin};
use std::{future::Future, pin::Pin, sync::Arc};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio_stream::{Stream, StreamExt as _, wrappers::ReceiverStream};
use tonic::{Request, Response, Status, async_trait, service::Routes};

/// Messages that wait for a client; then the stream waits for it, and the log goes on without. They are some kilobytes each.
const WAITING: usize = 32;
/// Streams of flows or events that go to clients over TCP at once, in all.
const ANSWERS: usize = 1024;
/// Longest request: filters of thousands of names fit, a flood does not.
const LONGEST_REQUEST: usize = 4 << 20;

/// Hubble's clients ask for the health of this name.
const HEALTH_NAME: &str = "hubble.server.Observer";

type Reply<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

/// Serves the clients that come in, until `end` is there.
pub async fn serve(
    observer: Observer,
    peer: Peer,
    recordings: Option<Recordings>,
    incoming: Incoming,
    end: impl Future<Output = ()>,
) {
    let (health, health_service) = tonic_health::server::health_reporter();
    for name in ["", HEALTH_NAME] {
        health.set_service_status(name, tonic_health::ServingStatus::Serving).await;
    }
    health.set_serving::<ObserverServer<Service>>().await;
    health.set_serving::<PeerServer<Peer>>().await;
    let service = Service { observer, places: Arc::new(Semaphore::new(ANSWERS)) };
    let mut routes = Routes::new(health_service)
        .add_service(ObserverServer::new(service).max_decoding_message_size(LONGEST_REQUEST))
        .add_service(PeerServer::new(peer));
    let mut names = vec!["observer.Observer", "peer.Peer"];
    if let Some(recordings) = recordings {
        routes = routes.add_service(RecorderServer::with_interceptor(recordings, on_the_node));
        names.push("recorder.Recorder");
    }
    let routes = describe(routes, &names);
    ciliate_transport::serve(routes, incoming, Bounds::default(), end).await;
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
struct Service {
    observer: Observer,
    /// Of streams to clients that came over TCP.
    places: Arc<Semaphore>,
}

impl Service {
    /// A place for one more stream; who comes by the socket needs none.
    fn place<T>(&self, request: &Request<T>) -> Result<Option<OwnedSemaphorePermit>, Status> {
        if request.extensions().get::<Origin>() == Some(&Origin::Socket) {
            return Ok(None);
        }
        Arc::clone(&self.places).try_acquire_owned().map(Some).map_err(|_| {
            Status::resource_exhausted(format!(
                "{ANSWERS} streams go to clients over TCP, which is the most: end some, or ask later"
            ))
        })
    }
}

#[async_trait]
impl observer_server::Observer for Service {
    type GetFlowsStream = Reply<GetFlowsResponse>;
    type GetAgentEventsStream = Reply<GetAgentEventsResponse>;
    type GetDebugEventsStream = Reply<GetDebugEventsResponse>;

    async fn get_flows(
        &self,
        request: Request<GetFlowsRequest>,
    ) -> Result<Response<Self::GetFlowsStream>, Status> {
        let place = self.place(&request)?;
        let stream = flows::Flows::new(&self.observer, request.into_inner())?;
        Ok(reply(place, |out| stream.send(out)))
    }

    async fn get_agent_events(
        &self,
        request: Request<GetAgentEventsRequest>,
    ) -> Result<Response<Self::GetAgentEventsStream>, Status> {
        let place = self.place(&request)?;
        let stream = agent_events::AgentEvents::new(&self.observer, &request.into_inner());
        Ok(reply(place, |out| stream.send(out)))
    }

    /// There are none: the datapath has one program for all, and says why by flows.
    async fn get_debug_events(
        &self,
        request: Request<GetDebugEventsRequest>,
    ) -> Result<Response<Self::GetDebugEventsStream>, Status> {
        let place = self.place(&request)?;
        let follow = request.into_inner().follow;
        Ok(reply(place, |out| async move {
            if follow {
                out.closed().await;
            }
        }))
    }

    async fn get_nodes(&self, _: Request<GetNodesRequest>) -> Result<Response<GetNodesResponse>, Status> {
        Ok(Response::new(node::nodes(&self.observer)))
    }

    async fn get_namespaces(
        &self,
        _: Request<GetNamespacesRequest>,
    ) -> Result<Response<GetNamespacesResponse>, Status> {
        Ok(Response::new(node::namespaces(&self.observer).await))
    }

    async fn server_status(
        &self,
        _: Request<ServerStatusRequest>,
    ) -> Result<Response<ServerStatusResponse>, Status> {
        Ok(Response::new(node::status(&self.observer)))
    }
}

/// Answers with what a task sends, until it ends or nobody listens any more. The place is kept until all is sent.
fn reply<T, F>(
    place: Option<OwnedSemaphorePermit>,
    task: impl FnOnce(mpsc::Sender<Result<T, Status>>) -> F,
) -> Response<Reply<T>>
where
    T: Send + 'static,
    F: Future<Output = ()> + Send + 'static,
{
    let (out, messages) = mpsc::channel(WAITING);
    tokio::spawn(task(out));
    let kept = move |message| {
        let _ = &place;
        message
    };
    Response::new(Box::pin(ReceiverStream::new(messages).map(kept)))
}
