//! How many queries each client has under way.

use foldhash::fast::RandomState;
use hashbrown::HashMap;
use std::net::IpAddr;

#[derive(Default)]
pub(super) struct Clients {
    counts: HashMap<IpAddr, u32, RandomState>,
}

impl Clients {
    /// Counts one more, unless the client has as many as it may have.
    pub fn add(&mut self, client: IpAddr, limit: u32) -> bool {
        let count = self.counts.entry(client).or_default();
        if *count < limit {
            *count = count.saturating_add(1);
            return true;
        }
        if limit == 0 {
            self.counts.remove(&client);
        }
        false
    }

    pub fn remove(&mut self, client: IpAddr) {
        if let Some(count) = self.counts.get_mut(&client) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.counts.remove(&client);
            }
        }
    }
}
