//! Rules about requests with the real agent, the real proxy and real connections. Needs root.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "tests state plainly what they expect"
)]

#[path = "end_to_end/observed.rs"]
mod observed;
#[path = "l7/slow.rs"]
mod slow;
#[path = "end_to_end/stage.rs"]
#[expect(dead_code, reason = "shared with tests that use all of it")]
mod stage;
#[path = "end_to_end/story.rs"]
#[expect(dead_code, reason = "shared with tests that use all of it")]
mod story;

use stage::{inside, said};
use std::io::{ErrorKind, Read};
use story::{EXHAUST, LANDING, Lines, RULE1_L7, Ship, ask, cast, denied, landed, processes, traced};

/// The story of issue 4 by hand: what a user types and sees, and that nothing of it stays.
#[test]
fn the_story_of_requests_leaves_nothing() {
    inside("the_story_of_requests_leaves_nothing", |stage| {
        let before = stage.traces();
        stage.done(&["up"]);
        cast(stage);
        let serving = || processes().iter().any(|command| command.contains(" proxy serve"));
        assert!(!serving(), "nobody needs it yet");
        let rule = stage.file("rule1.yaml", RULE1_L7);
        stage.done(&["apply", "-f", &rule]);
        assert!(serving());

        // What a monitor prints of a landing and a shot; what it prints of landings before it was heard goes.
        let watch = |arguments: &[&str]| {
            let lines = Lines::of(stage, arguments);
            let land = || assert_eq!(ask(stage, "tiefighter", LANDING), (0, "Ship landed".to_owned()));
            lines.wake(land);
            land();
            assert_eq!(ask(stage, "tiefighter", EXHAUST), (22, "Access denied".to_owned()));
            assert_eq!(ask(stage, "xwing", LANDING).0, 28, "not for the alliance");
            let mut seen: Vec<String> = Vec::new();
            while !seen.last().is_some_and(|line| line.contains("/v1/exhaust-port")) {
                seen.push(lines.next());
            }
            seen
        };
        let lines = watch(&["monitor", "-t", "l7"]);
        let all = lines.join("\n");
        assert_eq!(lines.len(), 3, "{all}");
        assert!(lines[0].starts_with("<- Request http from "), "{all}");
        assert!(
            lines[0].contains("k8s:class=tiefighter") && lines[0].contains("k8s:class=deathstar"),
            "{all}"
        );
        let forwarded = "verdict Forwarded POST http://deathstar/v1/request-landing => 0, \
                         rule cnp/default/rule1 spec.ingress[0].toPorts[0]";
        assert!(lines[0].contains(forwarded), "{all}");
        assert!(lines[1].starts_with("<- Response http to ") && lines[1].contains(" => 200, rule "), "{all}");
        assert!(lines[2].ends_with("verdict Denied PUT http://deathstar/v1/exhaust-port => 403, no rule of cnp/default/rule1 spec.ingress[0].toPorts[0]"), "{all}");

        // Requests of the ship and answers to it are told apart by who sent them.
        let from = watch(&["monitor", "--json", "-t", "l7", "--from", "tiefighter"]);
        let expected = [("request", 0), ("request", 403)];
        assert_eq!(from.len(), expected.len(), "{from:#?}");
        for (line, (message, status)) in from.iter().zip(expected) {
            let event: serde_json::Value = serde_json::from_str(line).unwrap();
            assert_eq!((&event["type"], &event["message"]), (&"l7".into(), &message.into()), "{event}");
            assert_eq!(event["http"]["status"].as_u64().unwrap_or(0), status, "{event}");
            assert_eq!(event["source"]["name"], "default/tiefighter", "{event}");
        }

        // Hubble's clients are told the same.
        let flow = |kind: &str, method: &str, verdict: &str| {
            let flows = observed::request_flows(stage);
            let http = |flow: &serde_json::Value| flow["l7"]["http"]["method"] == method;
            let found = flows.iter().find(|flow| flow["l7"]["type"] == kind && http(flow));
            let found = found.unwrap_or_else(|| panic!("{kind} {method}: {flows:#?}")).clone();
            assert_eq!(found["verdict"], verdict, "{found}");
            assert_eq!(found["traffic_direction"], "INGRESS", "{found}");
            assert_eq!(found["l7"]["http"]["protocol"], "HTTP/1.1", "{found}");
            found
        };
        let landing = flow("REQUEST", "POST", "FORWARDED");
        assert_eq!(landing["source"]["pod_name"], "tiefighter", "{landing}");
        assert_eq!(landing["l7"]["http"]["url"], "http://deathstar/v1/request-landing", "{landing}");
        assert_eq!(landing["ingress_allowed_by"][0]["name"], "rule1", "{landing}");
        let response = flow("RESPONSE", "POST", "FORWARDED");
        assert_eq!(response["source"]["pod_name"], "deathstar", "{response}");
        assert_eq!((&response["l7"]["http"]["code"], &response["is_reply"]), (&200.into(), &true.into()));
        assert!(response["l7"]["latency_ns"].as_str().is_some_and(|taken| taken != "0"), "{response}");
        let shot = flow("REQUEST", "PUT", "DROPPED");
        assert_eq!(shot["l7"]["http"]["code"], 403, "{shot}");
        assert_eq!(shot["ingress_denied_by"][0]["name"], "rule1", "{shot}");

        let trace = |request: &str, expected: &str| {
            traced(stage, ("tiefighter", "deathstar"), &["--l7", request], expected)
        };
        assert!(trace("POST /v1/request-landing", "allowed").contains("cnp/default/rule1"));
        trace("PUT /v1/exhaust-port", "denied");
        let status = stage.json(&["proxy", "status"]);
        assert!(status["requests"]["forwarded"].as_u64().unwrap() >= 2, "{status}");
        assert!(status["requests"]["denied"].as_u64().unwrap() >= 2, "{status}");
        assert!(stage.done(&["proxy", "config"]).contains("cnp/default/rule1"));

        stage.done(&["delete", "-f", &rule]);
        assert_ne!(ask(stage, "tiefighter", EXHAUST).1, "Access denied");
        assert_eq!(ask(stage, "xwing", LANDING), (0, "Ship landed".to_owned()));
        stage.done(&["down"]);
        assert!(!serving(), "{:?}", processes());
        assert_eq!(stage.traces(), before);
    });
}

/// The next request on an open connection is judged by the policy of that moment.
#[test]
fn policies_reach_open_connections() {
    inside("policies_reach_open_connections", |stage| {
        stage.done(&["up"]);
        cast(stage);
        let rule = stage.file("rule1.yaml", RULE1_L7);
        stage.done(&["apply", "-f", &rule]);
        let ship = Ship::new(stage, "tiefighter");
        let mut line = ship.call().unwrap();
        assert_eq!(line.ask(LANDING).unwrap(), landed());

        let other = stage.file("rule1-other.yaml", &RULE1_L7.replace("/v1/request-landing", "/v1/other"));
        stage.done(&["apply", "-f", &other]);
        assert_eq!(line.ask(LANDING).unwrap(), denied());
        stage.done(&["apply", "-f", &rule]);
        assert_eq!(line.ask(LANDING).unwrap(), landed());

        // No policy at all: the connection goes on, and everything passes.
        stage.done(&["delete", "-f", &rule]);
        let (status, body) = line.ask(EXHAUST).unwrap();
        assert!(status != 403 && body != "Access denied", "{status} {body}");

        // A policy that does not let the ship connect ends what is open, without a further request.
        stage.done(&["apply", "-f", &rule]);
        let mut line = ship.call().unwrap();
        assert_eq!(line.ask(LANDING).unwrap(), landed());
        let alliance =
            stage.file("rule1-alliance.yaml", &RULE1_L7.replace("{org: empire}}]", "{org: alliance}}]"));
        stage.done(&["apply", "-f", &alliance]);
        let end = line.0.read(&mut [0; 64]).map_err(|error| error.kind());
        assert_eq!(end, Err(ErrorKind::ConnectionReset));
        assert_eq!(ask(stage, "xwing", LANDING), (0, "Ship landed".to_owned()));
        let (code, _) = ask(stage, "tiefighter", LANDING);
        assert_eq!(code, 28, "{}", said(&stage.output(&["proxy", "status"])));
        stage.done(&["down"]);
    });
}
