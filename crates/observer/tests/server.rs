//! The server over its socket, asked by clients.

#![expect(clippy::expect_used, clippy::panic, reason = "a test")]

#[path = "server/faults.rs"]
mod faults;

use ciliate_flow::{
    End, Event, Flow, Node, Party, Run, TcpFlags, Time, TraceObservationPoint, TraceReason, Transport,
    Verdict,
};
use ciliate_history::Reader;
use ciliate_hubble::{
    FieldMask, Timestamp,
    flow::{self as hubble, AgentEvent, AgentEventType, FlowFilter},
    observer::{
        GetAgentEventsRequest, GetDebugEventsRequest, GetFlowsRequest, GetFlowsResponse,
        GetNamespacesRequest, GetNodesRequest, ServerStatusRequest, get_flows_response::ResponseTypes,
        observer_client::ObserverClient,
    },
    peer::{ChangeNotificationType, NotifyRequest, peer_client::PeerClient},
};
use ciliate_observer::{AgentEntry, Inlets, Loss, LossSource, Observer, Peer, serve};
use ciliate_recorder::Service as Recordings;
use ciliate_transport::{Address, Limits, Listener, accept};
use std::{future, sync::Arc, time::Duration};
use tokio::{net::UnixListener, time::timeout};
use tonic::{Code, Streaming, transport::Channel};

/// A node with one client.
struct Place {
    inlets: Inlets,
    channel: Channel,
    folder: tempfile::TempDir,
}

impl Place {
    async fn new(capacity: u64) -> Self {
        Self::with(capacity, None, None, Vec::new()).await
    }

    /// A node that keeps flows on disk, records packets, or answers elsewhere too.
    async fn with(
        capacity: u64,
        history: Option<Reader>,
        recordings: Option<Recordings>,
        mut doors: Vec<Listener>,
    ) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("hubble.sock");
        doors.push(Listener::Socket(UnixListener::bind(&path).expect("a socket")));
        let node = Arc::new(Node { name: "node-1".to_owned(), labels: Vec::new() });
        let (inlets, observer) = Observer::new(node, Run::new(1), capacity, history);
        let peer = Peer { name: "node-1".to_owned(), address: "unix:///x".to_owned(), server_name: None };
        let incoming = accept(doors, Limits::default());
        tokio::spawn(serve(observer, peer, recordings, incoming, future::pending()));
        let channel = connect(&Address::Socket(path)).await;
        Self { inlets, channel, folder }
    }

    /// Another connection over the socket.
    async fn another(&self) -> Channel {
        connect(&Address::Socket(self.folder.path().join("hubble.sock"))).await
    }

    fn client(&self) -> ObserverClient<Channel> {
        ObserverClient::new(self.channel.clone())
    }

    /// Flows of the seconds from `first` on, every third dropped.
    fn see(&mut self, first: u64, count: u64) {
        for second in first..first.saturating_add(count) {
            self.inlets.flows.append(flow(second));
        }
        self.inlets.flows.ring();
    }

    async fn flows(&self, request: GetFlowsRequest) -> Streaming<GetFlowsResponse> {
        self.client().get_flows(request).await.expect("an answer").into_inner()
    }

    /// Seconds of the flows of an answer that ends.
    async fn seconds(&self, request: GetFlowsRequest) -> Vec<i64> {
        let mut answer = self.flows(request).await;
        let mut seconds = Vec::new();
        while let Some(answer) = next(&mut answer).await {
            seconds.push(second(&answer));
        }
        seconds
    }
}

async fn connect(address: &Address) -> Channel {
    let address = address.clone();
    let connect = move |_| {
        let address = address.clone();
        async move { ciliate_transport::connect(&address, None).await.map(hyper_util::rt::TokioIo::new) }
    };
    let endpoint = tonic::transport::Endpoint::from_static("http://node");
    endpoint.connect_with_connector(tower::service_fn(connect)).await.expect("a connection")
}

async fn next(answer: &mut Streaming<GetFlowsResponse>) -> Option<GetFlowsResponse> {
    timeout(Duration::from_secs(10), answer.message()).await.expect("an answer in time").expect("no error")
}

fn second(answer: &GetFlowsResponse) -> i64 {
    assert_eq!(answer.node_name, "node-1");
    match &answer.response_types {
        Some(ResponseTypes::Flow(flow)) => {
            assert_eq!(flow.time, answer.time);
            flow.time.as_ref().map_or(-1, |time| time.seconds)
        }
        other => panic!("no flow: {other:?}"),
    }
}

fn flow(second: u64) -> Flow {
    let verdict = if second.is_multiple_of(3) { Verdict::Dropped } else { Verdict::Forwarded };
    let party = Party { namespace: "demo".to_owned(), pod: format!("pod-{second}"), ..Party::default() };
    let mut flow = Flow::from_message(&hubble::Flow::default()).expect("an empty flow");
    flow.node = Arc::new(Node { name: "node-1".to_owned(), labels: Vec::new() });
    flow.time = Time(second.saturating_mul(1_000_000_000));
    flow.source = End { address: None, party: Arc::new(party), names: None };
    flow.verdict = verdict;
    flow.event = Event::Trace(TraceObservationPoint::ToEndpoint, TraceReason::New);
    flow.transport = Transport::Tcp { source: 4000, destination: 80, flags: TcpFlags(2) };
    flow
}

fn at(seconds: i64) -> Option<Timestamp> {
    Some(Timestamp { seconds, nanos: 0 })
}

fn request() -> GetFlowsRequest {
    GetFlowsRequest::default()
}

fn dropped() -> Vec<FlowFilter> {
    vec![FlowFilter { verdict: vec![Verdict::Dropped.into()], ..FlowFilter::default() }]
}

#[tokio::test]
async fn parts_of_what_is_kept() {
    let mut place = Place::new(20).await;
    place.see(0, 30);
    let all: Vec<i64> = (10..30).collect();
    assert_eq!(place.seconds(request()).await, all);
    assert_eq!(place.seconds(GetFlowsRequest { number: u64::MAX, ..request() }).await, all);
    assert_eq!(place.seconds(GetFlowsRequest { number: 3, ..request() }).await, [27, 28, 29]);
    assert_eq!(place.seconds(GetFlowsRequest { number: 3, first: true, ..request() }).await, [10, 11, 12]);
    assert_eq!(place.seconds(GetFlowsRequest { since: at(27), ..request() }).await, [27, 28, 29]);
    let between = GetFlowsRequest { since: at(12), until: at(14), ..request() };
    assert_eq!(place.seconds(between.clone()).await, [12, 13, 14]);
    assert_eq!(place.seconds(GetFlowsRequest { number: 2, ..between }).await, [13, 14]);
    let last = GetFlowsRequest { number: 2, whitelist: dropped(), ..request() };
    assert_eq!(place.seconds(last).await, [24, 27]);
    let first = GetFlowsRequest { number: 2, first: true, blacklist: dropped(), ..request() };
    assert_eq!(place.seconds(first).await, [10, 11]);
}

#[tokio::test]
async fn a_follower_gets_the_last_and_then_what_comes() {
    let mut place = Place::new(100).await;
    place.see(0, 10);
    let follow = GetFlowsRequest { number: 1, follow: true, whitelist: dropped(), ..request() };
    let mut answer = place.flows(follow).await;
    assert_eq!(next(&mut answer).await.as_ref().map(second), Some(9));
    for first in [10, 20] {
        place.see(first, 10);
        for wanted in (first..first + 10).filter(|second| second.is_multiple_of(3)) {
            assert_eq!(next(&mut answer).await.as_ref().map(second), i64::try_from(wanted).ok());
        }
    }
    let mut new = place.flows(GetFlowsRequest { follow: true, until: at(41), ..request() }).await;
    place.see(40, 5);
    let mut seen = Vec::new();
    while let Some(answer) = next(&mut new).await {
        seen.push(second(&answer));
    }
    assert_eq!(seen, [40, 41], "what was there before is not for who only follows");
}

#[tokio::test]
async fn who_is_too_slow_is_told_once_how_much_it_missed() {
    let mut place = Place::new(1024).await;
    place.see(0, 1);
    let mut answer = place.flows(GetFlowsRequest { number: 1, follow: true, ..request() }).await;
    assert_eq!(next(&mut answer).await.as_ref().map(second), Some(0));
    let (mut came, mut lost, mut told) = (1_u64, 0, 0_u64);
    // Nobody reads meanwhile: what the connection and the queue hold comes, the log goes on without.
    let total = 60_000;
    place.see(1, total - 1);
    while came + lost < total {
        match next(&mut answer).await.and_then(|answer| answer.response_types) {
            Some(ResponseTypes::Flow(_)) => came += 1,
            Some(ResponseTypes::LostEvents(event)) => {
                assert_eq!(event.source(), hubble::LostEventSource::HubbleRingBuffer);
                assert!(event.first.is_some() && event.last.is_some());
                lost += event.num_events_lost;
                told += 1;
            }
            other => panic!("neither a flow nor a loss: {other:?}"),
        }
    }
    assert_eq!((came + lost, told), (total, 1));
}

/// Source, count and seconds of every loss of an answer that ends.
async fn losses(answer: &mut Streaming<GetFlowsResponse>) -> Vec<(String, u64, i64, i64)> {
    let mut found = Vec::new();
    while let Some(answer) = next(answer).await {
        if let Some(ResponseTypes::LostEvents(lost)) = &answer.response_types {
            assert_eq!((&answer.time, answer.node_name.as_str()), (&lost.last, "node-1"));
            found.push(read(lost));
        }
    }
    found
}

fn read(lost: &hubble::LostEvent) -> (String, u64, i64, i64) {
    let second = |at: &Option<Timestamp>| at.as_ref().expect("a time").seconds;
    (lost.source().as_str_name().to_owned(), lost.num_events_lost, second(&lost.first), second(&lost.last))
}

/// What the node itself lost is told as Hubble tells it: beside the flows, whatever the filters.
#[tokio::test]
async fn what_the_node_lost_is_told_in_sums() {
    let mut place = Place::new(100).await;
    let second = |second: u64| Time(second.saturating_mul(1_000_000_000));
    let lose = |place: &mut Place, source, count, first, last| {
        place.inlets.losses.put(Loss { source, count, first: second(first), last: second(last) });
    };
    use LossSource::{ObserverEventsQueue as Queue, PerfEventRingBuffer as Kernel};
    lose(&mut place, Kernel, 2, 1, 2);
    place.see(10, 3);
    for at in 11..14 {
        lose(&mut place, Kernel, 5, at, at.saturating_add(1));
    }
    lose(&mut place, Queue, 7, 12, 13);
    lose(&mut place, Queue, 0, 13, 14);
    let kernel = |count, first, last| ("PERF_EVENT_RING_BUFFER".to_owned(), count, first, last);
    let queue = |count, first, last| ("OBSERVER_EVENTS_QUEUE".to_owned(), count, first, last);
    let since = |since| GetFlowsRequest { since: at(since), whitelist: dropped(), ..request() };
    for (request, expected) in [
        (since(1), vec![kernel(17, 1, 14), queue(7, 12, 13)]),
        (since(3), vec![kernel(15, 11, 14), queue(7, 12, 13)]),
        (GetFlowsRequest { until: at(11), ..since(3) }, vec![kernel(5, 11, 12)]),
        (GetFlowsRequest { number: 2, ..request() }, vec![kernel(15, 11, 14), queue(7, 12, 13)]),
    ] {
        assert_eq!(losses(&mut place.flows(request).await).await, expected);
    }
    // Who follows hears of what comes, without waiting for a flow, and of many losses as one.
    let mut answer = place.flows(GetFlowsRequest { follow: true, ..request() }).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    let begun = std::time::Instant::now();
    let mut told: Vec<(String, u64, i64, i64)> = Vec::new();
    for at in 20..40 {
        lose(&mut place, Queue, 1, at, at.saturating_add(1));
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    while told.iter().map(|(_, count, ..)| count).sum::<u64>() < 20 {
        let one = next(&mut answer).await.expect("an answer");
        let Some(ResponseTypes::LostEvents(lost)) = &one.response_types else { panic!("{one:?}") };
        told.push(read(lost));
    }
    assert!(
        told.len().saturating_sub(2) <= usize::try_from(begun.elapsed().as_secs()).expect("few"),
        "{told:?}"
    );
    assert_eq!(told.last().map(|(.., last)| *last), Some(40));
}

#[tokio::test]
async fn masks_and_what_is_wrong() {
    let mut place = Place::new(10).await;
    place.see(1, 1);
    let paths = |paths: &[&str]| Some(FieldMask { paths: paths.iter().map(|p| (*p).to_owned()).collect() });
    let field_mask = paths(&["time", "source.pod_name"]);
    let mut answer = place.flows(GetFlowsRequest { field_mask, ..request() }).await;
    let Some(ResponseTypes::Flow(flow)) = next(&mut answer).await.and_then(|answer| answer.response_types)
    else {
        panic!("no flow");
    };
    let source = hubble::Endpoint { pod_name: "pod-1".to_owned(), ..hubble::Endpoint::default() };
    assert_eq!(flow, hubble::Flow { time: at(1), source: Some(source), ..hubble::Flow::default() });

    let wrong = GetFlowsRequest { field_mask: paths(&["sauce"]), ..request() };
    let error = place.client().get_flows(wrong).await.expect_err("a wrong mask");
    assert_eq!(error.code(), Code::InvalidArgument);
    assert!(error.message().contains("\"sauce\" names no field"), "{error}");
    let filter = FlowFilter { source_ip: vec!["10.0.0".to_owned()], ..FlowFilter::default() };
    let wrong = GetFlowsRequest { whitelist: vec![filter], ..request() };
    let error = place.client().get_flows(wrong).await.expect_err("a wrong filter");
    assert_eq!(error.code(), Code::InvalidArgument);
    assert!(error.message().contains("source_ip"), "{error}");
}

#[tokio::test]
async fn what_the_node_says_of_itself() {
    let mut place = Place::new(20).await;
    place.see(0, 30);
    let mut client = place.client();
    let status = client.server_status(ServerStatusRequest {}).await.expect("an answer").into_inner();
    assert_eq!((status.num_flows, status.max_flows, status.seen_flows), (20, 20, 30));
    let nodes = client.get_nodes(GetNodesRequest {}).await.expect("an answer").into_inner().nodes;
    assert_eq!(nodes.iter().map(|node| node.name.as_str()).collect::<Vec<_>>(), ["node-1"]);
    let names = client.get_namespaces(GetNamespacesRequest {}).await.expect("an answer").into_inner();
    assert_eq!(names.namespaces.iter().map(|n| n.namespace.as_str()).collect::<Vec<_>>(), ["demo"]);

    let event = AgentEvent { r#type: AgentEventType::AgentStarted.into(), notification: None };
    place.inlets.agent_events.append(AgentEntry { time: Time(5), event: event.clone() });
    let ask = GetAgentEventsRequest { number: 5, ..GetAgentEventsRequest::default() };
    let mut answer = client.get_agent_events(ask).await.expect("an answer").into_inner();
    let first = answer.message().await.expect("no error").expect("an event");
    assert_eq!(first.agent_event, Some(event));
    assert_eq!(answer.message().await.expect("no error"), None);
    let debug = client.get_debug_events(GetDebugEventsRequest::default()).await.expect("an answer");
    assert_eq!(debug.into_inner().message().await.expect("no error"), None);

    let mut peers = PeerClient::new(place.channel.clone())
        .notify(NotifyRequest {})
        .await
        .expect("an answer")
        .into_inner();
    let peer = peers.message().await.expect("no error").expect("the node itself");
    assert_eq!((peer.name.as_str(), peer.r#type()), ("node-1", ChangeNotificationType::PeerAdded));
}
