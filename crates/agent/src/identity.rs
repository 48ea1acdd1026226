//! Numbers for sets of labels and for prefixes.

use crate::{
    failure::Result,
    state::{IdentityRow, State},
    stored::{StoredIdentity, kind, put},
};
use ciliate_policy::{Engine as Policy, fqdn_labels};
use ciliate_proxy::message::NameSet;
use ciliate_store::Write;
use ciliate_types::{Identity, Label, Labels, ReservedIdentity};
use ipnet::IpNet;
use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

/// Finds and gives numbers. The rows themselves stand in the state.
#[derive(Debug)]
pub struct Identities {
    by_labels: BTreeMap<Arc<Labels>, Identity>,
    by_prefix: BTreeMap<IpNet, Identity>,
    by_names: BTreeMap<Arc<NameSet>, Identity>,
    next_global: u32,
    next_local: u32,
    /// Since when nobody has used them.
    unused: BTreeMap<Identity, Instant>,
    delay: Duration,
}

/// What an identity stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Meaning {
    Labels(Labels),
    Prefix(IpNet),
    /// Addresses that were found under names.
    Names(NameSet),
}

const LAST_GLOBAL: u32 = Identity::FIRST_LOCAL.get() - 1;
const LAST_LOCAL: u32 = Identity::FIRST_REMOTE_NODE.get() - 1;

impl Identities {
    /// Puts the reserved identities into the state.
    pub fn new(delay: Duration, state: &mut State) -> Self {
        for reserved in ReservedIdentity::ALL {
            let labels = Arc::new(Labels::from_iter([Label::reserved(reserved)]));
            state
                .identities
                .put(reserved.into(), IdentityRow { labels, prefix: None, names: None, references: 0 });
        }
        Self {
            by_labels: BTreeMap::new(),
            by_prefix: BTreeMap::new(),
            by_names: BTreeMap::new(),
            next_global: Identity::FIRST_GLOBAL.get(),
            next_local: Identity::FIRST_LOCAL.get(),
            unused: BTreeMap::new(),
            delay,
        }
    }

    /// Takes over what the store has; until somebody uses it, it waits for its release.
    pub fn restore(&mut self, state: &mut State, identity: Identity, stored: StoredIdentity) {
        let meaning = match stored {
            StoredIdentity::Labels(labels) => Meaning::Labels(labels.iter().map(Label::from).collect()),
            StoredIdentity::Prefix(prefix) => Meaning::Prefix(prefix),
            StoredIdentity::Names(set) => Meaning::Names(set),
        };
        self.enter(state, identity, meaning);
        let next = match identity < Identity::FIRST_LOCAL {
            true => &mut self.next_global,
            false => &mut self.next_local,
        };
        *next = (*next).max(identity.get().saturating_add(1));
    }

    fn enter(&mut self, state: &mut State, identity: Identity, meaning: Meaning) {
        let (labels, prefix, names) = match meaning {
            Meaning::Labels(labels) => {
                let labels = Arc::new(labels);
                self.by_labels.insert(Arc::clone(&labels), identity);
                (labels, None, None)
            }
            Meaning::Prefix(prefix) => {
                self.by_prefix.insert(prefix, identity);
                (Arc::new(Policy::prefix_labels(&prefix)), Some(prefix), None)
            }
            Meaning::Names(set) => {
                let labels = fqdn_labels(&set.patterns, set.around.address(), set.around.prefix());
                let set = Arc::new(set);
                self.by_names.insert(Arc::clone(&set), identity);
                (Arc::new(labels), None, Some(set))
            }
        };
        state.identities.put(identity, IdentityRow { labels, prefix, names, references: 0 });
        self.unused.insert(identity, Instant::now());
    }

    pub fn find(&self, meaning: &Meaning) -> Option<Identity> {
        match meaning {
            Meaning::Labels(labels) => self.by_labels.get(labels).copied(),
            Meaning::Prefix(prefix) => self.by_prefix.get(prefix).copied(),
            Meaning::Names(set) => self.by_names.get(set).copied(),
        }
    }

    /// The number of each meaning, and what to write so that new ones outlive the agent.
    ///
    /// That must be on the disk before the kernel sees any of them: a number means one thing for good.
    pub fn give(&mut self, state: &mut State, meanings: Vec<Meaning>) -> Result<Given> {
        let mut given = Given::default();
        for meaning in meanings {
            let identity = match self.find(&meaning) {
                Some(identity) => identity,
                None => {
                    let identity = self.number(state, &meaning)?;
                    let stored = match &meaning {
                        Meaning::Labels(labels) => StoredIdentity::of_labels(labels),
                        Meaning::Prefix(prefix) => StoredIdentity::Prefix(*prefix),
                        Meaning::Names(set) => StoredIdentity::Names(set.clone()),
                    };
                    given.writes.push(put(kind::IDENTITY, &key(identity), &stored)?);
                    given.fresh.push(identity);
                    self.enter(state, identity, meaning);
                    identity
                }
            };
            given.identities.push(identity);
        }
        Ok(given)
    }

    /// Goes round, so that a number rests as long as possible before it means something else.
    fn number(&mut self, state: &State, meaning: &Meaning) -> Result<Identity> {
        let (next, first, last) = match meaning {
            Meaning::Labels(_) => (&mut self.next_global, Identity::FIRST_GLOBAL.get(), LAST_GLOBAL),
            Meaning::Prefix(_) | Meaning::Names(_) => {
                (&mut self.next_local, Identity::FIRST_LOCAL.get(), LAST_LOCAL)
            }
        };
        let free =
            (*next..=last).chain(first..*next).find(|n| state.identities.get(&Identity::new(*n)).is_none());
        let free = free.ok_or_else(|| {
            crate::failure::Failure::conflict(format!("all identities from {first} to {last} are in use"))
        })?;
        *next = match free < last {
            true => free.saturating_add(1),
            false => first,
        };
        Ok(Identity::new(free))
    }

    /// One user more.
    pub fn hold(&mut self, state: &mut State, identity: Identity) {
        state.identities.update(&identity, |row| row.references = row.references.saturating_add(1));
        self.unused.remove(&identity);
    }

    /// One user less; the number stays for a while.
    pub fn let_go(&mut self, state: &mut State, identity: Identity) {
        let left = state.identities.update(&identity, |row| {
            row.references = row.references.saturating_sub(1);
            row.references
        });
        if left == Some(0) {
            self.unused.insert(identity, Instant::now());
        }
    }

    /// Those that nobody has used for long enough.
    pub fn expired(&self, now: Instant) -> Vec<Identity> {
        let old = |since: &Instant| now.saturating_duration_since(*since) >= self.delay;
        self.unused.iter().filter(|(_, since)| old(since)).map(|(identity, _)| *identity).collect()
    }

    /// Forgets an identity whose row in the kernel is gone.
    pub fn forget(&mut self, state: &mut State, identity: Identity) -> Option<Write> {
        let row = state.identities.remove(&identity)?;
        match (row.prefix, &row.names) {
            (Some(prefix), _) => self.by_prefix.remove(&prefix),
            (None, Some(set)) => self.by_names.remove(set),
            (None, None) => self.by_labels.remove(&row.labels),
        };
        self.unused.remove(&identity);
        Some(Write::delete(kind::IDENTITY, &key(identity)))
    }

    pub fn of_prefix(&self, prefix: &IpNet) -> Option<Identity> {
        self.by_prefix.get(prefix).copied()
    }

    /// Those of addresses with names.
    pub fn names(&self) -> impl Iterator<Item = (&Arc<NameSet>, Identity)> {
        self.by_names.iter().map(|(set, identity)| (set, *identity))
    }

    pub fn prefixes(&self) -> impl Iterator<Item = (&IpNet, Identity)> {
        self.by_prefix.iter().map(|(prefix, identity)| (prefix, *identity))
    }
}

/// Numbers for meanings, in their order.
#[derive(Debug, Default)]
pub struct Given {
    pub identities: Vec<Identity>,
    /// Those that did not exist before.
    pub fresh: Vec<Identity>,
    pub writes: Vec<Write>,
}

/// Sorts as the number does.
fn key(identity: Identity) -> String {
    format!("{:08}", identity.get())
}

pub fn from_key(key: &str) -> Option<Identity> {
    key.parse().ok().map(Identity::new)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(text: &str) -> Meaning {
        Meaning::Labels(Labels::from_iter([text.parse().expect("label")]))
    }

    fn give(identities: &mut Identities, state: &mut State, meaning: &Meaning) -> (u32, usize) {
        let given = identities.give(state, vec![meaning.clone()]).expect("free");
        (given.identities[0].get(), given.writes.len())
    }

    #[test]
    fn a_number_means_one_thing_and_rests_before_it_means_another() {
        let mut state = State::new();
        let mut all = Identities::new(Duration::from_secs(60), &mut state);
        let (a, b) = (labels("k8s:a=1"), labels("k8s:b=1"));
        assert_eq!(give(&mut all, &mut state, &a), (256, 1));
        assert_eq!(give(&mut all, &mut state, &a), (256, 0));
        let net = Meaning::Prefix("10.0.0.0/8".parse().expect("net"));
        assert_eq!(give(&mut all, &mut state, &net), (1 << 24, 1));
        all.hold(&mut state, Identity::new(256));
        let later = Instant::now() + Duration::from_secs(61);
        assert_eq!(all.expired(later), [Identity::FIRST_LOCAL]);
        all.let_go(&mut state, Identity::new(256));
        assert_eq!(all.expired(Instant::now()), []);
        assert!(all.forget(&mut state, Identity::new(256)).is_some());
        assert_eq!(give(&mut all, &mut state, &b), (257, 1));
        assert_eq!(all.find(&a), None);
    }

    #[test]
    fn numbers_survive_a_restart() {
        let mut state = State::new();
        let mut all = Identities::new(Duration::from_secs(60), &mut state);
        let strange =
            Meaning::Labels(Labels::from_iter([ciliate_types::Label::new("container", "a:b", "c=d")]));
        let given = all.give(&mut state, vec![strange.clone(), labels("k8s:a=1")]).expect("free");
        let mut state = State::new();
        let mut all = Identities::new(Duration::from_secs(60), &mut state);
        for write in given.writes {
            let stored = serde_json::from_value(write.value.expect("a put")).expect("readable");
            all.restore(&mut state, from_key(&write.key).expect("number"), stored);
        }
        assert_eq!(all.find(&strange), Some(Identity::new(256)));
        assert_eq!(give(&mut all, &mut state, &labels("k8s:c=1")), (258, 1));
    }
}
