//! Three agents in namespaces of their own behind one relay, over mutual TLS. Needs root.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests state plainly what they expect")]

#[path = "relay/certificates.rs"]
mod certificates;
#[path = "end_to_end/stage.rs"]
#[expect(dead_code, reason = "shared with tests that use all of it")]
mod stage;

use certificates::Certificates;
use ciliate_net::Netns;
use serde_json::Value;
use stage::{Stage, eventually, inside, said, shell, text};
use std::{
    fs,
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    sync::mpsc::{Receiver, channel},
    thread,
    time::{Duration, Instant},
};

/// Nobody listens there.
const PORT: &str = "9";
const RELAY: &str = "127.0.0.1:4245";
const SOON: Duration = Duration::from_secs(20);

/// An agent with a network, folders and one endpoint of its own.
struct Node {
    name: String,
    netns: PathBuf,
    folder: PathBuf,
    bpf: PathBuf,
    address: String,
}

impl Node {
    fn new(stage: &Stage, number: u8) -> Self {
        let name = format!("node-{number}");
        let folder = stage.folder.join(&name);
        fs::create_dir(&folder).unwrap();
        let netns = folder.join("netns");
        Netns::create(&netns).unwrap();
        let address = format!("192.0.2.{number}");
        shell(&format!(
            "ip link add port{number} type veth peer name eth0 netns {0}
             ip link set port{number} master br0 up
             nsenter --net={0} sh -c 'ip link set lo up; ip addr add {address}/24 dev eth0; ip link set eth0 up
               ip route add default via 192.0.2.254'",
            netns.display()
        ));
        let bpf = stage.folder.join("bpf").join(&name);
        Self { name, netns, folder, bpf, address }
    }

    fn ciliate(&self, arguments: &[&str]) -> Output {
        Command::new("nsenter")
            .arg(format!("--net={}", self.netns.display()))
            .arg(env!("CARGO_BIN_EXE_ciliate"))
            .args(arguments)
            .env("CILIATE_STATE_DIR", self.folder.join("state"))
            .env("CILIATE_RUN_DIR", self.folder.join("run"))
            .env("CILIATE_BPF_ROOT", &self.bpf)
            .stdin(Stdio::null())
            .output()
            .unwrap()
    }

    fn done(&self, arguments: &[&str]) -> String {
        let output = self.ciliate(arguments);
        assert!(output.status.success(), "{}: {arguments:?}: {}", self.name, said(&output));
        text(&output.stdout)
    }

    fn up(&self, certificates: &Certificates) {
        let file = |setting: &str, name: &str| format!("--hubble-tls-{setting}={}", certificates.path(name));
        self.done(&[
            "up",
            &format!("--node-name={}", self.name),
            "--hubble-listen-address=:4244",
            &file("cert-file", "node.pem"),
            &file("key-file", "node.key"),
            &file("client-ca-files", "ca.pem"),
        ]);
    }

    /// One datagram from a port that was not used before.
    fn talk(&self) {
        self.done(&["exec", "pod", "--", "bash", "-c", &format!("echo x > /dev/udp/192.0.2.254/{PORT}")]);
    }

    fn kill(&self) {
        let status: Value = serde_json::from_str(&self.done(&["status", "-o", "json"])).unwrap();
        shell(&format!("kill -9 {}", status["pid"]));
    }

    fn server_name(&self) -> String {
        format!("{}.default.hubble-grpc.cilium.io", self.name)
    }
}

/// What a client shows and believes.
fn client(certificates: &Certificates, pair: &str, authority: &str, name: &str) -> Vec<String> {
    vec![
        format!("--tls-ca-cert-files={}", certificates.path(authority)),
        format!("--tls-client-cert-file={}", certificates.path(&format!("{pair}.pem"))),
        format!("--tls-client-key-file={}", certificates.path(&format!("{pair}.key"))),
        format!("--tls-server-name={name}"),
    ]
}

fn ask(server: &str, verb: &[&str], flags: &[String]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_ciliate"))
        .args(verb)
        .arg(format!("--server=tls://{server}"))
        .args(flags)
        .env("CILIATE_RUN_DIR", "/nonexistent")
        .output()
        .unwrap()
}

fn connected(flags: &[String], what: &str) {
    eventually(what, || text(&ask(RELAY, &["hubble", "status"], flags).stdout).contains(what));
}

/// Node and time of each flow of our datagrams, as a follower is told.
fn follow(flags: &[String]) -> (Child, Receiver<(String, String)>) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_ciliate"))
        .args(["observe", "--follow", "-o", "json", "--to-port", PORT, "--from-pod", "default/pod"])
        .arg(format!("--server=tls://{RELAY}"))
        .args(flags)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let (sender, flows) = channel();
    thread::spawn(move || {
        for line in lines.map_while(Result::ok) {
            let answer: Value = serde_json::from_str(&line).unwrap();
            if answer["flow"]["is_reply"] == Value::Bool(true) {
                continue;
            }
            if let (Some(node), Some(time)) = (answer["node_name"].as_str(), answer["flow"]["time"].as_str())
                && sender.send((node.to_owned(), time.to_owned())).is_err()
            {
                return;
            }
        }
    });
    (child, flows)
}

/// Has these nodes talk in turn until the follower has heard of each.
fn heard(flows: &Receiver<(String, String)>, nodes: &[&Node]) -> Vec<(String, String)> {
    let begun = Instant::now();
    let mut all: Vec<(String, String)> = Vec::new();
    while !nodes.iter().all(|node| all.iter().filter(|(name, _)| *name == node.name).count() >= 2) {
        assert!(begun.elapsed() < SOON, "heard only {all:?}");
        nodes.iter().for_each(|node| node.talk());
        while let Ok(flow) = flows.recv_timeout(Duration::from_millis(100)) {
            all.push(flow);
        }
    }
    all
}

fn relay(stage: &Stage, certificates: &Certificates, nodes: &[Node]) -> Child {
    let list = nodes.iter().map(|node| {
        format!(
            "- {{name: {}, address: '{}', server-name: {}}}\n",
            node.name,
            node.address,
            node.server_name()
        )
    });
    let peers = stage.file("peers.yaml", &list.collect::<String>());
    let file = |flag: &str, name: &str| format!("--tls-{flag}={}", certificates.path(name));
    let log = fs::File::create(stage.folder.join("relay.log")).unwrap();
    Command::new(env!("CARGO_BIN_EXE_ciliate"))
        .args(["relay", "serve", "--listen-address", RELAY, "--peers-file", &peers])
        .args(["--retry-timeout=1s", "--sort-buffer-drain-timeout=2s", "--error-aggregation-window=1s"])
        .args([file("hubble-server-ca-files", "ca.pem"), file("hubble-client-cert-file", "relay.pem")])
        .args([file("hubble-client-key-file", "relay.key"), file("relay-server-cert-file", "relay.pem")])
        .args([file("relay-server-key-file", "relay.key"), file("relay-client-ca-files", "ca.pem")])
        .env("CILIATE_RUN_DIR", stage.folder.join("run"))
        .stdin(Stdio::null())
        .stdout(log.try_clone().unwrap())
        .stderr(log)
        .spawn()
        .unwrap()
}

#[test]
fn three_nodes_behind_a_relay() {
    inside("three_nodes_behind_a_relay", |stage| {
        shell("ip link add br0 type bridge; ip addr add 192.0.2.254/24 dev br0; ip link set br0 up");
        let certificates = Certificates::new(&stage.folder.join("tls"));
        let nodes: Vec<Node> = (1..=3).map(|number| Node::new(stage, number)).collect();
        for node in &nodes {
            node.up(&certificates);
            node.done(&["run", "--detach", "--name", "pod", "--", "sleep", "infinity"]);
        }
        let mut relay = relay(stage, &certificates, &nodes);
        let me = client(&certificates, "me", "ca.pem", "relay.test");
        connected(&me, "Connected Nodes: 3/3");

        let list = text(&ask(RELAY, &["hubble", "list", "nodes", "-o", "wide"], &me).stdout);
        for node in &nodes {
            let line = list.lines().find(|line| line.starts_with(&node.name)).unwrap();
            let parts = ["Connected", &node.address, "Enabled", "ciliate"];
            assert!(parts.iter().all(|part| line.contains(part)), "{list}");
        }
        let stranger = client(&certificates, "stranger", "ca.pem", "relay.test");
        let refused = ask(RELAY, &["hubble", "status"], &stranger);
        assert!(!refused.status.success(), "{}", said(&refused));

        // In order of time, whichever node they are from.
        let (mut follower, flows) = follow(&me);
        let all = heard(&flows, &nodes.iter().collect::<Vec<_>>());
        assert!(all.is_sorted_by_key(|(_, time)| time.clone()), "{all:?}");

        // One is killed: the others go on, and it is missed; then it comes back.
        nodes[1].kill();
        connected(&me, "Connected Nodes: 2/3\nUnavailable Nodes: 1\n  - node-2\n");
        heard(&flows, &[&nodes[0], &nodes[2]]);
        nodes[1].up(&certificates);
        connected(&me, "Connected Nodes: 3/3");
        heard(&flows, &[&nodes[1]]);

        // Everything is signed by another authority: what begins from now on goes by it, nothing was restarted for that.
        certificates.renew();
        nodes[2].kill();
        connected(&me, "Connected Nodes: 2/3");
        nodes[2].up(&certificates);
        connected(&me, "Connected Nodes: 3/3");
        heard(&flows, &[&nodes[0], &nodes[2]]);
        let direct = |pair: &str, authority: &str| {
            let flags = client(&certificates, pair, authority, &nodes[0].server_name());
            ask("192.0.2.1:4244", &["hubble", "status"], &flags)
        };
        let renewed = direct("me", "ca.pem");
        assert!(renewed.status.success(), "{}", said(&renewed));
        assert!(!direct("old-me", "ca.pem").status.success());
        assert!(!direct("me", "old-ca.pem").status.success());
        follower.kill().unwrap();
        follower.wait().unwrap();
        shell(&format!("kill {}", relay.id()));
        assert!(relay.wait().unwrap().success());
        for node in &nodes {
            node.done(&["down"]);
        }
    });
}

#[test]
fn plain_text_leaves_the_machine_only_if_that_is_wanted() {
    let ciliate = |arguments: &[&str]| {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("relay");
        Command::new(env!("CARGO_BIN_EXE_ciliate"))
            .args(arguments)
            .env("CILIATE_RUN_DIR", folder)
            .stdin(Stdio::null())
            .output()
            .unwrap()
    };
    for (arguments, message) in [
        (
            &["relay", "serve", "--listen-address", ":0"][..],
            "other hosts reach [::]:0, and it has no encryption",
        ),
        (&["relay", "serve", "--listen-address", "x:y"], "\"x:y\" is no address"),
        (&["relay", "serve", "--peer", "a"], "\"a\" is no node"),
        (&["relay", "serve", "--peers-file", "/nonexistent"], "--peers-file: cannot read /nonexistent"),
        (&["relay", "serve", "--tls-relay-client-ca-files", "/x"], "TLS needs a certificate and its key"),
        (&["relay", "serve", "--tls-hubble-server-ca-files", "/nonexistent"], "cannot read /nonexistent"),
        (
            &["up", "--hubble-listen-address", ":4244"],
            "hubble-listen-address is [::]:4244, which other hosts reach",
        ),
    ] {
        let output = ciliate(arguments);
        assert!(!output.status.success() && text(&output.stderr).contains(message), "{}", said(&output));
    }
}
