//! What was seen is told without secrets, and explained also after the agent was killed. Needs root.

use crate::{
    stage::{Stage, eventually, inside},
    story::{LANDING, RULE1_L7, Ship, agent, ask, cast, kill_hard},
};
use std::{
    fs,
    io::{Read as _, Write as _},
    net::TcpStream,
    path::Path,
};

const METRICS: &str = "127.0.0.1:9965";
const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const SECRETS: [&str; 2] = ["hidden-query", "hidden-header"];

/// The tiefighter asks to land with a secret, as a part of a trace.
fn land(ship: &Ship, query: &str) {
    let [_, header] = SECRETS;
    let mut line = ship.call().unwrap();
    let request = format!(
        "POST /v1/request-landing{query} HTTP/1.1\r\nHost: deathstar\r\nAuthorization: Bearer {header}\r\n\
         X-Fleet: seventh\r\nTraceparent: 00-{TRACE}-00f067aa0ba902b7-01\r\nContent-Length: 0\r\n\r\n"
    );
    line.0.get_mut().write_all(request.as_bytes()).unwrap();
    line.hear().unwrap();
}

/// What Prometheus gets, with exemplars.
fn scrape() -> String {
    let mut stream = TcpStream::connect(METRICS).unwrap();
    let request = "GET /metrics HTTP/1.1\r\nHost: x\r\nAccept: application/openmetrics-text;version=1.0.0\r\nConnection: close\r\n\r\n";
    stream.write_all(request.as_bytes()).unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text
}

/// All bytes that lie below a folder.
fn bytes(folder: &Path) -> Vec<u8> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries
        .flat_map(|path| if path.is_dir() { bytes(&path) } else { fs::read(&path).unwrap_or_default() })
        .collect()
}

fn is_in(secret: &str, bytes: &[u8]) -> bool {
    bytes.windows(secret.len()).any(|part| part == secret.as_bytes())
}

/// What was decided then, of what `observe why` says.
fn decided(why: &str) -> String {
    let then = why.split("Policies now:").next().unwrap();
    // Revisions begin anew with the agent, so that it cannot be said whether the policy is the same.
    then.replace("      The agent was started anew since; this is the policy as it is now:\n", "")
}

fn uuid(stage: &Stage, filters: &[&str]) -> String {
    let newest = ["observe", "--last", "1", "-o", "json"];
    let line = stage.done(&[&newest, filters].concat());
    let answer: serde_json::Value = serde_json::from_str(&line).unwrap();
    answer["flow"]["uuid"].as_str().unwrap().to_owned()
}

#[test]
fn secrets_stay_here_and_metrics_change_as_they_are_told() {
    inside("explained::secrets_stay_here_and_metrics_change_as_they_are_told", |stage| {
        stage.done(&[
            "up",
            "--hubble-redact-enabled=true",
            "--hubble-redact-http-urlquery=true",
            "--hubble-redact-http-headers-allow=x-fleet",
            "--hubble-metrics-server",
            METRICS,
            "--hubble-metrics=drop",
        ]);
        cast(stage);
        stage.done(&["apply", "-f", &stage.file("rule1.yaml", RULE1_L7)]);
        let ship = Ship::new(stage, "tiefighter");
        let told = || stage.done(&["observe", "--since", "5m", "--trace-id", TRACE, "-o", "json"]);
        // Nobody is told of the first ones, until the proxy is watched.
        eventually("a request that is answered and one that is refused are told of", || {
            land(&ship, "");
            land(&ship, &format!("?token={}", SECRETS[0]));
            let flows = told();
            flows.contains("\"RESPONSE\"") && flows.contains("\"DROPPED\"")
        });
        let flows = told();
        for expected in
            ["\"X-Fleet\",\"value\":\"seventh\"", "HUBBLE_REDACTED", "http://deathstar/v1/request-landing\""]
        {
            assert!(flows.contains(expected), "{expected}: {flows}");
        }
        assert!(!scrape().contains("hubble_flows_processed"));
        stage.done(&["config", "set", "hubble-metrics=flow httpV2:exemplars=true"]);
        eventually("an exemplar names the trace", || {
            land(&ship, "");
            let text = scrape();
            text.contains("hubble_flows_processed_total")
                && text.contains(&format!("# {{traceID=\"{TRACE}\"}}"))
        });
        assert!(!scrape().contains("hubble_drop_total"));
        stage.done(&["down"]);
        let outside = [flows.into_bytes(), bytes(&stage.folder.join("state"))].concat();
        assert!(is_in("deathstar", &outside), "there is a history");
        for secret in SECRETS {
            assert!(!is_in(secret, &outside), "{secret}");
        }
    });
}

#[test]
fn what_was_dropped_is_explained_after_a_restart_too() {
    inside("explained::what_was_dropped_is_explained_after_a_restart_too", |stage| {
        stage.done(&["up", "--node-labels=topology.kubernetes.io/zone=a,rack=7"]);
        cast(stage);
        let rule = stage.file("rule1.yaml", RULE1_L7);
        stage.done(&["apply", "-f", &rule]);
        eventually("a request is refused and told of", || {
            ask(stage, "tiefighter", ("PUT", "/v1/exhaust-port"));
            !stage.done(&["observe", "--verdict", "DROPPED", "--protocol", "http"]).is_empty()
        });
        assert_ne!(ask(stage, "xwing", LANDING).0, 0, "the alliance may not land");
        let dropped = uuid(stage, &["--type", "drop", "--from-pod", "default/xwing"]);
        let refused = uuid(stage, &["--verdict", "DROPPED", "--protocol", "http"]);
        let why = |uuid: &str| stage.done(&["observe", "why", uuid]);
        let before = [why(&dropped), why(&refused)];
        let [of_drop, of_refusal] = &before;
        for expected in [
            "Policy denied DROPPED (TCP Flags: SYN)",
            "Source:\n",
            "Pod:       default/xwing\n",
            "Destination:\n",
            "Pod:       default/deathstar\n",
            "k8s:org=alliance\n",
            "Reason: Policy denied\n",
            "Entering the destination: denied by\n  * CiliumNetworkPolicy default/rule1, revision ",
            "selects this end, and none of its rules lets this pass\n",
            // A rule that nearly did.
            "* Rule cnp/default/rule1 spec.ingress[0].toPorts[0]: no match\n      lacks any:org=empire\n",
        ] {
            assert!(of_drop.contains(expected), "{expected}: {of_drop}");
        }
        for expected in [
            "      spec.ingress[0].toPorts[0]\n      | # spec.ingress[0]\n",
            "      |     - method: POST\n      |       path: /v1/request-landing\n",
            "method PUT is not POST\n",
        ] {
            assert!(of_refusal.contains(expected), "{expected}: {of_refusal}");
        }
        // Once a second they are kept.
        std::thread::sleep(std::time::Duration::from_millis(1500));
        kill_hard(agent(stage));
        stage.done(&["up"]);
        let list = stage.done(&["observe", "--since", "5m", "--type", "drop", "--from-pod", "default/xwing"]);
        assert!(list.contains("Policy denied DROPPED (TCP Flags: SYN)"), "{list}");
        // Where it was seen: on which node, and at which of its devices.
        let of_drop = ["observe", "--since", "5m", "--uuid", &dropped];
        let flow = stage.json(&of_drop);
        let device = flow["flow"]["interface"]["name"].as_str().unwrap().to_owned();
        assert_eq!(stage.json(&["endpoint", "get", "xwing"])[0]["device"]["name"], device.as_str());
        for (filters, expected) in [
            (["--interface", &device, "--node-label", "rack in (6,7),topology.kubernetes.io/zone"], 1),
            (["--interface", "eth99", "--node-label", "rack=7"], 0),
            (["--interface", &device, "--node-label", "rack=8"], 0),
        ] {
            let found = stage.done(&[&of_drop[..], &filters].concat());
            assert_eq!(found.lines().count(), expected, "{filters:?}: {found}");
        }
        assert_eq!(
            [why(&dropped), why(&refused)].each_ref().map(|why| decided(why)),
            before.each_ref().map(|why| decided(why))
        );
        stage.done(&["delete", "-f", &rule]);
        let after = why(&dropped);
        assert!(
            after.contains(
                "selects this end, and none of its rules lets this pass\n      It is there no more.\n"
            ),
            "{after}"
        );
        assert!(after.contains("Final verdict: ALLOWED"), "{after}");
        let missing = stage.fails(&["observe", "why", "00000000-0000-8000-8000-0000000000ff"]);
        assert_eq!(missing.0, 6, "{}", missing.1);
        stage.done(&["down"]);
    });
}
