//! gRPC's own library on both ends: calls of all four kinds, denials, and streams that a change of the policy ends.

use crate::{
    stage::{Stage, eventually, inside},
    talk::{Monitor, Talker, endpoint, idle, python},
};

/// The caller may call what matches.
fn policy(path: &str) -> String {
    format!(
        r#"
apiVersion: "cilium.io/v2"
kind: CiliumNetworkPolicy
metadata: {{name: "grpc"}}
spec:
  endpointSelector: {{matchLabels: {{app: service}}}}
  ingress:
  - fromEndpoints: [{{matchLabels: {{app: caller}}}}]
    toPorts:
    - ports: [{{port: "50051", protocol: TCP}}]
      rules:
        http: [{{method: POST, path: "{path}"}}]
"#
    )
}

const DENIED: &str = "PERMISSION_DENIED Access denied None";

struct Calls<'a> {
    stage: &'a Stage,
    caller: Talker,
}

impl Calls<'_> {
    fn allow(&self, path: &str) {
        let path = self.stage.file("grpc.yaml", &policy(path));
        self.stage.done(&["apply", "-f", &path]);
    }

    fn are(&mut self, expected: &[(&str, &str)]) {
        for (call, outcome) in expected {
            assert_eq!(self.caller.ask(call), *outcome, "{call}");
        }
    }
}

#[test]
fn calls_are_judged_by_service_and_method() {
    inside("grpc::calls_are_judged_by_service_and_method", |stage| {
        stage.done(&["up"]);
        let [serve, call] =
            ["serve", "call"].map(|what| [python("grpc_peer.py"), vec![what.into()]].concat());
        let address = endpoint(stage, "service", &["app=service"], &serve);
        idle(stage, "caller", &["app=caller"]);
        let client = || Talker::start(stage, "caller", &[&call[..], std::slice::from_ref(&address)].concat());
        eventually("the service listens", || client().ask("Unary hello") == "OK HELLO survives");
        let mut calls = Calls { stage, caller: client() };

        calls.allow("/package[.]Service/.*");
        calls.are(&[
            ("Unary hello", "OK HELLO survives"),
            ("ServerStream abc", "OK a,b,c survives"),
            ("ClientStream a b c", "OK abc survives"),
            ("Both first", "FIRST"),
            ("more second", "SECOND"),
            ("end", "OK  survives"),
            ("Fail beyond", "OUT_OF_RANGE beyond survives"),
        ]);

        // Two methods alone; the connection goes on.
        calls.allow("/package[.]Service/(Unary|Fail)");
        let monitor = Monitor::start(stage, || drop(calls.caller.ask("Unary hello")));
        calls.are(&[
            ("ServerStream abc", DENIED),
            ("Unary hello", "OK HELLO survives"),
            ("ClientStream a b c", DENIED),
            ("Both first", DENIED),
            ("Unary again", "OK AGAIN survives"),
            ("Fail beyond", "OUT_OF_RANGE beyond survives"),
        ]);
        let seen = monitor.seen();
        let denied: Vec<_> = seen.iter().filter(|event| event["verdict"] == "denied").collect();
        assert_eq!(denied.len(), 3, "{seen:?}");
        for event in denied {
            assert_eq!(event["http"]["status"], 200, "{event}");
            assert_eq!(event["http"]["grpcStatus"], 7, "{event}");
        }
        let answers =
            seen.iter().filter(|event| event["message"] == "response" && event["verdict"] != "denied");
        let statuses: Vec<_> = answers.map(|event| event["http"]["grpcStatus"].as_u64()).collect();
        assert_eq!(statuses, [Some(0), Some(0), Some(11)], "{seen:?}");

        // A stream that is open goes on while it is allowed, and ends when it is not any more, without another message.
        calls.allow("/package[.]Service/(Unary|Both)");
        calls.are(&[("Both first", "FIRST")]);
        calls.allow("/package[.]Service/Both");
        calls.are(&[("more second", "SECOND"), ("Unary hello", DENIED)]);
        calls.caller.say("await");
        calls.allow("/package[.]Service/Unary");
        assert_eq!(calls.caller.hear(), DENIED);
        calls.are(&[("Unary hello", "OK HELLO survives"), ("Both first", DENIED)]);
        stage.done(&["down"]);
    });
}
