//! What goes wrong on a real host, and what is left then: nothing but a message that says what to do. Needs root.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::panic,
    reason = "tests state plainly what they expect"
)]

#[path = "faults/cni.rs"]
mod cni;
#[path = "end_to_end/stage.rs"]
mod stage;

use stage::{Stage, eventually, inside, said, shell, text};
use std::{
    fmt::Write as _,
    fs,
    process::{Command, Output, Stdio},
};

/// `ciliate ARGUMENTS` as another program's command.
fn under(stage: &Stage, prefix: &[&str], arguments: &[&str]) -> Output {
    let ciliate = stage.ciliate(arguments);
    let mut command = Command::new(prefix[0]);
    command.args(&prefix[1..]).arg(ciliate.get_program()).args(ciliate.get_args());
    for (name, value) in ciliate.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    command.stdin(Stdio::null()).output().unwrap()
}

/// Neither in the kernel nor below the run and state directories.
fn nothing_left(stage: &Stage, before: &stage::Traces) {
    assert_eq!(&stage.traces(), before);
    assert_eq!(fs::read_dir(stage.folder.join("state")).unwrap().count(), 0, "no state either");
}

/// The kernel itself says that it is older: personality(2), `UNAME26`.
#[test]
fn a_kernel_that_is_too_old_is_named() {
    inside("a_kernel_that_is_too_old_is_named", |stage| {
        let before = stage.traces();
        for verb in [&["up"][..], &["up", "--foreground"]] {
            let output = under(stage, &["setarch", "--uname-2.6"], verb);
            let error = text(&output.stderr);
            assert_eq!(output.status.code(), Some(1), "{error}");
            assert!(error.contains("kernel 2.6.") && error.contains("boot one of 5.15 or later"), "{error}");
            nothing_left(stage, &before);
        }
    });
}

#[test]
fn a_missing_capability_is_named() {
    inside("a_missing_capability_is_named", |stage| {
        let before = stage.traces();
        for (dropped, named) in [
            ("-net_admin", "CAP_NET_ADMIN is missing"),
            ("-sys_admin", "CAP_SYS_ADMIN is missing"),
            ("-bpf,-perfmon,-sys_admin,-net_admin", "CAP_NET_ADMIN and CAP_SYS_ADMIN are missing"),
        ] {
            for verb in [&["up"][..], &["up", "--foreground"]] {
                let output = under(stage, &["setpriv", &format!("--bounding-set={dropped}")], verb);
                let error = text(&output.stderr);
                assert_eq!(output.status.code(), Some(4), "{dropped}: {error}");
                assert!(error.contains(named) && error.contains("run as root"), "{dropped}: {error}");
                nothing_left(stage, &before);
            }
        }
        // A namespace of users gives all capabilities but none over the kernel: what it then refuses is named as well.
        let output = under(stage, &["unshare", "--user", "--map-root-user"], &["up", "--foreground"]);
        let error = text(&output.stderr);
        assert!(!output.status.success());
        assert!(error.contains("not permitted") && error.contains("CAP_BPF"), "{error}");
        fs::remove_dir_all(stage.folder.join("state")).unwrap();
        fs::create_dir(stage.folder.join("state")).unwrap();
        shell(&format!("rm -rf {}", stage.folder.join("run/ciliate").display()));
        nothing_left(stage, &before);
    });
}

/// Nothing is attached to control groups, so a host without any is fine.
#[test]
fn control_groups_are_not_needed() {
    inside("control_groups_are_not_needed", |stage| {
        shell("awk '$3 ~ /^cgroup/ { print $2 }' /proc/mounts | sort -r | xargs -r -n 1 umount -l");
        shell("mount -t tmpfs none /sys/fs/cgroup");
        assert!(!shell("cat /proc/mounts").contains(" cgroup"));
        stage.done(&["up"]);
        stage.done(&["run", "--name", "a", "--", "true"]);
        assert_eq!(stage.done(&["status", "--brief"]), "OK\n");
        stage.done(&["down"]);
    });
}

/// What the kernel holds for endpoints while the agent runs.
fn held(stage: &Stage) -> [String; 4] {
    [
        shell("ip -o link | cut -d: -f2"),
        shell(&format!("ls {}", stage.folder.join("bpf/ciliate/v*/links").display())),
        stage.done(&["bpf", "endpoint", "list"]),
        stage.done(&["bpf", "ipcache", "list"]),
    ]
}

fn names(stage: &Stage) -> Vec<String> {
    let list = stage.json(&["endpoint", "list"]);
    list.as_array().unwrap().iter().map(|e| e["name"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn what_is_no_namespace_is_named_and_what_vanishes_is_let_go() {
    inside("what_is_no_namespace_is_named_and_what_vanishes_is_let_go", |stage| {
        stage.done(&["up"]);
        let before = held(stage);
        let plain = stage.file("plain", "");
        let own = std::process::id().to_string();
        for (arguments, message) in [
            (["--netns", "/run/netns/nowhere"], "/run/netns/nowhere: No such file or directory"),
            (["--netns", &plain], "plain is not a network namespace"),
            (["--pid", "4194303"], "it went with its process"),
            (["--pid", &own], "the host's own network namespace"),
        ] {
            let (code, error) = stage.fails(&[&["endpoint", "add"], arguments.as_slice()].concat());
            assert_eq!(code, 1, "{error}");
            assert!(error.contains(message), "{error}");
        }
        assert_eq!(held(stage), before);

        let netns = stage.file("foo", "");
        shell(&format!("unshare --net={netns} true"));
        stage.done(&["endpoint", "add", "--netns", &netns, "--name", "foo"]);
        let (code, error) = stage.fails(&["endpoint", "add", "--netns", &netns, "--name", "again"]);
        assert_eq!(code, 1, "{error}");
        assert!(error.contains("default/foo") && error.contains("delete that first"), "{error}");
        shell(&format!("umount {netns}"));
        eventually("the namespace takes its endpoint along", || names(stage).is_empty());
        assert_eq!(held(stage), before);

        let mut holder = Command::new("unshare").args(["--net", "sleep", "100"]).spawn().unwrap();
        let pid = holder.id().to_string();
        let theirs = format!("/proc/{pid}/ns/net");
        let host = fs::read_link("/proc/self/ns/net").unwrap();
        eventually("it has its own namespace", || fs::read_link(&theirs).is_ok_and(|link| link != host));
        stage.done(&["endpoint", "add", "--pid", &pid, "--name", "bar"]);
        holder.kill().unwrap();
        holder.wait().unwrap();
        eventually("the process takes its endpoint along", || names(stage).is_empty());
        assert_eq!(held(stage), before);
        // The name is free again.
        stage.done(&["run", "--name", "bar", "--", "true"]);
        stage.done(&["down"]);
    });
}

#[test]
fn a_name_is_given_once() {
    inside("a_name_is_given_once", |stage| {
        stage.done(&["up"]);
        for name in ["a", "b"] {
            let netns = stage.file(name, "");
            shell(&format!("unshare --net={netns} true"));
        }
        let netns = |name: &str| stage.folder.join(name).display().to_string();
        stage.done(&["endpoint", "add", "--netns", &netns("a"), "--name", "ship"]);
        let before = held(stage);
        let (code, error) = stage.fails(&["endpoint", "add", "--netns", &netns("b"), "--name", "ship"]);
        assert_eq!(code, 1, "{error}");
        assert!(error.contains("name default/ship belongs to endpoint 1 already: choose another"), "{error}");
        assert_eq!(held(stage), before, "nothing half done");
        stage.done(&["endpoint", "add", "--netns", &netns("b"), "--name", "ship", "--namespace", "other"]);
        stage.done(&["down"]);
    });
}

#[test]
fn addresses_that_run_out_are_named() {
    inside("addresses_that_run_out_are_named", |stage| {
        stage.done(&["up", "--ipv4-pool=10.77.0.0/29"]);
        let add = |number: usize| {
            let netns = stage.file(&format!("n{number}"), "");
            shell(&format!("unshare --net={netns} true"));
            stage.output(&["endpoint", "add", "--netns", &netns, "--name", &format!("e{number}")])
        };
        // A network of eight addresses has its own, that of all, and the router's.
        for number in 0..5 {
            let output = add(number);
            assert!(output.status.success(), "{}", said(&output));
        }
        let before = held(stage);
        let output = add(5);
        let error = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{error}");
        assert!(error.contains("10.77.0.0/29") && error.contains("ipv4-pool"), "{error}");
        assert_eq!(held(stage), before, "nothing half done, of IPv6 neither");
        assert_eq!(names(stage).len(), 5);
        stage.done(&["down"]);
    });
}

fn policy_of(rules: usize, last: &str) -> String {
    let mut text = String::from(
        "apiVersion: cilium.io/v2\nkind: CiliumNetworkPolicy\nmetadata: {name: many}\nspec:\n  \
         endpointSelector: {matchLabels: {app: server}}\n  ingress:\n",
    );
    for number in 0..rules {
        let (net, port) = (format!("10.{}.{}.0/24", number / 250, number % 250), number + 1);
        writeln!(text, "  - fromCIDR: [{net}]\n    toPorts: [{{ports: [{{port: '{port}'}}]}}]").unwrap();
    }
    text.push_str(last);
    text
}

/// What a slow machine may need more time for than a client waits: the agent goes on meanwhile.
fn in_the_end(stage: &Stage, arguments: &[&str]) {
    loop {
        let output = stage.output(arguments);
        match output.status.code() {
            Some(0) => return,
            Some(5) => stage.done(&["status", "--wait"]),
            _ => panic!("{}", said(&output)),
        };
    }
}

#[test]
fn ten_thousand_rules_are_enforced_or_refused_as_a_whole() {
    inside("ten_thousand_rules_are_enforced_or_refused_as_a_whole", |stage| {
        stage.done(&["up"]);
        stage.done(&["run", "--detach", "--name", "server", "-l", "app=server", "--", "sleep", "infinity"]);
        let wrong = stage.file("wrong.yaml", &policy_of(10_000, "  - fromCIDR: [10.0.0.0/33]\n"));
        let (code, error) = stage.fails(&["apply", "-f", &wrong]);
        assert_eq!(code, 1, "{error}");
        assert!(
            error.contains("wrong.yaml:20007") && error.contains("spec.ingress[10000].fromCIDR[0]"),
            "{error}"
        );
        assert!(error.len() < 1000, "short: {error}");
        assert_eq!(stage.done(&["get", "cnp", "--no-headers"]), "");
        let good = stage.file("good.yaml", &policy_of(10_000, ""));
        in_the_end(stage, &["apply", "-f", &good]);
        let decided = |source: &str, port: &str, verdict: &str| {
            let asked = ["policy", "trace", source, "server", "--dport", port, "--expect", verdict];
            assert!(stage.done(&asked).contains("cnp/default/many"));
        };
        decided("10.39.249.7", "10000/TCP", "allowed");
        decided("10.39.249.7", "9999/TCP", "denied");
        decided("10.0.0.7", "1/TCP", "allowed");
        let written = stage.done(&["bpf", "policy", "get", "server", "--no-headers"]);
        assert!(written.lines().count() >= 10_000, "{} entries", written.lines().count());
        // With room for fewer entries in the kernel, it is refused as a whole, and the setting to raise is named.
        stage.done(&["down", "--keep"]);
        let (_, error) = stage.fails(&["up", "--wait=600s", "--map-size-policy=5000"]);
        assert!(error.contains("holds 30001 entries but map-size-policy allows 5000: raise it"), "{error}");
        stage.done(&["up", "--wait=600s"]);
        decided("10.39.249.7", "10000/TCP", "allowed");
        in_the_end(stage, &["delete", "--ignore-not-found", "-f", &good]);
        let entries = || {
            let maps = stage.json(&["map", "list"]);
            let policy = maps.as_array().unwrap().iter().find(|map| map["name"] == "POLICY");
            policy.unwrap()["entries"].as_u64().unwrap()
        };
        eventually("what nobody names is freed", || entries() < 100);
        stage.done(&["down", "--keep"]);
        stage.done(&["up", "--wait=600s", "--map-size-policy=5000"]);
        let (code, error) = stage.fails(&["apply", "-f", &good]);
        assert_eq!(code, 1, "{error}");
        assert!(error.contains("map-size-policy") && error.contains("5000"), "{error}");
        assert_eq!(stage.done(&["get", "cnp", "--no-headers"]), "");
        assert!(stage.done(&["endpoint", "list"]).contains("Disabled"), "it isolates nothing");
        stage.done(&["down"]);
    });
}

/// Addresses in several groups stay open until the last of those groups goes.
#[test]
fn address_groups_overlap_and_go() {
    inside("address_groups_overlap_and_go", |stage| {
        let group = |name: &str, nets: &str| {
            let text = format!(
                "apiVersion: cilium.io/v2\nkind: CiliumCIDRGroup\nmetadata: {{name: {name}}}\nspec: {{externalCIDRs: [{nets}]}}\n"
            );
            stage.file(&format!("{name}.yaml"), &text)
        };
        stage.done(&["up"]);
        stage.done(&["run", "--detach", "--name", "server", "-l", "app=server", "--", "sleep", "infinity"]);
        let wide = group("wide", "192.0.2.0/24, 198.51.100.0/24");
        let narrow = group("narrow", "192.0.2.128/25, 198.51.100.0/24");
        let policy = stage.file(
            "policy.yaml",
            "apiVersion: cilium.io/v2\nkind: CiliumNetworkPolicy\nmetadata: {name: groups}\nspec:\n  \
             endpointSelector: {matchLabels: {app: server}}\n  ingress:\n  - fromCIDRSet: [{cidrGroupRef: wide}]\n    \
             toPorts: [{ports: [{port: '80'}]}]\n  - fromCIDRSet: [{cidrGroupRef: narrow}]\n    \
             toPorts: [{ports: [{port: '81'}]}]\n",
        );
        stage.done(&["apply", "-f", &policy]);
        // Policy and packets must agree: the kernel's own entries are looked at, not only what is computed.
        let open = || {
            let questions = [
                "192.0.2.1 80",
                "192.0.2.1 81",
                "192.0.2.200 80",
                "192.0.2.200 81",
                "198.51.100.1 80",
                "198.51.100.1 81",
            ];
            let open = questions.iter().filter(|question| {
                let (source, port) = question.split_once(' ').unwrap();
                let port = format!("{port}/TCP");
                let answer = stage
                    .output(&["policy", "trace", source, "server", "--dport", &port, "--expect", "allowed"]);
                answer.status.success()
            });
            open.copied().collect::<Vec<_>>()
        };
        let prefixes = || {
            let list = stage.json(&["bpf", "ipcache", "list"]);
            let all = list.as_array().unwrap().iter().map(|row| row["cidr"].as_str().unwrap().to_owned());
            let mut all: Vec<_> = all.filter(|p| p.starts_with("192.") || p.starts_with("198.")).collect();
            all.sort();
            all
        };
        assert_eq!((open(), prefixes()), (vec![], vec![]), "groups that are not there hold nobody");
        stage.done(&["apply", "-f", &wide, "-f", &narrow]);
        assert_eq!(
            open(),
            ["192.0.2.1 80", "192.0.2.200 80", "192.0.2.200 81", "198.51.100.1 80", "198.51.100.1 81"]
        );
        assert_eq!(prefixes(), ["192.0.2.0/24", "192.0.2.128/25", "198.51.100.0/24"]);
        stage.done(&["delete", "-f", &wide]);
        assert_eq!(open(), ["192.0.2.200 81", "198.51.100.1 81"]);
        eventually("nobody names the wide prefix", || prefixes() == ["192.0.2.128/25", "198.51.100.0/24"]);
        stage.done(&["delete", "-f", &narrow]);
        assert_eq!(open(), Vec::<&str>::new(), "deny, never all");
        eventually("nobody names any prefix", || prefixes().is_empty());
        assert!(stage.done(&["endpoint", "list"]).contains("Enabled"), "the policy isolates all the same");
        stage.done(&["down"]);
    });
}
