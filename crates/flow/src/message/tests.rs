use crate::*;
use ciliate_hubble::flow as hubble;
use proptest::{collection::vec, option, prelude::*};
use std::{net::IpAddr, sync::Arc};

fn party() -> impl Strategy<Value = Party> {
    (0..3_u32, 0..400_u32, "[a-z]{0,3}", "[a-z]{0,3}", vec("k8s:[a-z]=[a-z]", 0..3)).prop_map(
        |(endpoint, identity, namespace, pod, labels)| Party {
            endpoint,
            identity,
            cluster: "default".to_owned(),
            namespace,
            workloads: vec![Workload { name: pod.clone(), kind: "Deployment".to_owned() }],
            pod,
            labels,
        },
    )
}

fn end(address: IpAddr) -> impl Strategy<Value = End> {
    (party(), option::of(vec("[a-z]{1,3}\\.com", 1..3))).prop_map(move |(party, names)| End {
        address: Some(address),
        party: Arc::new(party),
        names: names.map(Arc::from),
    })
}

fn transport() -> impl Strategy<Value = Transport> {
    let ports = || (any::<u16>(), any::<u16>());
    prop_oneof![
        Just(Transport::None),
        (ports(), 0..512_u16).prop_map(|((source, destination), flags)| Transport::Tcp {
            source,
            destination,
            flags: TcpFlags(flags)
        }),
        ports().prop_map(|(source, destination)| Transport::Udp { source, destination }),
        (ports(), 0..7).prop_map(|((source, destination), chunk)| Transport::Sctp {
            source,
            destination,
            chunk
        }),
        any::<(u8, u8)>().prop_map(|(kind, code)| Transport::Icmp { kind, code }),
        any::<(u8, u8)>().prop_map(|(kind, code)| Transport::Icmp6 { kind, code }),
    ]
}

fn request() -> impl Strategy<Value = Request> {
    let stage = prop_oneof![Just(Stage::Request), Just(Stage::Response), Just(Stage::Sample)];
    let http = ("[A-Z]{3}", "/[a-z]{0,5}", 0..600_u32).prop_map(|(method, url, code)| {
        let headers = vec![Header { name: "host".to_owned(), value: "a".to_owned() }];
        Content::Http(Http { code, method, url, protocol: "HTTP/1.1".to_owned(), headers })
    });
    let dns = ("[a-z]{1,5}\\.", 0..6_u32, 0..100_u32).prop_map(|(query, rcode, ttl)| {
        let types = vec!["A".to_owned()];
        let observer = "proxy".to_owned();
        let addresses = vec!["10.0.0.1".to_owned()];
        let (cnames, query_types, record_types) = (vec!["b.".to_owned()], types.clone(), types);
        Content::Dns(Dns { query, addresses, ttl, cnames, observer, rcode, query_types, record_types })
    });
    let kafka = ("[a-z]{1,5}", -1..90_i32).prop_map(|(topic, error_code)| {
        let api_key = "produce".to_owned();
        Content::Kafka(Kafka { error_code, api_version: 3, api_key, correlation_id: 7, topic })
    });
    (stage, any::<u64>(), prop_oneof![http, dns, kafka, Just(Content::Other)])
        .prop_map(|(stage, latency, content)| Request { stage, latency, content })
}

fn judgement() -> impl Strategy<Value = Arc<Judgement>> {
    let outcome = prop_oneof![Just(Outcome::Allowed), Just(Outcome::Denied)];
    (outcome, vec("[a-z]{1,4}", 1..3), any::<u64>()).prop_map(|(outcome, names, revision)| {
        let policy = |name| PolicyRef {
            kind: "CiliumNetworkPolicy".to_owned(),
            namespace: "default".to_owned(),
            name,
            labels: vec!["k8s:x=y".to_owned()],
            revision,
            section: "spec.ingress[0]".to_owned(),
        };
        Arc::new(Judgement { outcome, by: names.into_iter().map(policy).collect() })
    })
}

fn event() -> impl Strategy<Value = (Event, Verdict)> {
    use TraceObservationPoint::*;
    let reasons = prop_oneof![Just(DropReason::PolicyDenied), Just(DropReason::PolicyDeny)];
    let points = prop_oneof![Just(ToEndpoint), Just(ToStack), Just(FromEndpoint), Just(ToProxy)];
    prop_oneof![
        reasons.clone().prop_map(|reason| (Event::Drop(reason), Verdict::Dropped)),
        points.prop_map(|point| (Event::Trace(point, TraceReason::Established), Verdict::Forwarded)),
        option::of(reasons).prop_map(|reason| (Event::PolicyVerdict(reason), Verdict::Audit)),
        Just((Event::Request, Verdict::Forwarded)),
        Just((Event::Other(EventType { kind: EventType::CAPTURE, sub: 4 }), Verdict::Unknown)),
    ]
}

pub fn flow() -> impl Strategy<Value = Flow> {
    let pair = prop_oneof![Just(("10.0.0.1", "10.0.0.2")), Just(("fd00::1", "fd00::2")),];
    let ends = pair.prop_flat_map(|(source, destination)| {
        (end(source.parse().unwrap()), end(destination.parse().unwrap()))
    });
    let what = (event(), transport(), option::of(request()));
    let judged = (option::of(judgement()), option::of(judgement()), 0..7_u32);
    let answer = prop_oneof![Just(Answer::No), Just(Answer::Yes), Just(Answer::Unknown)];
    let rare = option::of((1..u16::MAX, "[a-f0-9]{4}").prop_map(|(proxy_port, trace_id)| {
        Box::new(Rare {
            proxy_port,
            trace_id,
            source_translated: Some("192.0.2.1".parse().unwrap()),
            ..Rare::default()
        })
    }));
    (any::<u64>(), 0..1_u64 << 62, any::<u64>(), ends, what, judged, answer, rare).prop_map(
        |(run, sequence, time, (source, destination), (event, transport, request), judged, answer, rare)| {
            Flow {
                id: FlowId { run: Run::new(run), sequence },
                time: Time(time),
                node: Arc::new(Node { name: "node-1".to_owned(), labels: vec!["zone=a".to_owned()] }),
                source,
                destination,
                event: event.0,
                verdict: event.1,
                direction: TrafficDirection::Egress,
                answer,
                transport,
                interface: Some(Arc::new(Interface { index: 3, name: "eth0".to_owned() })),
                egress: judged.0,
                ingress: judged.1,
                match_type: MatchType::from_number(judged.2),
                request: request.map(Box::new),
                rare,
            }
        },
    )
}

proptest! {
    /// Nothing that filters look at is lost on the way to another process, as a message or as JSON.
    #[test]
    fn a_flow_goes_there_and_back(flow in flow()) {
        let message = flow.to_message();
        prop_assert_eq!(&Flow::from_message(&message).unwrap(), &flow);
        let json = serde_json::to_string(&message).unwrap();
        let read: hubble::Flow = serde_json::from_str(&json).unwrap();
        prop_assert_eq!(read, message, "{}", json);
    }
}

#[test]
fn what_is_wrong_in_a_message_is_named() {
    let ip = hubble::Ip { source: "10.0.0.x".to_owned(), ..hubble::Ip::default() };
    let error = Flow::from_message(&hubble::Flow { ip: Some(ip), ..hubble::Flow::default() }).unwrap_err();
    assert_eq!(error.to_string(), "IP.source is \"10.0.0.x\", which is not an address");
}

#[test]
fn summaries_say_what_people_look_for() {
    let message =
        Flow { transport: Transport::Tcp { source: 1, destination: 2, flags: TcpFlags(0b1_0010) }, ..bare() };
    assert_eq!(message.summary(), "TCP Flags: SYN, ACK");
    let request = |stage, content| Flow {
        request: Some(Box::new(Request { stage, latency: 3_200_000, content })),
        ..bare()
    };
    let http = || Http {
        code: 403,
        method: "PUT".to_owned(),
        url: "http://deathstar/v1/exhaust-port".to_owned(),
        protocol: "HTTP/1.1".to_owned(),
        headers: Vec::new(),
    };
    assert_eq!(
        request(Stage::Request, Content::Http(http())).summary(),
        "HTTP/1.1 PUT http://deathstar/v1/exhaust-port"
    );
    assert_eq!(
        request(Stage::Response, Content::Http(http())).summary(),
        "HTTP/1.1 403 3ms (PUT http://deathstar/v1/exhaust-port)"
    );
    let dns = Dns {
        query: "api.twitter.com.".to_owned(),
        addresses: vec!["10.0.0.5".to_owned()],
        ttl: 30,
        observer: "proxy".to_owned(),
        query_types: vec!["A".to_owned()],
        ..Dns::default()
    };
    assert_eq!(request(Stage::Request, Content::Dns(dns.clone())).summary(), "DNS Query api.twitter.com. A");
    assert_eq!(
        request(Stage::Response, Content::Dns(dns)).summary(),
        "DNS Answer \"10.0.0.5\" TTL: 30 (Proxy api.twitter.com. A)"
    );
}

fn bare() -> Flow {
    Flow::from_message(&hubble::Flow::default()).unwrap()
}

/// Users find every field in the description: what it holds, or why it is empty.
#[test]
fn every_field_is_described() {
    const DOCUMENT: &str = include_str!("../../../../docs/observe.md");
    let (_, schema) = DOCUMENT.split_once("## Flow schema").unwrap();
    let pool = crate::mask::POOL.as_ref().unwrap();
    let words: std::collections::BTreeSet<&str> =
        schema.split(|letter: char| !letter.is_alphanumeric() && letter != '_').collect();
    for message in ["Flow", "Layer4", "Layer7", "Endpoint", "Policy", "HTTP", "DNS", "Kafka", "IP"] {
        for field in pool.get_message_by_name(&format!("flow.{message}")).unwrap().fields() {
            let name = field.name();
            assert!(words.contains(name), "docs/observe.md says nothing of {name} of {message}");
        }
    }
}
