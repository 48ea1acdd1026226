use super::*;
use crate::spec::{Compression, FileTarget, Target};
use ciliate_flow::Time;

fn specs(text: &str) -> Result<Vec<Spec>, String> {
    read(Path::new("/etc/f.yaml"), text).map_err(|error| error.to_string())
}

/// As the test data of Cilium's exporter.
const CILIUM: &str = r#"flowLogs:
- name: "test001"
  filePath: "/var/log/network/test001.log"
  fieldMask: []
  fieldAggregate: []
  aggregationInterval: 0s
  includeFilters: []
  excludeFilters: []
  fileMaxSizeMb: 0
  fileMaxBackups: 0
  fileCompress: false
  end: "2023-10-09T23:59:59-07:00"
- name: "test002"
  filePath: "/var/log/network/test002.log"
  fieldMask: ["source.namespace", "source.pod_name", "verdict"]
  includeFilters:
  - source_pod: ["default/"]
    source_label: ["networking.example.com/flow-logs=enabled"]
    event_type:
    - type: 1
  - destination_pod: ["frontend/nginx-975996d4c-7hhgt"]
  fileMaxSizeMb: 20
  fileMaxBackups: 3
  fileCompress: true
- name: "test003"
  filePath: stdout
  excludeFilters:
  - destination_pod: ["ingress/"]
  - destination_port: [80]
    experimental: {cel_expression: ["_flow.verdict == 1"]}
"#;

#[test]
fn files_for_cilium_are_read() {
    let specs = specs(CILIUM).expect("a file");
    let file = |number: usize| match &specs[number].target {
        Target::File(file) => file.clone(),
        other => unreachable!("{other:?}"),
    };
    let expected = FileTarget {
        path: "/var/log/network/test001.log".into(),
        most_bytes: 10 << 20,
        backups: 5,
        compression: Compression::None,
    };
    assert_eq!(file(0), expected);
    assert_eq!(specs[0].end, Some(Time(1_696_921_199_000_000_000)));
    assert_eq!((file(1).most_bytes, file(1).backups, file(1).compression), (20 << 20, 3, Compression::Gzip));
    assert_eq!(specs[1].mask, ["source.namespace", "source.pod_name", "verdict"]);
    assert_eq!(specs[1].allow.len(), 2);
    assert_eq!(specs[1].allow[0].event_type[0].r#type, 1);
    assert_eq!((specs[2].target.clone(), specs[2].deny.len()), (Target::Stdout, 2));
    assert_eq!(specs[2].deny[1].destination_port, ["80"]);
    for empty in ["", "# nothing\n", "{}", "flowLogs: []"] {
        assert_eq!(super::read(Path::new("x"), empty), Ok(Vec::new()), "{empty:?}");
    }
}

#[test]
fn mistakes_name_file_line_key_and_what_is_right() {
    let one = |rest: &str| format!("flowLogs:\n- name: a\n  filePath: /a\n{rest}");
    for (text, message) in [
        (one("  filePth: /x"), "/etc/f.yaml:4: flowLogs: "),
        (one("  includeFilters:\n  - verdict: [DROPED]"), "/etc/f.yaml:5: "),
        (
            one("  includeFilters:\n  - verdict: [DROPPED]\n    source_pods: [x]"),
            "/etc/f.yaml:6: source_pods: a filter has no such field: it has destination_cluster_name, ",
        ),
        (
            one("  includeFilters:\n  - {}\n  excludeFilters:\n  - tcp_flags: [{SYM: true}]"),
            "/etc/f.yaml:7: SYM: a filter has no such field: it has ACK, ",
        ),
        (
            one("  includeFilters:\n  - {}\n  - source_ip: [1.2.3]"),
            "/etc/f.yaml:6: includeFilters[1].source_ip (a): ",
        ),
        (
            one("  excludeFilters:\n  - experimental:\n      cel_expression: ['1 +']"),
            "/etc/f.yaml:5: excludeFilters[0].cel_expression (a): \"1 +\" is no CEL expression",
        ),
        (
            one("  fieldMask:\n  - verdict\n  - source.pod"),
            "/etc/f.yaml:6: fieldMask (a): \"source.pod\" names no field: flow.Endpoint has no \"pod\"",
        ),
        (one("  end: tomorrow"), "/etc/f.yaml:4: end (a): write a time such as 2026-"),
        (one("  buffer: 0"), "/etc/f.yaml:4: buffer (a): write a number of flows from 1 to 1048576"),
        (
            one("  fieldAggregate: [verdict]"),
            "/etc/f.yaml:4: fieldAggregate (a): flows are not aggregated here",
        ),
        (
            one("  aggregationInterval: 30s"),
            "/etc/f.yaml:4: aggregationInterval (a): flows are not aggregated here",
        ),
        (
            one("- name: a\n  filePath: /b"),
            "/etc/f.yaml:4: name: \"a\" is the name of the one in line 2, too",
        ),
        (
            one("- name: b\n  filePath: /a"),
            "/etc/f.yaml:4: filePath: /a is the file of the one in line 2, too",
        ),
        ("flowLogs:\n- filePath: /a".to_owned(), "/etc/f.yaml:2: flowLogs: "),
        (
            "flowLogs:\n- name: a b\n  filePath: /a".to_owned(),
            "/etc/f.yaml:2: name (a b): write 1 to 63 letters",
        ),
        (
            "flowLogs:\n- name: a\n  filePath: a.log".to_owned(),
            "/etc/f.yaml:3: filePath (a): \"a.log\" is no absolute path",
        ),
        ("flowLogs:\n- name: a".to_owned(), "/etc/f.yaml:2: filePath (a): is missing"),
        ("flowLog: []".to_owned(), "/etc/f.yaml:1: flowLogs: "),
    ] {
        let error = specs(&text).expect_err(&text);
        assert!(error.starts_with(message), "{error}\n  instead of\n{message}");
    }
}

#[test]
fn receivers_of_syslog() {
    let one = |rest: &str| format!("flowLogs:\n- name: s\n  syslog:\n{rest}");
    let text = one(
        "    address: tls://log.example.org\n    tls: {caFile: /ca.pem}\n    facility: local7\n    form: structured-data",
    );
    let [spec] = specs(&text).expect("a file").try_into().expect("one");
    let Target::Syslog(target) = spec.target else { unreachable!("syslog") };
    let crate::spec::SyslogRoute::Stream(route) = target.route else { unreachable!("a stream") };
    assert_eq!((route.address.to_string(), route.tls.is_some()), ("log.example.org:6514".to_owned(), true));
    for (rest, message) in [
        (
            "    address: log.example.org",
            "/etc/f.yaml:4: syslog.address (s): \"log.example.org\" is no address: write udp://HOST:PORT or tcp://HOST:PORT or tls://",
        ),
        (
            "    address: udp://x\n    tls: {caFile: /ca.pem}",
            "/etc/f.yaml:5: syslog.tls (s): there is no TLS over UDP",
        ),
        (
            "    address: tcp://x\n    tls: {caFile: /ca.pem}",
            "/etc/f.yaml:5: syslog.tls (s): the address has no TLS: change its scheme",
        ),
        (
            "    address: tls://x\n    tls: {certFile: /c.pem}",
            "/etc/f.yaml:5: syslog.tls.keyFile (s): is missing",
        ),
        (
            "    address: tls://x\n    tls: {caFile: ca.pem}",
            "/etc/f.yaml:5: syslog.tls.caFile (s): \"ca.pem\" is no absolute path",
        ),
        (
            "    address: tcp://x\n    facility: local9",
            "/etc/f.yaml:5: syslog.facility (s): \"local9\" is no facility: write one of kern, ",
        ),
        (
            "    address: tcp://x\n    appName: a b",
            "/etc/f.yaml:5: syslog.appName (s): write 1 to 48 printable",
        ),
        (
            "    address: tcp://x\n    form: xml",
            "/etc/f.yaml:5: syslog.form (s): \"xml\" is no form: write json or structured-data",
        ),
        (
            "    address: tcp://x\n    structuredDataId: a@1",
            "/etc/f.yaml:5: syslog.structuredDataId (s): is only for",
        ),
        ("    address: tcp://x\n    adress: y", "/etc/f.yaml:5: flowLogs: "),
        (
            "    address: tcp://x\n  filePath: /y",
            "/etc/f.yaml:2: filePath (s): flows go to one place: keep one of",
        ),
    ] {
        let error = specs(&one(rest)).expect_err(rest);
        assert!(error.starts_with(message), "{error}\n  instead of\n{message}");
    }
}

#[test]
fn receivers_of_fluentd_and_opentelemetry() {
    let one = |rest: &str| format!("flowLogs:\n- name: r\n{rest}");
    let [spec] = specs(&one("  fluentd: {address: 'tcp://[::1]', acknowledge: false, sharedKeyFile: /k}"))
        .expect("a file")
        .try_into()
        .expect("one");
    let Target::Fluentd(target) = spec.target else { unreachable!("fluentd") };
    assert_eq!(
        (target.route.address.to_string(), target.tag.as_str()),
        ("[::1]:24224".to_owned(), "ciliate.flow")
    );
    let text =
        "  otlp:\n    endpoint: https://otel\n    headers: {authorization: Bearer x}\n    resource: {a: b}";
    let [spec] = specs(&one(text)).expect("a file").try_into().expect("one");
    let Target::Otlp(target) = spec.target else { unreachable!("otlp") };
    assert_eq!(
        (target.route.address.port, target.route.tls.is_some(), target.headers.len()),
        (4317, true, 1)
    );
    for (rest, message) in [
        (
            "  fluentd: {address: 'http://x'}",
            "/etc/f.yaml:3: fluentd.address (r): \"http://x\" is no address: write tcp://",
        ),
        ("  fluentd:\n    address: tcp://x\n    tag: a b", "/etc/f.yaml:5: fluentd.tag (r): write 1 to 256"),
        (
            "  fluentd:\n    address: tcp://x\n    username: u",
            "/etc/f.yaml:5: fluentd.passwordFile (r): is missing",
        ),
        (
            "  otlp:\n    endpoint: http://x\n    protocol: http/json",
            "/etc/f.yaml:5: otlp.protocol (r): \"http/json\" is no protocol",
        ),
        (
            "  otlp:\n    endpoint: http://x\n    path: /y",
            "/etc/f.yaml:5: otlp.path (r): is only for protocol",
        ),
        (
            "  otlp:\n    endpoint: http://x/y",
            "/etc/f.yaml:4: otlp.endpoint (r): \"http://x/y\" is no address",
        ),
        (
            "  otlp:\n    endpoint: http://x\n    timeout: 0",
            "/etc/f.yaml:5: otlp.timeout (r): write 1 to 300 seconds",
        ),
        (
            "  otlp:\n    endpoint: http://x\n    headers: {'a b': c}",
            "/etc/f.yaml:5: otlp.headers (r): \"a b\" or its value",
        ),
    ] {
        let error = specs(&one(rest)).expect_err(rest);
        assert!(error.starts_with(message), "{error}\n  instead of\n{message}");
    }
}
