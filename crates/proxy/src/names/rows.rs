//! Where identities of addresses are written: the kernel's map, or what stands for it where there is no kernel.

use ciliate_bpf::{Error, View};
use ciliate_types::Identity;
use ipnet::IpNet;
use std::net::IpAddr;

/// Rows of prefixes with identities, of which the longest one around an address counts.
pub trait Rows {
    /// Of the longest prefix around an address.
    fn identity_of(&self, at: IpAddr) -> Result<Option<Identity>, Error>;
    /// Gives an address a row of its own.
    fn put_identity(&self, at: IpAddr, identity: Identity) -> Result<(), Error>;
    /// Takes an address's own row away, which has to be there.
    fn remove_identity(&self, at: IpAddr) -> Result<(), Error>;
    /// All prefixes with rows.
    fn identities(&self) -> Result<Vec<(IpNet, Identity)>, Error>;
}

impl Rows for View {
    fn identity_of(&self, at: IpAddr) -> Result<Option<Identity>, Error> {
        Self::identity_of(self, at)
    }

    fn put_identity(&self, at: IpAddr, identity: Identity) -> Result<(), Error> {
        Self::put_identity(self, at, identity)
    }

    fn remove_identity(&self, at: IpAddr) -> Result<(), Error> {
        Self::remove_identity(self, at)
    }

    fn identities(&self) -> Result<Vec<(IpNet, Identity)>, Error> {
        Self::identities(self)
    }
}
