//! Bad input: every fault is named with its line and field, and nothing ever panics.

use ciliate_policy::{Change, Engine, InputError, Object, Settings, parse, parse_stored};
use proptest::prelude::*;

const CNP: &str = "apiVersion: cilium.io/v2\nkind: CiliumNetworkPolicy\nmetadata: {name: p}\n";

#[expect(clippy::expect_used, reason = "a test")]
fn faults(text: &str) -> Vec<(usize, String, String)> {
    let errors = parse(text, "test.yaml", "default").expect_err(text);
    errors.into_iter().map(|error| (error.line, error.field, error.message)).collect()
}

/// The only fault of a spec of a CiliumNetworkPolicy: its field, and a part of what is said about it.
fn check(head: &str, spec: &str, field: &str, message: &str) {
    let text = format!("{head}spec: {spec}");
    let found = faults(&text);
    assert!(
        matches!(&found[..], [(_, f, m)] if f == field && m.contains(message)),
        "{text}\nwanted {field}: {message}\nfound {found:#?}"
    );
}

#[test]
fn every_fault_has_its_line_and_field() {
    let text = "apiVersion: cilium.io/v2
kind: CiliumNetworkPolicy
metadata:
  name: Bad_Name
spec:
  endpointSelector: {}
  ingress:
  - fromCIDR:
    - 10.0.0.0/33
    toPorts:
    - ports:
      - port: '80'
        protocol: TPC
      - port: 'a_b'
---
apiVersion: v1
kind: Pod
metadata: {name: x}
---
apiVersion: networking.k8s.io/v2
kind: NetworkPolicy
metadata: {name: np}
";
    let errors = parse(text, "dir/test.yaml", "default").unwrap_err();
    let found: Vec<_> = errors.iter().map(|e| (e.document, e.line, e.field.as_str())).collect();
    assert_eq!(
        found,
        [
            (1, 4, "metadata.name"),
            (1, 9, "spec.ingress[0].fromCIDR[0]"),
            (1, 13, "spec.ingress[0].toPorts[0].ports[0].protocol"),
            (1, 14, "spec.ingress[0].toPorts[0].ports[1].port"),
            (2, 17, "kind"),
            (3, 20, "apiVersion"),
        ]
    );
    assert_eq!(
        errors[1].to_string(),
        "dir/test.yaml:9: CiliumNetworkPolicy default/Bad_Name: spec.ingress[0].fromCIDR[0]: \"10.0.0.0/33\" is \
         not an address prefix: write one such as 10.0.0.0/8 or fd00::/8"
    );
    assert!(errors[4].message.contains("CiliumCIDRGroup"), "{}", errors[4]);
    assert!(errors[5].message.contains("networking.k8s.io/v1"), "{}", errors[5]);
}

#[test]
fn fields_of_later_versions_are_refused_by_name() {
    for (spec, field) in [
        ("{nodeSelector: {}, endpointSelector: {}}", "spec.nodeSelector"),
        ("{endpointSelector: {}, ingress: [{fromRequires: [{}]}]}", "spec.ingress[0].fromRequires"),
        ("{endpointSelector: {}, ingress: [{fromGroups: [{}]}]}", "spec.ingress[0].fromGroups"),
        (
            "{endpointSelector: {}, ingress: [{authentication: {mode: required}}]}",
            "spec.ingress[0].authentication",
        ),
        ("{endpointSelector: {}, egress: [{toRequires: [{}]}]}", "spec.egress[0].toRequires"),
        ("{endpointSelector: {}, egress: [{toServices: [{}]}]}", "spec.egress[0].toServices"),
        ("{endpointSelector: {}, egressDeny: [{toGroups: [{}]}]}", "spec.egressDeny[0].toGroups"),
        (
            "{endpointSelector: {}, egress: [{toPorts: [{ports: [{port: '80'}], listener: {}}]}]}",
            "spec.egress[0].toPorts[0].listener",
        ),
        (
            "{endpointSelector: {}, egress: [{toPorts: [{ports: [{port: '80'}], terminatingTLS: {}}]}]}",
            "spec.egress[0].toPorts[0].terminatingTLS",
        ),
        (
            "{endpointSelector: {}, egress: [{toPorts: [{ports: [{port: '80'}], originatingTLS: {}}]}]}",
            "spec.egress[0].toPorts[0].originatingTLS",
        ),
        (
            "{endpointSelector: {}, egress: [{toPorts: [{ports: [{port: '80', protocol: TCP}], rules: {l7proto: x}}]}]}",
            "spec.egress[0].toPorts[0].rules.l7proto",
        ),
        (
            "{endpointSelector: {}, egress: [{toPorts: [{ports: [{port: '80', protocol: TCP}], rules: {l7: [{a: b}]}}]}]}",
            "spec.egress[0].toPorts[0].rules.l7",
        ),
    ] {
        check(CNP, spec, field, field.rsplit('.').next().unwrap());
    }
}

#[test]
fn rules_about_requests_are_checked() {
    let http = |rule: &str| format!("ports: [{{port: '80', protocol: TCP}}], rules: {{http: [{rule}]}}");
    let kafka = |rule: &str| format!("ports: [{{port: '80', protocol: TCP}}], rules: {{kafka: [{rule}]}}");
    let dns = |rule: &str| format!("ports: [{{port: '53'}}], rules: {{dns: [{rule}]}}");
    let names = |names: &str| format!("ports: [{{port: '443', protocol: TCP}}], serverNames: [{names}]");
    let on = |ports: &str, rules: &str| format!("ports: [{ports}], rules: {{{rules}}}");
    for (element, field, message) in [
        (http("{method: '('}"), "rules.http[0].method", "at character 1: unclosed group"),
        (http("{path: '/v1/(?=x)'}"), "rules.http[0].path", "at character 5: look-around"),
        (http("{host: 'a[z-a]'}"), "rules.http[0].host", "at character 3: invalid character class range"),
        (http("{path: '((x{1000}){1000}){1000}'}"), "rules.http[0].path", "simpler expression"),
        (http(&format!("{{path: '/{}'}}", "a".repeat(20_000))), "rules.http[0].path", "longer than"),
        (
            http("{headerMatches: [{name: Host, value: a, mismatch: REPLACE}]}"),
            "rules.http[0].headerMatches[0]",
            "not change",
        ),
        (
            http("{headers: ['X A:b:']}, {headers: [': b']}"),
            "rules.http[1].headers[0]",
            "not the name of a header",
        ),
        (http("{headers: ['X-A:']}"), "rules.http[0].headers[0]", "has no value"),
        (http("{headers: [\"X-A: a\\u0001\"]}"), "rules.http[0].headers[0]", "control characters"),
        (http("{headerMatches: [{value: a}]}"), "rules.http[0].headerMatches[0].name", "is missing"),
        (
            http("{headerMatches: [{name: 'X A'}]}"),
            "rules.http[0].headerMatches[0].name",
            "not the name of a header",
        ),
        (
            http("{headerMatches: [{name: A, value: \"\\x7f\"}]}"),
            "rules.http[0].headerMatches[0].value",
            "control",
        ),
        (
            http("{headerMatches: [{name: A, regex: '*'}]}"),
            "rules.http[0].headerMatches[0].regex",
            "at character 1",
        ),
        (
            http("{headerMatches: [{name: A, regex: b, value: c}]}"),
            "rules.http[0].headerMatches[0].regex",
            "beside",
        ),
        (
            http("{headerMatches: [{name: A, mismatch: DROP}]}"),
            "rules.http[0].headerMatches[0].mismatch",
            "REPLACE",
        ),
        (
            http("{headerMatches: [{name: A, mismatch: ADD}]}"),
            "rules.http[0].headerMatches[0].mismatch",
            "value",
        ),
        (
            http("{headerMatches: [{name: A, secret: {}}]}"),
            "rules.http[0].headerMatches[0].secret.name",
            "is missing",
        ),
        (
            http("{headerMatches: [{name: A, secret: {name: B}}]}"),
            "rules.http[0].headerMatches[0].secret.name",
            "not a name",
        ),
        (http(""), "rules.http", "leave it out to allow every request"),
        (kafka("{role: eat}"), "rules.kafka[0].role", "produce or consume"),
        (kafka("{role: produce, apiKey: fetch}"), "rules.kafka[0]", "role and apiKey"),
        (kafka("{apiKey: eat}"), "rules.kafka[0].apiKey", "createtopics"),
        (kafka("{apiVersion: '-1'}"), "rules.kafka[0].apiVersion", "0 to 32767"),
        (kafka("{topic: 'a b'}"), "rules.kafka[0].topic", "at most 255"),
        (kafka(&format!("{{topic: {}}}", "a".repeat(256))), "rules.kafka[0].topic", "at most 255"),
        (kafka(&format!("{{clientID: {}}}", "a".repeat(32_768))), "rules.kafka[0].clientID", "32767"),
        (dns("{}"), "rules.dns[0]", "matchName or matchPattern"),
        (dns("{matchName: '*.a'}"), "rules.dns[0].matchName", "'*'"),
        (dns("{matchPattern: 'a b'}"), "rules.dns[0].matchPattern", "' '"),
        (dns("{matchName: a..b}"), "rules.dns[0].matchName", "empty label"),
        (names("''"), "serverNames[0]", "must not be empty"),
        (names("."), "serverNames[0]", "no server"),
        (names("a b"), "serverNames[0]", "' '"),
        (names(""), "serverNames", "is empty"),
        (on("{port: '80'}", "http: [{}]"), "ports[0].protocol", "TCP, not ANY"),
        (on("{port: '80', protocol: UDP}", "kafka: [{}]"), "ports[0].protocol", "TCP, not UDP"),
        (on("{port: '53', protocol: SCTP}", "dns: [{matchName: a}]"), "ports[0].protocol", "TCP, UDP or ANY"),
        (on("{port: '0', protocol: TCP}", "http: [{}]"), "ports[0].port", "not 0"),
        (on("{port: '53', endPort: 54}", "dns: [{matchName: a}]"), "ports[0].endPort", "single ports"),
        (on("", "http: [{}]"), "ports", "names no port"),
        (on("{port: '80', protocol: TCP}", "http: [{}], kafka: [{}]"), "rules", "http and kafka"),
        (
            "ports: [{port: '80', protocol: UDP}], serverNames: [a]".to_owned(),
            "ports[0].protocol",
            "TCP, not UDP",
        ),
        (format!("{}, serverNames: [a]", http("{}")), "serverNames", "inside of TLS"),
    ] {
        let field = format!("spec.egress[0].toPorts[0].{field}");
        check(
            CNP,
            &format!("{{endpointSelector: {{}}, egress: [{{toPorts: [{{{element}}}]}}]}}"),
            &field,
            message,
        );
    }
    for (spec, field, message) in [
        (
            format!("ingress: [{{toPorts: [{{{}}}]}}]", dns("{matchName: a}")),
            "ingress[0].toPorts[0].rules.dns",
            "under egress",
        ),
        (
            format!("ingressDeny: [{{toPorts: [{{{}}}]}}]", http("{}")),
            "ingressDeny[0].toPorts[0].rules",
            "deny rule",
        ),
        (
            format!("egressDeny: [{{toPorts: [{{{}}}]}}]", names("a")),
            "egressDeny[0].toPorts[0].serverNames",
            "deny rule",
        ),
        ("egressDeny: [{toFQDNs: [{matchName: a}]}]".to_owned(), "egressDeny[0].toFQDNs", "deny rule"),
        ("egress: [{toFQDNs: [{}]}]".to_owned(), "egress[0].toFQDNs[0]", "names nothing"),
        (
            "egress: [{toFQDNs: [{matchName: a, matchPattern: b}]}]".to_owned(),
            "egress[0].toFQDNs[0]",
            "either",
        ),
        ("egress: [{toFQDNs: [{matchName: .}]}]".to_owned(), "egress[0].toFQDNs[0]", "no server"),
        (
            "egress: [{toFQDNs: [{matchPattern: '*.a!'}]}]".to_owned(),
            "egress[0].toFQDNs[0].matchPattern",
            "'!'",
        ),
        (
            "egress: [{toFQDNs: [{matchName: a}], toCIDR: [10.0.0.0/8]}]".to_owned(),
            "egress[0]",
            "toCIDR and toFQDNs",
        ),
        (
            "egress: [{toFQDNs: [{matchName: a}], toPorts: [{ports: [{port: http}]}]}]".to_owned(),
            "egress[0].toPorts",
            "write port numbers",
        ),
    ] {
        check(CNP, &format!("{{endpointSelector: {{}}, {spec}}}"), &format!("spec.{field}"), message);
    }
    let everywhere = CNP.replace("CiliumNetworkPolicy", "CiliumClusterwideNetworkPolicy");
    let secret = http("{headerMatches: [{name: A, secret: {name: b}}]}");
    check(
        &everywhere,
        &format!("{{endpointSelector: {{}}, ingress: [{{toPorts: [{{{secret}}}]}}]}}"),
        "spec.ingress[0].toPorts[0].rules.http[0].headerMatches[0].secret.namespace",
        "is missing",
    );
}

/// What is wrong with a secret is said without its values.
#[test]
fn secrets_are_read_and_not_shown() {
    let head = "apiVersion: v1\nkind: Secret\nmetadata: {name: token}\n";
    let value = |body: &str| {
        let parsed = parse(&format!("{head}{body}"), "", "default").unwrap().remove(0);
        let Object::Secret(secret) = &parsed.object else { panic!("{parsed:?}") };
        assert!(!format!("{:?}", parsed.object).contains("opensesame"), "{:?}", parsed.object);
        let shown = ciliate_policy::object::secret::redacted(parsed.raw.clone()).to_string();
        assert!(!shown.contains("opensesame") && !shown.contains("b3BlbnNlc2FtZQ"), "{shown}");
        assert!(parsed.warnings.is_empty());
        secret.only_value().map(|value| String::from_utf8(value.expose().to_vec()).unwrap())
    };
    let open = Some("opensesame".to_owned());
    assert_eq!(value("stringData: {key: opensesame}"), open);
    assert_eq!(value("type: Opaque\ndata: {key: b3BlbnNlc2FtZQ==}"), open);
    assert_eq!(value("data: {key: eA==}\nstringData: {key: opensesame}"), open);
    assert_eq!(value("data: {other: eA==}\nstringData: {key: opensesame}"), None);
    assert_eq!(value(""), None);
    for (body, field, part) in [
        ("data: {key: opensesame!}", "data.key", "is not base64"),
        ("data: opensesame", "data", "wants a mapping"),
        ("stringData: [opensesame]", "stringData", "wants a mapping"),
        ("data: {key: [opensesame]}", "data.key", "wants a text"),
    ] {
        let all = faults(&format!("{head}{body}"));
        assert!(all.iter().any(|(_, at, message)| at == field && message.contains(part)), "{body}: {all:?}");
        assert!(!format!("{all:?}").contains("opensesame"), "{all:?}");
    }
}

/// On the way in names are no field at all: whoever writes them is told.
#[test]
fn names_are_for_destinations() {
    let text = format!("{CNP}spec: {{endpointSelector: {{}}, ingress: [{{toFQDNs: [{{matchName: a}}]}}]}}");
    let parsed = parse(&text, "", "default").unwrap();
    assert_eq!(parsed[0].warnings[0].field, "spec.ingress[0].toFQDNs");
}

#[test]
fn values_are_checked() {
    for (rule, field, message) in [
        ("fromCIDR: 10.0.0.0/8", "fromCIDR", "wants a list, not \"10.0.0.0/8\""),
        ("fromCIDRSet: [{cidr: 10.0.0.1}]", "fromCIDRSet[0].cidr", "not an address prefix"),
        (
            "fromCIDRSet: [{cidr: 10.0.0.0/8, except: [11.0.0.0/9]}]",
            "fromCIDRSet[0].except[0]",
            "does not lie within",
        ),
        (
            "fromCIDRSet: [{cidr: 10.0.0.0/8, except: ['fd00::/8']}]",
            "fromCIDRSet[0].except[0]",
            "does not lie within",
        ),
        ("fromCIDRSet: [{cidr: 10.0.0.0/8, cidrGroupRef: g}]", "fromCIDRSet[0]", "exactly one of"),
        ("fromCIDRSet: [{}]", "fromCIDRSet[0]", "exactly one of"),
        ("fromCIDRSet: [{cidrGroupRef: 'A b'}]", "fromCIDRSet[0].cidrGroupRef", "not a name"),
        ("fromEntities: [moon]", "fromEntities[0]", "kube-apiserver"),
        ("fromEntities: [world], fromEndpoints: [{}]", "", "cannot stand in one rule"),
        ("fromCIDR: [10.0.0.0/8], fromCIDRSet: [{cidr: 10.0.0.0/8}]", "", "write two rules"),
        (
            "icmps: [{fields: [{type: 8}]}], toPorts: [{ports: [{port: '80'}]}]",
            "icmps",
            "cannot stand beside toPorts",
        ),
        ("icmps: [{fields: [{type: 256}]}]", "icmps[0].fields[0].type", "0 to 255"),
        ("icmps: [{fields: [{type: Ping}]}]", "icmps[0].fields[0].type", "EchoRequest"),
        ("icmps: [{fields: [{type: 8, family: IPv5}]}]", "icmps[0].fields[0].family", "IPv4 or IPv6"),
        ("icmps: [{fields: []}]", "icmps[0].fields", "names no type"),
        ("toPorts: [{}]", "toPorts[0].ports", "names no port"),
        ("toPorts: [{ports: [{}]}]", "toPorts[0].ports[0].port", "is missing"),
        ("toPorts: [{ports: [{port: '65536'}]}]", "toPorts[0].ports[0].port", "1 to 65535"),
        ("toPorts: [{ports: [{port: '-1'}]}]", "toPorts[0].ports[0].port", "1 to 65535"),
        ("toPorts: [{ports: [{port: '080'}]}]", "toPorts[0].ports[0].port", "1 to 65535"),
        ("toPorts: [{ports: [{port: a-much-too-long-name}]}]", "toPorts[0].ports[0].port", "at most 15"),
        ("toPorts: [{ports: [{port: '80', endPort: 79}]}]", "toPorts[0].ports[0].endPort", "lies below"),
        ("toPorts: [{ports: [{port: '80', endPort: 70000}]}]", "toPorts[0].ports[0].endPort", "1 to 65535"),
        (
            "toPorts: [{ports: [{port: '80', endPort: '90'}]}]",
            "toPorts[0].ports[0].endPort",
            "without quotes",
        ),
        (
            "toPorts: [{ports: [{port: '0', endPort: 90}]}]",
            "toPorts[0].ports[0].endPort",
            "leave endPort out",
        ),
        ("toPorts: [{ports: [{port: http, endPort: 90}]}]", "toPorts[0].ports[0].endPort", "not a name"),
        ("toPorts: [{ports: [{port: '80', protocol: ICMP}]}]", "toPorts[0].ports[0].protocol", "under icmps"),
        ("toPorts: [{ports: [{port: '80', protocol: GRE}]}]", "toPorts[0].ports[0].port", "no ports"),
        ("fromEndpoints: {}", "fromEndpoints", "wants a list"),
        ("fromEndpoints: [{matchLabels: [a]}]", "fromEndpoints[0].matchLabels", "wants a mapping"),
        ("fromEndpoints: [{matchLabels: {a: [b]}}]", "fromEndpoints[0].matchLabels.a", "wants a text"),
        ("fromEndpoints: [{matchLabels: {a b: c}}]", "fromEndpoints[0].matchLabels[a b]", "not a label key"),
        ("fromEndpoints: [{matchLabels: {a: 'b c'}}]", "fromEndpoints[0].matchLabels.a", "not a label value"),
        (
            "fromEndpoints: [{matchLabels: {'k8:a': b}}]",
            "fromEndpoints[0].matchLabels[k8:a]",
            "source \"k8\" is unknown",
        ),
        (
            "fromEndpoints: [{matchLabels: {'reserved:moon': ''}}]",
            "fromEndpoints[0].matchLabels[reserved:moon]",
            "remote-node",
        ),
        (
            "fromEndpoints: [{matchLabels: {'cidr:x': ''}}]",
            "fromEndpoints[0].matchLabels[cidr:x]",
            "not an address prefix",
        ),
        (
            "fromEndpoints: [{matchExpressions: [{key: 'cidr:10.0.0.0/8', operator: DoesNotExist}]}]",
            "fromEndpoints[0].matchExpressions[0].key",
            "except",
        ),
        (
            "fromEndpoints: [{matchExpressions: [{key: a, operator: Is}]}]",
            "fromEndpoints[0].matchExpressions[0].operator",
            "DoesNotExist",
        ),
        (
            "fromEndpoints: [{matchExpressions: [{key: a, operator: In}]}]",
            "fromEndpoints[0].matchExpressions[0].values",
            "at least one",
        ),
        (
            "fromEndpoints: [{matchExpressions: [{key: a, operator: Exists, values: [b]}]}]",
            "fromEndpoints[0].matchExpressions[0].values",
            "no values",
        ),
    ] {
        let field =
            if field.is_empty() { "spec.ingress[0]".to_owned() } else { format!("spec.ingress[0].{field}") };
        check(CNP, &format!("{{endpointSelector: {{}}, ingress: [{{{rule}}}]}}"), &field, message);
    }
    for (spec, field, message) in [
        ("{ingress: [{}]}", "spec.endpointSelector", "is missing"),
        (
            "{endpointSelector: {matchLabels: {io.kubernetes.pod.namespace: x}}}",
            "spec.endpointSelector",
            "its namespace",
        ),
        (
            "{endpointSelector: {}, enableDefaultDeny: {ingress: yes}}",
            "spec.enableDefaultDeny.ingress",
            "true or false",
        ),
        (
            "{endpointSelector: {}, egress: [{toCIDR: [10.0.0.0/8], toPorts: [{ports: [{port: http}]}]}]}",
            "spec.egress[0].toPorts",
            "write port numbers",
        ),
        ("[]", "spec", "wants a mapping"),
        ("", "spec", "is missing"),
    ] {
        check(CNP, spec, field, message);
    }
    let netpol = "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: p}\n";
    for (spec, field, message) in [
        ("{policyTypes: [Both]}", "spec.policyTypes[0]", "Ingress or Egress"),
        ("{ingress: [{from: [{}]}]}", "spec.ingress[0].from[0]", "names no peer"),
        (
            "{ingress: [{from: [{ipBlock: {cidr: 10.0.0.0/8}, podSelector: {}}]}]}",
            "spec.ingress[0].from[0].ipBlock",
            "beside",
        ),
        (
            "{ingress: [{from: [{ipBlock: {cidr: 10.0.0.0/8, except: [10.0.0.0/8]}}]}]}",
            "spec.ingress[0].from[0].ipBlock.except[0]",
            "does not lie",
        ),
        ("{ingress: [{ports: [{port: 0}]}]}", "spec.ingress[0].ports[0].port", "1 to 65535"),
        ("{ingress: [{ports: [{port: '80'}]}]}", "spec.ingress[0].ports[0].port", "not a port"),
        ("{ingress: [{ports: [{endPort: 80}]}]}", "spec.ingress[0].ports[0].endPort", "needs a port"),
        ("{ingress: [{ports: [{port: 80, protocol: ANY}]}]}", "spec.ingress[0].ports[0].protocol", "SCTP"),
        (
            "{egress: [{to: [{ipBlock: {cidr: 10.0.0.0/8}}], ports: [{port: http}]}]}",
            "spec.egress[0].ports",
            "no names",
        ),
        (
            "{podSelector: {matchLabels: {'k8s:a': b}}}",
            "spec.podSelector.matchLabels[k8s:a]",
            "not a label key",
        ),
    ] {
        check(netpol, spec, field, message);
    }
}

#[test]
fn what_is_no_object_is_said_to_be_none() {
    for (text, message) in [
        ("a: [", "not valid YAML"),
        ("a: 1\na: 2", "written twice"),
        ("x", "wants an object"),
        ("[]", "wants an object"),
        ("{}", "is missing"),
        ("kind: CiliumNetworkPolicy\nmetadata: {name: a}\nspec: {endpointSelector: {}}", "cilium.io/v2"),
        ("apiVersion: v1\nkind: Namespace", "is missing"),
        ("apiVersion: v1\nkind: Namespace\nmetadata: {name: a, namespace: b}", "belongs to no namespace"),
        ("apiVersion: v1\nkind: Namespace\nmetadata: {generateName: a-, name: b}", "write a name"),
        ("a: *b", "anchor"),
        ("a: !x y", "tag"),
        (&format!("a: {}{}", "[".repeat(100), "]".repeat(100)), "deep"),
        (
            "a: &a [x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b]\nd: &d [*c,*c,*c,*c,*c,*c,*c,*c]\n\
          e: &e [*d,*d,*d,*d,*d,*d,*d,*d]\nf: &f [*e,*e,*e,*e,*e,*e,*e,*e]\ng: &g [*f,*f,*f,*f,*f,*f,*f,*f]\n\
          h: &h [*g,*g,*g,*g,*g,*g,*g,*g]\ni: [*h,*h,*h,*h,*h,*h,*h,*h]",
            "split it",
        ),
    ] {
        let found = faults(text);
        assert!(found.iter().any(|(_, _, m)| m.contains(message)), "{text}: {message}\n{found:#?}");
    }
    assert_eq!(parse("", "empty", "default").unwrap(), []);
    assert_eq!(parse("---\n---\n# nothing\n", "empty", "default").unwrap(), []);
}

#[test]
fn the_same_name_twice_is_refused() {
    let one = format!("{CNP}spec: {{endpointSelector: {{}}}}\n");
    let found = faults(&format!("{one}---\n{one}"));
    assert!(
        matches!(&found[..], [(_, f, m)] if f == "metadata.name" && m.contains("first on line 1")),
        "{found:#?}"
    );
}

#[test]
fn unknown_fields_are_warnings_that_know_better() {
    let text =
        format!("{CNP}spec:\n  endpointSelector: {{}}\n  ingres: [{{}}]\n  ingress:\n  - fromEndpoint: []\n");
    let parsed = parse(&text, "test.yaml", "default").unwrap();
    let shown: Vec<_> =
        parsed[0].warnings.iter().map(|w| (w.line, w.field.as_str(), w.message.as_str())).collect();
    assert_eq!(
        shown,
        [
            (8, "spec.ingress[0].fromEndpoint", "unknown field: did you mean fromEndpoints?"),
            (6, "spec.ingres", "unknown field: did you mean ingress?"),
        ]
    );
}

#[test]
fn texts_are_kept_as_they_were_written() {
    let text = "apiVersion: v1\nkind: Namespace\nmetadata: {name: a, labels: {a: 0755, b: yes, c: 1e3, d: 80, e: true, f: '80', g: ~}}";
    let parsed = parse(text, "", "").unwrap();
    let again = parse(&parsed[0].raw.to_string(), "", "").unwrap();
    assert_eq!(parsed[0].object, again[0].object);
    let values: Vec<_> = parsed[0].object.labels().values().map(String::as_str).collect();
    assert_eq!(values, ["0755", "yes", "1e3", "80", "true", "80", ""]);
}

#[test]
fn lists_anchors_and_merges_are_read() {
    let text = "apiVersion: v1\nkind: List\nitems:\n- &n {apiVersion: v1, kind: Namespace, metadata: {name: a}}\n- {<<: *n, metadata: {name: b}}\n";
    let names: Vec<_> = parse(text, "", "").unwrap().iter().map(|p| p.object.key().to_string()).collect();
    assert_eq!(names, ["ns/a", "ns/b"]);
}

#[test]
fn nothing_changes_if_one_change_is_wrong() {
    let good =
        parse(&format!("{CNP}spec: {{endpointSelector: {{}}}}"), "", "default").unwrap().remove(0).object;
    let mut bad = good.clone();
    if let Object::CiliumNetworkPolicy(policy) = &mut bad {
        policy.metadata.name = "q".to_owned();
        policy.spec = None;
    }
    let mut engine = Engine::new(Settings::default());
    let errors: Vec<InputError> = engine.replace(vec![Change::Put(good), Change::Put(bad)]).unwrap_err();
    assert_eq!(errors.iter().map(|e| e.field.as_str()).collect::<Vec<_>>(), ["spec"]);
    assert_eq!((engine.objects().count(), engine.revision()), (0, 1));
}

#[test]
fn ten_thousand_rules_are_read() {
    let mut text = format!("{CNP}spec:\n  endpointSelector: {{}}\n  ingress:\n");
    for n in 0..10_000 {
        text.push_str(&format!(
            "  - fromCIDR: [10.{}.{}.0/24]\n    toPorts: [{{ports: [{{port: '{}'}}]}}]\n",
            n / 250,
            n % 250,
            n + 1
        ));
    }
    let parsed = parse(&text, "", "default").unwrap();
    let mut engine = Engine::new(Settings::default());
    engine.replace(vec![Change::Put(parsed[0].object.clone())]).unwrap();
    assert_eq!(engine.prefixes().len(), 10_000);
    text.push_str("  - fromCIDR: [nonsense]\n");
    assert_eq!(faults(&text)[0].1, "spec.ingress[10000].fromCIDR[0]");
}

const SAMPLE: &str = "apiVersion: cilium.io/v2
kind: CiliumNetworkPolicy
metadata: {name: p, labels: {a: b}}
spec:
  description: \"x\"
  endpointSelector: {matchLabels: {'k8s:app': web}, matchExpressions: [{key: a, operator: In, values: [b]}]}
  enableDefaultDeny: {ingress: true}
  ingress:
  - fromEndpoints: [{}]
    toPorts: [{ports: [{port: '80', endPort: 90, protocol: TCP}], rules: {http: [{method: GET, headerMatches: [{name: A, value: b, mismatch: LOG}]}]}}]
  - fromCIDRSet: [{cidr: 10.0.0.0/8, except: [10.1.0.0/16]}, {cidrGroupRef: g}]
    icmps: [{fields: [{type: 8, family: IPv4}]}]
  egressDeny: [{toEntities: [world]}, &x {}]
  egress: [*x, {toFQDNs: [{matchPattern: '*.a.b'}]}, {toPorts: [{ports: [{port: '53'}], rules: {dns: [{matchName: a.b}]}}]}]
";

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_are_answered(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = parse(&String::from_utf8_lossy(&bytes), "", "default");
    }

    /// YAML's own signs, thrown together.
    #[test]
    fn any_yaml_is_answered(text in "([-:?,&*!|>'\"%@`{}\\[\\] \n#a0~]|- |: |kind|metadata|spec){0,60}") {
        let _ = parse(&text, "", "default");
    }

    /// A policy with a few characters changed is refused, or taken by the engine as it stands.
    #[test]
    fn a_damaged_policy_is_refused_or_works(
        edits in proptest::collection::vec((any::<prop::sample::Index>(), prop::char::range('\n', '~'), 0..3_u8), 1..4),
    ) {
        let mut text: Vec<char> = SAMPLE.chars().collect();
        for (at, sign, how) in edits {
            let at = at.index(text.len());
            match how {
                0 => text[at] = sign,
                1 => text.insert(at, sign),
                _ => { text.remove(at); }
            }
        }
        let text: String = text.into_iter().collect();
        match parse(&text, "", "default") {
            Ok(parsed) => {
                let mut engine = Engine::new(Settings::default());
                let changes = parsed.into_iter().map(|p| Change::Put(p.object)).collect();
                prop_assert!(engine.replace(changes).is_ok());
            }
            Err(errors) => prop_assert!(errors.iter().all(|e| !e.message.is_empty() && e.line > 0), "{errors:?}"),
        }
    }

    /// One value anywhere in a policy is replaced by one of another kind.
    #[test]
    fn a_value_of_the_wrong_kind_is_refused_or_works(
        at in any::<prop::sample::Index>(),
        new in prop::sample::select(vec!["null", "[]", "{}", "7", "\"\"", "true", "[{}]", "{\"a\": {}}", "-1", "\"*\""]),
    ) {
        let mut value = parse(&SAMPLE.replace("    icmps: [{fields: [{type: 8, family: IPv4}]}]\n", ""), "", "default").unwrap().remove(0).raw;
        let mut places = Vec::new();
        pointers(&value, String::new(), &mut places);
        let place = &places[at.index(places.len())];
        *value.pointer_mut(place).unwrap() = serde_json::from_str(new).unwrap();
        let parsed = parse(&value.to_string(), "", "default");
        match (parse_stored(&value, ""), &parsed) {
            (Ok(object), Ok(parsed)) => prop_assert_eq!(vec![&object], parsed.iter().map(|p| &p.object).collect::<Vec<_>>()),
            (Err(errors), Err(same)) => prop_assert_eq!(&errors, same),
            // No text is no object; a store holds one.
            (Err(_), Ok(parsed)) => prop_assert!(parsed.is_empty()),
            (Ok(object), Err(errors)) => prop_assert!(false, "{object:?} but {errors:?}"),
        }
        if let Ok(parsed) = parsed {
            let mut engine = Engine::new(Settings::default());
            prop_assert!(engine.replace(parsed.into_iter().map(|p| Change::Put(p.object)).collect()).is_ok());
        }
    }
}

fn pointers(value: &serde_json::Value, here: String, found: &mut Vec<String>) {
    match value {
        serde_json::Value::Array(items) => {
            items.iter().enumerate().for_each(|(i, item)| pointers(item, format!("{here}/{i}"), found));
        }
        serde_json::Value::Object(map) => {
            map.iter()
                .for_each(|(key, item)| pointers(item, format!("{here}/{}", key.replace('/', "~1")), found));
        }
        _ => {}
    }
    found.push(here);
}
