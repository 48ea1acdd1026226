//! Clients that mean harm or do not know better, and what the others notice.

use super::*;
use ciliate_flow::FlowId;
use ciliate_history::{History, Settings};
use ciliate_hubble::{
    flow::flow_filter::Experimental,
    recorder::{RecordRequest, StartRecording, record_request::RequestType, recorder_client::RecorderClient},
};
use ciliate_recorder::Recorder;
use ciliate_transport::Secrecy;
use std::time::Instant;
use tokio::net::TcpListener;
use tonic::Status;

/// What becomes of a wish to record packets.
async fn recorded(channel: Channel) -> Status {
    let start = RequestType::Start(StartRecording::default());
    let requests = tokio_stream::once(RecordRequest { request_type: Some(start) });
    match RecorderClient::new(channel).record(requests).await {
        Err(status) => status,
        Ok(answers) => answers.into_inner().message().await.expect_err("nobody records here"),
    }
}

#[tokio::test]
async fn packets_are_recorded_only_for_who_comes_by_the_socket() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = Address::from(listener.local_addr().expect("a port"));
    let (recorder, _) = Recorder::channel();
    let recordings = Recordings { recorder, node: "node-1".to_owned() };
    let mut place =
        Place::with(10, None, Some(recordings), vec![Listener::Tcp(listener, Secrecy::Plain)]).await;
    place.see(1, 1);
    let over_tcp = connect(&address).await;
    let answer = ObserverClient::new(over_tcp.clone()).get_flows(request()).await.expect("an answer");
    assert_eq!(next(&mut answer.into_inner()).await.as_ref().map(second), Some(1), "flows are for both");

    let refused = recorded(over_tcp).await;
    assert_eq!(refused.code(), Code::PermissionDenied, "{refused}");
    assert!(refused.message().contains("on the node itself"), "{refused}");
    let by_socket = recorded(place.channel.clone()).await;
    assert!(by_socket.message().starts_with("no filter"), "it has got through: {by_socket}");
}

#[tokio::test]
async fn streams_over_tcp_are_bounded_and_the_socket_is_for_who_ends_them() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = Address::from(listener.local_addr().expect("a port"));
    let mut place = Place::with(10, None, None, vec![Listener::Tcp(listener, Secrecy::Plain)]).await;
    place.see(1, 1);
    let follow = || GetFlowsRequest { number: 1, follow: true, ..request() };
    let mut streams = Vec::new();
    let refused = 'full: loop {
        // As many as one connection may have.
        let mut client = ObserverClient::new(connect(&address).await);
        for _ in 0..256 {
            match client.get_flows(follow()).await {
                Ok(answer) => streams.push(answer.into_inner()),
                Err(status) => break 'full status,
            }
        }
    };
    assert_eq!((refused.code(), streams.len()), (Code::ResourceExhausted, 1024), "{refused}");
    assert!(refused.message().contains("1024 streams"), "{refused}");
    assert_eq!(place.seconds(request()).await, [1], "who comes by the socket has no such bound");
    streams.truncate(1000);
    let mut late = ObserverClient::new(connect(&address).await);
    let answer = timeout(Duration::from_secs(10), async {
        loop {
            match late.get_flows(follow()).await {
                Ok(answer) => break answer,
                Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
            }
        }
    });
    let mut answer = answer.await.expect("places are free again").into_inner();
    assert_eq!(next(&mut answer).await.as_ref().map(second), Some(1));
}

/// Thirty read nothing, one reads, and the log goes on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_never_reads_holds_up_nobody() {
    const RING: u64 = 1024;
    let mut place = Place::new(RING).await;
    place.see(0, RING);
    let mut silent = Vec::new();
    for _ in 0..30 {
        let mut client = ObserverClient::new(place.another().await);
        let all = GetFlowsRequest { number: RING, follow: true, ..request() };
        let mut answer = client.get_flows(all).await.expect("an answer").into_inner();
        // It has begun, and that is all that is read of it.
        assert_eq!(next(&mut answer).await.as_ref().map(second), Some(0));
        silent.push(answer);
    }
    let mut reader = place.flows(GetFlowsRequest { number: 1, follow: true, ..request() }).await;
    assert_eq!(next(&mut reader).await.as_ref().map(second), i64::try_from(RING - 1).ok());
    let total = 4000;
    let mut kept = Duration::ZERO;
    for first in (RING..RING + total).step_by(500) {
        let start = Instant::now();
        place.see(first, 500);
        kept += start.elapsed();
        for wanted in first..first + 500 {
            assert_eq!(next(&mut reader).await.as_ref().map(second), i64::try_from(wanted).ok());
        }
    }
    assert!(kept < Duration::from_secs(2), "it took {kept:?} to keep {total} flows");
    // Whoever reads after all has not missed more than it is told.
    let mut late = silent.pop().expect("thirty");
    let (mut came, mut lost) = (1, 0);
    while came + lost < RING + total {
        match next(&mut late).await.and_then(|answer| answer.response_types) {
            Some(ResponseTypes::Flow(_)) => came += 1,
            Some(ResponseTypes::LostEvents(event)) => lost += event.num_events_lost,
            other => panic!("neither a flow nor a loss: {other:?}"),
        }
    }
    assert_eq!(came + lost, RING + total);
}

#[tokio::test]
async fn requests_that_are_too_large_are_named_and_cost_nobody_else() {
    let mut place = Place::new(10).await;
    place.see(1, 1);
    let pods = |bytes: usize| FlowFilter {
        source_pod: vec!["x".repeat(1000); bytes / 1000],
        ..FlowFilter::default()
    };
    for (bytes, code, said) in [
        (10 << 20, Code::OutOfRange, "4194304 bytes"),
        (3 << 20, Code::InvalidArgument, "more than the 131072 that are taken"),
    ] {
        let wrong = GetFlowsRequest { whitelist: vec![pods(bytes)], ..request() };
        let begun = Instant::now();
        let error = place.client().get_flows(wrong).await.expect_err("it is too large");
        assert_eq!(error.code(), code, "{error}");
        assert!(error.message().contains(said), "{error}");
        assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    }
    // What it quotes of that fits the header that gRPC has for it.
    let long = FlowFilter { http_path: vec!["(".repeat(100_000)], ..FlowFilter::default() };
    let error = place.client().get_flows(GetFlowsRequest { whitelist: vec![long], ..request() }).await;
    let error = error.expect_err("a wrong one");
    assert_eq!(error.code(), Code::InvalidArgument, "{error}");
    assert!(error.message().len() < 4000 && error.message().contains("is no regular expression"), "{error}");
    let paths = vec!["a".to_owned(); 300];
    let many = FlowFilter { http_path: paths, ..FlowFilter::default() };
    let error = place.client().get_flows(GetFlowsRequest { blacklist: vec![many], ..request() }).await;
    assert!(error.expect_err("too many").message().contains("300 regular expressions"));
    assert_eq!(place.seconds(request()).await, [1], "the connection is as good as before");
}

#[tokio::test]
async fn what_is_wrong_is_named_by_the_server() {
    let mut place = Place::new(10).await;
    place.see(1, 3);
    let cel = |text: &str| FlowFilter {
        experimental: Some(Experimental { cel_expression: vec![text.to_owned()] }),
        ..FlowFilter::default()
    };
    let path = |text: &str| FlowFilter { http_path: vec![text.to_owned()], ..FlowFilter::default() };
    let right = || FlowFilter { verdict: vec![Verdict::Forwarded.into()], ..FlowFilter::default() };
    let allow = |whitelist| GetFlowsRequest { whitelist, ..request() };
    let deny = |blacklist| GetFlowsRequest { blacklist, follow: true, ..request() };
    for (wrong, said) in [
        (
            allow(vec![right(), path("(")]),
            "whitelist[1].http_path: \"(\" is no regular expression: unclosed group",
        ),
        (
            deny(vec![path("(a{1000}){1000}")]),
            "blacklist[0].http_path: \"(a{1000}){1000}\" takes more than the",
        ),
        (
            allow(vec![cel("_flow.uuid ==")]),
            "whitelist[0].cel_expression: \"_flow.uuid ==\" is no CEL expression",
        ),
        (deny(vec![right(), cel("_flow.uuid")]), "blacklist[1].cel_expression: "),
        (
            allow(vec![FlowFilter { verdict: vec![99], ..FlowFilter::default() }]),
            "whitelist[0].verdict: 99 has no meaning",
        ),
        (
            GetFlowsRequest {
                field_mask: Some(FieldMask { paths: vec!["l4.TCP.port".to_owned()] }),
                ..request()
            },
            "names no field",
        ),
    ] {
        let error = place.client().get_flows(wrong).await.expect_err("it is wrong");
        assert_eq!(error.code(), Code::InvalidArgument, "{error}");
        assert!(error.message().contains(said), "{error}");
    }
    // Moments outside of what flows can have are the nearest that they can.
    let ages = GetFlowsRequest { since: at(i64::MIN), until: at(i64::MAX), ..request() };
    assert_eq!(place.seconds(ages).await, [1, 2, 3]);
    let never = GetFlowsRequest { since: at(i64::MAX), ..request() };
    assert_eq!(place.seconds(never).await, [0_i64; 0]);
    let turned = GetFlowsRequest { since: at(3), until: at(1), ..request() };
    assert_eq!(place.seconds(turned).await, [0_i64; 0]);
}

/// A clock that was wrong for a while hides nothing of before or after.
#[tokio::test]
async fn a_clock_that_jumps_hides_no_flows() {
    let mut place = Place::new(100).await;
    place.see(10, 5);
    place.see(9000, 2);
    place.see(15, 5);
    let since = GetFlowsRequest { since: at(12), until: at(17), ..request() };
    assert_eq!(place.seconds(since.clone()).await, [12, 13, 14, 15, 16, 17]);
    assert_eq!(place.seconds(GetFlowsRequest { number: 2, ..since.clone() }).await, [16, 17]);
    assert_eq!(place.seconds(GetFlowsRequest { number: 4, first: true, ..since }).await, [12, 13, 14, 15]);
    // Set back for good.
    place.see(1, 3);
    assert_eq!(
        place.seconds(GetFlowsRequest { since: at(12), ..request() }).await,
        [12, 13, 14, 9000, 9001, 15, 16, 17, 18, 19]
    );
}

/// A history with flows of the seconds from `first` on, as a run numbered them.
fn keep(history: &mut History, run: Run, sequence: u64, first: u64, count: u64) {
    let flows: Vec<Flow> = (0..count)
        .map(|nth| {
            let mut flow = flow(first.saturating_add(nth));
            flow.id = FlowId { run, sequence: sequence.saturating_add(nth) };
            flow
        })
        .collect();
    history.append(&flows);
    history.flush().expect("they are kept");
}

/// What has left memory may be younger than what is there, and is found by its time all the same.
#[tokio::test]
async fn a_clock_that_is_set_back_hides_nothing_of_the_history() {
    const NOON: u64 = 4_102_488_000;
    const NINE: u64 = NOON - 3 * 3600;
    let noon = i64::try_from(NOON).expect("small");
    let nine = i64::try_from(NINE).expect("small");
    let folder = tempfile::tempdir().expect("a folder");
    let mut history = History::open(folder.path(), Run::new(1), Settings::default()).expect("a history");
    // Of an earlier run, at whose end the clock was an hour ahead.
    keep(&mut history, Run::new(9), 500, NOON + 3600, 3);
    let mut place = Place::with(10, Some(history.reader()), None, Vec::new()).await;
    // Thirty at noon, of which none is in memory any more when the clock was set back by hours and ten more came.
    keep(&mut history, Run::new(1), 0, NOON, 30);
    place.see(NOON, 30);
    keep(&mut history, Run::new(1), 30, NINE, 10);
    place.see(NINE, 10);
    let seconds = |from: i64, count: i64| from..from + count;
    let since = |second| GetFlowsRequest { since: at(second), ..request() };
    let earlier: Vec<i64> = seconds(noon + 3600, 3).collect();
    let all: Vec<i64> = seconds(noon, 30).chain(seconds(noon + 3600, 3)).chain(seconds(nine, 10)).collect();
    assert_eq!(place.seconds(since(nine)).await, all, "each once");
    assert_eq!(place.seconds(since(noon + 3600)).await, earlier);
    let rest: Vec<i64> = seconds(noon + 5, 25).chain(earlier.iter().copied()).collect();
    assert_eq!(place.seconds(since(noon + 5)).await, rest, "though memory reaches further back");
    let until = GetFlowsRequest { until: at(noon + 7), ..since(noon + 5) };
    assert_eq!(place.seconds(until).await, seconds(noon + 5, 3).collect::<Vec<_>>());
    let last = GetFlowsRequest { number: 12, ..since(nine) };
    let expected: Vec<i64> = seconds(noon + 3601, 2).chain(seconds(nine, 10)).collect();
    assert_eq!(place.seconds(last).await, expected);
    // Forward again: what came meanwhile is older now, and there.
    keep(&mut history, Run::new(1), 40, NOON + 40, 20);
    place.see(NOON + 40, 20);
    let meanwhile = GetFlowsRequest { until: at(nine + 100), ..since(nine) };
    assert_eq!(place.seconds(meanwhile).await, seconds(nine, 10).collect::<Vec<_>>());
    // What memory has comes behind what it has no more.
    let last: Vec<i64> = earlier.iter().copied().chain(seconds(noon + 55, 5)).collect();
    assert_eq!(place.seconds(since(noon + 55)).await, last);
}
