//! `recorder.Recorder`: one recording a call, into a file of the node.

use crate::{
    End, Filter, Limits, OneOf, Progress, Recorder, Refusal, Request as Wanted, Snap, Started, Statistics,
    filter,
};
use ciliate_hubble::{
    Timestamp,
    recorder::{
        FileSinkResult, Protocol as Named, RecordRequest, RecordResponse, RecordingRunningResponse,
        RecordingStatistics, RecordingStoppedResponse, StartRecording, record_request::RequestType,
        record_response::ResponseType, recorder_server,
    },
};
use ciliate_types::Protocol;
use std::{
    pin::Pin,
    time::{Duration, SystemTime, UNIX_EPOCH},
};
use tokio::{
    sync::{mpsc, watch},
    time,
};
use tokio_stream::{Stream, wrappers::ReceiverStream};
use tonic::{Request, Response, Status, Streaming, async_trait};

/// How often a client hears of a recording that goes on.
const INTERVAL: Duration = Duration::from_secs(1);
/// How long a client may take to say what it wants.
const PATIENCE: Duration = Duration::from_secs(10);

/// Answers Hubble's clients.
#[derive(Clone, Debug)]
pub struct Service {
    pub recorder: Recorder,
    /// As responses name it.
    pub node: String,
}

type Answers = mpsc::Sender<Result<RecordResponse, Status>>;

#[async_trait]
impl recorder_server::Recorder for Service {
    type RecordStream = Pin<Box<dyn Stream<Item = Result<RecordResponse, Status>> + Send>>;

    async fn record(
        &self,
        requests: Request<Streaming<RecordRequest>>,
    ) -> Result<Response<Self::RecordStream>, Status> {
        let (answers, stream) = mpsc::channel(4);
        let service = self.clone();
        tokio::spawn(async move {
            if let Err(status) = service.serve(requests.into_inner(), &answers).await {
                // A client that is gone does not want to know.
                let _ = answers.send(Err(status)).await;
            }
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(stream))))
    }
}

/// What a client said while its recording goes on.
enum Said {
    Stop,
    Gone,
    Nonsense,
}

impl Service {
    async fn serve(&self, mut requests: Streaming<RecordRequest>, answers: &Answers) -> Result<(), Status> {
        let late = |_| Status::deadline_exceeded("no request to start a recording came");
        let first = time::timeout(PATIENCE, requests.message()).await.map_err(late)??;
        let Some(RequestType::Start(start)) = first.and_then(|first| first.request_type) else {
            return Err(Status::invalid_argument("the first request has to start a recording"));
        };
        let started = self.recorder.start(wanted(start)?).await.map_err(refused)?;
        let followed = self.follow(&started, &mut requests, answers).await;
        // Nothing to stop where it has ended by itself.
        let end = if followed.is_ok() { End::Stopped } else { End::ClientGone };
        let _ended = self.recorder.stop(started.id, end).await;
        followed
    }

    /// Tells how the recording goes until it has ended or the client has gone.
    async fn follow(
        &self,
        started: &Started,
        requests: &mut Streaming<RecordRequest>,
        answers: &Answers,
    ) -> Result<(), Status> {
        let gone = || Status::cancelled("the client went away");
        let mut progress = started.progress.clone();
        let mut listening = true;
        loop {
            let now = progress.borrow_and_update().clone();
            if let Some(end) = &now.end {
                let stopped = self.stopped(&now.statistics, end, started);
                return answers.send(Ok(stopped)).await.map_err(|_| gone());
            }
            if progress.has_changed().is_err() {
                return Err(refused(Refusal::Ended));
            }
            let running = RecordingRunningResponse { stats: Some(statistics(&now.statistics)) };
            answers.send(Ok(self.response(ResponseType::Running(running)))).await.map_err(|_| gone())?;
            tokio::select! {
                () = changed(&mut progress) => {}
                () = answers.closed() => return Err(gone()),
                said = hear(requests), if listening => match said {
                    Said::Stop => {
                        listening = false;
                        self.recorder.stop(started.id, End::Stopped).await.map_err(refused)?;
                    }
                    Said::Gone => return Err(gone()),
                    Said::Nonsense => {
                        return Err(Status::invalid_argument("a recording that goes on can only be stopped"));
                    }
                },
            }
        }
    }

    fn stopped(&self, now: &Statistics, end: &End, started: &Started) -> RecordResponse {
        self.response(ResponseType::Stopped(RecordingStoppedResponse {
            stats: Some(statistics(now)),
            filesink: Some(FileSinkResult { file_path: started.path.display().to_string() }),
            end: end.name().to_owned(),
            end_description: end.to_string(),
        }))
    }

    fn response(&self, response: ResponseType) -> RecordResponse {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        RecordResponse {
            node_name: self.node.clone(),
            time: Some(Timestamp {
                seconds: i64::try_from(now.as_secs()).unwrap_or(i64::MAX),
                nanos: i32::try_from(now.subsec_nanos()).unwrap_or_default(),
            }),
            response_type: Some(response),
        }
    }
}

/// Returns at once when the recording has ended, else when there is something new and the last news is old enough.
async fn changed(progress: &mut watch::Receiver<Progress>) {
    let ended = progress.wait_for(|progress| progress.end.is_some());
    // Whoever records has gone without a word: its end is seen by whoever stops the recording.
    let _ = time::timeout(INTERVAL, async {
        if ended.await.is_err() {
            std::future::pending::<()>().await;
        }
    })
    .await;
}

async fn hear(requests: &mut Streaming<RecordRequest>) -> Said {
    match requests.message().await {
        // One that has nothing more to say ends its recording in good order.
        Ok(None) => Said::Stop,
        Ok(Some(RecordRequest { request_type: Some(RequestType::Stop(_)) })) => Said::Stop,
        Ok(Some(_)) => Said::Nonsense,
        Err(_) => Said::Gone,
    }
}

fn statistics(now: &Statistics) -> RecordingStatistics {
    RecordingStatistics {
        bytes_captured: now.bytes,
        packets_captured: now.packets,
        packets_lost: now.counted.lost,
        bytes_lost: now.counted.lost_bytes,
        packets_matched: now.counted.matched,
    }
}

fn refused(refusal: Refusal) -> Status {
    let text = refusal.to_string();
    match refusal {
        Refusal::Request(_) => Status::invalid_argument(text),
        Refusal::Full(_) => Status::resource_exhausted(text),
        Refusal::Storage(_) => Status::internal(text),
        Refusal::Ended => Status::unavailable(text),
    }
}

fn wanted(start: StartRecording) -> Result<Wanted, Status> {
    let StartRecording { filesink, include, max_capture_length, stop_condition, one_of } = start;
    let prefix = filesink.unwrap_or_default().file_prefix;
    let stop = stop_condition.unwrap_or_default();
    let time = match stop.time_elapsed {
        None => Duration::ZERO,
        Some(time) => time
            .try_into()
            .map_err(|_| Status::invalid_argument("stop_condition.time_elapsed is no length of time"))?,
    };
    Ok(Wanted {
        prefix: prefix.parse().map_err(invalid)?,
        filters: include.into_iter().map(read_filter).collect::<Result<_, _>>()?,
        snap: Snap::new(max_capture_length),
        one_of: OneOf::new(one_of),
        limits: Limits { bytes: stop.bytes_captured_count, packets: stop.packets_captured_count, time },
    })
}

fn read_filter(asked: ciliate_hubble::recorder::Filter) -> Result<Filter, Status> {
    let protocol = match Named::try_from(asked.protocol) {
        Ok(Named::Any) => None,
        Ok(named) => u8::try_from(named as i32).ok().map(Protocol::new),
        Err(_) => return Err(Status::invalid_argument(format!("protocol {} is unknown", asked.protocol))),
    };
    let port =
        |port: u32| u16::try_from(port).map_err(|_| invalid(crate::FilterError::Port(port.to_string())));
    let source = (filter::network(&asked.source_cidr).map_err(invalid)?, port(asked.source_port)?);
    let destination =
        (filter::network(&asked.destination_cidr).map_err(invalid)?, port(asked.destination_port)?);
    Filter::new(source, destination, protocol).map_err(invalid)
}

fn invalid(error: impl std::error::Error) -> Status {
    Status::invalid_argument(error.to_string())
}
