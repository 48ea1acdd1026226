//! The routing requests we make, each with the words that say what it is for.

use crate::{Error, Mac, proxy_route};
use ciliate_abi::mark;
use ipnet::IpNet;
use netlink_packet_core::{NLM_F_CREATE, NLM_F_DUMP, NLM_F_EXCL, NLM_F_REPLACE};
use netlink_packet_route::{
    AddressFamily, RouteNetlinkMessage,
    address::{AddressAttribute, AddressFlags, AddressHeaderFlags, AddressMessage},
    link::{AfSpecInet6, AfSpecUnspec, In6AddrGenMode, LinkAttribute, LinkFlags, LinkMessage},
    neighbour::{NeighbourAddress, NeighbourAttribute, NeighbourMessage, NeighbourState},
    route::{RouteAddress, RouteAttribute, RouteHeader, RouteMessage, RouteProtocol, RouteScope, RouteType},
    rule::{RuleAction, RuleAttribute, RuleMessage},
};
use std::{io, net::IpAddr};

/// Marks our routes, so that they can be told from others; not assigned in `rtnetlink.h`.
pub(crate) const ROUTE_PROTOCOL: RouteProtocol = RouteProtocol::Other(0xC1);

pub(crate) struct Request {
    pub message: RouteNetlinkMessage,
    pub flags: u16,
    /// As it follows "cannot".
    pub what: String,
    /// Negative error number that counts as done, or 0.
    pub tolerated: i32,
}

impl Request {
    pub(crate) fn tolerate(mut self, errno: i32) -> Self {
        self.tolerated = errno.saturating_neg();
        self
    }

    pub(crate) fn error(&self, code: i32, note: String) -> Error {
        let source = io::Error::from_raw_os_error(code.saturating_abs());
        match Error::kernel(self.what.clone(), source) {
            Error::Kernel { what, source, note: ours } if ours.is_empty() && !note.is_empty() => {
                Error::Kernel { what, source, note: format!(" ({note})") }
            }
            error => error,
        }
    }
}

fn family(address: IpAddr) -> AddressFamily {
    match address {
        IpAddr::V4(_) => AddressFamily::Inet,
        IpAddr::V6(_) => AddressFamily::Inet6,
    }
}

pub(crate) mod link {
    use super::*;

    /// A new device; the message holds its kind and attributes.
    pub(crate) fn add(message: LinkMessage, what: String) -> Request {
        Request {
            message: RouteNetlinkMessage::NewLink(message),
            flags: NLM_F_CREATE | NLM_F_EXCL,
            what,
            tolerated: 0,
        }
    }

    fn set(index: u32, name: &str, change: &str, fill: impl FnOnce(&mut LinkMessage)) -> Request {
        let mut message = LinkMessage::default();
        message.header.index = index;
        fill(&mut message);
        Request {
            message: RouteNetlinkMessage::SetLink(message),
            flags: 0,
            what: format!("{change} {name}"),
            tolerated: 0,
        }
    }

    pub(crate) fn up(index: u32, name: &str) -> Request {
        set(index, name, "bring up", |message| {
            message.header.flags = LinkFlags::Up;
            message.header.change_mask = LinkFlags::Up;
        })
    }

    /// Puts a device into a group, which takes the kernel no time.
    pub(crate) fn group(index: u32, name: &str, group: u32) -> Request {
        set(index, name, "mark", |message| message.attributes.push(LinkAttribute::Group(group)))
    }

    /// Deletes all devices of a group at once.
    pub(crate) fn delete_group(group: u32) -> Request {
        let mut message = LinkMessage::default();
        message.attributes.push(LinkAttribute::Group(group));
        Request {
            message: RouteNetlinkMessage::DelLink(message),
            flags: 0,
            what: format!("delete the devices of group {group}"),
            tolerated: 0,
        }
    }

    /// No link-local address, so no neighbour and router discovery of the kernel's own.
    pub(crate) fn no_link_local(index: u32, name: &str) -> Request {
        set(index, name, "turn off IPv6 link-local addresses of", |message| {
            let mode = AfSpecInet6::AddrGenMode(In6AddrGenMode::None);
            let spec = vec![AfSpecUnspec::Inet6(vec![mode])];
            message.attributes.push(LinkAttribute::AfSpecUnspec(spec));
        })
    }

    pub(crate) fn delete(name: &str) -> Request {
        let mut message = LinkMessage::default();
        message.attributes.push(LinkAttribute::IfName(name.to_owned()));
        Request {
            message: RouteNetlinkMessage::DelLink(message),
            flags: 0,
            what: format!("delete device {name}"),
            tolerated: 0,
        }
    }
}

pub(crate) fn link_by_name(name: &str) -> Request {
    let mut message = LinkMessage::default();
    message.attributes.push(LinkAttribute::IfName(name.to_owned()));
    Request {
        message: RouteNetlinkMessage::GetLink(message),
        flags: 0,
        what: format!("look up device {name}"),
        tolerated: 0,
    }
}

pub(crate) fn link_dump() -> Request {
    Request {
        message: RouteNetlinkMessage::GetLink(LinkMessage::default()),
        flags: NLM_F_DUMP,
        what: "list devices".into(),
        tolerated: 0,
    }
}

pub(crate) mod address {
    use super::*;

    fn message(index: u32, address: IpAddr, prefix_len: u8) -> AddressMessage {
        let mut message = AddressMessage::default();
        message.header.family = family(address);
        message.header.prefix_len = prefix_len;
        message.header.index = index;
        message.attributes.push(AddressAttribute::Local(address));
        message.attributes.push(AddressAttribute::Address(address));
        message
    }

    /// One address of its own, usable at once: no duplicate detection.
    pub(crate) fn add(index: u32, device: &str, address: IpAddr) -> Request {
        let mut message = message(index, address, host_prefix(address).prefix_len());
        if address.is_ipv6() {
            message.header.flags = AddressHeaderFlags::Nodad;
            message.attributes.push(AddressAttribute::Flags(AddressFlags::Nodad));
        }
        Request {
            message: RouteNetlinkMessage::NewAddress(message),
            flags: NLM_F_CREATE | NLM_F_REPLACE,
            what: format!("give {device} the address {address}"),
            tolerated: 0,
        }
    }

    pub(crate) fn delete(index: u32, device: &str, address: IpAddr, prefix_len: u8) -> Request {
        Request {
            message: RouteNetlinkMessage::DelAddress(message(index, address, prefix_len)),
            flags: 0,
            what: format!("take the address {address} from {device}"),
            tolerated: 0,
        }
        .tolerate(libc::EADDRNOTAVAIL)
    }
}

pub(crate) fn address_dump() -> Request {
    Request {
        message: RouteNetlinkMessage::GetAddress(AddressMessage::default()),
        flags: NLM_F_DUMP,
        what: "list addresses".into(),
        tolerated: 0,
    }
}

pub(crate) mod neighbour {
    use super::*;

    /// Tells a device at which Ethernet address an IP address is, for good.
    pub(crate) fn permanent(index: u32, device: &str, address: IpAddr, mac: Mac) -> Request {
        let mut message = NeighbourMessage::default();
        message.header.family = family(address);
        message.header.ifindex = index;
        message.header.state = NeighbourState::Permanent;
        message.header.kind = RouteType::Unicast;
        message.attributes.push(NeighbourAttribute::Destination(match address {
            IpAddr::V4(v4) => NeighbourAddress::Inet(v4),
            IpAddr::V6(v6) => NeighbourAddress::Inet6(v6),
        }));
        message.attributes.push(NeighbourAttribute::LinkLayerAddress(mac.0.to_vec()));
        Request {
            message: RouteNetlinkMessage::NewNeighbour(message),
            flags: NLM_F_CREATE | NLM_F_REPLACE,
            what: format!("add neighbour {address} at {mac} on {device}"),
            tolerated: 0,
        }
    }
}

pub(crate) mod route {
    use super::*;

    fn message(to: IpNet, kind: RouteType, scope: RouteScope) -> RouteMessage {
        let mut message = RouteMessage::default();
        message.header.address_family = family(to.addr());
        message.header.destination_prefix_length = to.prefix_len();
        message.header.table = RouteHeader::RT_TABLE_MAIN;
        message.header.protocol = ROUTE_PROTOCOL;
        message.header.scope = scope;
        message.header.kind = kind;
        if to.prefix_len() > 0 {
            message.attributes.push(RouteAttribute::Destination(RouteAddress::from(to.network())));
        }
        message
    }

    fn add(message: RouteMessage, what: String) -> Request {
        Request {
            message: RouteNetlinkMessage::NewRoute(message),
            flags: NLM_F_CREATE | NLM_F_REPLACE,
            what,
            tolerated: 0,
        }
    }

    /// To one address that is reached directly through a device.
    pub(crate) fn direct(to: IpAddr, index: u32, device: &str, source: Option<IpAddr>) -> Request {
        let mut message = message(host_prefix(to), RouteType::Unicast, RouteScope::Link);
        message.attributes.push(RouteAttribute::Oif(index));
        message.attributes.extend(source.map(|s| RouteAttribute::PrefSource(RouteAddress::from(s))));
        add(message, format!("route {to} to {device}"))
    }

    /// Everything else, by a gateway.
    pub(crate) fn default(gateway: IpAddr, index: u32, device: &str) -> Request {
        let mut message = message(everything(gateway), RouteType::Unicast, RouteScope::Universe);
        message.attributes.push(RouteAttribute::Gateway(RouteAddress::from(gateway)));
        message.attributes.push(RouteAttribute::Oif(index));
        add(message, format!("route everything by {gateway} on {device}"))
    }

    pub(crate) fn unreachable(to: IpNet) -> Request {
        add(message(to, RouteType::Unreachable, RouteScope::Universe), format!("make {to} unreachable"))
    }

    fn local(of: IpAddr, index: u32) -> RouteMessage {
        let mut message = message(everything(of), RouteType::Local, RouteScope::Host);
        message.header.table = RouteHeader::RT_TABLE_UNSPEC;
        message.attributes.push(RouteAttribute::Table(proxy_route::TABLE));
        message.attributes.push(RouteAttribute::Oif(index));
        message
    }

    /// Everything of a family is this host's own, in the proxy's table.
    pub(crate) fn deliver_here(of: IpAddr, index: u32) -> Request {
        add(local(of, index), "route packets for the proxy to this host".into())
    }

    pub(crate) fn delete_unreachable(to: IpNet) -> Request {
        Request {
            message: RouteNetlinkMessage::DelRoute(message(to, RouteType::Unreachable, RouteScope::Universe)),
            flags: 0,
            what: format!("take away the unreachable route of {to}"),
            tolerated: 0,
        }
        .tolerate(libc::ESRCH)
    }
}

pub(crate) mod rule {
    use super::*;

    fn message(of: IpAddr) -> RuleMessage {
        let mut message = RuleMessage::default();
        message.header.family = family(of);
        message.header.action = RuleAction::ToTable;
        message.attributes = vec![
            RuleAttribute::Priority(proxy_route::PRIORITY),
            RuleAttribute::FwMark(mark::TO_PROXY),
            RuleAttribute::FwMask(mark::MASK),
            RuleAttribute::Table(proxy_route::TABLE),
            RuleAttribute::Protocol(ROUTE_PROTOCOL),
        ];
        message
    }

    /// Marked packets take the proxy's table.
    pub(crate) fn to_proxy(of: IpAddr) -> Request {
        Request {
            message: RouteNetlinkMessage::NewRule(message(of)),
            flags: NLM_F_CREATE | NLM_F_EXCL,
            what: "send packets marked for the proxy to this host".into(),
            tolerated: 0,
        }
        .tolerate(libc::EEXIST)
    }

    pub(crate) fn delete_to_proxy(of: IpAddr) -> Request {
        Request {
            message: RouteNetlinkMessage::DelRule(message(of)),
            flags: 0,
            what: "take away the rule for packets marked for the proxy".into(),
            tolerated: 0,
        }
        .tolerate(libc::ENOENT)
    }
}

pub(crate) fn route_dump() -> Request {
    Request {
        message: RouteNetlinkMessage::GetRoute(RouteMessage::default()),
        flags: NLM_F_DUMP,
        what: "list routes".into(),
        tolerated: 0,
    }
}

pub(crate) fn host_prefix(address: IpAddr) -> IpNet {
    IpNet::from(address)
}

fn everything(of: IpAddr) -> IpNet {
    match of {
        IpAddr::V4(_) => IpNet::V4(ipnet::Ipv4Net::default()),
        IpAddr::V6(_) => IpNet::V6(ipnet::Ipv6Net::default()),
    }
}
