//! The binary with a real agent, real namespaces and real packets. Needs root.

#[cfg(test)]
#[path = "end_to_end/explained.rs"]
mod explained;
#[cfg(test)]
#[path = "end_to_end/stage.rs"]
mod stage;
#[cfg(test)]
#[path = "end_to_end/story.rs"]
#[expect(dead_code, reason = "shared with tests that use all of it")]
mod story;

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use stage::{eventually, inside, said, shell};
use std::{
    fs,
    io::{BufRead, BufReader},
    process::Stdio,
};
use story::{LANDING, RULE1, ask, cast, traced};

fn lands(stage: &stage::Stage, ship: &str) -> bool {
    ask(stage, ship, LANDING) == (0, "Ship landed".to_owned())
}

/// The story of issue 3 by hand: what a user types, and that nothing of it stays.
#[test]
fn the_story_by_hand_leaves_nothing() {
    inside("the_story_by_hand_leaves_nothing", |stage| {
        let before = stage.traces();
        let up = stage.done(&["up"]);
        assert!(up.starts_with("Ciliate ") && up.contains(" is up on "), "{up}");
        cast(stage);
        assert!(lands(stage, "xwing"), "without a policy everyone may land");

        let mut monitor =
            stage.ciliate(&["monitor", "-t", "drop,policy-verdict"]).stdout(Stdio::piped()).spawn().unwrap();
        let rule = stage.file("rule1.yaml", RULE1);
        assert_eq!(stage.done(&["apply", "-f", &rule]), "ciliumnetworkpolicy.cilium.io/rule1 created\n");
        assert_eq!(stage.done(&["apply", "-f", &rule]), "ciliumnetworkpolicy.cilium.io/rule1 unchanged\n");
        assert!(lands(stage, "tiefighter"), "the empire may land");
        assert!(!lands(stage, "xwing"), "the alliance may not");

        let mut lines = BufReader::new(monitor.stdout.take().unwrap()).lines().map(Result::unwrap);
        let allowed = lines.find(|line| line.contains("action allow") && line.contains("rule1"));
        assert!(allowed.is_some_and(|line| line.starts_with("Policy verdict log: flow 0x0 local EP ID ")));
        let dropped = lines.find(|line| line.starts_with("xx drop (Policy denied)"));
        assert!(dropped.is_some_and(|line| line.ends_with("tcp SYN")));
        monitor.kill().unwrap();
        monitor.wait().unwrap();

        let list = stage.done(&["endpoint", "list"]);
        assert!(
            list.starts_with("ENDPOINT   POLICY (ingress)   POLICY (egress)   IDENTITY   LABELS"),
            "{list}"
        );
        assert!(list.contains("k8s:class=xwing") && list.contains("k8s:io.kubernetes.pod.namespace=default"));
        assert!(
            list.lines().any(|line| line.contains("Enabled") && line.contains("k8s:class=deathstar")),
            "{list}"
        );
        let said = traced(stage, ("xwing", "deathstar"), &[], "denied");
        assert!(said.contains("cnp/default/rule1") && said.ends_with("Final verdict: DENIED\n"), "{said}");
        traced(stage, ("tiefighter", "deathstar"), &[], "allowed");

        assert_eq!(stage.done(&["get", "cnp", "-o", "jsonpath={.items[*].metadata.name}"]), "rule1\n");
        assert_eq!(stage.done(&["delete", "-f", &rule]), "ciliumnetworkpolicy.cilium.io/rule1 deleted\n");
        assert!(lands(stage, "xwing"), "the policy is gone");
        stage.done(&["down"]);
        assert_eq!(stage.traces(), before);
    });
}

/// Every verb that reads answers with a table and with JSON.
#[test]
fn every_view_answers() {
    inside("every_view_answers", |stage| {
        stage.done(&["up"]);
        cast(stage);
        let rule = stage.file("rule1.yaml", RULE1);
        stage.done(&["apply", "-f", &rule]);
        assert!(lands(stage, "tiefighter"));
        for arguments in [
            vec!["status"],
            vec!["status", "--verbose"],
            vec!["endpoint", "list"],
            vec!["endpoint", "get", "deathstar"],
            vec!["endpoint", "log", "deathstar"],
            vec!["endpoint", "health", "deathstar"],
            vec!["endpoint", "labels", "deathstar"],
            vec!["endpoint", "config", "deathstar"],
            vec!["identity", "list"],
            vec!["identity", "get", "1"],
            vec!["ip", "list"],
            vec!["ip", "get", "10.201.0.1"],
            vec!["policy", "get"],
            vec!["policy", "selectors"],
            vec!["get", "all", "-A"],
            vec!["bpf", "endpoint", "list"],
            vec!["bpf", "policy", "list"],
            vec!["bpf", "policy", "get", "deathstar"],
            vec!["bpf", "ct", "list", "global"],
            vec!["bpf", "ct", "get", "deathstar"],
            vec!["bpf", "ipcache", "list"],
            vec!["bpf", "ipcache", "get", "10.201.0.1"],
            vec!["bpf", "metrics", "list"],
            vec!["map", "list"],
            vec!["metrics", "list"],
            vec!["config"],
            vec!["config", "get", "policy-enforcement"],
            vec!["db", "list"],
            vec!["debuginfo"],
            vec!["version"],
        ] {
            assert!(!stage.done(&arguments).trim().is_empty(), "{arguments:?} says nothing");
            stage.json(&arguments);
        }
        for table in stage.json(&["db", "list"]).as_array().unwrap() {
            stage.json(&["db", "show", table["name"].as_str().unwrap()]);
        }
        for map in stage.json(&["map", "list"]).as_array().unwrap() {
            let name = map["name"].as_str().unwrap();
            let listed = stage.output(&["map", "get", name]);
            assert!(
                listed.status.success() || said(&listed).contains("`bpf policy get`"),
                "{name}: {}",
                said(&listed)
            );
            stage.json(&["map", "events", name]);
        }
        assert_eq!(stage.done(&["status", "--brief"]), "OK\n");
        stage.done(&["status", "--wait"]);
        stage.done(&["policy", "wait", "1"]);
        stage.done(&["bpf", "ct", "flush", "deathstar"]);
        let rules = stage.done(&["bpf", "policy", "get", "deathstar"]);
        assert!(rules.contains("80/TCP") && rules.contains("cnp/default/rule1"), "{rules}");
        let pattern = stage.done(&["metrics", "list", "-p", "endpoint"]);
        assert!(pattern.lines().skip(1).all(|line| line.contains("endpoint")), "{pattern}");
        stage.done(&["down"]);
    });
}

/// Events carry bytes of real packets for who asks, and for nobody else; connections count what they carry.
#[test]
fn packets_are_shown_byte_by_byte() {
    inside("packets_are_shown_byte_by_byte", |stage| {
        stage.done(&["up"]);
        cast(stage);
        let rule = stage.file("rule1.yaml", RULE1);
        stage.done(&["apply", "-f", &rule]);
        let watch = |arguments: &[&str]| {
            let mut monitor = stage.ciliate(arguments).stdout(Stdio::piped()).spawn().unwrap();
            let mut lines = BufReader::new(monitor.stdout.take().unwrap()).lines().map(Result::unwrap);
            // Until it is heard: the first landings may be over before it listens.
            let found: Vec<String> = std::thread::scope(|scope| {
                let (sent, over) = std::sync::mpsc::channel::<()>();
                scope.spawn(move || {
                    while over.try_recv().is_err() {
                        assert!(lands(stage, "tiefighter"), "the empire may land");
                    }
                });
                let found = lines.by_ref().take(12).collect();
                sent.send(()).unwrap();
                found
            });
            monitor.kill().unwrap();
            monitor.wait().unwrap();
            found
        };
        let plain = watch(&["monitor", "-t", "policy-verdict", "--hex"]);
        let dump: Vec<&String> = plain.iter().filter(|line| line.starts_with("000000")).collect();
        assert!(plain[0].starts_with("Policy verdict log") && !dump.is_empty(), "{plain:#?}");
        // Ethernet header: IPv4 or IPv6 behind two link-layer addresses.
        assert!(
            dump[0].starts_with("00000000  ")
                && (dump[0].contains("08 00 45 ") || dump[0].contains("86 dd 6")),
            "{plain:#?}"
        );

        let parse = |lines: Vec<String>| -> Vec<ciliate_api::Event> {
            lines.iter().map(|line| serde_json::from_str(line).unwrap()).collect()
        };
        for event in parse(watch(&["monitor", "-t", "trace", "--json", "--hex"])) {
            let packet = event.body.packet().unwrap();
            let hex = packet.hex.as_ref().unwrap();
            let length = usize::try_from(packet.length).unwrap() + 14;
            assert_eq!(hex.len(), 2 * length.min(128), "{event:?}");
            if let std::net::IpAddr::V4(source) = packet.source.address {
                let source: String = source.octets().iter().map(|byte| format!("{byte:02x}")).collect();
                assert_eq!(hex[2 * 26..2 * 30], source, "{event:?}");
            }
        }
        for event in parse(watch(&["monitor", "--json"])) {
            assert!(event.body.packet().is_none_or(|packet| packet.hex.is_none()), "{event:?}");
        }

        let listed = stage.json(&["bpf", "ct", "list", "global"]);
        let landed = listed.as_array().unwrap().iter().find(|row| row["destinationPort"] == 80).unwrap();
        for way in ["sent", "received"] {
            let packets = landed[way]["packets"].as_u64().unwrap();
            assert!(packets >= 3 && landed[way]["bytes"].as_u64().unwrap() >= 40 * packets, "{landed}");
        }
        assert!(stage.done(&["bpf", "ct", "list", "global"]).contains(" TxPackets="));
        stage.done(&["down"]);
    });
}

/// The host enters as a peer with a rule of its own, which a setting gives and takes.
#[test]
fn the_host_enters_as_the_setting_says() {
    inside("the_host_enters_as_the_setting_says", |stage| {
        stage.done(&["up"]);
        cast(stage);
        let rule = stage.file("rule1.yaml", RULE1);
        let address = stage.json(&["endpoint", "get", "deathstar"])[0]["ipv4"].as_str().unwrap().to_owned();
        let address = format!("{address}:80").parse().unwrap();
        let enters = |wait| {
            std::net::TcpStream::connect_timeout(&address, std::time::Duration::from_millis(wait)).is_ok()
        };
        for setting in ["policy", "always"] {
            stage.done(&["config", "set", &format!("allow-localhost={setting}")]);
            assert!(enters(10_000), "nothing isolates it");
        }
        stage.done(&["apply", "-f", &rule]);
        assert!(enters(10_000), "allow-localhost: always");
        stage.done(&["config", "set", "allow-localhost=policy"]);
        assert!(!enters(500), "no rule lets the host in");
        stage.done(&["config", "set", "allow-localhost=always"]);
        assert!(enters(10_000), "and always again");
        stage.done(&["down"]);
    });
}

/// What may change about an endpoint changes at once.
#[test]
fn endpoints_change_and_go() {
    inside("endpoints_change_and_go", |stage| {
        stage.done(&["up"]);
        cast(stage);
        let rule = stage.file("rule1.yaml", RULE1);
        stage.done(&["apply", "-f", &rule]);
        assert!(!lands(stage, "xwing"));
        stage.done(&["endpoint", "config", "deathstar", "PolicyAuditMode=Enabled"]);
        assert!(lands(stage, "xwing"), "audit mode drops nothing");
        stage.done(&["endpoint", "config", "deathstar", "PolicyAuditMode=Disabled"]);
        assert!(!lands(stage, "xwing"));
        let labels = stage.done(&["endpoint", "labels", "xwing", "-a", "org=empire"]);
        assert!(labels.contains("k8s:org=empire") && !labels.contains("alliance"), "{labels}");
        assert!(lands(stage, "xwing"), "a new identity, a new verdict");
        stage.done(&["config", "set", "policy-enforcement=never"]);
        stage.done(&["endpoint", "labels", "xwing", "-a", "org=alliance"]);
        assert!(lands(stage, "xwing"), "nothing is enforced");
        let row = stage.json(&["config", "get", "policy-enforcement"]);
        assert_eq!(row[0]["origin"], "runtime");

        let netns = stage.file("foo", "");
        shell(&format!("unshare --net={netns} true"));
        let made = stage.done(&["endpoint", "add", "--netns", &netns, "--name", "foo", "-l", "app=x"]);
        assert!(made.contains("default/foo") && made.trim_end().ends_with("created"), "{made}");
        stage.done(&["exec", "foo", "--", "ip", "addr", "show", "eth0"]);
        assert_eq!(stage.done(&["endpoint", "delete", "foo"]).trim_end().rsplit(' ').next(), Some("deleted"));
        let (code, error) = stage.fails(&["endpoint", "get", "foo"]);
        assert_eq!(code, 6, "{error}");
        let mut holder =
            std::process::Command::new("unshare").args(["--net", "sleep", "100"]).spawn().unwrap();
        let pid = holder.id().to_string();
        let own = fs::read_link("/proc/self/ns/net").unwrap();
        let theirs = format!("/proc/{pid}/ns/net");
        eventually("it has its own namespace", || fs::read_link(&theirs).is_ok_and(|link| link != own));
        let made = stage.done(&["endpoint", "add", "--pid", &pid, "--name", "bar", "--interface", "net0"]);
        assert!(made.contains("default/bar"), "{made}");
        assert!(shell(&format!("nsenter -t {pid} -n ip -o link")).contains("net0"));
        holder.kill().unwrap();
        holder.wait().unwrap();
        stage.done(&["down"]);
    });
}

#[test]
fn run_passes_signals_and_exit_codes_through() {
    inside("run_passes_signals_and_exit_codes_through", |stage| {
        stage.done(&["up"]);
        let run = |command: &[&str]| stage.output(&[&["run", "--"], command].concat());
        assert_eq!(run(&["sh", "-c", "exit 7"]).status.code(), Some(7));
        assert_eq!(run(&["sh", "-c", "kill -TERM $$"]).status.code(), Some(143));
        assert_eq!(run(&["/nonexistent/program"]).status.code(), Some(127));
        assert_eq!(run(&[&stage.file("plain", "no program")]).status.code(), Some(126));
        let own = stage.done(&["run", "--name", "me", "--", "sh", "-c", "hostname; grep -w me /etc/hosts"]);
        assert!(own.starts_with("me\n") && own.contains("me.default.svc.cluster.local"), "{own}");

        let mut child = stage
            .ciliate(&[
                "run",
                "--name",
                "long",
                "--",
                "sh",
                "-c",
                "trap 'exit 9' INT; echo ready; sleep 60 & wait",
            ])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut ready = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut ready).unwrap();
        let (code, error) = stage.fails(&["run", "--name", "long", "--", "true"]);
        assert_eq!(code, 125);
        assert!(error.contains("default/long already runs"), "{error}");
        kill(Pid::from_raw(i32::try_from(child.id()).unwrap()), Signal::SIGINT).unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(9));

        // Killed, it cannot clear its place away; the next of that name does.
        let mut killed = stage.ciliate(&["run", "--name", "killed", "--", "sleep", "100"]).spawn().unwrap();
        eventually("it runs", || stage.output(&["endpoint", "get", "killed"]).status.success());
        killed.kill().unwrap();
        killed.wait().unwrap();
        stage.done(&["run", "--name", "killed", "--", "true"]);
        assert_eq!(stage.json(&["endpoint", "list"]).as_array().map(Vec::len), Some(0), "nothing is left");
        assert!(!stage.folder.join("run/ciliate/run").exists());
        stage.done(&["down"]);
    });
}

#[test]
fn run_takes_addresses_names_and_published_ports() {
    inside("run_takes_addresses_names_and_published_ports", |stage| {
        stage.done(&["up"]);
        let flags = ["--ip", "10.201.9.9", "--port", "http=80/TCP", "--publish", "8080:80", "-n", "galaxy"];
        let run = ["run", "--detach", "--name", "deathstar", "--service-account", "vader"];
        stage.done(&[&run, flags.as_slice(), &["--", "deathstar", "serve"]].concat());
        let endpoint = stage.json(&["endpoint", "get", "galaxy/deathstar"]);
        assert_eq!(endpoint[0]["ipv4"], "10.201.9.9");
        assert_eq!(endpoint[0]["ports"][0]["name"], "http");
        let labels = endpoint[0]["labels"].to_string();
        assert!(labels.contains("k8s:io.kubernetes.pod.namespace=galaxy"), "{labels}");
        assert!(labels.contains("serviceaccount=vader"), "{labels}");
        stage.done(&["run", "--detach", "--name", "ship", "-n", "galaxy", "--", "sleep", "infinity"]);
        for url in [
            "http://deathstar.galaxy/v1/",
            "http://deathstar.galaxy.svc.cluster.local/v1/",
            "http://10.201.9.9/v1/",
        ] {
            eventually(url, || {
                let request =
                    ["exec", "galaxy/ship", "--", "deathstar", "request", "GET", url, "--timeout", "1"];
                stage.output(&request).status.success()
            });
        }
        eventually("the host reaches the published port", || {
            let path = stage.program("deathstar");
            let request = std::process::Command::new(path)
                .args(["request", "-4", "GET", "http://127.0.0.1:8080/v1/", "--timeout", "1"])
                .output();
            request.is_ok_and(|output| output.status.success())
        });
        let (code, error) = stage.fails(&["run", "--name", "twin", "--ip", "10.201.9.9", "--", "true"]);
        assert_eq!(code, 125);
        assert!(error.contains("10.201.9.9"), "{error}");
        assert!(!stage.folder.join("run/ciliate/run/default/twin").exists(), "nothing half done");
        stage.done(&["down"]);
    });
}

#[test]
fn a_second_agent_is_refused_and_one_of_two_at_once_wins() {
    inside("a_second_agent_is_refused_and_one_of_two_at_once_wins", |stage| {
        let start = |_| stage.ciliate(&["up"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let both = [0, 1].map(start);
        let outputs = both.map(|child| child.wait_with_output().unwrap());
        let all: String = outputs.iter().map(said).collect();
        assert_eq!(outputs.iter().filter(|o| o.status.success()).count(), 1, "{all}");
        assert!(all.contains("in use by process"), "{all}");
        let (code, error) = stage.fails(&["up"]);
        assert_eq!(code, 1);
        assert!(error.contains("the agent already runs (pid "), "{error}");
        assert!(error.contains("ciliate down"), "{error}");
        stage.done(&["down"]);
        assert_eq!(stage.done(&["down"]), "Ciliate is not up: nothing to take down\n");
    });
}

#[test]
fn up_says_what_the_agent_says() {
    inside("up_says_what_the_agent_says", |stage| {
        let before = stage.traces();
        let elsewhere = stage.folder.join("no-bpffs");
        let (code, error) = stage.fails(&["up", &format!("--bpf-root={}", elsewhere.display())]);
        assert_eq!(code, 1, "{error}");
        assert!(error.starts_with("error: the agent did not start: "), "{error}");
        assert!(error.contains("bpf") && error.contains("mount"), "it says what to do: {error}");
        assert_eq!(stage.traces(), before, "nothing half done");
    });
}

/// An agent that was killed leaves devices, programs and rules; `down` clears them all the same.
#[test]
fn down_also_clears_what_a_killed_agent_left() {
    inside("down_also_clears_what_a_killed_agent_left", |stage| {
        let before = stage.traces();
        stage.done(&["up"]);
        cast(stage);
        story::kill_hard(story::agent(stage));
        let (code, error) = stage.fails(&["status"]);
        assert_eq!(code, 3, "{error}");
        assert!(error.contains("ciliate up"), "{error}");
        stage.done(&["down"]);
        assert_eq!(stage.traces(), before);
    });
}
