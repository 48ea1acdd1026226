//! V: a veth pair straight from one namespace into the other, the limit of what any policy can reach.

use super::{Netns, Route};
use anyhow::Result;
use std::net::{Ipv4Addr, Ipv6Addr};

pub fn set_up() -> Result<Route> {
    let (client, server) = (Netns::new("v-client")?, Netns::new("v-server")?);
    client.connect("eth0", &server, "eth0")?;
    let server_ipv4 = Ipv4Addr::new(10, 90, 0, 2);
    let server_ipv6 = Ipv6Addr::new(0xfd90, 0, 0, 0, 0, 0, 0, 2);
    client.address("eth0", Ipv4Addr::new(10, 90, 0, 1).into(), 24)?;
    client.address("eth0", Ipv6Addr::new(0xfd90, 0, 0, 0, 0, 0, 0, 1).into(), 64)?;
    server.address("eth0", server_ipv4.into(), 24)?;
    server.address("eth0", server_ipv6.into(), 64)?;
    Ok(Route { client, server, server_ipv4, server_ipv6, _between: Vec::new() })
}
