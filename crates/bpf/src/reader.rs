//! Reading whole maps from any thread while another one writes them.

use crate::{ConnectionRow, Datapath, Error, PolicyDump, maps::Maps};
use std::collections::{BTreeMap, BTreeSet};

/// A node's maps by descriptors of its own. What is written meanwhile may be missed or seen.
pub struct Reader(Maps);

impl Datapath {
    pub fn reader(&self) -> Result<Reader, Error> {
        Maps::open(&self.pins).map(Reader)
    }
}

impl Reader {
    pub fn connections(&self) -> Result<Vec<ConnectionRow>, Error> {
        self.0.connection_rows()
    }

    /// What the kernel holds for these rule sets, in one walk through the maps. Those that are gone are left out.
    pub fn rule_sets(&self, wanted: &BTreeSet<u32>) -> Result<BTreeMap<u32, PolicyDump>, Error> {
        self.0.rule_set_dumps(wanted)
    }
}
