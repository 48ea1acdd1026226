use super::{
    message::{AnyValue, KeyValue, LogRecord, Value},
    *,
};
use crate::selection::Selection;
use ciliate_flow::{Flow, Node};
use serde_json::json;
use std::sync::Arc;

fn shape(mask: &[&str]) -> Shape {
    let node = Arc::new(Node { name: "east/n1".to_owned(), labels: Vec::new() });
    let mask: Vec<_> = mask.iter().map(|path| (*path).to_owned()).collect();
    Shape { selection: Selection::new(&[], &[], &mask).unwrap(), node }
}

fn find<'a>(attributes: &'a [KeyValue], key: &str) -> Option<&'a Value> {
    attributes.iter().find(|one| one.key == key)?.value.as_ref()?.value.as_ref()
}

fn record(mask: &[&str]) -> LogRecord {
    let flow = json!({
        "time": "2024-01-01T10:00:00Z", "verdict": "DROPPED", "drop_reason_desc": "POLICY_DENIED", "is_reply": false, "event_type": {"type": 1},
        "IP": {"source": "10.0.0.1", "destination": "10.0.0.2", "ipVersion": "IPv4"},
        "l4": {"TCP": {"source_port": 4000, "destination_port": 80}},
        "destination": {"namespace": "demo", "pod_name": "web", "identity": 7, "labels": ["k8s:app=web"]},
        "trace_context": {"parent": {"trace_id": "0af7651916cd43dd8448eb211c80319c"}},
        "l7": {"type": "RESPONSE", "http": {"method": "GET", "url": "http://web/", "code": 403, "protocol": "HTTP/1.1"}},
        "ingress_denied_by": [{"name": "deny", "namespace": "demo"}],
    });
    let flow = Flow::from_message(&serde_json::from_value(flow).unwrap()).unwrap();
    attributes::record(&Entry::Flow(flow), &shape(mask)).unwrap()
}

#[test]
fn records_have_the_names_of_the_conventions() {
    let record = record(&[]);
    assert_eq!((record.severity_number, record.severity_text.as_str()), (13, "WARN"));
    assert_eq!(
        (record.time_unix_nano, record.event_name.as_str()),
        (1_704_103_200_000_000_000, "cilium.flow")
    );
    assert_eq!(record.trace_id[..3], [0x0a, 0xf7, 0x65]);
    let text = |text: &str| Value::Text(text.to_owned());
    for (key, value) in [
        ("cilium.verdict", text("DROPPED")),
        ("cilium.drop_reason", text("POLICY_DENIED")),
        ("cilium.is_reply", Value::Bool(false)),
        ("network.transport", text("tcp")),
        ("network.type", text("ipv4")),
        ("network.protocol.name", text("http")),
        ("network.protocol.version", text("1.1")),
        ("source.address", text("10.0.0.1")),
        ("source.port", Value::Int(4000)),
        ("destination.port", Value::Int(80)),
        ("destination.k8s.pod.name", text("web")),
        ("destination.k8s.namespace.name", text("demo")),
        ("cilium.destination.identity", Value::Int(7)),
        ("http.request.method", text("GET")),
        ("http.response.status_code", Value::Int(403)),
        ("url.full", text("http://web/")),
    ] {
        assert_eq!(find(&record.attributes, key), Some(&value), "{key}");
    }
    let denied = find(&record.attributes, "cilium.ingress_denied_by").unwrap();
    assert_eq!(AnyValue::from(denied.clone()), AnyValue::from(json!(["demo/deny"])));
}

#[test]
fn a_mask_leaves_out_attributes_as_well() {
    let record = record(&["verdict"]);
    assert_eq!(record.attributes, [KeyValue::new("cilium.verdict", Value::Text("DROPPED".to_owned()))]);
    assert_eq!(record.body, Some(AnyValue::from(json!({"flow": {"verdict": "DROPPED"}}))));
    assert!(record.trace_id.is_empty());
}

#[test]
fn the_configuration_has_the_last_word_about_the_resource() {
    let shape = shape(&[]);
    let more = [
        ("host.name".to_owned(), "h".to_owned()),
        ("deployment.environment.name".to_owned(), "test".to_owned()),
    ];
    let resource = attributes::resource(&shape.node, &more);
    let keys: Vec<_> = resource.attributes.iter().map(|one| one.key.as_str()).collect();
    assert_eq!(
        keys,
        ["service.name", "service.version", "k8s.cluster.name", "host.name", "deployment.environment.name"]
    );
    assert_eq!(find(&resource.attributes, "host.name"), Some(&Value::Text("h".to_owned())));
}
