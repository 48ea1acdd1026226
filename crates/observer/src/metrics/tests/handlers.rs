//! Every handler and option against fixed flows.

use super::{parse, shown};
use serde_json::{Value, json};

fn dns(more: Value) -> Value {
    let mut flow = json!({
        "event_type": {"type": 129}, "l4": {"UDP": {"source_port": 4000, "destination_port": 53}},
        "l7": {"type": "REQUEST", "dns": {"query": "a.example.", "qtypes": ["A"]}},
    });
    for (name, value) in more.as_object().unwrap() {
        flow[name] = value.clone();
    }
    flow
}

#[test]
fn dns_counts_queries_answers_and_records() {
    let answer = |dns| json!({"type": "RESPONSE", "dns": dns});
    let flows = [
        dns(json!({})),
        dns(json!({"verdict": "DROPPED"})),
        dns(json!({"l7": {"type": "REQUEST", "dns": {"query": "a.example.", "qtypes": ["AAAA"]}}})),
        dns(
            json!({"is_reply": true, "l7": answer(json!({"query": "a.example.", "qtypes": ["A"], "ips": ["1.1.1.1", "1.0.0.1"],
            "rrtypes": ["CNAME", "A"]}))}),
        ),
        dns(
            json!({"is_reply": true, "l7": answer(json!({"query": "b.", "qtypes": ["A", "AAAA"], "rcode": 3}))}),
        ),
        json!({}),
    ];
    assert_eq!(
        shown("dns", &flows),
        [
            "hubble_dns_queries_total{rcode=\"\",qtypes=\"A\",ips_returned=\"0\"} 1",
            "hubble_dns_queries_total{rcode=\"\",qtypes=\"AAAA\",ips_returned=\"0\"} 1",
            "hubble_dns_queries_total{rcode=\"Policy denied\",qtypes=\"A\",ips_returned=\"0\"} 1",
            "hubble_dns_responses_total{rcode=\"No Error\",qtypes=\"A\",ips_returned=\"2\"} 1",
            "hubble_dns_responses_total{rcode=\"Non-Existent Domain\",qtypes=\"A,AAAA\",ips_returned=\"0\"} 1",
            "hubble_dns_response_types_total{type=\"A\",qtypes=\"A\"} 1",
            "hubble_dns_response_types_total{type=\"CNAME\",qtypes=\"A\"} 1",
        ]
    );
    assert_eq!(
        shown("dns:query;ignoreAAAA;destinationContext=pod", &flows[2..5]),
        [
            "hubble_dns_responses_total{destination=\"shop/web-7f\",rcode=\"No Error\",qtypes=\"A\",ips_returned=\"2\",query=\"a.example.\"} 1",
            "hubble_dns_responses_total{destination=\"shop/web-7f\",rcode=\"Non-Existent Domain\",qtypes=\"A,AAAA\",ips_returned=\"0\",query=\"b.\"} 1",
            "hubble_dns_response_types_total{destination=\"shop/web-7f\",type=\"A\",qtypes=\"A\",query=\"a.example.\"} 1",
            "hubble_dns_response_types_total{destination=\"shop/web-7f\",type=\"CNAME\",qtypes=\"A\",query=\"a.example.\"} 1",
        ]
    );
}

#[test]
fn drops_by_reason_and_flows_by_kind() {
    let drop = |reason| json!({"verdict": "DROPPED", "event_type": {"type": 1}, "drop_reason_desc": reason});
    let flows = [
        drop("POLICY_DENIED"),
        drop("CT_MAP_INSERTION_FAILED"),
        drop("POLICY_DENIED"),
        json!({"event_type": {"type": 5, "sub_type": 1}, "l4": null}),
        dns(json!({"verdict": "DROPPED"})),
        json!({"event_type": {"type": 129}, "l7": {"type": "REQUEST", "kafka": {"topic": "t"}}}),
        json!({"event_type": {"type": 129}, "l7": {"type": "REQUEST"}}),
        json!({"event_type": {"type": 3}, "l4": {"ICMPv6": {"type": 128}}}),
        json!({"event_type": {"type": 130}}),
        json!({"trace_observation_point": "FROM_PROXY", "l4": {"SCTP": {"source_port": 1, "destination_port": 2}}}),
        json!({"verdict": "REDIRECTED", "trace_observation_point": "TO_PROXY", "l4": {"UDP": {}}}),
    ];
    assert_eq!(
        shown("drop flow", &flows),
        [
            "hubble_drop_total{reason=\"CT_MAP_INSERTION_FAILED\",protocol=\"TCP\"} 1",
            "hubble_drop_total{reason=\"DROP_REASON_UNKNOWN\",protocol=\"DNS\"} 1",
            "hubble_drop_total{reason=\"POLICY_DENIED\",protocol=\"TCP\"} 2",
            "hubble_flows_processed_total{protocol=\"DNS\",type=\"L7\",subtype=\"DNS\",verdict=\"DROPPED\"} 1",
            "hubble_flows_processed_total{protocol=\"ICMPv6\",type=\"Capture\",subtype=\"\",verdict=\"FORWARDED\"} 1",
            "hubble_flows_processed_total{protocol=\"Kafka\",type=\"L7\",subtype=\"\",verdict=\"FORWARDED\"} 1",
            "hubble_flows_processed_total{protocol=\"SCTP\",type=\"Trace\",subtype=\"from-proxy\",verdict=\"FORWARDED\"} 1",
            "hubble_flows_processed_total{protocol=\"TCP\",type=\"Drop\",subtype=\"\",verdict=\"DROPPED\"} 3",
            "hubble_flows_processed_total{protocol=\"UDP\",type=\"Trace\",subtype=\"to-proxy\",verdict=\"REDIRECTED\"} 1",
            "hubble_flows_processed_total{protocol=\"Unknown L4\",type=\"PolicyVerdict\",subtype=\"\",verdict=\"FORWARDED\"} 1",
            "hubble_flows_processed_total{protocol=\"Unknown L7\",type=\"L7\",subtype=\"\",verdict=\"FORWARDED\"} 1",
            "hubble_flows_processed_total{protocol=\"Unknown flow\",type=\"Unknown\",subtype=\"130\",verdict=\"FORWARDED\"} 1",
        ]
    );
}

#[test]
fn tcp_flags_icmp_types_sctp_chunks_and_ports() {
    let tcp = |flags| json!({"TCP": {"source_port": 1, "destination_port": 443, "flags": flags}});
    let icmp = |kind, code| json!({"l4": {"ICMPv4": {"type": kind, "code": code}}});
    let icmp6 = |kind, code| {
        json!({"l4": {"ICMPv6": {"type": kind, "code": code}},
                                   "IP": {"source": "fd00::1", "destination": "fd00::2", "ipVersion": "IPv6"}})
    };
    let flows = [
        json!({"l4": tcp(json!({"SYN": true}))}),
        json!({"l4": tcp(json!({"SYN": true, "ACK": true})), "is_reply": true}),
        json!({"l4": tcp(json!({"FIN": true, "RST": true})), "verdict": "REDIRECTED",
               "IP": {"source": "fd00::1", "destination": "fd00::2", "ipVersion": "IPv6"}}),
        json!({"l4": tcp(json!({"ACK": true}))}),
        json!({"l4": tcp(json!({"SYN": true})), "verdict": "DROPPED"}),
        icmp(8, 0),
        icmp(3, 3),
        icmp(3, 99),
        icmp(0, 4),
        icmp(77, 1),
        icmp6(1, 4),
        icmp6(135, 0),
        json!({"l4": {"SCTP": {"source_port": 9, "destination_port": 38412, "chunk_type": "INIT_ACK"}}}),
        json!({"l4": {"SCTP": {"source_port": 9, "destination_port": 38412}}, "is_reply": null}),
    ];
    assert_eq!(
        shown("tcp icmp sctp port-distribution", &flows),
        [
            "hubble_tcp_flags_total{flag=\"FIN\",family=\"IPv6\"} 1",
            "hubble_tcp_flags_total{flag=\"RST\",family=\"IPv6\"} 1",
            "hubble_tcp_flags_total{flag=\"SYN\",family=\"IPv4\"} 1",
            "hubble_tcp_flags_total{flag=\"SYN-ACK\",family=\"IPv4\"} 1",
            "hubble_icmp_total{family=\"IPv4\",type=\"77(1)\"} 1",
            "hubble_icmp_total{family=\"IPv4\",type=\"DestinationUnreachable(Code: 99)\"} 1",
            "hubble_icmp_total{family=\"IPv4\",type=\"DestinationUnreachable(Port)\"} 1",
            "hubble_icmp_total{family=\"IPv4\",type=\"EchoReply(Code: 4)\"} 1",
            "hubble_icmp_total{family=\"IPv4\",type=\"EchoRequest\"} 1",
            "hubble_icmp_total{family=\"IPv6\",type=\"DestinationUnreachable(PortUnreachable)\"} 1",
            "hubble_icmp_total{family=\"IPv6\",type=\"NeighborSolicitation\"} 1",
            "hubble_sctp_chunk_types_total{chunk_type=\"INIT_ACK\",family=\"IPv4\"} 1",
            "hubble_port_distribution_total{protocol=\"ICMPv4\",port=\"0\"} 5",
            "hubble_port_distribution_total{protocol=\"ICMPv6\",port=\"0\"} 2",
            "hubble_port_distribution_total{protocol=\"SCTP\",port=\"38412\"} 1",
            "hubble_port_distribution_total{protocol=\"TCP\",port=\"443\"} 3",
        ]
    );
}

#[test]
fn flows_to_the_world_with_each_option() {
    let world = |more: Value| {
        let mut flow = json!({"destination": {"identity": 2, "labels": ["reserved:world"]}});
        for (name, value) in more.as_object().unwrap() {
            flow[name] = value.clone();
        }
        flow
    };
    let drop = |reason| json!({"verdict": "DROPPED", "event_type": {"type": 1}, "drop_reason_desc": reason});
    let flows = [
        json!({}),
        world(json!({})),
        world(
            json!({"destination": {"labels": ["reserved:world-ipv6"]}, "l4": {"UDP": {"destination_port": 53}}}),
        ),
        world(json!({"is_reply": true})),
        world(drop("POLICY_DENIED")),
        world(drop("INVALID_SOURCE_IP")),
        world(json!({"l4": null})),
        world(json!({"l4": {"ICMPv4": {"type": 8}}})),
    ];
    let row = |labels: &str, count| format!("hubble_flows_to_world_total{{{labels}}} {count}");
    assert_eq!(
        shown("flows-to-world", &flows),
        [
            row("protocol=\"ICMPv4\",verdict=\"FORWARDED\"", 1),
            row("protocol=\"TCP\",verdict=\"DROPPED\"", 1),
            row("protocol=\"TCP\",verdict=\"FORWARDED\"", 1),
            row("protocol=\"UDP\",verdict=\"FORWARDED\"", 1),
        ]
    );
    assert_eq!(
        shown("flows-to-world:any-drop;port", &flows),
        [
            row("protocol=\"ICMPv4\",verdict=\"FORWARDED\",port=\"\"", 1),
            row("protocol=\"TCP\",verdict=\"DROPPED\",port=\"80\"", 2),
            row("protocol=\"TCP\",verdict=\"FORWARDED\",port=\"80\"", 1),
            row("protocol=\"UDP\",verdict=\"FORWARDED\",port=\"53\"", 1),
        ]
    );
    assert_eq!(
        shown("flows-to-world:syn-only", &flows),
        [row("protocol=\"TCP\",verdict=\"DROPPED\"", 1), row("protocol=\"TCP\",verdict=\"FORWARDED\"", 1),]
    );
}

#[test]
fn policy_verdicts_and_what_proxies_said() {
    let asked = |kind: u32, verdict: &str| {
        json!({"event_type": {"type": 5, "sub_type": 1}, "policy_match_type": kind, "verdict": verdict,
               "traffic_direction": "INGRESS"})
    };
    let mut from_host = asked(1, "FORWARDED");
    from_host["source"] = json!({"identity": 1});
    let flows = [
        asked(1, "FORWARDED"),
        asked(2, "REDIRECTED"),
        asked(0, "DROPPED"),
        asked(0, "AUDIT"),
        from_host,
        dns(json!({})),
        json!({}),
    ];
    assert_eq!(
        shown("policy", &flows),
        [
            "hubble_policy_verdicts_total{direction=\"egress\",match=\"l7/dns\",action=\"forwarded\"} 1",
            "hubble_policy_verdicts_total{direction=\"ingress\",match=\"l3-l4\",action=\"redirected\"} 1",
            "hubble_policy_verdicts_total{direction=\"ingress\",match=\"l3-only\",action=\"forwarded\"} 1",
            "hubble_policy_verdicts_total{direction=\"ingress\",match=\"none\",action=\"audit\"} 1",
            "hubble_policy_verdicts_total{direction=\"ingress\",match=\"none\",action=\"dropped\"} 1",
        ]
    );
}

#[test]
fn http_in_both_versions_and_kafka() {
    let http = |kind: &str| {
        json!({"event_type": {"type": 129}, "traffic_direction": "EGRESS", "is_reply": kind == "RESPONSE",
               "l7": {"type": kind, "latency_ns": "2000000000",
                      "http": {"code": 503, "method": "GET", "protocol": "HTTP/2"}}})
    };
    let flows = [http("REQUEST"), http("REQUEST"), http("RESPONSE"), http("SAMPLE"), dns(json!({}))];
    let without_buckets = |rows: Vec<String>| -> Vec<String> {
        rows.into_iter().filter(|row| !row.contains("_bucket")).collect()
    };
    assert_eq!(
        without_buckets(shown("http:sourceContext=namespace", &flows)),
        [
            "hubble_http_requests_total{source=\"demo\",method=\"GET\",protocol=\"HTTP/2\",reporter=\"client\"} 2",
            "hubble_http_responses_total{source=\"demo\",method=\"GET\",protocol=\"HTTP/2\",status=\"503\",reporter=\"client\"} 1",
            "hubble_http_request_duration_seconds_sum{source=\"demo\",method=\"GET\",reporter=\"client\"} 2",
            "hubble_http_request_duration_seconds_count{source=\"demo\",method=\"GET\",reporter=\"client\"} 1",
        ]
    );
    assert_eq!(
        without_buckets(shown("httpV2:sourceContext=namespace", &flows)),
        [
            "hubble_http_requests_total{source=\"shop\",method=\"GET\",protocol=\"HTTP/2\",status=\"503\",reporter=\"client\"} 1",
            "hubble_http_request_duration_seconds_sum{source=\"shop\",method=\"GET\",reporter=\"client\"} 2",
            "hubble_http_request_duration_seconds_count{source=\"shop\",method=\"GET\",reporter=\"client\"} 1",
        ]
    );
    let kafka = |kind: &str| {
        json!({"event_type": {"type": 129}, "traffic_direction": "INGRESS",
               "l7": {"type": kind, "latency_ns": "1000000",
                      "kafka": {"api_key": "produce", "topic": "orders", "error_code": 29}}})
    };
    assert_eq!(
        without_buckets(shown("kafka", &[kafka("REQUEST"), kafka("RESPONSE")])),
        [
            "hubble_kafka_requests_total{topic=\"orders\",api_key=\"produce\",error_code=\"29\",reporter=\"server\"} 1",
            "hubble_kafka_request_duration_seconds_sum{topic=\"orders\",api_key=\"produce\",reporter=\"server\"} 0.001",
            "hubble_kafka_request_duration_seconds_count{topic=\"orders\",api_key=\"produce\",reporter=\"server\"} 1",
        ]
    );
}

/// The labels that a context adds to `hubble_tcp_flags_total`.
fn labels(options: &str, flow: Value) -> String {
    let [row] = <[String; 1]>::try_from(shown(&format!("tcp:{options}"), &[flow])).expect("one series");
    let labels = row.strip_prefix("hubble_tcp_flags_total{").unwrap();
    labels.strip_suffix("flag=\"SYN\",family=\"IPv4\"} 1").unwrap().trim_end_matches(',').to_owned()
}

#[test]
fn every_context() {
    for (context, expected) in [
        ("identity", "k8s:app=curl,k8s:team=a"),
        ("namespace", "demo"),
        ("pod", "demo/curl-5d9"),
        ("pod-name", "curl-5d9"),
        ("dns", ""),
        ("ip", "10.0.0.5"),
        ("reserved-identity", ""),
        ("workload", "demo/curl"),
        ("workload-name", "curl"),
        ("app", "curl"),
        ("dns|reserved-identity|IP|pod", "10.0.0.5"),
    ] {
        assert_eq!(
            labels(&format!("sourceContext={context}"), json!({})),
            format!("source=\"{expected}\""),
            "{context}"
        );
    }
    let world = || {
        json!({"destination": {"labels": ["reserved:world", "reserved:kube-apiserver"]},
               "destination_names": ["a.example", "b.example"]})
    };
    for (context, expected) in [
        ("dns|ip", "a.example,b.example"),
        ("reserved-identity", "reserved:kube-apiserver"),
        ("pod|workload|app|namespace|ip", "10.0.0.6"),
    ] {
        let shown = labels(&format!("destinationContext={context}"), world());
        assert_eq!(shown, format!("destination=\"{expected}\""), "{context}");
    }
    let options = "sourceContext=ip;sourceEgressContext=pod;sourceIngressContext=namespace;destinationIngressContext=ip";
    let toward = |direction: &str| labels(options, json!({"traffic_direction": direction}));
    assert_eq!(toward("EGRESS"), "source=\"demo/curl-5d9\",destination=\"\"");
    assert_eq!(toward("INGRESS"), "source=\"demo\",destination=\"10.0.0.6\"");
    assert_eq!(toward("TRAFFIC_DIRECTION_UNKNOWN"), "source=\"10.0.0.5\",destination=\"\"");
}

#[test]
fn every_label_of_the_labels_context() {
    let all = "labelsContext=traffic_direction,destination_app,destination_workload_kind,destination_workload,\
               destination_namespace,destination_pod,destination_ip,source_app,source_workload_kind,source_workload,\
               source_namespace,source_pod,source_ip";
    assert_eq!(
        labels(all, json!({})),
        "source_ip=\"10.0.0.5\",source_pod=\"curl-5d9\",source_namespace=\"demo\",source_workload=\"curl\",\
         source_workload_kind=\"Deployment\",source_app=\"curl\",destination_ip=\"10.0.0.6\",\
         destination_pod=\"web-7f\",destination_namespace=\"shop\",destination_workload=\"web\",\
         destination_workload_kind=\"StatefulSet\",destination_app=\"web\",traffic_direction=\"egress\""
    );
    let nobody =
        json!({"destination": {}, "source": {"labels": ["k8s:app=x", "k8s:app.kubernetes.io/name=y"]}});
    assert_eq!(
        labels("labelsContext=source_app,destination_app,destination_workload_kind", nobody),
        "source_app=\"y\",destination_workload_kind=\"\",destination_app=\"\""
    );
}

#[test]
fn a_name_of_an_option_may_be_written_in_any_case() {
    assert_eq!(
        parse("dns:QUERY;ignoreaaaa;SourceContext=POD"),
        parse("dns:query=true;ignoreAAAA;sourceContext=pod")
    );
    assert_eq!(parse("dns:query=false"), parse("dns:"));
}
