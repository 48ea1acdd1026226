//! `ciliate history`: the flows on this node's disk, without asking the agent.

use crate::{
    context::Context,
    exit::{Code, Failure},
    output::{OutputArgs, Page, Table, View, emit},
    row,
    settings_flags::SettingsFlags,
};
use anyhow::Context as _;
use ciliate_flow::{Run, Time};
use ciliate_history::{Amount, Hints, History, HistoryError, Notice, Outcome, Reader, Settings, Stats};
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use std::{
    fs::File,
    io::{self, BufWriter},
    path::{Path, PathBuf},
};

#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Show how much there is, hour by hour
    Stats {
        #[command(flatten)]
        place: Place,
        #[command(flatten)]
        output: OutputArgs,
    },
    /// Merge small files of the same hour, while no agent runs (an agent does it by itself)
    Compact {
        #[command(flatten)]
        place: Place,
    },
    /// Write the flows of some time into one file, oldest first
    Export(ExportArgs),
}

#[derive(Debug, clap::Args)]
pub struct Place {
    /// Folder of the agent's state
    #[arg(long, value_name = "PATH")]
    state_dir: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
pub struct ExportArgs {
    #[command(flatten)]
    place: Place,
    /// The first moment: a time such as 2026-11-21T10:00:00Z, or so long ago, such as 2h
    #[arg(long, value_name = "TIME", value_parser = moment)]
    since: Option<Time>,
    /// The last moment, in the same forms
    #[arg(long, value_name = "TIME", value_parser = moment)]
    until: Option<Time>,
    /// parquet (the columns of the history) or json (Hubble's messages, one a line); else what the file's name ends in says
    #[arg(long)]
    format: Option<ExportFormat>,
    /// File to write, - for standard output
    file: PathBuf,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum ExportFormat {
    Parquet,
    Json,
}

impl Command {
    pub fn run(self, context: &Context) -> anyhow::Result<()> {
        match self {
            Self::Stats { place, output } => {
                let stats = Reader::new(&place.existing(context)?).stats()?;
                output.print(&context.page, &StatsView::from(stats))
            }
            Self::Compact { place } => compact(&place.existing(context)?),
            Self::Export(args) => args.run(context),
        }
    }
}

impl Place {
    /// The directory of the history.
    fn existing(&self, context: &Context) -> anyhow::Result<PathBuf> {
        let mut flags = SettingsFlags::default();
        if let Some(state_dir) = &self.state_dir {
            flags.0.insert("state-dir".to_owned(), std::path::absolute(state_dir)?.display().to_string());
        }
        let (_, config) = context.settings(&flags)?;
        let directory = config.state_dir.join("history");
        match directory.try_exists().with_context(|| format!("cannot look at {}", directory.display()))? {
            true => Ok(directory),
            false => {
                let text = format!(
                    "there is no history in {}: has an agent run with it? --state-dir names another folder",
                    config.state_dir.display()
                );
                Err(Failure::new(Code::NotFound, text).into())
            }
        }
    }
}

fn compact(directory: &Path) -> anyhow::Result<()> {
    let before = Reader::new(directory).stats()?.files();
    // Bounds are the agent's business: nothing is removed here.
    let mut history = History::open(directory, Run::default(), Settings::default())?;
    let gone = history.compact()?;
    let warned = |notice: &&Notice| notice.is_warning();
    for notice in history.notices().iter().filter(warned) {
        eprintln!("warning: {notice}");
    }
    let after = history.reader().stats()?.files();
    emit(&format!("{gone} files merged; {} of {} bytes are left\n", after.bytes, before.bytes))?;
    Ok(())
}

impl ExportArgs {
    fn run(self, context: &Context) -> anyhow::Result<()> {
        let format = self.format()?;
        let reader = Reader::new(&self.place.existing(context)?);
        let hints = Hints { since: self.since, until: self.until, any_of: Vec::new() };
        let (file, all) = (self.file.as_path(), &|_: &_| true);
        let Outcome { flows, faults } = match (format, file == Path::new("-")) {
            (ExportFormat::Parquet, _) => reader.export_parquet(&hints, all, file)?,
            (ExportFormat::Json, true) => {
                reader.export_json(&hints, all, &mut BufWriter::new(io::stdout().lock()), file)?
            }
            (ExportFormat::Json, false) => {
                let out = File::create(file).with_context(|| format!("cannot create {}", file.display()))?;
                reader.export_json(&hints, all, &mut BufWriter::new(out), file)?
            }
        };
        eprintln!("{flows} flows written");
        match faults.as_slice() {
            [] => Ok(()),
            faults => {
                let said: Vec<String> = faults.iter().map(HistoryError::to_string).collect();
                Err(Failure::new(Code::Failure, format!("not everything could be read: {}", said.join("; ")))
                    .into())
            }
        }
    }

    fn format(&self) -> anyhow::Result<ExportFormat> {
        let end = self.file.extension().and_then(|end| end.to_str());
        let standard_output = self.file == Path::new("-");
        match (self.format, end) {
            (Some(ExportFormat::Parquet), _) if standard_output => {
                Err(Failure::new(Code::Usage, "Parquet cannot go to standard output: name a file").into())
            }
            (Some(format), _) => Ok(format),
            (None, Some("parquet")) => Ok(ExportFormat::Parquet),
            (None, Some("json" | "jsonl" | "ndjson")) => Ok(ExportFormat::Json),
            (None, _) if standard_output => Ok(ExportFormat::Json),
            (None, _) => {
                let text =
                    "say --format parquet or --format json, or name a file that ends in .parquet or .jsonl";
                Err(Failure::new(Code::Usage, text).into())
            }
        }
    }
}

/// A time, or how long ago.
fn moment(text: &str) -> Result<Time, String> {
    let at = match (text.parse::<Timestamp>(), text.parse::<SignedDuration>()) {
        (Ok(at), _) => at,
        (Err(_), Ok(ago)) => Timestamp::now().checked_sub(ago).map_err(|error| error.to_string())?,
        (Err(_), Err(_)) => {
            return Err("write a time such as 2026-11-21T10:00:00Z, or how long ago, such as 90s, 2h or 7d"
                .to_owned());
        }
    };
    u64::try_from(at.as_nanosecond()).map(Time).map_err(|_| "lies before 1970".to_owned())
}

/// Its JSON stays.
#[derive(Debug, Serialize)]
struct StatsView {
    flows: u64,
    bytes: u64,
    bytes_per_flow: Option<f64>,
    oldest: Option<String>,
    newest: Option<String>,
    hours: Vec<HourView>,
    journal: AmountView,
    torn: Vec<PathBuf>,
}

#[derive(Debug, Serialize)]
struct HourView {
    hour: String,
    #[serde(flatten)]
    amount: AmountView,
}

#[derive(Debug, Serialize)]
struct AmountView {
    files: u64,
    flows: u64,
    bytes: u64,
}

impl From<Amount> for AmountView {
    fn from(amount: Amount) -> Self {
        let Amount { files, flows, bytes } = amount;
        Self { files, flows, bytes }
    }
}

impl From<Stats> for StatsView {
    fn from(stats: Stats) -> Self {
        let files = stats.files();
        let text = |time: Time| {
            let at = Timestamp::from_nanosecond(time.0.into());
            at.map_or_else(|_| time.0.to_string(), |at| format!("{at:.3}"))
        };
        Self {
            flows: files.flows.saturating_add(stats.journal.flows),
            bytes: files.bytes.saturating_add(stats.journal.bytes),
            bytes_per_flow: files.bytes_per_flow(),
            oldest: stats.oldest.map(text),
            newest: stats.newest.map(text),
            hours: stats
                .hours
                .into_iter()
                .map(|hour| HourView { hour: hour.hour.to_string(), amount: hour.amount.into() })
                .collect(),
            journal: stats.journal.into(),
            torn: stats.torn,
        }
    }
}

impl View for StatsView {
    fn text(&self, page: &Page) -> String {
        let rows = self
            .hours
            .iter()
            .map(|HourView { hour, amount }| row![hour, amount.files, amount.flows, amount.bytes]);
        let journal = row!["(journal)", self.journal.files, self.journal.flows, self.journal.bytes];
        let mut text =
            Table::new(&["HOUR", "FILES", "FLOWS", "BYTES"]).rows(rows.chain([journal])).render(page);
        let or_none = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
        let size = self.bytes_per_flow.map_or_else(|| "-".to_owned(), |size| format!("{size:.1}"));
        text.push_str(&format!(
            "\n{} flows from {} to {}, {} bytes, {size} bytes a flow in files\n",
            self.flows,
            or_none(&self.oldest),
            or_none(&self.newest),
            self.bytes
        ));
        for path in &self.torn {
            text.push_str(&format!("set aside: {}\n", path.display()));
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_times_or_ages() {
        assert_eq!(moment("2026-11-21T10:00:00Z"), Ok(Time(1_795_255_200_000_000_000)));
        assert!(moment("2h") < moment("1h"));
        assert!(moment("tomorrow").is_err_and(|text| text.contains("2026-11-21T10:00:00Z")));
        assert!(moment("1969-01-01T00:00:00Z").is_err());
    }
}
