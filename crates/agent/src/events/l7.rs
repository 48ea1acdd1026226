//! From the proxy's accesses to what clients see: with names, labels and rules.

use super::{packet::peer, rules::Rules};
use crate::state::State;
use ciliate_api::{Content, DnsAnswerView, Message, RequestEvent, RequestVerdict, RuleView};
use ciliate_proxy::message::{self, Access, CachedName, Side, What};
use ciliate_types::Direction;
use std::{
    future,
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
};
use tokio::sync::mpsc;

/// Accesses that wait to be passed on.
const QUEUE: usize = 16_384;

/// What the proxy tells.
#[derive(Debug)]
pub enum Told {
    /// As they came in one piece.
    Accesses(Vec<Access>),
    /// What names resolved to before anybody listened.
    Names(Vec<CachedName>),
}

impl Told {
    fn accesses(&self) -> usize {
        match self {
            Self::Accesses(accesses) => accesses.len(),
            Self::Names(_) => 0,
        }
    }
}

/// Takes accesses from whoever listens to the proxy.
#[derive(Clone)]
pub struct Inlet {
    told: mpsc::UnboundedSender<Told>,
    counts: Arc<Counts>,
}

pub struct Outlet {
    told: mpsc::UnboundedReceiver<Told>,
    /// Has come already.
    first: Option<Told>,
    counts: Arc<Counts>,
}

/// Of accesses.
#[derive(Default)]
struct Counts {
    /// Between inlet and outlet.
    waiting: AtomicUsize,
    lost: AtomicU64,
}

pub fn channel() -> (Inlet, Outlet) {
    let (sender, told) = mpsc::unbounded_channel();
    let counts = Arc::<Counts>::default();
    (Inlet { told: sender, counts: Arc::clone(&counts) }, Outlet { told, first: None, counts })
}

impl Inlet {
    /// Never waits: what there is no room for is counted and reported with the next ones.
    pub fn put(&self, mut accesses: Vec<Access>) {
        let came = accesses.len();
        let before = self.counts.waiting.fetch_add(came, Relaxed);
        accesses.truncate(QUEUE.saturating_sub(before));
        let over = came.saturating_sub(accesses.len());
        if over > 0 {
            self.counts.waiting.fetch_sub(over, Relaxed);
            self.lose(u64::try_from(over).unwrap_or(u64::MAX));
        }
        // Pieces without any would not be bounded by the number of those that wait.
        if !accesses.is_empty() {
            self.tell(Told::Accesses(accesses));
        }
    }

    pub fn put_names(&self, names: Vec<CachedName>) {
        self.tell(Told::Names(names));
    }

    pub fn lose(&self, count: u64) {
        self.counts.lost.fetch_add(count, Relaxed);
    }

    fn tell(&self, told: Told) {
        if self.told.send(told).is_err() {
            tracing::debug!("nobody decodes what the proxy tells: the agent ends");
        }
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

    /// What came in one piece; none if there is nothing.
    pub fn take(&mut self) -> Option<Told> {
        let told = self.first.take().or_else(|| self.told.try_recv().ok())?;
        self.counts.waiting.fetch_sub(told.accesses(), Relaxed);
        Some(told)
    }

    /// Accesses that were lost since it was last asked.
    pub fn lost(&self) -> u64 {
        self.counts.lost.swap(0, Relaxed)
    }
}

/// With names, labels and rules.
pub fn event(state: &State, access: Access, rules: &Rules) -> RequestEvent {
    let view = |number: u32| rules.get(number).map(|known| known.view.clone());
    let (rule, denied_by) = (view(access.rule), policies(access.closed_by.iter().copied().filter_map(view)));
    let client = peer(state, access.client.ip(), access.client.port(), access.client_identity);
    let server = peer(state, access.server.ip(), access.server.port(), access.server_identity);
    let (message, source, destination) = match access.message {
        message::Message::Request => (Message::Request, client, server),
        message::Message::Response => (Message::Response, server, client),
    };
    RequestEvent {
        message,
        verdict: match access.verdict {
            message::Verdict::Forwarded => RequestVerdict::Forwarded,
            message::Verdict::Denied => RequestVerdict::Denied,
            message::Verdict::Audited => RequestVerdict::Audited,
            message::Verdict::Refused => RequestVerdict::Refused,
        },
        direction: match access.direction {
            Side::Egress => Direction::Egress,
            Side::Ingress => Direction::Ingress,
        },
        source,
        destination,
        rule,
        denied_by,
        latency: access.latency,
        content: match access.what {
            What::Http { version, method, path, authority, status, grpc_status, headers, trace: _ } => {
                Content::Http {
                    version: version.to_string(),
                    method,
                    path,
                    host: authority,
                    status,
                    grpc_status,
                    headers,
                }
            }
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

    fn access(message: message::Message) -> Access {
        Access {
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
            let event = event(&State::new(), access(message), &Rules::of([]));
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
        let accesses = |number| vec![access(message::Message::Request); number];
        inlet.put(accesses(3));
        inlet.put(accesses(QUEUE - 3));
        inlet.put(accesses(3));
        assert_eq!((outlet.lost(), outlet.lost()), (3, 0));
        outlet.come().await;
        assert_eq!(outlet.take().map(|told| told.accesses()), Some(3));
        inlet.put(accesses(5));
        assert_eq!(outlet.lost(), 2);
        assert_eq!(outlet.take().map(|told| told.accesses()), Some(QUEUE - 3));
        assert_eq!(outlet.take().map(|told| told.accesses()), Some(3));
        assert!(outlet.take().is_none());
    }
}
