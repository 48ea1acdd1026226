//! The plug-in as runtimes call it, against an agent of cardboard.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use serde_json::{Value, json};
use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    os::unix::net::UnixListener,
    path::PathBuf,
    process::{Command, Stdio},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
};

type Asked = Arc<Mutex<Vec<(String, Value)>>>;

/// A run directory that goes with its test.
struct World {
    folder: PathBuf,
}

fn endpoint() -> Value {
    json!({
        "id": 65, "name": "xwing", "namespace": "default", "serviceAccount": "default", "containerId": "c1",
        "state": "ready", "identity": 31995, "labels": ["k8s:org=alliance"], "givenLabels": [],
        "ipv4": "10.201.0.5", "ipv6": "fd10:201::5", "ports": [], "publish": [],
        "device": {"name": "cil41", "ifindex": 7, "hostMac": "02:00:00:00:00:01", "containerName": "eth0",
            "containerMac": "02:00:00:00:00:02"},
        "policy": {"ingress": "disabled", "egress": "disabled", "audit": "off", "revision": 1, "ruleSet": 0,
            "ingressIsolatedBy": [], "egressIsolatedBy": []},
        "created": "2026-01-02T03:04:05Z",
        "network": {"gateway4": "10.201.0.1", "gateway6": "fd10:201::1", "mtu": 1400, "hostsFile": "/run/ciliate/hosts"},
    })
}

impl World {
    fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let folder = std::env::temp_dir().join(format!("cil-test-cni-{}-{number}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        Self { folder }
    }

    fn socket(&self) -> PathBuf {
        self.folder.join("ciliate.sock")
    }

    /// Answers every request with what `respond` says to its first line.
    fn agent(&self, respond: fn(&str) -> (u16, Value)) -> Asked {
        let listener = UnixListener::bind(self.socket()).unwrap();
        let asked = Asked::default();
        let notes = Arc::clone(&asked);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut reader = BufReader::new(stream.unwrap());
                let mut head = String::new();
                while !head.ends_with("\r\n\r\n") && reader.read_line(&mut head).unwrap() > 0 {}
                let length = head.split("Content-Length: ").nth(1).and_then(|r| r.split("\r\n").next());
                let mut body = vec![0; length.map_or(0, |l| l.parse().unwrap())];
                reader.read_exact(&mut body).unwrap();
                let line = head.lines().next().unwrap_or_default().to_owned();
                let (status, answer) = respond(&line);
                notes.lock().unwrap().push((line, serde_json::from_slice(&body).unwrap_or_default()));
                let _ = write!(reader.get_mut(), "HTTP/1.0 {status} X\r\n\r\n{answer}");
            }
        });
        asked
    }

    fn config(&self, change: Value) -> Value {
        let mut all =
            json!({"cniVersion": "1.1.0", "name": "pods", "type": "ciliate-cni", "socket": self.socket()});
        all.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        all
    }

    /// Exit code and what is printed.
    fn call(&self, command: &str, input: &str, environment: &[(&str, &str)]) -> (i32, Value) {
        let mut child = Command::new(env!("CARGO_BIN_EXE_ciliate-cni"))
            .env_clear()
            .env("CNI_COMMAND", command)
            .envs([("CNI_CONTAINERID", "c1"), ("CNI_IFNAME", "eth0"), ("CNI_NETNS", "/proc/self")])
            .envs(environment.iter().copied())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        let output = child.wait_with_output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let value = match text.is_empty() {
            true => Value::Null,
            false => serde_json::from_str(&text).unwrap(),
        };
        (output.status.code().unwrap(), value)
    }

    fn files(&self, folder: &str) -> Vec<String> {
        let entries = fs::read_dir(self.folder.join(folder)).into_iter().flatten();
        let mut names: Vec<_> = entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

impl Drop for World {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn willing(line: &str) -> (u16, Value) {
    match line {
        _ if line.contains("/health") => {
            (200, json!({"overall": "ok", "bpf": "ok", "policy": "ok", "connected": "ok"}))
        }
        _ => (200, endpoint()),
    }
}

#[test]
fn an_addition_asks_the_agent_and_reports_devices_addresses_and_routes() {
    let world = World::new();
    let asked = world.agent(willing);
    let config = world.config(json!({
        "labels": {"org": "empire"},
        "args": {"cni": {"labels": [{"key": "class", "value": "xwing"}]}},
        "runtimeConfig": {"portMappings": [{"hostPort": 8080, "containerPort": 80, "protocol": "tcp"}], "ips": ["10.201.0.5/16"]},
    }));
    let arguments =
        "IgnoreUnknown=1;K8S_POD_NAME=xwing;K8S_POD_NAMESPACE=rebels;LABEL.org=alliance;IP=10.201.0.5;Z=1";
    let environment = [("CNI_ARGS", arguments), ("CILIATE_LABELS", "wing=left, k8s:tier=1")];
    let (code, result) = world.call("ADD", &config.to_string(), &environment);
    assert_eq!(
        (code, &result),
        (
            0,
            &json!({
                "cniVersion": "1.1.0",
                "interfaces": [
                    {"name": "cil41", "mac": "02:00:00:00:00:01", "mtu": 1400},
                    {"name": "eth0", "mac": "02:00:00:00:00:02", "mtu": 1400, "sandbox": "/proc/self"},
                ],
                "ips": [
                    {"address": "10.201.0.5/32", "gateway": "10.201.0.1", "interface": 1},
                    {"address": "fd10:201::5/128", "gateway": "fd10:201::1", "interface": 1},
                ],
                "routes": [{"dst": "0.0.0.0/0", "gw": "10.201.0.1"}, {"dst": "::/0", "gw": "fd10:201::1"}],
                "dns": {},
            })
        )
    );
    let requests = asked.lock().unwrap().clone();
    assert_eq!(requests.len(), 1);
    assert!(requests[0].0.starts_with("POST /v1/endpoints "), "{}", requests[0].0);
    assert_eq!(
        requests[0].1,
        json!({
            "name": "xwing", "namespace": "rebels",
            "labels": ["k8s:class=xwing", "k8s:org=alliance", "k8s:tier=1", "k8s:wing=left"],
            "netns": {"path": "/proc/self"}, "interface": "eth0", "addresses": ["10.201.0.5"], "ports": [],
            "publish": [{"hostPort": 8080, "port": 80, "protocol": "TCP"}], "containerId": "c1",
        })
    );
    assert_eq!(world.files("cni/attachments/pods"), ["c1:eth0"]);
}

#[test]
fn each_version_gets_its_own_form() {
    let world = World::new();
    world.agent(willing);
    for (version, family, mtu) in [
        ("0.3.0", Some("4"), None),
        ("0.3.1", Some("4"), None),
        ("0.4.0", Some("4"), None),
        ("1.0.0", None, None),
        ("1.1.0", None, Some(1400)),
    ] {
        let (code, result) =
            world.call("ADD", &world.config(json!({"cniVersion": version})).to_string(), &[]);
        assert_eq!((code, result["cniVersion"].as_str()), (0, Some(version)));
        assert_eq!(result["ips"][0]["version"].as_str(), family, "{version}");
        assert_eq!(result["interfaces"][1]["mtu"].as_i64(), mtu, "{version}");
    }
    let (code, result) = world.call("ADD", &world.config(json!({"cniVersion": "0.2.0"})).to_string(), &[]);
    assert_eq!((code, &result["code"]), (1, &json!(1)));
    let (code, result) = world.call("VERSION", r#"{"cniVersion": "0.4.0"}"#, &[]);
    assert_eq!(
        (code, result),
        (
            0,
            json!({"cniVersion": "0.4.0", "supportedVersions": ["0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"]})
        )
    );
}

#[test]
fn without_an_agent_an_addition_may_be_retried_and_leaves_nothing() {
    let world = World::new();
    let (code, error) = world.call("ADD", &world.config(json!({})).to_string(), &[]);
    assert_eq!((code, &error["code"], &error["cniVersion"]), (1, &json!(11), &json!("1.1.0")));
    let message = error["msg"].as_str().unwrap();
    assert!(message.contains("cannot add container c1") && message.contains("ciliate up"), "{message}");
    assert_eq!(world.files("cni/attachments/pods"), Vec::<String>::new());
    let (code, error) = world.call("STATUS", &world.config(json!({})).to_string(), &[]);
    assert_eq!((code, &error["code"]), (1, &json!(50)));
    let (code, error) = world.call("CHECK", &world.config(json!({"prevResult": {}})).to_string(), &[]);
    assert_eq!((code, &error["code"]), (1, &json!(11)));
}

#[test]
fn without_an_agent_a_deletion_waits_for_it() {
    let world = World::new();
    let config = world.config(json!({})).to_string();
    for _ in 0..2 {
        assert_eq!(world.call("DEL", &config, &[("CNI_NETNS", "")]), (0, Value::Null));
        assert_eq!(world.files("cni/deleted"), ["c1:eth0"]);
    }
    // The same name again is a new container.
    world.agent(willing);
    assert_eq!(world.call("ADD", &config, &[]).0, 0);
    assert_eq!(world.files("cni/deleted"), Vec::<String>::new());

    let gone = world.config(json!({"socket": "/nowhere/ciliate/ciliate.sock"})).to_string();
    assert_eq!(
        world.call("DEL", &gone, &[]),
        (0, Value::Null),
        "no agent, no run directory: nothing to delete"
    );
    assert!(!PathBuf::from("/nowhere").exists());
}

#[test]
fn a_deletion_may_be_repeated() {
    let world = World::new();
    let asked = world.agent(|line| match line.starts_with("DELETE") {
        true => (404, json!({"status": 404, "message": "no such endpoint"})),
        false => willing(line),
    });
    let config = world.config(json!({})).to_string();
    assert_eq!(world.call("ADD", &config, &[]).0, 0);
    assert_eq!(world.call("DEL", &config, &[]), (0, Value::Null));
    assert_eq!(world.call("DEL", &config, &[("CNI_ARGS", "garbage")]), (0, Value::Null));
    assert_eq!(world.files("cni/attachments/pods"), Vec::<String>::new());
    assert!(asked.lock().unwrap()[1].0.starts_with("DELETE /v1/endpoints/container-id%3Ac1%3Aeth0 "));
}

#[test]
fn what_the_agent_says_reaches_the_user() {
    let world = World::new();
    world.agent(|line| match line.starts_with("POST") {
        true => (400, json!({"status": 400, "message": "label \"a b\" has white space"})),
        false => (500, json!({"status": 500, "message": "the kernel refused"})),
    });
    let config = world.config(json!({})).to_string();
    let (code, error) = world.call("ADD", &config, &[]);
    assert_eq!((code, &error["code"]), (1, &json!(7)));
    assert!(error["msg"].as_str().unwrap().contains("white space"), "{error}");
    let (code, error) = world.call("DEL", &config, &[]);
    assert_eq!((code, &error["code"]), (1, &json!(100)), "not forgotten: {error}");
    assert_eq!(world.files("cni/attachments/pods"), ["c1:eth0"]);
}

#[test]
fn check_compares_with_what_was_promised() {
    let world = World::new();
    world.agent(willing);
    let check = |change| world.call("CHECK", &world.config(change).to_string(), &[]);
    assert_eq!(check(json!({"prevResult": {"ips": [{"address": "10.201.0.5/32"}]}})), (0, Value::Null));
    let (_, error) = check(json!({"prevResult": {"ips": [{"address": "10.201.0.6/32"}]}}));
    assert_eq!(error["code"], json!(101));
    assert!(error["msg"].as_str().unwrap().contains("10.201.0.6"), "{error}");
    assert_eq!(check(json!({})).1["code"], json!(7));
    assert_eq!(check(json!({"cniVersion": "0.3.1", "prevResult": {}})).1["code"], json!(1));

    let world = World::new();
    world.agent(|line| match line.contains("/health") {
        true => (200, json!({"overall": "failure", "bpf": "ok", "policy": "ok", "connected": "failure"})),
        false => (200, endpoint()),
    });
    let (code, error) = world.call("CHECK", &world.config(json!({"prevResult": {}})).to_string(), &[]);
    assert_eq!((code, &error["code"]), (1, &json!(101)));
    assert!(error["msg"].as_str().unwrap().contains("ciliate endpoint health 65"), "{error}");
}

#[test]
fn garbage_collection_deletes_what_is_not_listed_in_its_network_only() {
    let world = World::new();
    let asked = world.agent(willing);
    for (network, container) in [("pods", "c1"), ("pods", "c2"), ("pods", "c3"), ("other", "c4")] {
        let config = world.config(json!({"name": network})).to_string();
        assert_eq!(world.call("ADD", &config, &[("CNI_CONTAINERID", container)]).0, 0);
    }
    asked.lock().unwrap().clear();
    let valid = json!([{"containerID": "c2", "ifname": "eth0"}, {"containerID": "c3", "ifname": "eth1"}]);
    let config = world.config(json!({"cni.dev/valid-attachments": valid})).to_string();
    assert_eq!(world.call("GC", &config, &[]), (0, Value::Null));
    let lines: Vec<_> = asked.lock().unwrap().iter().map(|(line, _)| line.clone()).collect();
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert!(lines[0].contains("c1%3Aeth0") && lines[1].contains("c3%3Aeth0"), "{lines:?}");
    assert_eq!(world.files("cni/attachments/pods"), ["c2:eth0"]);
    assert_eq!(world.files("cni/attachments/other"), ["c4:eth0"]);
    assert_eq!(world.call("GC", &world.config(json!({})).to_string(), &[]).1["code"], json!(7));
}

#[test]
fn the_devices_own_maker_comes_first_in_a_chain() {
    let world = World::new();
    world.agent(willing);
    let (code, error) = world.call("ADD", &world.config(json!({"prevResult": {"ips": []}})).to_string(), &[]);
    assert_eq!((code, &error["code"]), (1, &json!(7)));
}

#[test]
fn garbage_is_answered_with_an_error_in_json() {
    let world = World::new();
    for (command, input, code) in [
        ("ADD", "", 6),
        ("ADD", "{", 6),
        ("DEL", "\u{0}\u{1}", 6),
        ("GC", "[1]", 6),
        ("STATUS", "null", 6),
        ("JUMP", "{}", 4),
        ("", "", 4),
    ] {
        let (exit, error) = world.call(command, input, &[]);
        assert_eq!((exit, &error["code"]), (1, &json!(code)), "{command} {input:?}: {error}");
        assert!(!error["msg"].as_str().unwrap().is_empty());
    }
}

#[test]
fn calls_in_parallel_do_not_disturb_each_other() {
    let world = World::new();
    world.agent(willing);
    let config = world.config(json!({})).to_string();
    std::thread::scope(|scope| {
        for number in 0..8 {
            let (world, config) = (&world, &config);
            scope.spawn(move || {
                let container = format!("c{number}");
                assert_eq!(world.call("ADD", config, &[("CNI_CONTAINERID", &container)]).0, 0);
            });
        }
    });
    assert_eq!(world.files("cni/attachments/pods").len(), 8);
}
