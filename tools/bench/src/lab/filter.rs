//! I and N: a policy of 1,000 peers for one workload, as it is written with iptables and with nftables' sets.

use super::{Netns, run_with_input};
use anyhow::Result;
use std::{
    fmt::Write,
    net::{Ipv4Addr, Ipv6Addr},
};

/// Peers that the policy allows; the one that is used is the last of them.
const PEERS: u16 = 1_000;

pub struct Ends {
    pub client_ipv4: Ipv4Addr,
    pub server_ipv4: Ipv4Addr,
    pub client_ipv6: Ipv6Addr,
    pub server_ipv6: Ipv6Addr,
}

/// The other peers: addresses nobody has.
fn strangers() -> impl Iterator<Item = (Ipv4Addr, Ipv6Addr)> {
    (1..PEERS).map(|number| {
        let [high, low] = number.to_be_bytes();
        (Ipv4Addr::new(10, 250, high, low), Ipv6Addr::new(0xfd92, 0, 0, 0, 0, 0, 0, number))
    })
}

/// Established connections first, then a chain with a rule for each peer, then the end.
pub fn iptables(router: &Netns, ends: &Ends) -> Result<()> {
    let head = "*filter\n:INPUT ACCEPT\n:FORWARD DROP\n:OUTPUT ACCEPT\n:WORKLOAD -\n\
        -A FORWARD -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT\n";
    let (mut ipv4, mut ipv6) = (head.to_owned(), head.to_owned());
    writeln!(ipv4, "-A FORWARD -d {}/32 -j WORKLOAD", ends.server_ipv4)?;
    writeln!(ipv6, "-A FORWARD -d {}/128 -j WORKLOAD\n-A FORWARD -p ipv6-icmp -j ACCEPT", ends.server_ipv6)?;
    for (peer4, peer6) in strangers() {
        writeln!(ipv4, "-A WORKLOAD -s {peer4}/32 -p tcp -m tcp --dport 80 -j ACCEPT")?;
        writeln!(ipv6, "-A WORKLOAD -s {peer6}/128 -p tcp -m tcp --dport 80 -j ACCEPT")?;
    }
    writeln!(ipv4, "-A WORKLOAD -s {}/32 -j ACCEPT\nCOMMIT", ends.client_ipv4)?;
    writeln!(ipv6, "-A WORKLOAD -s {}/128 -j ACCEPT\nCOMMIT", ends.client_ipv6)?;
    run_with_input(&mut router.command("iptables-restore")?, &ipv4)?;
    run_with_input(&mut router.command("ip6tables-restore")?, &ipv6)
}

/// Established connections first, then one look-up in a set of all peers.
pub fn nftables(router: &Netns, ends: &Ends) -> Result<()> {
    let (mut peers4, mut peers6) = (ends.client_ipv4.to_string(), ends.client_ipv6.to_string());
    for (peer4, peer6) in strangers() {
        write!(peers4, ", {peer4}")?;
        write!(peers6, ", {peer6}")?;
    }
    let Ends { server_ipv4, server_ipv6, .. } = ends;
    let rules = format!(
        "table inet workloads {{
            set peers4 {{ type ipv4_addr; elements = {{ {peers4} }} }}
            set peers6 {{ type ipv6_addr; elements = {{ {peers6} }} }}
            chain forward {{
                type filter hook forward priority filter; policy drop;
                ct state established,related accept
                meta l4proto ipv6-icmp accept
                ip daddr {server_ipv4} ip saddr @peers4 accept
                ip6 daddr {server_ipv6} ip6 saddr @peers6 accept
            }}
        }}"
    );
    run_with_input(router.command("nft")?.args(["-f", "-"]), &rules)
}
