//! What is read is what was written, whatever way it took.
#![expect(clippy::unwrap_used, clippy::arithmetic_side_effects, reason = "tests")]

use ciliate_flow::*;
use ciliate_history::{Hint, Hints, History, Order, PodHint, Settings};
use ciliate_types::Protocol;
use proptest::{collection::vec, option, prelude::*, sample::select};
use std::{net::IpAddr, ops::ControlFlow, sync::Arc};

/// 2100-01-01 10:00 UTC.
const START: u64 = 4_102_480_800_000_000_000;
const HOUR: u64 = 3_600_000_000_000;

fn word() -> impl Strategy<Value = String> {
    prop_oneof!["[a-z]{0,3}", "\\PC{0,5}"]
}

fn party() -> impl Strategy<Value = Party> {
    let workload = (word(), word()).prop_map(|(name, kind)| Workload { name, kind });
    (any::<u32>(), any::<u32>(), word(), word(), word(), vec(word(), 0..3), vec(workload, 0..3)).prop_map(
        |(endpoint, identity, cluster, namespace, pod, labels, workloads)| Party {
            endpoint,
            identity,
            cluster,
            namespace,
            pod,
            labels,
            workloads,
        },
    )
}

fn end() -> impl Strategy<Value = End> {
    (option::of(any::<IpAddr>()), party(), option::of(vec(word(), 1..3))).prop_map(
        |(address, party, names)| End { address, party: Arc::new(party), names: names.map(Arc::from) },
    )
}

fn transport() -> impl Strategy<Value = Transport> {
    prop_oneof![
        Just(Transport::None),
        any::<(u16, u16, u16)>().prop_map(|(source, destination, flags)| Transport::Tcp {
            source,
            destination,
            flags: TcpFlags(flags)
        }),
        any::<(u16, u16)>().prop_map(|(source, destination)| Transport::Udp { source, destination }),
        any::<(u16, u16, i32)>().prop_map(|(source, destination, chunk)| Transport::Sctp {
            source,
            destination,
            chunk
        }),
        any::<(u8, u8)>().prop_map(|(kind, code)| Transport::Icmp { kind, code }),
        any::<(u8, u8)>().prop_map(|(kind, code)| Transport::Icmp6 { kind, code }),
        any::<u8>().prop_map(|number| Transport::Other(Protocol::new(number))),
    ]
}

fn request() -> impl Strategy<Value = Request> {
    let header = (word(), word()).prop_map(|(name, value)| Header { name, value });
    let http = (any::<u32>(), word(), word(), word(), vec(header, 0..3)).prop_map(
        |(code, method, url, protocol, headers)| Content::Http(Http { code, method, url, protocol, headers }),
    );
    let list = || vec(word(), 0..3);
    let dns = (word(), list(), any::<u32>(), list(), word(), any::<u32>(), list(), list()).prop_map(
        |(query, addresses, ttl, cnames, observer, rcode, query_types, record_types)| {
            Content::Dns(Dns { query, addresses, ttl, cnames, observer, rcode, query_types, record_types })
        },
    );
    let kafka = (any::<(i32, i32, i32)>(), word(), word()).prop_map(
        |((error_code, api_version, correlation_id), api_key, topic)| {
            Content::Kafka(Kafka { error_code, api_version, api_key, correlation_id, topic })
        },
    );
    let content = prop_oneof![
        http,
        dns,
        kafka,
        option::of(word()).prop_map(Content::Tls),
        word().prop_map(Content::Malformed),
        Just(Content::Other)
    ];
    (select(vec![Stage::Request, Stage::Response, Stage::Sample]), any::<u64>(), content)
        .prop_map(|(stage, latency, content)| Request { stage, latency, content })
}

fn judgement() -> impl Strategy<Value = Arc<Judgement>> {
    let policy = (word(), word(), word(), vec(word(), 0..3), any::<u64>(), word()).prop_map(
        |(kind, namespace, name, labels, revision, section)| PolicyRef {
            kind,
            namespace,
            name,
            labels,
            revision,
            section,
        },
    );
    (select(vec![Outcome::Allowed, Outcome::Denied]), vec(policy, 0..3))
        .prop_map(|(outcome, by)| Arc::new(Judgement { outcome, by }))
}

fn event() -> impl Strategy<Value = Event> {
    let reasons = || select(vec![DropReason::PolicyDenied, DropReason::PolicyDeny, DropReason::Unknown]);
    use TraceObservationPoint::{FromEndpoint, ToEndpoint, ToProxy, ToStack};
    let points = select(vec![ToEndpoint, ToStack, FromEndpoint, ToProxy]);
    let why =
        select(vec![TraceReason::Unknown, TraceReason::New, TraceReason::Established, TraceReason::Reply]);
    prop_oneof![
        reasons().prop_map(Event::Drop),
        (points, why).prop_map(|(point, reason)| Event::Trace(point, reason)),
        option::of(reasons()).prop_map(Event::PolicyVerdict),
        Just(Event::Request),
        any::<(i32, i32)>().prop_map(|(kind, sub)| Event::Other(EventType { kind, sub })),
    ]
}

fn rare() -> impl Strategy<Value = Option<Box<Rare>>> {
    let service = || (word(), word()).prop_map(|(name, namespace)| Service { name, namespace });
    let numbers = any::<(u16, u64, bool)>();
    (option::of(any::<IpAddr>()), service(), service(), numbers, word()).prop_map(
        |(source_translated, source_service, destination_service, numbers, trace_id)| {
            let (proxy_port, ip_trace_id, encrypted) = numbers;
            let rare = Rare {
                source_translated,
                source_service,
                destination_service,
                proxy_port,
                trace_id,
                ip_trace_id,
                encrypted,
            };
            (rare != Rare::default()).then(|| Box::new(rare))
        },
    )
}

fn interface() -> impl Strategy<Value = Arc<Interface>> {
    (1..u32::MAX, word()).prop_map(|(index, name)| Arc::new(Interface { index, name }))
}

/// Any flow of three hours.
fn flow() -> impl Strategy<Value = Flow> {
    use TrafficDirection::{Egress, Ingress};
    let verdicts =
        vec![Verdict::Unknown, Verdict::Forwarded, Verdict::Dropped, Verdict::Audit, Verdict::Redirected];
    let what = (event(), select(verdicts), select(vec![TrafficDirection::default(), Ingress, Egress]));
    let more = (
        select(vec![Answer::No, Answer::Yes, Answer::Unknown]),
        transport(),
        option::of(interface()),
        0..7_u32,
    );
    let judged = (option::of(judgement()), option::of(judgement()));
    let node = (word(), vec(word(), 0..3)).prop_map(|(name, labels)| Arc::new(Node { name, labels }));
    let id = (0..3_u64, any::<u64>(), START..START + 3 * HOUR);
    (id, node, end(), end(), what, more, judged, option::of(request()), rare()).prop_map(
        |((run, sequence, time), node, source, destination, what, more, judged, request, rare)| Flow {
            id: FlowId { run: Run::new(run), sequence },
            time: Time(time),
            node,
            source,
            destination,
            event: what.0,
            verdict: what.1,
            direction: what.2,
            answer: more.0,
            transport: more.1,
            interface: more.2,
            egress: judged.0,
            ingress: judged.1,
            match_type: MatchType::from_number(more.3),
            request: request.map(Box::new),
            rare,
        },
    )
}

fn read(history: &History, hints: &Hints, order: Order) -> Vec<Flow> {
    let mut flows = Vec::new();
    let outcome = history
        .reader()
        .query(hints, order, &mut |flow| {
            flows.push(flow);
            ControlFlow::Continue(())
        })
        .unwrap();
    assert!(outcome.faults.is_empty(), "{:?}", outcome.faults);
    flows
}

fn sorted(mut flows: Vec<Flow>) -> Vec<Flow> {
    // Equal moments and numbers happen in tests.
    flows.sort_by_cached_key(|flow| (flow.time, flow.id.sequence, format!("{flow:?}")));
    flows
}

fn open(directory: &std::path::Path) -> History {
    History::open(directory, Run::new(7), Settings { group_rows: 32, ..Settings::default() }).unwrap()
}

/// By the words of the hints, flow by flow.
fn wanted(flow: &Flow, hint: &Hint) -> bool {
    let end = |end: &End, hint: &ciliate_history::EndHint, port: Option<u16>| {
        let named = |pod: &PodHint| {
            pod.namespace.as_ref().is_none_or(|namespace| *namespace == end.party.namespace)
                && end.party.pod.starts_with(&pod.prefix)
        };
        (hint.pods.is_empty() || hint.pods.iter().any(named))
            && (hint.identities.is_empty() || hint.identities.contains(&end.party.identity))
            && (hint.addresses.is_empty()
                || end.address.is_some_and(|address| hint.addresses.contains(&address)))
            && (hint.ports.is_empty() || port.is_some_and(|port| hint.ports.contains(&port)))
    };
    let ports = flow.transport.ports();
    (hint.verdicts.is_empty() || hint.verdicts.contains(&flow.verdict))
        && end(&flow.source, &hint.source, ports.map(|ports| ports.0))
        && end(&flow.destination, &hint.destination, ports.map(|ports| ports.1))
}

fn hint() -> impl Strategy<Value = Hint> {
    let pod = || {
        (option::of("[a-z]{0,1}"), "[a-z]{0,1}").prop_map(|(namespace, prefix)| PodHint { namespace, prefix })
    };
    let verdicts = vec(select(vec![Verdict::Forwarded, Verdict::Dropped, Verdict::Audit]), 0..3);
    (verdicts, vec(pod(), 0..2), vec(pod(), 0..2)).prop_map(|(verdicts, from, to)| {
        let mut hint = Hint { verdicts, ..Hint::default() };
        hint.source.pods = from;
        hint.destination.pods = to;
        hint
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    /// From the journal, from files of several row groups, after a restart and after merging.
    #[test]
    fn flows_are_read_as_they_were_written(flows in vec(flow(), 1..80)) {
        let directory = tempfile::tempdir().unwrap();
        let expected = sorted(flows.clone());
        let mut history = open(directory.path());
        let (first, second) = flows.split_at(flows.len() / 2);
        for part in [first, second] {
            history.append(part);
            history.tick(std::time::SystemTime::now());
            drop(history);
            history = open(directory.path());
        }
        prop_assert_eq!(&sorted(read(&history, &Hints::default(), Order::OldestFirst)), &expected);
        history.compact().unwrap();
        prop_assert_eq!(&sorted(read(&history, &Hints::default(), Order::OldestFirst)), &expected);
        prop_assert_eq!(history.lost(), 0);
        let notices = history.notices();
        prop_assert!(notices.is_empty(), "{notices:?}");
    }

    /// Hints never leave out what they say, and times are exact; the order is that of time.
    #[test]
    fn what_is_asked_for_comes_in_order(
        flows in vec(flow(), 1..80),
        since in START..START + 3 * HOUR,
        span in 0..2 * HOUR,
        any_of in vec(hint(), 0..3),
    ) {
        let directory = tempfile::tempdir().unwrap();
        let mut history = open(directory.path());
        history.append(&flows);
        history.flush().unwrap();
        let until = since + span;
        let hints = Hints { since: Some(Time(since)), until: Some(Time(until)), any_of };
        let fits = |flow: &Flow| {
            let asked = hints.any_of.is_empty() || hints.any_of.iter().any(|hint| wanted(flow, hint));
            asked && (since..=until).contains(&flow.time.0)
        };
        let found = read(&history, &hints, Order::OldestFirst);
        prop_assert!(found.is_sorted_by_key(|flow| (flow.time, flow.id.sequence)));
        prop_assert!(found.iter().all(|flow| (since..=until).contains(&flow.time.0)));
        let exact = sorted(found.iter().filter(|flow| fits(flow)).cloned().collect());
        prop_assert_eq!(exact, sorted(flows.into_iter().filter(|flow| fits(flow)).collect()));
        let mut back = read(&history, &hints, Order::NewestFirst);
        prop_assert!(back.is_sorted_by_key(|flow| std::cmp::Reverse((flow.time, flow.id.sequence))));
        back = sorted(back);
        prop_assert_eq!(back, sorted(found));
    }
}
