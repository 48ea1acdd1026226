//! What the proxy writes for names: identities of single addresses; and which addresses connections still use.

use super::{Prefixed, View, now};
use crate::{
    Error,
    batch::{Cursor, Reached, syscall},
    maps::call,
    prefix, prefix_bits,
};
use ciliate_abi::{Connection, ConnectionKey, IpcacheKey, connection_flags};
use ciliate_dp_core::{connection, inquiry::Rows as _};
use ciliate_types::{EndpointId, Identity};
use ipnet::IpNet;
use std::{
    net::{IpAddr, SocketAddr},
    os::fd::AsFd as _,
};

/// What the answer about a pair of addresses depends on besides the contents of rule sets: equal stamps, equal answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    config: u32,
    sides: [(u32, u32, u32); 2],
}

/// A live connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Use {
    pub source: IpAddr,
    pub destination: IpAddr,
}

impl View {
    /// To be compared with an earlier one of the same pair.
    pub fn stamp(&self, client: IpAddr, server: SocketAddr) -> Result<Stamp, Error> {
        let config = self.config()?;
        let side = |at| {
            let party = self.party(&config, at)?;
            let (epoch, set) = party.row.as_ref().map_or((0, 0), |row| (row.epoch, row.rule_set));
            Ok::<_, Error>((party.identity, epoch, set))
        };
        Ok(Stamp { config: config.flags, sides: [side(client)?, side(server.ip())?] })
    }

    /// The endpoint of this node that has an address.
    pub fn endpoint_at(&self, at: IpAddr) -> Result<Option<EndpointId>, Error> {
        let party = self.party(&self.config()?, at)?;
        Ok(party.row.and_then(|row| EndpointId::new(row.id)))
    }

    /// The identity of the longest prefix around an address that has one.
    pub fn identity_of(&self, at: IpAddr) -> Result<Option<Identity>, Error> {
        Ok(self.identity(&at.into())?.map(Identity::new))
    }

    /// Gives an address an identity. Connections that it has already are not judged again.
    pub fn put_identity(&self, at: IpAddr, identity: Identity) -> Result<(), Error> {
        syscall::update(self.ipcache.as_fd(), &key(at), &identity.get()).map_err(call("write", "IPCACHE"))
    }

    /// Takes an address's own identity away; it may be part of a prefix that has one.
    pub fn remove_identity(&self, at: IpAddr) -> Result<(), Error> {
        syscall::delete(self.ipcache.as_fd(), &key(at)).map_err(call("delete from", "IPCACHE"))
    }

    /// All prefixes with their identities.
    pub fn identities(&self) -> Result<Vec<(IpNet, Identity)>, Error> {
        let mut all = Vec::new();
        let mut cursor = Cursor::START;
        loop {
            let (piece, reached) = cursor
                .read_at::<Prefixed<IpcacheKey>, u32>(self.ipcache.as_fd())
                .map_err(call("read", "IPCACHE"))?;
            all.extend(piece.into_iter().filter_map(|(key, identity)| {
                let bits = key.bits.saturating_sub(IpcacheKey::SCOPE_BITS);
                Some((prefix(bits, key.key.address)?, Identity::new(identity)))
            }));
            if reached == Reached::End {
                return Ok(all);
            }
        }
    }

    /// Shows every connection that lives and was not closed. Those that come or go meanwhile may be missed or seen.
    pub fn each_use(&self, mut each: impl FnMut(Use)) -> Result<(), Error> {
        self.each_live(|key, row| {
            each(used(key, row));
            Ok(())
        })
    }

    /// Has connections to or from these addresses judged again at their next packets, as if an epoch had changed. What the kernel
    /// counts of one at that very moment may be lost, nothing else.
    pub fn judge_again(&self, mut which: impl FnMut(IpAddr) -> bool) -> Result<(), Error> {
        self.each_live(|key, row| {
            let Use { source, destination } = used(key, row);
            if !which(source) && !which(destination) {
                return Ok(());
            }
            let row = Connection { source_epoch: NEVER, destination_epoch: NEVER, ..*row };
            syscall::replace(self.connections.as_fd(), key, &row).map_err(call("write", "CONNECTIONS"))
        })
    }

    fn each_live(
        &self,
        mut each: impl FnMut(&ConnectionKey, &Connection) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let mut cursor = Cursor::START;
        loop {
            let (piece, reached) = cursor
                .read_at::<ConnectionKey, Connection>(self.connections.as_fd())
                .map_err(call("read", "CONNECTIONS"))?;
            let now = now();
            for (key, row) in
                piece.iter().filter(|(_, row)| connection::is_live(row, now) && !connection::is_closing(row))
            {
                each(key, row)?;
            }
            if reached == Reached::End {
                return Ok(());
            }
        }
    }
}

/// An epoch that nobody has: they begin with 1.
const NEVER: u32 = 0;

fn used(key: &ConnectionKey, row: &Connection) -> Use {
    let (low, high) = (IpAddr::from(key.low), IpAddr::from(key.high));
    let from_high = row.flags & connection_flags::FROM_HIGH != 0;
    let (source, destination) = if from_high { (high, low) } else { (low, high) };
    Use { source, destination }
}

fn key(at: IpAddr) -> Prefixed<IpcacheKey> {
    Prefixed {
        bits: IpcacheKey::SCOPE_BITS.saturating_add(prefix_bits(&at.into())),
        key: IpcacheKey::new(at.into()),
    }
}
