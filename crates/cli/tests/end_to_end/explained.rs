//! What was seen is told without secrets, and explained also after the agent was killed. Needs root.

use crate::{
    stage::{Stage, eventually, inside},
    story::{LANDING, Lines, RULE1_L7, Ship, agent, ask, cast, kill_hard},
};
use std::{
    fs,
    io::{Read as _, Write as _},
    net::TcpStream,
    path::Path,
};

const METRICS: &str = "127.0.0.1:9965";
const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const SECRETS: [&str; 4] = ["hidden-query", "hidden-header", "hidden-password", "hidden-fragment"];

/// The tiefighter asks for something with a secret header, as a part of a trace. Whether it is answered.
fn asks(ship: &Ship, method: &str, target: &str, more: &str) -> bool {
    let [_, header, ..] = SECRETS;
    let mut line = ship.call().unwrap();
    let request = format!(
        "{method} {target} HTTP/1.1\r\nHost: deathstar\r\nAuthorization: Bearer {header}\r\nX-Fleet: seventh\r\n\
         Traceparent: 00-{TRACE}-00f067aa0ba902b7-01\r\n{more}Content-Length: 0\r\n\r\n"
    );
    line.0.get_mut().write_all(request.as_bytes()).unwrap();
    line.hear().is_ok()
}

fn land(ship: &Ship, query: &str) {
    assert!(asks(ship, "POST", &format!("/v1/request-landing{query}"), ""));
}

/// All that may be a secret, in requests that are let through, denied, and refused because of what they look like. The last one
/// is by `DELETE`.
fn ask_with_secrets(ship: &Ship) {
    let [query, header, password, fragment] = SECRETS;
    let landing = "/v1/request-landing";
    land(ship, &format!("?token={query}"));
    land(ship, &format!("?token={query}&again=http://you:{password}@x/?{query}"));
    for target in [
        format!("http://me:{password}@deathstar{landing}?token={query}"),
        format!("http://me:{password}@deathstar:80{landing}"),
        format!("http://deathstar{landing}?token={query}#{fragment}"),
        format!("{landing}#{fragment}"),
        format!("/http://me:{password}@deathstar{landing}?token={query}"),
    ] {
        asks(ship, "POST", &target, "");
    }
    for more in [
        format!("Referer: http://you:{password}@x/?token={query}\r\n"),
        format!("Cookie: session={header}\r\nX-Fleet: eighth\r\n"),
        format!("Not A Header: {header}\r\n"),
        format!("Host: me:{password}@deathstar\r\n"),
        format!("Transfer-Encoding: {header}\r\n"),
    ] {
        asks(ship, "POST", &format!("{landing}?token={query}"), &more);
    }
    assert!(asks(ship, "DELETE", &format!("/v1/exhaust-port?token={query}"), ""));
}

/// What a monitor prints of them.
fn monitored(stage: &Stage, ship: &Ship, arguments: &[&str]) -> String {
    let lines = Lines::of(stage, arguments);
    lines.wake(|| land(ship, ""));
    ask_with_secrets(ship);
    let mut seen = String::new();
    while !seen.contains("DELETE") {
        seen.push_str(&lines.next());
    }
    seen
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
        let exported = stage.folder.join("state/flows.json");
        stage.done(&[
            "up",
            "--hubble-redact-enabled=true",
            "--hubble-redact-http-urlquery=true",
            "--hubble-redact-http-headers-allow=x-fleet",
            &format!("--hubble-export-file-path={}", exported.display()),
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
        let monitors = [
            monitored(stage, &ship, &["monitor", "-t", "l7"]),
            monitored(stage, &ship, &["monitor", "--json", "-v"]),
        ];
        eventually("all are told of", || told().contains("DELETE"));
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
        let rest = [scrape(), stage.done(&["proxy", "status"]), stage.done(&["observe", "--all"])];
        // With the logs, before all of it goes.
        let run = bytes(&stage.folder.join("run"));
        stage.done(&["down"]);
        for monitor in &monitors {
            assert!(is_in("/v1/request-landing", monitor.as_bytes()), "{monitor}");
        }
        let file = fs::read(&exported).unwrap();
        assert!(is_in("\"X-Fleet\",\"value\":\"seventh\"", &file) && is_in("HUBBLE_REDACTED", &file));
        let state = bytes(&stage.folder.join("state"));
        assert!(state.len() > file.len() && is_in("deathstar", &state), "there is a history");
        for (place, told) in [
            ("flows", flows.as_bytes()),
            ("monitors", monitors.concat().as_bytes()),
            ("metrics and tables", rest.concat().as_bytes()),
            ("exporter", &file),
            ("state with history", &state),
            ("logs", &run),
        ] {
            for secret in SECRETS {
                assert!(!is_in(secret, told), "{secret} is in {place}");
            }
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
