use super::*;
use crate::selection::Selection;
use ciliate_flow::{Flow, Node, Time};
use ciliate_observer::log::Lost;
use ciliate_transport::HostPort;
use serde_json::json;
use std::sync::Arc;

fn target(form: Form) -> SyslogTarget {
    let address = HostPort { host: "localhost".to_owned(), port: 1 };
    SyslogTarget {
        route: SyslogRoute::Udp(address),
        facility: Facility::LOCAL0,
        app_name: "ciliate".to_owned(),
        form,
    }
}

fn message(form: Form, entry: &Entry, mask: &[&str]) -> String {
    let node = Arc::new(Node { name: "cluster a/n1".to_owned(), labels: Vec::new() });
    let mask: Vec<_> = mask.iter().map(|path| (*path).to_owned()).collect();
    let shape = Shape { selection: Selection::new(&[], &[], &mask).unwrap(), node };
    let mut bytes = Vec::new();
    Encoder::new(&target(form)).encode(entry, &shape, &mut bytes).unwrap();
    String::from_utf8(bytes).unwrap()
}

#[test]
fn messages_say_what_a_flow_is() {
    let flow = Entry::Flow(
        Flow::from_message(
            &serde_json::from_value(json!({
                "time": "2024-01-01T10:00:00.123456789Z", "verdict": "DROPPED", "drop_reason_desc": "POLICY_DENIED", "node_name": "n 1",
                "event_type": {"type": 1}, "IP": {"source": "10.0.0.1", "destination": "10.0.0.2", "ipVersion": "IPv4"},
                "l4": {"TCP": {"source_port": 4000, "destination_port": 80}}, "traffic_direction": "INGRESS",
                "source": {"namespace": "demo", "pod_name": "a\"b]\\c", "identity": 7},
                "ingress_denied_by": [{"name": "deny", "namespace": "demo"}],
            }))
            .unwrap(),
        )
        .unwrap(),
    );
    assert_eq!(
        message(Form::Json, &flow, &["verdict"]),
        "<132>1 2024-01-01T10:00:00.123456Z n_1 ciliate - drop - {\"flow\":{\"verdict\":\"DROPPED\"}}"
    );
    let structured = Form::Structured(StructuredId::read("flow@1.2").unwrap());
    let text = message(structured.clone(), &flow, &[]);
    let (head, rest) = text.split_once(" uuid=").unwrap();
    assert_eq!(head, "<132>1 2024-01-01T10:00:00.123456Z n_1 ciliate - drop [flow@1.2");
    assert!(
        rest.ends_with(concat!(
            " verdict=\"DROPPED\" direction=\"INGRESS\" drop_reason=\"POLICY_DENIED\" protocol=\"TCP\"",
            " source_address=\"10.0.0.1\" source_port=\"4000\" source_namespace=\"demo\" source_pod=\"a\\\"b\\]\\\\c\" source_identity=\"7\"",
            " destination_address=\"10.0.0.2\" destination_port=\"80\" policies=\"demo/deny\"]",
            " demo/a\"b]\\c:4000 -> 10.0.0.2:80 TCP DROPPED"
        )),
        "{rest}"
    );
    let lost = Entry::Lost(Lost { count: 3, first: Some(Time(0)), last: Some(Time(1_000_000_000)) });
    assert_eq!(
        message(structured, &lost, &[]),
        "<132>1 1970-01-01T00:00:01.000000Z cluster_a/n1 ciliate - lost [flow@1.2 lost=\"3\"] 3 flows are missing here"
    );
}

#[test]
fn names_are_checked() {
    assert!(Facility::read("23").is_ok() && Facility::read("24").is_err());
    for wrong in ["flow", "@1", "a b@1", "a@", "a@x", "abcdefghijklmnopqrstuvwxyzabcdef@1"] {
        assert!(StructuredId::read(wrong).is_err(), "{wrong}");
    }
}
