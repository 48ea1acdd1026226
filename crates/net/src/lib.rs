//! Devices, addresses, routes, namespaces and masquerading of a node.
//!
//! Calls block: the kernel answers a routing request inside `sendmsg`, so there is nothing to wait for.
//! Each takes 0.1 to 2 ms. Only [`AddressWatch`] is asynchronous.

mod address;
mod endpoint;
mod error;
mod launch;
mod link;
mod mac;
mod memory;
mod netlink;
mod netns;
mod nft;
mod proxy_route;
mod router;
mod socket;
mod sysctl;

pub use address::{AddressWatch, HostAddress, Scope};
pub use endpoint::{Created, EndpointDevice};
pub use error::Error;
pub use launch::{BoundFile, Launch, Running, rewrite_in_place};
pub use link::Link;
pub use mac::{Mac, MacError};
pub use memory::return_memory;
pub use netlink::Netlink;
pub use netns::{Netns, NetnsId};
pub use nft::{Egress, Masquerade, Publish};
pub use router::Router;
pub use socket::unacknowledged;
pub use sysctl::{Family, Sysctls, route_loopback};
