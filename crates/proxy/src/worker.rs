//! A thread that carries connections: it accepts, waits for what moves, and moves it.

use crate::{
    message::ConnectionInfo,
    session::{Over, Session, Workbench},
    shared::Shared,
    socket,
};
use nix::sys::{
    epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout},
    eventfd::{EfdFlags, EventFd},
};
use slab::Slab;
use std::{
    io,
    os::fd::{AsFd as _, OwnedFd},
    sync::{
        Arc,
        atomic::Ordering::Relaxed,
        mpsc::{Receiver, Sender, channel},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

/// What a worker can be asked.
pub enum Question {
    Connections(Sender<Vec<ConnectionInfo>>),
    /// Judge every connection anew, then say so.
    JudgeAnew(Sender<()>),
    /// Names have got their identities: whoever waits for that may go on.
    NamesSettled,
}

/// A worker as others see it.
pub struct Worker {
    questions: Sender<Question>,
    bell: Arc<EventFd>,
    thread: JoinHandle<()>,
}

/// How many events are taken at once.
const EVENTS: usize = 512;
/// How often connections are looked at that have not moved.
const SWEEP: Duration = Duration::from_secs(1);
/// New connections go elsewhere, but those whose handshake began here end up here: so long they are still accepted.
pub const HANDSHAKES: Duration = Duration::from_secs(3);
/// Connections accepted before others have their turn.
const ACCEPT_AT_ONCE: usize = 64;

/// What an event is about: the two lowest bits say which socket, the rest which session.
const CLIENT: u64 = 0;
const SERVER: u64 = 1;
const LISTENER: u64 = 2;
const BELL: u64 = 3;
const KIND_BITS: u32 = 2;

impl Worker {
    /// Starts a thread on these listening sockets.
    pub fn start(shared: &Arc<Shared>, listeners: Vec<OwnedFd>) -> io::Result<Self> {
        let bell =
            Arc::new(EventFd::from_value_and_flags(0, EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)?);
        let (questions, asked) = channel();
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        for (index, listener) in (0_u64..).zip(&listeners) {
            epoll.add(listener, EpollEvent::new(EpollFlags::EPOLLIN, index << KIND_BITS | LISTENER))?;
        }
        epoll.add(bell.as_fd(), EpollEvent::new(EpollFlags::EPOLLIN, BELL))?;
        shared.add_bell(Arc::clone(&bell));
        let mut carrier = Carrier {
            shared: Arc::clone(shared),
            epoll,
            bell: Arc::clone(&bell),
            listeners,
            sessions: Slab::new(),
            bench: Workbench::default(),
            asked,
            now: Instant::now(),
            swept: Instant::now(),
        };
        let thread = std::thread::Builder::new().name("carrier".into()).spawn(move || carrier.run())?;
        Ok(Self { questions, bell, thread })
    }

    /// Asks; a worker that has ended drops the question.
    pub fn ask(&self, question: Question) {
        if self.questions.send(question).is_ok() {
            let _ringing = self.bell.write(1);
        }
    }

    /// Whether it has ended, which it does when it is drained.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.thread.is_finished()
    }
}

struct Carrier {
    shared: Arc<Shared>,
    epoll: Epoll,
    bell: Arc<EventFd>,
    listeners: Vec<OwnedFd>,
    sessions: Slab<Session>,
    bench: Workbench,
    asked: Receiver<Question>,
    now: Instant,
    swept: Instant,
}

impl Carrier {
    fn run(&mut self) {
        let mut events = vec![EpollEvent::empty(); EVENTS];
        let mut drained_from = None;
        loop {
            let timeout = EpollTimeout::from(1000_u16);
            let count = match self.epoll.wait(&mut events, timeout) {
                Ok(count) => count,
                Err(nix::errno::Errno::EINTR) => 0,
                Err(error) => {
                    tracing::error!(%error, "a worker cannot wait for its connections");
                    return;
                }
            };
            self.now = Instant::now();
            for event in events.get(..count).unwrap_or_default() {
                self.handle(event.data(), event.events());
            }
            if self.now.saturating_duration_since(self.swept) >= SWEEP {
                self.sweep();
            }
            if self.shared.is_draining() {
                let since = *drained_from.get_or_insert(self.now);
                let drained = self.now.saturating_duration_since(since);
                if drained < HANDSHAKES {
                    continue;
                }
                self.stop_listening();
                if self.sessions.is_empty() || drained > self.shared.settings.limits.drain {
                    return;
                }
            }
        }
    }

    fn handle(&mut self, data: u64, events: EpollFlags) {
        let index = usize::try_from(data >> KIND_BITS).unwrap_or(usize::MAX);
        match data & 3 {
            LISTENER => self.accept(index),
            BELL => self.answer(),
            kind => {
                let Some(session) = self.sessions.get_mut(index) else { return };
                let ended = EpollFlags::EPOLLRDHUP | EpollFlags::EPOLLHUP | EpollFlags::EPOLLERR;
                let readable = events.intersects(EpollFlags::EPOLLIN | ended);
                let writable = events.intersects(EpollFlags::EPOLLOUT | ended);
                let mut result = Ok(());
                if events.intersects(ended) {
                    let half = if kind == CLIENT { &mut session.client } else { &mut session.server };
                    half.mark_hung_up();
                }
                if kind == CLIENT {
                    if readable {
                        session.client.mark_readable();
                    }
                    if writable {
                        session.client.mark_writable();
                    }
                } else {
                    if readable {
                        session.server.mark_readable();
                    }
                    if writable {
                        result = session.server_writable(&mut self.bench);
                    }
                }
                let result = result.and_then(|()| session.pump(&self.shared, &mut self.bench, self.now));
                if let Err(over) = result {
                    self.end(index, &over);
                }
            }
        }
    }

    fn end(&mut self, index: usize, over: &Over) {
        match over {
            Over::Closed => {}
            Over::Cut(reason) => self.shared.counters.fault(reason),
            Over::Failed(error) => tracing::debug!(%error, "a connection has failed"),
        }
        if let Some(session) = self.sessions.try_remove(index) {
            session.end(&self.shared, over);
            self.shared.counters.connections.fetch_sub(1, Relaxed);
        }
    }

    fn accept(&mut self, index: usize) {
        for _ in 0..ACCEPT_AT_ONCE {
            let Some(listener) = self.listeners.get(index) else { return };
            match socket::accept(listener) {
                Ok(Some((fd, from, to))) => {
                    if let Err(error) = self.open(fd, from, to) {
                        tracing::debug!(%error, %from, %to, "cannot carry a connection");
                        self.shared.counters.fault("open");
                    }
                }
                Ok(None) => return,
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    self.shared.counters.fault("accept");
                    return;
                }
            }
        }
    }

    fn open(&mut self, fd: OwnedFd, from: std::net::SocketAddr, to: std::net::SocketAddr) -> io::Result<()> {
        let counters = &self.shared.counters;
        counters.accepted.fetch_add(1, Relaxed);
        let limit = u64::try_from(self.shared.settings.limits.connections).unwrap_or(u64::MAX);
        if counters.connections.load(Relaxed) >= limit {
            counters.fault("proxy-max-connections");
            return socket::cut_on_close(&fd, socket::Cut::Yes);
        }
        let Some(session) = Session::open(&self.shared, fd, from, to, self.now)? else {
            counters.fault("policy");
            return Ok(());
        };
        let entry = self.sessions.vacant_entry();
        let key = u64::try_from(entry.key()).unwrap_or(u64::MAX) << KIND_BITS;
        let flags = EpollFlags::EPOLLIN | EpollFlags::EPOLLOUT | EpollFlags::EPOLLRDHUP | EpollFlags::EPOLLET;
        self.epoll.add(&session.client, EpollEvent::new(flags, key | CLIENT))?;
        self.epoll.add(&session.server, EpollEvent::new(flags, key | SERVER))?;
        entry.insert(session);
        self.shared.counters.connections.fetch_add(1, Relaxed);
        Ok(())
    }

    fn answer(&mut self) {
        let _rung = self.bell.read();
        while let Ok(question) = self.asked.try_recv() {
            // Whoever asked may have gone.
            match question {
                Question::Connections(answer) => {
                    let all = self.sessions.iter().map(|(_, session)| session.info(self.now)).collect();
                    let _gone = answer.send(all);
                }
                Question::NamesSettled => self.release_names(),
                Question::JudgeAnew(answer) => {
                    self.visit_all();
                    let _gone = answer.send(());
                }
            }
        }
    }

    /// Has every session look at the present policy.
    fn visit_all(&mut self) {
        let indices: Vec<usize> = self.sessions.iter().map(|(index, _)| index).collect();
        for index in indices {
            let Some(session) = self.sessions.get_mut(index) else { continue };
            if let Err(over) = session.pump(&self.shared, &mut self.bench, self.now) {
                self.end(index, &over);
            }
        }
    }

    /// Lets sessions go on that wait for names or their servers.
    fn release_names(&mut self) {
        let waiting = |(index, session): (usize, &Session)| session.waits_for_names().then_some(index);
        let indices: Vec<usize> = self.sessions.iter().filter_map(waiting).collect();
        for index in indices {
            let Some(session) = self.sessions.get_mut(index) else { continue };
            if let Err(over) = session.pump(&self.shared, &mut self.bench, self.now) {
                self.end(index, &over);
            }
        }
    }

    fn sweep(&mut self) {
        self.swept = self.now;
        self.release_names();
        let overdue: Vec<_> = self
            .sessions
            .iter()
            .filter_map(|(index, session)| Some((index, session.overdue(&self.shared, self.now)?)))
            .collect();
        for (index, reason) in overdue {
            self.end(index, &Over::Cut(reason));
        }
    }

    fn stop_listening(&mut self) {
        for listener in self.listeners.drain(..) {
            if let Err(error) = self.epoll.delete(&listener) {
                tracing::debug!(%error, "a listening socket was not waited for");
            }
        }
    }
}
