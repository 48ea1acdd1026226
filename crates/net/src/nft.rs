//! Masquerading and published ports, in a table of our own that changes as a whole.

use crate::Error;
use ciliate_abi::mark;
use ciliate_types::Protocol;
use ipnet::IpNet;
use std::{
    fmt::Write as _,
    io::{self, Write as _},
    net::IpAddr,
    process::{Command, Stdio},
};

const TABLE: &str = "inet ciliate";

/// Whether packets that leave the pools get the host's address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Egress {
    Masquerade,
    /// Something else routes the pools back to this host.
    Keep,
}

/// A port of the host that stands for a port of an endpoint.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Publish {
    /// Only on this address of the host; on all of the endpoint's family if absent.
    pub host_ip: Option<IpAddr>,
    pub host_port: u16,
    pub protocol: Protocol,
    pub address: IpAddr,
    pub port: u16,
}

/// All address translation of a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Masquerade {
    pub pools: Vec<IpNet>,
    pub egress: Egress,
    pub publishes: Vec<Publish>,
}

fn family(address: IpAddr) -> &'static str {
    match address {
        IpAddr::V4(_) => "ip",
        IpAddr::V6(_) => "ip6",
    }
}

/// The protocols that have ports, as nft writes them; others cannot be published.
fn transport(protocol: Protocol) -> Option<&'static str> {
    [(Protocol::TCP, "tcp"), (Protocol::UDP, "udp"), (Protocol::SCTP, "sctp")]
        .into_iter()
        .find_map(|(p, name)| (p == protocol).then_some(name))
}

impl Publish {
    /// One line of a chain.
    fn rule(&self) -> Option<String> {
        let (family, transport) = (family(self.address), transport(self.protocol)?);
        let to = match self.address {
            IpAddr::V4(address) => format!("{address}:{}", self.port),
            IpAddr::V6(address) => format!("[{address}]:{}", self.port),
        };
        let at = match self.host_ip {
            Some(ip) if ip.is_ipv4() != self.address.is_ipv4() => return None,
            Some(ip) if !ip.is_unspecified() => format!("{family} daddr {ip}"),
            Some(_) | None => {
                match self.address {
                    IpAddr::V4(_) => "meta nfproto ipv4 fib daddr type local".to_owned(),
                    // A packet from ::1 cannot leave the loopback device: a client of `localhost` that is refused
                    // there goes on to 127.0.0.1, one that waits does not.
                    IpAddr::V6(_) => "ip6 daddr != ::1 fib daddr type local".to_owned(),
                }
            }
        };
        Some(format!("{at} {transport} dport {} dnat {family} to {to}", self.host_port))
    }
}

impl Masquerade {
    /// The rules as nft reads them: the old table goes and the new one comes in one transaction.
    ///
    /// Endpoints themselves do not reach others by published ports: the packet would have to come from the host's
    /// address for the answer to find its way, and would so be judged as the host's.
    #[must_use]
    pub fn script(&self) -> String {
        let mut out = format!("table {TABLE}\ndelete table {TABLE}\ntable {TABLE} {{\n");
        let mut chain = |name: &str, hook: &str, rules: &[String]| {
            let _ = write!(out, "  chain {name} {{\n    type {hook}; policy accept;\n");
            for rule in rules {
                let _ = writeln!(out, "    {rule}");
            }
            let _ = writeln!(out, "  }}");
        };
        let from_pools = |rest: &dyn Fn(&IpNet, &str) -> String| -> Vec<String> {
            let rule = |pool: &IpNet| {
                let family = family(pool.addr());
                format!("{family} saddr {pool} {}", rest(pool, family))
            };
            self.pools.iter().map(rule).collect()
        };
        let published: Vec<String> = self.publishes.iter().filter_map(Publish::rule).collect();

        // See `route_loopback`: before connection tracking turns answers back, none of them is for 127.0.0.0/8.
        let v4 = self.pools.iter().filter(|p| p.addr().is_ipv4());
        let guard: Vec<_> = v4.map(|p| format!("ip saddr {p} ip daddr 127.0.0.0/8 drop")).collect();
        chain("guard", "filter hook prerouting priority raw", &guard);

        // Both halves of a proxied connection have the same addresses: tracked, they would be taken for one.
        let mut untracked = vec![format!("meta mark and {:#x} == {:#x} notrack", mark::MASK, mark::TO_PROXY)];
        chain("to_proxy", "filter hook prerouting priority raw", &untracked);
        untracked.clear();
        for pool in &self.pools {
            let family = family(pool.addr());
            for sent in [mark::FORWARD, mark::BACK] {
                untracked.push(format!(
                    "meta mark and {:#x} == {sent:#x} {family} daddr {pool} notrack",
                    mark::MASK
                ));
            }
        }
        chain("from_proxy", "filter hook output priority raw", &untracked);

        let mut incoming = from_pools(&|_, _| "accept".into());
        incoming.extend(published.iter().cloned());
        chain("prerouting", "nat hook prerouting priority dstnat", &incoming);
        chain("output", "nat hook output priority -100", &published);

        let mut leaving: Vec<_> = self
            .pools
            .iter()
            .filter(|p| p.addr().is_ipv4())
            .map(|p| format!("ip saddr 127.0.0.0/8 ip daddr {p} masquerade"))
            .collect();
        match self.egress {
            Egress::Masquerade => {
                leaving.extend(from_pools(&|pool, family| format!("{family} daddr != {pool} masquerade")));
            }
            Egress::Keep => {}
        }
        chain("postrouting", "nat hook postrouting priority srcnat", &leaving);
        out.push_str("}\n");
        out
    }

    /// Puts the rules in force in the namespace of the calling thread, all or none.
    pub fn apply(&self) -> Result<(), Error> {
        nft(&self.script())
    }

    /// Takes them away; none is well too.
    pub fn remove() -> Result<(), Error> {
        nft(&format!("table {TABLE}\ndelete table {TABLE}\n"))
    }
}

fn nft(script: &str) -> Result<(), Error> {
    let run = || {
        let mut child = Command::new("nft")
            .args(["-f", "-"])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()?;
        if let Some(mut stdin) = child.stdin.take() {
            match stdin.write_all(script.as_bytes()) {
                // It ended early and says why.
                Err(e) if e.kind() != io::ErrorKind::BrokenPipe => return Err(e),
                Ok(()) | Err(_) => {}
            }
        }
        child.wait_with_output()
    };
    let output = run().map_err(Error::NftMissing)?;
    match output.status.success() {
        true => Ok(()),
        false => Err(Error::Nft(String::from_utf8_lossy(&output.stderr).trim().to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_names_family_protocol_and_both_ports() {
        let publish = |host_ip: Option<&str>, protocol, address: &str| Publish {
            host_ip: host_ip.map(|ip| ip.parse().unwrap()),
            host_port: 8080,
            protocol,
            address: address.parse().unwrap(),
            port: 80,
        };
        for (publish, rule) in [
            (
                publish(None, Protocol::TCP, "10.201.0.5"),
                Some("meta nfproto ipv4 fib daddr type local tcp dport 8080 dnat ip to 10.201.0.5:80"),
            ),
            (
                publish(Some("0.0.0.0"), Protocol::UDP, "10.201.0.5"),
                Some("meta nfproto ipv4 fib daddr type local udp dport 8080 dnat ip to 10.201.0.5:80"),
            ),
            (
                publish(Some("192.0.2.1"), Protocol::TCP, "10.201.0.5"),
                Some("ip daddr 192.0.2.1 tcp dport 8080 dnat ip to 10.201.0.5:80"),
            ),
            (
                publish(Some("2001:db8::1"), Protocol::SCTP, "fd10:201::5"),
                Some("ip6 daddr 2001:db8::1 sctp dport 8080 dnat ip6 to [fd10:201::5]:80"),
            ),
            (
                publish(None, Protocol::TCP, "fd10:201::5"),
                Some("ip6 daddr != ::1 fib daddr type local tcp dport 8080 dnat ip6 to [fd10:201::5]:80"),
            ),
            // An address of the other family has nothing to give to this one.
            (publish(Some("192.0.2.1"), Protocol::TCP, "fd10:201::5"), None),
            (publish(None, Protocol::ICMP, "10.201.0.5"), None),
        ] {
            assert_eq!(publish.rule().as_deref(), rule, "{publish:?}");
        }
    }
}
