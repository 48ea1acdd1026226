//! `GetFlows`.

use super::{
    losses::Losses,
    range::{After, Begin, Range},
    selection::Selection,
    turn::Turn,
};
use crate::{
    Observer,
    log::{Cursor, Step},
    loss::LossSource,
    past::Past,
};
use ciliate_flow::{Flow, FlowId};
use ciliate_history::Order;
use ciliate_hubble::{
    flow::LostEvent,
    observer::{GetFlowsRequest, GetFlowsResponse, get_flows_response::ResponseTypes},
};
use std::sync::Arc;
use tokio::{sync::mpsc, time};
use tonic::Status;

/// One client's stream.
pub struct Flows {
    observer: Observer,
    range: Range,
    selection: Arc<Selection>,
    request: GetFlowsRequest,
}

type Out = mpsc::Sender<Result<GetFlowsResponse, Status>>;

impl Flows {
    /// # Errors
    /// `INVALID_ARGUMENT` with what is wrong in which filter or mask.
    pub fn new(observer: &Observer, request: GetFlowsRequest) -> Result<Self, Status> {
        let range = Range::new(
            request.number,
            request.first,
            request.follow,
            request.since.as_ref(),
            request.until.as_ref(),
        );
        let selection = Arc::new(Selection::new(&request)?);
        Ok(Self { observer: observer.clone(), range, selection, request })
    }

    /// Until all is sent, or the client is gone.
    pub async fn send(self, out: Out) {
        let log = self.observer.flows();
        let mut bell = log.bell();
        let mut judge = self.selection.judge();
        let Begin { mut cursor, found } = self.range.begin(log, |flow| judge.passes(flow)).await;
        let missing = self.range.missing(found);
        let Some(sent) = self.send_past(&mut cursor, missing, &out).await else { return };
        let mut losses = self.losses(&cursor);
        let Self { observer, range, selection, .. } = self;
        let mut lossy = observer.losses().log().bell();
        let (mut left, mut turn) = (range.most().saturating_sub(sent), Turn::new());
        loop {
            // What comes after this look rings again.
            bell.mark_unchanged();
            lossy.mark_unchanged();
            losses.look();
            loop {
                let answer = match cursor.next() {
                    Step::End => break,
                    Step::Lost(lost) => {
                        losses.add(LossSource::HubbleRingBuffer, lost);
                        None
                    }
                    Step::Entry(flow) if range.is_over(flow.time) => {
                        let _ = observer.tell(losses.rest(), &out).await;
                        return;
                    }
                    Step::Entry(flow) if range.holds(flow.time) && judge.passes(flow) => {
                        Some(selection.response(flow))
                    }
                    Step::Entry(_) => None,
                };
                if let Some(due) = losses.due()
                    && observer.tell(due, &out).await.is_none()
                {
                    return;
                }
                if let Some(answer) = answer {
                    if left == 0 || out.send(Ok(answer)).await.is_err() {
                        return;
                    }
                    left = left.saturating_sub(1);
                }
                turn.pass().await;
            }
            if range.after == After::End {
                let _ = observer.tell(losses.rest(), &out).await;
                return;
            }
            if let Some(due) = losses.due()
                && observer.tell(due, &out).await.is_none()
            {
                return;
            }
            let wait = losses.wait();
            tokio::select! {
                changed = bell.changed() => if changed.is_err() { return },
                changed = lossy.changed() => if changed.is_err() { return },
                () = time::sleep(wait.unwrap_or_default()), if wait.is_some() => {}
                () = out.closed() => return,
            }
        }
    }
}

impl Flows {
    /// What the node lost in the time that the answer is about: since a moment, or since its first flow; of who only
    /// follows, from now on.
    fn losses(&self, begin: &Cursor<Flow>) -> Losses {
        let (node, flows) = (self.observer.losses().log(), self.observer.flows());
        let only_follows = begin.sequence() >= flows.seen() && self.range.after == After::Follow;
        let first = match flows.cursor(begin.sequence()).next() {
            Step::Entry(flow) => Some(flow.time),
            Step::Lost(_) | Step::End => None,
        };
        let sequence = if only_follows { node.seen() } else { node.oldest() };
        Losses::new(node, sequence, self.range.since.or(first), self.range.until)
    }

    /// Sends what lies before the log: so many flows at most. Says how many, or nothing if the client is gone or heard of
    /// a fault.
    async fn send_past(&self, cursor: &mut Cursor<Flow>, most: u64, out: &Out) -> Option<u64> {
        let log = self.observer.flows();
        // What came into the log last need not be on disk yet, and is not sent twice.
        let kept = FlowId { run: log.run(), sequence: cursor.sequence() };
        let Some(past) = Past::new(&self.observer, &self.request).filter(|_| most > 0) else {
            return Some(0);
        };
        let mut judge = self.selection.judge();
        let passes = move |flow: &Flow| {
            (flow.id.run != kept.run || flow.id.sequence < kept.sequence) && judge.passes(flow)
        };
        let (mut sent, mut newest) = (0_u64, Vec::new());
        let order = self.range.order_of_past();
        let mut flows = past.read(order, passes);
        while sent < most {
            let Some(flow) = flows.recv().await else { break };
            match (flow, order) {
                (Err(status), _) => {
                    // A client that has gone does not hear of it.
                    let _ = out.send(Err(status)).await;
                    return None;
                }
                (Ok(flow), Order::NewestFirst) => newest.push(flow),
                (Ok(flow), Order::OldestFirst) => out.send(Ok(self.selection.response(&flow))).await.ok()?,
            }
            sent = sent.saturating_add(1);
        }
        for flow in newest.iter().rev() {
            out.send(Ok(self.selection.response(flow))).await.ok()?;
        }
        Some(sent)
    }
}

impl Observer {
    fn lost(&self, lost: LostEvent) -> GetFlowsResponse {
        GetFlowsResponse {
            node_name: self.node().name.clone(),
            time: lost.last,
            response_types: Some(ResponseTypes::LostEvents(lost)),
        }
    }

    /// Sends what there is to tell of losses; nothing if the client is gone.
    async fn tell(&self, events: Vec<LostEvent>, out: &Out) -> Option<()> {
        for lost in events {
            out.send(Ok(self.lost(lost))).await.ok()?;
        }
        Some(())
    }
}

impl Selection {
    fn response(&self, flow: &Flow) -> GetFlowsResponse {
        GetFlowsResponse {
            node_name: flow.node.name.clone(),
            time: Some(flow.time.into()),
            response_types: Some(ResponseTypes::Flow(self.message(flow))),
        }
    }
}
