//! Rows of endpoints.

use crate::{Datapath, Error, Handle, maps::operation};
use ciliate_abi::{Address, Endpoint, endpoint_flags};
use ciliate_types::{EndpointId, Identity};
use std::net::IpAddr;

/// One address of an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EndpointRow {
    pub id: EndpointId,
    pub identity: Identity,
    pub rule_set: Handle,
    /// The device on the host's side.
    pub ifindex: u32,
    pub mac: [u8; 6],
    /// Link-layer address of the host's side.
    pub gateway_mac: [u8; 6],
    pub audit: Audit,
}

/// Whether what policy denies passes and is only reported.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Audit {
    #[default]
    Off,
    On,
}

impl Datapath {
    /// Writes an endpoint's row. Its open connections are judged again if identity, rule set or audit mode differ
    /// from what they were.
    pub fn put_endpoint(&mut self, at: IpAddr, row: &EndpointRow) -> Result<(), Error> {
        let key = Address::from(at);
        let old = self.maps.endpoints.get(&key, 0).ok();
        let mut new = Endpoint {
            identity: row.identity.get(),
            rule_set: row.rule_set.get(),
            epoch: 0,
            ifindex: row.ifindex,
            mac: row.mac,
            id: row.id.get(),
            gateway_mac: row.gateway_mac,
            flags: match row.audit {
                Audit::Off => 0,
                Audit::On => endpoint_flags::AUDIT,
            },
        };
        let decides = |e: &Endpoint| (e.identity, e.rule_set, e.flags, e.id);
        new.epoch = match old {
            Some(old) if decides(&old) == decides(&new) => old.epoch,
            Some(_) | None => self.next_epoch()?,
        };
        if old == Some(new) {
            return Ok(());
        }
        self.maps.endpoints.insert(key, new, 0).map_err(operation("write", "ENDPOINTS"))
    }

    /// Forgets an endpoint's address; one that is not there is no error.
    pub fn remove_endpoint(&mut self, at: IpAddr) -> Result<(), Error> {
        match self.maps.endpoints.remove(&Address::from(at)) {
            Ok(()) | Err(aya::maps::MapError::KeyNotFound) => Ok(()),
            Err(aya::maps::MapError::SyscallError(e))
                if e.io_error.kind() == std::io::ErrorKind::NotFound =>
            {
                Ok(())
            }
            Err(e) => Err(operation("delete from", "ENDPOINTS")(e)),
        }
    }

    pub fn endpoints(&self) -> Result<Vec<(IpAddr, EndpointRow)>, Error> {
        let mut rows = Vec::new();
        for (key, value) in self.maps.endpoint_entries()? {
            let Some(id) = EndpointId::new(value.id) else { continue };
            let audit = if value.flags & endpoint_flags::AUDIT == 0 { Audit::Off } else { Audit::On };
            rows.push((
                key.into(),
                EndpointRow {
                    id,
                    identity: Identity::new(value.identity),
                    rule_set: Handle::new(value.rule_set),
                    ifindex: value.ifindex,
                    mac: value.mac,
                    gateway_mac: value.gateway_mac,
                    audit,
                },
            ));
        }
        rows.sort_by_key(|(at, _)| *at);
        Ok(rows)
    }

    /// Has every open connection judged again, for settings that change all verdicts.
    pub(crate) fn renew_all_epochs(&mut self) -> Result<(), Error> {
        for (key, mut row) in self.maps.endpoint_entries()? {
            row.epoch = self.next_epoch()?;
            self.maps.endpoints.insert(key, row, 0).map_err(operation("write", "ENDPOINTS"))?;
        }
        Ok(())
    }
}
