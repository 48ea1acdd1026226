//! The addresses of a namespace, and word of their change.

use crate::{Error, Netlink, netlink};
use netlink_packet_route::{
    RouteNetlinkMessage,
    address::{AddressAttribute, AddressMessage, AddressScope},
};
use netlink_sys::{AsyncSocket, AsyncSocketExt, SocketAddr, TokioSocket, protocols::NETLINK_ROUTE};
use std::{io, net::IpAddr, time::Duration};

/// `RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR` of `linux/rtnetlink.h`.
const GROUPS: u32 = 0x1 | 0x10 | 0x100;
/// Changes come in bursts: a device that comes up has several addresses.
const QUIET: Duration = Duration::from_millis(50);

/// How far an address is valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    Global,
    /// On one link only, as `fe80::/10`.
    Link,
    /// On this host only, as `127.0.0.1`.
    Host,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct HostAddress {
    pub ifindex: u32,
    pub address: IpAddr,
    pub prefix_len: u8,
    pub scope: Scope,
}

fn host_address(message: &AddressMessage) -> Option<HostAddress> {
    let (mut local, mut peer) = (None, None);
    for attribute in &message.attributes {
        match attribute {
            AddressAttribute::Local(address) => local = Some(*address),
            AddressAttribute::Address(address) => peer = Some(*address),
            _ => {}
        }
    }
    Some(HostAddress {
        ifindex: message.header.index,
        // On point-to-point links the second is the other end; IPv6 often gives only that one.
        address: local.or(peer)?,
        prefix_len: message.header.prefix_len,
        scope: match message.header.scope {
            AddressScope::Host | AddressScope::Nowhere => Scope::Host,
            AddressScope::Link => Scope::Link,
            _ => Scope::Global,
        },
    })
}

impl Netlink {
    /// All addresses of the namespace, those of our own devices too.
    pub fn host_addresses(&self) -> Result<Vec<HostAddress>, Error> {
        let messages = self.query(netlink::address_dump())?;
        let address = |message: &RouteNetlinkMessage| match message {
            RouteNetlinkMessage::NewAddress(message) => host_address(message),
            _ => None,
        };
        Ok(messages.iter().filter_map(address).collect())
    }
}

/// Tells when addresses or devices of a namespace have changed.
pub struct AddressWatch(TokioSocket);

impl AddressWatch {
    /// For the namespace of the calling thread; needs a tokio runtime around it.
    pub fn new() -> Result<Self, Error> {
        let open = || {
            let mut socket = TokioSocket::new(NETLINK_ROUTE)?;
            socket.socket_mut().bind(&SocketAddr::new(0, GROUPS))?;
            Ok(Self(socket))
        };
        open().map_err(|e: io::Error| Error::kernel("watch the host's addresses", e))
    }

    /// Returns after the next change, once things are quiet; then list the addresses again.
    ///
    /// Safe to cancel: a change that was already noticed is not reported again, so list after cancelling.
    pub async fn changed(&mut self) -> Result<(), Error> {
        self.one().await?;
        while let Ok(more) = tokio::time::timeout(QUIET, self.one()).await {
            more?;
        }
        Ok(())
    }

    async fn one(&mut self) -> Result<(), Error> {
        match self.0.recv_from_full().await {
            // Too many to queue: there is a change all the more.
            Err(e) if e.raw_os_error() != Some(libc::ENOBUFS) => {
                Err(Error::kernel("watch the host's addresses", e))
            }
            Ok(_) | Err(_) => Ok(()),
        }
    }
}
