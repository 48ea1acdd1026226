//! `ciliate recorder`: recordings that the agent goes on with by itself.

use crate::{
    context::Context,
    exit::{Code, Failure},
    hubble::record::What,
    output::{Cell, OutputArgs, Page, Table, View},
    row,
};
use ciliate_api::{Recording, RecordingRequest};
use serde::Serialize;

#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Begin to record packets with their verdicts into a pcapng file; it goes on until a limit ends it, or `recorder stop`
    Start {
        #[command(flatten)]
        what: Box<What>,
        #[command(flatten)]
        output: OutputArgs,
    },
    /// List what goes on and what ended since the agent's start
    #[command(visible_alias = "ls")]
    List {
        #[command(flatten)]
        output: OutputArgs,
    },
    /// End recordings and complete their files
    Stop {
        /// As `recorder list` shows them. May be repeated
        #[arg(value_name = "NUMBER", required_unless_present = "all")]
        recordings: Vec<u64>,
        /// All that go on
        #[arg(long, conflicts_with = "recordings")]
        all: bool,
        #[command(flatten)]
        output: OutputArgs,
    },
}

impl Command {
    pub fn run(self, context: &Context) -> anyhow::Result<()> {
        let client = context.client()?;
        match self {
            Self::Start { what, output } => {
                let started = client.start_recording(&request(&what))?;
                output.print(&context.page, &Recordings(vec![started]))
            }
            Self::List { output } => output.print(&context.page, &Recordings(client.recordings()?)),
            Self::Stop { mut recordings, all, output } => {
                if all {
                    let running = client.recordings()?.into_iter().filter(|one| one.end.is_none());
                    recordings = running.map(|one| one.id).collect();
                }
                let stopped = recordings.into_iter().map(|id| client.stop_recording(id));
                let stopped = stopped.collect::<Result<Vec<_>, _>>()?;
                let failed = stopped.iter().find_map(|one| match &one.end {
                    Some(end) if end.reason == "failed" => Some(format!("{}: {}", one.path, end.description)),
                    Some(_) | None => None,
                });
                output.print(&context.page, &Recordings(stopped))?;
                match failed {
                    Some(what) => Err(Failure::new(Code::Failure, what).into()),
                    None => Ok(()),
                }
            }
        }
    }
}

fn request(what: &What) -> RecordingRequest {
    let time = what.time_limit.unwrap_or_default();
    RecordingRequest {
        filters: what.all_filters().iter().map(ToString::to_string).collect(),
        file_prefix: what.file_prefix.to_string(),
        max_capture_length: what.max_capture_len,
        one_of: what.one_of,
        packet_limit: what.packet_limit,
        bytes_limit: what.bytes_limit,
        time_limit_milliseconds: u64::try_from(time.as_millis()).unwrap_or(u64::MAX),
    }
}

#[derive(Debug, Serialize)]
#[serde(transparent)]
struct Recordings(Vec<Recording>);

impl View for Recordings {
    fn text(&self, page: &Page) -> String {
        let titles = ["ID", "STATE", "PACKETS", "BYTES", "LOST", "FILTERS", "FILE"];
        let mut table = Table::new(&titles).wrap("FILTERS");
        for one in &self.0 {
            let state = one.end.as_ref().map_or("running", |end| &end.reason);
            table.push(row![
                one.id,
                state,
                one.packets,
                one.bytes,
                one.packets_lost,
                Cell::lines(one.filters.iter()),
                one.path.clone()
            ]);
        }
        table.render(page)
    }

    fn names(&self) -> Option<Vec<String>> {
        Some(self.0.iter().map(|one| format!("recording/{}", one.id)).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ciliate_api::RecordingEnd;
    use jiff::Timestamp;

    #[test]
    fn recordings_in_a_table() {
        let running = Recording {
            id: 1,
            path: "/run/x.pcapng".to_owned(),
            filters: vec!["a".to_owned(), "b".to_owned()],
            begun: Timestamp::UNIX_EPOCH,
            packets: 3,
            bytes: 400,
            packets_matched: 6,
            packets_lost: 0,
            bytes_lost: 0,
            end: None,
        };
        let end = RecordingEnd { reason: "time-limit".to_owned(), description: String::new() };
        let ended = Recording {
            id: 2,
            packets_lost: 7,
            filters: vec!["c".to_owned()],
            end: Some(end),
            ..running.clone()
        };
        assert_eq!(
            Recordings(vec![running, ended]).text(&Page::plain()),
            "\
ID   STATE        PACKETS   BYTES   LOST   FILTERS   FILE
1    running      3         400     0      a         /run/x.pcapng
                                           b
2    time-limit   3         400     7      c         /run/x.pcapng
"
        );
    }
}
