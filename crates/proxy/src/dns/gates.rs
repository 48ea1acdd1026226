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
    round: u64,
}

struct Known {
    generation: u64,
    stamp: Stamp,
    /// In which round the stamp was last found to be the same.
    round: u64,
    /// None if policy does not let the two speak.
    gate: Option<Arc<Gate>>,
}

impl Gates {
    /// Begins to deal with what has come in together: each pair's stamp is looked at once in a round.
    pub fn begin_round(&mut self) {
        self.round = self.round.wrapping_add(1);
    }

    /// As [`Gate::find`]. Whatever changes policy or one of the two changes the generation or the stamp. The generation
    /// changes before a new policy is reported to be in force, the stamp at once.
    pub fn find(
        &mut self,
        shared: &Shared,
        client: SocketAddr,
        server: SocketAddr,
    ) -> Result<Option<Arc<Gate>>, ciliate_bpf::Error> {
        let (key, round) = ((client.ip(), server), self.round);
        let mut known = self.known.get_mut(&key).filter(|known| known.generation == shared.generation());
        if let Some(known) = &known
            && known.round == round
        {
            return Ok(known.gate.clone());
        }
        // Before the gate: it may be newer than its stamp, never older.
        let stamp = shared.view.stamp(client.ip(), server)?;
        if let Some(known) = &mut known
            && known.stamp == stamp
        {
            known.round = round;
            return Ok(known.gate.clone());
        }
        let (generation, ready) = shared.ready();
        let found = Gate::find(&shared.view, &ready, Protocol::UDP, client, server)?.map(Arc::new);
        if self.known.len() >= PAIRS {
            self.known.clear();
        }
        self.known.insert(key, Known { generation, stamp, round, gate: found.clone() });
        Ok(found)
    }
}
