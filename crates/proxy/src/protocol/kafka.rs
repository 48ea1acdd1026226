//! Kafka.

use super::{Next, Step, Surroundings};
use crate::{
    gate::{Decided, Gate, Guard},
    message::{Verdict, What},
};
use ciliate_kafka::{
    ClientStep, Judged, Limits, Mode, Policy, ServerStep, Session, SessionError, TopicIds, api_name,
};
use std::sync::Arc;

#[derive(Debug)]
pub struct Kafka {
    session: Session,
    topics: Arc<TopicIds>,
    /// Of the gate; none after a change.
    policy: Option<Policy>,
}

impl Kafka {
    pub fn new(limits: Limits, topics: Arc<TopicIds>) -> Self {
        Self { session: Session::new(limits), topics, policy: None }
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
            (around.tell)(decided(&judged, around.gate, mode), &|| what(&judged));
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
        match self.session.server(input, &self.topics) {
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

fn what(judged: &Judged) -> What {
    What::Kafka {
        api: api_name(judged.api_key).map_or_else(|| judged.api_key.to_string(), str::to_owned),
        version: judged.api_version,
        client_id: judged.client_id.as_deref().map(str::to_owned),
        topics: judged.topics.iter().map(ToString::to_string).collect(),
    }
}
