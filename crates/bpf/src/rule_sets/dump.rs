//! What the kernel holds of rule sets, for people.

use crate::{Error, maps::Maps};
use ciliate_abi::{PolicyEntry, PolicyKey, PrefixKey, RuleSet};
use std::collections::{BTreeMap, BTreeSet};

/// A rule set as it lies in the kernel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyDump {
    pub shapes: RuleSet,
    pub entries: Vec<(PolicyKey, PolicyEntry)>,
    /// Significant bits behind the scope, where to, and the class.
    pub prefixes: Vec<(u32, PrefixKey, u32)>,
}

impl Maps {
    /// What is there of the rule sets with these numbers, in one walk through the maps.
    pub fn rule_set_dumps(&self, wanted: &BTreeSet<u32>) -> Result<BTreeMap<u32, PolicyDump>, Error> {
        let mut dumps = BTreeMap::new();
        for number in wanted {
            if let Ok(shapes) = self.rule_sets.get(number, 0) {
                dumps.insert(*number, PolicyDump { shapes, entries: Vec::new(), prefixes: Vec::new() });
            }
        }
        for (key, entry) in self.policy_entries()? {
            if let Some(dump) = dumps.get_mut(&key.rule_set) {
                dump.entries.push((key, entry));
            }
        }
        for (key, class) in self.prefix_entries()? {
            if let Some(dump) = dumps.get_mut(&key.data().rule_set) {
                let bits = key.prefix_len().saturating_sub(PrefixKey::SCOPE_BITS);
                dump.prefixes.push((bits, key.data(), class));
            }
        }
        for dump in dumps.values_mut() {
            dump.entries.sort_by_key(|(key, _)| *key);
            dump.prefixes.sort();
        }
        Ok(dumps)
    }
}
