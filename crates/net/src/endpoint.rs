//! The devices of an endpoint: a veth pair, host side `cil…`, container side `eth0`.
//!
//! Two steps, so that programs and maps are in place before the first packet can flow: [`Netlink::create_veth`] makes
//! both ends, down; [`Netlink::configure_container`] gives them addresses, routes and neighbours and brings them up.
//! Neither end has a link-local address and both know their neighbour for good, so that nothing but the endpoint's own
//! traffic crosses the pair. Strict `rp_filter` lets it pass: each address is routed by the device it comes from.

mod check;

use crate::{Error, Mac, Netlink, Netns, link, netlink};
use netlink_packet_route::link::{InfoData, InfoKind, InfoVeth, LinkAttribute, LinkInfo, LinkMessage};
use serde::{Deserialize, Serialize};
use std::{fs, io, net::IpAddr, os::fd::AsFd, os::fd::AsRawFd};

/// What an endpoint's devices are to be.
#[derive(Clone, Debug)]
pub struct EndpointDevice {
    /// In the host's namespace; at most 15 bytes.
    pub host_name: String,
    /// In the endpoint's namespace; `eth0` unless the runtime says otherwise.
    pub container_name: String,
    pub netns: Netns,
    pub addresses: Vec<IpAddr>,
    /// The router's address of each family in use.
    pub gateways: Vec<IpAddr>,
    /// Bytes, IP header included.
    pub mtu: u32,
    /// Of the container side; a random one if absent.
    pub mac: Option<Mac>,
}

/// What the kernel made of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Created {
    pub host_ifindex: u32,
    pub host_mac: Mac,
    pub container_ifindex: u32,
    pub container_mac: Mac,
}

/// The attributes of a veth pair; the peer is made in its own namespace at once, never seen in the host's.
pub(crate) fn veth(near: Vec<LinkAttribute>, far: Vec<LinkAttribute>) -> LinkMessage {
    let mut peer = LinkMessage::default();
    peer.attributes = far;
    let mut message = LinkMessage::default();
    message.attributes = near;
    message.attributes.push(LinkAttribute::LinkInfo(vec![
        LinkInfo::Kind(InfoKind::Veth),
        LinkInfo::Data(InfoData::Veth(InfoVeth::Peer(peer))),
    ]));
    message
}

impl EndpointDevice {
    fn gateway(&self, of: IpAddr) -> Option<IpAddr> {
        self.gateways.iter().copied().find(|g| g.is_ipv4() == of.is_ipv4())
    }
}

impl Netlink {
    /// Makes both ends, down and without addresses. On failure nothing is left behind.
    pub fn create_veth(&self, device: &EndpointDevice) -> Result<Created, Error> {
        link::check_name(&device.host_name)?;
        link::check_name(&device.container_name)?;
        let host_mac = Mac::random();
        let container_mac = device.mac.unwrap_or_else(Mac::random);
        let end = |name: &str, mac: Mac| {
            vec![
                LinkAttribute::IfName(name.to_owned()),
                LinkAttribute::Address(mac.0.to_vec()),
                LinkAttribute::Mtu(device.mtu),
            ]
        };
        let mut far = end(&device.container_name, container_mac);
        far.push(LinkAttribute::NetNsFd(device.netns.as_fd().as_raw_fd()));
        let pair = veth(end(&device.host_name, host_mac), far);
        let what = format!(
            "make devices {} and {} in {}",
            device.host_name,
            device.container_name,
            device.netns.origin().display()
        );
        self.perform(&[netlink::link::add(pair, what)]).map_err(|e| self.name_culprit(device, e))?;

        let look_up = || {
            let inside = Self::in_namespace(&device.netns)?;
            let index = |netlink: &Self, name: &str| {
                netlink.link(name)?.map(|l| l.index).ok_or_else(|| Error::NoDevice(name.to_owned()))
            };
            let host_ifindex = index(self, &device.host_name)?;
            let container_ifindex = index(&inside, &device.container_name)?;
            self.perform(
                &[netlink::link::no_link_local(host_ifindex, &device.host_name).tolerate_no_ipv6()],
            )?;
            inside
                .perform(&[netlink::link::no_link_local(container_ifindex, &device.container_name)
                    .tolerate_no_ipv6()])?;
            Ok(Created { host_ifindex, host_mac, container_ifindex, container_mac })
        };
        look_up().inspect_err(|_| {
            // The first failure is the one to report.
            let _ = self.delete_link(&device.host_name);
        })
    }

    /// Says which of the two names is taken.
    fn name_culprit(&self, device: &EndpointDevice, error: Error) -> Error {
        let taken =
            matches!(&error, Error::Kernel { source, .. } if source.kind() == io::ErrorKind::AlreadyExists);
        match (taken, self.link(&device.host_name)) {
            (false, _) => error,
            (true, Ok(None)) => Error::DeviceExists {
                name: device.container_name.clone(),
                place: format!(" in {}", device.netns.origin().display()),
            },
            (true, Ok(Some(_)) | Err(_)) => {
                Error::DeviceExists { name: device.host_name.clone(), place: String::new() }
            }
        }
    }

    /// Addresses, routes and neighbours on both sides, then both up. May be repeated.
    pub fn configure_container(&self, device: &EndpointDevice, made: &Created) -> Result<(), Error> {
        let name = &device.container_name;
        let index = made.container_ifindex;
        let mut inner = vec![
            netlink::link::up(link::LOOPBACK, "lo"),
            netlink::link::no_link_local(index, name).tolerate_no_ipv6(),
        ];
        inner.extend(device.addresses.iter().map(|&a| netlink::address::add(index, name, a)));
        inner.push(netlink::link::up(index, name));
        for &address in &device.addresses {
            let Some(gateway) = device.gateway(address) else { continue };
            inner.push(netlink::neighbour::permanent(index, name, gateway, made.host_mac));
            inner.push(netlink::route::direct(gateway, index, name, None));
            inner.push(netlink::route::default(gateway, index, name));
        }

        let name = &device.host_name;
        let index = made.host_ifindex;
        let mut outer = vec![netlink::link::up(index, name)];
        for &address in &device.addresses {
            outer.push(netlink::neighbour::permanent(index, name, address, made.container_mac));
            outer.push(netlink::route::direct(address, index, name, device.gateway(address)));
        }

        self.perform(&outer)?;
        let needs_ipv6 = device.addresses.iter().any(IpAddr::is_ipv6);
        device.netns.run(|| {
            if needs_ipv6 {
                enable_ipv6(&device.container_name)?;
            }
            Self::new()?.perform(&inner)
        })?
    }

    /// Both ends vanish with all that hangs on them; no such device is well too.
    pub fn delete_endpoint(&self, host_name: &str) -> Result<(), Error> {
        self.delete_link(host_name)
    }
}

/// Some runtimes turn IPv6 off in every namespace they make.
fn enable_ipv6(device: &str) -> Result<(), Error> {
    let path = format!("/proc/sys/net/ipv6/conf/{device}/disable_ipv6");
    match fs::read_to_string(&path) {
        Ok(value) if value.trim() == "0" => Ok(()),
        Ok(_) => fs::write(&path, "0"),
        Err(e) => Err(e),
    }
    .map_err(|source| Error::Sysctl { what: "turn IPv6 on with", key: path, source })
}

impl netlink::Request {
    /// A kernel or namespace without IPv6 has no link-local addresses either.
    fn tolerate_no_ipv6(self) -> Self {
        self.tolerate(libc::EAFNOSUPPORT)
    }
}
