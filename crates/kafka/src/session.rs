//! A connection between a client and a broker.

mod answered;
mod client;
mod server;

pub use answered::Answered;
pub use client::ClientStep;
pub use server::ServerStep;

use crate::{Malformed, denial::DeniedTopic, request::Named};
use std::collections::VecDeque;
use thiserror::Error;

/// What a connection may hold.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Bytes of a request whose topics have to be read before it may go on, or that is denied. Producers by default send no more
    /// than 1 MiB (`max.request.size`), brokers take no more than 100 MiB (`socket.request.max.bytes`).
    pub request: usize,
    /// Bytes of an answer that has to be held, to read topic ids or to change it. A larger answer to Metadata passes, and its ids stay unknown.
    pub response: usize,
    /// Array elements in a message that is read.
    pub elements: usize,
    /// Requests without an answer.
    pub unanswered: usize,
    /// Bytes of denials that wait for answers to earlier requests.
    pub denials: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { request: 8 << 20, response: 8 << 20, elements: 200_000, unanswered: 1000, denials: 1 << 20 }
    }
}

/// What happens to a request that no rule allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    Enforce,
    /// It goes on nevertheless.
    Audit,
}

/// Why the connection cannot go on.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum SessionError {
    #[error("a request cannot be read: {0}")]
    Request(#[source] Malformed),
    #[error("an answer cannot be read: {0}")]
    Response(#[source] Malformed),
    #[error("a request of {size} bytes has to be read whole, and a setting allows {limit}")]
    RequestTooLong { size: usize, limit: usize },
    #[error("an answer of {size} bytes has to be read whole, and a setting allows {limit}")]
    ResponseTooLong { size: usize, limit: usize },
    #[error(
        "SaslHandshake version 0, after which no Kafka requests but bare tokens follow; use a client that has version 1"
    )]
    BareTokens,
    #[error(
        "a request that is not allowed has kind {api_key} and version {api_version}, for which no denial can be written"
    )]
    Unanswerable { api_key: i16, api_version: i16 },
    #[error("the server answers what nobody asked")]
    Unasked,
    #[error("the server answers request {got} while {expected} is next")]
    OutOfStep { expected: i32, got: i32 },
}

/// State of a connection. Neither direction may be skipped or repeated: each byte is shown until a step takes it.
#[derive(Debug)]
pub struct Session {
    limits: Limits,
    /// What is left of a request that was decided before it was there.
    request_rest: Option<Rest>,
    /// How much of an answer is left to pass.
    response_rest: usize,
    unanswered: VecDeque<Expected>,
    /// Bytes of denials in there.
    denied: usize,
    fetch: Option<FetchSession>,
    /// Of the last step of the server.
    answered: Option<Answered>,
}

#[derive(Clone, Copy, Debug)]
enum Rest {
    Pass(usize),
    Drop(usize),
}

/// What comes next towards the client.
#[derive(Debug)]
enum Expected {
    Answer {
        correlation_id: i32,
        /// Kind and version of the request.
        api: (i16, i16),
        read: Read,
    },
    Denial(Vec<u8>),
}

/// What has to be done with an answer.
#[derive(Debug)]
enum Read {
    Pass,
    /// Learn topic ids.
    Metadata {
        version: i16,
    },
    /// Put in what was asked for and not passed on.
    AddTopics {
        version: i16,
        topics: Vec<DeniedTopic>,
    },
    ApiVersions {
        version: i16,
    },
    /// Learn the id of the fetch session that holds these topics.
    Fetch {
        flexible: bool,
        topics: Vec<Named>,
    },
}

/// A fetch session (KIP-227) that was started over this connection.
#[derive(Debug)]
struct FetchSession {
    id: i32,
    topics: Vec<Named>,
}

impl Session {
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            request_rest: None,
            response_rest: 0,
            unanswered: VecDeque::new(),
            denied: 0,
            fetch: None,
            answered: None,
        }
    }

    /// The answer that the last step of the server began with, once.
    pub fn take_answered(&mut self) -> Option<Answered> {
        self.answered.take()
    }

    /// Neither is an answer outstanding nor does the connection stand within a request or an answer.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.unanswered.is_empty() && self.request_rest.is_none() && self.response_rest == 0
    }
}
