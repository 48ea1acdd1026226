//! `ciliate apply`: all objects of all files, or none.

use super::{
    source::{self, Depth, Source},
    validate, view,
};
use crate::{
    context::Context,
    output::{OutputArgs, count},
    progress::Waiting,
};
use ciliate_api::{ApplyRequest, ApplyResult, Client};
use std::{path::PathBuf, sync::mpsc, thread, time::Duration};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// File, directory, or - for standard input. May be repeated
    #[arg(short = 'f', long = "filename", value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// Also directories below directories
    #[arg(short = 'R', long)]
    recursive: bool,
    /// Namespace of objects that name none
    #[arg(short, long, default_value = "default")]
    namespace: String,
    /// Check as `validate` does and change nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    output: OutputArgs,
}

impl Args {
    pub fn run(self, context: &Context) -> anyhow::Result<()> {
        let depth = Depth::when(self.recursive);
        if self.dry_run {
            let sources = source::read(&self.files, depth)?;
            return validate::check(
                context,
                &sources,
                &self.namespace,
                validate::Strictness::Apply,
                &self.output,
            );
        }
        apply(context, &self.files, depth, &self.namespace, &self.output)
    }
}

pub fn apply(
    context: &Context,
    files: &[PathBuf],
    depth: Depth,
    namespace: &str,
    output: &OutputArgs,
) -> anyhow::Result<()> {
    let sources = source::read(files, depth)?;
    let request = request(&sources, namespace)?;
    let result = send(context.client()?, request, sources.len())?;
    for result in &result.results {
        for warning in &result.warnings {
            eprintln!("Warning: {warning}");
        }
    }
    output.print(&context.page, &view::Results(result))
}

/// One request for all sources, so that they are taken as a whole.
///
/// Several sources are read here first: after they are joined, a mistake could not be told by file and line.
pub fn request(sources: &[Source], namespace: &str) -> anyhow::Result<ApplyRequest> {
    let (text, origin) = match sources {
        [only] => (only.text.clone(), only.origin.clone()),
        several => {
            validate::parse_all(several, namespace)?;
            let texts: Vec<&str> = several.iter().map(|s| s.text.as_str()).collect();
            (
                texts.join("\n---\n"),
                format!("{} and {} more", first(several), several.len().saturating_sub(1)),
            )
        }
    };
    Ok(ApplyRequest { text, origin, namespace: namespace.to_owned() })
}

fn first(sources: &[Source]) -> &str {
    sources.first().map_or("", |source| source.origin.as_str())
}

/// Asks on another thread, so that a long wait can be shown.
fn send(client: Client, request: ApplyRequest, sources: usize) -> anyhow::Result<ApplyResult> {
    let client = client.with_timeout(Duration::from_secs(300));
    let (answer, answered) = mpsc::channel();
    thread::spawn(move || answer.send(client.apply(&request)));
    let waiting = Waiting::new("applying");
    loop {
        match answered.recv_timeout(Duration::from_millis(200)) {
            Ok(result) => return Ok(result?),
            Err(mpsc::RecvTimeoutError::Timeout) => waiting.tick(&count(sources, "file")),
            Err(mpsc::RecvTimeoutError::Disconnected) => anyhow::bail!("the request was given up"),
        }
    }
}
