//! The binary against a small server that answers as the agent does: parsing, formats, errors, exit codes.

#[cfg(test)]
#[path = "fake_agent/fake.rs"]
mod fake;

use fake::{FakeAgent, ciliate, text};
use serde_json::json;
use std::{
    fs,
    io::Write,
    os::unix::{fs::PermissionsExt, fs::symlink, process::CommandExt},
    process::{Command, Stdio},
};

#[test]
fn without_an_agent_it_says_how_to_start_one() {
    let folder = fake::folder("absent");
    let output = ciliate(&folder).args(["endpoint", "list"]).output().unwrap();
    assert_eq!(output.status.code(), Some(3));
    let error = text(&output.stderr);
    assert!(error.starts_with("error: the agent does not run"), "{error}");
    assert!(error.contains("ciliate up"), "{error}");
    assert!(error.contains(&folder.display().to_string()), "{error}");
}

#[test]
fn a_socket_that_nobody_listens_on_is_no_agent() {
    let folder = fake::folder("stale");
    drop(std::os::unix::net::UnixListener::bind(folder.join("ciliate.sock")).unwrap());
    let output = ciliate(&folder).args(["status"]).output().unwrap();
    assert_eq!(output.status.code(), Some(3));
    assert!(text(&output.stderr).contains("does not run any more"));
}

#[test]
fn a_user_who_may_not_open_the_socket_is_told_of_the_group() {
    let agent = FakeAgent::start("forbidden", vec![]);
    fs::set_permissions(agent.folder.join("ciliate.sock"), fs::Permissions::from_mode(0o600)).unwrap();
    let program = agent.folder.join("ciliate");
    fs::copy(env!("CARGO_BIN_EXE_ciliate"), &program).unwrap();
    let mut command = Command::new(program);
    command.arg(format!("--run-dir={}", agent.folder.display())).arg("status");
    if nix::unistd::geteuid().is_root() {
        command.uid(65534).gid(65534);
    } else {
        fs::set_permissions(agent.folder.join("ciliate.sock"), fs::Permissions::from_mode(0o000)).unwrap();
    }
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(4), "{}", text(&output.stderr));
    assert!(text(&output.stderr).contains("join the group"), "{}", text(&output.stderr));
}

#[test]
fn endpoints_are_listed_in_every_format() {
    let agent = FakeAgent::start("formats", vec![("GET /v1/endpoints", 200, json!([fake::endpoint()]))]);
    let table = "\
ENDPOINT   POLICY (ingress)   POLICY (egress)   IDENTITY   LABELS (source:key[=value])               IPv6   IPv4         STATUS
           ENFORCEMENT        ENFORCEMENT
65         Disabled           Disabled          31995      k8s:class=tiefighter                             10.0.0.205   ready
                                                           k8s:io.kubernetes.pod.namespace=default
";
    for (arguments, expected) in [
        (vec!["endpoint", "list"], table.to_owned()),
        (vec!["endpoint", "list", "-o", "jsonpath={[*].status}{[0].id}"], "65\n".to_owned()),
        (
            vec!["endpoint", "list", "-o", "jsonpath={range [*]}{.id}={.ipv4};{end}"],
            "65=10.0.0.205;\n".to_owned(),
        ),
        (vec!["endpoint", "list", "-o", "name"], "endpoint/65\n".to_owned()),
        (vec!["endpoint", "list", "-l", "class=xwing", "--no-headers"], String::new()),
    ] {
        let output = ciliate(&agent.folder).args(&arguments).output().unwrap();
        assert_eq!(text(&output.stdout), expected, "{arguments:?}: {}", text(&output.stderr));
        assert_eq!(output.status.code(), Some(0));
    }
    let output = ciliate(&agent.folder).args(["endpoint", "list", "--no-headers"]).output().unwrap();
    assert!(text(&output.stdout).starts_with("65   Disabled   Disabled   31995   k8s:class=tiefighter "));
    for format in ["json", "yaml"] {
        let output = ciliate(&agent.folder).args(["endpoint", "list", "-o", format]).output().unwrap();
        let list: Vec<ciliate_api::Endpoint> = match format {
            "json" => serde_json::from_slice(&output.stdout).unwrap(),
            _ => serde_saphyr::from_str(&text(&output.stdout)).unwrap(),
        };
        assert_eq!(list.first().map(|e| e.id.get()), Some(65));
    }
}

#[test]
fn the_name_cilium_has_the_same_verbs() {
    let agent = FakeAgent::start("cilium", vec![("GET /v1/endpoints", 200, json!([fake::endpoint()]))]);
    for name in ["cilium", "cilium-dbg"] {
        let link = agent.folder.join(name);
        symlink(env!("CARGO_BIN_EXE_ciliate"), &link).unwrap();
        let flag = format!("--run-dir={}", agent.folder.display());
        let output = Command::new(&link).args([&flag, "endpoint", "list"]).output().unwrap();
        assert!(text(&output.stdout).starts_with("ENDPOINT   POLICY (ingress)"));
        let help = text(&Command::new(&link).arg("--help").output().unwrap().stdout);
        assert!(help.contains(&format!("Usage: {name} ")), "{help}");
    }
}

#[test]
fn a_closed_pipe_ends_quietly() {
    let many: Vec<_> = (0..2000).map(|_| fake::endpoint()).collect();
    let agent = FakeAgent::start("pipe", vec![("GET /v1/endpoints", 200, json!(many))]);
    let mut child = ciliate(&agent.folder)
        .args(["endpoint", "list"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), text(&output.stderr)), (Some(0), String::new()));
}

#[test]
fn colours_are_for_terminals_unless_asked_for() {
    let agent = FakeAgent::start("colours", vec![("GET /v1/endpoints", 200, json!([fake::endpoint()]))]);
    let show = |arguments: &[&str]| {
        text(&ciliate(&agent.folder).args(["endpoint", "list"]).args(arguments).output().unwrap().stdout)
    };
    assert!(!show(&[]).contains('\u{1b}'));
    assert!(show(&["--color=always"]).contains("\u{1b}[32mready\u{1b}[0m"));
}

#[test]
fn wrong_usage_ends_with_2_and_help_with_0() {
    let folder = fake::folder("usage");
    for (arguments, code) in [
        (vec!["endpoint", "list", "-o", "xml"], 2),
        (vec!["endpoint", "add", "-l", "a=b"], 2),
        (vec!["endpoint", "add", "--pid", "1", "--netns", "/x"], 2),
        (vec!["run", "--name", "Bad Name", "--", "true"], 125),
        (vec!["run", "--port", "http", "--", "true"], 2),
        (vec!["nonsense"], 2),
        (vec!["config", "set", "state-dir=/x"], 2),
        (vec!["up", "--policy-enforcement=sometimes"], 2),
        (vec!["help", "exit-codes"], 0),
        (vec!["run", "--help"], 0),
        (vec!["--version"], 0),
    ] {
        let output = ciliate(&folder).args(&arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {}", text(&output.stderr));
    }
    let help = text(&ciliate(&folder).args(["help", "exit-codes"]).output().unwrap().stdout);
    assert!(help.contains("the agent cannot be reached"), "{help}");
}

#[test]
fn a_refusal_names_every_problem_with_its_place() {
    let refusal = json!({"status": 400, "message": "nothing was applied", "problems": [
        {"origin": "rule.yaml", "document": 1, "line": 7, "field": "spec.ingress[0]", "message": "is no list"}]});
    let agent = FakeAgent::start("refusal", vec![("POST /v1/policies", 400, refusal)]);
    fs::write(agent.folder.join("rule.yaml"), "kind: X\n").unwrap();
    let output = ciliate(&agent.folder)
        .args(["apply", "-f", "rule.yaml"])
        .current_dir(&*agent.folder)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(
        text(&output.stderr),
        "error: nothing was applied\n  rule.yaml:7 (document 1): spec.ingress[0]: is no list\n"
    );
    let sent = agent.bodies();
    assert_eq!(sent.len(), 1);
    assert_eq!(sent[0], json!({"text": "kind: X\n", "origin": "rule.yaml", "namespace": "default"}));
}

#[test]
fn apply_says_what_became_of_each_object() {
    let object = |name: &str, action: &str, warnings: &[&str]| {
        json!({"object": {"kind": "CiliumNetworkPolicy", "namespace": "default", "name": name},
               "action": action, "warnings": warnings})
    };
    let result = json!({"revision": 4, "results":
        [object("rule1", "created", &["-:3: spec.x: is unknown"]), object("rule2", "configured", &[])]});
    let agent = FakeAgent::start("apply", vec![("POST /v1/policies", 200, result)]);
    let mut child = ciliate(&agent.folder)
        .args(["apply", "-n", "demo", "-f", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(b"a: b\n").unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(
        text(&output.stdout),
        "ciliumnetworkpolicy.cilium.io/rule1 created\nciliumnetworkpolicy.cilium.io/rule2 configured\n"
    );
    assert_eq!(text(&output.stderr), "Warning: -:3: spec.x: is unknown\n");
    assert_eq!(agent.bodies()[0], json!({"text": "a: b\n", "origin": "-", "namespace": "demo"}));
}

/// All or nothing holds across files too, and mistakes keep their file.
#[test]
fn several_files_are_one_request() {
    let agent =
        FakeAgent::start("several", vec![("POST /v1/policies", 200, json!({"revision": 2, "results": []}))]);
    let namespace = |name: &str| format!("apiVersion: v1\nkind: Namespace\nmetadata: {{name: {name}}}\n");
    fs::create_dir(agent.folder.join("all")).unwrap();
    fs::write(agent.folder.join("all/a.yaml"), namespace("a")).unwrap();
    fs::write(agent.folder.join("all/b.yaml"), namespace("b")).unwrap();
    fs::write(agent.folder.join("bad.yaml"), "kind: Namespace\nmetadata: 7\n").unwrap();
    let apply = |files: &[&str]| {
        let flags: Vec<&str> = files.iter().flat_map(|file| ["-f", file]).collect();
        ciliate(&agent.folder).arg("apply").args(flags).current_dir(&*agent.folder).output().unwrap()
    };
    let refused = apply(&["all", "bad.yaml"]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(text(&refused.stderr).contains("bad.yaml:"), "{}", text(&refused.stderr));
    assert!(agent.bodies().is_empty(), "nothing was sent");
    assert_eq!(apply(&["all"]).status.code(), Some(0));
    let bodies = agent.bodies();
    assert_eq!(bodies.len(), 1);
    assert_eq!(bodies[0]["text"], format!("{}\n---\n{}", namespace("a"), namespace("b")));
}

#[test]
fn objects_come_back_as_they_were_given() {
    let raw = json!({"apiVersion": "cilium.io/v2", "kind": "CiliumNetworkPolicy",
                     "metadata": {"name": "rule1"}, "spec": {"description": "d"}});
    let view = json!({"kind": "CiliumNetworkPolicy", "namespace": "default", "name": "rule1",
                      "revision": 2, "endpoints": 1, "raw": raw});
    let agent =
        FakeAgent::start("get", vec![("GET /v1/policies?kind=CiliumNetworkPolicy", 200, json!([view]))]);
    let show = |arguments: &[&str]| ciliate(&agent.folder).arg("get").args(arguments).output().unwrap();
    assert_eq!(
        text(&show(&["cnp"]).stdout),
        "NAME    ENDPOINTS   REVISION   DESCRIPTION\nrule1   1           2          d\n"
    );
    assert_eq!(text(&show(&["cnp", "-o", "jsonpath={.items[*].metadata.name}"]).stdout), "rule1\n");
    let yaml = text(&show(&["cnp/rule1", "-o", "yaml"]).stdout);
    assert_eq!(serde_saphyr::from_str::<serde_json::Value>(&yaml).unwrap(), raw);
    let missing = show(&["cnp", "other"]);
    assert_eq!(missing.status.code(), Some(6));
    assert!(text(&missing.stderr).contains(r#"CiliumNetworkPolicy "other" was not found"#));
    let elsewhere = show(&["cnp", "-n", "demo"]);
    assert_eq!((elsewhere.status.code(), text(&elsewhere.stdout)), (Some(0), String::new()));
}

#[test]
fn deleting_what_is_not_there_is_told() {
    let object = |name: &str, action: &str| {
        json!({"object": {"kind": "CiliumNetworkPolicy", "namespace": "default", "name": name},
               "action": action, "warnings": []})
    };
    let result = json!({"revision": 4, "results": [object("a", "deleted"), object("b", "absent")]});
    let agent = FakeAgent::start("delete", vec![("DELETE /v1/policies", 200, result)]);
    let delete =
        |more: &[&str]| ciliate(&agent.folder).args(["delete", "cnp", "a", "b"]).args(more).output().unwrap();
    let output = delete(&[]);
    assert_eq!(output.status.code(), Some(6));
    assert_eq!(text(&output.stdout), "ciliumnetworkpolicy.cilium.io/a deleted\n");
    assert_eq!(text(&output.stderr), "error: not found: CiliumNetworkPolicy/default/b\n");
    assert_eq!(delete(&["--ignore-not-found"]).status.code(), Some(0));
}

#[test]
fn settings_are_shown_with_their_origin_also_without_an_agent() {
    let folder = fake::folder("config");
    let file = folder.join("c.yaml");
    fs::write(&file, "policy-enforcement: always\n").unwrap();
    let output = ciliate(&folder)
        .args(["config", "--config", &file.display().to_string(), "-o", "json"])
        .env("CILIATE_CLUSTER_NAME", "blue")
        .output()
        .unwrap();
    let rows: Vec<ciliate_api::ConfigRow> = serde_json::from_slice(&output.stdout).unwrap();
    let row = |name: &str| rows.iter().find(|r| r.name == name).map(|r| (r.value.clone(), r.origin.clone()));
    let of = |value: &str, origin: &str| Some((value.to_owned(), origin.to_owned()));
    assert_eq!(row("policy-enforcement"), of("always", &format!("file {}", file.display())));
    assert_eq!(row("cluster-name"), of("blue", "env CILIATE_CLUSTER_NAME"));
    assert_eq!(row("run-dir"), of(&folder.display().to_string(), "flag --run-dir"));
    assert_eq!(row("masquerade"), of("true", "default"));
    assert!(text(&output.stderr).contains("The agent does not run"));
}

#[test]
fn events_are_lines_and_the_filter_is_sent() {
    let agent = FakeAgent::start(
        "monitor",
        vec![
            ("GET /v1/endpoints/default%2Fxwing", 200, fake::endpoint()),
            (
                "GET /v1/monitor?json=",
                200,
                json!({"time": "2026-01-02T03:04:05Z", "type": "lost", "count": 7, "place": "kernel"}),
            ),
        ],
    );
    let monitor = |more: &[&str]| {
        let arguments = ["monitor", "-t", "drop,policy-verdict", "--from", "xwing", "--last", "1"];
        ciliate(&agent.folder).args(arguments).args(more).output().unwrap()
    };
    let output = monitor(&[]);
    assert_eq!(text(&output.stdout), "** 7 events lost (kernel)\n", "{}", text(&output.stderr));
    let line: serde_json::Value = serde_json::from_slice(&monitor(&["-j"]).stdout).unwrap();
    assert_eq!(line["count"], 7);
    let asked = agent.requests();
    let query = asked.iter().find_map(|r| r.strip_prefix("GET /v1/monitor?"));
    let filter: ciliate_api::MonitorFilter = ciliate_api::decode_query(query).unwrap();
    assert_eq!(filter.types, [ciliate_api::EventKind::Drop, ciliate_api::EventKind::PolicyVerdict]);
    assert_eq!(filter.from.iter().map(|id| id.get()).collect::<Vec<_>>(), [65]);
}

#[test]
fn status_and_version_ask_the_agent() {
    let agent = FakeAgent::start("status", vec![("GET /v1/status", 200, fake::status())]);
    let show = |arguments: &[&str]| text(&ciliate(&agent.folder).args(arguments).output().unwrap().stdout);
    assert_eq!(show(&["status", "--brief"]), "OK\n");
    assert!(show(&["status"]).contains("Node:         n1 (cluster default)\n"), "{}", show(&["status"]));
    assert!(show(&["status", "--verbose"]).contains("10.201.0.0/16   3      65533"));
    assert_eq!(
        show(&["version"]),
        format!("Client: {}\nDaemon: 0.1.0, kernel 6.18.0\n", env!("CARGO_PKG_VERSION"))
    );
    assert!(show(&["version", "-o", "json"]).contains("\"agent\": \"0.1.0\""));
    let up = ciliate(&agent.folder).arg("up").output().unwrap();
    assert_eq!(up.status.code(), Some(1));
    assert!(text(&up.stderr).contains("the agent already runs (pid 4242"), "{}", text(&up.stderr));
}

#[test]
fn completion_knows_the_verbs_and_man_has_pages() {
    let folder = fake::folder("completion");
    for shell in ["bash", "zsh", "fish"] {
        let script = text(&ciliate(&folder).args(["completion", shell]).output().unwrap().stdout);
        assert!(script.contains("endpoint") && script.contains("selectors"), "{shell}");
    }
    let pages = folder.join("man");
    let output = ciliate(&folder).args(["man", &pages.display().to_string()]).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert!(pages.join("ciliate-policy-trace.1").exists());
}
