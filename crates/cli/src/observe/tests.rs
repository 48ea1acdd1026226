use super::*;
use clap::Parser;
use serde_json::{Value, json};

#[derive(Debug, Parser)]
#[command(no_binary_name = true)]
struct Observe {
    #[command(flatten)]
    args: Args,
}

fn parse(line: &[&str]) -> anyhow::Result<(RawFilters, FlowArgs)> {
    let Args { command: _, flows } = Observe::try_parse_from(line)?.args;
    Ok((flows.filters.raw()?, flows))
}

fn allowed(line: &[&str]) -> Value {
    serde_json::to_value(parse(line).unwrap().0.allow).unwrap()
}

/// Every flag of a filter, and the messages it makes.
#[test]
fn every_flag_makes_its_filter() {
    let either =
        |source: &str, destination: &str, value: Value| json!([{source: value}, {destination: value}]);
    for (name, value, source, destination, expected) in [
        ("pod", "demo/web", "source_pod", "destination_pod", json!(["demo/web"])),
        ("namespace", "demo", "source_pod", "destination_pod", json!(["demo/"])),
        ("label", "app in (a, b)", "source_label", "destination_label", json!(["app in (a, b)"])),
        ("ip", "10.0.0.0/8", "source_ip", "destination_ip", json!(["10.0.0.0/8"])),
        ("fqdn", "*.example.com", "source_fqdn", "destination_fqdn", json!(["*.example.com"])),
        ("service", "demo/web", "source_service", "destination_service", json!(["demo/web"])),
        ("port", "80", "source_port", "destination_port", json!(["80"])),
        (
            "workload",
            "deployment/web",
            "source_workload",
            "destination_workload",
            json!([{"name": "web", "kind": "Deployment"}]),
        ),
        ("workload", "DaemonSet/", "source_workload", "destination_workload", json!([{"kind": "DaemonSet"}])),
        ("workload", "job", "source_workload", "destination_workload", json!([{"name": "job"}])),
        ("identity", "world", "source_identity", "destination_identity", json!([2])),
        ("identity", "4711", "source_identity", "destination_identity", json!([4711])),
        ("cluster", "east", "source_cluster_name", "destination_cluster_name", json!(["east"])),
    ] {
        let [flag, from, to] = [format!("--{name}"), format!("--from-{name}"), format!("--to-{name}")];
        assert_eq!(allowed(&[&flag, value]), either(source, destination, expected.clone()), "{flag}");
        assert_eq!(allowed(&[&from, value]), json!([{source: expected}]), "{from}");
        assert_eq!(allowed(&[&to, value]), json!([{destination: expected}]), "{to}");
    }
    for (line, expected) in [
        (&["-A"][..], json!([{"source_pod": ["/"]}, {"destination_pod": ["/"]}])),
        (&["--from-all-namespaces"], json!([{"source_pod": ["/"]}])),
        (&["--snat-ip", "10.0.0.1"], json!([{"source_ip_xlated": ["10.0.0.1"]}])),
        (&["-t", "drop"], json!([{"event_type": [{"type": 1}]}])),
        (&["--type", "trace:to-endpoint"], json!([{"event_type": [{"type": 4, "match_sub_type": true}]}])),
        (
            &["--type", "trace:from-network"],
            json!([{"event_type": [{"type": 4, "match_sub_type": true, "sub_type": 10}]}]),
        ),
        (&["--type", "policy-verdict", "-t", "129"], json!([{"event_type": [{"type": 5}, {"type": 129}]}])),
        (&["--verdict", "dropped"], json!([{"verdict": ["DROPPED"]}])),
        (&["--drop-reason-desc", "POLICY_DENIED"], json!([{"drop_reason_desc": ["POLICY_DENIED"]}])),
        (&["--traffic-direction", "Egress"], json!([{"traffic_direction": ["EGRESS"]}])),
        (&["--protocol", "http"], json!([{"protocol": ["http"]}])),
        (&["--tcp-flags", "syn,ack"], json!([{"tcp_flags": [{"SYN": true, "ACK": true}]}])),
        (&["-4"], json!([{"ip_version": ["IPv4"]}])),
        (&["--ipv6"], json!([{"ip_version": ["IPv6"]}])),
        (&["--ip-version", "none"], json!([{"ip_version": ["IP_NOT_USED"]}])),
        (&["--http-method", "get"], json!([{"http_method": ["get"]}])),
        (&["--http-path", "^/a"], json!([{"http_path": ["^/a"]}])),
        (&["--http-url", "x"], json!([{"http_url": ["x"]}])),
        (&["--http-status", "5+"], json!([{"http_status_code": ["5+"]}])),
        (&["--http-header", "a:b:c"], json!([{"http_header": [{"key": "a", "value": "b:c"}]}])),
        (&["--node-name", "k8s*"], json!([{"node_name": ["k8s*"]}])),
        (&["--node-label", "zone=a"], json!([{"node_labels": ["zone=a"]}])),
        (&["--interface", "eth0"], json!([{"interface": [{"name": "eth0"}]}])),
        (
            &["--uuid", "00000000-0000-8000-8000-000000000001"],
            json!([{"uuid": ["00000000-0000-8000-8000-000000000001"]}]),
        ),
        (&["--trace-id", "x"], json!([{"trace_id": ["x"]}])),
        (&["--ip-trace-id", "7"], json!([{"ip_trace_id": ["7"]}])),
        (&["--encrypted"], json!([{"encrypted": [true]}])),
        (&["--unencrypted"], json!([{"encrypted": [false]}])),
        (
            &["--cel-expression", "has(_flow.l7)"],
            json!([{"experimental": {"cel_expression": ["has(_flow.l7)"]}}]),
        ),
        (
            &["-n", "a", "--service", "web"],
            json!([{"source_service": ["a/web"]}, {"destination_service": ["a/web"]}]),
        ),
        (
            &["--from-namespace", "a", "--from-namespace", "b", "--to-port", "80"],
            json!([{"source_pod": ["a/", "b/"], "destination_port": ["80"]}]),
        ),
        (&["--allowlist", "{\"verdict\":[\"AUDIT\"]} {}"], json!([{"verdict": ["AUDIT"]}, {}])),
    ] {
        assert_eq!(allowed(line), expected, "{line:?}");
    }
}

#[test]
fn not_turns_the_next_filter_around() {
    let (filters, _) = parse(&[
        "--not",
        "--protocol",
        "dns",
        "--verdict",
        "DROPPED",
        "--not",
        "-n",
        "kube-system",
        "--denylist",
        "{\"reply\":[true]}",
    ])
    .unwrap();
    assert_eq!(serde_json::to_value(&filters.allow).unwrap(), json!([{"verdict": ["DROPPED"]}]));
    assert_eq!(
        serde_json::to_value(&filters.deny).unwrap(),
        json!([{"protocol": ["dns"], "source_pod": ["kube-system/"]}, {"protocol": ["dns"], "destination_pod": ["kube-system/"]},
            {"reply": [true]}])
    );
    let yaml = "allowlist:\n    - '{\"verdict\":[\"DROPPED\"]}'\ndenylist:\n";
    assert!(filters.yaml().unwrap().starts_with(yaml), "{}", filters.yaml().unwrap());
}

#[test]
fn wrong_flags_are_named_with_what_would_be_right() {
    for (line, expected) in [
        (
            &["--verdict", "DROPED"][..],
            "--verdict: \"DROPED\" is no verdict: write one of FORWARDED, DROPPED",
        ),
        (&["--from-ip", "10.0.0"], "--from-ip: \"10.0.0\" is neither an address nor a prefix"),
        (&["--http-path", "("], "--http-path: \"(\" is no regular expression"),
        (&["--to-label", "a in b"], "--to-label: in \"a in b\""),
        (&["--type", "trace:nowhere"], "\"nowhere\" is no place: write a number or one of to-proxy, to-host"),
        (&["--type", "drops"], "--type: \"drops\" is no type"),
        (&["--cel-expression", "1 +"], "--cel-expression: \"1 +\" is no CEL expression"),
        (&["--identity", "earth"], "one of host, world"),
        (&["--tcp-flags", "syn,x"], "\"x\" is no flag of TCP"),
        (&["--not"], "--not is the last filter"),
        (&["--not", "--not", "--pod", "x"], "--not is given twice"),
        (&["--pod", "a", "--ip", "10.0.0.1"], "--pod and --ip cannot be combined"),
        (&["--port", "80", "--to-port", "80"], "--port and --to-port cannot be combined"),
        (&["--encrypted", "--unencrypted"], "--encrypted and --unencrypted cannot be combined"),
        (&["-n", "a", "--pod", "b/web"], "--namespace a and \"b/web\" are about different namespaces"),
        (&["--to-namespace", "a", "--to-service", "b/web"], "--to-namespace a and \"b/web\" are about"),
        (&["--from-pod", "a/web", "--from-service", "b/"], "pods of \"a\" and the service \"b/\" are about"),
        (&["--http-status", "404", "--type", "drop"], "http_status_code: only requests have this"),
        (&["--allowlist", "{\"verdict\":[\"X\"]}"], "--allowlist: "),
        (&["--denylist", "{\"source_ip\":[\"x\"]}"], "--denylist: source_ip: \"x\" is neither"),
        (&["--allowlist", "{\"verdicts\":[]}"], "--allowlist: a filter has no field \"verdicts\": it has "),
        (
            &["--denylist", "[{}]"],
            "--denylist: this is no filter in JSON, as in {\"verdict\":[\"DROPPED\"]}: ",
        ),
        (&["--drop-reason-desc", "BAD"], "--drop-reason-desc: \"BAD\" is no reason"),
        (&["--port", "70000"], "--port: \"70000\" is neither a port (0 to 65535) nor a range"),
        (&["--snat-ip", "10.0.0.0/99"], "--snat-ip: \"10.0.0.0/99\" is neither an address nor a prefix"),
        (&["--protocol", "quic"], "--protocol: \"quic\" is no protocol: write one of tcp"),
        (&["--traffic-direction", "up"], "--traffic-direction: \"up\" is no direction"),
        (&["--ip-version", "7"], "--ip-version: \"7\" is no version of IP"),
        (&["--http-status", "99x"], "--http-status: \"99x\" is no status code"),
        (&["--http-url", "[a"], "--http-url: \"[a\" is no regular expression"),
        (&["--http-header", "x"], "--http-header: \"x\" has no colon"),
        (&["--fqdn", "a b"], "--fqdn: \"a b\" has the character ' '"),
        (&["--node-name", "[x"], "--node-name: \"[x\" has the character '['"),
        (&["--node-label", "a in ("], "--node-label: \"a in (\" has a parenthesis"),
        (&["--uuid", "x"], "--uuid: \"x\" is no UUID"),
        (&["--ip-trace-id", "x"], "--ip-trace-id: \"x\" is no number above 0"),
        (&["--cel-expression", "_flow.uuid"], "--cel-expression: \"_flow.uuid\" is of type string, not bool"),
    ] {
        let error = parse(line).unwrap_err();
        assert!(error.to_string().contains(expected), "{line:?}: {error}");
    }
    for (line, expected) in [
        (&["--first", "1", "--last", "1"][..], "--first and --last cannot be combined"),
        (&["--first", "1", "-f"], "--first and --follow cannot be combined"),
        (&["--since", "yesterday"], "--since: \"yesterday\" is no time: write how long ago"),
    ] {
        let error = parse(line).unwrap().1.select.selection(Source::Server).unwrap_err();
        assert!(error.to_string().contains(expected), "{line:?}: {error:#}");
    }
    let masked = parse(&["-o", "json", "--experimental-field-mask", "time,source.pod"]).unwrap().1;
    assert!(masked.mask().unwrap_err().to_string().contains("Endpoint has no \"pod\""));
}

/// As much as a command line can hold: the error comes soon, says which and why, and fits a screen.
#[test]
fn filters_of_megabytes_are_refused_in_a_few_lines() {
    let big = "x".repeat(120_000);
    let braces = "(".repeat(120_000);
    let json = format!("{{\"http_path\":[{braces:?}]}}");
    let many = ["--pod", big.as_str()].repeat(12);
    let expressions = ["--http-path", "a.*b"].repeat(300);
    for (line, expected) in [
        (&["--http-path", braces.as_str()][..], &["--http-path: \"((", "is no regular expression"][..]),
        (&["--uuid", &big], &["--uuid: \"xx", "\" is no UUID"]),
        (&["--cel-expression", &big], &["--cel-expression: the expression is longer than 4096"]),
        (&["--label", &braces], &["--label: \"((", "has a parenthesis without its other half"]),
        (&["--denylist", &json], &["--denylist: http_path: \"((", "is no regular expression"]),
        (&["--fqdn", &big], &["the filters take 240", "more than the 131072 that are taken"]),
        (&many, &["the filters take 288", "more than the 131072 that are taken"]),
        (&expressions, &["300 regular expressions, more than the 256"]),
    ] {
        let error = parse(line).unwrap_err().to_string();
        assert!(error.len() < 4000, "{}: {} bytes", line[0], error.len());
        assert!(expected.iter().all(|part| error.contains(part)), "{}: {error}", line[0]);
    }
}

#[test]
fn selections_are_those_of_hubble() {
    let select = |line: &[&str], source| parse(line).unwrap().1.select.selection(source).unwrap();
    let number = |line: &[&str]| select(line, Source::Server).number;
    assert_eq!(
        [number(&[]), number(&["--all"]), number(&["--last", "5"]), number(&["-f"])],
        [20, u64::MAX, 5, 0]
    );
    assert_eq!(number(&["--since", "5m"]), 0);
    assert_eq!(select(&[], Source::File).number, 0);
    let first = select(&["--first", "3"], Source::Server);
    assert_eq!((first.number, first.first), (3, true));
    assert!(select(&["-f", "--until", "5m"], Source::Server).until.is_none());
}

#[test]
fn default_masks_are_made_of_known_fields() {
    for path in PRINTED.iter().chain(&PRINTED_POLICIES) {
        assert!(Mask::new(&[path]).is_ok(), "{path}");
    }
}
