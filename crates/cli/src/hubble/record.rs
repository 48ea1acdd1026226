//! `ciliate hubble record`: packets with their verdicts, into a file of the server's node.

use crate::{
    context::Context,
    exit::{Code, Failure},
    observe::server::{self, Server, ServerFlags},
    output::emit,
};
use anyhow::Context as _;
use ciliate_hubble::{
    Duration as Length,
    recorder::{
        self, FileSinkConfiguration, Protocol as Named, RecordRequest, RecordResponse, RecordingStatistics,
        StartRecording, StopCondition, StopRecording, record_request::RequestType,
        record_response::ResponseType, recorder_client::RecorderClient,
    },
};
use ciliate_recorder::{FilePrefix, Filter};
use std::{
    io::{IsTerminal, stderr},
    time::Duration,
};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::mpsc,
};
use tokio_stream::wrappers::ReceiverStream;

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    what: What,
    #[command(flatten)]
    server: ServerFlags,
}

/// What is recorded and when it ends.
#[derive(Clone, Debug, clap::Args)]
pub struct What {
    /// Which packets: SOURCE PORT DESTINATION PORT PROTOCOL, with 0 for any port and ANY for any protocol, such as "0.0.0.0/0 0 10.0.0.0/8 443 TCP". A packet is recorded that any of them matches
    #[arg(value_name = "FILTER", required = true)]
    pub filters: Vec<Filter>,
    /// Also the packets in the other direction of each filter
    #[arg(long)]
    pub both_directions: bool,
    /// Begins the name of the file
    #[arg(long, value_name = "NAME", default_value = "hubble")]
    pub file_prefix: FilePrefix,
    /// Most bytes of each packet; 0 for all
    #[arg(long, value_name = "BYTES", default_value = "0")]
    pub max_capture_len: u32,
    /// Take one packet of so many, chosen at random
    #[arg(long, value_name = "NUMBER", default_value = "1", value_parser = clap::value_parser!(u32).range(1..))]
    pub one_of: u32,
    /// End after so many packets; 0 for 1,000,000
    #[arg(long, value_name = "NUMBER", default_value = "0", hide_default_value = true)]
    pub packet_limit: u64,
    /// End after so many bytes of packets; 0 for 67,108,864
    #[arg(long, value_name = "BYTES", default_value = "0", hide_default_value = true)]
    pub bytes_limit: u64,
    /// End after this time [default: 5m]
    #[arg(long, value_name = "DURATION", value_parser = crate::progress::duration)]
    pub time_limit: Option<Duration>,
}

impl What {
    /// With those of the other direction.
    pub fn all_filters(&self) -> Vec<Filter> {
        let reversed = self.filters.iter().copied().map(Filter::reversed).filter(|_| self.both_directions);
        let mut all = self.filters.clone();
        for filter in reversed {
            if !all.contains(&filter) {
                all.push(filter);
            }
        }
        all
    }

    fn request(&self) -> StartRecording {
        let time = self.time_limit.unwrap_or_default();
        StartRecording {
            filesink: Some(FileSinkConfiguration { file_prefix: self.file_prefix.to_string() }),
            include: self.all_filters().iter().map(message).collect(),
            max_capture_length: self.max_capture_len,
            stop_condition: Some(StopCondition {
                bytes_captured_count: self.bytes_limit,
                packets_captured_count: self.packet_limit,
                time_elapsed: Some(Length {
                    seconds: i64::try_from(time.as_secs()).unwrap_or(i64::MAX),
                    nanos: i32::try_from(time.subsec_nanos()).unwrap_or_default(),
                }),
            }),
            one_of: self.one_of,
        }
    }
}

fn message(filter: &Filter) -> recorder::Filter {
    let ((source, source_port), (destination, destination_port)) = (filter.source(), filter.destination());
    recorder::Filter {
        source_cidr: source.to_string(),
        source_port: source_port.into(),
        destination_cidr: destination.to_string(),
        destination_port: destination_port.into(),
        protocol: filter.protocol().map_or(Named::Any as i32, |protocol| protocol.number().into()),
    }
}

impl Args {
    pub fn run(self, context: &Context) -> anyhow::Result<()> {
        server::run_whole(async {
            let server = self.server.connect(context).await?;
            let (requests, outgoing) = mpsc::channel(2);
            let request = |what| RecordRequest { request_type: Some(what) };
            requests.send(request(RequestType::Start(self.what.request()))).await?;
            let mut client = RecorderClient::new(server.channel.clone());
            let mut answers = client
                .record(ReceiverStream::new(outgoing))
                .await
                .map_err(|status| server.failed(&status))?
                .into_inner();
            let mut terminate = signal(SignalKind::terminate()).context("cannot wait for signals")?;
            let mut stopping = false;
            let mut shown = None;
            if stderr().is_terminal() {
                eprintln!("Recording. Press Ctrl-C to stop.");
            }
            loop {
                let answer = tokio::select! {
                    answer = answers.message() => answer.map_err(|status| server.failed(&status))?,
                    _ = tokio::signal::ctrl_c(), if !stopping => {
                        stopping = true;
                        requests.send(request(RequestType::Stop(StopRecording {}))).await?;
                        continue;
                    }
                    _ = terminate.recv(), if !stopping => {
                        stopping = true;
                        requests.send(request(RequestType::Stop(StopRecording {}))).await?;
                        continue;
                    }
                };
                let Some(answer) = answer else { return Err(ended_early(&server)) };
                if let Told::End = tell(&answer, &mut shown)? {
                    return Ok(());
                }
            }
        })
    }
}

fn ended_early(server: &Server) -> anyhow::Error {
    let message = format!(
        "{} ended without saying what became of the recording: its file may lack its end",
        server.address
    );
    Failure::new(Code::Failure, message).into()
}

/// Whether there is more to come.
enum Told {
    More,
    End,
}

/// Prints what the server says, a state only where it is a new one.
fn tell(answer: &RecordResponse, shown: &mut Option<RecordingStatistics>) -> anyhow::Result<Told> {
    let time = answer.time.as_ref().and_then(|time| {
        jiff::Timestamp::new(time.seconds, time.nanos).ok().map(|time| time.strftime("%FT%TZ").to_string())
    });
    let time = time.unwrap_or_default();
    match &answer.response_type {
        Some(ResponseType::Running(running)) => {
            let stats = running.stats.unwrap_or_default();
            if shown.as_ref() != Some(&stats) {
                emit(&format!("{time} Status: {}\n", written(&stats)))?;
                *shown = Some(stats);
            }
            Ok(Told::More)
        }
        Some(ResponseType::Stopped(stopped)) => {
            let stats = stopped.stats.unwrap_or_default();
            let path = stopped.filesink.clone().unwrap_or_default().file_path;
            let mut text = format!("{time} Result: {}\n", written(&stats));
            if !stopped.end_description.is_empty() {
                text.push_str(&format!("{time} Ended because {}\n", stopped.end_description));
            }
            text.push_str(&format!("{time} Output: {path}\n"));
            emit(&text)?;
            if stopped.end == "failed" {
                let message = format!("the recording {path} is not complete: {}", stopped.end_description);
                return Err(Failure::new(Code::Failure, message).into());
            }
            Ok(Told::End)
        }
        None => Ok(Told::More),
    }
}

fn written(stats: &RecordingStatistics) -> String {
    let mut text = format!("{} packets ({} bytes) written", stats.packets_captured, stats.bytes_captured);
    if stats.packets_lost > 0 {
        text.push_str(&format!(" and {} packets ({} bytes) lost", stats.packets_lost, stats.bytes_lost));
    }
    let left_out = stats.packets_matched.saturating_sub(stats.packets_captured);
    if left_out > stats.packets_lost {
        text.push_str(&format!(", of {} that match", stats.packets_matched));
    }
    text
}
