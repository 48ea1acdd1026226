//! `GetFlows`.

use super::{
    TURN,
    range::{After, Begin, Range},
    selection::Selection,
};
use crate::{
    Observer,
    log::{Cursor, Lost, Step},
    past::Past,
};
use ciliate_flow::{Flow, FlowId};
use ciliate_history::Order;
use ciliate_hubble::{
    Int32Value, Timestamp,
    flow::{LostEvent, LostEventSource},
    observer::{GetFlowsRequest, GetFlowsResponse, get_flows_response::ResponseTypes},
};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::{sync::mpsc, task};
use tonic::Status;

/// How often a client is told what it missed, at most.
const LOSS_INTERVAL: Duration = Duration::from_secs(1);

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
        let Begin { mut cursor, found } = self.range.begin(log, |flow| self.selection.passes(flow)).await;
        let missing = self.range.missing(found);
        let Some(sent) = self.send_past(&mut cursor, missing, &out).await else { return };
        let Self { observer, range, selection, .. } = self;
        let mut losses = Losses::default();
        let (mut left, mut turn) = (range.most().saturating_sub(sent), 0_usize);
        loop {
            // What comes after this look rings again.
            bell.mark_unchanged();
            loop {
                let answer = match cursor.next() {
                    Step::End => break,
                    Step::Lost(lost) => {
                        losses.add(lost);
                        None
                    }
                    Step::Entry(flow) if range.until.is_some_and(|until| until < flow.time) => return,
                    Step::Entry(flow) if range.holds(flow.time) && selection.passes(flow) => {
                        Some(selection.response(flow))
                    }
                    Step::Entry(_) => None,
                };
                if let Some(lost) = losses.due()
                    && out.send(Ok(observer.lost(lost))).await.is_err()
                {
                    return;
                }
                if let Some(answer) = answer {
                    if left == 0 || out.send(Ok(answer)).await.is_err() {
                        return;
                    }
                    left = left.saturating_sub(1);
                }
                turn = turn.saturating_add(1);
                if turn.is_multiple_of(TURN) {
                    task::yield_now().await;
                }
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

impl Flows {
    /// Sends what lies before the log: so many flows at most. Says how many, or nothing if the client is gone or heard of
    /// a fault.
    async fn send_past(&self, cursor: &mut Cursor<Flow>, most: u64, out: &Out) -> Option<u64> {
        let log = self.observer.flows();
        // What came into the log last need not be on disk yet, and is not sent twice.
        let kept = FlowId { run: log.run(), sequence: cursor.sequence() };
        let mut oldest = log.cursor(log.oldest());
        let oldest = match oldest.next() {
            Step::Entry(flow) => Some(flow.time),
            Step::Lost(_) | Step::End => None,
        };
        let Some(past) = Past::new(&self.observer, &self.request, oldest).filter(|_| most > 0) else {
            return Some(0);
        };
        let selection = Arc::clone(&self.selection);
        let passes = move |flow: &Flow| {
            (flow.id.run != kept.run || flow.id.sequence < kept.sequence) && selection.passes(flow)
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
}

/// What a client missed, summed up: it is told once a second, never flow by flow.
#[derive(Default)]
struct Losses {
    sum: Option<Lost>,
    told: Option<Instant>,
}

impl Losses {
    fn add(&mut self, lost: Lost) {
        self.sum = Some(match self.sum {
            None => lost,
            Some(before) => Lost {
                count: before.count.saturating_add(lost.count),
                first: before.first,
                last: lost.last.or(before.last),
            },
        });
    }

    fn due(&mut self) -> Option<LostEvent> {
        self.sum?;
        if self.told.is_some_and(|at| at.elapsed() < LOSS_INTERVAL) {
            return None;
        }
        self.told = Some(Instant::now());
        let lost = self.sum.take()?;
        Some(LostEvent {
            source: LostEventSource::HubbleRingBuffer.into(),
            num_events_lost: lost.count,
            cpu: None::<Int32Value>,
            first: lost.first.map(Timestamp::from),
            last: lost.last.map(Timestamp::from),
        })
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
