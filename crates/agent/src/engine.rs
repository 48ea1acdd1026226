//! The one thread that changes anything: requests come in through a bounded channel and are dealt with one by one.
//!
//! Each change is a transaction: check it, prepare it in the kernel where nothing refers to it yet, write it to the
//! store, put it in force, publish it. What fails before the store has it is undone and leaves no trace.
//!
//! The kernel is changed in an order in which no packet meets a half-way state: an identity is known to every rule set
//! before an address has it, and no address has it any more when rule sets forget it.

mod admit;
mod create;
mod down;
mod endpoint;
pub mod inspect;
mod names;
mod object;
mod remove;
mod restore;
mod rules;
mod secrets;
#[cfg(test)]
mod tests;
mod trace;
mod upkeep;
mod view;

use crate::{
    failure::{Failure, Result},
    identity::Identities,
    ipam::Ipam,
    kernel::{DeviceIds, Handle, Kernel, node_settings},
    notice::Notices,
    proxy::{Proxy, Told},
    runtime_config::{Patched, RuntimeConfig},
    state::State,
    translate,
};
use ciliate_api::{
    EndpointLogEntry, EndpointState,
    settings::{Config, Resolved},
};
use ciliate_policy::{
    AllowLocalhost, CidrMatchMode, EnforcementMode, Engine as Policy, NamedPorts, Settings as PolicySettings,
    rule_set::RuleSet,
};
use ciliate_store::Embedded;
use ciliate_types::EndpointId;
use jiff::Timestamp;
use rules::RuleSets;
use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
    time::Instant,
};
use tokio::sync::{mpsc, oneshot, watch};

/// Requests that may wait for the engine.
const QUEUE: usize = 256;

type Job = Box<dyn FnOnce(&mut Engine) + Send>;

/// Where requests are handed in. Cheap to clone; the engine ends when all are dropped.
#[derive(Clone)]
pub struct Requests(mpsc::Sender<Job>);

/// The engine's end of the channel.
pub struct Inbox(mpsc::Receiver<Job>);

pub fn channel() -> (Requests, Inbox) {
    let (sender, receiver) = mpsc::channel(QUEUE);
    (Requests(sender), Inbox(receiver))
}

/// The same for whoever must not keep the engine from ending.
#[derive(Clone)]
pub struct WeakRequests(mpsc::WeakSender<Job>);

impl WeakRequests {
    /// Has something done, if there is still somebody to do it. Must not be called from asynchronous code.
    pub fn tell(&self, work: impl FnOnce(&mut Engine) + Send + 'static) {
        if let Some(sender) = self.0.upgrade()
            && sender.blocking_send(Box::new(work)).is_err()
        {
            tracing::debug!("the engine has ended");
        }
    }
}

impl Requests {
    #[must_use]
    pub fn downgrade(&self) -> WeakRequests {
        WeakRequests(self.0.downgrade())
    }

    /// Has something done and waits for the answer.
    pub async fn call<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Engine) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let ended = |_| Failure::unavailable("the agent is shutting down: try again when it runs");
        let (answer, answered) = oneshot::channel();
        let job = move |engine: &mut Engine| {
            // Whoever asked may have gone away; the work is done nevertheless.
            let _ = answer.send(work(engine));
        };
        self.0.send(Box::new(job)).await.map_err(|_| ended(()))?;
        answered.await.map_err(|_| ended(()))?
    }
}

/// All that the thread owns.
pub struct Engine {
    pub(crate) config: Config,
    settings: RuntimeConfig,
    policy: Policy,
    kernel: Box<dyn Kernel>,
    store: Arc<Embedded>,
    state: State,
    identities: Identities,
    ipam: Ipam,
    rules: RuleSets,
    proxy: Told,
    locals: BTreeMap<EndpointId, Local>,
    logs: BTreeMap<EndpointId, VecDeque<EndpointLogEntry>>,
    next_id: u16,
    published: watch::Sender<Arc<State>>,
    configs: watch::Sender<Config>,
    notices: Notices,
    /// What the hosts file says, or why it could not be written.
    hosts: Result<String, String>,
    /// Maps whose fill level was reported.
    pressed: BTreeSet<&'static str>,
    memory: Memory,
    /// What rules in force miss of secrets, as it was logged.
    lacking: BTreeSet<String>,
    /// The proxy has not acknowledged which patterns are in use now.
    names_owed: bool,
    presence: Presence,
    changes: PolicyChanges,
    started: Instant,
}

/// Whether there is anything to look after.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Presence {
    Up,
    /// Everything was taken down; the agent is about to end.
    Down,
}

/// Requests to change objects, by how they ended.
#[derive(Clone, Copy, Debug, Default)]
pub struct PolicyChanges {
    pub done: u64,
    pub refused: u64,
}

/// Whether something large was dealt with, whose memory should go back.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Memory {
    InUse,
    Spare,
}

/// What the engine keeps of an endpoint besides its row.
struct Local {
    device: DeviceIds,
    ports: NamedPorts,
    rules: Arc<RuleSet>,
    handle: Handle,
}

/// What an engine is made of.
pub struct Parts {
    pub config: Config,
    pub settings: RuntimeConfig,
    pub kernel: Box<dyn Kernel>,
    pub proxy: Box<dyn Proxy>,
    pub store: Arc<Embedded>,
    pub notices: Notices,
}

impl Engine {
    /// Without any state yet: see [`Engine::restore`].
    pub fn new(parts: Parts) -> (Self, watch::Receiver<Arc<State>>) {
        let Parts { config, settings, kernel, proxy, store, notices } = parts;
        let mut state = State::new();
        let identities = Identities::new(config.identity_release_delay.0, &mut state);
        let (published, reader) = watch::channel(Arc::new(state.clone()));
        let engine = Self {
            policy: Policy::new(policy_settings(&config)),
            ipam: Ipam::new(&config),
            configs: watch::Sender::new(config.clone()),
            config,
            settings,
            kernel,
            store,
            state,
            identities,
            rules: RuleSets::default(),
            proxy: Told::new(proxy),
            locals: BTreeMap::new(),
            logs: BTreeMap::new(),
            next_id: 1,
            published,
            notices,
            hosts: Ok(String::new()),
            pressed: BTreeSet::new(),
            memory: Memory::Spare,
            lacking: BTreeSet::new(),
            names_owed: false,
            presence: Presence::Up,
            changes: PolicyChanges::default(),
            started: Instant::now(),
        };
        (engine, reader)
    }

    /// Deals with requests until nobody can hand one in.
    pub fn run(mut self, mut inbox: Inbox) {
        while let Some(job) = inbox.0.blocking_recv() {
            job(&mut self);
        }
    }

    /// Lets everybody see the state as it is now, and writes what follows from it outside of the kernel's maps.
    fn publish(&mut self) {
        let previous = self.published.send_replace(Arc::new(self.state.clone()));
        if previous.endpoints.revision() == self.state.endpoints.revision() {
            return;
        }
        let hosts = crate::hosts::render(&self.state);
        if self.hosts.as_ref() != Ok(&hosts) {
            let written = ciliate_net::rewrite_in_place(&self.hosts_file(), hosts.as_bytes());
            self.hosts = written.map(|()| hosts).map_err(|e| e.to_string());
            if let Err(fault) = &self.hosts {
                tracing::warn!(%fault, "names of endpoints are out of date");
            }
        }
    }

    pub(crate) fn hosts_file(&self) -> std::path::PathBuf {
        self.config.run_dir.join("hosts")
    }

    /// Published ports and masquerading as the endpoints of `state` need it.
    fn apply_translation(&mut self) -> Result<()> {
        let masquerade = translate::rules(&self.config, &self.ipam.networks(), &self.state);
        Ok(self.kernel.translate(&masquerade)?)
    }

    fn log(&mut self, id: EndpointId, state: EndpointState, result: Result<&str, &Failure>) {
        let (code, message) = match result {
            Ok(message) => ("OK".to_owned(), message.to_owned()),
            Err(failure) => ("Failure".to_owned(), failure.to_string()),
        };
        tracing::info!(endpoint = %id, %state, code, "{message}");
        let entries = self.logs.entry(id).or_default();
        let room = usize::try_from(self.config.endpoint_log_size.0).unwrap_or(usize::MAX);
        while entries.len() >= room {
            entries.pop_front();
        }
        entries.push_back(EndpointLogEntry { time: Timestamp::now(), state, code, message });
    }

    /// Takes new values of settings that may change while the agent runs, all or none.
    pub fn configure(&mut self, patch: &BTreeMap<String, String>) -> Result<Vec<Resolved>> {
        let Patched { settings, config, writes } = self.settings.patched(patch)?;
        crate::observer::check(&config)?;
        let before = std::mem::replace(&mut self.config, config);
        let effect = self.policy.set_settings(policy_settings(&self.config));
        drop(effect);
        let gateways = self.ipam.gateways();
        let applied = self
            .kernel
            .set_node(&node_settings(&self.config, &gateways))
            .map_err(Failure::from)
            .and_then(|()| self.refresh())
            .and_then(|()| Ok(self.store.commit(&writes).map(drop)?));
        if let Err(failure) = applied {
            self.config = before;
            self.policy.set_settings(policy_settings(&self.config));
            // The kernel had the old values and rules before.
            let _ = self.kernel.set_node(&node_settings(&self.config, &gateways));
            let _ = self.refresh();
            return Err(failure);
        }
        self.settings = settings;
        crate::logging::set_level(self.config.log_level);
        self.configs.send_replace(self.config.clone());
        self.describe_policies();
        self.publish();
        Ok(self.settings.rows().to_vec())
    }

    /// Tells of the settings that are in force, for what is not the engine's.
    pub fn configs(&self) -> watch::Receiver<Config> {
        self.configs.subscribe()
    }

    pub fn settings(&self) -> &[Resolved] {
        self.settings.rows()
    }

    pub fn state(&self) -> &State {
        &self.state
    }

    pub fn usage(&self) -> Vec<ciliate_bpf::MapUsage> {
        self.kernel.usage()
    }

    pub fn packet_counts(&self) -> Result<Vec<ciliate_bpf::MetricRow>> {
        Ok(self.kernel.metrics()?)
    }

    pub fn lost_events(&self) -> Result<ciliate_bpf::LostEvents> {
        Ok(self.kernel.lost_events()?)
    }

    pub fn policy_changes(&self) -> PolicyChanges {
        self.changes
    }

    pub fn pools(&self) -> Vec<ciliate_api::PoolStatus> {
        self.ipam.status()
    }

    pub fn store_path(&self) -> &std::path::Path {
        self.store.path()
    }

    pub fn uptime(&self) -> std::time::Duration {
        self.started.elapsed()
    }

    pub fn hosts(&self) -> Result<&str, &str> {
        self.hosts.as_deref().map_err(String::as_str)
    }
}

fn policy_settings(config: &Config) -> PolicySettings {
    use ciliate_api::settings as s;
    PolicySettings {
        enforcement: match config.policy_enforcement {
            s::EnforcementMode::Default => EnforcementMode::Default,
            s::EnforcementMode::Always => EnforcementMode::Always,
            s::EnforcementMode::Never => EnforcementMode::Never,
        },
        cidr_match_mode: CidrMatchMode {
            nodes: config.policy_cidr_match_mode.contains(&s::CidrMatchTarget::Nodes),
            endpoints: config.policy_cidr_match_mode.contains(&s::CidrMatchTarget::Endpoints),
        },
        allow_localhost: match config.allow_localhost {
            s::AllowLocalhost::Always => AllowLocalhost::Always,
            s::AllowLocalhost::Policy => AllowLocalhost::Policy,
        },
        cluster_name: config.cluster_name.clone(),
    }
}
