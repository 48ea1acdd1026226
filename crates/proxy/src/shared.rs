//! What all threads of the proxy share.

use crate::{
    configuration::Ready,
    gate::{Decided, Gate},
    message::{Access, Message, Verdict, What},
    names::Names,
    protocol::{Asked, Watched},
    settings::Settings,
    watch::Watchers,
};
use ciliate_bpf::View;
use ciliate_kafka::TopicIds;
use ciliate_types::Identity;
use nix::sys::eventfd::EventFd;
use std::{
    collections::{BTreeMap, HashMap},
    net::SocketAddr,
    sync::{
        Arc, Mutex, PoisonError, RwLock,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::Instant,
};

/// Topic ids of Kafka that are remembered between one identity of clients and one of brokers.
const TOPIC_IDS: usize = 10_000;
/// Pairs of identities whose topic ids are remembered while no connection needs them.
const TOPIC_PAIRS: usize = 256;

pub struct Shared {
    pub settings: Settings,
    pub http: Arc<ciliate_http::Settings>,
    pub view: View,
    topics: Mutex<HashMap<(Identity, Identity), Arc<TopicIds>>>,
    pub names: Names,
    pub counters: Counters,
    pub watchers: Watchers,
    pub started: Instant,
    /// The listening sockets' port.
    pub port: u16,
    ready: RwLock<Arc<Ready>>,
    /// Grows with each change of configuration or policy: gates of an older one are asked for anew.
    generation: AtomicU64,
    /// Wakes each worker.
    bells: Mutex<Vec<Arc<EventFd>>>,
    /// New connections are somebody else's now.
    draining: AtomicBool,
}

#[derive(Debug, Default)]
pub struct Counters {
    pub connections: AtomicU64,
    pub accepted: AtomicU64,
    forwarded: AtomicU64,
    denied: AtomicU64,
    audited: AtomicU64,
    refused: AtomicU64,
    pub queries: AtomicU64,
    pub answers: AtomicU64,
    pub under_way: AtomicU64,
    faults: Mutex<BTreeMap<&'static str, u64>>,
}

impl Counters {
    pub fn verdict(&self, verdict: Verdict) {
        let counter = match verdict {
            Verdict::Forwarded => &self.forwarded,
            Verdict::Denied => &self.denied,
            Verdict::Audited => &self.audited,
            Verdict::Refused => &self.refused,
        };
        counter.fetch_add(1, Relaxed);
    }

    pub fn fault(&self, name: &'static str) {
        let mut faults = self.faults.lock().unwrap_or_else(PoisonError::into_inner);
        let count = faults.entry(name).or_default();
        *count = count.saturating_add(1);
    }

    #[must_use]
    pub fn faults(&self) -> BTreeMap<String, u64> {
        let faults = self.faults.lock().unwrap_or_else(PoisonError::into_inner);
        faults.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect()
    }

    #[must_use]
    pub fn verdicts(&self) -> crate::message::Verdicts {
        crate::message::Verdicts {
            forwarded: self.forwarded.load(Relaxed),
            denied: self.denied.load(Relaxed),
            audited: self.audited.load(Relaxed),
            refused: self.refused.load(Relaxed),
        }
    }
}

impl Shared {
    #[must_use]
    pub fn new(settings: Settings, view: View, ready: Ready, names: Names, port: u16) -> Self {
        let watchers = Watchers::new(settings.accesses_per_second);
        Self {
            http: Arc::new(settings.http.clone()),
            settings,
            view,
            topics: Mutex::default(),
            names,
            counters: Counters::default(),
            watchers,
            started: Instant::now(),
            port,
            ready: RwLock::new(Arc::new(ready)),
            generation: AtomicU64::new(1),
            bells: Mutex::default(),
            draining: AtomicBool::new(false),
        }
    }

    /// The configuration and the generation that gates of it belong to.
    #[must_use]
    pub fn ready(&self) -> (u64, Arc<Ready>) {
        // In this order: a gate may be of a newer configuration than it says, never of an older one.
        let generation = self.generation();
        (generation, Arc::clone(&self.ready.read().unwrap_or_else(PoisonError::into_inner)))
    }

    #[must_use]
    pub fn generation(&self) -> u64 {
        self.generation.load(std::sync::atomic::Ordering::Acquire)
    }

    /// Judges by another configuration from now on.
    pub fn replace(&self, ready: Ready) {
        *self.ready.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(ready);
        self.renew();
    }

    /// Has every connection judged anew, at its next request or when its worker hears of it.
    pub fn renew(&self) {
        self.generation.fetch_add(1, std::sync::atomic::Ordering::AcqRel);
        self.ring();
    }

    /// A bell that wakes a worker.
    pub fn add_bell(&self, bell: Arc<EventFd>) {
        self.bells.lock().unwrap_or_else(PoisonError::into_inner).push(bell);
    }

    pub fn ring(&self) {
        for bell in self.bells.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            // A bell that is full rings already.
            let _ringing = bell.write(1);
        }
    }

    /// Takes no new connections from now on.
    pub fn drain(&self) {
        self.draining.store(true, std::sync::atomic::Ordering::Release);
        self.ring();
    }

    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.draining.load(std::sync::atomic::Ordering::Acquire)
    }

    /// What clients of one identity have learnt about the topics of brokers of another. Shared no further: a broker can
    /// mislead about itself only.
    #[must_use]
    pub fn topics(&self, client: Identity, server: Identity) -> Arc<TopicIds> {
        let mut pairs = self.topics.lock().unwrap_or_else(PoisonError::into_inner);
        if pairs.len() >= TOPIC_PAIRS {
            pairs.retain(|_, ids| Arc::strong_count(ids) > 1);
        }
        Arc::clone(pairs.entry((client, server)).or_insert_with(|| Arc::new(TopicIds::new(TOPIC_IDS))))
    }

    /// Counts a request, and tells watchers of it if it was put into words.
    pub fn note(&self, gate: &Gate, ends: (SocketAddr, SocketAddr), decided: Decided, what: Option<&What>) {
        self.counters.verdict(decided.verdict);
        if let Some(what) = what {
            self.watchers.tell(&gate.access(ends, decided, what));
        }
    }

    /// Tells watchers of the response to a request that was put into words.
    pub fn note_response(&self, gate: &Gate, ends: (SocketAddr, SocketAddr), asked: &Asked) {
        let latency = u64::try_from(asked.at.elapsed().as_nanos()).ok();
        let told = gate.access(ends, asked.decided, &asked.what);
        self.watchers.tell(&Access { message: Message::Response, latency, ..told });
    }

    /// Whether requests are worth putting into words.
    #[must_use]
    pub fn watched(&self) -> Watched {
        if self.watchers.wanted() { Watched::Yes } else { Watched::No }
    }
}
