//! One node's answers to one client's question.

use crate::{answer::Answer, codec::Asking, merge::Lane, nodes::Link};
use bytes::Bytes;
use std::{future::poll_fn, pin::Pin, sync::Arc, task::Poll, time::Duration};
use tokio::{
    sync::{Semaphore, mpsc},
    time::timeout,
};
use tokio_stream::Stream as _;
use tonic::{Request, Status, Streaming, client::Grpc, codegen::http::uri::PathAndQuery};

pub const PATH: &str = "/observer.Observer/GetFlows";
/// Answers that are passed on together, if they come together.
const BATCH: usize = 64;
/// Longest answer: one flow.
const LONGEST: usize = 16 << 20;

/// What came of a node.
pub struct Arrival {
    pub lane: Lane,
    /// The number of the connection over which it came.
    pub link: u64,
    pub what: What,
}

pub enum What {
    Answers(Vec<Answer>),
    Ended(Result<(), Status>),
}

/// One question to one node.
pub struct Listener {
    pub lane: Lane,
    pub link: Link,
    pub question: Bytes,
    pub arrivals: mpsc::Sender<Arrival>,
    /// Answers that may be on their way; without, the merge takes what comes.
    pub credit: Option<Arc<Semaphore>>,
    /// How long the node may say nothing; without, it may be silent for ever.
    pub patience: Option<Duration>,
}

impl Listener {
    /// Until the node has no more to say, or nobody listens.
    pub async fn run(self) {
        let ended = self.listen().await;
        // Fails when the client has gone.
        let _ = self.arrivals.send(self.arrival(What::Ended(ended))).await;
    }

    async fn listen(&self) -> Result<(), Status> {
        let mut client = Grpc::new(self.link.channel.clone()).max_decoding_message_size(LONGEST);
        self.within(async {
            client
                .ready()
                .await
                .map_err(|error| Status::unavailable(format!("the connection is broken: {error}")))
        })
        .await?;
        let request = Request::new(self.question.clone());
        let path = PathAndQuery::from_static(PATH);
        let mut answers =
            self.within(client.server_streaming(request, path, Asking::default())).await?.into_inner();
        loop {
            let Some(first) = self.within(answers.message()).await? else { return Ok(()) };
            let mut batch = Vec::with_capacity(BATCH);
            batch.push(first);
            let rest = fill(&mut batch, &mut answers).await;
            if let Some(credit) = &self.credit {
                let wanted = u32::try_from(batch.len()).unwrap_or(u32::MAX);
                match credit.acquire_many(wanted).await {
                    Ok(taken) => taken.forget(),
                    Err(_) => return Ok(()),
                }
            }
            let arrival = self.arrival(What::Answers(batch));
            if self.arrivals.send(arrival).await.is_err() {
                return Ok(());
            }
            match rest {
                Rest::Later => {}
                Rest::Ended(ended) => return ended,
            }
        }
    }

    fn arrival(&self, what: What) -> Arrival {
        Arrival { lane: self.lane, link: self.link.number, what }
    }

    async fn within<T>(&self, answer: impl Future<Output = Result<T, Status>>) -> Result<T, Status> {
        match self.patience {
            None => answer.await,
            Some(patience) => timeout(patience, answer).await.unwrap_or_else(|_| {
                let seconds = patience.as_secs_f32();
                Err(Status::deadline_exceeded(format!("it has said nothing for {seconds} s")))
            }),
        }
    }
}

enum Rest {
    Later,
    Ended(Result<(), Status>),
}

/// Adds what is there already.
async fn fill(batch: &mut Vec<Answer>, answers: &mut Streaming<Answer>) -> Rest {
    poll_fn(|context| {
        while batch.len() < BATCH {
            match Pin::new(&mut *answers).poll_next(context) {
                Poll::Ready(Some(Ok(answer))) => batch.push(answer),
                Poll::Ready(Some(Err(status))) => return Poll::Ready(Rest::Ended(Err(status))),
                Poll::Ready(None) => return Poll::Ready(Rest::Ended(Ok(()))),
                Poll::Pending => break,
            }
        }
        Poll::Ready(Rest::Later)
    })
    .await
}
