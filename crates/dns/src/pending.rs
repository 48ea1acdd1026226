//! Queries that were forwarded and wait for their answer.
//!
//! The proxy asks servers under ids of its own, which an outsider cannot guess. An answer is taken only from the server that was
//! asked, on the lane (socket or connection) that asked it, with the id and the very question that was sent, case included: clients
//! may have hidden entropy in it.

mod clients;

use crate::message::{Answer, Edns, Flags, PLAIN_UDP_LIMIT, Query, Question};
use clients::Clients;
use foldhash::fast::RandomState;
use hashbrown::HashTable;
use smallvec::SmallVec;
use std::{hash::BuildHasher, net::IpAddr, net::SocketAddr, time::Duration};
use thiserror::Error;

/// How much may be under way. Each limit is a setting of the proxy, under the name that the error says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PendingSettings {
    /// `dns-max-pending`: queries under way in one table.
    pub max: u32,
    /// `dns-max-pending-per-client`: of these from one address.
    pub max_per_client: u32,
    /// `dns-timeout`: how long an answer is waited for.
    pub timeout: Duration,
    pub case: QuestionCase,
}

/// How the question in an answer must be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QuestionCase {
    /// As it was sent; what is spoofed has to guess it.
    Exact,
    /// In whatever case, for servers that change it.
    Ignored,
}

impl Default for PendingSettings {
    fn default() -> Self {
        Self {
            max: 16_384,
            max_per_client: 2_048,
            timeout: Duration::from_secs(5),
            case: QuestionCase::Exact,
        }
    }
}

/// Which way a query goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route {
    /// The proxy's number of the socket or connection towards the server. Ids are unique on a lane.
    pub lane: u32,
    pub client: SocketAddr,
    pub server: SocketAddr,
}

/// A query that is or was under way.
#[derive(Clone, Debug)]
pub struct Asked<T> {
    pub route: Route,
    /// The id that the client chose; its answer gets it back.
    pub client_id: u16,
    /// The id under which the server was asked.
    pub id: u16,
    /// The flags of the query.
    pub flags: Flags,
    pub edns: Option<Edns>,
    pub sent: Duration,
    /// Whatever the proxy wants to know again.
    pub tag: T,
    question: SmallVec<[u8; 64]>,
}

/// Why a query cannot be forwarded now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Full {
    #[error("{0} DNS queries are under way (setting dns-max-pending)")]
    Table(u32),
    #[error("{1} DNS queries of {0} are under way (setting dns-max-pending-per-client)")]
    Client(IpAddr, u32),
    #[error("lane {0} has no id left to ask with")]
    Ids(u32),
}

/// Why an answer belongs to no query. What was asked goes on waiting.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Stray {
    #[error("no query is under way with this id")]
    Unknown,
    #[error("the query went to another server")]
    Server,
    #[error("the query had another question")]
    Question,
}

impl Stray {
    pub const ALL: [Self; 3] = [Self::Unknown, Self::Server, Self::Question];

    /// Its value as a label of a counter.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Unknown => "unknown_id",
            Self::Server => "other_server",
            Self::Question => "other_question",
        }
    }
}

/// No slot.
const NONE: u32 = u32::MAX;
/// How often a random id is tried; a lane with half of its ids in use fails with 2^-32.
const TRIES: u32 = 32;

struct Slot<T> {
    asked: Asked<T>,
    /// Neighbours in order of `sent`, while under way.
    before: u32,
    after: u32,
}

/// The queries of one worker.
pub struct Pending<T> {
    settings: PendingSettings,
    slots: Vec<Slot<T>>,
    free: Vec<u32>,
    /// Slots by lane and id.
    index: HashTable<u32>,
    hasher: RandomState,
    clients: Clients,
    oldest: u32,
    youngest: u32,
}

impl<T> Asked<T> {
    /// The question as the client sent it, in its own case: name, type, class.
    #[must_use]
    pub fn question_bytes(&self) -> &[u8] {
        &self.question
    }

    /// The largest answer that the client takes in one datagram, in bytes.
    #[must_use]
    pub fn udp_limit(&self) -> u16 {
        self.edns.map_or(PLAIN_UDP_LIMIT, |edns| edns.udp_size)
    }

    /// The question to [resolve](Answer::resolve) answers with.
    #[must_use]
    pub fn question(&self) -> Question {
        Question::of_bytes(&self.question)
    }

    fn is_answered_by(&self, answer: &Answer<'_>, case: QuestionCase) -> bool {
        let (asked, said) = (&self.question[..], answer.question_bytes());
        // A header that says nothing but an error; it opens nothing either.
        if said.is_empty() {
            return answer.question.is_none();
        }
        match case {
            QuestionCase::Exact => asked == said,
            // The type and class are numbers, not letters.
            QuestionCase::Ignored => {
                asked.last_chunk::<4>() == said.last_chunk::<4>() && asked.eq_ignore_ascii_case(said)
            }
        }
    }
}

impl<T> Pending<T> {
    #[must_use]
    pub fn new(settings: PendingSettings) -> Self {
        Self {
            settings,
            slots: Vec::new(),
            free: Vec::new(),
            index: HashTable::new(),
            hasher: RandomState::default(),
            clients: Clients::default(),
            oldest: NONE,
            youngest: NONE,
        }
    }

    /// Queries under way.
    #[must_use]
    pub fn len(&self) -> usize {
        self.index.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.index.is_empty()
    }

    /// Remembers a query and gives it the id to ask the server with.
    ///
    /// `now` is the time since any fixed moment and does not go back; `random` gives numbers that nobody can guess.
    pub fn insert(
        &mut self,
        now: Duration,
        random: &mut impl FnMut() -> u16,
        query: &Query<'_>,
        route: Route,
        tag: T,
    ) -> Result<u16, Full> {
        if self.index.len() >= usize::try_from(self.settings.max).unwrap_or(usize::MAX) {
            return Err(Full::Table(self.settings.max));
        }
        let id = (0..TRIES)
            .map(|_| random())
            .find(|id| self.find(route.lane, *id).is_none())
            .ok_or(Full::Ids(route.lane))?;
        let client = route.client.ip().to_canonical();
        if !self.clients.add(client, self.settings.max_per_client) {
            return Err(Full::Client(client, self.settings.max_per_client));
        }
        let asked = Asked {
            route,
            client_id: query.id,
            id,
            flags: query.flags,
            edns: query.edns,
            sent: now,
            tag,
            question: SmallVec::from_slice(query.question_bytes()),
        };
        self.link(asked);
        Ok(id)
    }

    /// The query that `answer` belongs to, which then is no longer under way.
    pub fn take(&mut self, lane: u32, from: SocketAddr, answer: &Answer<'_>) -> Result<&Asked<T>, Stray> {
        let slot = self.find(lane, answer.id).ok_or(Stray::Unknown)?;
        let asked = self.asked(slot).ok_or(Stray::Unknown)?;
        if asked.route.server != from {
            return Err(Stray::Server);
        }
        if !asked.is_answered_by(answer, self.settings.case) {
            return Err(Stray::Question);
        }
        self.unlink(slot);
        self.asked(slot).ok_or(Stray::Unknown)
    }

    /// Gives up what has waited for too long, the longest first.
    pub fn expire(&mut self, now: Duration, given_up: &mut impl FnMut(&Asked<T>)) {
        while self.next_deadline().is_some_and(|deadline| deadline <= now) {
            let slot = self.oldest;
            self.unlink(slot);
            if let Some(asked) = self.asked(slot) {
                given_up(asked);
            }
        }
    }

    /// When [`expire`](Self::expire) has something to do next.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Duration> {
        self.asked(self.oldest).map(|asked| asked.sent.saturating_add(self.settings.timeout))
    }

    /// Gives up what was asked on a connection that is gone.
    pub fn close_lane(&mut self, lane: u32, given_up: &mut impl FnMut(&Asked<T>)) {
        self.give_up(|asked| asked.route.lane == lane, given_up);
    }

    /// Forgets what a client asked that is gone.
    pub fn close_client(&mut self, client: SocketAddr, given_up: &mut impl FnMut(&Asked<T>)) {
        self.give_up(|asked| asked.route.client == client, given_up);
    }

    fn give_up(&mut self, which: impl Fn(&Asked<T>) -> bool, given_up: &mut impl FnMut(&Asked<T>)) {
        let mut next = self.oldest;
        while let Some(slot) = self.slot(next) {
            let (this, after) = (next, slot.after);
            if which(&slot.asked) {
                self.unlink(this);
                if let Some(asked) = self.asked(this) {
                    given_up(asked);
                }
            }
            next = after;
        }
    }

    fn slot(&self, slot: u32) -> Option<&Slot<T>> {
        self.slots.get(usize::try_from(slot).ok()?)
    }

    fn slot_mut(&mut self, slot: u32) -> Option<&mut Slot<T>> {
        self.slots.get_mut(usize::try_from(slot).ok()?)
    }

    fn asked(&self, slot: u32) -> Option<&Asked<T>> {
        self.slot(slot).map(|slot| &slot.asked)
    }

    fn find(&self, lane: u32, id: u16) -> Option<u32> {
        let is_it =
            |slot: &u32| self.asked(*slot).is_some_and(|asked| asked.id == id && asked.route.lane == lane);
        self.index.find(self.hasher.hash_one((lane, id)), is_it).copied()
    }

    fn link(&mut self, asked: Asked<T>) {
        let hash = self.hasher.hash_one((asked.route.lane, asked.id));
        let slot = Slot { asked, before: self.youngest, after: NONE };
        let at = match self.free.pop() {
            Some(at) => {
                if let Some(place) = self.slot_mut(at) {
                    *place = slot;
                }
                at
            }
            None => {
                let at = u32::try_from(self.slots.len()).unwrap_or(NONE);
                self.slots.push(slot);
                at
            }
        };
        match self.youngest {
            NONE => self.oldest = at,
            youngest => {
                if let Some(neighbour) = self.slot_mut(youngest) {
                    neighbour.after = at;
                }
            }
        }
        self.youngest = at;
        let (slots, hasher) = (&self.slots, &self.hasher);
        self.index.insert_unique(hash, at, |slot| hash_of(slots, hasher, *slot));
    }

    /// Takes a slot out of the order and the index; what it holds stays until it is used again.
    fn unlink(&mut self, at: u32) {
        let Some(slot) = self.slot(at) else { return };
        let (before, after) = (slot.before, slot.after);
        let client = slot.asked.route.client.ip().to_canonical();
        let hash = hash_of(&self.slots, &self.hasher, at);
        match self.slot_mut(before) {
            Some(neighbour) => neighbour.after = after,
            None => self.oldest = after,
        }
        match self.slot_mut(after) {
            Some(neighbour) => neighbour.before = before,
            None => self.youngest = before,
        }
        self.clients.remove(client);
        if let Ok(entry) = self.index.find_entry(hash, |slot| *slot == at) {
            entry.remove();
        }
        self.free.push(at);
    }
}

fn hash_of<T>(slots: &[Slot<T>], hasher: &RandomState, at: u32) -> u64 {
    let slot = usize::try_from(at).ok().and_then(|at| slots.get(at));
    slot.map_or(0, |slot| hasher.hash_one((slot.asked.route.lane, slot.asked.id)))
}

#[cfg(test)]
mod tests;
