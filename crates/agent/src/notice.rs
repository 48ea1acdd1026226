//! Events on their way to whoever watches. A watcher that is too slow loses some and learns how many.

use ciliate_api::{Event, EventBody};
use ciliate_types::EndpointId;
use jiff::Timestamp;
use std::sync::Arc;
use tokio::sync::broadcast;

/// Events that a watcher may be behind.
const BEHIND: usize = 4096;

#[derive(Clone, Debug)]
pub struct Notices(broadcast::Sender<Arc<Event>>);

impl Notices {
    pub fn new() -> Self {
        Self(broadcast::channel(BEHIND).0)
    }

    pub fn watched(&self) -> bool {
        self.0.receiver_count() > 0
    }

    pub fn subscribe(&self) -> broadcast::Receiver<Arc<Event>> {
        self.0.subscribe()
    }

    pub fn send(&self, time: Timestamp, body: EventBody) {
        if self.watched() {
            // Nobody watching any more is well.
            let _ = self.0.send(Arc::new(Event { time, body }));
        }
    }

    /// Something the agent did.
    pub fn agent(&self, subject: &str, message: impl Into<String>, endpoint: Option<EndpointId>) {
        let body = EventBody::Agent { subject: subject.to_owned(), message: message.into(), endpoint };
        self.send(Timestamp::now(), body);
    }
}
