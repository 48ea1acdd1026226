//! One node with a client, servers, Ciliate's proxy between some of them, and other proxies in the same place.

use super::references::{REVERSE, haproxy_config, nginx, nginx_config, origin};
use crate::{
    lab::{self, Netns, Service, ciliate::Node, run},
    load::grpc,
};
use anyhow::{Context, Result, ensure};
use serde::Serialize;
use serde_json::{Value, json};
use std::{
    fs,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::Path,
    process::Command,
};

/// What is measured works here.
const PROXY_CORE: usize = 0;
/// Both ends.
pub const END_CORE: usize = 1;
pub const REQUESTED: &str = "/v1/request-landing";
pub const BULK: &str = "/bulk";
const BULK_BYTES: u64 = 1 << 30;
const RULES: usize = 500;
/// For the other proxies: of the node, as its endpoints see it.
const GATEWAY: Ipv4Addr = Ipv4Addr::new(10, 201, 0, 1);

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Way {
    /// No proxy at all.
    Direct,
    Nginx,
    Haproxy,
    /// Ciliate's, one rule.
    Ciliate,
    /// The same process, 500 rules; the last one allows.
    CiliateMany,
}

impl Way {
    pub const ALL: [Self; 5] = [Self::Direct, Self::Nginx, Self::Haproxy, Self::Ciliate, Self::CiliateMany];
    /// haproxy serves HTTP/2 too, but nginx is the reference there.
    pub const HTTP2: [Self; 3] = [Self::Direct, Self::Nginx, Self::Ciliate];
    pub const REFERENCES: [Self; 2] = [Self::Nginx, Self::Haproxy];
}

/// What is spoken there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Port {
    Http1,
    Http2,
    Grpc,
}

pub struct Place {
    pub client: Netns,
    proxy: u32,
    nginx: u32,
    haproxy: u32,
    _services: Vec<Service>,
    // Last: what serves on it ends before.
    _servers: Vec<Netns>,
    _node: Node,
}

/// Who the endpoints are; their number is the last of their address.
const CLIENT: (&str, u8) = ("client", 1);
const PLAIN: (&str, u8) = ("plain", 2);
const ONE_RULE: (&str, u8) = ("one", 3);
const MANY_RULES: (&str, u8) = ("many", 4);

impl Place {
    pub fn new(work: &Path) -> Result<Self> {
        let node = Node::start_with("http", work, &["--proxy-workers=1"])?;
        let folder = work.join("http-servers");
        fs::create_dir_all(&folder)?;
        fs::File::create(folder.join("bulk"))?.set_len(BULK_BYTES)?;
        let client = Netns::new("http-client")?;
        client.sysctl("net.ipv4.ip_local_port_range", "10000 65000")?;
        node.endpoint(&client, CLIENT.0, CLIENT.1)?;
        let (mut servers, mut services) = (Vec::new(), Vec::new());
        for (name, number) in [PLAIN, ONE_RULE, MANY_RULES] {
            let netns = Netns::new(&format!("http-{name}"))?;
            node.endpoint(&netns, name, number)?;
            let config = nginx_config(&folder, name, &origin(&folder))?;
            services.push(Service::spawn(nginx(netns.tool(Some(END_CORE))?, &config))?);
            let mut calls = netns.tool(Some(END_CORE))?;
            calls.args(["serve-grpc", "0.0.0.0:82"]);
            services.push(Service::spawn(calls)?);
            servers.push(netns);
        }
        let config = nginx_config(&folder, "reference", REVERSE)?;
        let nginx = Service::spawn(nginx(node.tool(Some(PROXY_CORE))?, &config))?;
        let config = folder.join("haproxy.cfg");
        fs::write(&config, haproxy_config())?;
        let mut command = node.tool(Some(PROXY_CORE))?;
        command.args(["exec", "--", "haproxy", "-db", "-f"]).arg(&config);
        let haproxy = Service::spawn(command)?;
        node.apply(&[policy(ONE_RULE.0, 1), policy(MANY_RULES.0, RULES)])?;
        let status: Value =
            serde_json::from_str(&lab::output(node.ciliate()?.args(["proxy", "status", "-o", "json"]))?)?;
        let proxy = status.get("pid").and_then(Value::as_u64).context("the proxy's status names no pid")?;
        let core = PROXY_CORE.to_string();
        run(Command::new("taskset").args(["-a", "-p", "-c", &core, &proxy.to_string()]))?;
        let place = Self {
            client,
            proxy: u32::try_from(proxy)?,
            nginx: nginx.id(),
            haproxy: haproxy.id(),
            _services: services.into_iter().chain([nginx, haproxy]).collect(),
            _servers: servers,
            _node: node,
        };
        for way in Way::ALL {
            place.check(way)?;
        }
        Ok(place)
    }

    pub fn address(&self, way: Way, port: Port) -> SocketAddr {
        let at = match port {
            Port::Http1 => 80,
            Port::Http2 => 81,
            Port::Grpc => 82,
        };
        let of =
            |(_, number): (&str, u8)| SocketAddr::new(IpAddr::V4(Ipv4Addr::new(10, 201, 77, number)), at);
        match way {
            Way::Direct => of(PLAIN),
            Way::Ciliate => of(ONE_RULE),
            Way::CiliateMany => of(MANY_RULES),
            Way::Nginx => match port {
                Port::Http1 => (GATEWAY, 8081).into(),
                Port::Http2 => (GATEWAY, 8083).into(),
                Port::Grpc => (GATEWAY, 8084).into(),
            },
            Way::Haproxy => (GATEWAY, 8082).into(),
        }
    }

    /// The process that is between the ends, if there is one.
    pub fn process(&self, way: Way) -> Option<u32> {
        match way {
            Way::Direct => None,
            Way::Nginx => Some(self.nginx),
            Way::Haproxy => Some(self.haproxy),
            Way::Ciliate | Way::CiliateMany => Some(self.proxy),
        }
    }

    /// That the way lets the request through, and Ciliate's no other.
    fn check(&self, way: Way) -> Result<()> {
        let status = |port: Port, path: &str| -> Result<String> {
            let mut curl = self.client.command("curl")?;
            curl.args(["-s", "-o", "/dev/null", "-w", "%{http_code}", "--retry", "20", "--retry-delay", "1"]);
            curl.args(["--retry-connrefused", "-m", "30"]);
            if port == Port::Http2 {
                curl.arg("--http2-prior-knowledge");
            }
            lab::output(curl.arg(format!("http://{}{path}", self.address(way, port))))
        };
        let ports =
            if Way::HTTP2.contains(&way) { [Port::Http1, Port::Http2].as_slice() } else { &[Port::Http1] };
        for port in ports {
            let allowed = status(*port, REQUESTED)?;
            ensure!(allowed == "200", "{way:?} answers {allowed} to {REQUESTED} at {port:?}");
            let other = status(*port, "/other")?;
            let expected = if matches!(way, Way::Ciliate | Way::CiliateMany) { "403" } else { "404" };
            ensure!(other == expected, "{way:?} answers {other} to another path at {port:?}, not {expected}");
        }
        Ok(())
    }
}

fn policy(server: &str, rules: usize) -> Value {
    let mut http: Vec<Value> =
        (1..rules).map(|number| json!({"method": "GET", "path": format!("/v1/other-{number}")})).collect();
    http.push(json!({"method": "GET", "path": format!("{REQUESTED}|{BULK}")}));
    let calls = [json!({"method": "POST", "path": grpc::METHOD})];
    json!({
        "apiVersion": "cilium.io/v2", "kind": "CiliumNetworkPolicy", "metadata": {"name": server},
        "spec": {
            "endpointSelector": {"matchLabels": {"app": server}},
            "ingress": [{
                "fromEndpoints": [{"matchLabels": {"app": CLIENT.0}}],
                "toPorts": [
                    {"ports": [{"port": "80", "protocol": "TCP"}], "rules": {"http": http}},
                    {"ports": [{"port": "81", "protocol": "TCP"}], "rules": {"http": http}},
                    {"ports": [{"port": "82", "protocol": "TCP"}], "rules": {"http": calls}},
                ],
            }],
        },
    })
}
