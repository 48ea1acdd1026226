//! The story of `mediabot`: rules about names, with a real resolver and real clients, through the end of the agent and of the
//! proxy. Needs root.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "tests state plainly what they expect"
)]

#[path = "end_to_end/stage.rs"]
#[expect(dead_code, reason = "shared with tests that use all of it")]
mod stage;

use ciliate_net::Netns;
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use stage::{Stage, eventually, inside, shell};
use std::{
    fs,
    net::{IpAddr, TcpListener, TcpStream, ToSocketAddrs},
    path::Path,
    thread,
    time::Duration,
};

/// For what nobody answers.
const NEVER: Duration = Duration::from_millis(700);

fn policy(name: &str, ports: &str) -> String {
    format!(
        r#"
apiVersion: "cilium.io/v2"
kind: CiliumNetworkPolicy
metadata: {{name: "fqdn"}}
spec:
  endpointSelector: {{matchLabels: {{org: empire, class: mediabot}}}}
  egress:
  - toFQDNs: [{{{name}}}]
{ports}
  - toEndpoints:
    - matchLabels: {{"k8s:io.kubernetes.pod.namespace": kube-system, "k8s:k8s-app": kube-dns}}
    toPorts:
    - ports: [{{port: "53", protocol: ANY}}]
      rules:
        dns: [{{matchPattern: "*"}}]
"#
    )
}

/// Sites outside of the cluster, in a namespace behind a router's port.
fn outside(stage: &Stage) {
    let path = stage.folder.join("outside");
    let netns = Netns::create(&path).unwrap();
    shell(&format!(
        "ip link add out0 type veth peer name out1
         ip link set out1 netns {0}
         ip addr add 198.51.100.1/24 dev out0; ip link set out0 up
         ip -6 addr add 2001:db8:5::1/64 dev out0 nodad
         nsenter --net={0} sh -c '
           for last in 10 11 12 13; do ip addr add 198.51.100.$last/24 dev out1; done
           ip -6 addr add 2001:db8:5::10/64 dev out1 nodad
           ip link set out1 up; ip link set lo up
           ip route add default via 198.51.100.1
           ip -6 route add default via 2001:db8:5::1'",
        path.display()
    ));
    for port in [80, 443] {
        let listener = netns.run(move || TcpListener::bind(("::", port)).unwrap()).unwrap();
        thread::spawn(move || listener.incoming().for_each(drop));
    }
}

struct Bot {
    netns: Netns,
}

impl Bot {
    fn new(stage: &Stage) -> Self {
        let labels = ["-l", "org=empire", "-l", "class=mediabot"];
        let run = ["run", "--detach", "--name", "mediabot"];
        stage.done(&[&run[..], &labels, &["--", "sleep", "infinity"]].concat());
        let endpoint = stage.json(&["endpoint", "get", "mediabot"]);
        let path = endpoint[0]["device"]["netns"].as_str().unwrap();
        Self { netns: Netns::open(Path::new(path)).unwrap() }
    }

    /// What the name resolves to, as any program asks.
    fn resolve(&self, name: &str) -> Vec<IpAddr> {
        let name = name.to_owned();
        let found = move || (name.as_str(), 0).to_socket_addrs().map(|all| all.map(|one| one.ip()).collect());
        self.netns.run(found).unwrap().unwrap_or_default()
    }

    /// Whether the first connection after resolving succeeds, to every address.
    fn reaches(&self, name: &str, port: u16) -> bool {
        let addresses = self.resolve(name);
        assert!(!addresses.is_empty(), "{name} does not resolve");
        addresses.into_iter().all(|address| {
            let connect = move || TcpStream::connect_timeout(&(address, port).into(), NEVER).is_ok();
            self.netns.run(connect).unwrap()
        })
    }
}

/// A resolver for everybody, from Debian, as an endpoint.
fn resolver(stage: &Stage) {
    let mut command: Vec<&str> = "run --detach --name kube-dns --namespace kube-system -l k8s-app=kube-dns -- \
        dnsmasq -k -p 53 --no-resolv --no-hosts --user=root --pid-file= --conf-file=/dev/null --local-ttl=300 \
        --address=/api.twitter.com/198.51.100.10 --address=/api.twitter.com/2001:db8:5::10 \
        --address=/www.twitter.com/198.51.100.11 --address=/new.twitter.com/198.51.100.13 \
        --address=/www.example.com/198.51.100.12"
        .split_whitespace()
        .collect();
    stage.done(&std::mem::take(&mut command));
    let endpoint = stage.json(&["endpoint", "get", "kube-system/kube-dns"]);
    let conf =
        format!("nameserver {}\noptions timeout:3 attempts:2\n", endpoint[0]["ipv4"].as_str().unwrap());
    let conf = stage.file("resolv.conf", &conf);
    shell(&format!("mount --bind {conf} /etc/resolv.conf"));
}

fn apply(stage: &Stage, name: &str, ports: &str) {
    let path = stage.file("fqdn.yaml", &policy(name, ports));
    stage.done(&["apply", "-f", &path]);
}

/// The process whose command line has all of these words.
fn process(words: &[&str]) -> Pid {
    let is_it = |pid: &i32| {
        let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let line: Vec<&[u8]> = line.split(|byte| *byte == 0).collect();
        words.iter().all(|word| line.contains(&word.as_bytes()))
    };
    let all = fs::read_dir("/proc").unwrap().flatten();
    let mut pids = all.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    Pid::from_raw(pids.find(is_it).expect("the process runs"))
}

fn kill_and_wait(pid: Pid) {
    kill(pid, Signal::SIGKILL).unwrap();
    let status = format!("/proc/{pid}/stat");
    // A zombie has ended, too.
    eventually("it ends", || fs::read_to_string(&status).map_or(true, |stat| stat.contains(") Z ")));
}

#[test]
fn mediabot_reaches_what_it_may_by_name_whoever_runs() {
    inside("mediabot_reaches_what_it_may_by_name_whoever_runs", |stage| {
        outside(stage);
        stage.done(&["up"]);
        resolver(stage);
        let bot = Bot::new(stage);
        eventually("the resolver answers", || !bot.resolve("api.twitter.com").is_empty());
        assert!(bot.reaches("www.example.com", 80), "without a policy everything is reachable");

        apply(stage, r#"matchName: "api.twitter.com""#, "");
        assert!(bot.reaches("api.twitter.com", 80));
        assert!(!bot.reaches("www.twitter.com", 80));
        assert!(!bot.reaches("www.example.com", 80));

        apply(stage, r#"matchPattern: "*.twitter.com""#, "");
        assert!(bot.reaches("api.twitter.com", 80), "known addresses follow the rules");
        assert!(bot.reaches("www.twitter.com", 80));
        assert!(!bot.reaches("www.example.com", 80));

        let https = r#"    toPorts: [{ports: [{port: "443", protocol: TCP}]}]"#;
        apply(stage, r#"matchPattern: "*.twitter.com""#, https);
        assert!(bot.reaches("www.twitter.com", 443));
        assert!(!bot.reaches("www.twitter.com", 80));
        assert!(!bot.reaches("www.example.com", 443));

        let list = stage.done(&["fqdn", "cache", "list", "--matchpattern", "*.twitter.com"]);
        assert!(list.contains("www.twitter.com") && list.contains("198.51.100.11"), "{list}");
        assert!(!list.contains("example"), "{list}");
        assert!(stage.done(&["fqdn", "names"]).contains("*.twitter.com"));

        // The agent is gone: names go on, also new ones, and so do denials.
        kill_and_wait(process(&["agent"]));
        assert!(bot.reaches("new.twitter.com", 443));
        assert!(bot.reaches("www.twitter.com", 443));
        assert!(!bot.reaches("www.example.com", 443));

        // A new one takes nothing away.
        stage.done(&["up"]);
        let addresses = bot.resolve("new.twitter.com");
        assert!(bot.reaches("new.twitter.com", 443), "{addresses:?}");

        // Nor does a new proxy, which knows the names from disk: nobody asks here.
        kill_and_wait(process(&["proxy", "serve"]));
        let known = |address: IpAddr| {
            let connect = move || TcpStream::connect_timeout(&(address, 443).into(), NEVER).is_ok();
            bot.netns.run(connect).unwrap()
        };
        assert!(addresses.iter().all(|address| known(*address)));
        eventually("the proxy is back", || !bot.resolve("api.twitter.com").is_empty());
        assert!(bot.reaches("api.twitter.com", 443));
        let names = stage.json(&["fqdn", "cache", "list"]);
        assert!(names.as_array().unwrap().iter().any(|row| row["name"] == "new.twitter.com"), "{names}");

        // What is forgotten is closed until it is asked for again.
        assert!(stage.done(&["fqdn", "cache", "clean"]).contains("forgotten"));
        assert!(!addresses.iter().any(|address| known(*address)));
        assert!(bot.reaches("new.twitter.com", 443));

        // A rule about addresses beside the one about names: both hold.
        let cidr = policy(r#"matchPattern: "*.twitter.com""#, https);
        let cidr = cidr.replacen("  egress:\n", "  egress:\n  - toCIDR: [198.51.100.8/29]\n", 1);
        let path = stage.file("cidr.yaml", &cidr);
        stage.done(&["apply", "-f", &path]);
        assert!(bot.reaches("new.twitter.com", 80), "by its prefix");
        assert!(bot.reaches("api.twitter.com", 443), "by its name");

        stage.done(&["delete", "-f", &path]);
        assert!(bot.reaches("www.example.com", 80));
        stage.done(&["down"]);
    });
}
