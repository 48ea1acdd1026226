//! From the proxy's records to what clients see: with names, labels and rules.

use super::{peer, rules::Rules};
use crate::{engine::Requests, notice::Notices, state::State};
use ciliate_api::{Content, EventBody, Message, RequestEvent, RequestVerdict, RuleView};
use ciliate_proxy::message::{self, Record, Side, What};
use ciliate_types::Direction;
use jiff::Timestamp;
use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};
use tokio::sync::{mpsc, watch};

/// Records that wait to be passed on.
const QUEUE: usize = 4096;

/// Takes records from whoever listens to the proxy.
#[derive(Clone)]
pub struct Inlet {
    records: mpsc::Sender<Record>,
    lost: Arc<AtomicU64>,
}

pub struct Outlet {
    records: mpsc::Receiver<Record>,
    lost: Arc<AtomicU64>,
}

pub fn channel() -> (Inlet, Outlet) {
    let (sender, records) = mpsc::channel(QUEUE);
    let lost = Arc::new(AtomicU64::new(0));
    (Inlet { records: sender, lost: Arc::clone(&lost) }, Outlet { records, lost })
}

impl Inlet {
    /// Never waits: what there is no room for is counted and reported with the next one.
    pub fn put(&self, record: Record) {
        if self.records.try_send(record).is_err() {
            self.lose(1);
        }
    }

    pub fn lose(&self, count: u64) {
        self.lost.fetch_add(count, Ordering::Relaxed);
    }
}

/// Passes on until the agent ends.
pub async fn forward(
    mut outlet: Outlet,
    state: watch::Receiver<Arc<State>>,
    requests: Requests,
    notices: Notices,
) -> anyhow::Result<()> {
    let mut rules = Rules::new(requests);
    while let Some(record) = outlet.records.recv().await {
        let lost = outlet.lost.swap(0, Ordering::Relaxed);
        if lost > 0 {
            notices.send(Timestamp::now(), EventBody::Lost { count: lost, place: "proxy".to_owned() });
        }
        let state = Arc::clone(&state.borrow());
        rules.learn(&state, [record.rule].into_iter()).await;
        let rule = rules.get(record.rule).map(|known| known.view.clone());
        let time = Timestamp::from_nanosecond(record.time.into()).unwrap_or_default();
        notices.send(time, EventBody::L7(Box::new(event(&state, record, rule))));
    }
    Ok(())
}

fn event(state: &State, record: Record, rule: Option<RuleView>) -> RequestEvent {
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
        latency: record.latency,
        content: match record.what {
            What::Http { method, path, host, status, grpc_status } => {
                Content::Http { method, path, host, status, grpc_status }
            }
            What::Malformed { reason } => Content::Malformed { reason },
            What::Kafka { api, version, client_id, topics } => {
                Content::Kafka { api, version, client_id, topics }
            }
            What::Tls { server_name } => Content::Tls { server_name },
            What::Dns { name, kind } => Content::Dns { name, kind },
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ciliate_types::Identity;

    #[test]
    fn a_response_comes_from_the_server() {
        let record = |message| Record {
            time: 1,
            message,
            client: "10.0.0.1:4000".parse().expect("an address"),
            server: "10.0.0.2:80".parse().expect("an address"),
            client_identity: Identity::new(1001),
            server_identity: Identity::new(1002),
            client_endpoint: None,
            server_endpoint: None,
            verdict: message::Verdict::Forwarded,
            direction: Side::Ingress,
            rule: 0,
            what: What::Tls { server_name: None },
            latency: None,
        };
        for (message, source, destination) in
            [(message::Message::Request, 1001, 1002), (message::Message::Response, 1002, 1001)]
        {
            let event = event(&State::new(), record(message), None);
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
        let what = What::Malformed { reason: "bare-lf".to_owned() };
        let record = || {
            serde_json::from_value::<Record>(serde_json::json!({
                "time": 1, "message": "request", "client": "10.0.0.1:4000", "server": "10.0.0.2:80",
                "clientIdentity": 1, "serverIdentity": 2, "clientEndpoint": null, "serverEndpoint": null,
                "verdict": "refused", "direction": "ingress", "rule": 0, "what": what, "latency": null,
            }))
            .expect("a record")
        };
        for _ in 0..QUEUE + 3 {
            inlet.put(record());
        }
        assert_eq!(outlet.lost.load(Ordering::Relaxed), 3);
        assert_eq!(outlet.records.recv().await, Some(record()));
    }
}
