//! What policy says about clients and the servers they ask, remembered while it is the same.

use crate::{gate::Gate, shared::Shared};
use ciliate_bpf::Stamp;
use ciliate_types::Protocol;
use std::{
    collections::HashMap,
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

/// Pairs that are remembered.
const PAIRS: usize = 65_536;

#[derive(Default)]
pub struct Gates {
    known: HashMap<(IpAddr, SocketAddr), Known>,
}

struct Known {
    generation: u64,
    stamp: Stamp,
    /// None if policy does not let the two speak.
    gate: Option<Arc<Gate>>,
}

impl Gates {
    /// As [`Gate::find`]. Whatever changes policy or one of the two changes the generation or the stamp.
    pub fn find(
        &mut self,
        shared: &Shared,
        client: SocketAddr,
        server: SocketAddr,
    ) -> Result<Option<Arc<Gate>>, ciliate_bpf::Error> {
        // Before the gate: it may be newer than its stamp, never older.
        let stamp = shared.view.stamp(client.ip(), server)?;
        let key = (client.ip(), server);
        if let Some(known) = self.known.get(&key)
            && known.generation == shared.generation()
            && known.stamp == stamp
        {
            return Ok(known.gate.clone());
        }
        let (generation, ready) = shared.ready();
        let found = Gate::find(&shared.view, &ready, Protocol::UDP, client, server)?.map(Arc::new);
        if self.known.len() >= PAIRS {
            self.known.clear();
        }
        self.known.insert(key, Known { generation, stamp, gate: found.clone() });
        Ok(found)
    }
}
