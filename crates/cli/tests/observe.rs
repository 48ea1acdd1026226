//! The binary against a real server of Hubble's interface, with the real filters, and against files and pipes.

#![expect(clippy::expect_used, reason = "tests state plainly what they expect")]

#[path = "observe/config.rs"]
mod config;
#[cfg(test)]
#[path = "observe/filters.rs"]
mod filters;
#[path = "observe/outputs.rs"]
mod outputs;
#[path = "observe/server.rs"]
mod server;
#[path = "observe/top.rs"]
mod top;

use server::Server;
use std::{
    io::{Read, Write},
    path::Path,
    process::{Command, Output, Stdio},
};

const FLOWS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/observe/flows.json");

fn ciliate() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ciliate"));
    let inherited = std::env::vars().map(|(name, _)| name).filter(|name| name.starts_with("HUBBLE_"));
    inherited.for_each(|name| {
        command.env_remove(name);
    });
    command.env("XDG_CONFIG_HOME", "/nonexistent").env("CILIATE_RUN_DIR", "/nonexistent");
    command
}

fn done(command: &mut Command) -> Output {
    command.output().expect("the binary runs")
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("output is text")
}

fn observe(server: &Server, arguments: &[&str]) -> Output {
    done(ciliate().args(["observe", "--server", &server.address()]).args(arguments))
}

fn lines(output: &Output) -> Vec<&str> {
    assert!(output.status.success(), "{}", text(&output.stderr));
    text(&output.stdout).lines().collect()
}

#[test]
fn flows_come_from_a_server_as_they_were_asked_for() {
    let server = Server::start();
    let all = observe(&server, &["--all"]);
    assert_eq!(lines(&all).len(), 6, "{}", text(&all.stdout));
    for (arguments, expected) in [
        (&["--verdict", "DROPPED"][..], &["DENIED", "DROPPED", "EVENTS LOST"][..]),
        (&["--http-status", "4+"], &["EVENTS LOST"]),
        (&["--to-service", "demo/web"], &["http-request FORWARDED", "EVENTS LOST"]),
        (&["--not", "--from-pod", "demo/"], &["to-stack FORWARDED (TCP Flags: SYN, ACK)", "EVENTS LOST"]),
        (
            &["--cel-expression", "_flow.l4.UDP.destination_port == 53u"],
            &["dns-response proxy FORWARDED", "EVENTS LOST"],
        ),
    ] {
        let output = observe(&server, arguments);
        let found = lines(&output);
        assert_eq!(found.len(), expected.len(), "{arguments:?}: {found:?}");
        for (line, part) in found.iter().zip(expected) {
            assert!(line.contains(part), "{arguments:?}: {line}");
        }
    }
    assert!(server.last_mask().contains(&"IP.source".to_owned()), "only what is printed is asked for");
    let masked = observe(&server, &["--all", "-o", "json", "--field-mask", "uuid,source.pod_name"]);
    assert!(lines(&masked).len() == 6 && server.last_mask() == ["uuid", "source.pod_name"]);
    observe(&server, &["--all", "--use-default-field-masks=false"]);
    assert!(server.last_mask().is_empty());
    let debug = observe(&server, &["-D", "--to-port", "80"]);
    let said = text(&debug.stderr);
    assert!(said.contains("\"destination_port\":[\"80\"]") && said.contains(&server.address()), "{said}");
}

#[test]
fn a_link_called_hubble_has_its_verbs() {
    let server = Server::start();
    let link = server.folder().join("hubble");
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_ciliate"), &link).expect("a link");
    let hubble =
        |arguments: &[&str]| done(Command::new(&link).args(arguments).env("HUBBLE_SERVER", server.address()));
    let status = hubble(&["status"]);
    let expected = format!(
        "Healthcheck (via {}): Ok\nCurrent/Max Flows: 5/4,095 (0.12%)\nFlows/s: 19.07\nConnected Nodes: 2/2\n",
        server.address()
    );
    assert_eq!(text(&status.stdout), expected, "{}", text(&status.stderr));
    let nodes = hubble(&["list", "nodes"]);
    assert_eq!(lines(&nodes)[1], "n1     Connected   1m40s   12.34     512/4095 ( 12.50%)");
    assert_eq!(lines(&hubble(&["list", "namespaces"])), ["NAMESPACE", "demo"]);
    let wide = hubble(&["list", "namespaces", "-o", "wide"]);
    assert_eq!(lines(&wide), ["NAMESPACE   CLUSTER", "demo        default"]);
    assert_eq!(
        lines(&hubble(&["observe", "--last", "5", "--uuid", "00000000-0000-8000-8000-000000000002"])).len(),
        2
    );
    let events = hubble(&["observe", "agent-events"]);
    assert_eq!(
        lines(&events),
        ["Jan  1 00:00:01.000: ENDPOINT_CREATED (id: 12, namespace: demo, pod name: web)"]
    );
    assert!(lines(&hubble(&["observe", "debug-events"]))[0].contains("DBG_CT_LOOKUP"));
    let before = ["--server", "unix:///nonexistent", "list", "nodes"];
    assert_eq!(hubble(&before).status.code(), Some(3), "a flag in front of the verb");
    for shell in ["bash", "zsh", "fish", "powershell"] {
        let script = hubble(&["completion", shell]);
        assert!(text(&script.stdout).contains("http-header"), "{shell}: {}", text(&script.stderr));
        assert!(!text(&script.stdout).contains("ciliate__hubble"), "{shell}");
    }
    assert!(text(&hubble(&["version"]).stdout).starts_with("hubble (ciliate) "));
}

#[test]
fn why_says_who_decided() {
    let server = Server::start();
    let why = |uuid: &str| done(ciliate().args(["observe", "why", uuid, "--server", &server.address()]));
    let output = why("00000000-0000-8000-8000-000000000001");
    let expected = "
Source:
  Address:   10.0.0.5
  Endpoint:  65
  Pod:       demo/curl
  Identity:  15173
  Labels:    k8s:app=curl

Destination:
  Address:   142.250.207.110
  Identity:  2
  Labels:    reserved:world

Reason: Policy denied

Leaving the source: denied by
  * CiliumNetworkPolicy demo/deny-all, revision 7
      selects this end, and none of its rules lets this pass

Policies now: cannot be asked (";
    assert!(text(&output.stdout).contains(expected), "{} {}", text(&output.stdout), text(&output.stderr));
    let missing = why("00000000-0000-8000-8000-0000000000ff");
    assert_eq!(missing.status.code(), Some(6), "{}", text(&missing.stderr));
    assert_eq!(why("x").status.code(), Some(2));
}

#[test]
fn files_and_pipes_are_filtered_here() {
    let from_file = done(ciliate().args(["observe", "--input-file", FLOWS, "--http-header", "x-team:blue"]));
    assert_eq!(lines(&from_file).len(), 1, "{}", text(&from_file.stdout));
    let first = done(ciliate().args([
        "observe",
        "--input-file",
        FLOWS,
        "--first",
        "1",
        "--since",
        "2025-12-17T07:07:32Z",
    ]));
    assert!(lines(&first)[0].contains("http-request"));
    let last = done(ciliate().args(["observe", "--input-file", FLOWS, "--last", "2"]));
    // Of a flag with one value the last counts, wherever a flag before comes from.
    let twice =
        ["observe", "--last", "9", "-o", "json", "--input-file", FLOWS, "--last", "2", "-o", "compact"];
    assert_eq!(text(&done(ciliate().args(twice)).stdout), text(&last.stdout));
    assert!(lines(&last)[0].contains("dns-response"), "{}", text(&last.stdout));
    // A flow alone, as older tools print it, and a line that is none.
    let pipe = |input: &str| {
        let mut command = ciliate();
        command
            .args(["observe", "--input-file", "-"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().expect("the binary runs");
        child.stdin.take().expect("piped").write_all(input.as_bytes()).expect("it reads");
        child.wait_with_output().expect("it ends")
    };
    let alone = pipe(
        "{\"verdict\":\"AUDIT\",\"IP\":{\"source\":\"1.1.1.1\",\"destination\":\"2.2.2.2\"},\"new_field\":1}\n",
    );
    assert!(
        lines(&alone)[0].contains("1.1.1.1 (unknown) <> 2.2.2.2 (unknown) UNKNOWN AUDIT"),
        "{}",
        text(&alone.stdout)
    );
    let torn = pipe("{\"verdict\":\"AUDIT\"}\n\n{\"verdict\":\"X\"}\n{\"flow\":{\"verd");
    assert_eq!(lines(&torn).len(), 1);
    let warnings: Vec<&str> = text(&torn.stderr).lines().collect();
    assert!(warnings[0].starts_with("warning: line 3 is no flow in JSON: "), "{warnings:?}");
    assert!(warnings[1].starts_with("warning: line 4 is no flow in JSON: "), "{warnings:?}");
    let wrong = pipe("flows\n");
    assert!(!wrong.status.success() && text(&wrong.stderr).contains("no line of the input is a flow"));
}

#[test]
fn who_is_not_there_is_named() {
    let nobody = done(ciliate().args(["observe", "--server", "unix:///nonexistent/hubble.sock"]));
    assert_eq!(nobody.status.code(), Some(3));
    assert!(
        text(&nobody.stderr).contains("unix:///nonexistent/hubble.sock: there is no such socket"),
        "{}",
        text(&nobody.stderr)
    );
    let wrong = done(ciliate().args(["observe", "--from-ip", "10.0.0"]));
    assert_eq!(wrong.status.code(), Some(2));
    assert!(text(&wrong.stderr).contains("--from-ip: \"10.0.0\" is neither"), "{}", text(&wrong.stderr));
    let table = done(ciliate().args(["observe", "-f", "-o", "table"]));
    assert_eq!(table.status.code(), Some(2), "{}", text(&table.stderr));
}

#[test]
fn raw_filters_are_printed_and_a_closed_pipe_ends_quietly() {
    let raw = done(ciliate().args(["observe", "--print-raw-filters", "--pod", "it's", "--not", "-t", "l7"]));
    assert_eq!(
        text(&raw.stdout),
        "allowlist:\n    - '{\"source_pod\":[\"it''s\"]}'\n    - '{\"destination_pod\":[\"it''s\"]}'\n\
         denylist:\n    - '{\"event_type\":[{\"type\":129}]}'\n"
    );
    let server = Server::start();
    let mut command = ciliate();
    command
        .args(["observe", "-f", "--server", &server.address()])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().expect("the binary runs");
    let mut out = child.stdout.take().expect("piped");
    out.read_exact(&mut [0; 10]).expect("a line comes");
    drop(out);
    let output = child.wait_with_output().expect("it ends");
    assert!(output.status.success() && output.stderr.is_empty(), "{}", text(&output.stderr));
}

#[test]
fn tls_asks_for_the_right_certificate() {
    let server = Server::start();
    let tls = server.with_tls();
    let file = |name: &str| server.folder().join(name).display().to_string();
    let ask = |more: &[&str]| {
        let mut command = ciliate();
        command.args(["observe", "--all", "--server", &format!("tls://{tls}")]).args(more);
        done(&mut command)
    };
    let (authority, certificate, key) = (file("ca.pem"), file("client.pem"), file("client.key"));
    let ours = ["--tls-client-cert-file", &certificate, "--tls-client-key-file", &key];
    let right = [&["--tls-ca-cert-files", &authority, "--tls-server-name", "relay.test"][..], &ours].concat();
    assert_eq!(lines(&ask(&right)).len(), 6);
    assert_eq!(lines(&ask(&[&["--tls-allow-insecure"][..], &ours].concat())).len(), 6);
    let wrong_name =
        ask(&[&["--tls-ca-cert-files", &authority, "--tls-server-name", "other.test"][..], &ours].concat());
    assert!(
        !wrong_name.status.success() && text(&wrong_name.stderr).contains("certificate"),
        "{}",
        text(&wrong_name.stderr)
    );
    let stranger = ask(&["--tls-ca-cert-files", &authority, "--tls-server-name", "relay.test"]);
    assert!(!stranger.status.success(), "{}", text(&stranger.stdout));
    let no_file = ask(&["--tls-ca-cert-files", "/nonexistent"]);
    assert!(
        text(&no_file.stderr).contains("--tls-ca-cert-files: cannot read /nonexistent"),
        "{}",
        text(&no_file.stderr)
    );
    assert!(Path::new(&authority).exists());
}
