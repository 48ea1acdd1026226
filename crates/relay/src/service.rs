//! `observer.Observer` of many nodes.

use crate::{
    aggregate,
    answer::Answer,
    codec::Answering,
    flows::{Collecting, Collector, PATH},
    nodes::Nodes,
    question::Question,
};
use ciliate_hubble::observer::{
    GetAgentEventsRequest, GetAgentEventsResponse, GetDebugEventsRequest, GetDebugEventsResponse,
    GetFlowsRequest, GetFlowsResponse, GetNamespacesRequest, GetNamespacesResponse, GetNodesRequest,
    GetNodesResponse, ServerStatusRequest, ServerStatusResponse,
    observer_server::{self, ObserverServer},
};
use std::{
    convert::Infallible,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
    vec,
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio_stream::Stream;
use tonic::{
    Request, Response, Status, async_trait,
    body::Body,
    codegen::http,
    server::{Grpc, NamedService, ServerStreamingService},
};

/// Longest request: filters of thousands of names fit, a flood does not.
const LONGEST_REQUEST: usize = 4 << 20;
/// Groups of flows that wait for a client.
const WAITING: usize = 4;

type Reply<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

/// Answers for all nodes.
#[derive(Clone)]
pub struct Service {
    pub nodes: Nodes,
    pub collecting: Collecting,
    /// How long a node may take to answer.
    pub patience: Duration,
    /// Of streams of flows, which may be under way at once.
    pub places: Arc<Semaphore>,
}

#[async_trait]
impl observer_server::Observer for Service {
    type GetFlowsStream = Reply<GetFlowsResponse>;
    type GetAgentEventsStream = Reply<GetAgentEventsResponse>;
    type GetDebugEventsStream = Reply<GetDebugEventsResponse>;

    /// Flows are not taken apart: `Passing` answers before this is asked.
    async fn get_flows(&self, _: Request<GetFlowsRequest>) -> Result<Response<Self::GetFlowsStream>, Status> {
        Err(Status::internal("flows are answered elsewhere"))
    }

    async fn get_agent_events(
        &self,
        _: Request<GetAgentEventsRequest>,
    ) -> Result<Response<Self::GetAgentEventsStream>, Status> {
        Err(Status::unimplemented("a relay has no agent events: ask a node for its own"))
    }

    async fn get_debug_events(
        &self,
        _: Request<GetDebugEventsRequest>,
    ) -> Result<Response<Self::GetDebugEventsStream>, Status> {
        Err(Status::unimplemented("a relay has no debug events: ask a node for its own"))
    }

    async fn get_nodes(&self, _: Request<GetNodesRequest>) -> Result<Response<GetNodesResponse>, Status> {
        Ok(Response::new(aggregate::nodes(&self.nodes, self.patience).await))
    }

    async fn get_namespaces(
        &self,
        _: Request<GetNamespacesRequest>,
    ) -> Result<Response<GetNamespacesResponse>, Status> {
        Ok(Response::new(aggregate::namespaces(&self.nodes, self.patience).await))
    }

    async fn server_status(
        &self,
        _: Request<ServerStatusRequest>,
    ) -> Result<Response<ServerStatusResponse>, Status> {
        Ok(Response::new(aggregate::status(&self.nodes, self.patience).await))
    }
}

/// The same, with flows as they came.
#[derive(Clone)]
pub struct Passing {
    service: Service,
    rest: ObserverServer<Service>,
}

impl Passing {
    pub fn new(service: Service) -> Self {
        let rest = ObserverServer::new(service.clone()).max_decoding_message_size(LONGEST_REQUEST);
        Self { service, rest }
    }
}

impl NamedService for Passing {
    const NAME: &'static str = <ObserverServer<Service> as NamedService>::NAME;
}

impl tower::Service<http::Request<Body>> for Passing {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        if request.uri().path() != PATH {
            return self.rest.call(request);
        }
        let method = GetFlows(self.service.clone());
        Box::pin(async move {
            let mut grpc =
                Grpc::new(Answering::default()).apply_max_message_size_config(Some(LONGEST_REQUEST), None);
            Ok(grpc.server_streaming(method, request).await)
        })
    }
}

struct GetFlows(Service);

impl ServerStreamingService<Question> for GetFlows {
    type Response = Answer;
    type ResponseStream = Flows;
    type Future = std::future::Ready<Result<Response<Flows>, Status>>;

    fn call(&mut self, request: Request<Question>) -> Self::Future {
        std::future::ready(self.flows(request.into_inner()).map(Response::new))
    }
}

impl GetFlows {
    fn flows(&self, question: Question) -> Result<Flows, Status> {
        let Service { nodes, collecting, places, .. } = &self.0;
        let place = Arc::clone(places).try_acquire_owned().map_err(|_| {
            Status::resource_exhausted("as many clients as may be are asking for flows: try again later")
        })?;
        let (out, batches) = mpsc::channel(WAITING);
        tokio::spawn(Collector::run(question, nodes.clone(), collecting.clone(), out));
        Ok(Flows { batches, current: Vec::new().into_iter(), _place: place })
    }
}

/// What a client gets, one by one.
pub struct Flows {
    batches: mpsc::Receiver<Result<Vec<Answer>, Status>>,
    current: vec::IntoIter<Answer>,
    _place: OwnedSemaphorePermit,
}

impl Stream for Flows {
    type Item = Result<Answer, Status>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let flows = self.get_mut();
        loop {
            if let Some(answer) = flows.current.next() {
                return Poll::Ready(Some(Ok(answer)));
            }
            match flows.batches.poll_recv(context) {
                Poll::Ready(Some(Ok(batch))) => flows.current = batch.into_iter(),
                Poll::Ready(Some(Err(status))) => return Poll::Ready(Some(Err(status))),
                Poll::Ready(None) => return Poll::Ready(None),
                Poll::Pending => return Poll::Pending,
            }
        }
    }
}
