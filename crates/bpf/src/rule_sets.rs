//! Rule sets in the kernel: written whole, shared when equal, freed when nobody can look at them any more.

#[cfg(test)]
#[expect(clippy::arithmetic_side_effects, reason = "tests state plainly what they expect")]
mod agreement;
mod compiled;
mod dump;

pub use dump::PolicyDump;

use crate::{
    Datapath, Error, batch,
    maps::{call, operation},
};
use aya::maps::lpm_trie::Key;
use ciliate_abi::{PolicyKey, PrefixKey};
use ciliate_policy::rule_set as policy;
use ciliate_types::Identity;
use compiled::{Compiled, Digest};
use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    time::{Duration, Instant},
};

/// The number of a rule set in the kernel; never 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Handle(u32);

impl Handle {
    pub(crate) fn new(number: u32) -> Self {
        Self(number)
    }

    #[must_use]
    pub fn get(self) -> u32 {
        self.0
    }
}

impl fmt::Display for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Whether a rule set could be changed in place.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extended {
    /// By that many entries of the map.
    InPlace { written: usize, deleted: usize },
    /// More changed than peers that come or are gone: write it anew and switch.
    NotPossible,
}

/// Handles are below this: the prefix map and the class bit share their numbers with nothing.
const MAX_HANDLE: u32 = 1 << 31;
/// Longer than any program run: nobody still reads a rule set that no row has named for so long.
const GRACE: Duration = Duration::from_secs(1);

struct Known {
    digest: Digest,
    references: u32,
    /// What the kernel holds of it, so that freeing it need not look through whole maps. The rule set's number is not
    /// filled in.
    entries: Vec<PolicyKey>,
    prefixes: Vec<(u32, PrefixKey)>,
    released: Option<Instant>,
}

/// Which rule sets the kernel holds.
#[derive(Default)]
pub(crate) struct Registry {
    known: HashMap<u32, Known>,
    by_digest: HashMap<Digest, u32>,
    last: u32,
}

impl Registry {
    pub(crate) fn contains(&self, number: u32) -> bool {
        self.known.contains_key(&number)
    }

    /// Entries and prefixes in use.
    pub(crate) fn usage(&self) -> (u32, u32) {
        let sum = |count: fn(&Known) -> usize| {
            u32::try_from(self.known.values().map(count).sum::<usize>()).unwrap_or(u32::MAX)
        };
        (sum(|k| k.entries.len()), sum(|k| k.prefixes.len()))
    }

    pub(crate) fn len(&self) -> u32 {
        u32::try_from(self.known.len()).unwrap_or(u32::MAX)
    }

    fn next(&mut self) -> u32 {
        loop {
            self.last = self.last.wrapping_add(1) % MAX_HANDLE;
            if self.last != 0 && !self.known.contains_key(&self.last) {
                return self.last;
            }
        }
    }
}

impl Datapath {
    /// Writes a rule set and takes a reference on it; one that is there already is shared. All of it is in place
    /// when this returns; on failure nothing is.
    pub fn write_rule_set(&mut self, set: &policy::RuleSet) -> Result<Handle, Error> {
        let compiled = Compiled::new(set);
        let digest = compiled.digest();
        if let Some(&number) = self.rule_sets.by_digest.get(&digest)
            && let Some(known) = self.rule_sets.known.get_mut(&number)
        {
            known.references = known.references.saturating_add(1);
            known.released = None;
            return Ok(Handle(number));
        }
        self.check_room(&compiled, 1)?;
        let number = self.rule_sets.next();
        if let Err(error) = self.write_compiled(number, &compiled) {
            self.erase(number, &compiled)?;
            return Err(error);
        }
        self.remember(number, &compiled, digest, 1);
        Ok(Handle(number))
    }

    /// Changes a rule set in place, for everybody who shares it, if `new` differs from `old` only by peers that are
    /// allowed besides, and by peers that are `gone`.
    ///
    /// Half of such a change is no wrong verdict: allowing comes early or late, and no address has an identity that is
    /// gone, nor is any connection allowed by it.
    pub fn extend_rule_set(
        &mut self,
        handle: Handle,
        old: &policy::RuleSet,
        new: &policy::RuleSet,
        gone: &[Identity],
    ) -> Result<Extended, Error> {
        let (old, new) = (Compiled::new(old), Compiled::new(new));
        let known = self.rule_sets.known.get(&handle.0).ok_or(Error::UnknownRuleSet(handle.0))?;
        let references = known.references;
        if known.digest != old.digest() || !old.differs_by_peers(&new, gone) {
            return Ok(Extended::NotPossible);
        }
        let (added, removed) = (new.without(&old), old.without(&new));
        self.check_room(&added, 0)?;
        let changed =
            self.write_compiled(handle.0, &added).and_then(|()| self.erase_entries(handle.0, &removed));
        if let Err(error) = changed {
            self.write_compiled(handle.0, &removed)?;
            self.erase_entries(handle.0, &added)?;
            return Err(error);
        }
        if let Some(before) = self.rule_sets.known.remove(&handle.0) {
            self.rule_sets.by_digest.remove(&before.digest);
        }
        self.remember(handle.0, &new, new.digest(), references);
        Ok(Extended::InPlace { written: added.entries.len(), deleted: removed.entries.len() })
    }

    /// Gives a reference back. After the last one the rule set is freed by a later [`Datapath::sweep`].
    pub fn release_rule_set(&mut self, handle: Handle) {
        if let Some(known) = self.rule_sets.known.get_mut(&handle.0) {
            known.references = known.references.saturating_sub(1);
            if known.references == 0 {
                known.released = Some(Instant::now());
            }
        }
    }

    /// What the kernel holds for a rule set.
    pub fn policy_entries(&self, handle: Handle) -> Result<PolicyDump, Error> {
        let mut dumps = self.maps.rule_set_dumps(&[handle.0].into())?;
        dumps.remove(&handle.0).ok_or(Error::UnknownRuleSet(handle.0))
    }

    /// Learns what an earlier process left, so that equal rule sets are shared with it and the rest is freed.
    pub(crate) fn adopt_rule_sets(&mut self) -> Result<(), Error> {
        let mut found: HashMap<u32, Compiled> = HashMap::new();
        for (number, shapes) in self.maps.rule_set_entries()? {
            found.insert(number, Compiled { shapes, entries: BTreeMap::new(), prefixes: BTreeMap::new() });
        }
        let mut orphans = Vec::new();
        for (key, entry) in self.maps.policy_entries()? {
            match found.get_mut(&key.rule_set) {
                Some(compiled) => {
                    compiled.entries.insert(PolicyKey { rule_set: 0, ..key }, entry);
                }
                None => orphans.push(key),
            }
        }
        for (key, class) in self.maps.prefix_entries()? {
            let data = key.data();
            match found.get_mut(&data.rule_set) {
                Some(compiled) => {
                    compiled.prefixes.insert((key.prefix_len(), PrefixKey { rule_set: 0, ..data }), class);
                }
                None => drop(self.maps.prefixes.remove(&key)),
            }
        }
        // Half-written by a process that was killed; no row names them.
        batch::delete(&self.maps.policy, &orphans).map_err(call("delete from", "POLICY"))?;
        for (number, compiled) in found {
            let digest = compiled.digest();
            self.remember(number, &compiled, digest, 0);
            self.rule_sets.last = self.rule_sets.last.max(number);
        }
        Ok(())
    }

    /// Frees every adopted rule set that nobody has taken a reference on since. To be called once all endpoints
    /// have their rows.
    pub fn release_unreferenced_rule_sets(&mut self) {
        let now = Instant::now();
        for known in self.rule_sets.known.values_mut().filter(|known| known.references == 0) {
            known.released.get_or_insert(now);
        }
    }

    pub(crate) fn free_rule_sets(&mut self) -> Result<u32, Error> {
        let due: Vec<u32> = self
            .rule_sets
            .known
            .iter()
            .filter(|(_, known)| known.released.is_some_and(|at| at.elapsed() >= GRACE))
            .map(|(number, _)| *number)
            .collect();
        if due.is_empty() {
            return Ok(0);
        }
        for number in &due {
            let Some(known) = self.rule_sets.known.remove(number) else { continue };
            if self.rule_sets.by_digest.get(&known.digest) == Some(number) {
                self.rule_sets.by_digest.remove(&known.digest);
            }
            self.maps.rule_sets.remove(number).map_err(operation("delete from", "RULE_SETS"))?;
            let keys: Vec<_> =
                known.entries.iter().map(|key| PolicyKey { rule_set: *number, ..*key }).collect();
            batch::delete(&self.maps.policy, &keys).map_err(call("delete from", "POLICY"))?;
            for (bits, key) in known.prefixes {
                let key = Key::new(bits, PrefixKey { rule_set: *number, ..key });
                self.maps.prefixes.remove(&key).map_err(operation("delete from", "PREFIXES"))?;
            }
        }
        Ok(u32::try_from(due.len()).unwrap_or(u32::MAX))
    }

    fn remember(&mut self, number: u32, compiled: &Compiled, digest: Digest, references: u32) {
        self.rule_sets.by_digest.insert(digest, number);
        self.rule_sets.known.insert(
            number,
            Known {
                digest,
                references,
                entries: compiled.entries.keys().copied().collect(),
                prefixes: compiled.prefixes.keys().copied().collect(),
                released: None,
            },
        );
    }

    /// Refuses a change as a whole where it would not fit.
    fn check_room(&self, compiled: &Compiled, rule_sets: usize) -> Result<(), Error> {
        let (entries, prefixes) = self.rule_sets.usage();
        let check = |map, setting, used: u32, needed: usize, max: u32| {
            let needed = u32::try_from(needed).unwrap_or(u32::MAX);
            match used.checked_add(needed) {
                Some(total) if total <= max => Ok(()),
                Some(_) | None => Err(Error::Full { map, setting, used, needed, max }),
            }
        };
        check("POLICY", "map-size-policy", entries, compiled.entries.len(), self.sizes.policy)?;
        check("PREFIXES", "map-size-prefixes", prefixes, compiled.prefixes.len(), self.sizes.prefixes)?;
        check("RULE_SETS", "map-size-rule-sets", self.rule_sets.len(), rule_sets, self.sizes.rule_sets)
    }

    /// Entries first, then the row that leads to them.
    fn write_compiled(&mut self, number: u32, compiled: &Compiled) -> Result<(), Error> {
        let keys: Vec<_> =
            compiled.entries.keys().map(|key| PolicyKey { rule_set: number, ..*key }).collect();
        let values: Vec<_> = compiled.entries.values().copied().collect();
        batch::update(&self.maps.policy, &keys, &values).map_err(|(_, e)| call("write", "POLICY")(e))?;
        for ((bits, key), class) in &compiled.prefixes {
            let key = Key::new(*bits, PrefixKey { rule_set: number, ..*key });
            self.maps.prefixes.insert(&key, class, 0).map_err(operation("write", "PREFIXES"))?;
        }
        self.maps.rule_sets.insert(number, compiled.shapes, 0).map_err(operation("write", "RULE_SETS"))
    }

    fn erase(&mut self, number: u32, compiled: &Compiled) -> Result<(), Error> {
        // Either may be absent: the write failed somewhere on the way.
        drop(self.maps.rule_sets.remove(&number));
        for (bits, key) in compiled.prefixes.keys() {
            drop(self.maps.prefixes.remove(&Key::new(*bits, PrefixKey { rule_set: number, ..*key })));
        }
        self.erase_entries(number, compiled)
    }

    fn erase_entries(&mut self, number: u32, compiled: &Compiled) -> Result<(), Error> {
        let keys: Vec<_> =
            compiled.entries.keys().map(|key| PolicyKey { rule_set: number, ..*key }).collect();
        batch::delete(&self.maps.policy, &keys).map_err(call("delete from", "POLICY"))
    }
}
