//! CNI ADD to the first allowed packet, one endpoint after the other.

use crate::{
    lab::{
        Netns,
        ciliate::{Node, beside},
        run_with_input,
    },
    load::serve::ONCE,
    place,
    report::Row,
    statistics::quantile,
};
use anyhow::{Context, Result};
use std::{
    io::{Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpStream},
    process::Command,
    time::{Duration, Instant},
};

/// An endpoint that was attached as a container is.
pub struct Member {
    pub netns: Netns,
    pub address: Ipv4Addr,
}

pub fn measure(node: &Node, server: SocketAddr, count: u8) -> Result<(Vec<Member>, Vec<Row>)> {
    let mut members = Vec::new();
    let (mut adding, mut speaking) = (Vec::new(), Vec::new());
    for number in 1..=count {
        let member = Member {
            netns: Netns::new(&format!("member{number}"))?,
            address: Ipv4Addr::new(10, 201, 78, number),
        };
        let start = Instant::now();
        add(node, &member, number)?;
        adding.push(milliseconds(start));
        place::inside(&member.netns.path(), || ask(server)).with_context(|| format!("endpoint {number}"))?;
        speaking.push(milliseconds(start));
        members.push(member);
    }
    let half = speaking.len().div_ceil(10);
    let ends =
        [("first", speaking.get(..half)), ("last", speaking.get(speaking.len().saturating_sub(half)..))];
    let mut rows = vec![
        Row::times(&format!("CNI ADD, {count} in a row"), &adding, None),
        Row::times(
            &format!("CNI ADD to first allowed packet, {count} in a row"),
            &speaking,
            Some("p50 <= 15 ms, p99 <= 50 ms"),
        ),
    ];
    for (which, part) in ends {
        let median = part.and_then(|part| quantile(part, 0.5)).unwrap_or(f64::NAN);
        rows.push(Row::text(&format!("of these, the {which} {half}"), &format!("p50 {median:.1} ms")));
    }
    Ok((members, rows))
}

fn milliseconds(since: Instant) -> f64 {
    since.elapsed().as_secs_f64() * 1e3
}

fn add(node: &Node, member: &Member, number: u8) -> Result<()> {
    let config = serde_json::json!({
        "cniVersion": "1.0.0", "name": "bench", "type": "ciliate-cni", "socket": node.socket(),
        "args": {"cni": {"ips": [member.address.to_string()], "labels": ["app=member"]}},
    });
    let mut plugin = Command::new(beside("ciliate-cni")?);
    plugin
        .env("CNI_COMMAND", "ADD")
        .env("CNI_CONTAINERID", format!("member{number}"))
        .env("CNI_NETNS", member.netns.path())
        .env("CNI_IFNAME", "eth0")
        .env("CNI_PATH", "/opt/cni/bin");
    run_with_input(&mut plugin, &config.to_string())
}

/// One byte there and back on a new connection.
fn ask(server: SocketAddr) -> Result<()> {
    let mut stream = TcpStream::connect_timeout(&server, Duration::from_secs(5))?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    stream.write_all(&[ONCE])?;
    stream.read_exact(&mut [0])?;
    Ok(())
}
