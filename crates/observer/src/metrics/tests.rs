mod handlers;

use super::{family::Bounds, *};
use crate::log;
use ciliate_flow::{Run, Time};
use serde_json::{Value, json};

const BOUNDS: Bounds = Bounds { series: 1000, ttl: None };

/// A flow as Hubble's JSON has it; `more` replaces fields of a TCP packet that was let through.
fn flow(more: Value) -> Flow {
    let mut message = json!({
        "verdict": "FORWARDED",
        "IP": {"source": "10.0.0.5", "destination": "10.0.0.6", "ipVersion": "IPv4"},
        "l4": {"TCP": {"source_port": 40000, "destination_port": 80, "flags": {"SYN": true}}},
        "source": {"ID": 12, "identity": 4711, "namespace": "demo", "pod_name": "curl-5d9",
                   "labels": ["k8s:app=curl", "k8s:team=a"], "workloads": [{"name": "curl", "kind": "Deployment"}]},
        "destination": {"ID": 13, "identity": 4712, "namespace": "shop", "pod_name": "web-7f",
                        "labels": ["container:k8s-app=web"], "workloads": [{"name": "web", "kind": "StatefulSet"}]},
        "event_type": {"type": 4}, "trace_observation_point": "TO_ENDPOINT",
        "traffic_direction": "EGRESS", "is_reply": false,
    });
    for (name, value) in more.as_object().unwrap() {
        message[name] = value.clone();
    }
    Flow::from_message(&serde_json::from_value(message).unwrap()).unwrap()
}

fn parse(text: &str) -> Config {
    Config::parse(text, BOUNDS).unwrap()
}

/// Metrics that have counted the flows.
fn counted(config: &str, flows: &[Value]) -> (log::Writer<Flow>, Metrics) {
    let (mut writer, log) = log::log(Run::new(1), 10_000);
    let metrics = Metrics::new(&log, parse(config)).unwrap();
    for message in flows {
        let mut flow = flow(message.clone());
        flow.time = Time(1_795_000_000_500_000_000);
        writer.append(flow);
    }
    (writer, metrics)
}

/// Lines of samples, without those of lost events that every scrape has.
fn samples(text: &str) -> Vec<String> {
    let lines = text.lines().filter(|line| !line.starts_with('#') && !line.starts_with("hubble_lost_events"));
    lines.map(str::to_owned).collect()
}

fn shown(config: &str, flows: &[Value]) -> Vec<String> {
    samples(&counted(config, flows).1.text(Format::Text, &[]))
}

#[test]
fn a_scrape_in_both_formats() {
    let flows = [
        json!({"is_reply": true, "event_type": {"type": 129}, "traffic_direction": "INGRESS",
               "trace_context": {"parent": {"trace_id": "4bf92f3577b34da6a3ce929d0e0e4736"}},
               "l7": {"type": "RESPONSE", "latency_ns": "30000000",
                      "http": {"code": 200, "method": "GET", "protocol": "HTTP/1.1", "url": "/"}}}),
        json!({"is_reply": true, "event_type": {"type": 129}, "traffic_direction": "INGRESS",
               "l7": {"type": "RESPONSE", "latency_ns": "12500000000",
                      "http": {"code": 200, "method": "GET", "protocol": "HTTP/1.1", "url": "/"}}}),
    ];
    let (_writer, metrics) = counted("httpV2:exemplars=true;sourceContext=workload-name", &flows);
    let text = "\
# HELP hubble_http_requests_total Count of HTTP requests
# TYPE hubble_http_requests_total counter
hubble_http_requests_total{source=\"web\",method=\"GET\",protocol=\"HTTP/1.1\",status=\"200\",reporter=\"server\"} 2
# HELP hubble_http_request_duration_seconds Histogram of HTTP request duration in seconds
# TYPE hubble_http_request_duration_seconds histogram
hubble_http_request_duration_seconds_bucket{source=\"web\",method=\"GET\",reporter=\"server\",le=\"0.005\"} 0
hubble_http_request_duration_seconds_bucket{source=\"web\",method=\"GET\",reporter=\"server\",le=\"0.01\"} 0
hubble_http_request_duration_seconds_bucket{source=\"web\",method=\"GET\",reporter=\"server\",le=\"0.025\"} 0
hubble_http_request_duration_seconds_bucket{source=\"web\",method=\"GET\",reporter=\"server\",le=\"0.05\"} 1
hubble_http_request_duration_seconds_bucket{source=\"web\",method=\"GET\",reporter=\"server\",le=\"0.1\"} 1
hubble_http_request_duration_seconds_bucket{source=\"web\",method=\"GET\",reporter=\"server\",le=\"0.25\"} 1
hubble_http_request_duration_seconds_bucket{source=\"web\",method=\"GET\",reporter=\"server\",le=\"0.5\"} 1
hubble_http_request_duration_seconds_bucket{source=\"web\",method=\"GET\",reporter=\"server\",le=\"1\"} 1
hubble_http_request_duration_seconds_bucket{source=\"web\",method=\"GET\",reporter=\"server\",le=\"2.5\"} 1
hubble_http_request_duration_seconds_bucket{source=\"web\",method=\"GET\",reporter=\"server\",le=\"5\"} 1
hubble_http_request_duration_seconds_bucket{source=\"web\",method=\"GET\",reporter=\"server\",le=\"10\"} 1
hubble_http_request_duration_seconds_bucket{source=\"web\",method=\"GET\",reporter=\"server\",le=\"+Inf\"} 2
hubble_http_request_duration_seconds_sum{source=\"web\",method=\"GET\",reporter=\"server\"} 12.53
hubble_http_request_duration_seconds_count{source=\"web\",method=\"GET\",reporter=\"server\"} 2
# HELP hubble_lost_events_total Number of lost events
# TYPE hubble_lost_events_total counter
hubble_lost_events_total{source=\"hubble_ring_buffer\"} 0
";
    assert_eq!(metrics.text(Format::Text, &[]), text);
    let exemplar = "# {traceID=\"4bf92f3577b34da6a3ce929d0e0e4736\"}";
    let open = text
        .replace("HELP hubble_http_requests_total", "HELP hubble_http_requests")
        .replace("TYPE hubble_http_requests_total", "TYPE hubble_http_requests")
        .replace("HELP hubble_lost_events_total", "HELP hubble_lost_events")
        .replace("TYPE hubble_lost_events_total", "TYPE hubble_lost_events")
        .replace("reporter=\"server\"} 2\n#", &format!("reporter=\"server\"}} 2 {exemplar} 1 1795000000.500\n#"))
        .replace("_count{source=\"web\",method=\"GET\",reporter=\"server\"} 2 # {traceID=\"4bf92f3577b34da6a3ce929d0e0e4736\"} 1 1795000000.500", "_count{source=\"web\",method=\"GET\",reporter=\"server\"} 2")
        .replace("le=\"0.05\"} 1", &format!("le=\"0.05\"}} 1 {exemplar} 0.03 1795000000.500"))
        .replace("le=\"1\"", "le=\"1.0\"")
        .replace("le=\"5\"", "le=\"5.0\"")
        .replace("le=\"10\"", "le=\"10.0\"");
    assert_eq!(metrics.text(Format::OpenMetrics, &[]), open + "# EOF\n");
}

#[test]
fn series_are_bounded_and_the_rest_is_counted() {
    let to = |port: u16| json!({"l4": {"UDP": {"destination_port": port}}});
    let flows: Vec<_> = (1..=7).map(to).chain([to(1), to(3)]).collect();
    assert_eq!(
        shown("port-distribution:max-series=3 flow", &flows),
        [
            "hubble_port_distribution_total{protocol=\"UDP\",port=\"1\"} 2",
            "hubble_port_distribution_total{protocol=\"UDP\",port=\"2\"} 1",
            "hubble_port_distribution_total{protocol=\"UDP\",port=\"3\"} 2",
            "hubble_flows_processed_total{protocol=\"UDP\",type=\"Trace\",subtype=\"to-endpoint\",verdict=\"FORWARDED\"} 9",
            "hubble_metrics_overflow_total{metric=\"hubble_port_distribution_total\"} 4",
        ]
    );
}

#[test]
fn series_that_are_not_touched_go_after_their_time() {
    let (mut writer, metrics) =
        counted("icmp:ttl=1m tcp", &[json!({"l4": {"ICMPv4": {"type": 8}}}), json!({})]);
    let at = |seconds| {
        let mut counts = metrics.counts();
        assert_eq!(counts.catch_up_at(Tick(seconds)), Rest::None);
        samples(&counts.text(Format::Text, &[]))
    };
    let tcp = "hubble_tcp_flags_total{flag=\"SYN\",family=\"IPv4\"} 1";
    let echo = |count| format!("hubble_icmp_total{{family=\"IPv4\",type=\"EchoRequest\"}} {count}");
    assert_eq!(at(0), [&echo(1), tcp]);
    assert_eq!(at(50), [&echo(1), tcp]);
    writer.append(flow(json!({"l4": {"ICMPv4": {"type": 8}}})));
    assert_eq!(at(55), [&echo(2), tcp]);
    assert_eq!(at(110), [&echo(2), tcp]);
    assert_eq!(at(120), [tcp]);
    writer.append(flow(json!({"l4": {"ICMPv4": {"type": 8}}})));
    assert_eq!(at(121), [&echo(1), tcp]);
}

#[test]
fn another_configuration_keeps_the_series_of_what_stays() {
    let (mut writer, metrics) = counted("tcp drop icmp", &[json!({}), json!({"verdict": "DROPPED"})]);
    let tcp = |count| format!("hubble_tcp_flags_total{{flag=\"SYN\",family=\"IPv4\"}} {count}");
    let drop = "hubble_drop_total{reason=\"DROP_REASON_UNKNOWN\",protocol=\"TCP\"} 1";
    // What came before is counted under the old configuration.
    metrics.configure(parse("tcp:ttl=1h flow drop:sourceContext=ip")).unwrap();
    assert_eq!(samples(&metrics.text(Format::Text, &[])), [tcp(1)]);
    writer.append(flow(json!({})));
    let flows = "hubble_flows_processed_total{protocol=\"TCP\",type=\"Trace\",subtype=\"to-endpoint\",verdict=\"FORWARDED\"} 1";
    assert_eq!(samples(&metrics.text(Format::Text, &[])), [&tcp(2), flows]);
    metrics.configure(parse("drop tcp")).unwrap();
    writer.append(flow(json!({"verdict": "DROPPED"})));
    assert_eq!(samples(&metrics.text(Format::Text, &[])), [drop, &tcp(2)]);
    // Both have metrics of one name, with other labels: nothing is taken over.
    let answer = json!({"event_type": {"type": 129}, "l7": {"type": "RESPONSE", "latency_ns": "1",
                        "http": {"code": 404, "method": "PUT", "protocol": "HTTP/2"}}});
    metrics.configure(parse("http")).unwrap();
    writer.append(flow(answer.clone()));
    assert_eq!(samples(&metrics.text(Format::Text, &[])).len(), 1 + 14);
    metrics.configure(parse("httpV2")).unwrap();
    let duration = samples(&metrics.text(Format::Text, &[]));
    assert_eq!(duration.len(), 14, "{duration:?}");
    metrics.configure(Config::default()).unwrap();
    assert_eq!(samples(&metrics.text(Format::Text, &[])), [""; 0]);
}

#[test]
fn flows_that_were_dropped_from_the_log_are_lost_events() {
    let (mut writer, log) = log::log(Run::new(1), 100);
    let metrics = Metrics::new(&log, parse("tcp")).unwrap();
    for _ in 0..250 {
        writer.append(flow(json!({})));
    }
    metrics.set_lost(LossSource::PerfEventRingBuffer, 3);
    metrics.set_lost(LossSource::ObserverEventsQueue, 4);
    let text = metrics.text(Format::Text, &[]);
    assert_eq!(samples(&text), ["hubble_tcp_flags_total{flag=\"SYN\",family=\"IPv4\"} 100"]);
    let lost = "\
hubble_lost_events_total{source=\"perf_event_ring_buffer\"} 3
hubble_lost_events_total{source=\"observer_events_queue\"} 4
hubble_lost_events_total{source=\"hubble_ring_buffer\"} 150
";
    assert!(text.ends_with(lost), "{text}");
}

#[test]
fn a_document_has_filters() {
    let document = "
metrics:
- name: flow
  contextOptions:
  - name: sourceContext
    values: [dns, pod-name]
  - name: labelsContext
    values: [destination_app, source_ip]
  includeFilters:
  - source_pod: [demo/]
    verdict: [FORWARDED]
  - destination_port: ['53']
  excludeFilters:
  - source_label: [team=b]
- name: dns
  contextOptions:
  - name: query
";
    let (mut writer, log) = log::log(Run::new(1), 100);
    let metrics = Metrics::new(&log, Config::from_document(document, BOUNDS).unwrap()).unwrap();
    for message in [
        json!({}),
        json!({"verdict": "DROPPED"}),
        json!({"verdict": "DROPPED", "l4": {"UDP": {"destination_port": 53}}}),
        json!({"source": {"namespace": "demo", "pod_name": "x", "labels": ["k8s:team=b"]}}),
    ] {
        writer.append(flow(message));
    }
    let labels = "source_ip=\"10.0.0.5\",destination_app=\"web\",source=\"curl-5d9\"";
    let row = |protocol, verdict| {
        let own =
            format!("protocol=\"{protocol}\",type=\"Trace\",subtype=\"to-endpoint\",verdict=\"{verdict}\"");
        format!("hubble_flows_processed_total{{{labels},{own}}} 1")
    };
    assert_eq!(samples(&metrics.text(Format::Text, &[])), [row("TCP", "FORWARDED"), row("UDP", "DROPPED")]);
}

#[tokio::test]
async fn what_runs_counts_without_a_scrape() {
    let (mut writer, log) = log::log(Run::new(1), 3000);
    let metrics = Metrics::new(&log, parse("tcp")).unwrap();
    let running = tokio::spawn(metrics.clone().run(log.clone()));
    for _ in 0..2 {
        for _ in 0..2500 {
            writer.append(flow(json!({})));
        }
        writer.ring();
        let reached = writer_end(&log);
        let caught_up = async {
            while metrics.counts().cursor.sequence() < reached {
                time::sleep(Duration::from_millis(5)).await;
            }
        };
        time::timeout(Duration::from_secs(20), caught_up).await.expect("flows are counted");
    }
    running.abort();
    assert_eq!(
        samples(&metrics.text(Format::Text, &[])),
        ["hubble_tcp_flags_total{flag=\"SYN\",family=\"IPv4\"} 5000"]
    );
}

fn writer_end(log: &log::Log<Flow>) -> u64 {
    log.seen()
}
