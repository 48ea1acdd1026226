//! One table for every feature of the policies: what is written, who asks, and the answer.

use ask::{CCNP, CNP, NETPOL, ask, check, check_with, engine, peer};
use ciliate_policy::{
    AllowLocalhost, Change, CidrMatchMode, EnforcementMode, IdentityInfo, Query, Settings, parse,
};
use ciliate_types::{Direction, Identity, Protocol};

#[path = "support/ask.rs"]
mod ask;

#[test]
fn labels_and_their_sources() {
    let spec = |selector: &str| {
        format!(
            "spec: {{endpointSelector: {{matchLabels: {{app: web}}}}, ingress: [{{fromEndpoints: [{selector}]}}]}}"
        )
    };
    for (selector, questions) in [
        (
            "{matchLabels: {app: db}}",
            "< db 80/TCP yes; < job 80/TCP no; < other 80/TCP no; < world 80/TCP no",
        ),
        ("{matchLabels: {'k8s:app': db}}", "< db 80/TCP yes; < job 80/TCP no"),
        ("{matchLabels: {'any:image': alpine}}", "< job 80/TCP yes; < db 80/TCP no"),
        ("{matchLabels: {image: alpine}}", "< job 80/TCP yes"),
        ("{matchLabels: {'k8s:image': alpine}}", "< job 80/TCP no"),
        ("{matchLabels: {'container:image': alpine}}", "< job 80/TCP yes"),
        (
            "{matchLabels: {io.cilium.k8s.policy.serviceaccount: robot, app: db}}",
            "< db 80/TCP yes; < job 80/TCP no",
        ),
        (
            "{}",
            "< db 80/TCP yes; < other 80/TCP no; < 192.0.2.1 80/TCP no; < node 80/TCP no; < health 80/TCP no",
        ),
        ("{matchLabels: {'k8s:io.kubernetes.pod.namespace': other}}", "< other 80/TCP yes; < db 80/TCP no"),
        (
            "{matchLabels: {'io.cilium.k8s.namespace.labels.team': team-other}}",
            "< other 80/TCP yes; < db 80/TCP no",
        ),
        (
            "{matchLabels: {'k8s:io.cilium.k8s.namespace.labels.kubernetes.io/metadata.name': other}}",
            "< other 80/TCP yes",
        ),
        ("{matchLabels: {'reserved:health': ''}}", "< health 80/TCP yes; < db 80/TCP no"),
        ("{matchLabels: {'reserved:remote-node': ''}}", "< node 80/TCP yes; < apiserver 80/TCP no"),
        ("{matchLabels: {'cidr:10.9.0.0/16': ''}}", "< 10.9.1.1 80/TCP yes; < 10.8.1.1 80/TCP no"),
        (
            "{matchExpressions: [{key: 'cidr:fd09--0/16', operator: Exists}]}",
            "< fd09::1 80/TCP yes; < fd08::1 80/TCP no",
        ),
        (
            "{matchExpressions: [{key: app, operator: In, values: [db, job]}]}",
            "< db 80/TCP yes; < job 80/TCP yes; < other 80/TCP no",
        ),
        (
            "{matchExpressions: [{key: app, operator: NotIn, values: [db]}]}",
            "< job 80/TCP yes; < db 80/TCP no; < 192.0.2.1 80/TCP no; < node 80/TCP no",
        ),
        ("{matchExpressions: [{key: 'k8s:tier', operator: Exists}]}", "< web 80/TCP yes; < db 80/TCP no"),
        (
            "{matchExpressions: [{key: tier, operator: DoesNotExist}]}",
            "< db 80/TCP yes; < web 80/TCP no; < node 80/TCP no; < 192.0.2.1 80/TCP no",
        ),
        (
            "{matchExpressions: [{key: 'reserved:host', operator: DoesNotExist}]}",
            "< db 80/TCP yes; < 192.0.2.1 80/TCP no; < other 80/TCP no",
        ),
        (
            "{matchExpressions: [{key: io.kubernetes.pod.namespace, operator: NotIn, values: [default]}]}",
            "< other 80/TCP yes; < db 80/TCP no; < 192.0.2.1 80/TCP no",
        ),
    ] {
        check(CNP, &spec(selector), questions);
    }
    check(CCNP, &spec("{}"), "< db 80/TCP yes; < other 80/TCP yes; < 192.0.2.1 80/TCP no; < node 80/TCP no");
    check(CCNP, &spec("{matchLabels: {app: web}}"), "< other 80/TCP yes; < db 80/TCP no");
}

#[test]
fn entities_and_nodes() {
    let from = |peers: &str| format!("spec: {{endpointSelector: {{}}, ingress: [{{{peers}}}]}}");
    for (peers, questions) in [
        (
            "fromEntities: [all]",
            "< db 80/TCP yes; < 192.0.2.1 80/TCP yes; < node 8/ICMP yes; < world 80/TCP yes",
        ),
        ("fromEntities: [none]", "< db 80/TCP no"),
        ("fromEntities: []", "< db 80/TCP no"),
        (
            "fromEntities: [world]",
            "< 192.0.2.1 80/TCP yes; < fd09::1 80/TCP yes; < world 80/TCP yes; < db 80/TCP no; < node 80/TCP no",
        ),
        ("fromEntities: [world-ipv4]", "< 192.0.2.1 80/TCP yes; < fd09::1 80/TCP no"),
        ("fromEntities: [world-ipv6]", "< 192.0.2.1 80/TCP no; < fd09::1 80/TCP yes"),
        (
            "fromEntities: [cluster]",
            "< db 80/TCP yes; < other 80/TCP yes; < node 80/TCP yes; < apiserver 80/TCP yes; < health 80/TCP yes; < 192.0.2.1 80/TCP no",
        ),
        ("fromEntities: [remote-node]", "< node 80/TCP yes; < db 80/TCP no"),
        ("fromEntities: [kube-apiserver]", "< apiserver 80/TCP yes; < node 80/TCP no"),
        ("fromEntities: [health, init, ingress, unmanaged]", "< health 80/TCP yes; < db 80/TCP no"),
        (
            "fromNodes: [{matchLabels: {role: worker}}]",
            "< node 80/TCP yes; < apiserver 80/TCP no; < db 80/TCP no",
        ),
        ("fromNodes: [{}]", "< node 80/TCP yes; < db 80/TCP no"),
        ("fromEndpoints: []", "< db 80/TCP no"),
    ] {
        check(CNP, &from(peers), questions);
    }
    let out = "spec: {endpointSelector: {}, egress: [{toEntities: [host]}]}";
    check(CNP, out, "> host 80/TCP yes; > node 80/TCP no; < db 80/TCP yes");
    check(
        CNP,
        "spec: {endpointSelector: {}, egress: [{toNodes: [{matchLabels: {'node:role': worker}}]}]}",
        "> node 80/TCP yes; > host 80/TCP no",
    );
}

#[test]
fn the_local_host_enters_by_default_and_is_not_entered() {
    let closed = format!("{CNP}spec: {{endpointSelector: {{}}, ingress: [{{}}], egress: [{{}}]}}");
    check_with(
        Settings::default(),
        &closed,
        "< host 80/TCP yes; > host 80/TCP no; < db 80/TCP no; > db 80/TCP no",
    );
    let policy = Settings { allow_localhost: AllowLocalhost::Policy, ..Settings::default() };
    check_with(policy.clone(), &closed, "< host 80/TCP no");
    let denied = format!("{CNP}spec: {{endpointSelector: {{}}, ingressDeny: [{{fromEntities: [host]}}]}}");
    check_with(Settings::default(), &denied, "< host 80/TCP yes");
    check_with(policy, &denied, "< host 80/TCP no");
}

#[test]
fn addresses() {
    let to = |peers: &str| format!("spec: {{endpointSelector: {{}}, egress: [{{{peers}}}]}}");
    for (peers, questions) in [
        (
            "toCIDR: [10.9.0.0/16]",
            "> 10.9.1.1 80/TCP yes; > 10.8.1.1 80/TCP no; > db 80/TCP no; > node 80/TCP no",
        ),
        ("toCIDR: [10.9.1.1]", "> 10.9.1.1 80/TCP yes; > 10.9.1.2 80/TCP no"),
        ("toCIDR: [10.9.7.7/16]", "> 10.9.1.1 80/TCP yes"),
        (
            "toCIDR: ['fd09::/16', 0.0.0.0/0]",
            "> fd09::1 80/TCP yes; > fd08::1 80/TCP no; > 192.0.2.1 80/TCP yes; > db 80/TCP no; > host 80/TCP no",
        ),
        (
            "toCIDRSet: [{cidr: 10.9.0.0/16, except: [10.9.1.0/24]}]",
            "> 10.9.2.1 80/TCP yes; > 10.9.1.1 80/TCP no",
        ),
        (
            "toCIDRSet: [{cidr: 10.9.0.0/16, except: [10.9.1.0/24]}, {cidr: 10.9.1.1/32}]",
            "> 10.9.1.1 80/TCP yes; > 10.9.1.2 80/TCP no",
        ),
        ("toCIDRSet: [{cidrGroupRef: gone}]", "> 10.9.1.1 80/TCP no"),
    ] {
        check(CNP, &to(peers), questions);
    }
    let inside = format!("{CNP}{}", to("toCIDR: [10.0.0.0/24, 192.168.0.0/24]"));
    for (mode, questions) in [
        ("", "> db 80/TCP no; > node 80/TCP no; > host 80/TCP no"),
        ("nodes", "> db 80/TCP no; > node 80/TCP yes; > host 80/TCP yes"),
        ("endpoints", "> db 80/TCP yes; > node 80/TCP no"),
        ("nodes,endpoints", "> db 80/TCP yes; > node 80/TCP yes; > apiserver 80/TCP yes"),
    ] {
        let cidr_match_mode: CidrMatchMode = mode.parse().unwrap();
        check_with(Settings { cidr_match_mode, ..Settings::default() }, &inside, questions);
    }
}

#[test]
fn address_groups_come_change_and_go() {
    let group = |nets: &str| {
        format!(
            "apiVersion: cilium.io/v2\nkind: CiliumCIDRGroup\nmetadata: {{name: g, labels: {{use: vpn}}}}\nspec: {{externalCIDRs: [{nets}]}}\n"
        )
    };
    for peer in [
        "{cidrGroupRef: g, except: [10.9.9.0/24]}",
        "{cidrGroupSelector: {matchLabels: {use: vpn}}, except: [10.9.9.0/24]}",
    ] {
        let policy = format!("{CNP}spec: {{endpointSelector: {{}}, ingress: [{{fromCIDRSet: [{peer}]}}]}}");
        let mut engine = engine(&format!("{policy}\n---\n{}", group("10.9.0.0/16")), Settings::default());
        ask(&engine, "< 10.9.1.1 80/TCP yes; < 10.9.9.1 80/TCP no; < 10.8.1.1 80/TCP no");
        assert_eq!(engine.prefixes().len(), 2);
        let parsed = parse(&group("10.8.0.0/16, 'fd09::1'"), "", "default").unwrap();
        let effect = engine.replace(vec![Change::Put(parsed[0].object.clone())]).unwrap();
        assert_eq!((effect.prefixes_added.len(), effect.prefixes_removed.len()), (2, 2));
        ask(&engine, "< 10.9.1.1 80/TCP no; < 10.8.1.1 80/TCP yes; < fd09::1 80/TCP yes");
        engine.replace(vec![Change::Delete(parsed[0].object.key())]).unwrap();
        ask(&engine, "< 10.8.1.1 80/TCP no");
        assert!(engine.prefixes().is_empty());
    }
}

#[test]
fn ports_and_protocols() {
    let from = |ports: &str| {
        format!("spec: {{endpointSelector: {{}}, ingress: [{{toPorts: [{{ports: [{ports}]}}]}}]}}")
    };
    for (ports, questions) in [
        (
            "{port: '80', protocol: TCP}",
            "< db 80/TCP yes; < db 80/UDP no; < db 81/TCP no; < 192.0.2.1 80/TCP yes",
        ),
        ("{port: 80, protocol: tcp}", "< db 80/TCP yes"),
        ("{port: '80'}", "< db 80/TCP yes; < db 80/UDP yes; < db 80/SCTP yes; < db 80/ICMP no"),
        ("{port: '80', protocol: ANY}", "< db 80/TCP yes; < db 80/SCTP yes"),
        (
            "{port: '8000', endPort: 8100, protocol: TCP}",
            "< db 8000/TCP yes; < db 8100/TCP yes; < db 7999/TCP no; < db 8101/TCP no",
        ),
        ("{port: '0', protocol: UDP}", "< db 1/UDP yes; < db 65535/UDP yes; < db 1/TCP no"),
        ("{port: '0', protocol: ANY}", "< db 1/UDP yes; < db 1/SCTP yes; < db 8/ICMP no; < db 0/47 no"),
        ("{port: '0', protocol: GRE}", "< db 0/47 yes; < db 0/50 no; < db 80/TCP no"),
        ("{port: http, protocol: TCP}", "< db 8080/TCP yes; < db 9090/TCP no; < db 8080/UDP no"),
        ("{port: HTTP}", "< db 8080/TCP yes"),
        ("{port: dns}", "< db 53/UDP yes; < db 53/TCP no"),
        ("{port: nobody}", "< db 80/TCP no"),
    ] {
        check(CNP, &from(ports), questions);
    }
    // A name means the number of the destination.
    let named = "spec: {endpointSelector: {}, egress: [{toPorts: [{ports: [{port: http, protocol: TCP}]}]}]}";
    check(CNP, named, "> db 9090/TCP yes; > db 8080/TCP no; > job 8080/TCP no; > 192.0.2.1 8080/TCP no");
}

#[test]
fn icmp() {
    let from = |fields: &str| {
        format!("spec: {{endpointSelector: {{}}, ingress: [{{icmps: [{{fields: [{fields}]}}]}}]}}")
    };
    for (fields, questions) in [
        ("{type: 8}", "< db 8/ICMP yes; < db 0/ICMP no; < db 8/ICMPv6 no; < db 8/TCP no"),
        ("{type: 0, family: IPv4}", "< db 0/ICMP yes; < db 8/ICMP no"),
        ("{type: EchoRequest, family: IPv6}", "< db 128/ICMPv6 yes; < db 8/ICMP no"),
        ("{type: EchoRequest}, {type: '3'}", "< db 8/ICMP yes; < db 3/ICMP yes"),
    ] {
        check(CNP, &from(fields), questions);
    }
    check(
        CNP,
        "spec: {endpointSelector: {}, ingress: [{toPorts: [{ports: [{port: '0'}]}]}]}",
        "< db 8/ICMP no",
    );
    check(
        CNP,
        "spec: {endpointSelector: {}, ingress: [{fromEndpoints: [{}]}]}",
        "< db 8/ICMP yes; < db 0/47 yes",
    );
}

#[test]
fn isolation_and_denial() {
    for (spec, questions) in [
        ("ingress: []", "< db 80/TCP yes; > db 80/TCP yes"),
        ("ingress: [{}]", "< db 80/TCP no; > db 80/TCP yes"),
        ("egress: [{}]", "< db 80/TCP yes; > db 80/TCP no"),
        ("enableDefaultDeny: {ingress: true}", "< db 80/TCP no; > db 80/TCP yes"),
        (
            "enableDefaultDeny: {egress: true, ingress: false}, ingress: [{}]",
            "< db 80/TCP yes; > db 80/TCP no",
        ),
        ("ingressDeny: [{}]", "< db 80/TCP no; < 192.0.2.1 8/ICMP no; > db 80/TCP yes"),
        ("egressDeny: [{}]", "> db 80/TCP no; > 192.0.2.1 80/UDP no"),
        ("ingressDeny: [{fromEndpoints: []}], enableDefaultDeny: {ingress: false}", "< db 80/TCP yes"),
        (
            "ingressDeny: [{fromEndpoints: [{matchLabels: {app: job}}]}], enableDefaultDeny: {ingress: false}",
            "< job 80/TCP no; < db 80/TCP yes",
        ),
        (
            "ingress: [{fromEntities: [all]}], ingressDeny: [{fromEndpoints: [{matchLabels: {app: job}}], toPorts: [{ports: [{port: '22'}]}]}]",
            "< job 80/TCP yes; < job 22/TCP no; < db 22/TCP yes",
        ),
        (
            "ingress: [{fromEntities: [all]}], ingressDeny: [{icmps: [{fields: [{type: 8}]}]}]",
            "< db 80/TCP yes; < db 8/ICMP no; < db 0/ICMP yes",
        ),
        ("ingressDeny: [{toPorts: [{ports: [{port: '22'}]}]}]", "< db 22/TCP no; < db 80/TCP no"),
        (
            "egress: [{toCIDR: [10.0.0.0/8]}], egressDeny: [{toCIDRSet: [{cidr: 10.9.0.0/16, except: [10.9.1.0/24]}]}]",
            "> 10.1.1.1 80/TCP yes; > 10.9.2.1 80/TCP no; > 10.9.1.1 80/TCP yes",
        ),
    ] {
        check(CNP, &format!("spec: {{endpointSelector: {{}}, {spec}}}"), questions);
    }
    let two = "specs: [{endpointSelector: {}, ingress: [{fromEndpoints: [{matchLabels: {app: db}}]}]}, \
               {endpointSelector: {matchLabels: {app: web}}, ingress: [{fromEndpoints: [{matchLabels: {app: job}}]}]}]";
    check(CNP, two, "< db 80/TCP yes; < job 80/TCP yes; < other 80/TCP no");
}

#[test]
fn subjects() {
    for (head, selector, isolated) in [
        (CNP, "{}", true),
        (CNP, "{matchLabels: {app: web}}", true),
        (CNP, "{matchLabels: {app: db}}", false),
        (CNP, "{matchLabels: {io.kubernetes.pod.namespace: default}}", true),
        (CNP, "{matchExpressions: [{key: tier, operator: DoesNotExist}]}", false),
        (CCNP, "{}", true),
        (CCNP, "{matchLabels: {io.kubernetes.pod.namespace: other}}", false),
        (
            "apiVersion: cilium.io/v2\nkind: CiliumNetworkPolicy\nmetadata: {name: p, namespace: other}\n",
            "{}",
            false,
        ),
    ] {
        let answer = if isolated { "no" } else { "yes" };
        check(
            head,
            &format!("spec: {{endpointSelector: {selector}, ingress: [{{}}]}}"),
            &format!("< db 80/TCP {answer}"),
        );
    }
}

#[test]
fn enforcement_modes() {
    let open = format!(
        "{CNP}spec: {{endpointSelector: {{}}, ingressDeny: [{{fromEndpoints: [{{}}]}}], enableDefaultDeny: {{ingress: false}}}}"
    );
    for (mode, questions) in [
        ("default", "< db 80/TCP no; < other 80/TCP yes; > db 80/TCP yes"),
        ("always", "< db 80/TCP no; < other 80/TCP no; > db 80/TCP no; < host 80/TCP yes"),
        ("never", "< db 80/TCP yes; > db 80/TCP yes"),
    ] {
        let enforcement: EnforcementMode = mode.parse().unwrap();
        check_with(Settings { enforcement, ..Settings::default() }, &open, questions);
    }
}

#[test]
fn network_policies_of_kubernetes() {
    for (spec, questions) in [
        ("{podSelector: {}}", "< db 80/TCP no; > db 80/TCP yes"),
        ("{podSelector: {}, policyTypes: [Egress]}", "< db 80/TCP yes; > db 80/TCP no"),
        (
            "{podSelector: {}, policyTypes: [Egress], ingress: [{from: [{podSelector: {}}]}]}",
            "< other 80/TCP yes; > db 80/TCP no",
        ),
        ("{podSelector: {}, egress: [{}]}", "< db 80/TCP no; > 192.0.2.1 80/TCP yes; > host 8/ICMP yes"),
        ("{podSelector: {matchLabels: {app: db}}}", "< db 80/TCP yes"),
        ("{podSelector: {}, ingress: [{}]}", "< db 80/TCP yes; < 192.0.2.1 80/TCP yes; < node 8/ICMP yes"),
        (
            "{podSelector: {}, ingress: [{from: [], ports: [{port: 80}]}]}",
            "< 192.0.2.1 80/TCP yes; < db 80/UDP no",
        ),
        (
            "{podSelector: {}, ingress: [{from: [{podSelector: {matchLabels: {app: db}}}]}]}",
            "< db 80/TCP yes; < db 8/ICMP yes; < job 80/TCP no; < other 80/TCP no",
        ),
        (
            "{podSelector: {}, ingress: [{from: [{podSelector: {}}]}]}",
            "< db 80/TCP yes; < other 80/TCP no; < 192.0.2.1 80/TCP no; < node 80/TCP no",
        ),
        (
            "{podSelector: {}, ingress: [{from: [{namespaceSelector: {}}]}]}",
            "< db 80/TCP yes; < other 80/TCP yes; < 192.0.2.1 80/TCP no",
        ),
        (
            "{podSelector: {}, ingress: [{from: [{namespaceSelector: {matchLabels: {team: team-other}}}]}]}",
            "< other 80/TCP yes; < db 80/TCP no",
        ),
        (
            "{podSelector: {}, ingress: [{from: [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: other}}, podSelector: {matchLabels: {app: web}}}]}]}",
            "< other 80/TCP yes; < web 80/TCP no",
        ),
        (
            "{podSelector: {}, ingress: [{from: [{namespaceSelector: {matchExpressions: [{key: team, operator: NotIn, values: [team-other]}]}}]}]}",
            "< db 80/TCP yes; < other 80/TCP no; < 192.0.2.1 80/TCP no; < node 80/TCP no",
        ),
        (
            "{podSelector: {}, ingress: [{from: [{ipBlock: {cidr: 10.0.0.0/8, except: [10.9.0.0/16]}}]}]}",
            "< db 80/TCP yes; < 10.8.1.1 80/TCP yes; < 10.9.1.1 80/TCP no; < other 80/TCP no; < node 80/TCP no",
        ),
        (
            "{podSelector: {}, egress: [{to: [{ipBlock: {cidr: 192.168.0.0/16}}]}]}",
            "> node 80/TCP yes; > db 80/TCP no; > 192.168.7.7 80/TCP yes",
        ),
        (
            "{podSelector: {}, ingress: [{from: [{ipBlock: {cidr: 'fd00::/16'}}]}]}",
            "< other 80/TCP yes; < db 80/TCP no",
        ),
        ("{podSelector: {}, ingress: [{ports: [{port: http}]}]}", "< db 8080/TCP yes; < db 80/TCP no"),
        ("{podSelector: {}, egress: [{ports: [{port: http}]}]}", "> db 9090/TCP yes; > db 8080/TCP no"),
        (
            "{podSelector: {}, ingress: [{ports: [{port: 8000, endPort: 8100}, {protocol: UDP}]}]}",
            "< db 8050/TCP yes; < db 8101/TCP no; < db 1/UDP yes; < db 1/SCTP no",
        ),
    ] {
        check(NETPOL, &format!("spec: {spec}"), questions);
    }
}

#[test]
fn an_explanation_names_every_rule_and_why() {
    let engine = engine(
        &format!(
            "{CNP}spec: {{description: shop, endpointSelector: {{matchLabels: {{app: web}}}}, ingress: [{{fromEndpoints: [{{matchLabels: {{app: db}}}}], toPorts: [{{ports: [{{port: '80'}}]}}, {{ports: [{{port: '443'}}]}}]}}]}}"
        ),
        Settings::default(),
    );
    let query = Query {
        source: peer("job"),
        destination: peer("web"),
        protocol: Protocol::TCP,
        port: 443,
        request: None,
    };
    let explained = engine.explain(&query);
    let shown = explained.to_string();
    for line in [
        "Resolving ingress policy of the destination",
        "  - allow cnp/default/p spec.ingress[0].toPorts[0]",
        "      peer does not match: lacks any:app=db",
        "      traffic does not match: only 80/TCP, 80/UDP, 80/SCTP",
        "  - allow cnp/default/p spec.ingress[0].toPorts[1]",
        "      traffic matches: 443/TCP",
        "  isolated by cnp/default/p",
        "Ingress verdict: denied (no rule allows it)",
        "Final verdict: DENIED",
    ] {
        assert!(shown.lines().any(|l| l == line), "{line:?} is not in\n{shown}");
    }
    let json = serde_json::to_value(&explained).unwrap();
    assert_eq!(json["verdict"], "denied");
    assert_eq!(json["ingress"]["rules"][1]["traffic"]["matches"], true);
    let allowed = engine.explain(&Query { source: peer("db"), ..query });
    let rule = engine.rule(allowed.ingress.decided_by.unwrap()).unwrap();
    assert_eq!((rule.section.as_str(), rule.description.as_str()), ("spec.ingress[0].toPorts[1]", "shop"));
    assert_eq!(rule.direction, Direction::Ingress);
}

#[test]
fn selectors_show_whom_they_select() {
    let mut engine = engine(
        &format!(
            "{CNP}spec: {{endpointSelector: {{}}, ingress: [{{fromEndpoints: [{{matchLabels: {{app: db}}}}]}}]}}"
        ),
        Settings::default(),
    );
    engine.put_identity(
        Identity::new(300),
        IdentityInfo { labels: peer("db").labels, ..IdentityInfo::default() },
    );
    let rows = engine.selectors();
    assert_eq!(rows.len(), 1);
    assert_eq!(rows[0].selector, "any:app=db, k8s:io.kubernetes.pod.namespace=default");
    assert_eq!(
        (rows[0].users[0].to_string().as_str(), rows[0].identities.as_slice()),
        ("cnp/default/p", [Identity::new(300)].as_slice())
    );
}
