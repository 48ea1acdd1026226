//! The thread itself.

use super::{
    Random,
    datagram::Speaker,
    gates::Gates,
    lanes::Lanes,
    many::{self, Inbox, Outgoing},
    words,
};
use crate::{
    gate::{Decided, Gate},
    message::{Side, Verdict, What},
    names::{Learned, Overdue},
    shared::Shared,
};
use ciliate_dns::{Answer, Asked, Full, Malformed, Pending, Query, Reply, Resolved, Route, reply, set_id};
use nix::errno::Errno;
use nix::sys::{
    epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout},
    eventfd::{EfdFlags, EventFd},
};
use std::{
    collections::VecDeque,
    io,
    net::{IpAddr, SocketAddr},
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

/// An answer that waits for the identities of its addresses.
struct Held {
    until: Instant,
    addresses: Vec<IpAddr>,
    server: SocketAddr,
    client: SocketAddr,
    message: Vec<u8>,
    learned: Learned,
}

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

    fn read_queries(&mut self, index: usize, inbox: &mut Inbox) {
        for _ in 0..BATCHES {
            let Some(listener) = self.listeners.get(index) else { return };
            let count = match inbox.receive(listener) {
                Ok(count) => count,
                Err(error) => {
                    tracing::warn!(%error, "cannot receive queries");
                    self.shared.counters.fault("dns-receive");
                    return;
                }
            };
            self.shared.counters.queries.fetch_add(u64::try_from(count).unwrap_or_default(), Relaxed);
            let mut asked = std::mem::take(&mut self.asked);
            for at in 0..count {
                let Some((from, to)) = inbox.ends(at) else { continue };
                let Some(message) = inbox.message(at) else { continue };
                match self.query(message, from, to) {
                    Ok(Some(lane)) => asked.push((lane, at)),
                    Ok(None) => {}
                    Err(error) => {
                        tracing::debug!(%error, %from, %to, "cannot deal with a query");
                        self.shared.counters.fault("dns-query");
                    }
                }
            }
            for run in asked.chunk_by(|(lane, _), (next, _)| lane == next) {
                self.pass_on(run, inbox);
            }
            asked.clear();
            self.asked = asked;
            if count < many::AT_ONCE {
                return;
            }
        }
    }

    /// Sends queries on, all on one lane, to its server.
    fn pass_on(&mut self, mut run: &[(usize, usize)], inbox: &Inbox) {
        while let Some((lane, _)) = run.first() {
            let Some(row) = self.lanes.get(*lane) else { return };
            let messages = run.iter().filter_map(|(_, at)| inbox.bytes(*at));
            let outgoing = messages.map(|bytes| Outgoing { bytes, to: &[], control: &[] });
            match many::send(&row.fd, outgoing) {
                Ok(sent) => run = run.get(sent..).unwrap_or_default(),
                Err(Errno::EINTR) => {}
                // The kernel has no room now: they are lost, as datagrams may be.
                Err(Errno::EAGAIN | Errno::ENOBUFS) => return self.shared.counters.fault("dns-send"),
                Err(error) => {
                    tracing::debug!(%error, server = %row.server, "cannot ask");
                    self.shared.counters.fault("dns-query");
                    return self.lane_failed(*lane);
                }
            }
        }
    }

    /// Deals with one query of a client to a server; the lane to send it on, unless that was all.
    fn query(
        &mut self,
        message: &mut [u8],
        client: SocketAddr,
        server: SocketAddr,
    ) -> io::Result<Option<usize>> {
        let found = self.gates.find(&self.shared, client, server).map_err(io::Error::other)?;
        let Some(gate) = found else {
            self.shared.counters.fault("policy");
            return Ok(None);
        };
        let query = match Query::parse(message) {
            Ok(query) => query,
            Err(malformed) => {
                return self.malformed(message, malformed, &gate, (client, server)).map(|()| None);
            }
        };
        let decided = gate.dns(&query.question.name);
        let reject = self.shared.settings.dns.reject;
        let what = self.shared.watched().then(|| words::query(&query.question, decided, reject));
        self.shared.note(&gate, (client, server), decided, what.as_ref());
        if let Verdict::Denied | Verdict::Refused = decided.verdict {
            reply::to_query(&query, reject, &mut self.out);
            return self.say(server, client).map(|()| None);
        }
        let pair = (client.ip(), server);
        let lane = match self.lanes.between(&self.shared, &self.epoll, pair, token, self.now) {
            Ok(lane) => lane,
            Err(error) => {
                tracing::debug!(%error, %client, %server, "cannot ask in the client's name");
                self.shared.counters.fault("dns-max-sockets");
                reply::to_query(&query, Reply::Busy, &mut self.out);
                return self.say(server, client).map(|()| None);
            }
        };
        let route = Route { lane: number(lane), client, server };
        let (clock, random) = (self.clock(), &mut self.random);
        let id = match self.pending.insert(
            clock,
            &mut || random.number(),
            &query,
            route,
            Passed { gate, decided },
        ) {
            Ok(id) => id,
            Err(full) => {
                self.shared.counters.fault(match full {
                    Full::Table(_) => "dns-max-pending",
                    Full::Client(..) => "dns-max-pending-per-client",
                    Full::Ids(_) => "dns-ids",
                });
                reply::to_query(&query, Reply::Busy, &mut self.out);
                return self.say(server, client).map(|()| None);
            }
        };
        set_id(message, id);
        Ok(Some(lane))
    }

    fn malformed(
        &mut self,
        message: &[u8],
        malformed: Malformed,
        gate: &Gate,
        (client, server): (SocketAddr, SocketAddr),
    ) -> io::Result<()> {
        self.shared.counters.fault(malformed.label());
        let decided = Decided { verdict: Verdict::Refused, side: Side::Egress, rule: 0 };
        let what = self.shared.watched().then(|| What::Malformed { reason: malformed.to_string() });
        self.shared.note(gate, (client, server), decided, what.as_ref());
        if reply::to_malformed(message, malformed, &mut self.out) {
            return self.say(server, client);
        }
        Ok(())
    }

    fn read_answers(&mut self, lane: usize, inbox: &mut Inbox) {
        for _ in 0..BATCHES {
            let Some(row) = self.lanes.get(lane) else { return };
            let server = row.server;
            let count = match inbox.receive(&row.fd) {
                Ok(count) => count,
                Err(error) => {
                    // Such as a server's port that is closed: the next query tries again.
                    tracing::debug!(%error, %server, "a server cannot be asked");
                    self.shared.counters.fault("dns-server");
                    return self.lane_failed(lane);
                }
            };
            self.shared.counters.answers.fetch_add(u64::try_from(count).unwrap_or_default(), Relaxed);
            for at in 0..count {
                let Some(message) = inbox.message(at) else { continue };
                if let Err(error) = self.answer(message, lane, server) {
                    tracing::debug!(%error, %server, "cannot deal with an answer");
                    self.shared.counters.fault("dns-answer");
                }
            }
            if count < many::AT_ONCE {
                return;
            }
        }
    }

    /// Deals with what came on a lane, which only its server can send to.
    fn answer(&mut self, message: &mut [u8], lane: usize, server: SocketAddr) -> io::Result<()> {
        let answer = match Answer::parse(message) {
            Ok(answer) => answer,
            Err(malformed) => {
                self.shared.counters.fault(malformed.label());
                return Ok(());
            }
        };
        let asked = match self.pending.take(number(lane), server, &answer) {
            Ok(asked) => asked,
            Err(stray) => {
                self.shared.counters.fault(stray.label());
                return Ok(());
            }
        };
        let (client, question) = (asked.route.client, asked.question());
        let learned = match answer.resolve(&question, &mut self.resolved) {
            Ok(()) => {
                let endpoint = asked.tag.gate.client_endpoint;
                let (view, found) = (&self.shared.view, &self.resolved.addresses);
                self.shared.names.learn(view, endpoint, &question.name, found).map_err(|error| {
                    tracing::warn!(%error, name = %question.name, "an answer is withheld");
                    "dns-learn"
                })
            }
            Err(malformed) => Err(malformed.label()),
        };
        let learned = match learned {
            Ok(learned) => learned,
            Err(fault) => {
                self.shared.counters.fault(fault);
                if let Some(failed) = self.shared.watched().then(|| words::failure(asked, self.born)) {
                    self.shared.note_response(&asked.tag.gate, (client, server), &failed);
                }
                reply::to_asked(asked, Reply::ServFail, &mut self.out);
                return self.say(server, client);
            }
        };
        if let Some(told) =
            self.shared.watched().then(|| words::answer(asked, self.born, &answer, &self.resolved))
        {
            self.shared.note_response(&asked.tag.gate, (client, server), &told);
        }
        let (limit, id) = (usize::from(asked.udp_limit()), asked.client_id);
        set_id(message, id);
        self.out.clear();
        if message.len() > limit {
            reply::truncate(message, &mut self.out).map_err(io::Error::other)?;
        } else {
            self.out.extend_from_slice(message);
        }
        if let Some(wait) = learned.wait(&self.shared.settings.dns) {
            let until = self.now.checked_add(wait).unwrap_or(self.now);
            let addresses = self.resolved.addresses.iter().map(|one| one.address).collect();
            let message = std::mem::take(&mut self.out);
            self.held.push_back(Held { until, addresses, server, client, message, learned });
            return Ok(());
        }
        self.say(server, client)
    }

    /// Lets go of answers whose addresses have their identities, or that have waited for long enough.
    fn release_held(&mut self) {
        for _ in 0..self.held.len() {
            let Some(held) = self.held.pop_front() else { return };
            let is_late = held.until <= self.now;
            if !is_late && !self.shared.names.is_settled(&held.addresses) {
                self.held.push_back(held);
                continue;
            }
            if is_late && held.learned.overdue(&self.shared.counters) == Overdue::Withhold {
                continue;
            }
            self.out = held.message;
            if let Err(error) = self.say(held.server, held.client) {
                tracing::debug!(%error, client = %held.client, "cannot answer");
            }
        }
    }

    /// Answers for servers that have not.
    fn give_up_overdue(&mut self) {
        let clock = self.clock();
        if self.pending.next_deadline().is_none_or(|deadline| deadline > clock) {
            return;
        }
        let Self { pending, speaker, out, shared, born, .. } = self;
        pending.expire(clock, &mut |asked| {
            shared.counters.fault("dns-timeout");
            if let Some(failed) = shared.watched().then(|| words::failure(asked, *born)) {
                shared.note_response(&asked.tag.gate, (asked.route.client, asked.route.server), &failed);
            }
            fail(speaker, out, asked);
        });
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
