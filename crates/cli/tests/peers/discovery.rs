//! gRPC's own library finds out by reflection what the agent serves, and calls it.

use crate::{
    stage::{eventually, inside, said, text},
    talk::{idle, python},
};
use serde_json::Value;
use std::process::Command;

#[test]
fn a_client_that_knows_nothing_finds_out_what_there_is() {
    inside("discovery::a_client_that_knows_nothing_finds_out_what_there_is", |stage| {
        stage.done(&["up", "--node-name=node-1"]);
        idle(stage, "pod", &["app=pod"]);
        stage.done(&["apply", "-f", &stage.file("closed.yaml", CLOSED)]);
        eventually("flows are kept", || {
            let _ = stage.output(&[
                "exec",
                "pod",
                "--",
                "bash",
                "-c",
                "for i in 1 2 3; do echo x >/dev/udp/10.201.0.1/9; done",
            ]);
            stage.done(&["observe", "--verdict", "DROPPED", "--last", "2"]).lines().count() == 2
        });
        let socket = format!("unix:{}", stage.folder.join("run/ciliate/hubble.sock").display());
        let [program, arguments @ ..] = &python("discovery.py")[..] else { panic!("no program") };
        let output = Command::new(program).args(arguments).arg(socket).output().unwrap();
        assert!(output.status.success(), "{}", said(&output));
        let lines: Vec<(&str, &str)> =
            text(&output.stdout).leak().lines().filter_map(|line| line.split_once(' ')).collect();
        let of =
            |kind: &str| lines.iter().filter(|line| line.0 == kind).map(|line| line.1).collect::<Vec<_>>();
        assert_eq!(
            of("service"),
            [
                "grpc.health.v1.Health",
                "grpc.reflection.v1.ServerReflection",
                "grpc.reflection.v1alpha.ServerReflection",
                "observer.Observer",
                "peer.Peer",
                "recorder.Recorder"
            ]
        );
        assert_eq!(of("health"), ["all SERVING", "observer.Observer SERVING", "peer.Peer SERVING"]);
        let read = |kind: &str| -> Vec<Value> {
            of(kind).into_iter().map(|line| serde_json::from_str(line).unwrap()).collect()
        };
        assert_eq!(read("ServerStatus")[0]["max_flows"], "16383");
        assert_eq!(read("GetNodes")[0]["nodes"][0]["name"], "node-1");
        assert_eq!(read("GetNamespaces")[0]["namespaces"][0]["namespace"], "default");
        let flows = read("GetFlows");
        assert_eq!(flows.len(), 2, "{flows:?}");
        assert!(flows.iter().all(|answer| answer["flow"]["verdict"] == "DROPPED"
            && answer["flow"]["source"]["pod_name"] == "pod"
            && answer["node_name"] == "node-1"));
        let [error] = of("error")[..] else { panic!("{lines:?}") };
        assert!(error.starts_with("INVALID_ARGUMENT ") && error.contains("http_path"), "{error}");
        stage.done(&["down"]);
    });
}

const CLOSED: &str = r#"
apiVersion: "cilium.io/v2"
kind: CiliumNetworkPolicy
metadata: {name: "closed"}
spec:
  endpointSelector: {matchLabels: {app: pod}}
  egress:
  - {}
"#;
