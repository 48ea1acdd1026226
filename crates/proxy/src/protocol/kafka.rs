//! Kafka.

use super::{Asked, Next, Step, Surroundings};
use crate::{
    gate::{Decided, Gate, Guard},
    message::{Verdict, What},
};
use ciliate_kafka::{
    Answered, ClientStep, Judged, Limits, Mode, Policy, ServerStep, Session, SessionError, TopicIds,
};
use std::{collections::VecDeque, sync::Arc, time::Instant};

/// Requests without an answer that are remembered for a watcher; the protocol allows more.
const REMEMBERED: usize = 1024;

#[derive(Debug)]
pub struct Kafka {
    session: Session,
    topics: Arc<TopicIds>,
    /// Of the gate; none after a change.
    policy: Option<Policy>,
    /// Told of and not answered, while somebody watches; by correlation id.
    asked: VecDeque<(i32, Asked)>,
}

impl Kafka {
    pub fn new(limits: Limits, topics: Arc<TopicIds>) -> Self {
        Self { session: Session::new(limits), topics, policy: None, asked: VecDeque::new() }
    }

    /// The gate has changed.
    pub fn forget_policy(&mut self) {
        self.policy = None;
    }

    pub fn client(&mut self, input: &[u8], around: &mut Surroundings<'_>) -> Step {
        let (enforced, mode) = enforced(around.gate);
        let policy = self.policy.get_or_insert_with(|| policy(enforced));
        let step = match self.session.client(input, policy, &self.topics, mode) {
            Ok(step) => step,
            Err(error) => return broken(&error),
        };
        let (step, judged) = match step {
            ClientStep::More { .. } => (Step::nothing(Next::More), None),
            ClientStep::Wait => (Step::nothing(Next::Wait), None),
            ClientStep::Forward { len, judged } => {
                (Step { consumed: len, forward: 0..len, next: Next::Again }, judged)
            }
            ClientStep::Discard { len, judged } => {
                (Step { consumed: len, forward: 0..0, next: Next::Again }, judged)
            }
            ClientStep::Replace { len, with, judged } => {
                around.to_server.extend_from_slice(&with);
                (Step { consumed: len, forward: 0..0, next: Next::Again }, Some(judged))
            }
        };
        if let Some(judged) = judged {
            let decided = decided(&judged, around.gate, mode);
            let what = around.watched.then(|| around.shared.settings.redaction.kafka(&judged));
            (around.tell)(decided, what.as_ref());
            let waits = matches!(decided.verdict, Verdict::Forwarded | Verdict::Audited);
            if let Some(what) = what.filter(|_| waits && self.asked.len() < REMEMBERED) {
                let asked = Asked { decided, what, at: Instant::now() };
                self.asked.push_back((judged.correlation_id, asked));
            }
        }
        // A denial may be due at once.
        loop {
            match self.session.server(&[], &self.topics) {
                Ok(ServerStep::Replace { len: 0, with }) => around.to_client.extend_from_slice(&with),
                Ok(_) => return step,
                Err(error) => return broken(&error),
            }
        }
    }

    pub fn server(&mut self, input: &[u8], around: &mut Surroundings<'_>) -> Step {
        let stepped = self.session.server(input, &self.topics);
        if let Some(answered) = self.session.take_answered() {
            self.answered(answered, around);
        }
        match stepped {
            Ok(ServerStep::More { .. }) => Step::nothing(Next::More),
            Ok(ServerStep::Forward { len }) => Step { consumed: len, forward: 0..len, next: Next::Again },
            Ok(ServerStep::Replace { len, with }) => {
                around.to_client.extend_from_slice(&with);
                Step { consumed: len, forward: 0..0, next: Next::Again }
            }
            Err(error) => broken(&error),
        }
    }
}

impl Kafka {
    /// Tells of an answer to a request that was remembered. Answers come in the order of requests, and some have none.
    fn answered(&mut self, answered: Answered, around: &mut Surroundings<'_>) {
        let place = self.asked.iter().position(|(id, _)| *id == answered.correlation_id);
        let Some((_, mut asked)) = place.and_then(|place| self.asked.drain(..=place).next_back()) else {
            return;
        };
        if let What::Kafka { error, .. } = &mut asked.what {
            *error = answered.error;
        }
        (around.answered)(&asked);
    }
}

/// The policies that a request has to pass. Where all of them only report they are asked all the same.
fn enforced(gate: &Gate) -> (Vec<&Guard>, Mode) {
    let strict: Vec<_> = gate.guards.iter().filter(|guard| !guard.audit).collect();
    match strict.is_empty() {
        true => (gate.guards.iter().collect(), Mode::Audit),
        false => (strict, Mode::Enforce),
    }
}

fn policy(guards: Vec<&Guard>) -> Policy {
    let of = |guard: &Guard| Policy::new(guard.filters.iter().flat_map(|filter| &filter.kafka));
    guards.into_iter().map(of).reduce(Policy::and).unwrap_or_else(|| Policy::new([]))
}

fn broken(error: &SessionError) -> Step {
    tracing::debug!(%error, "a Kafka connection cannot go on");
    Step::nothing(Next::Cut("kafka"))
}

fn decided(judged: &Judged, gate: &Gate, mode: Mode) -> Decided {
    let guard = gate.guards.first();
    let rule = guard.and_then(|guard| guard.filters.first()).map_or(0, |filter| filter.first_rule());
    let side = guard.map_or(crate::message::Side::Ingress, |guard| guard.side);
    match (&judged.verdict, mode) {
        (ciliate_kafka::Verdict::Allowed, _) => Decided { verdict: Verdict::Forwarded, side, rule },
        (ciliate_kafka::Verdict::Denied(_), Mode::Audit) => {
            Decided { verdict: Verdict::Audited, side, rule: 0 }
        }
        (ciliate_kafka::Verdict::Denied(_), Mode::Enforce) => {
            Decided { verdict: Verdict::Denied, side, rule: 0 }
        }
    }
}
