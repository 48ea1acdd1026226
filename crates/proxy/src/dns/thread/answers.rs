//! Answers of servers: what is learned from them, and when clients get them.

use super::{
    super::{
        many::{self, Inbox},
        words,
    },
    BATCHES, Resolver, fail, number,
};
use crate::names::{Learned, Overdue};
use ciliate_dns::{Answer, Reply, reply, set_id};
use std::{
    io,
    net::{IpAddr, SocketAddr},
    sync::atomic::Ordering::Relaxed,
    time::Instant,
};

/// An answer that waits for the identities of its addresses.
pub struct Held {
    pub until: Instant,
    addresses: Vec<IpAddr>,
    server: SocketAddr,
    client: SocketAddr,
    message: Vec<u8>,
    learned: Learned,
}

impl Resolver {
    pub fn read_answers(&mut self, lane: usize, inbox: &mut Inbox) {
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
    pub fn release_held(&mut self) {
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
    pub fn give_up_overdue(&mut self) {
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
}
