//! From the proxy's records to what clients see: with names, labels and rules.

use super::{peer, rules::Rules};
use crate::state::State;
use ciliate_api::{Content, DnsAnswerView, Message, RequestEvent, RequestVerdict, RuleView};
use ciliate_proxy::message::{self, CachedName, Record, Side, What};
use ciliate_types::Direction;
use std::{
    future,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};
use tokio::sync::mpsc;

/// Records that wait to be passed on.
const QUEUE: usize = 16_384;

/// What the proxy tells.
#[derive(Debug)]
pub enum Told {
    Record(Box<Record>),
    /// What names resolved to before anybody listened.
    Names(Vec<CachedName>),
}

impl Told {
    /// The kernel's numbers of the rules that it is about.
    pub fn rules(&self) -> impl Iterator<Item = u32> {
        let record = match self {
            Self::Record(record) => Some(record),
            Self::Names(_) => None,
        };
        record.into_iter().flat_map(|record| record.closed_by.iter().copied().chain([record.rule]))
    }
}

/// Takes records from whoever listens to the proxy.
#[derive(Clone)]
pub struct Inlet {
    told: mpsc::Sender<Told>,
    lost: Arc<AtomicU64>,
}

pub struct Outlet {
    told: mpsc::Receiver<Told>,
    /// Has come already.
    first: Option<Told>,
    lost: Arc<AtomicU64>,
}

pub fn channel() -> (Inlet, Outlet) {
    let (sender, told) = mpsc::channel(QUEUE);
    let lost = Arc::new(AtomicU64::new(0));
    (Inlet { told: sender, lost: Arc::clone(&lost) }, Outlet { told, first: None, lost })
}

impl Inlet {
    /// Never waits: what there is no room for is counted and reported with the next one.
    pub fn put(&self, record: Record) {
        if self.told.try_send(Told::Record(Box::new(record))).is_err() {
            self.lose(1);
        }
    }

    pub fn put_names(&self, names: Vec<CachedName>) {
        if self.told.try_send(Told::Names(names)).is_err() {
            tracing::warn!("what names resolved to before is not known: flows are without them");
        }
    }

    pub fn lose(&self, count: u64) {
        self.lost.fetch_add(count, Ordering::Relaxed);
    }
}

impl Outlet {
    /// Waits until there is something to take.
    pub async fn come(&mut self) {
        if self.first.is_none() {
            self.first = self.told.recv().await;
            if self.first.is_none() {
                // Nobody is left who could tell anything.
                future::pending::<()>().await;
            }
        }
    }

    /// What there is, at most so many; none if there is nothing.
    pub fn take(&mut self, most: usize) -> Option<Vec<Told>> {
        let rest = std::iter::from_fn(|| self.told.try_recv().ok());
        let taken: Vec<Told> = self.first.take().into_iter().chain(rest).take(most).collect();
        (!taken.is_empty()).then_some(taken)
    }

    /// Records that were lost since it was last asked.
    pub fn lost(&self) -> u64 {
        self.lost.swap(0, Ordering::Relaxed)
    }
}

/// With names, labels and rules.
pub fn event(state: &State, record: Record, rules: &Rules) -> RequestEvent {
    let view = |number: u32| rules.get(number).map(|known| known.view.clone());
    let (rule, denied_by) = (view(record.rule), policies(record.closed_by.iter().copied().filter_map(view)));
    let client = peer(state, record.client.ip(), record.client.port(), record.client_identity);
    let server = peer(state, record.server.ip(), record.server.port(), record.server_identity);
    let (message, source, destination) = match record.message {
        message::Message::Request => (Message::Request, client, server),
        message::Message::Response => (Message::Response, server, client),
    };
    RequestEvent {
        message,
        verdict: match record.verdict {
            message::Verdict::Forwarded => RequestVerdict::Forwarded,
            message::Verdict::Denied => RequestVerdict::Denied,
            message::Verdict::Audited => RequestVerdict::Audited,
            message::Verdict::Refused => RequestVerdict::Refused,
        },
        direction: match record.direction {
            Side::Egress => Direction::Egress,
            Side::Ingress => Direction::Ingress,
        },
        source,
        destination,
        rule,
        denied_by,
        latency: record.latency,
        content: match record.what {
            What::Http { version, method, path, authority, status, grpc_status, headers } => Content::Http {
                version: version.to_string(),
                method,
                path,
                host: authority,
                status,
                grpc_status,
                headers,
            },
            What::Malformed { reason } => Content::Malformed { reason },
            What::Kafka { api, version, correlation_id, client_id, topics, error } => {
                Content::Kafka { api, version, correlation_id, client_id, topics, error }
            }
            What::Tls { server_name } => Content::Tls { server_name },
            What::Dns { name, kind, answer } => Content::Dns {
                name,
                kind,
                answer: answer.map(|answer| DnsAnswerView {
                    code: answer.code,
                    addresses: answer.addresses,
                    ttl: answer.ttl,
                    aliases: answer.aliases,
                    types: answer.kinds,
                }),
            },
        },
    }
}

/// Each place in a policy once.
fn policies(rules: impl Iterator<Item = RuleView>) -> Vec<RuleView> {
    let mut each: Vec<RuleView> = Vec::new();
    for rule in rules {
        if !each.iter().any(|known| (&known.object, &known.section) == (&rule.object, &rule.section)) {
            each.push(rule);
        }
    }
    each
}

#[cfg(test)]
mod tests {
    use super::*;
    use ciliate_types::Identity;

    fn record(message: message::Message) -> Record {
        Record {
            time: 1,
            message,
            client: "10.0.0.1:4000".parse().expect("an address"),
            server: "10.0.0.2:80".parse().expect("an address"),
            client_identity: Identity::new(1001),
            server_identity: Identity::new(1002),
            client_endpoint: None,
            server_endpoint: None,
            transport: 6,
            verdict: message::Verdict::Forwarded,
            direction: Side::Ingress,
            rule: 0,
            closed_by: Vec::new(),
            latency: None,
            what: What::Tls { server_name: None },
        }
    }

    #[test]
    fn a_response_comes_from_the_server() {
        for (message, source, destination) in
            [(message::Message::Request, 1001, 1002), (message::Message::Response, 1002, 1001)]
        {
            let event = event(&State::new(), record(message), &Rules::of([]));
            assert_eq!(
                (event.source.identity.get(), event.destination.identity.get()),
                (source, destination)
            );
            assert_eq!(event.source.port == 80, source == 1002);
        }
    }

    #[tokio::test]
    async fn what_there_is_no_room_for_is_counted() {
        let (inlet, mut outlet) = channel();
        for _ in 0..QUEUE + 3 {
            inlet.put(record(message::Message::Request));
        }
        assert_eq!((outlet.lost(), outlet.lost()), (3, 0));
        outlet.come().await;
        assert_eq!(outlet.take(3).map(|batch| batch.len()), Some(3));
        assert_eq!(outlet.take(QUEUE).map(|batch| batch.len()), Some(QUEUE - 3));
        assert!(outlet.take(1).is_none());
    }
}
