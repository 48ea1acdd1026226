//! The socket that the agent talks to.

use crate::{
    Client,
    configuration::{self, Ready},
    message::{Answer, Configuration, Interest, Lesson, NameStatus, Request, Status},
    names::{self, LearnError, Moved, Overdue},
    shared::Shared,
    sockets::ControlSocket,
    worker::{Question, Worker},
};
use ciliate_dns::{Name, Resolution};
use std::{
    io::{self, BufRead as _, BufReader, Write as _},
    os::{fd::AsFd as _, unix::net::UnixStream},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::Ordering::Relaxed,
        mpsc::{RecvTimeoutError, Sender, channel},
    },
    time::{Duration, Instant},
};

/// A configuration of a thousand policies has a few megabytes.
const LONGEST_REQUEST: u64 = 256 << 20;
/// How long a worker may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often it is looked whether the agent is still there.
const LOOK: Duration = Duration::from_millis(200);

pub struct Control {
    shared: Arc<Shared>,
    workers: Arc<Vec<Worker>>,
    /// What was told last; locked for a change.
    known: Mutex<Configuration>,
    /// The process that holds this one's sockets.
    guardian: Option<u32>,
    predecessor: Mutex<Option<Client>>,
}

/// What becomes of the filters that were known before a change.
#[derive(Clone, Copy)]
enum Before {
    Stays,
    Goes,
}

impl Control {
    #[must_use]
    pub fn new(
        shared: &Arc<Shared>,
        workers: &Arc<Vec<Worker>>,
        known: Configuration,
        guardian: Option<u32>,
    ) -> Arc<Self> {
        Arc::new(Self {
            shared: Arc::clone(shared),
            workers: Arc::clone(workers),
            known: Mutex::new(known),
            guardian,
            predecessor: Mutex::default(),
        })
    }

    /// The proxy that was before this one, and still may have connections: it is told when all is to end.
    pub fn remember(&self, predecessor: Client) {
        *self.predecessor.lock().unwrap_or_else(PoisonError::into_inner) = Some(predecessor);
    }

    /// Answers whoever connects.
    pub fn serve_all(self: &Arc<Self>, socket: ControlSocket) -> io::Result<()> {
        let control = Arc::clone(self);
        std::thread::Builder::new().name("control".into()).spawn(move || {
            for stream in socket.listener.incoming() {
                let control = Arc::clone(&control);
                let served = stream.and_then(|stream| {
                    std::thread::Builder::new().name("control".into()).spawn(move || {
                        if let Err(error) = control.serve(&stream) {
                            tracing::debug!(%error, "a control connection has ended");
                        }
                    })
                });
                if let Err(error) = served {
                    tracing::warn!(%error, "cannot serve a control connection");
                }
            }
        })?;
        Ok(())
    }

    fn serve(&self, stream: &UnixStream) -> io::Result<()> {
        let mut reader = BufReader::new(io::Read::take(stream, LONGEST_REQUEST));
        let mut line = Vec::new();
        while reader.read_until(b'\n', &mut line)? > 0 {
            reader.get_mut().set_limit(LONGEST_REQUEST);
            match serde_json::from_slice(&line) {
                Ok(Request::Watch(interest)) => return self.watch(stream, reader, interest),
                Ok(Request::WatchWanted) => return self.watch_wanted(stream),
                Ok(request) => send(stream, &self.answer(request))?,
                Err(error) => send(stream, &Answer::Failed(format!("not a request: {error}")))?,
            }
            line.clear();
        }
        Ok(())
    }

    fn answer(&self, request: Request) -> Answer {
        match request {
            Request::Learn(configuration) => match self.configure(configuration, Before::Stays) {
                Ok(()) => Answer::Done,
                Err(reason) => Answer::Failed(reason),
            },
            Request::Configure(configuration) => match self.configure(configuration, Before::Goes) {
                Ok(()) => Answer::Done,
                Err(reason) => Answer::Failed(reason),
            },
            Request::Switched => {
                self.shared.renew();
                match self.ask_all(Question::JudgeAnew) {
                    Some(_) => Answer::Done,
                    None => Answer::Failed("a worker does not answer".into()),
                }
            }
            Request::Status => Answer::Status(self.status()),
            Request::Connections => match self.ask_all(Question::Connections) {
                Some(lists) => Answer::Connections(lists.into_iter().flatten().collect()),
                None => Answer::Failed("a worker does not answer".into()),
            },
            Request::Configuration => {
                let known = self.known.lock().unwrap_or_else(PoisonError::into_inner).clone();
                Answer::Configuration(known.redacted())
            }
            Request::HandOver => {
                tracing::info!(
                    "another proxy takes the new connections: those of this one may go on to their end"
                );
                self.shared.drain();
                self.shared.watchers.tell_of_successor();
                Answer::Done
            }
            Request::End => {
                tracing::info!("told to end");
                let predecessor = self.predecessor.lock().unwrap_or_else(PoisonError::into_inner).take();
                if let Some(Err(error)) = predecessor.map(Client::end) {
                    tracing::warn!(%error, "the proxy before this one may go on for a while");
                }
                std::process::exit(0)
            }
            Request::Plan(rules) => Answer::Wanted(self.shared.names.plan(&rules)),
            Request::Names => Answer::Names(self.shared.names.list()),
            Request::NamePatterns => {
                let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
                Answer::NamePatterns(known.names.clone())
            }
            Request::CleanNames(which) => {
                let cleaned = self.shared.names.clean(which.as_ref(), &self.shared.view);
                match cleaned.and_then(|count| self.judge_again().map(|()| count)) {
                    Ok(count) => Answer::Cleaned(count),
                    Err(error) => Answer::Failed(error.to_string()),
                }
            }
            Request::ForgetEndpoint(endpoint) => {
                let forgotten = self.shared.names.forget_endpoint(endpoint, &self.shared.view);
                match forgotten.and_then(|()| self.judge_again()) {
                    Ok(()) => Answer::Done,
                    Err(error) => Answer::Failed(error.to_string()),
                }
            }
            Request::HandOverNames => match self.hand_names_over() {
                Ok(()) => Answer::Done,
                Err(error) => Answer::Failed(error.to_string()),
            },
            Request::LearnName(lesson) => match self.learn(&lesson) {
                Ok(()) => Answer::Done,
                Err(reason) => Answer::Failed(reason),
            },
            Request::Watch(_) | Request::WatchWanted => {
                Answer::Failed("watching takes a connection of its own".into())
            }
        }
    }

    /// Connections, here and in the kernel, whose addresses no name allows any more.
    fn judge_again(&self) -> Result<(), LearnError> {
        if self.shared.names.judge_again(&self.shared.view)? == Moved::Some {
            self.shared.renew();
            // One that does not answer looks at its next request.
            self.ask_all(Question::JudgeAnew);
        }
        Ok(())
    }

    fn hand_names_over(&self) -> io::Result<()> {
        match self.shared.names.hand_over() {
            Some(lessons) => names::teach_successor(&self.shared, &self.workers, lessons),
            None => Ok(()),
        }
    }

    /// Learns from the process before this one, as from an answer of its own.
    fn learn(&self, lesson: &Lesson) -> Result<(), String> {
        let name = Name::try_from(&lesson.name).map_err(|error| error.to_string())?;
        let found = lesson.addresses.iter().map(|(address, ttl)| Resolution { address: *address, ttl: *ttl });
        let found: Vec<Resolution> = found.collect();
        let (names, view) = (&self.shared.names, &self.shared.view);
        let learned = names.learn(view, lesson.endpoint, &name, &found).map_err(|error| error.to_string())?;
        let Some(wait) = learned.wait(&self.shared.settings.dns) else { return Ok(()) };
        let (since, addresses) = (Instant::now(), found.iter().map(|one| one.address).collect::<Vec<_>>());
        while !names.is_settled(&addresses) {
            if since.elapsed() >= wait {
                return match learned.overdue(&self.shared.counters) {
                    Overdue::Release => Ok(()),
                    Overdue::Withhold => Err("the names are another process's now".into()),
                };
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        Ok(())
    }

    fn configure(&self, mut configuration: Configuration, before: Before) -> Result<(), String> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Before::Stays = before {
            let mut filters = known.filters.clone();
            filters.append(&mut configuration.filters);
            configuration.filters = filters;
            let mut secrets = known.secrets.clone();
            secrets.append(&mut configuration.secrets);
            configuration.secrets = secrets;
        }
        let ready = Ready::new(&configuration).map_err(|error| error.to_string())?;
        let state_dir = &self.shared.settings.state_dir;
        configuration::save(state_dir, &configuration)
            .map_err(|error| format!("cannot keep the configuration in {}: {error}", state_dir.display()))?;
        self.shared.replace(ready);
        let named = self.shared.names.configure(configuration.names.clone(), &self.shared.view);
        // Those who wait for identities.
        self.workers.iter().for_each(|worker| worker.ask(Question::NamesSettled));
        self.shared.ring();
        named.map_err(|error| format!("cannot give names' addresses their identities: {error}"))?;
        *known = configuration;
        Ok(())
    }

    /// Asks all workers at once; none if one does not answer.
    fn ask_all<T>(&self, question: impl Fn(Sender<T>) -> Question) -> Option<Vec<T>> {
        let waiting: Vec<_> = self
            .workers
            .iter()
            .map(|worker| {
                let (answer, answered) = channel();
                worker.ask(question(answer));
                answered
            })
            .collect();
        waiting.into_iter().map(|answered| answered.recv_timeout(PATIENCE).ok()).collect()
    }

    fn status(&self) -> Status {
        let (_, ready) = self.shared.ready();
        let counters = &self.shared.counters;
        Status {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            guardian: self.guardian,
            uptime: self.shared.started.elapsed().as_secs(),
            workers: self.workers.len(),
            port: self.shared.port,
            revision: ready.revision,
            filters: ready.len(),
            connections: counters.connections.load(Relaxed),
            accepted: counters.accepted.load(Relaxed),
            requests: counters.verdicts(),
            names: NameStatus {
                queries: counters.queries.load(Relaxed),
                answers: counters.answers.load(Relaxed),
                under_way: counters.under_way.load(Relaxed),
                ..self.shared.names.status()
            },
            faults: counters.faults(),
            lost_accesses: self.shared.watchers.lost(),
        }
    }

    /// Until whoever numbers the sets is gone, which is noticed at once: others then need not wait for it.
    fn watch_wanted(&self, stream: &UnixStream) -> io::Result<()> {
        let wanted = self.shared.names.serve_agent();
        let done = loop {
            match wanted.recv_timeout(LOOK) {
                Ok(sets) if sets.is_empty() => {}
                Ok(sets) => {
                    if let Err(error) = send(stream, &Answer::Wanted(sets)) {
                        break Err(error);
                    }
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break Ok(()),
            }
            if self.shared.names.is_handed_over() || has_hung_up(stream)? {
                break Ok(());
            }
        };
        drop(wanted);
        self.shared.names.forget_agents();
        done
    }

    /// Serves a watcher until it goes.
    fn watch(
        &self,
        stream: &UnixStream,
        mut requests: impl io::BufRead,
        interest: Interest,
    ) -> io::Result<()> {
        let watchers = &self.shared.watchers;
        let watcher = watchers.join();
        std::thread::scope(|scope| {
            let sending = std::thread::Builder::new()
                .name("watcher".into())
                .spawn_scoped(scope, || watcher.serve(stream));
            let mut interest = Some(interest);
            let mut line = Vec::new();
            while let Some(wanted) = interest.take() {
                if watchers.set(&watcher, wanted).is_err() {
                    break;
                }
                line.clear();
                // Whatever is not understood ends the connection, as its end does.
                if requests.read_until(b'\n', &mut line).is_ok_and(|count| count > 0)
                    && let Ok(Request::Watch(wanted)) = serde_json::from_slice(&line)
                {
                    interest = Some(wanted);
                }
            }
            watchers.leave(&watcher);
            stream.shutdown(std::net::Shutdown::Both)?;
            sending.map(drop)
        })
    }
}

fn has_hung_up(stream: &UnixStream) -> io::Result<bool> {
    use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
    // A peer that is gone is reported without being asked for.
    let mut one = [PollFd::new(stream.as_fd(), PollFlags::empty())];
    poll(&mut one, PollTimeout::ZERO)?;
    let [one] = &one;
    Ok(one.revents().is_some_and(|found| !found.is_empty()))
}

fn send(mut stream: &UnixStream, answer: &Answer) -> io::Result<()> {
    let mut line = serde_json::to_vec(answer)?;
    line.push(b'\n');
    stream.write_all(&line)
}
