//! Rules about requests and names: what is written, what is asked for, and the answer.

use ask::{CCNP, CNP, ask, check, engine};
use ciliate_policy::{
    Change, Engine, IdentityInfo, NamedPorts, PeerRef, Query, Settings, Subject, endpoint_labels,
    fqdn_labels, parse,
    rule_set::{Action, Otherwise, Peer},
};
use ciliate_types::{Identity, L7Rules, Label, Labels, Protocol};
use std::{collections::BTreeMap, net::IpAddr};

#[path = "support/ask.rs"]
#[expect(dead_code, reason = "shared with tests that use all of it")]
mod ask;

const STORIES: &str = r#"
apiVersion: "cilium.io/v2"
kind: CiliumNetworkPolicy
metadata: {name: "rule1"}
spec:
  description: "L7 policy to restrict access to specific HTTP call"
  endpointSelector: {matchLabels: {org: empire, class: deathstar}}
  ingress:
  - fromEndpoints: [{matchLabels: {org: empire}}]
    toPorts:
    - ports: [{port: "80", protocol: TCP}]
      rules:
        http: [{method: "POST", path: "/v1/request-landing"}]
---
apiVersion: "cilium.io/v2"
kind: CiliumNetworkPolicy
metadata: {name: "fqdn"}
spec:
  endpointSelector: {matchLabels: {org: empire, class: mediabot}}
  egress:
  - toFQDNs: [{matchPattern: "*.twitter.com"}]      # first story: matchName: "api.twitter.com", without toPorts
    toPorts:
    - ports: [{port: "443", protocol: TCP}]
  - toEndpoints:
    - matchLabels: {"k8s:io.kubernetes.pod.namespace": kube-system, "k8s:k8s-app": kube-dns}
    toPorts:
    - ports: [{port: "53", protocol: ANY}]
      rules:
        dns: [{matchPattern: "*"}]
"#;

#[expect(clippy::unwrap_used, reason = "a test")]
fn labels(user: &[&str], namespace: &str) -> Labels {
    let user = user.iter().map(|l| Label::parse(l, "k8s").unwrap()).collect();
    endpoint_labels(&user, namespace, &BTreeMap::new(), None, "default")
}

#[expect(clippy::unwrap_used, reason = "a test")]
fn verdict(engine: &Engine, source: PeerRef, destination: PeerRef, traffic: &str, request: &str) -> String {
    let (port, protocol) = traffic.split_once('/').unwrap();
    let request = Some(request).filter(|r| !r.is_empty()).map(|r| r.parse().unwrap());
    let (port, protocol) = (port.parse().unwrap(), protocol.parse().unwrap());
    engine.explain(&Query { source, destination, protocol, port, request }).verdict.to_string()
}

#[test]
fn the_two_stories_are_told() {
    let engine = engine(STORIES, Settings::default());
    let deathstar = labels(&["org=empire", "class=deathstar"], "default");
    for (who, traffic, request, expected) in [
        ("org=empire", "80/TCP", "", "REDIRECTED"),
        ("org=empire", "80/TCP", "POST /v1/request-landing", "ALLOWED"),
        ("org=empire", "80/TCP", "PUT /v1/exhaust-port", "DENIED"),
        ("org=empire", "80/TCP", "POST /v1/request-landing?hurry", "DENIED"),
        ("org=empire", "81/TCP", "", "DENIED"),
        ("org=alliance", "80/TCP", "POST /v1/request-landing", "DENIED"),
    ] {
        let ship = labels(&[who, "class=ship"], "default");
        let found = verdict(&engine, ship.into(), deathstar.clone().into(), traffic, request);
        assert_eq!(found, expected, "{who} {traffic} {request}");
    }
    let mediabot = labels(&["org=empire", "class=mediabot"], "default");
    let dns = labels(&["k8s-app=kube-dns"], "kube-system");
    for (traffic, request, expected) in [
        ("53/UDP", "", "REDIRECTED"),
        ("53/UDP", "dns:api.twitter.com", "ALLOWED"),
        ("53/TCP", "dns:example.com", "ALLOWED"),
        ("53/SCTP", "", "DENIED"),
        ("80/TCP", "", "DENIED"),
    ] {
        let found = verdict(&engine, mediabot.clone().into(), dns.clone().into(), traffic, request);
        assert_eq!(found, expected, "{traffic} {request}");
    }
    let patterns: Vec<_> = engine.fqdn_selectors().into_iter().map(|row| row.pattern).collect();
    let address: IpAddr = "192.0.2.1".parse().unwrap();
    for (names, traffic, expected) in [
        (&patterns[..], "443/TCP", "ALLOWED"),
        (&patterns[..], "80/TCP", "DENIED"),
        (&[], "443/TCP", "DENIED"),
    ] {
        let peer = PeerRef::from(fqdn_labels(names, address, engine.covering_prefix(address)));
        assert_eq!(
            verdict(&engine, mediabot.clone().into(), peer, traffic, ""),
            expected,
            "{names:?} {traffic}"
        );
    }
}

fn http(rules: &str) -> String {
    format!(
        "spec: {{endpointSelector: {{}}, ingress: [{{toPorts: [{{ports: [{{port: '80', protocol: TCP}}], rules: {{http: [{rules}]}}}}]}}]}}"
    )
}

#[test]
fn http_rules() {
    for (rules, questions) in [
        (
            "{}",
            "< db 80/TCP proxy; < db 80/TCP GET / yes; < db 80/TCP dns:a.b no; < db 81/TCP no; < db 80/UDP no",
        ),
        ("{method: ''}", "< db 80/TCP BREW /pot yes"),
        ("{method: 'GET|HEAD'}", "< db 80/TCP HEAD / yes; < db 80/TCP PUT / no; < db 80/TCP GETS / no"),
        ("{path: '/v1/.*'}", "< db 80/TCP GET /v1/a?b yes; < db 80/TCP GET /v2/v1/ no"),
        ("{path: '/v1'}", "< db 80/TCP GET /v1 yes; < db 80/TCP GET /v1?b no; < db 80/TCP GET /v1/ no"),
        (
            "{host: '.*[.]example[.]com'}",
            "< db 80/TCP GET http://a.example.com:80/ yes; < db 80/TCP GET /|Host: A.Example.com yes; \
             < db 80/TCP GET http://example.com/ no; < db 80/TCP GET / proxy",
        ),
        (
            "{headers: ['X-Team: red', X-Id]}",
            "< db 80/TCP GET /|x-team: red|x-id: 7 yes; < db 80/TCP GET /|x-team: blue|x-id: 7 no; \
             < db 80/TCP GET /|x-team: red no; < db 80/TCP GET /|x-team: red|x-team: blue|x-id: 7 no",
        ),
        ("{headers: ['X-Team red']}", "< db 80/TCP GET /|x-team: red yes; < db 80/TCP GET / no"),
        ("{headers: ['X-Team:red']}", "< db 80/TCP GET /|x-team: red yes; < db 80/TCP GET /|x-team: blue no"),
        ("{headerMatches: [{name: X-A}]}", "< db 80/TCP GET /|x-a: 1 yes; < db 80/TCP GET / no"),
        (
            "{headerMatches: [{name: X-A, value: b}]}",
            "< db 80/TCP GET /|X-A: b yes; < db 80/TCP GET /|X-A: c no",
        ),
        (
            "{headerMatches: [{name: X-A, regex: '[0-9]+'}]}",
            "< db 80/TCP GET /|X-A: 77 yes; < db 80/TCP GET /|X-A: 7x no",
        ),
        ("{headerMatches: [{name: X-A, value: b, mismatch: LOG}]}", "< db 80/TCP GET / yes"),
        ("{headerMatches: [{name: X-A, value: b, mismatch: ADD}]}", "< db 80/TCP GET / yes"),
        ("{headerMatches: [{name: X-A, mismatch: DELETE}]}", "< db 80/TCP GET /|X-A: c yes"),
        ("{headerMatches: [{name: X-A, value: b, mismatch: REPLACE}]}", "< db 80/TCP GET /|X-A: c yes"),
        (
            "{headerMatches: [{name: X-A, secret: {namespace: vault, name: key}}]}",
            "< db 80/TCP GET /|X-A: c proxy; < db 80/TCP GET / no",
        ),
        (
            "{method: GET}, {path: /open}",
            "< db 80/TCP GET /a yes; < db 80/TCP PUT /open yes; < db 80/TCP PUT /a no",
        ),
        ("{method: GET, path: /open}", "< db 80/TCP GET /open yes; < db 80/TCP GET /a no"),
    ] {
        check(CNP, &http(rules), questions);
    }
}

#[test]
fn kafka_rules() {
    let from = |rules: &str| {
        format!(
            "spec: {{endpointSelector: {{}}, ingress: [{{toPorts: [{{ports: [{{port: '9092', protocol: TCP}}], rules: {{kafka: [{rules}]}}}}]}}]}}"
        )
    };
    for (rules, questions) in [
        ("{}", "< db 9092/TCP kafka:fetch yes; < db 9092/TCP GET / no; < db 9092/TCP proxy"),
        (
            "{role: Produce, topic: plans}",
            "< db 9092/TCP kafka:produce topic=plans yes; < db 9092/TCP kafka:produce topic=other no; \
             < db 9092/TCP kafka:fetch topic=plans no; < db 9092/TCP kafka:metadata yes; < db 9092/TCP kafka:18 yes",
        ),
        ("{role: consume}", "< db 9092/TCP kafka:joingroup yes; < db 9092/TCP kafka:createtopics no"),
        (
            "{apiKey: CreateTopics}",
            "< db 9092/TCP kafka:createtopics yes; < db 9092/TCP kafka:deletetopics no",
        ),
        (
            "{apiVersion: '3'}",
            "< db 9092/TCP kafka:fetch version=3 yes; < db 9092/TCP kafka:fetch version=4 no; < db 9092/TCP kafka:fetch proxy",
        ),
        ("{clientID: bot}", "< db 9092/TCP kafka:fetch client=bot yes; < db 9092/TCP kafka:fetch no"),
        (
            "{topic: a}, {topic: b}",
            "< db 9092/TCP kafka:fetch topic=a topic=b yes; < db 9092/TCP kafka:fetch topic=a topic=c no",
        ),
    ] {
        check(CNP, &from(rules), questions);
    }
}

#[test]
fn dns_rules_and_server_names() {
    let to = |ports: &str, rules: &str| {
        format!("spec: {{endpointSelector: {{}}, egress: [{{toPorts: [{{ports: [{ports}], {rules}}}]}}]}}")
    };
    for (rules, questions) in [
        (
            "{matchPattern: '*'}",
            "> db 53/UDP dns:a.b.c yes; > db 53/TCP dns:x yes; > db 53/UDP proxy; > db 53/SCTP no",
        ),
        (
            "{matchName: API.twitter.com.}",
            "> db 53/UDP dns:api.twitter.com yes; > db 53/UDP dns:twitter.com no",
        ),
        (
            "{matchPattern: '*.twitter.com'}",
            "> db 53/UDP dns:api.twitter.com yes; > db 53/UDP dns:a.api.twitter.com no; > db 53/UDP dns:twitter.com no",
        ),
        (
            "{matchPattern: '**.twitter.com'}",
            "> db 53/UDP dns:a.api.twitter.com yes; > db 53/UDP dns:twitter.com no",
        ),
        (
            "{matchName: a.b, matchPattern: '*.c'}, {matchName: d}",
            "> db 53/UDP dns:a.b yes; > db 53/UDP dns:x.c yes; > db 53/UDP dns:d yes; > db 53/UDP dns:e no",
        ),
    ] {
        check(CNP, &to("{port: '53', protocol: ANY}", &format!("rules: {{dns: [{rules}]}}")), questions);
    }
    for (names, questions) in [
        (
            "api.twitter.com",
            "> db 443/TCP sni:api.twitter.com yes; > db 443/TCP sni: no; > db 443/TCP sni:x.y no",
        ),
        ("'*.twitter.com', x.y", "> db 443/TCP sni:api.twitter.com yes; > db 443/TCP sni:x.y yes"),
        (
            "'*'",
            "> db 443/TCP sni:anything yes; > db 443/TCP sni: no; > db 443/TCP GET / no; > db 443/TCP proxy",
        ),
    ] {
        check(CNP, &to("{port: '443', protocol: TCP}", &format!("serverNames: [{names}]")), questions);
    }
    let into = "spec: {endpointSelector: {}, ingress: [{toPorts: [{ports: [{port: http, protocol: TCP}], serverNames: [a.b]}]}]}";
    check(CNP, into, "< db 8080/TCP sni:a.b yes; < db 8080/TCP sni:c no; < db 80/TCP no");
}

#[test]
fn rules_meet_on_a_port() {
    let looks = "{toPorts: [{ports: [{port: '80', protocol: TCP}], rules: {http: [{method: GET}]}}]}";
    for (more, questions) in [
        (
            "{fromEndpoints: [{matchLabels: {app: db}}], toPorts: [{ports: [{port: '80', protocol: TCP}], rules: {http: [{method: PUT}]}}]}",
            "< db 80/TCP PUT / yes; < db 80/TCP GET / yes; < job 80/TCP PUT / no; < job 80/TCP GET / yes",
        ),
        (
            "{toPorts: [{ports: [{port: '64', endPort: 100, protocol: TCP}], rules: {http: [{method: PUT}]}}]}",
            "< db 80/TCP PUT / yes; < db 80/TCP GET / yes; < db 81/TCP PUT / yes; < db 81/TCP GET / no",
        ),
        (
            "{toPorts: [{ports: [{port: '80', protocol: TCP}], serverNames: [a.b]}]}",
            "< db 80/TCP sni:a.b yes; < db 80/TCP GET / yes; < db 80/TCP PUT / no",
        ),
        (
            "{fromEndpoints: [{matchLabels: {app: db}}]}",
            "< db 80/TCP yes; < db 80/TCP PUT / yes; < job 80/TCP PUT / no",
        ),
        ("{toPorts: [{ports: [{port: '1', endPort: 1000}]}]}", "< db 80/TCP yes; < db 80/TCP PUT / yes"),
        ("{toPorts: [{ports: [{port: '0'}]}]}", "< db 80/TCP yes"),
        ("{toPorts: [{ports: [{port: '81'}]}]}", "< db 80/TCP proxy; < db 81/TCP yes"),
        ("{toPorts: [{ports: [{port: '80'}], rules: {}}]}", "< db 80/TCP yes"),
    ] {
        check(CNP, &format!("spec: {{endpointSelector: {{}}, ingress: [{looks}, {more}]}}"), questions);
    }
    let deny =
        |deny: &str| format!("spec: {{endpointSelector: {{}}, ingress: [{looks}], ingressDeny: [{deny}]}}");
    check(CNP, &deny("{toPorts: [{ports: [{port: '80'}]}]}"), "< db 80/TCP no; < db 80/TCP GET / no");
    check(
        CNP,
        &deny("{fromEndpoints: [{matchLabels: {app: db}}]}"),
        "< db 80/TCP GET / no; < job 80/TCP GET / yes",
    );
    // Where nothing isolates, what rules look at is still judged by them, as in Cilium.
    let open = format!(
        "spec: {{endpointSelector: {{}}, enableDefaultDeny: {{ingress: false}}, ingress: [{looks}]}}"
    );
    check(CNP, &open, "< db 80/TCP GET / yes; < db 80/TCP PUT / no; < db 81/TCP yes; < host 80/TCP yes");
}

#[test]
fn names_of_the_outside() {
    let to = |peers: &str| format!("spec: {{endpointSelector: {{}}, egress: [{{{peers}}}]}}");
    for (peers, questions) in [
        (
            "toFQDNs: [{matchName: API.twitter.com}]",
            "> api.twitter.com 80/TCP yes; > www.twitter.com 80/TCP no; > 192.0.2.10 80/TCP no; > db 80/TCP no; < db 80/TCP yes",
        ),
        (
            "toFQDNs: [{matchPattern: '*.twitter.com'}]",
            "> api.twitter.com 80/TCP yes; > www.twitter.com 8/ICMP yes; > cdn.example.com 80/TCP yes; \
             > deep.api.twitter.com 80/TCP no; > other.example.com 80/TCP no",
        ),
        (
            "toFQDNs: [{matchPattern: '**.twitter.com'}], toPorts: [{ports: [{port: '443', protocol: TCP}]}]",
            "> deep.api.twitter.com 443/TCP yes; > deep.api.twitter.com 80/TCP no",
        ),
        (
            "toFQDNs: [{matchName: api.twitter.com}], toPorts: [{ports: [{port: '80', protocol: TCP}], rules: {http: [{method: GET}]}}]",
            "> api.twitter.com 80/TCP GET / yes; > api.twitter.com 80/TCP PUT / no; > www.twitter.com 80/TCP no",
        ),
        (
            "toFQDNs: [{matchName: api.twitter.com}], toPorts: [{ports: [{port: '443', protocol: TCP}], serverNames: [api.twitter.com]}]",
            "> api.twitter.com 443/TCP sni:api.twitter.com yes; > api.twitter.com 443/TCP sni:www.twitter.com no",
        ),
        ("toFQDNs: []", "> api.twitter.com 80/TCP no"),
        ("toEntities: [world-ipv4]", "> api.twitter.com 80/TCP yes; > deep.api.twitter.com 80/TCP no"),
        (
            "toEndpoints: [{matchLabels: {'fqdn:api.twitter.com': ''}}]}, {toFQDNs: [{matchName: api.twitter.com}], toPorts: [{ports: [{port: '1'}]}]",
            "> api.twitter.com 80/TCP yes; > www.twitter.com 80/TCP no",
        ),
        (
            "toFQDNs: [{matchName: api.twitter.com}], toPorts: [{ports: [{port: '443'}]}]}, {toCIDR: [192.0.2.0/24], toPorts: [{ports: [{port: '80'}]}]",
            "> api.twitter.com 443/TCP yes; > api.twitter.com 80/TCP yes; > www.twitter.com 80/TCP yes; > www.twitter.com 443/TCP no",
        ),
    ] {
        check(CNP, &to(peers), questions);
    }
    let denied = "spec: {endpointSelector: {}, egress: [{toFQDNs: [{matchPattern: '*.twitter.com'}]}], \
                  egressDeny: [{toCIDRSet: [{cidr: 192.0.2.0/24, except: [192.0.2.10/32]}]}]}";
    check(
        CNP,
        denied,
        "> api.twitter.com 80/TCP yes; > www.twitter.com 80/TCP no; > deep.api.twitter.com 80/TCP no",
    );
    check(CCNP, &to("toFQDNs: [{matchName: api.twitter.com}]"), "> api.twitter.com 80/TCP yes");
}

/// The label decides only outside of the cluster.
#[test]
fn an_endpoint_cannot_give_itself_a_name() {
    let policy = format!(
        "{CNP}spec: {{endpointSelector: {{}}, egress: [{{toFQDNs: [{{matchName: api.twitter.com}}]}}]}}"
    );
    let mut engine = engine(&policy, Settings::default());
    let liar = labels(&["app=db", "fqdn:api.twitter.com"], "default");
    assert!(liar.has("fqdn", "api.twitter.com"));
    let found = verdict(&engine, labels(&[], "default").into(), liar.clone().into(), "80/TCP", "");
    assert_eq!(found, "DENIED");
    let _effect =
        engine.put_identity(Identity::new(300), IdentityInfo { labels: liar, ..IdentityInfo::default() });
    assert!(engine.selectors()[0].identities.is_empty());
}

#[test]
fn patterns_come_and_go_and_make_identities() {
    let policy = |name: &str, pattern: &str| {
        let text = format!(
            "apiVersion: cilium.io/v2\nkind: CiliumNetworkPolicy\nmetadata: {{name: {name}}}\nspec: {{endpointSelector: {{}}, egress: [{{toFQDNs: [{{{pattern}}}]}}]}}"
        );
        parse(&text, "", "default").unwrap().remove(0).object
    };
    let (one, two) =
        (policy("one", "matchName: a.example.com"), policy("two", "matchPattern: a.example.com."));
    let mut engine = Engine::new(Settings::default());
    let effect = engine.replace(vec![Change::Put(one.clone())]).unwrap();
    let names: Vec<_> = effect.names_added.iter().map(ToString::to_string).collect();
    assert_eq!((names, effect.names_removed.len()), (vec!["a.example.com".to_owned()], 0));
    // The same name in another form is the same pattern.
    let effect = engine.replace(vec![Change::Put(two.clone())]).unwrap();
    assert_eq!((effect.names_added.len(), effect.names_removed.len()), (0, 0));
    let rows = engine.fqdn_selectors();
    let users: Vec<_> = rows[0].users.iter().map(ToString::to_string).collect();
    assert_eq!((rows.len(), users), (1, vec!["cnp/default/one".to_owned(), "cnp/default/two".to_owned()]));

    let (web, none) = (labels(&["app=web"], "default"), NamedPorts::new());
    let closed = engine.rule_set(&Subject::endpoint(&web, &none));
    assert_eq!((closed.egress.otherwise, closed.egress.entries.len()), (Otherwise::Deny, 0));
    let address: IpAddr = "192.0.2.1".parse().unwrap();
    let named = fqdn_labels([&rows[0].pattern], address, engine.covering_prefix(address));
    let number = Identity::FIRST_LOCAL;
    let effect = engine.put_identity(number, IdentityInfo { labels: named, ..IdentityInfo::default() });
    assert_eq!(effect.stale.len(), 1, "whoever may go there is told");
    let open = engine.rule_set(&Subject::endpoint(&web, &none));
    let peers: Vec<_> = open.egress.entries.keys().map(|key| key.peer).collect();
    assert_eq!(peers, [Peer::Identity(number)]);

    engine.replace(vec![Change::Delete(one.key())]).unwrap();
    let effect = engine.replace(vec![Change::Delete(two.key())]).unwrap();
    assert_eq!((effect.names_added.len(), effect.names_removed.len()), (0, 1));
    assert!(engine.fqdn_selectors().is_empty());
}

#[test]
fn rule_sets_carry_filters_that_stay_the_same() {
    let build = |text: &str| {
        let mut engine = Engine::new(Settings::default());
        let tie = labels(&["org=empire", "class=tiefighter"], "default");
        let _effect =
            engine.put_identity(Identity::new(257), IdentityInfo { labels: tie, ..IdentityInfo::default() });
        let parsed = parse(text, "", "default").unwrap();
        engine.replace(parsed.into_iter().map(|p| Change::Put(p.object)).collect()).unwrap();
        let deathstar = labels(&["org=empire", "class=deathstar"], "default");
        let set = engine.rule_set(&Subject::endpoint(&deathstar, &NamedPorts::new()));
        (engine, set)
    };
    let (engine, set) = build(STORIES);
    let redirect: Vec<_> = set.ingress.entries.values().filter(|e| e.action == Action::Redirect).collect();
    assert_eq!(redirect.len(), 1);
    let filter = engine.filter(redirect[0].filter).unwrap();
    assert_eq!((filter.rules.len(), filter.rules[0].rule), (1, redirect[0].rule));
    assert_eq!(filter.rules[0].object.to_string(), "cnp/default/rule1");
    assert_eq!(&*filter.rules[0].section, "spec.ingress[0].toPorts[0]");
    let rule = engine.rule(redirect[0].rule).unwrap();
    assert_eq!((rule.action, rule.l7.as_deref()), (Action::Redirect, Some(&*filter.rules[0].l7)));
    assert!(
        matches!(&*filter.rules[0].l7, L7Rules::Http(rules) if rules[0].method.as_deref() == Some("POST"))
    );
    assert!(redirect[0].precedence < Action::Allow.precedence());

    let (_, again) = build(STORIES);
    assert_eq!(set, again, "another process comes to the same");
    let (_, other) = build(&STORIES.replace("request-landing", "landing"));
    let digests =
        |set: &ciliate_policy::rule_set::RuleSet| set.ingress.filters.keys().copied().collect::<Vec<_>>();
    assert_ne!(digests(&set), digests(&other));

    // A filter is known as long as somebody holds a rule set with it.
    let digest = redirect[0].filter;
    let mut engine = engine;
    let keys: Vec<_> = engine.objects().cloned().collect();
    engine.replace(keys.into_iter().map(Change::Delete).collect()).unwrap();
    assert!(engine.filters().contains_key(&digest));
    drop((set, filter));
    assert!(engine.filter(digest).is_none() && engine.filters().is_empty());
}

#[test]
fn an_explanation_says_what_a_request_has_to_be_like() {
    let engine = engine(
        &format!("{CNP}{}", http("{method: GET, path: '/v1/.*'}, {headers: ['X-Key: k']}")),
        Settings::default(),
    );
    ask(&engine, "< db 80/TCP proxy");
    let query = Query {
        source: ask::peer("db"),
        destination: ask::peer("web"),
        protocol: Protocol::TCP,
        port: 80,
        request: Some("PUT /v1/x".parse().unwrap()),
    };
    let explained = engine.explain(&query);
    let shown = explained.to_string();
    for line in [
        "  * redirect cnp/default/p spec.ingress[0].toPorts[0]",
        "      allows http method GET path /v1/.*",
        "      allows http header \"X-Key: k\"",
        "      request does not match: method PUT is not GET; header is not \"X-Key: k\"",
        "Ingress verdict: denied (the proxy refuses it: no rule allows http PUT /v1/x)",
        "Final verdict: DENIED",
    ] {
        assert!(shown.lines().any(|l| l == line), "{line:?} is not in\n{shown}");
    }
    assert!(shown.lines().next().unwrap().ends_with("with 80/TCP, http PUT /v1/x"), "{shown}");
    let open = engine.explain(&Query { request: None, ..query });
    assert_eq!(
        open.ingress.reason,
        "to the proxy: allowed if http method GET path /v1/.*, or http header \"X-Key: k\""
    );
    let json = serde_json::to_value(&open).unwrap();
    assert_eq!(
        (&json["verdict"], &json["ingress"]["rules"][0]["action"]),
        (&"redirected".into(), &"redirect".into())
    );
    assert_eq!(json["ingress"]["rules"][0]["l7"].as_array().unwrap().len(), 2);
}
