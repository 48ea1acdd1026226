//! `GetAgentEvents`.

use super::range::{After, Begin, Range};
use crate::{Observer, log::Step};
use ciliate_hubble::observer::{GetAgentEventsRequest, GetAgentEventsResponse};
use tokio::sync::mpsc;
use tonic::Status;

/// One client's stream.
pub struct AgentEvents {
    observer: Observer,
    range: Range,
}

impl AgentEvents {
    pub fn new(observer: &Observer, request: &GetAgentEventsRequest) -> Self {
        let GetAgentEventsRequest { number, first, follow, since, until } = request;
        let range = Range::new(*number, *first, *follow, since.as_ref(), until.as_ref());
        Self { observer: observer.clone(), range }
    }

    /// Until all is sent, or the client is gone. Events that it missed are few and not told of: the interface has no
    /// place for that.
    pub async fn send(self, out: mpsc::Sender<Result<GetAgentEventsResponse, Status>>) {
        let Self { observer, range } = self;
        let log = observer.agent_events();
        let mut bell = log.bell();
        let Begin { mut cursor, .. } = range.begin(log, |_| true).await;
        let mut left = range.most();
        loop {
            bell.mark_unchanged();
            loop {
                let entry = match cursor.next() {
                    Step::End => break,
                    Step::Lost(_) => continue,
                    Step::Entry(entry) if range.is_over(entry.time) => return,
                    Step::Entry(entry) if !range.holds(entry.time) => continue,
                    Step::Entry(entry) => entry,
                };
                let answer = GetAgentEventsResponse {
                    agent_event: Some(entry.event.clone()),
                    node_name: observer.node().name.clone(),
                    time: Some(entry.time.into()),
                };
                if left == 0 || out.send(Ok(answer)).await.is_err() {
                    return;
                }
                left = left.saturating_sub(1);
            }
            if range.after == After::End {
                return;
            }
            tokio::select! {
                changed = bell.changed() => if changed.is_err() { return },
                () = out.closed() => return,
            }
        }
    }
}
