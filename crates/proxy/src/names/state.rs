//! What is known of names and addresses, and how the kernel is brought to say the same.

use super::{LearnError, Learned, Rows, late::Late, numbers::Numbers};
use crate::message::{Lesson, NameRules, NameSet};
use ciliate_dns::{CacheFile, Effects, Name, NameCache, Resolution, SelectorSet};
use ciliate_types::{EndpointId, Identity, IdentityScope};
use std::{
    collections::{BTreeSet, HashMap, HashSet},
    net::IpAddr,
};

#[derive(Debug)]
pub(super) struct State {
    pub(super) cache: NameCache,
    /// None once another process has it.
    pub(super) file: Option<CacheFile>,
    pub(super) late: Option<Late>,
    pub(super) effects: Effects,
    pub(super) rules: NameRules,
    pub(super) numbers: Numbers,
    /// What the kernel has of us.
    pub(super) written: HashMap<IpAddr, Identity>,
    /// Addresses whose set has no number yet.
    pub(super) waiting: HashMap<IpAddr, NameSet>,
    /// Sets without a number that agents have not been asked for yet.
    pub(super) wanted: BTreeSet<NameSet>,
    /// Addresses that could not be written.
    pub(super) owed: BTreeSet<IpAddr>,
    /// Addresses whose identity is another one than their connections were judged by.
    pub(super) moved: HashSet<IpAddr>,
}

impl State {
    pub(super) fn new(cache: NameCache, file: CacheFile) -> Self {
        Self {
            cache,
            file: Some(file),
            late: None,
            effects: Effects::default(),
            rules: NameRules::default(),
            numbers: Numbers::default(),
            written: HashMap::new(),
            waiting: HashMap::new(),
            wanted: BTreeSet::new(),
            owed: BTreeSet::new(),
            moved: HashSet::new(),
        }
    }

    /// Has the process learn that keeps the names now.
    pub(super) fn pass_on(
        &mut self,
        endpoint: Option<EndpointId>,
        name: &Name,
        found: &[Resolution],
    ) -> Result<Learned, LearnError> {
        if found.is_empty() {
            return Ok(Learned::Settled);
        }
        let addresses = found.iter().map(|one| (one.address, one.ttl)).collect();
        let lesson = Lesson { endpoint, name: name.into(), addresses };
        match self.late.as_mut().is_some_and(|late| late.pass_on(lesson)) {
            true => Ok(Learned::PassedOn),
            false => Err(LearnError::HandedOver),
        }
    }

    /// Writes what an operation on the cache asks for.
    pub(super) fn carry_out(&mut self, view: &dyn Rows) -> Result<(), LearnError> {
        let mut effects = std::mem::take(&mut self.effects);
        let mut result = Ok(());
        let owed = std::mem::take(&mut self.owed);
        let changed = effects.changes.iter().map(|change| change.address);
        // Each is brought to where it belongs now, so an address that stands there twice is no harm.
        for address in owed.into_iter().chain(changed) {
            let selectors = self.cache.selectors_of(address);
            if let Err(error) = self.apply(view, address, &selectors) {
                self.owed.insert(address);
                result = Err(error);
            }
        }
        let written = match &mut self.file {
            Some(file) if !effects.log.is_empty() => file.append(&effects.log),
            Some(_) | None => Ok(()),
        };
        effects.clear();
        self.effects = effects;
        result?;
        written.map_err(LearnError::from)
    }

    /// Gives an address the identity that its selectors come to.
    fn apply(
        &mut self,
        view: &dyn Rows,
        address: IpAddr,
        selectors: &SelectorSet,
    ) -> Result<(), ciliate_bpf::Error> {
        if selectors.is_empty() {
            self.waiting.remove(&address);
            return self.write(view, address, None);
        }
        let around = self.numbers.around(address);
        if let Some(identity) = self.numbers.exact(selectors, around) {
            self.waiting.remove(&address);
            return self.write(view, address, Some(identity));
        }
        let set = self.numbers.set(selectors, around);
        self.waiting.insert(address, set.clone());
        self.wanted.insert(set);
        let nearest = self.numbers.nearest(selectors, around, self.written.get(&address).copied());
        self.write(view, address, nearest)
    }

    fn write(
        &mut self,
        view: &dyn Rows,
        address: IpAddr,
        identity: Option<Identity>,
    ) -> Result<(), ciliate_bpf::Error> {
        if self.written.get(&address).copied() == identity {
            return Ok(());
        }
        // An address that is an endpoint's, the host's or another node's is that, whatever a server says of it.
        let taken = |identity: Identity| identity.scope() != IdentityScope::Local;
        if view.identity_of(address)?.is_some_and(taken) {
            self.written.remove(&address);
            return Ok(());
        }
        match (identity, self.numbers.own_row(address)) {
            (Some(identity), _) | (None, Some(identity)) => view.put_identity(address, identity)?,
            (None, None) => view.remove_identity(address)?,
        }
        let before = match identity {
            Some(identity) => self.written.insert(address, identity),
            None => self.written.remove(&address),
        };
        if before.is_some() && before != identity {
            self.moved.insert(address);
        }
        Ok(())
    }

    /// Other rules; the kernel has afterwards what the cache says, and nothing else that names ever gave an address.
    pub(super) fn configure(&mut self, rules: NameRules, view: &dyn Rows) -> Result<(), LearnError> {
        self.numbers = Numbers::new(&rules);
        self.rules = rules;
        self.cache.set_selectors(self.numbers.selectors(), &mut self.effects);
        self.effects.changes.clear();
        self.written.clear();
        self.waiting.clear();
        self.wanted.clear();
        self.owed.clear();
        let selected: Vec<(IpAddr, SelectorSet)> =
            self.cache.selected().map(|(address, set)| (address, set.clone())).collect();
        let known: HashSet<IpAddr> = selected.iter().map(|(address, _)| *address).collect();
        for (net, identity) in view.identities()? {
            if net.prefix_len() != net.max_prefix_len() || !self.numbers.is_ours(identity) {
                continue;
            }
            self.written.insert(net.addr(), identity);
            if !known.contains(&net.addr()) {
                self.write(view, net.addr(), None)?;
            }
        }
        let mut result = Ok(());
        for (address, selectors) in selected {
            if let Err(error) = self.apply(view, address, &selectors) {
                self.owed.insert(address);
                result = Err(error);
            }
        }
        result?;
        self.carry_out(view)
    }
}
