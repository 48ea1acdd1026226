//! A relay over simulated nodes, asked by a client.

#![expect(clippy::arithmetic_side_effects, clippy::expect_used, clippy::panic, reason = "a test")]

#[path = "relay/simulated.rs"]
mod simulated;

use ciliate_hubble::{
    Timestamp,
    observer::{
        GetAgentEventsRequest, GetFlowsRequest, GetFlowsResponse, GetNamespacesRequest, GetNodesRequest,
        ServerStatusRequest, get_flows_response::ResponseTypes, observer_client::ObserverClient,
    },
    relay::NodeState,
};
use ciliate_relay::{Collecting, Dialer, Encryption, Settings, Sorting, Source, serve};
use ciliate_transport::{Limits, Listener, accept};
use simulated::{Manner, Simulated, seconds_now};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    time::Duration,
};
use tokio::{net::UnixListener, time::timeout};
use tonic::{Code, Streaming, transport::Channel};
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};

const SOON: Duration = Duration::from_secs(20);

/// A relay with one client; its nodes are those of a file.
struct Place {
    folder: tempfile::TempDir,
    channel: Channel,
}

impl Place {
    async fn new(nodes: &[&Simulated]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        list(&folder.path().join("peers.yaml"), nodes);
        let settings = Settings {
            sources: vec![Source::File(folder.path().join("peers.yaml"))],
            dialer: Dialer {
                encryption: Encryption::Missing,
                timeout: Duration::from_secs(2),
                keep_alive: (Duration::from_millis(500), Duration::from_millis(500)),
            },
            retry: Duration::from_millis(500),
            collecting: Collecting {
                sorting: Sorting { most: 100_000, drain: Duration::from_millis(500) },
                patience: Duration::from_secs(1),
                error_window: Duration::from_millis(300),
                relay: "relay".to_owned(),
            },
            patience: Duration::from_secs(1),
            streams: 3,
        };
        let path = folder.path().join("relay.sock");
        let listener = UnixListener::bind(&path).expect("a socket");
        let incoming = accept([Listener::Socket(listener)], Limits::default());
        tokio::spawn(serve(settings, incoming, std::future::pending()));
        Self { channel: simulated::channel(&path).await, folder }
    }

    fn list(&self, nodes: &[&Simulated]) {
        list(&self.folder.path().join("peers.yaml"), nodes);
    }

    fn client(&self) -> ObserverClient<Channel> {
        ObserverClient::new(self.channel.clone())
    }

    async fn counts(&self) -> (u32, u32) {
        let status =
            self.client().server_status(ServerStatusRequest {}).await.expect("an answer").into_inner();
        let count = |nodes: Option<ciliate_hubble::UInt32Value>| nodes.expect("a relay's answer").value;
        (count(status.num_connected_nodes), count(status.num_unavailable_nodes))
    }

    async fn until(&self, connected: u32, unavailable: u32) {
        let wait = async {
            while self.counts().await != (connected, unavailable) {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        timeout(SOON, wait).await.expect("nodes in time");
    }

    async fn ask(&self, request: GetFlowsRequest) -> Answers {
        Answers(self.client().get_flows(request).await.expect("an answer").into_inner())
    }
}

/// Puts another list in place at once.
fn list(path: &Path, nodes: &[&Simulated]) {
    let lines =
        nodes.iter().map(|node| format!("- {{name: {}, address: \"{}\"}}\n", node.name, node.address()));
    let fresh = path.with_extension("new");
    fs::write(&fresh, lines.collect::<String>()).expect("a file");
    fs::rename(&fresh, path).expect("a file");
}

struct Answers(Streaming<GetFlowsResponse>);

#[derive(Debug, PartialEq, Eq)]
enum Said {
    /// Node and time.
    Flow(String, Timestamp),
    State(NodeState, Vec<String>, String),
}

impl Answers {
    async fn next(&mut self) -> Option<Said> {
        let answer = timeout(SOON, self.0.message()).await.expect("an answer in time").expect("no error")?;
        Some(match answer.response_types.expect("something") {
            ResponseTypes::Flow(_) => Said::Flow(answer.node_name, answer.time.expect("a time")),
            ResponseTypes::NodeStatus(status) => {
                Said::State(status.state_change(), status.node_names, status.message)
            }
            ResponseTypes::LostEvents(lost) => panic!("lost: {lost:?}"),
        })
    }

    async fn flow(&mut self) -> (String, Timestamp) {
        loop {
            if let Said::Flow(node, time) = self.next().await.expect("a flow") {
                return (node, time);
            }
        }
    }

    async fn state(&mut self) -> (NodeState, Vec<String>, String) {
        loop {
            if let Said::State(state, names, message) = self.next().await.expect("a state") {
                return (state, names, message);
            }
        }
    }

    async fn rest(mut self) -> Vec<Said> {
        let mut all = Vec::new();
        while let Some(said) = self.next().await {
            all.push(said);
        }
        all
    }
}

fn times(all: &[Said]) -> Vec<Timestamp> {
    let time = |said: &Said| match said {
        Said::Flow(_, time) => Some(*time),
        Said::State(..) => None,
    };
    all.iter().filter_map(time).collect()
}

fn follow() -> GetFlowsRequest {
    GetFlowsRequest { follow: true, ..GetFlowsRequest::default() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_past_comes_in_order_and_says_who_is_missing() {
    let mut a = Simulated::start("a", Manner::Well).await;
    let mut b = Simulated::start("b", Manner::Well).await;
    let mute = Simulated::start("mute", Manner::Mute).await;
    let hangs = Simulated::start("hangs", Manner::Hangs).await;
    let old = Simulated::start("old", Manner::Old).await;
    for second in 0..100 {
        if second % 3 == 0 { a.see(second) } else { b.see(second) }
    }
    let gone = Simulated::absent("gone");
    let place = Place::new(&[&a, &b, &mute, &hangs, &old, &gone]).await;
    place.until(4, 2).await;
    let all = place.ask(GetFlowsRequest::default()).await.rest().await;
    let seconds: Vec<i64> = times(&all).iter().map(|time| time.seconds).collect();
    assert_eq!(seconds, (0..100).collect::<Vec<_>>());
    let names = |names: &[&str]| names.iter().map(ToString::to_string).collect::<Vec<_>>();
    let states: Vec<_> = all.into_iter().filter(|said| matches!(said, Said::State(..))).collect();
    assert!(
        states.contains(&Said::State(NodeState::NodeUnavailable, names(&["gone", "hangs"]), String::new())),
        "{states:?}"
    );
    let silent =
        Said::State(NodeState::NodeError, names(&["mute"]), "it has said nothing for 1 s".to_owned());
    assert!(states.contains(&silent), "{states:?}");
    assert!(
        states
            .iter()
            .any(|said| matches!(said, Said::State(NodeState::NodeError, nodes, _) if *nodes == ["old"])),
        "{states:?}"
    );

    // So many of each node, as hubble-relay has it.
    let last = place.ask(GetFlowsRequest { number: 2, ..GetFlowsRequest::default() }).await.rest().await;
    assert_eq!(times(&last).iter().map(|time| time.seconds).collect::<Vec<_>>(), [96, 97, 98, 99]);

    let nodes = place.client().get_nodes(GetNodesRequest {}).await.expect("an answer").into_inner().nodes;
    let states: BTreeMap<_, _> =
        nodes.iter().map(|node| (node.name.as_str(), (node.state(), node.seen_flows))).collect();
    assert_eq!(states["a"], (NodeState::NodeConnected, 34));
    assert_eq!(states["old"], (NodeState::NodeConnected, 0));
    assert_eq!(states["mute"], (NodeState::NodeConnected, 0));
    assert_eq!(states["hangs"], (NodeState::NodeUnavailable, 0));
    assert_eq!(states["gone"], (NodeState::NodeUnavailable, 0));
    let status = place.client().server_status(ServerStatusRequest {}).await.expect("an answer").into_inner();
    assert_eq!((status.seen_flows, status.unavailable_nodes), (100, names(&["gone", "hangs"])));
    assert!(status.version.starts_with("ciliate relay"));
    let known = place.client().get_namespaces(GetNamespacesRequest {}).await.expect("an answer").into_inner();
    let known: Vec<_> = known.namespaces.iter().map(|one| one.namespace.as_str()).collect();
    assert_eq!(known, ["of-a", "of-b", "of-mute", "shared"]);
    let events = place.client().get_agent_events(GetAgentEventsRequest::default()).await;
    assert_eq!(events.expect_err("none").code(), Code::Unimplemented);
    let health = HealthClient::new(place.channel.clone())
        .check(HealthCheckRequest { service: "observer.Observer".to_owned() })
        .await;
    assert_eq!(health.expect("an answer").into_inner().status(), ServingStatus::Serving);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_follower_hears_of_nodes_that_go_and_come_back_and_misses_nothing() {
    let a = Simulated::start("a", Manner::Well).await;
    let mut b = Simulated::start("b", Manner::Well).await;
    let place = Place::new(&[&a, &b]).await;
    place.until(2, 0).await;
    let mut answers = place.ask(follow()).await;
    let both = vec!["a".to_owned(), "b".to_owned()];
    assert_eq!(answers.state().await, (NodeState::NodeConnected, both, String::new()));
    a.asked(1).await;
    b.asked(1).await;
    let now = seconds_now();
    b.see(now);
    assert_eq!(answers.flow().await.0, "b");
    b.cut().await;
    let (state, nodes, _) = answers.state().await;
    assert_eq!((state, nodes), (NodeState::NodeError, vec!["b".to_owned()]));
    // What it sees while it is away is there when it is back.
    b.see(now + 1);
    b.back().await;
    assert_eq!(answers.state().await, (NodeState::NodeConnected, vec!["b".to_owned()], String::new()));
    let (node, time) = answers.flow().await;
    assert_eq!((node.as_str(), time.seconds), ("b", now + 1), "neither twice nor not at all");

    let mut c = Simulated::start("c", Manner::Well).await;
    place.list(&[&a, &c]);
    let (mut came, mut went) = (false, false);
    while !(came && went) {
        match answers.state().await {
            (NodeState::NodeConnected, nodes, _) => came = nodes == ["c"],
            (NodeState::NodeGone, nodes, _) => went = nodes == ["b"],
            other => panic!("{other:?}"),
        }
    }
    c.asked(1).await;
    c.see(now + 2);
    assert_eq!(answers.flow().await.0, "c");
    place.until(2, 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_question_is_answered_once_and_places_are_bounded() {
    let a = Simulated::start("a", Manner::Picky).await;
    let b = Simulated::start("b", Manner::Picky).await;
    let place = Place::new(&[&a, &b]).await;
    place.until(2, 0).await;
    for request in [follow(), GetFlowsRequest::default()] {
        let mut answers = place.ask(request).await.0;
        let error = loop {
            match timeout(SOON, answers.message()).await.expect("an answer in time") {
                Ok(Some(_)) => {}
                Ok(None) => panic!("no error"),
                Err(status) => break status,
            }
        };
        assert_eq!((error.code(), error.message()), (Code::InvalidArgument, "source_ip: \"x\" is none"));
    }
    let well = Simulated::start("well", Manner::Well).await;
    place.list(&[&well]);
    place.until(1, 0).await;
    let mut open = Vec::new();
    for _ in 0..3 {
        open.push(place.ask(follow()).await);
    }
    let error = place.client().get_flows(follow()).await.expect_err("no place");
    assert_eq!(error.code(), Code::ResourceExhausted);
    open.clear();
    let freed = async {
        while place.client().get_flows(follow()).await.is_err() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(SOON, freed).await.expect("places are free again");
}

/// Two hundred nodes, some of which hang, leave and join, while a client that reads and one that does not are there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_nodes() {
    const COUNT: usize = 200;
    const STEPS: i64 = 40;
    let mut nodes = Vec::new();
    for number in 0..COUNT {
        let manner = match number % 20 {
            7 => Manner::Hangs,
            9 => Manner::Mute,
            _ => Manner::Well,
        };
        nodes.push(Simulated::start(&format!("n{number:03}"), manner).await);
    }
    let place = Place::new(&nodes.iter().collect::<Vec<_>>()).await;
    place.until(190, 10).await;
    let mut answers = place.ask(follow()).await;
    let _reads_nothing = place.ask(follow()).await;
    let (mut nodes, _others): (Vec<_>, Vec<_>) =
        nodes.into_iter().partition(|node| node.manner == Manner::Well);
    for node in &nodes {
        node.asked(2).await;
    }
    // What was is no matter of clocks.
    let begin = seconds_now() - STEPS;
    let (mut expected, mut seen) = (BTreeSet::new(), BTreeSet::new());
    for node in &mut nodes {
        node.see(begin);
        expected.insert((node.name.clone(), begin));
    }
    while seen.len() < expected.len() {
        let (node, time) = answers.flow().await;
        seen.insert((node, time.seconds));
    }
    assert_eq!(seen, expected);
    for step in 1..STEPS {
        if step == STEPS / 2 {
            for node in nodes.iter_mut().step_by(50) {
                node.cut().await;
            }
        }
        for node in &mut nodes {
            node.see(begin + step);
            expected.insert((node.name.clone(), begin + step));
        }
    }
    for node in nodes.iter_mut().step_by(50) {
        node.back().await;
    }
    let (mut last, mut late) = (0, 0);
    while seen.len() < expected.len() {
        let (node, time) = answers.flow().await;
        late += usize::from(time.seconds < last);
        last = time.seconds.max(last);
        assert!(seen.insert((node, time.seconds)), "twice");
    }
    assert_eq!(seen, expected);
    // Unsorted, nearly all of them would be.
    assert!(late < expected.len() / 4, "{late} of {} came late", expected.len());
    place.until(190, 10).await;
}
