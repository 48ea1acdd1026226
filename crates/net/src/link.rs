//! Devices: look-up, listing, deletion.

use crate::{Error, Mac, Netlink, netlink};
use netlink_packet_route::{
    RouteNetlinkMessage,
    link::{LinkAttribute, LinkFlags, LinkMessage},
    route::{RouteAttribute, RouteType},
};

/// The loopback device has this index in every namespace.
pub(crate) const LOOPBACK: u32 = 1;
/// The group of devices that are to be deleted together; nobody else's, as good as certainly.
const DOOMED: u32 = 0x4111_a7e0;
/// Of Ethernet, where no device says otherwise.
const DEFAULT_MTU: u32 = 1500;

/// A device of a namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    pub index: u32,
    pub name: String,
    /// Absent for devices without Ethernet addresses.
    pub mac: Option<Mac>,
    pub mtu: u32,
    /// Brought up by somebody; says nothing of the carrier.
    pub up: bool,
}

impl From<LinkMessage> for Link {
    fn from(message: LinkMessage) -> Self {
        let mut link = Self {
            index: message.header.index,
            name: String::new(),
            mac: None,
            mtu: 0,
            up: message.header.flags.contains(LinkFlags::Up),
        };
        for attribute in message.attributes {
            match attribute {
                LinkAttribute::IfName(name) => link.name = name,
                LinkAttribute::Mtu(mtu) => link.mtu = mtu,
                LinkAttribute::Address(bytes) => link.mac = Mac::from_slice(&bytes),
                _ => {}
            }
        }
        link
    }
}

fn into_link(message: RouteNetlinkMessage) -> Option<Link> {
    match message {
        RouteNetlinkMessage::NewLink(message) => Some(message.into()),
        _ => None,
    }
}

/// What the kernel takes as a name of a device (`dev_valid_name`).
pub(crate) fn check_name(name: &str) -> Result<(), Error> {
    let wrong = |fault| Err(Error::DeviceName { name: name.to_owned(), fault });
    match name {
        "" => wrong("is empty"),
        "." | ".." => wrong("is a name of a folder"),
        _ if name.len() > 15 => wrong("is too long"),
        _ if name.contains(|c: char| c == '/' || c == ':' || c == '\0' || c.is_whitespace()) => {
            wrong("has a forbidden character")
        }
        _ => Ok(()),
    }
}

impl Netlink {
    /// The device of that name, if there is one.
    pub fn link(&self, name: &str) -> Result<Option<Link>, Error> {
        check_name(name)?;
        match self.query(netlink::link_by_name(name)) {
            Ok(found) => Ok(found.into_iter().find_map(into_link)),
            Err(e) if e.is_missing() => Ok(None),
            Err(e) => Err(e),
        }
    }

    pub fn links(&self) -> Result<Vec<Link>, Error> {
        Ok(self.query(netlink::link_dump())?.into_iter().filter_map(into_link).collect())
    }

    /// Deletes a device, with its peer, addresses and routes; none of that name is well too.
    pub fn delete_link(&self, name: &str) -> Result<(), Error> {
        check_name(name)?;
        self.perform(&[netlink::link::delete(name).tolerate(libc::ENODEV)])
    }

    /// Deletes many at once: the kernel waits some 40 ms for each request, however many devices it is about.
    pub fn delete_links(&self, links: &[Link]) -> Result<(), Error> {
        if links.is_empty() {
            return Ok(());
        }
        for link in links {
            // One may vanish any time with its namespace.
            self.perform(&[netlink::link::group(link.index, &link.name, DOOMED).tolerate(libc::ENODEV)])?;
        }
        self.perform(&[netlink::link::delete_group(DOOMED).tolerate(libc::ENODEV)])
    }

    /// Largest packet of the device by which most traffic leaves: that of a default route.
    pub fn default_mtu(&self) -> Result<u32, Error> {
        let routes = self.query(netlink::route_dump())?;
        let device = routes.into_iter().find_map(|message| match message {
            RouteNetlinkMessage::NewRoute(route)
                if route.header.destination_prefix_length == 0 && route.header.kind == RouteType::Unicast =>
            {
                route.attributes.into_iter().find_map(|a| match a {
                    RouteAttribute::Oif(index) => Some(index),
                    _ => None,
                })
            }
            _ => None,
        });
        let links = self.links()?;
        let mtu = links.into_iter().find(|l| Some(l.index) == device).map(|l| l.mtu);
        // The loopback device's 65536 would not fit any other.
        Ok(mtu.filter(|m| (1280..=65535).contains(m)).unwrap_or(DEFAULT_MTU))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_the_kernel_refuses_are_refused() {
        for name in ["", ".", "..", "a/b", "a:b", "a b", "sixteen-letters-", "a\n"] {
            assert!(matches!(check_name(name), Err(Error::DeviceName { .. })), "{name:?}");
        }
        for name in ["cil1", "fifteen-letters", "eth0.7"] {
            assert!(check_name(name).is_ok(), "{name:?}");
        }
    }
}
