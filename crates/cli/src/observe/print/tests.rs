use super::*;
use ciliate_hubble::{
    Timestamp, UInt32Value,
    flow::{
        AgentEvent, AgentEventType, DebugEvent, DebugEventType, Endpoint, EndpointUpdateNotification,
        agent_event::Notification,
    },
    relay::{NodeState, NodeStatusEvent},
};

/// What was recorded, with an answer a line.
fn answers() -> Vec<GetFlowsResponse> {
    let lines = include_str!("../../../tests/observe/flows.json").lines();
    lines.map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn flags(output: Format) -> FormatFlags {
    FormatFlags {
        output,
        print_node_name: false,
        print_policy_names: false,
        time_format: TimeFormat::default(),
    }
}

fn print(printer: &mut Printer) -> String {
    let mut text = String::new();
    for answer in answers() {
        match printer.flows(&answer).unwrap() {
            Output::Flows(more) => text.push_str(&more),
            Output::Notice(notice) => panic!("{notice}"),
        }
    }
    text + &printer.finish()
}

#[test]
fn lines_are_those_of_hubble() {
    let expected = "\
Dec 17 07:07:30.342: demo/curl:44310 (ID:15173) <> 142.250.207.110:443 (world) policy-verdict:none EGRESS DENIED (TCP Flags: SYN)
Dec 17 07:07:30.342: demo/curl:44310 (ID:15173) <> 142.250.207.110:443 (world) Policy denied DROPPED (TCP Flags: SYN)
Dec 17 07:07:31.000: 10.0.1.95:43256 (host) <- cilium-test/echo-same-node-965bbc7d4-pqgt7:8181 (ID:16334) to-stack FORWARDED (TCP Flags: SYN, ACK)
Dec 17 07:07:32.000: demo/curl:5000 (ID:15173) -> demo/web:80 (ID:300) http-request FORWARDED (HTTP/1.1 GET http://web/v1)
Dec 17 07:07:33.000: dns.example.com,b.example.com:53 (world-ipv4) <- demo/curl:5001 (ID:15173) dns-response proxy FORWARDED (DNS Answer \"10.0.0.9\" TTL: 30 (Proxy api.example.com. A))
N/A EVENTS LOST: HUBBLE_RING_BUFFER CPU(0) 3
";
    let mut printer = Printer::new(flags(Format::Compact), Hosts::Named, &Page::plain());
    assert_eq!(print(&mut printer), expected);
}

#[test]
fn flags_change_what_lines_say() {
    let flags = FormatFlags {
        print_node_name: true,
        print_policy_names: true,
        time_format: TimeFormat::Rfc3339,
        ..flags(Format::Compact)
    };
    let page = Page { colour: true, ..Page::plain() };
    let text = print(&mut Printer::new(flags.clone(), Hosts::Numeric, &Page::plain()));
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(
        lines[0],
        "2025-12-17T07:07:30Z [n1]: 10.0.0.5:44310 (ID:15173) <> 142.250.207.110:443 (world) policy-verdict:none EGRESS \
         DENIED BY deny-all (CiliumNetworkPolicy) (TCP Flags: SYN)"
    );
    assert!(lines[3].contains("[fd00::5]:5000 (ID:15173) -> [fd00::7]:80"), "{}", lines[3]);
    let coloured = print(&mut Printer::new(flags, Hosts::Named, &page));
    assert!(
        coloured.contains("\u{1b}[31mDROPPED\u{1b}[0m") && coloured.contains("\u{1b}[35m(world)\u{1b}[0m")
    );
}

#[test]
fn dictionaries_and_tables() {
    let text = print(&mut Printer::new(flags(Format::Dict), Hosts::Named, &Page::plain()));
    let expected = "  TIMESTAMP: Dec 17 07:07:30.342
     SOURCE: demo/curl:44310
DESTINATION: 142.250.207.110:443
       TYPE: policy-verdict:none EGRESS
    VERDICT: DENIED
    SUMMARY: TCP Flags: SYN
------------
  TIMESTAMP: Dec 17 07:07:30.342
";
    assert!(text.starts_with(expected), "{text}");
    assert!(text.ends_with("       TYPE: EVENTS LOST\n    VERDICT: -\n    SUMMARY: CPU(0) - 3\n"), "{text}");
    let text =
        print(&mut Printer::new(flags(Format::Table), Hosts::Named, &Page { colour: true, ..Page::plain() }));
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines[0].starts_with("TIMESTAMP             SOURCE   "), "{text}");
    assert!(lines[0].ends_with("VERDICT     SUMMARY"), "{text}");
    assert_eq!(lines.len(), 7, "{text}");
    assert!(lines[2].contains("Policy denied                DROPPED     TCP Flags: SYN"), "{text}");
}

#[test]
fn json_says_all_that_was_sent() {
    let text = print(&mut Printer::new(flags(Format::Json), Hosts::Named, &Page::plain()));
    let read: Vec<GetFlowsResponse> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(read, answers());
    assert!(text.starts_with("{\"node_name\":\"n1\"") || text.starts_with("{\"flow\":{"), "{text}");
}

#[test]
fn terminals_are_not_steered_by_what_others_wrote() {
    let mut answer = answers().remove(0);
    if let Some(ResponseTypes::Flow(flow)) = &mut answer.response_types {
        flow.source.as_mut().unwrap().pod_name = "a\u{1b}[2Jb".to_owned();
    }
    let mut printer = Printer::new(flags(Format::Compact), Hosts::Named, &Page::plain());
    let Output::Flows(line) = printer.flows(&answer).unwrap() else { panic!("no flow") };
    assert!(line.contains("demo/a\\u{1b}[2Jb:44310"), "{line}");
}

#[test]
fn nodes_that_fail_are_reported() {
    let names: Vec<String> = (0..9).map(|number| format!("node-number-{number}")).collect();
    let status = |state: NodeState| GetFlowsResponse {
        node_name: "relay".to_owned(),
        time: Some(Timestamp { seconds: 0, nanos: 0 }),
        response_types: Some(ResponseTypes::NodeStatus(NodeStatusEvent {
            state_change: state.into(),
            node_names: names.clone(),
            message: "gone".to_owned(),
        })),
    };
    let mut printer = Printer::new(flags(Format::Compact), Hosts::Named, &Page::plain());
    let expected = "Jan  1 00:00:00.000 [relay]: Error \"gone\" on 9 nodes: node-number-0, node-number-1, node-number-2 (and 6 more)\n";
    assert_eq!(printer.flows(&status(NodeState::NodeError)).unwrap(), Output::Notice(expected.to_owned()));
    assert_eq!(printer.flows(&status(NodeState::NodeConnected)).unwrap(), Output::Notice(String::new()));
    let mut printer = printer.with_all_notices();
    let expected = "Jan  1 00:00:00.000 [relay]: Receiving flows from 9 nodes: node-number-0, node-number-1, node-number-2 (and 6 more)\n";
    assert_eq!(
        printer.flows(&status(NodeState::NodeConnected)).unwrap(),
        Output::Notice(expected.to_owned())
    );
    let mut printer = Printer::new(flags(Format::Dict), Hosts::Named, &Page::plain());
    let expected = "  TIMESTAMP: Jan  1 00:00:00.000\n      STATE: NODE_ERROR\n      NODES: node-number-0, node-number-1, \
                    node-number-2 (and 6 more)\n    MESSAGE: \"gone\"\n";
    assert_eq!(printer.flows(&status(NodeState::NodeError)).unwrap(), Output::Notice(expected.to_owned()));
}

#[test]
fn events_of_agents_and_datapaths() {
    let update = EndpointUpdateNotification {
        id: 12,
        namespace: "demo".to_owned(),
        pod_name: "web".to_owned(),
        ..Default::default()
    };
    let agent = GetAgentEventsResponse {
        agent_event: Some(AgentEvent {
            r#type: AgentEventType::EndpointCreated.into(),
            notification: Some(Notification::EndpointUpdate(update)),
        }),
        time: Some(Timestamp { seconds: 0, nanos: 0 }),
        ..Default::default()
    };
    let debug = GetDebugEventsResponse {
        debug_event: Some(DebugEvent {
            r#type: DebugEventType::DbgCtLookup.into(),
            source: Some(Endpoint {
                id: 12,
                namespace: "demo".to_owned(),
                pod_name: "web".to_owned(),
                ..Default::default()
            }),
            hash: Some(UInt32Value { value: 255 }),
            message: "CT lookup".to_owned(),
            ..Default::default()
        }),
        time: Some(Timestamp { seconds: 0, nanos: 0 }),
        ..Default::default()
    };
    let mut printer = Printer::new(flags(Format::Compact), Hosts::Named, &Page::plain());
    assert_eq!(
        printer.agent_event(&agent).unwrap(),
        "Jan  1 00:00:00.000: ENDPOINT_CREATED (id: 12, namespace: demo, pod name: web)\n"
    );
    assert_eq!(
        printer.debug_event(&debug).unwrap(),
        "Jan  1 00:00:00.000: demo/web (ID: 12) DBG_CT_LOOKUP MARK: 0xff CPU: N/A (CT lookup)\n"
    );
    let in_form = |output| {
        let mut printer = Printer::new(flags(output), Hosts::Named, &Page::plain());
        printer.debug_event(&debug).unwrap() + &printer.finish()
    };
    assert_eq!(
        in_form(Format::Dict),
        "  TIMESTAMP: Jan  1 00:00:00.000\n       TYPE: DBG_CT_LOOKUP\n       FROM: demo/web (ID: 12)\n       MARK: 0xff\n\
         \u{20}       CPU: N/A\n    MESSAGE: CT lookup\n"
    );
    assert_eq!(
        in_form(Format::Table),
        "TIMESTAMP             FROM                   TYPE            CPU/MARK   MESSAGE\n\
         Jan  1 00:00:00.000   demo/web (ID: 12)      DBG_CT_LOOKUP   N/A 0xff   CT lookup\n"
    );
    let mut printer = Printer::new(flags(Format::Table), Hosts::Named, &Page::plain());
    assert_eq!(printer.agent_event(&agent).unwrap(), "");
    assert_eq!(
        printer.finish(),
        "TIMESTAMP             TYPE               DETAILS\n\
         Jan  1 00:00:00.000   ENDPOINT_CREATED   id: 12, namespace: demo, pod name: web\n"
    );
}

#[test]
fn status_of_a_server() {
    let status = ServerStatusResponse {
        num_flows: 8190,
        max_flows: 8190,
        seen_flows: 1_000_000,
        uptime_ns: 3_725_000_000_000,
        num_connected_nodes: Some(UInt32Value { value: 2 }),
        num_unavailable_nodes: Some(UInt32Value { value: 0 }),
        flows_rate: 19.0701,
        version: "ciliate".to_owned(),
        ..Default::default()
    };
    let print =
        |output| Printer::new(flags(output), Hosts::Named, &Page::plain()).server_status(&status).unwrap();
    assert_eq!(
        print(Format::Compact),
        "Current/Max Flows: 8,190/8,190 (100.00%)\nFlows/s: 19.07\nConnected Nodes: 2/2\n"
    );
    assert!(print(Format::Dict).starts_with("          NUM FLOWS: 8,190\n"), "{}", print(Format::Dict));
    assert!(print(Format::Dict).contains("             UPTIME: 1h2m5s\n"));
    assert_eq!(print(Format::Table).lines().count(), 2);
    assert!(print(Format::Json).contains("\"num_flows\":\"8190\""));
}
