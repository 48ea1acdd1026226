//! The thread itself.

mod answers;
mod queries;

use super::{
    Random,
    datagram::Speaker,
    gates::Gates,
    lanes::Lanes,
    many::{self, Inbox},
};
use crate::{
    gate::{Decided, Gate},
    shared::Shared,
};
use answers::Held;
use ciliate_dns::{Asked, Pending, Reply, Resolved, reply};
use nix::errno::Errno;
use nix::sys::{
    epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout},
    eventfd::{EfdFlags, EventFd},
};
use std::{
    collections::VecDeque,
    io,
    net::SocketAddr,
    os::fd::{AsFd as _, OwnedFd},
    sync::{Arc, atomic::Ordering::Relaxed},
    thread::JoinHandle,
    time::{Duration, Instant},
};

/// The thread as others see it.
pub struct Dns {
    thread: JoinHandle<()>,
}

/// How many events are taken at once.
const EVENTS: usize = 512;
/// Batches of datagrams read from one socket before others have their turn.
const BATCHES: usize = 2;
const TICK: Duration = Duration::from_secs(1);
/// Another process has the listeners: what was on its way here is still read for so long.
const LATE: Duration = Duration::from_secs(3);

const LISTENER: u64 = 0;
const LANE: u64 = 1;
const BELL: u64 = 2;
const KIND_BITS: u32 = 2;

/// A query that was let through.
struct Passed {
    gate: Arc<Gate>,
    decided: Decided,
}

impl AsRef<Decided> for Passed {
    fn as_ref(&self) -> &Decided {
        &self.decided
    }
}

struct Resolver {
    shared: Arc<Shared>,
    epoll: Epoll,
    bell: Arc<EventFd>,
    listeners: Vec<OwnedFd>,
    speaker: Speaker,
    gates: Gates,
    lanes: Lanes,
    pending: Pending<Passed>,
    held: VecDeque<Held>,
    random: Random,
    resolved: Resolved,
    born: Instant,
    now: Instant,
    ticked: Instant,
    out: Vec<u8>,
    /// Queries of this batch to be sent on: lane, place.
    asked: Vec<(usize, usize)>,
}

impl Dns {
    /// Starts a thread on these sockets.
    pub fn start(shared: &Arc<Shared>, listeners: Vec<OwnedFd>) -> io::Result<Self> {
        let bell =
            Arc::new(EventFd::from_value_and_flags(0, EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)?);
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        for (index, listener) in (0_u64..).zip(&listeners) {
            epoll.add(listener, EpollEvent::new(EpollFlags::EPOLLIN, index << KIND_BITS | LISTENER))?;
        }
        epoll.add(bell.as_fd(), EpollEvent::new(EpollFlags::EPOLLIN, BELL))?;
        shared.add_bell(Arc::clone(&bell));
        let now = Instant::now();
        let mut resolver = Resolver {
            lanes: Lanes::new(shared),
            pending: Pending::new(shared.settings.dns.pending),
            shared: Arc::clone(shared),
            epoll,
            bell,
            listeners,
            speaker: Speaker::new()?,
            gates: Gates::default(),
            held: VecDeque::new(),
            random: Random::default(),
            resolved: Resolved::default(),
            born: now,
            now,
            ticked: now,
            out: Vec::new(),
            asked: Vec::with_capacity(many::AT_ONCE),
        };
        let thread = std::thread::Builder::new().name("dns".into()).spawn(move || resolver.run())?;
        Ok(Self { thread })
    }

    /// Whether it has ended, which it does when it is drained.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.thread.is_finished()
    }
}

fn token(lane: usize) -> u64 {
    u64::try_from(lane).unwrap_or(u64::MAX) << KIND_BITS | LANE
}

impl Resolver {
    fn run(&mut self) {
        let mut events = vec![EpollEvent::empty(); EVENTS];
        let mut inbox = Inbox::default();
        let mut drained_from = None;
        loop {
            let count = match self.epoll.wait(&mut events, self.timeout()) {
                Ok(count) => count,
                Err(Errno::EINTR) => 0,
                Err(error) => {
                    tracing::error!(%error, "cannot wait for queries");
                    return;
                }
            };
            self.now = Instant::now();
            self.gates.begin_round();
            for event in events.get(..count).unwrap_or_default() {
                let index = usize::try_from(event.data() >> KIND_BITS).unwrap_or(usize::MAX);
                match event.data() & 3 {
                    LISTENER => self.read_queries(index, &mut inbox),
                    LANE => self.read_answers(index, &mut inbox),
                    _ => drop(self.bell.read()),
                }
            }
            self.release_held();
            self.give_up_overdue();
            for _ in 0..self.speaker.flush() {
                self.shared.counters.fault("dns-send");
            }
            if self.now.saturating_duration_since(self.ticked) >= TICK {
                self.ticked = self.now;
                let pending = &mut self.pending;
                self.lanes.sweep(self.now, |lane| pending.close_lane(number(lane), &mut |_| {}));
            }
            let under_way = u64::try_from(self.pending.len()).unwrap_or(u64::MAX);
            self.shared.counters.under_way.store(under_way, Relaxed);
            if self.shared.is_draining() {
                let since = *drained_from.get_or_insert(self.now);
                let is_late = self.now.saturating_duration_since(since) >= LATE;
                if is_late && self.pending.is_empty() && self.held.is_empty() {
                    return;
                }
            }
        }
    }

    fn timeout(&self) -> EpollTimeout {
        let until = |deadline: Option<Instant>| {
            deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()))
        };
        let given_up = self.pending.next_deadline().and_then(|deadline| self.born.checked_add(deadline));
        let released = self.held.front().map(|held| held.until);
        let wait = [until(given_up), until(released)].into_iter().flatten().fold(TICK, Duration::min);
        // Rounded up, so as not to look too early over and over.
        EpollTimeout::try_from(wait.saturating_add(Duration::from_millis(1))).unwrap_or(EpollTimeout::ZERO)
    }

    fn clock(&self) -> Duration {
        self.now.saturating_duration_since(self.born)
    }

    /// Answers for a server that cannot be asked.
    fn lane_failed(&mut self, lane: usize) {
        let Self { pending, speaker, out, .. } = self;
        pending.close_lane(number(lane), &mut |asked| fail(speaker, out, asked));
        self.lanes.close(lane);
    }

    /// Says what is in `out`.
    fn say(&mut self, from: SocketAddr, to: SocketAddr) -> io::Result<()> {
        self.speaker.say(from, to, &self.out)
    }
}

fn fail(speaker: &mut Speaker, out: &mut Vec<u8>, asked: &Asked<Passed>) {
    reply::to_asked(asked, Reply::ServFail, out);
    if let Err(error) = speaker.say(asked.route.server, asked.route.client, out) {
        tracing::debug!(%error, client = %asked.route.client, "cannot answer");
    }
}

fn number(lane: usize) -> u32 {
    u32::try_from(lane).unwrap_or(u32::MAX)
}
