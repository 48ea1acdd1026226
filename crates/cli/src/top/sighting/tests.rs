//! What flows add to the views.

use super::*;
use ciliate_hubble::observer::{GetFlowsResponse, get_flows_response::ResponseTypes};

fn flow(json: &str) -> Flow {
    let answer = format!("{{\"flow\":{json}}}");
    match serde_json::from_str::<GetFlowsResponse>(&answer).unwrap().response_types {
        Some(ResponseTypes::Flow(flow)) => flow,
        other => panic!("{other:?}"),
    }
}

fn seen(json: &str) -> Vec<String> {
    let mut seen = Vec::new();
    sightings(&flow(json), Hosts::Named, |view, Sighting { key, what }| {
        assert_eq!(key.len(), view.keys().len());
        seen.push(format!("{} {} {what:?}", view.name(), key.join("|")));
    });
    seen
}

const ENDS: &str = r#""IP":{"source":"10.0.0.5","destination":"10.0.0.7"},
    "source":{"namespace":"demo","pod_name":"curl"},"destination":{"namespace":"demo","pod_name":"web"}"#;

#[test]
fn a_drop_is_a_talker_too_and_its_verdict_is_none() {
    let tcp = r#""l4":{"TCP":{"source_port":4000,"destination_port":80}},"traffic_direction":"INGRESS""#;
    let drop = format!(
        r#"{{{ENDS},{tcp},"verdict":"DROPPED","event_type":{{"type":1}},"drop_reason_desc":"POLICY_DENIED"}}"#
    );
    assert_eq!(
        seen(&drop),
        [
            "talkers demo/curl|demo/web|80/TCP Dropped",
            "drops Policy denied|demo/curl|demo/web|80/TCP|ingress Dropped"
        ]
    );
    let verdict = format!(
        r#"{{{ENDS},{tcp},"verdict":"DROPPED","event_type":{{"type":5}},"ingress_denied_by":[
           {{"kind":"CiliumNetworkPolicy","namespace":"demo","name":"a"}},{{"name":"b"}}]}}"#
    );
    assert_eq!(
        seen(&verdict),
        ["policies CiliumNetworkPolicy demo/a|ingress Dropped", "policies b|ingress Dropped"]
    );
}

#[test]
fn answers_are_put_the_other_way_round() {
    let answer = r#"{"IP":{"source":"1.1.1.1","destination":"10.0.0.5"},"source_names":["one.example"],
        "l4":{"UDP":{"source_port":53,"destination_port":4000}},"event_type":{"type":4},"is_reply":true,
        "verdict":"FORWARDED"}"#;
    assert_eq!(seen(answer), ["talkers 10.0.0.5|one.example|53/UDP Forwarded"]);
}

#[test]
fn requests_and_their_answers_are_one_row() {
    let http = |stage: &str, code: u32, verdict: &str| {
        format!(
            r#"{{{ENDS},"l4":{{"TCP":{{"source_port":1,"destination_port":80}}}},"verdict":"{verdict}","event_type":{{"type":129}},
            "traffic_direction":"INGRESS","l7":{{"type":"{stage}","latency_ns":3000000,"http":{{"code":{code},"method":"GET","url":"http://web/a?b=c"}}}}}}"#
        )
    };
    let of_http =
        |json: String| seen(&json).into_iter().filter(|one| one.starts_with("http")).collect::<Vec<_>>();
    for (stage, code, verdict, what) in [
        ("REQUEST", 0, "FORWARDED", "Forwarded"),
        ("REQUEST", 403, "DROPPED", "Dropped"),
        ("RESPONSE", 200, "FORWARDED", "Answered { latency: 3000000 }"),
        ("RESPONSE", 404, "FORWARDED", "Failed { latency: 3000000 }"),
        ("RESPONSE", 503, "FORWARDED", "Broken { latency: 3000000 }"),
    ] {
        assert_eq!(of_http(http(stage, code, verdict)), [format!("http GET|web/a {what}")]);
    }
    let refused = seen(&http("REQUEST", 403, "DROPPED"));
    assert!(refused.contains(&"drops Request refused|demo/curl|demo/web|80/TCP|ingress Dropped".to_owned()));
    assert!(refused.contains(&"policies (no policy)|ingress Dropped".to_owned()), "{refused:?}");
    let dns = r#"{"event_type":{"type":129},"l7":{"type":"RESPONSE","dns":{"query":"a.example.","rcode":3,"qtypes":["A"]}}}"#;
    assert!(seen(dns).contains(&"dns a.example|A Failed { latency: 0 }".to_owned()));
}
