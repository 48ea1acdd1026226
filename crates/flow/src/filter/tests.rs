mod naive;

use super::*;
use ciliate_hubble::flow as hubble;
use serde_json::{Value, json};

/// A flow with everything that filters ask about.
fn dns() -> Flow {
    flow(json!({
        "uuid": "00000000-0000-8000-8000-000000000007", "verdict": "DROPPED", "drop_reason_desc": "POLICY_DENIED",
        "IP": {"source": "10.0.0.5", "source_xlated": "192.0.2.7", "destination": "8.8.8.8", "ipVersion": "IPv4",
               "encrypted": true},
        "l4": {"TCP": {"source_port": 40000, "destination_port": 53, "flags": {"SYN": true, "ACK": true}}},
        "source": {"ID": 12, "identity": 4711, "cluster_name": "east", "namespace": "demo", "pod_name": "web-7f",
                   "labels": ["k8s:app=web", "k8s:tier=3", "container:role"],
                   "workloads": [{"name": "web", "kind": "Deployment"}]},
        "destination": {"identity": 2, "labels": ["reserved:world"]},
        "source_service": {"name": "front", "namespace": "demo"},
        "destination_names": ["dns.google", "a_b.example.com"],
        "node_name": "east/node-1.lan", "node_labels": ["zone=a", "io.cilium/egress-gateway="],
        "event_type": {"type": 1, "sub_type": 133}, "traffic_direction": "EGRESS", "is_reply": false,
        "interface": {"index": 4, "name": "eth0"}, "ip_trace_id": {"trace_id": "99"},
        "trace_context": {"parent": {"trace_id": "4bf92f"}},
        "l7": {"type": "REQUEST", "dns": {"query": "api.example.com."}},
    }))
}

fn http() -> Flow {
    flow(json!({
        "uuid": "1cd2f5a4-1a7b-4f58-9d0b-2f8f7a1f9c11", "verdict": "FORWARDED", "event_type": {"type": 129}, "is_reply": true,
        "l7": {"type": "RESPONSE", "http": {"code": 404, "method": "GET", "url": "http://web:8080/page%2F12?q=1",
               "headers": [{"key": "X-Team", "value": "blue"}]}},
    }))
}

fn flow(message: Value) -> Flow {
    Flow::from_message(&serde_json::from_value(message).unwrap()).unwrap()
}

fn filter(message: &Value) -> Result<Filter, FilterError> {
    Filter::new(&[serde_json::from_value(message.clone()).unwrap()], &[])
}

/// Every field, with values that fit and values that do not.
#[test]
fn every_field_asks_its_question() {
    let named = |flags: &[&str]| {
        json!([flags.iter().map(|f| (f.to_string(), true)).collect::<std::collections::BTreeMap<_, _>>()])
    };
    let rows = [
        (
            "uuid",
            json!(["00000000-0000-8000-8000-000000000007"]),
            json!(["1cd2f5a4-1a7b-4f58-9d0b-2f8f7a1f9c11"]),
        ),
        ("source_ip", json!(["1.2.3.4", "10.0.0.0/8"]), json!(["10.0.0.50", "10.0.0.4/32", "fd00::/8"])),
        ("source_ip_xlated", json!(["192.0.2.7"]), json!(["10.0.0.5"])),
        ("destination_ip", json!(["8.8.8.8"]), json!(["10.0.0.5"])),
        ("source_pod", json!(["demo/we"]), json!(["web", "demo/eb", "other/"])),
        ("source_pod", json!(["demo/"]), json!(["dem/"])),
        ("source_pod", json!(["/web"]), json!(["/x"])),
        ("source_fqdn", json!([]), json!(["*"])),
        ("destination_fqdn", json!(["*.google"]), json!(["google", "*.com.*", "g*"])),
        ("destination_fqdn", json!(["A_*.COM."]), json!(["a*com-"])),
        ("source_label", json!(["app=web"]), json!(["app=we", "ap=web", "container:app=web"])),
        ("source_label", json!(["k8s:app in (db, web), !x"]), json!(["app notin (web)", "app!=web"])),
        ("source_label", json!(["tier>2,tier<4"]), json!(["tier>3", "role=x"])),
        ("source_label", json!(["any:role", "none"]), json!(["!role", "k8s:role"])),
        ("destination_label", json!(["reserved:world"]), json!(["reserved:host", "k8s:world"])),
        ("source_service", json!(["demo/front"]), json!(["front"])),
        ("destination_service", json!([]), json!(["demo/front"])),
        ("source_workload", json!([{"name": "web"}]), json!([{"name": "web", "kind": "DaemonSet"}])),
        ("source_workload", json!([{"kind": "Deployment"}]), json!([{"name": "we"}])),
        ("source_cluster_name", json!(["east"]), json!(["eas", "east*"])),
        ("destination_cluster_name", json!([]), json!(["east"])),
        ("destination_pod", json!([]), json!(["demo/web", "/"])),
        ("destination_workload", json!([]), json!([{"name": "web"}])),
        ("traffic_direction", json!(["INGRESS", "EGRESS"]), json!(["INGRESS", "TRAFFIC_DIRECTION_UNKNOWN"])),
        ("verdict", json!(["DROPPED"]), json!(["FORWARDED", "ERROR"])),
        ("drop_reason_desc", json!(["POLICY_DENIED"]), json!(["POLICY_DENY", "DROP_REASON_UNKNOWN"])),
        ("interface", json!([{"name": "eth0"}]), json!([{"name": "eth0", "index": 5}])),
        ("event_type", json!([{"type": 1}]), json!([{"type": 1, "match_sub_type": true, "sub_type": 1}])),
        ("event_type", json!([{"match_sub_type": true, "sub_type": 133}]), json!([{"type": 4}])),
        ("protocol", json!(["TCP"]), json!(["udp", "icmp", "http", "sctp", "kafka"])),
        ("protocol", json!(["dns"]), json!(["icmpv4", "icmpv6", "vrrp", "igmp"])),
        ("source_port", json!(["40000"]), json!(["53", "39999", "40001-65535"])),
        ("destination_port", json!(["80", "50-60"]), json!(["40000"])),
        ("reply", json!([false]), json!([true])),
        ("dns_query", json!(["^api\\.", "x"]), json!(["^example"])),
        ("source_identity", json!([1, 4711]), json!([2])),
        ("destination_identity", json!([2]), json!([4711])),
        ("tcp_flags", named(&["SYN"]), named(&["SYN", "FIN"])),
        ("tcp_flags", named(&[]), named(&["RST"])),
        ("node_name", json!(["node-*"]), json!(["node", "west/node*", "east"])),
        ("node_name", json!(["east/"]), json!(["west/"])),
        ("node_labels", json!(["zone in (a,b)", "x"]), json!(["zone=c"])),
        ("node_labels", json!(["io.cilium/egress-gateway"]), json!(["io.cilium/egress"])),
        ("ip_version", json!(["IPv4"]), json!(["IPv6", "IP_NOT_USED"])),
        ("trace_id", json!(["4bf92f"]), json!(["4bf9"])),
        ("ip_trace_id", json!(["99"]), json!(["98"])),
        ("encrypted", json!([true]), json!([false])),
        (
            "experimental",
            json!({"cel_expression": ["_flow.verdict == Verdict.DROPPED && _flow.IP.source == '10.0.0.5'"]}),
            json!({"cel_expression": ["_flow.l4.UDP.source_port == 5u", "has(_flow.ethernet)"]}),
        ),
        (
            "experimental",
            json!({"cel_expression": ["_flow.source.labels.exists(l, l.startsWith('k8s:')) && has(_flow.l7)"]}),
            json!({"cel_expression": ["_flow.drop_reason_desc == flow.DropReason.POLICY_DENY"]}),
        ),
    ];
    for (field, fits, not) in rows {
        for (value, expected) in [(fits, true), (not, false)] {
            let filter = filter(&json!({ field: value })).unwrap();
            assert_eq!(filter.matches(&dns()), expected, "{field}: {value}");
        }
    }
    for (field, fits, not) in [
        ("http_status_code", json!(["404"]), json!(["403", "5+"])),
        ("http_status_code", json!(["4+"]), json!(["41+"])),
        ("http_method", json!(["put", "get"]), json!(["GE"])),
        (
            "uuid",
            json!(["1cd2f5a4-1a7b-4f58-9d0b-2f8f7a1f9c11"]),
            json!(["1cd2f5a4-1a7b-4f58-9d0b-2f8f7a1f9c12"]),
        ),
        ("http_path", json!(["^/page/\\d+$"]), json!(["^page", "web", "%2F"])),
        ("http_url", json!(["web:8080/.*q=1"]), json!(["^web"])),
        (
            "http_header",
            json!([{"key": "X-Team", "value": "blue"}]),
            json!([{"key": "X-Team", "value": "red"}]),
        ),
        ("http_header", json!([{"key": "X-Team", "value": "blue"}]), json!([{"key": "X-Team"}])),
        ("protocol", json!(["http"]), json!(["dns", "tcp"])),
        ("ip_version", json!(["IP_NOT_USED"]), json!(["IPv4"])),
        ("reply", json!([true]), json!([false])),
    ] {
        for (value, expected) in [(fits, true), (not, false)] {
            let filter = filter(&json!({ field: value })).unwrap();
            assert_eq!(filter.matches(&http()), expected, "{field}: {value}");
            assert!(
                field == "protocol" || field == "ip_version" || field == "reply" || !filter.matches(&dns())
            );
        }
    }
}

#[test]
fn lists_and_fields_combine_as_hubble_says() {
    let read = |messages: &[Value]| -> Vec<hubble::FlowFilter> {
        messages.iter().map(|message| serde_json::from_value(message.clone()).unwrap()).collect()
    };
    let dropped = json!({"verdict": ["DROPPED"]});
    let both = json!({"verdict": ["DROPPED"], "destination_port": ["80"]});
    let http_only = json!({"protocol": ["http"]});
    for (allow, deny, of_dns, of_http) in [
        (vec![], vec![], true, true),
        (vec![json!({})], vec![], true, true),
        (vec![dropped.clone()], vec![], true, false),
        (vec![both.clone()], vec![], false, false),
        (vec![both.clone(), http_only.clone()], vec![], false, true),
        (vec![], vec![dropped.clone()], false, true),
        (vec![], vec![both.clone()], true, true),
        (vec![dropped.clone(), http_only.clone()], vec![http_only.clone()], true, false),
        (vec![], vec![json!({})], false, false),
    ] {
        let filter = Filter::new(&read(&allow), &read(&deny)).unwrap();
        assert_eq!(
            (filter.matches(&dns()), filter.matches(&http())),
            (of_dns, of_http),
            "{allow:?} {deny:?}"
        );
        assert!(!filter.is_everything() || of_dns && of_http);
    }
}

#[test]
fn errors_say_which_filter_and_what_would_be_right() {
    for (message, expected) in [
        (
            json!({"source_ip": ["10.0.0.0/40"]}),
            "whitelist[0].source_ip: \"10.0.0.0/40\" is neither an address nor a prefix such as 10.0.0.0/8",
        ),
        (
            json!({"http_path": ["a", "("]}),
            "whitelist[0].http_path: \"(\" is no regular expression: unclosed group",
        ),
        (
            json!({"source_pod": [""]}),
            "whitelist[0].source_pod: it is empty: write NAMESPACE/PREFIX, NAMESPACE/ or PREFIX",
        ),
        (
            json!({"protocol": ["tpc"]}),
            "whitelist[0].protocol: \"tpc\" is no protocol: write one of tcp, udp,",
        ),
        (json!({"http_status_code": ["6+"]}), "write three digits as in \"404\""),
        (json!({"http_status_code": ["404"], "event_type": [{"type": 4}]}), "add type 129 (l7)"),
        (json!({"destination_port": ["70000"]}), "\"70000\" is neither a port"),
        (json!({"source_fqdn": ["a b"]}), "has the character ' '"),
        (json!({"source_label": ["app in web"]}), "is no set: write (a,b)"),
        (json!({"source_label": ["a=(b"]}), "has a parenthesis without its other half"),
        (json!({"node_name": ["a/b/c"]}), "has more than one '/'"),
        (json!({"uuid": ["x"]}), "\"x\" is no UUID"),
        (json!({"experimental": {"cel_expression": ["_flow.uuid =="]}}), "is no CEL expression"),
        (json!({"experimental": {"cel_expression": ["_flow.uuid"]}}), "is of type string, not bool"),
        (json!({"experimental": {"cel_expression": ["_folw.uuid == ''"]}}), "the unknown name _folw"),
        (
            json!({"experimental": {"cel_expression":
            ["[1].all(a, [1].all(b, [1].all(c, true)))"]}}),
            "more than 2 loops inside each other",
        ),
    ] {
        let error = filter(&message).unwrap_err().to_string();
        assert!(error.contains(expected), "{message}: {error}");
    }
}

#[test]
fn too_much_is_refused() {
    let large =
        hubble::FlowFilter { source_pod: vec!["x".repeat(10 << 20)], ..hubble::FlowFilter::default() };
    let error = Filter::new(&[], std::slice::from_ref(&large)).unwrap_err();
    assert!(matches!(error, FilterError::TooLarge { bytes } if bytes > 10 << 20), "{error}");
    let many = vec![hubble::FlowFilter::default(); MOST_FILTERS + 1];
    let error = Filter::new(&many, &[]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the whitelist has 129 filters, more than the 128 that are taken: join them"
    );
    let nested =
        hubble::FlowFilter { http_url: vec!["(a{1000}){1000}".to_owned()], ..hubble::FlowFilter::default() };
    assert!(Filter::new(&[nested], &[]).unwrap_err().to_string().contains("more than the 262144 bytes"));
}

/// A few letters compile to a quarter of a megabyte: one request would take gigabytes of whoever answers.
#[test]
fn regular_expressions_share_what_memory_they_get() {
    let with = |count, pattern: &str| hubble::FlowFilter {
        http_path: vec![pattern.to_owned(); count],
        ..hubble::FlowFilter::default()
    };
    let error = Filter::new(&[with(200, "a")], &[with(57, "a")]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the filters have 257 regular expressions, more than the 256 that are taken: join them with |"
    );
    let (large, usual) = (r"\w{2}", "^/api/v[0-9]+/users/.*$");
    assert!(Filter::new(&[with(1, large)], &[]).is_ok());
    let error = Filter::new(&[with(256, large)], &[]).unwrap_err().to_string();
    assert!(error.contains("more than the 16384 bytes that are left for each"), "{error}");
    assert!(Filter::new(&[with(256, usual)], &[]).is_ok());
}
