//! DNS over TCP: frames of queries one way and of answers the other, judged and learned from as those by UDP are.

use super::{Next, Step, Surroundings};
use crate::{
    dns::{Random, words},
    gate::Decided,
    message::{Side, Verdict, What},
    names::{Learned, Overdue},
    settings::DnsSettings,
    shared::Shared,
};
use ciliate_dns::{
    Answer, FrameReader, Malformed, Pending, Query, Reply, Resolved, Route, frame_length, reply, set_id,
};
use std::{
    fmt,
    net::{IpAddr, SocketAddr},
    time::{Duration, Instant},
};

pub struct Dns {
    client: SocketAddr,
    server: SocketAddr,
    queries: FrameReader,
    answers: FrameReader,
    pending: Pending<Decided>,
    held: Vec<Held>,
    random: Random,
    resolved: Resolved,
    born: Instant,
    message: Vec<u8>,
}

/// An answer that waits for the identities of its addresses.
struct Held {
    until: Instant,
    addresses: Vec<IpAddr>,
    message: Vec<u8>,
    learned: Learned,
}

/// Which held answers go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Release {
    Due,
    All,
}

impl fmt::Debug for Dns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dns").field("pending", &self.pending.len()).field("held", &self.held.len()).finish()
    }
}

impl Dns {
    pub fn new(settings: &DnsSettings, client: SocketAddr, server: SocketAddr) -> Self {
        Self {
            client,
            server,
            queries: FrameReader::new(),
            answers: FrameReader::new(),
            pending: Pending::new(settings.pending),
            held: Vec::new(),
            random: Random::default(),
            resolved: Resolved::default(),
            born: Instant::now(),
            message: Vec::new(),
        }
    }

    pub fn client(&mut self, input: &[u8], around: &mut Surroundings<'_>) -> Step {
        let consumed = self.queries.feed(input);
        loop {
            match self.queries.next() {
                Ok(Some(message)) => {
                    self.message.clear();
                    self.message.extend_from_slice(message);
                }
                Ok(None) => return step(consumed, input),
                Err(_) => return Step::nothing(Next::Cut("dns-frame")),
            }
            around.shared.counters.queries.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            let mut message = std::mem::take(&mut self.message);
            self.query(&mut message, around);
            self.message = message;
        }
    }

    fn query(&mut self, message: &mut [u8], around: &mut Surroundings<'_>) {
        let mut out = Vec::new();
        let query = match Query::parse(message) {
            Ok(query) => query,
            Err(malformed) => {
                around.shared.counters.fault(malformed.label());
                let decided = Decided { verdict: Verdict::Refused, side: Side::Egress, rule: 0 };
                let what = around.watched.then(|| What::Malformed { reason: malformed.to_string() });
                (around.tell)(decided, what.as_ref());
                if reply::to_malformed(message, malformed, &mut out) {
                    push(around.to_client, &out);
                }
                return;
            }
        };
        let decided = around.gate.dns(&query.question.name);
        let reject = around.shared.settings.dns.reject;
        let what = around.watched.then(|| words::query(&query.question, decided, reject));
        (around.tell)(decided, what.as_ref());
        if let Verdict::Denied | Verdict::Refused = decided.verdict {
            reply::to_query(&query, reject, &mut out);
            return push(around.to_client, &out);
        }
        let route = Route { lane: 0, client: self.client, server: self.server };
        let random = &mut self.random;
        match self.pending.insert(self.born.elapsed(), &mut || random.number(), &query, route, decided) {
            Ok(id) => {
                set_id(message, id);
                push(around.to_server, message);
            }
            Err(_) => {
                around.shared.counters.fault("dns-max-pending-per-client");
                reply::to_query(&query, Reply::Busy, &mut out);
                push(around.to_client, &out);
            }
        }
    }

    pub fn server(&mut self, input: &[u8], around: &mut Surroundings<'_>) -> Step {
        let consumed = self.answers.feed(input);
        loop {
            match self.answers.next() {
                Ok(Some(message)) => {
                    self.message.clear();
                    self.message.extend_from_slice(message);
                }
                Ok(None) => return step(consumed, input),
                Err(_) => return Step::nothing(Next::Cut("dns-frame")),
            }
            around.shared.counters.answers.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            let mut message = std::mem::take(&mut self.message);
            self.answer(&mut message, around);
            self.message = message;
        }
    }

    fn answer(&mut self, message: &mut [u8], around: &mut Surroundings<'_>) {
        let shared = around.shared;
        let answer = match Answer::parse(message) {
            Ok(answer) => answer,
            Err(malformed) => return shared.counters.fault(malformed.label()),
        };
        let asked = match self.pending.take(0, self.server, &answer) {
            Ok(asked) => asked,
            Err(stray) => return shared.counters.fault(stray.label()),
        };
        let question = asked.question();
        let learned =
            answer.resolve(&question, &mut self.resolved).map_err(Malformed::label).and_then(|()| {
                let endpoint = around.gate.client_endpoint;
                let found = &self.resolved.addresses;
                shared.names.learn(&shared.view, endpoint, &question.name, found).map_err(|error| {
                    tracing::warn!(%error, name = %question.name, "an answer is withheld");
                    "dns-learn"
                })
            });
        let learned = match learned {
            Ok(learned) => learned,
            Err(fault) => {
                shared.counters.fault(fault);
                let failed = around.watched.then(|| words::failure(asked, self.born));
                failed.iter().for_each(|failed| (around.answered)(failed));
                let mut out = Vec::new();
                reply::to_asked(asked, Reply::ServFail, &mut out);
                return push(around.to_client, &out);
            }
        };
        let told = around.watched.then(|| words::answer(asked, self.born, &answer, &self.resolved));
        told.iter().for_each(|told| (around.answered)(told));
        set_id(message, asked.client_id);
        match learned.wait(&shared.settings.dns) {
            None => push(around.to_client, message),
            Some(wait) => {
                let now = Instant::now();
                self.held.push(Held {
                    until: now.checked_add(wait).unwrap_or(now),
                    addresses: self.resolved.addresses.iter().map(|one| one.address).collect(),
                    message: message.to_vec(),
                    learned,
                });
            }
        }
    }

    /// Whether time alone gives it something to do.
    #[must_use]
    pub fn is_waiting(&self) -> bool {
        !self.held.is_empty() || !self.pending.is_empty()
    }

    /// What goes to the client because its time has come.
    pub fn release(&mut self, shared: &Shared, which: Release, to_client: &mut Vec<u8>) {
        let now = Instant::now();
        self.held.retain(|held| {
            let is_late = held.until <= now;
            let goes = which == Release::All || is_late || shared.names.is_settled(&held.addresses);
            if goes && !(is_late && held.learned.overdue(&shared.counters) == Overdue::Withhold) {
                push(to_client, &held.message);
            }
            !goes
        });
        let clock = self.born.elapsed();
        if self.pending.next_deadline().is_some_and(|deadline: Duration| deadline <= clock) {
            let mut out = Vec::new();
            self.pending.expire(clock, &mut |asked| {
                shared.counters.fault("dns-timeout");
                reply::to_asked(asked, Reply::ServFail, &mut out);
                push(to_client, &out);
            });
        }
    }
}

fn step(consumed: usize, input: &[u8]) -> Step {
    let next = if consumed < input.len() { Next::Again } else { Next::More };
    Step { consumed, forward: 0..0, next }
}

/// A message in its frame. None is longer than a frame may be: it came in one, or is short.
fn push(to: &mut Vec<u8>, message: &[u8]) {
    if let Some(length) = frame_length(message) {
        to.extend_from_slice(&length);
        to.extend_from_slice(message);
    }
}
