//! `GetFlows`.

use super::{
    TURN,
    range::{After, Range},
    selection::Selection,
};
use crate::{
    Observer,
    log::{Lost, Step},
};
use ciliate_flow::Flow;
use ciliate_hubble::{
    Int32Value, Timestamp,
    flow::{LostEvent, LostEventSource},
    observer::{GetFlowsRequest, GetFlowsResponse, get_flows_response::ResponseTypes},
};
use std::time::{Duration, Instant};
use tokio::{sync::mpsc, task};
use tonic::Status;

/// How often a client is told what it missed, at most.
const LOSS_INTERVAL: Duration = Duration::from_secs(1);

/// One client's stream.
pub struct Flows {
    observer: Observer,
    range: Range,
    selection: Selection,
}

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
        Ok(Self { observer: observer.clone(), range, selection: Selection::new(&request)? })
    }

    /// Until all is sent, or the client is gone.
    pub async fn send(self, out: mpsc::Sender<Result<GetFlowsResponse, Status>>) {
        let Self { observer, range, selection } = self;
        let log = observer.flows();
        let mut bell = log.bell();
        let mut cursor = range.begin(log, |flow| selection.passes(flow)).await;
        let mut losses = Losses::default();
        let (mut left, mut turn) = (range.most(), 0_usize);
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
