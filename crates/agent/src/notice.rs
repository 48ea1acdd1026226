//! Events on their way to whoever watches. A watcher that is too slow loses some and learns how many.
//!
//! The kernel and the proxy report what some watcher wants and nothing else.

mod wishes;

use crate::{news::News, proxy::Attention};
use ciliate_api::{Event, EventBody, MonitorFilter};
use ciliate_bpf::EventWatch;
use ciliate_flow::Time;
use ciliate_observer::{AgentEntry, log::Writer};
use ciliate_proxy::message::Interest;
use jiff::Timestamp;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use tokio::sync::{broadcast, watch};
use wishes::{Wish, Wishes};

/// Events that a watcher may be behind.
const BEHIND: usize = 4096;

#[derive(Clone)]
pub struct Notices {
    events: broadcast::Sender<Arc<Event>>,
    /// Whether anybody wants events of the kernel.
    wanted: watch::Sender<bool>,
    kernel: Arc<Mutex<Kernel>>,
    proxy: Attention,
    agent_log: Arc<OnceLock<Mutex<Writer<AgentEntry>>>>,
}

/// What watchers want and what the programs know of it.
struct Kernel {
    wishes: Wishes,
    /// None where there are no programs.
    watch: Option<EventWatch>,
    /// Bytes of a packet for those who want any.
    capture: u32,
}

/// One watcher's place; leaving it takes its wishes back.
pub struct Subscription {
    pub events: broadcast::Receiver<Arc<Event>>,
    _wanted: Wanted,
}

/// That somebody wants events, until it is dropped.
pub struct Wanted {
    notices: Notices,
    wish: Wish,
}

impl Drop for Wanted {
    fn drop(&mut self) {
        let mut kernel = self.notices.kernel();
        kernel.wishes.remove(self.wish);
        if let Err(error) = self.notices.tell(&mut kernel) {
            tracing::warn!(%error, "the kernel goes on reporting what nobody wants");
        }
    }
}

impl Notices {
    /// With `capture` bytes of a packet for those who want any.
    pub fn new(watch: Option<EventWatch>, capture: u32, proxy: Attention) -> Self {
        let kernel = Kernel { wishes: Wishes::default(), watch, capture };
        Self {
            events: broadcast::channel(BEHIND).0,
            wanted: watch::Sender::new(false),
            kernel: Arc::new(Mutex::new(kernel)),
            proxy,
            agent_log: Arc::default(),
        }
    }

    /// Takes part from now on: when this returns, the kernel and the proxy report what the filter lets pass.
    pub fn subscribe(&self, filter: &MonitorFilter) -> Result<Subscription, ciliate_bpf::Error> {
        let events = self.events.subscribe();
        Ok(Subscription { events, _wanted: self.want(Wish::of(filter))? })
    }

    /// Has the kernel and the proxy report everything, for whoever looks at it elsewhere.
    pub fn observe(&self) -> Result<Wanted, ciliate_bpf::Error> {
        self.want(Wish::of(&MonitorFilter::default()))
    }

    fn want(&self, wish: Wish) -> Result<Wanted, ciliate_bpf::Error> {
        let mut kernel = self.kernel();
        kernel.wishes.add(wish);
        // From here on, dropping it takes the wish back; the lock must be free by then.
        let wanted = Wanted { notices: self.clone(), wish };
        let told = self.tell(&mut kernel);
        drop(kernel);
        told.map(|()| wanted)
    }

    /// Tells the programs what is wanted, also at the start: an earlier agent may have left them talking.
    pub fn renew(&self) -> Result<(), ciliate_bpf::Error> {
        self.tell(&mut self.kernel())
    }

    /// Whether anybody wants events of the kernel.
    pub fn wanted(&self) -> bool {
        *self.wanted.borrow()
    }

    /// Waits until somebody wants events of the kernel.
    pub async fn begun(&self) {
        // The sender is in our hands.
        let _ = self.wanted.subscribe().wait_for(|wanted| *wanted).await;
    }

    /// Whether anybody would receive what is sent.
    pub fn watched(&self) -> bool {
        self.events.receiver_count() > 0
    }

    pub fn send(&self, time: Timestamp, body: EventBody) {
        if self.watched() {
            // Nobody watching any more is well.
            let _ = self.events.send(Arc::new(Event { time, body }));
        }
    }

    /// Something the agent did.
    pub fn agent(&self, news: &News<'_>) {
        if let Some(log) = self.agent_log.get() {
            let mut log = log.lock().unwrap_or_else(PoisonError::into_inner);
            let now = u64::try_from(Timestamp::now().as_nanosecond()).unwrap_or(0);
            log.append(AgentEntry { time: Time(now), event: news.event() });
            log.ring();
        }
        let (subject, message, endpoint) = (news.subject().to_owned(), news.text(), news.endpoint());
        self.send(Timestamp::now(), EventBody::Agent { subject, message, endpoint });
    }

    /// Has what the agent does from now on kept for Hubble's clients.
    pub fn keep_agent_events(&self, log: Writer<AgentEntry>) {
        // Whoever was first keeps them.
        let _ = self.agent_log.set(Mutex::new(log));
    }

    fn kernel(&self) -> MutexGuard<'_, Kernel> {
        // What a panic elsewhere left is still a count of wishes.
        self.kernel.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self, kernel: &mut Kernel) -> Result<(), ciliate_bpf::Error> {
        let wish = kernel.wishes.sum();
        self.proxy.set(if wish.requests { Interest::Requests } else { Interest::Nothing });
        let capture = if wish.bytes { kernel.capture } else { 0 };
        let told = kernel.watch.as_mut().map_or(Ok(()), |watch| watch.set(wish.kinds, capture));
        self.wanted
            .send_if_modified(|wanted| std::mem::replace(wanted, wish.kinds != 0) != (wish.kinds != 0));
        told
    }
}
