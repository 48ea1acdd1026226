//! One story from start to end, as the kernel sees it.

use super::world::{World, policy, request};
use ciliate_api::{
    AuditMode, EndpointPatch, EndpointRef, Enforcement, ObjectAction, RuleOutcome, TracePeer, TraceRequest,
    Verdict,
};

const RULE1: &str = r#"
apiVersion: "cilium.io/v2"
kind: CiliumNetworkPolicy
metadata: {name: "rule1"}
spec:
  endpointSelector: {matchLabels: {org: empire, class: deathstar}}
  ingress:
  - fromEndpoints: [{matchLabels: {org: empire}}]
    toPorts: [{ports: [{port: "80", protocol: TCP}]}]
"#;

#[test]
fn a_trace_tells_requests_apart() {
    // Nobody has these labels: no proxy is needed to ask.
    let mut world = World::new();
    let only = "toPorts: [{ports: [{port: \"80\", protocol: TCP}], rules: {http: [{method: POST, path: /v1/land}]}}]";
    let rule = RULE1.replace("toPorts: [{ports: [{port: \"80\", protocol: TCP}]}]", only);
    assert_ne!(rule, RULE1);
    world.apply(&rule).unwrap();
    let mut ask = |request: Option<&str>| {
        let trace = TraceRequest {
            source: TracePeer::Labels(vec!["org=empire".to_owned()]),
            destination: TracePeer::Labels(vec!["org=empire".to_owned(), "class=deathstar".to_owned()]),
            traffic: "80/TCP".to_owned(),
            request: request.map(str::to_owned),
        };
        world.engine().trace(&trace)
    };
    for (request, verdict, outcome) in [
        (None, Verdict::Redirected, RuleOutcome::Decides),
        (Some("POST /v1/land"), Verdict::Allowed, RuleOutcome::Decides),
        (Some("PUT /v1/land"), Verdict::Denied, RuleOutcome::NoMatch),
    ] {
        let answer = ask(request).unwrap().remove(0);
        assert_eq!(answer.verdict, verdict, "{request:?} {}", answer.text);
        let considered = &answer.directions[1].considered[0];
        assert_eq!(
            (considered.outcome, considered.l7.as_slice()),
            (outcome, ["http method POST path /v1/land".to_owned()].as_slice())
        );
        assert_eq!(answer.request, request.map(|request| format!("http {request}")));
    }
    assert_eq!(ask(Some("land")).unwrap_err().0.status, 400);
}

#[test]
fn the_star_wars_story() {
    let mut world = World::new();
    let deathstar =
        world.create("deathstar", &["org=empire", "class=deathstar"]).unwrap().ipv4.unwrap().into();
    let tiefighter = world.create("tiefighter", &["org=empire"]).unwrap().ipv4.unwrap().into();
    let xwing = world.create("xwing", &["org=alliance"]).unwrap().ipv4.unwrap().into();
    let all = [deathstar, tiefighter, xwing];
    assert!(world.verdicts(&all).values().all(|passes| *passes));

    world.kernel.take_log();
    let applied = world.apply(RULE1).unwrap();
    assert_eq!((applied.results[0].action, applied.revision), (ObjectAction::Created, 2));
    let log = world.kernel.take_log();
    assert!(
        matches!(log.as_slice(), [rules, row] if rules.starts_with("rules 2 Deny")
        && row == "endpoint 10.9.0.2 identity 256 rules 2"),
        "{log:#?}"
    );
    let verdicts = world.verdicts(&all);
    assert!(verdicts[&(tiefighter, deathstar, 80)]);
    assert!(!verdicts[&(tiefighter, deathstar, 443)]);
    assert!(!verdicts[&(xwing, deathstar, 80)]);
    assert!(verdicts[&(deathstar, xwing, 80)]);

    let endpoint = world.engine().endpoint(&"deathstar".parse::<EndpointRef>().unwrap()).unwrap();
    assert_eq!(
        (endpoint.policy.ingress, endpoint.policy.egress),
        (Enforcement::Enabled, Enforcement::Disabled)
    );
    assert_eq!(endpoint.policy.ingress_isolated_by, ["cnp/default/rule1"]);
    let question = |source: &str| TraceRequest {
        source: TracePeer::Endpoint(source.to_owned()),
        destination: TracePeer::Address(deathstar),
        traffic: "80/TCP".to_owned(),
        request: None,
    };
    let answer = world.engine().trace(&question("tiefighter")).unwrap().remove(0);
    assert_eq!(answer.verdict, Verdict::Allowed);
    let rule = answer.directions[1].decided_by.clone().unwrap();
    assert_eq!(
        (rule.object.as_str(), rule.section.as_str()),
        ("cnp/default/rule1", "spec.ingress[0].toPorts[0]")
    );
    assert_eq!(world.engine().trace(&question("xwing")).unwrap()[0].verdict, Verdict::Denied);

    // A defector: the same endpoint with another label.
    let patch = EndpointPatch {
        add_labels: vec!["org=empire".to_owned()],
        delete_labels: vec!["org".to_owned()],
        audit: None,
    };
    world.engine().patch_endpoint(&"xwing".parse().unwrap(), patch).unwrap();
    assert!(world.verdicts(&all)[&(xwing, deathstar, 80)]);

    assert_eq!(world.apply(RULE1).unwrap().results[0].action, ObjectAction::Unchanged);
    assert_eq!(world.delete(RULE1).unwrap().results[0].action, ObjectAction::Deleted);
    assert_eq!(world.delete(RULE1).unwrap().results[0].action, ObjectAction::Absent);
    assert!(world.verdicts(&all).values().all(|passes| *passes));

    for name in ["deathstar", "tiefighter", "xwing"] {
        world.engine().delete_endpoint(&name.parse().unwrap()).unwrap();
    }
    let held = world.kernel.held();
    assert!(held.endpoints.is_empty() && held.devices.is_empty() && held.rule_sets.is_empty());
    assert_eq!(held.addresses.len(), 1, "the host's own");
}

#[test]
fn an_endpoint_is_up_when_all_know_it() {
    let mut world = World::new();
    world.create("a", &["app=a"]).unwrap();
    world.apply(&policy("p", "a", "  ingress: [{fromEndpoints: [{matchLabels: {app: b}}]}]")).unwrap();
    world.kernel.take_log();
    world.create("b", &["app=b"]).unwrap();
    assert_eq!(
        world.kernel.take_log(),
        [
            "make cil2",
            "extend 2 Deny [1 257]",
            "rules 3 Allow []",
            "endpoint 10.9.0.3 identity 257 rules 3",
            "address 10.9.0.3/32 is 257",
            "start cil2",
        ]
    );
}

#[test]
fn the_same_request_of_a_container_finds_its_endpoint() {
    let mut world = World::new();
    let container = |id: &str, name: &str| ciliate_api::EndpointRequest {
        container_id: Some(id.to_owned()),
        ..request(name, &[])
    };
    let first = world.engine().create_endpoint(container("c1", "a")).unwrap();
    assert_eq!(world.engine().create_endpoint(container("c1", "a")).unwrap(), first);
    let status = |result: Result<_, crate::failure::Failure>| result.map(drop).map_err(|e| e.0.status);
    let other = ciliate_api::EndpointRequest { name: Some("a".to_owned()), ..container("c2", "b") };
    assert_eq!(status(world.engine().create_endpoint(other)), Err(409), "the name is taken");
    assert_eq!(
        status(world.engine().create_endpoint(container("c2", "a"))),
        Err(409),
        "the namespace is taken"
    );
    assert_eq!(status(world.engine().delete_endpoint(&"container-id:c9".parse().unwrap())), Err(404));
    world.engine().delete_endpoint(&"container-id:c1:eth0".parse().unwrap()).unwrap();
    assert_eq!(status(world.engine().create_endpoint(container("c2", "a"))), Ok(()));
}

#[test]
fn audit_mode_is_of_one_endpoint_and_survives_a_restart() {
    let mut world = World::new();
    world.create("a", &["app=a"]).unwrap();
    let patch = EndpointPatch { audit: Some(AuditMode::On), ..EndpointPatch::default() };
    world.engine().patch_endpoint(&"a".parse().unwrap(), patch).unwrap();
    let audits =
        |world: &World| world.kernel.held().endpoints.values().map(|row| row.audit).collect::<Vec<_>>();
    assert_eq!(audits(&world), [AuditMode::On]);
    world.kernel.take_log();
    world.start().unwrap();
    assert_eq!(audits(&world), [AuditMode::On]);
}

#[test]
fn a_vanished_namespace_takes_its_endpoint_along() {
    let mut world = World::new();
    let gone = world.create("gone", &["app=a"]).unwrap();
    world.create("stays", &["app=a"]).unwrap();
    world.kernel.held().devices.remove(&gone.device.name);
    world.engine().host_changed().unwrap();
    let names =
        |world: &mut World| world.engine().endpoint_views().into_iter().map(|e| e.name).collect::<Vec<_>>();
    assert_eq!(names(&mut world), ["stays"]);
    assert!(!world.kernel.held().endpoints.contains_key(&gone.ipv4.unwrap().into()));
    // And so it is when the agent did not see it happen.
    let device = world.engine().endpoint_views()[0].device.name.clone();
    world.kernel.held().devices.remove(&device);
    world.start().unwrap();
    assert!(names(&mut world).is_empty());
    assert!(world.kernel.held().endpoints.is_empty());
}

#[test]
fn what_nobody_has_a_record_of_is_removed_at_the_start() {
    let mut world = World::new();
    let a = world.create("a", &["app=a"]).unwrap();
    let stray: std::net::IpAddr = "10.9.0.77".parse().unwrap();
    {
        let mut held = world.kernel.held();
        let row = held.endpoints[&a.ipv4.unwrap().into()];
        held.endpoints.insert(stray, row);
        held.addresses.insert(stray.into(), row.identity);
        let link = ciliate_net::Link { name: "cil77".to_owned(), ..held.devices[&a.device.name].clone() };
        held.devices.insert("cil77".to_owned(), link.clone());
        held.devices.insert("eth0".to_owned(), ciliate_net::Link { name: "eth0".to_owned(), ..link });
    }
    world.start().unwrap();
    let held = world.kernel.held();
    assert_eq!(held.devices.keys().collect::<Vec<_>>(), [&a.device.name, "eth0"]);
    assert!(!held.endpoints.contains_key(&stray) && !held.addresses.contains_key(&stray.into()));
}

#[test]
fn changed_settings_outlive_the_agent_until_they_are_as_configured() {
    let mut world = World::new();
    let set = |world: &mut World, value: &str| {
        let patch = [("policy-enforcement".to_owned(), value.to_owned())].into();
        world.engine().configure(&patch).unwrap();
    };
    let shown = |world: &mut World| {
        let rows = world.engine().settings();
        let row = rows.iter().find(|row| row.setting.name == "policy-enforcement").unwrap();
        (row.value.clone(), row.origin_text())
    };
    set(&mut world, "always");
    world.start().unwrap();
    assert_eq!(shown(&mut world), ("always".to_owned(), "runtime".to_owned()));
    world.create("a", &["app=a"]).unwrap();
    assert_eq!(world.engine().endpoint_views()[0].policy.ingress, Enforcement::Enabled);
    set(&mut world, "default");
    world.start().unwrap();
    assert_eq!(shown(&mut world), ("default".to_owned(), "default".to_owned()));
    assert_eq!(world.engine().endpoint_views()[0].policy.ingress, Enforcement::Disabled);
}
