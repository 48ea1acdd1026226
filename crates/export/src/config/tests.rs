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
            "/etc/f.yaml:6: fieldMask (a): \"source.pod\": Endpoint has no field \"pod\"",
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
            "/etc/f.yaml:3: filePath (a): write an absolute path",
        ),
        ("flowLogs:\n- name: a".to_owned(), "/etc/f.yaml:2: filePath (a): is missing"),
        ("flowLog: []".to_owned(), "/etc/f.yaml:1: flowLogs: "),
    ] {
        let error = specs(&text).expect_err(&text);
        assert!(error.starts_with(message), "{error}\n  instead of\n{message}");
    }
}

#[test]
fn filters_of_settings_are_json_one_after_the_other() {
    let filters = read_filters(r#"{"verdict":["DROPPED"]} {"source_pod":["demo/"]}"#).expect("two");
    assert_eq!((filters.len(), filters[1].source_pod.as_slice()), (2, &["demo/".to_owned()][..]));
    assert_eq!(read_filters(""), Ok(Vec::new()));
    for (text, message) in [
        ("{", "this is no filter in JSON, as in {\"verdict\":[\"DROPPED\"]}: EOF"),
        ("[{}]", "this is no filter in JSON, as in {\"verdict\":[\"DROPPED\"]}: write each filter in braces"),
        ("{\"verdicts\":[]}", "a filter has no field \"verdicts\": it has destination_cluster_name, "),
        ("{\"verdict\":[\"X\"]}", "this is no filter in JSON"),
    ] {
        let error = read_filters(text).expect_err(text);
        assert!(error.starts_with(message), "{error}");
    }
}
