//! Rules about requests and names.

use crate::{CNP, check, faults};
use ciliate_policy::{Object, parse};

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
        secret.header_value().map(|value| String::from_utf8(value.expose().to_vec()).unwrap())
    };
    let open = Ok("opensesame".to_owned());
    assert_eq!(value("stringData: {key: opensesame}"), open);
    assert_eq!(value("type: Opaque\ndata: {key: b3BlbnNlc2FtZQ==}"), open);
    assert_eq!(value("data: {key: eA==}\nstringData: {key: opensesame}"), open);
    assert_eq!(
        value("data: {other: eA==}\nstringData: {key: opensesame}"),
        Err("has 2 values, not one".to_owned())
    );
    assert_eq!(value(""), Err("has 0 values, not one".to_owned()));
    for (body, problem) in [
        (
            "stringData: {token: \"open\\0sesame\"}",
            "has a value with control characters, or with blanks at its start",
        ),
        (
            "stringData: {token: ' opensesame'}",
            "has a value with control characters, or with blanks at its start",
        ),
        ("stringData: {token: \"\\n\"}", "has an empty value"),
        ("data: {token: ''}", "has an empty value"),
    ] {
        let lack = format!("cannot be compared with a header: its key \"token\" {problem}");
        assert_eq!(value(body), Err(lack), "{body}");
    }
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
