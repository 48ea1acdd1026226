//! What names resolved to, and the identities that addresses have because of it.
//!
//! The proxy writes them into the kernel itself, so that new names become reachable while the agent is away. The agent gives
//! the numbers: one for each set of patterns that some name matches, with the prefix around the address. A set that has no
//! number yet is asked for; until the agent has answered, the address has the identity of the largest part of the set that
//! has one. That allows less than policy does, never more.

mod late;
mod numbers;
mod rows;
mod state;
mod upkeep;

pub use late::{PATIENCE as LATE_PATIENCE, start as teach_successor};
pub use rows::Rows;
pub use upkeep::start as start_upkeep;

use crate::message::{CachedAddress, CachedName, NameRules, NameSet, NameStatus};
use crate::{settings::DnsSettings, shared::Counters};
use ciliate_bpf::View;
use ciliate_dns::{
    CacheFile, CacheFull, CacheSettings, Name, NameCache, NameMatcher, Resolution, SelectorId, Torn,
    UnixTime, read_pre_cache,
};
use ciliate_types::{EndpointId, NamePattern};
use numbers::Numbers;
use state::State;
use std::{
    collections::{BTreeSet, HashMap},
    io,
    net::IpAddr,
    path::Path,
    sync::{
        Mutex, MutexGuard, PoisonError,
        mpsc::{Receiver, SyncSender, TrySendError, sync_channel},
    },
    time::{Duration, SystemTime},
};
use thiserror::Error;

/// Questions that wait for the agent.
const WANTED_QUEUE: usize = 1024;
const FILE: &str = "names";

/// Why an answer must not be released.
#[derive(Debug, Error)]
pub enum LearnError {
    #[error(transparent)]
    Full(#[from] CacheFull),
    #[error(transparent)]
    Kernel(#[from] ciliate_bpf::Error),
    #[error(transparent)]
    Disk(#[from] ciliate_dns::DiskError),
    #[error("another process keeps the names now")]
    HandedOver,
}

/// Whether addresses have the identity that they are to have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Learned {
    Settled,
    /// Not yet; the agent was asked.
    Asked,
    /// Not yet; the process that keeps the names now was told.
    PassedOn,
}

#[derive(Debug)]
pub struct Names {
    state: Mutex<State>,
    /// Agents that number sets.
    agents: Mutex<Vec<SyncSender<Vec<NameSet>>>>,
}

/// Who numbers what has no number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Agents {
    Asked,
    Away,
}

/// Whether addresses have changed their identities.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moved {
    None,
    Some,
}

/// What becomes of an answer that has waited for too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Overdue {
    Release,
    Withhold,
}

impl Learned {
    /// How long an answer may be held back for it; none if it need not be.
    #[must_use]
    pub fn wait(self, settings: &DnsSettings) -> Option<Duration> {
        match self {
            Self::Settled => None,
            Self::Asked => Some(settings.response_max_delay),
            Self::PassedOn => Some(LATE_PATIENCE),
        }
    }

    /// The wait was in vain: counts that, and says what becomes of the answer. One whose addresses have an identity that allows less
    /// may be of use; one whose addresses nobody has written is not.
    pub(crate) fn overdue(self, counters: &Counters) -> Overdue {
        match self {
            Self::Settled | Self::Asked => {
                counters.fault("tofqdns-proxy-response-max-delay");
                Overdue::Release
            }
            Self::PassedOn => Overdue::Withhold,
        }
    }
}

fn now() -> UnixTime {
    UnixTime::of(SystemTime::now())
}

impl Names {
    /// What an earlier process knew, and what is in `pre_cache`; all of it is in the kernel afterwards.
    pub fn open(
        state_dir: &Path,
        settings: CacheSettings,
        pre_cache: Option<&Path>,
        rules: NameRules,
        view: &dyn Rows,
    ) -> Result<Self, LearnError> {
        let opened = CacheFile::open(&state_dir.join(FILE))?;
        match &opened.torn {
            None => {}
            Some(Torn::End { kept, dropped }) => {
                tracing::warn!(
                    kept,
                    dropped,
                    "the end of the file of names was torn: its last names are lost"
                );
            }
            Some(Torn::Foreign(path)) => {
                tracing::warn!(path = %path.display(), "the file of names was unreadable and lies here now");
            }
        }
        let (cache, report) = NameCache::load(&opened.bytes, settings, now());
        if report.refused > 0 {
            tracing::warn!(names = report.refused, "known names do not fit into today's limits");
        }
        let mut state = State::new(cache, opened.file);
        if let Err(error) = state.configure(rules, view) {
            // Other rules must not suffer from it.
            tracing::error!(%error, "some names that were known are not reachable yet; it is tried again every second");
        }
        let names = Self { state: Mutex::new(state), agents: Mutex::default() };
        if let Some(path) = pre_cache {
            names.read_pre_cache(path, view);
        }
        Ok(names)
    }

    fn read_pre_cache(&self, path: &Path, view: &dyn Rows) {
        let read = std::fs::read(path).map_err(|error| error.to_string());
        let read = read.and_then(|json| read_pre_cache(&json, now()).map_err(|error| error.to_string()));
        match read {
            Ok(all) => {
                for known in all {
                    if let Err(error) = self.learn(view, None, &known.name, &known.addresses) {
                        tracing::warn!(name = %known.name, %error, "cannot take over a name of the pre-cache");
                    }
                }
            }
            Err(error) => tracing::error!(path = %path.display(), error, "cannot read the pre-cache"),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps what a name resolved to. Afterwards the kernel has every address, and the answer may be released: at once, or
    /// after an [asked](Learned::Asked) agent has answered or taken too long.
    pub fn learn(
        &self,
        view: &dyn Rows,
        endpoint: Option<EndpointId>,
        name: &Name,
        found: &[Resolution],
    ) -> Result<Learned, LearnError> {
        let mut state = self.lock();
        let state = &mut *state;
        if state.file.is_none() {
            return state.pass_on(endpoint, name, found);
        }
        let learned = state.cache.learn(now(), endpoint, name, found, &mut state.effects);
        let agents = self.carry_out(state, view)?;
        learned?;
        match agents {
            Agents::Asked if found.iter().any(|one| state.waiting.contains_key(&one.address)) => {
                Ok(Learned::Asked)
            }
            Agents::Asked | Agents::Away => Ok(Learned::Settled),
        }
    }

    /// Whether none of these addresses waits for a number, or for another process.
    #[must_use]
    pub fn is_settled(&self, addresses: &[IpAddr]) -> bool {
        let state = self.lock();
        let is_late = |address| state.late.as_ref().is_some_and(|late| late.is_under_way(address));
        !addresses.iter().any(|address| state.waiting.contains_key(address) || is_late(*address))
    }

    /// Writes what an operation on the cache asks for, and has the agents number what has none.
    fn carry_out(&self, state: &mut State, view: &dyn Rows) -> Result<Agents, LearnError> {
        let done = state.carry_out(view);
        let agents = self.ask(state);
        done.map(|()| agents)
    }

    /// Has the agents number what is wanted. What one has no room for stays wanted; without agents nothing does, for the next one
    /// is told of all that waits.
    fn ask(&self, state: &mut State) -> Agents {
        let mut agents = self.agents.lock().unwrap_or_else(PoisonError::into_inner);
        if !state.wanted.is_empty() {
            let mut is_left = false;
            agents.retain(|agent| match agent.try_send(state.wanted.iter().cloned().collect()) {
                Ok(()) => true,
                Err(TrySendError::Full(_)) => {
                    is_left = true;
                    true
                }
                Err(TrySendError::Disconnected(_)) => false,
            });
            if !is_left {
                state.wanted.clear();
            }
        }
        match agents.is_empty() {
            true => Agents::Away,
            false => Agents::Asked,
        }
    }

    /// What has no number yet, and from then on what comes up.
    pub fn serve_agent(&self) -> Receiver<Vec<NameSet>> {
        let (sender, receiver) = sync_channel(WANTED_QUEUE);
        // Held to the end: what comes up meanwhile must find the new agent.
        let state = self.lock();
        let open: BTreeSet<&NameSet> = state.waiting.values().collect();
        let mut agents = self.agents.lock().unwrap_or_else(PoisonError::into_inner);
        if !open.is_empty() {
            // The channel is empty and has room.
            let _sent = sender.try_send(open.into_iter().cloned().collect());
        }
        agents.push(sender);
        receiver
    }

    /// An agent has gone.
    pub fn forget_agents(&self) {
        let mut agents = self.agents.lock().unwrap_or_else(PoisonError::into_inner);
        agents.retain(|agent| !matches!(agent.try_send(Vec::new()), Err(TrySendError::Disconnected(_))));
    }

    /// Goes by other rules from now on; every known address has the identity that they give it.
    pub fn configure(&self, rules: NameRules, view: &dyn Rows) -> Result<(), LearnError> {
        let mut state = self.lock();
        if state.rules == rules {
            return Ok(());
        }
        let done = state.configure(rules, view);
        self.ask(&mut state);
        done
    }

    /// The sets that known addresses would need under other rules.
    #[must_use]
    pub fn plan(&self, rules: &NameRules) -> Vec<NameSet> {
        let state = self.lock();
        let numbers = Numbers::new(rules);
        let matcher = NameMatcher::new(numbers.selectors());
        let mut members: HashMap<IpAddr, BTreeSet<SelectorId>> = HashMap::new();
        let mut ids = Vec::new();
        for lookup in state.cache.lookups() {
            matcher.matching(&lookup.name, &mut ids);
            if !ids.is_empty() {
                for row in &lookup.addresses {
                    members.entry(row.address).or_default().extend(&ids);
                }
            }
        }
        let sets: BTreeSet<NameSet> = members
            .into_iter()
            .map(|(address, ids)| {
                let ids: Vec<_> = ids.into_iter().collect();
                numbers.set(&ids, numbers.around(address))
            })
            .collect();
        sets.into_iter().collect()
    }

    pub fn list(&self) -> Vec<CachedName> {
        let state = self.lock();
        let view = |row: ciliate_dns::LookupView| CachedName {
            endpoint: row.endpoint,
            name: row.name.to_string(),
            addresses: row
                .addresses
                .iter()
                .map(|one| CachedAddress {
                    address: one.address,
                    ttl: one.ttl,
                    expires: one.expires.0,
                    source: one.source.as_str().to_owned(),
                    identity: state.written.get(&one.address).copied(),
                })
                .collect(),
        };
        let mut all: Vec<_> = state.cache.lookups().map(view).collect();
        all.sort_by(|a, b| (a.endpoint, &a.name).cmp(&(b.endpoint, &b.name)));
        all
    }

    /// Forgets names, whoever uses their addresses.
    pub fn clean(&self, which: Option<&NamePattern>, view: &dyn Rows) -> Result<usize, LearnError> {
        let matcher = which.map(|pattern| NameMatcher::new([(SelectorId(0), pattern.clone())]));
        let mut state = self.lock();
        let state = &mut *state;
        let chosen = |_, name: &Name| matcher.as_ref().is_none_or(|matcher| matcher.matches(name));
        let cleaned = state.cache.clean(chosen, &mut state.effects);
        self.carry_out(state, view)?;
        Ok(cleaned)
    }

    pub fn forget_endpoint(&self, endpoint: EndpointId, view: &dyn Rows) -> Result<(), LearnError> {
        let mut state = self.lock();
        let state = &mut *state;
        state.cache.remove_endpoint(endpoint, &mut state.effects);
        self.carry_out(state, view).map(drop)
    }

    /// Has connections judged again whose addresses have lost the identity that they had by their names, or have another one. Says
    /// whether there are such addresses.
    pub fn judge_again(&self, view: &View) -> Result<Moved, LearnError> {
        let moved = std::mem::take(&mut self.lock().moved);
        if moved.is_empty() {
            return Ok(Moved::None);
        }
        if let Err(error) = view.judge_again(|address| moved.contains(&address)) {
            self.lock().moved.extend(moved);
            return Err(error.into());
        }
        Ok(Moved::Some)
    }

    #[must_use]
    pub fn is_handed_over(&self) -> bool {
        self.lock().file.is_none()
    }

    #[must_use]
    pub fn status(&self) -> NameStatus {
        let state = self.lock();
        let stats = state.cache.stats();
        NameStatus {
            names: stats.lookups,
            addresses: stats.addresses,
            selected: state.written.len(),
            waiting: state.waiting.len(),
            ..NameStatus::default()
        }
    }
}

impl From<LearnError> for io::Error {
    fn from(error: LearnError) -> Self {
        Self::other(error)
    }
}
