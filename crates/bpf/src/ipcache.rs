//! Identities of addresses that no endpoint here has.

use crate::{Datapath, Error, maps::operation, prefix, prefix_bits};
use aya::maps::{MapError, lpm_trie::Key};
use ciliate_abi::IpcacheKey;
use ciliate_types::Identity;
use ipnet::IpNet;
use std::net::IpAddr;

fn key(net: &IpNet) -> Key<IpcacheKey> {
    Key::new(IpcacheKey::SCOPE_BITS.saturating_add(prefix_bits(net)), IpcacheKey::new(net.network().into()))
}

impl Datapath {
    /// Gives a prefix an identity. Connections with addresses outside of this node are judged again.
    pub fn put_ipcache(&mut self, net: IpNet, identity: Identity) -> Result<(), Error> {
        let key = key(&net);
        if self.ipcache.get(&net) == Some(&identity) {
            return Ok(());
        }
        let max = self.sizes.ipcache;
        let used = u32::try_from(self.ipcache.len()).unwrap_or(u32::MAX);
        if !self.ipcache.contains_key(&net) && used >= max {
            return Err(Error::Full { map: "IPCACHE", setting: "map-size-ipcache", used, needed: 1, max });
        }
        self.maps.ipcache.insert(&key, identity.get(), 0).map_err(operation("write", "IPCACHE"))?;
        self.ipcache.insert(net, identity);
        self.renew_peers_epoch()
    }

    /// Takes a prefix's identity away; one that has none is no error.
    pub fn remove_ipcache(&mut self, net: IpNet) -> Result<(), Error> {
        if self.ipcache.remove(&net).is_none() {
            return Ok(());
        }
        let key = key(&net);
        match self.maps.ipcache.remove(&key) {
            Ok(()) | Err(MapError::KeyNotFound) => {}
            Err(MapError::SyscallError(e)) if e.io_error.kind() == std::io::ErrorKind::NotFound => {}
            Err(e) => return Err(operation("delete from", "IPCACHE")(e)),
        }
        self.renew_peers_epoch()
    }

    pub fn ipcache(&self) -> impl Iterator<Item = (IpNet, Identity)> {
        self.ipcache.iter().map(|(net, identity)| (*net, *identity))
    }

    /// What the kernel answers for an address.
    pub fn lookup_ipcache(&self, at: IpAddr) -> Option<Identity> {
        self.maps.ipcache.get(&key(&at.into()), 0).ok().map(Identity::new)
    }

    pub(crate) fn read_ipcache(&mut self) -> Result<(), Error> {
        for (key, identity) in self.maps.ipcache_entries()? {
            if let Some(net) =
                prefix(key.prefix_len().saturating_sub(IpcacheKey::SCOPE_BITS), key.data().address)
            {
                self.ipcache.insert(net, Identity::new(identity));
            }
        }
        Ok(())
    }
}
