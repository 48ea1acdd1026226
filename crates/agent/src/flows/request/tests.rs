use super::*;
use ciliate_proxy::message::{DnsAnswer, HttpVersion, TraceId};

fn access(what: What) -> Access {
    Access {
        time: 9,
        message: Message::Request,
        client: "10.0.0.1:4000".parse().expect("an address"),
        server: "10.0.0.2:80".parse().expect("an address"),
        client_identity: Identity::new(1001),
        server_identity: Identity::new(1002),
        client_endpoint: EndpointId::new(11),
        server_endpoint: EndpointId::new(12),
        transport: 6,
        verdict: message::Verdict::Forwarded,
        direction: Side::Ingress,
        rule: 5,
        closed_by: Vec::new(),
        latency: None,
        what,
    }
}

fn known(name: &str) -> Known {
    let by = vec![PolicyRef { name: name.to_owned(), ..PolicyRef::default() }];
    let judgement = |outcome| Arc::new(Judgement { outcome, by: by.clone() });
    Known {
        view: ciliate_api::RuleView::default(),
        allowed: judgement(Outcome::Allowed),
        denied: judgement(Outcome::Denied),
        match_type: MatchType::L3L4,
    }
}

fn flows(accesses: &[Access]) -> Vec<Flow> {
    let rules = [(5, known("one")), (6, known("two")), (7, known("two"))];
    let rule = |wanted| rules.iter().find(|(number, _)| *number == wanted).map(|(_, known)| known);
    let mut made = Flows::new(Arc::default(), "default");
    let (state, mut flows) = (Arc::new(State::new()), Vec::new());
    for access in accesses {
        made.of_access(&state, access.clone(), rule, |flow| flows.push(flow));
    }
    flows
}

fn content(flow: &Flow) -> &Content {
    &flow.request.as_deref().expect("a request").content
}

fn http(status: Option<u16>) -> What {
    What::Http {
        version: HttpVersion::Http11,
        method: "PUT".to_owned(),
        path: "/v1/exhaust-port?x".to_owned(),
        authority: "deathstar:80".to_owned(),
        status,
        grpc_status: None,
        headers: vec![("a".to_owned(), "b".to_owned())],
        trace: TraceId::of_header(b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"),
    }
}

#[test]
fn a_request_and_its_response_go_opposite_ways() {
    let request = access(http(None));
    let response =
        Access { message: Message::Response, latency: Some(7), what: http(Some(200)), ..request.clone() };
    let flows = flows(&[request, response]);
    let seen: Vec<_> = flows
        .iter()
        .map(|flow| {
            let request = flow.request.as_deref().expect("a request");
            let Content::Http(http) = &request.content else { panic!("{flow:?}") };
            let ends = (flow.source.party.identity, flow.destination.party.identity, flow.transport.ports());
            (ends, flow.answer, request.stage, request.latency, http.code)
        })
        .collect();
    assert_eq!(
        seen,
        [
            ((1001, 1002, Some((4000, 80))), Answer::No, Stage::Request, 0, 0),
            ((1002, 1001, Some((80, 4000))), Answer::Yes, Stage::Response, 7, 200),
        ]
    );
    for flow in &flows {
        let trace = flow.rare.as_deref().map(|rare| rare.trace_id.as_str());
        assert_eq!(trace, Some("4bf92f3577b34da6a3ce929d0e0e4736"));
    }
    let flow = &flows[0];
    let Content::Http(http) = content(flow) else { panic!("{flow:?}") };
    assert_eq!(
        (http.url.as_str(), http.protocol.as_str(), http.method.as_str(), http.headers.len()),
        ("http://deathstar:80/v1/exhaust-port?x", "HTTP/1.1", "PUT", 1)
    );
    assert_eq!(
        (flow.verdict, flow.direction, flow.event),
        (Verdict::Forwarded, TrafficDirection::Ingress, Event::Request)
    );
    let by = flow.ingress.as_deref().expect("a judgement");
    assert_eq!((by.outcome, by.by[0].name.as_str()), (Outcome::Allowed, "one"));
    assert_eq!(flow.egress, None);
}

#[test]
fn a_call_s_status_is_a_header_of_its_response() {
    let mut what = http(Some(200));
    if let What::Http { grpc_status, .. } = &mut what {
        *grpc_status = Some(11);
    }
    let flows = flows(&[Access { message: Message::Response, what, ..access(http(None)) }]);
    let Content::Http(http) = content(&flows[0]) else { panic!("{flows:?}") };
    let headers: Vec<_> = http.headers.iter().map(|header| (&*header.name, &*header.value)).collect();
    assert_eq!(headers, [("a", "b"), ("grpc-status", "11")]);
}

#[test]
fn a_denial_names_the_policies_that_closed_the_door_each_once() {
    let denied = Access {
        verdict: message::Verdict::Denied,
        direction: Side::Egress,
        rule: 0,
        closed_by: vec![5, 6, 7],
        ..access(http(Some(403)))
    };
    let audited = Access { verdict: message::Verdict::Audited, ..denied.clone() };
    let refused = Access {
        verdict: message::Verdict::Refused,
        closed_by: Vec::new(),
        what: What::Malformed { reason: "bare-lf".to_owned() },
        ..denied.clone()
    };
    let flows = flows(&[denied, audited, refused]);
    let seen: Vec<_> = flows
        .iter()
        .map(|flow| {
            assert_eq!(flow.ingress, None);
            let by = flow.egress.as_deref().map(|judgement| {
                assert_eq!(judgement.outcome, Outcome::Denied);
                judgement.by.iter().map(|policy| policy.name.as_str()).collect::<Vec<_>>().join(" ")
            });
            (flow.verdict, by)
        })
        .collect();
    let both = Some("one two".to_owned());
    assert_eq!(seen, [(Verdict::Dropped, both.clone()), (Verdict::Audit, both), (Verdict::Error, None)]);
    assert_eq!(content(&flows[2]), &Content::Malformed("bare-lf".to_owned()));
}

#[test]
fn an_answer_names_what_later_flows_go_to() {
    let site = "192.0.2.7".parse().expect("an address");
    let query = Access {
        transport: 17,
        direction: Side::Egress,
        ..access(What::Dns { name: "api.twitter.com".to_owned(), kind: "A".to_owned(), answer: None })
    };
    let answer = DnsAnswer {
        code: 0,
        addresses: vec![site],
        ttl: 60,
        aliases: vec!["edge.twitter.com".to_owned()],
        kinds: vec!["CNAME".to_owned(), "A".to_owned()],
    };
    let what = What::Dns { name: "api.twitter.com".to_owned(), kind: "A".to_owned(), answer: Some(answer) };
    let answered = Access { message: Message::Response, what, ..query.clone() };
    let request = Access { server: (site, 80).into(), server_endpoint: None, ..access(http(None)) };
    let of_another = Access { client_endpoint: EndpointId::new(13), ..request.clone() };
    let flows = flows(&[query, answered, request, of_another]);
    assert_eq!(flows[0].transport, Transport::Udp { source: 4000, destination: 80 });
    let Content::Dns(asked) = content(&flows[0]) else { panic!("{:?}", flows[0]) };
    assert_eq!((asked.query.as_str(), asked.query_types.join(" ").as_str()), ("api.twitter.com.", "A"));
    let Content::Dns(said) = content(&flows[1]) else { panic!("{:?}", flows[1]) };
    let expected = Dns {
        query: "api.twitter.com.".to_owned(),
        addresses: vec!["192.0.2.7".to_owned()],
        ttl: 60,
        cnames: vec!["edge.twitter.com.".to_owned()],
        observer: "proxy".to_owned(),
        rcode: 0,
        query_types: vec!["A".to_owned()],
        record_types: vec!["CNAME".to_owned(), "A".to_owned()],
    };
    assert_eq!(said, &expected);
    assert_eq!(flows[2].destination.names.as_deref(), Some(&["api.twitter.com".to_owned()][..]));
    assert_eq!(flows[2].source.names, None);
    assert_eq!(flows[3].destination.names, None, "another endpoint has not asked");
}

#[test]
fn a_request_of_kafka_is_a_flow_for_each_topic() {
    let kafka = |topics: &[&str]| What::Kafka {
        api: "Produce".to_owned(),
        version: 9,
        correlation_id: 4,
        client_id: Some("c".to_owned()),
        topics: topics.iter().map(ToString::to_string).collect(),
        error: Some(29),
    };
    let flows =
        flows(&[access(kafka(&["a", "b"])), access(kafka(&[])), access(What::Tls { server_name: None })]);
    let expected = |topic: &str| {
        Content::Kafka(Kafka {
            error_code: 29,
            api_version: 9,
            api_key: "produce".to_owned(),
            correlation_id: 4,
            topic: topic.to_owned(),
        })
    };
    let contents: Vec<_> = flows.iter().map(|flow| content(flow).clone()).collect();
    assert_eq!(contents, [expected("a"), expected("b"), expected(""), Content::Tls(None)]);
}
