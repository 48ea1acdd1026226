//! One node with clients, a server of names, Ciliate's proxy between some of them, and other forwarders in the same place.

use super::measure::write_names;
use crate::lab::{self, Netns, Service, ciliate::Node, run};
use anyhow::{Context, Result, ensure};
use serde::Serialize;
use serde_json::{Value, json};
use std::{
    fs,
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::Duration,
};

/// What is measured works here.
const PROXY_CORE: usize = 0;
/// Both ends.
pub const END_CORE: usize = 1;
/// Of each file of names.
pub const NAMES: usize = 10_000;
/// What a busy node may come to know.
pub const MANY_NAMES: usize = 100_000;
pub const MANY_RULES: usize = 1_000;
/// For the other forwarders: of the node, as its endpoints see it.
const GATEWAY: Ipv4Addr = Ipv4Addr::new(10, 201, 0, 1);
const RESOLVER_ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 201, 77, 2);

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Way {
    /// No forwarder at all.
    Direct,
    Dnsmasq,
    Unbound,
    Ciliate,
}

impl Way {
    pub const ALL: [Self; 4] = [Self::Direct, Self::Dnsmasq, Self::Unbound, Self::Ciliate];
    pub const REFERENCES: [Self; 2] = [Self::Dnsmasq, Self::Unbound];
}

pub struct Place {
    /// Names that are asked for over and over.
    pub names: PathBuf,
    folder: PathBuf,
    plain: Netns,
    judged: Netns,
    proxy: u32,
    dnsmasq: u32,
    unbound: u32,
    _services: Vec<Service>,
    // Last: what serves on it ends before.
    _resolver: Netns,
    node: Node,
}

/// Who the endpoints are; their number is the last of their address.
const PLAIN: (&str, u8) = ("plain", 1);
const RESOLVER: (&str, u8) = ("resolver", 2);
const JUDGED: (&str, u8) = ("judged", 3);

impl Place {
    pub fn new(work: &Path) -> Result<Self> {
        let node = Node::start_with(
            "dns",
            work,
            &["--dns-cache-max-names=200000", "--dns-cache-max-names-per-endpoint=200000"],
        )?;
        let folder = work.join("dns-files");
        fs::create_dir_all(&folder)?;
        let [plain, resolver, judged] = [PLAIN, RESOLVER, JUDGED].map(|(name, number)| {
            let netns = Netns::new(&format!("dns-{name}"))?;
            node.endpoint(&netns, name, number)?;
            anyhow::Ok(netns)
        });
        let (plain, resolver, judged) = (plain?, resolver?, judged?);
        let mut answerer = resolver.tool(Some(END_CORE))?;
        answerer.arg("resolve");
        let answerer = Service::start(answerer, "ready")?;
        let mut command = node.tool(Some(PROXY_CORE))?;
        command.args([
            "exec",
            "--",
            "dnsmasq",
            "--keep-in-foreground",
            "--port=5301",
            "--no-resolv",
            "--no-hosts",
        ]);
        command.args(["--user=root", "--pid-file=", "--conf-file=/dev/null", "--cache-size=0"]);
        command.args(["--dns-forward-max=10000", &format!("--server={RESOLVER_ADDRESS}")]);
        let dnsmasq = Service::spawn(command)?;
        let config = folder.join("unbound.conf");
        fs::write(&config, unbound_config())?;
        let mut command = node.tool(Some(PROXY_CORE))?;
        command.args(["exec", "--", "unbound", "-d", "-p", "-c"]).arg(&config);
        let unbound = Service::spawn(command)?;
        node.apply(&[policy()])?;
        let status = proxy_status(&node)?;
        let proxy = status.get("pid").and_then(Value::as_u64).context("the proxy's status names no pid")?;
        let core = PROXY_CORE.to_string();
        run(Command::new("taskset").args(["-a", "-p", "-c", &core, &proxy.to_string()]))?;
        let names = folder.join("again");
        write_names(&names, "again", NAMES)?;
        let place = Self {
            names,
            folder,
            plain,
            judged,
            proxy: u32::try_from(proxy)?,
            dnsmasq: dnsmasq.id(),
            unbound: unbound.id(),
            _services: vec![answerer, dnsmasq, unbound],
            _resolver: resolver,
            node,
        };
        for way in Way::ALL {
            place.wait_for(way)?;
        }
        Ok(place)
    }

    pub fn client(&self, way: Way) -> &Netns {
        match way {
            Way::Direct | Way::Dnsmasq | Way::Unbound => &self.plain,
            Way::Ciliate => &self.judged,
        }
    }

    pub fn server(&self, way: Way) -> SocketAddr {
        match way {
            Way::Direct | Way::Ciliate => (RESOLVER_ADDRESS, 53).into(),
            Way::Dnsmasq => (GATEWAY, 5301).into(),
            Way::Unbound => (GATEWAY, 5302).into(),
        }
    }

    /// The process that is between the ends, if there is one.
    pub fn process(&self, way: Way) -> Option<u32> {
        match way {
            Way::Direct => None,
            Way::Dnsmasq => Some(self.dnsmasq),
            Way::Unbound => Some(self.unbound),
            Way::Ciliate => Some(self.proxy),
        }
    }

    /// A file of names that nobody has asked for.
    pub fn write_names(&self, word: &str, count: usize) -> Result<PathBuf> {
        let file = self.folder.join(word);
        write_names(&file, word, count)?;
        Ok(file)
    }

    /// Rules of which half look at requests and half at names; how many there are.
    pub fn apply_many_rules(&self) -> Result<usize> {
        let half = MANY_RULES / 2;
        let paths: Vec<Value> =
            (0..half).map(|n| json!({"method": "GET", "path": format!("/v1/path-{n}/[a-z]+")})).collect();
        let names: Vec<Value> =
            (0..half).map(|n| json!({"matchPattern": format!("host-{n}*.*.bench.example")})).collect();
        let meta = |name: &str| json!({"name": name});
        let selector = json!({"matchLabels": {"app": JUDGED.0}});
        let kind = |name: &str, spec: Value| {
            json!({
                "apiVersion": "cilium.io/v2", "kind": "CiliumNetworkPolicy", "metadata": meta(name), "spec": spec,
            })
        };
        self.node.apply(&[
            kind(
                "paths",
                json!({"endpointSelector": selector, "egress": [{
                    "toEndpoints": [{}],
                    "toPorts": [{"ports": [{"port": "80", "protocol": "TCP"}], "rules": {"http": paths}}],
                }]}),
            ),
            kind("names", json!({"endpointSelector": selector, "egress": [{"toFQDNs": names}]})),
        ])?;
        Ok(MANY_RULES)
    }

    pub fn known_names(&self) -> Result<usize> {
        let status = proxy_status(&self.node)?;
        let names = status.pointer("/names/names").and_then(Value::as_u64);
        Ok(usize::try_from(names.context("the proxy's status names no number of names")?)?)
    }

    /// Until the way answers.
    fn wait_for(&self, way: Way) -> Result<()> {
        let server = self.server(way);
        let ask = || -> Result<String> {
            let mut one = self.client(way).command("dnsperf")?;
            one.args([
                "-s",
                &server.ip().to_string(),
                "-p",
                &server.port().to_string(),
                "-n",
                "1",
                "-t",
                "1",
            ]);
            let one = one.arg("-d").arg(&self.one_name()?).output()?;
            Ok(String::from_utf8_lossy(&one.stdout).into_owned())
        };
        for _ in 0..50 {
            if ask()?.contains("NOERROR 1 ") {
                return Ok(());
            }
            thread::sleep(Duration::from_millis(100));
        }
        ensure!(false, "{way:?} does not answer: {}", ask()?);
        Ok(())
    }

    fn one_name(&self) -> Result<PathBuf> {
        let file = self.folder.join("one");
        write_names(&file, "one", 1)?;
        Ok(file)
    }
}

fn proxy_status(node: &Node) -> Result<Value> {
    Ok(serde_json::from_str(&lab::output(node.ciliate()?.args(["proxy", "status", "-o", "json"]))?)?)
}

fn policy() -> Value {
    json!({
        "apiVersion": "cilium.io/v2", "kind": "CiliumNetworkPolicy", "metadata": {"name": "dns"},
        "spec": {
            "endpointSelector": {"matchLabels": {"app": JUDGED.0}},
            "egress": [
                {"toFQDNs": [{"matchPattern": "**.bench.example"}]},
                {
                    "toEndpoints": [{"matchLabels": {"app": RESOLVER.0}}],
                    "toPorts": [{
                        "ports": [{"port": "53", "protocol": "ANY"}],
                        "rules": {"dns": [{"matchPattern": "*"}]},
                    }],
                },
            ],
        },
    })
}

/// One thread that asks the server for each query, and keeps nothing.
fn unbound_config() -> String {
    format!(
        "server:
  interface: 0.0.0.0@5302
  access-control: 0.0.0.0/0 allow
  num-threads: 1
  do-daemonize: no
  chroot: \"\"
  username: \"\"
  pidfile: \"\"
  use-syslog: no
  verbosity: 0
  module-config: \"iterator\"
  msg-cache-size: 0
  rrset-cache-size: 0
  cache-max-ttl: 0
  cache-max-negative-ttl: 0
  outgoing-range: 8192
  num-queries-per-thread: 4096
  so-rcvbuf: 4m
  so-sndbuf: 4m
remote-control:
  control-enable: no
forward-zone:
  name: \".\"
  forward-addr: {RESOLVER_ADDRESS}
"
    )
}
