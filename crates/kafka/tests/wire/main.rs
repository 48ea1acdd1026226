//! Sessions over bytes that another implementation of the protocol wrote, and answers that it has to understand.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a test states what it expects plainly"
)]

mod denials;
mod samples;
mod sequence;
mod splits;

use ciliate_kafka::{ClientStep, Judged, Limits, Mode, Policy, ServerStep, Session, SessionError, TopicIds};
use ciliate_types::KafkaRule;

pub fn topic_rule(topic: &str) -> KafkaRule {
    KafkaRule { topic: Some(topic.into()), ..KafkaRule::default() }
}

pub fn ids(names: &[&str]) -> TopicIds {
    let ids = TopicIds::new(100);
    for name in names {
        ids.learn(samples::id(name).into_bytes(), name);
    }
    ids
}

/// What becomes of one request on a connection of its own.
pub fn once(policy: &Policy, ids: &TopicIds, request: &[u8]) -> Result<(Session, ClientStep), SessionError> {
    let mut session = Session::new(Limits::default());
    let step = session.client(request, policy, ids, Mode::Enforce)?;
    Ok((session, step))
}

pub fn judged(step: &ClientStep) -> &Judged {
    match step {
        ClientStep::Forward { judged: Some(judged), .. }
        | ClientStep::Discard { judged: Some(judged), .. }
        | ClientStep::Replace { judged, .. } => judged,
        other => panic!("{other:?}"),
    }
}

/// A proxy between two byte streams, as one with sockets would use a session.
pub struct Proxy {
    pub session: Session,
    pub ids: TopicIds,
    pub mode: Mode,
    from_client: Vec<u8>,
    from_server: Vec<u8>,
    pub to_server: Vec<u8>,
    pub to_client: Vec<u8>,
    pub judged: Vec<Judged>,
}

impl Proxy {
    pub fn new(limits: Limits) -> Self {
        Self {
            session: Session::new(limits),
            ids: TopicIds::new(100),
            mode: Mode::Enforce,
            from_client: Vec::new(),
            from_server: Vec::new(),
            to_server: Vec::new(),
            to_client: Vec::new(),
            judged: Vec::new(),
        }
    }

    pub fn client(&mut self, policy: &Policy, bytes: &[u8]) -> Result<(), SessionError> {
        self.from_client.extend(bytes);
        self.run(policy)
    }

    pub fn server(&mut self, policy: &Policy, bytes: &[u8]) -> Result<(), SessionError> {
        self.from_server.extend(bytes);
        self.run(policy)
    }

    /// Until neither side can go on.
    fn run(&mut self, policy: &Policy) -> Result<(), SessionError> {
        loop {
            let client = self.session.client(&self.from_client, policy, &self.ids, self.mode)?;
            let mut moved = true;
            match client {
                ClientStep::Forward { len, judged } => {
                    self.to_server.extend(self.from_client.drain(..len));
                    self.judged.extend(judged);
                }
                ClientStep::Discard { len, judged } => {
                    self.from_client.drain(..len);
                    self.judged.extend(judged);
                }
                ClientStep::Replace { len, with, judged } => {
                    self.from_client.drain(..len);
                    self.to_server.extend(with);
                    self.judged.push(judged);
                }
                ClientStep::More { at_least } => {
                    assert!(at_least > self.from_client.len());
                    moved = false;
                }
                ClientStep::Wait => moved = false,
            }
            loop {
                match self.session.server(&self.from_server, &self.ids)? {
                    ServerStep::Forward { len } => self.to_client.extend(self.from_server.drain(..len)),
                    ServerStep::Replace { len, with } => {
                        self.from_server.drain(..len);
                        self.to_client.extend(with);
                    }
                    ServerStep::More { at_least } => {
                        assert!(at_least > self.from_server.len());
                        break;
                    }
                }
                moved = true;
            }
            if !moved {
                return Ok(());
            }
        }
    }
}
