//! What it costs to keep flows, and how soon one finds some of them again among very many.

pub mod traffic;

use crate::{
    report::{Report, Row},
    statistics,
};
use anyhow::{Context, Result, ensure};
use ciliate_flow::{Flow, Run, Time, Verdict};
use ciliate_history::{EndHint, Hint, Hints, History, Order, PodHint, Settings};
use std::{
    fs,
    ops::ControlFlow,
    path::{Path, PathBuf},
    time::{Duration, Instant, UNIX_EPOCH},
};
use traffic::Traffic;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Folder for the history, on a disk with room for it; what is made there is removed at the end
    #[arg(long)]
    work: PathBuf,
    /// Flows to generate; by default an eighth of a hundred million in an eighth of a day, so that an hour has as many
    #[arg(long, default_value_t = 12_500_000)]
    flows: u64,
    /// Hours that they are spread over
    #[arg(long, default_value_t = 3)]
    hours: u64,
    /// A hundred million flows in a day
    #[arg(long, conflicts_with_all = ["flows", "hours"])]
    full: bool,
    /// How often each query is made; the medians are over these
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// File for every number, as JSON
    #[arg(long)]
    json: Option<PathBuf>,
}

const HOUR: u64 = 3_600_000_000_000;
/// 2026-11-21 00:00 UTC.
const START: u64 = 1_795_219_200_000_000_000;

/// Whom the queries ask for: somebody who is neither the busiest nor idle.
struct Wanted {
    namespace: String,
    pod: String,
    since: u64,
    until: u64,
    /// Drops of it in that time.
    drops: u64,
}

pub fn run(args: &Args) -> Result<()> {
    let directory = args.work.join("history");
    ensure!(!directory.exists(), "{} is there already: remove it", directory.display());
    let result = measure(args, &directory);
    fs::remove_dir_all(&directory).with_context(|| format!("cannot remove {}", directory.display()))?;
    let report = result?;
    print!("{}", report.rows_table());
    if let Some(path) = &args.json {
        fs::write(path, serde_json::to_string_pretty(&report)?)
            .with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}

fn measure(args: &Args, directory: &Path) -> Result<Report> {
    let (flows, hours) = if args.full { (100_000_000, 24) } else { (args.flows, args.hours) };
    let mut report = Report::of_this_machine()?;
    let settings = Settings { max_size: u64::MAX, ..Settings::default() };
    let mut history = History::open(directory, Run::begun("node-1", START), settings)?;
    let rate = flows.checked_div(hours.saturating_mul(3600)).unwrap_or(1).max(1);
    let middle = START.saturating_add((hours / 2).saturating_mul(HOUR));
    let (mut wanted, mut kept) = (None::<Wanted>, Duration::ZERO);
    let mut traffic = Traffic::new(1, Time(START), rate);
    let (mut batch, mut left, mut minute) = (Vec::with_capacity(1024), flows, START);
    while left > 0 {
        batch.clear();
        batch.extend(traffic.by_ref().take(usize::try_from(left.min(1024))?));
        left = left.saturating_sub(u64::try_from(batch.len())?);
        batch.iter().for_each(|flow| count(&mut wanted, flow, middle));
        let start = Instant::now();
        history.append(&batch);
        if let Some(Time(now)) = batch.last().map(|flow| flow.time)
            && now >= minute
        {
            minute = now.saturating_add(HOUR / 60);
            history.tick(UNIX_EPOCH.checked_add(Duration::from_nanos(now)).context("no such time")?);
        }
        kept = kept.saturating_add(start.elapsed());
    }
    let start = Instant::now();
    history.compact()?;
    kept = kept.saturating_add(start.elapsed());
    let notices = history.notices();
    ensure!(history.lost() == 0 && notices.is_empty(), "{} flows lost, {notices:?}", history.lost());
    let wanted = wanted.context("no flow was generated in the middle hour")?;
    let bytes = size(directory)?;
    let rate = flows as f64 / kept.as_secs_f64();
    let per_flow = bytes as f64 / flows as f64;
    report.rows.push(Row {
        values: vec![rate],
        ..Row::text("flows/s kept, one thread", &format!("{:.0} k/s", rate / 1e3))
    });
    report.rows.push(Row {
        values: vec![per_flow],
        must: Some("<= 24".to_owned()),
        ..Row::text("bytes per flow on disk", &format!("{per_flow:.1} ({} flows, {bytes} bytes)", flows))
    });
    let pod = || PodHint { namespace: Some(wanted.namespace.clone()), prefix: wanted.pod.clone() };
    let end = || EndHint { pods: vec![pod()], ..EndHint::default() };
    let drops = Hint { verdicts: vec![Verdict::Dropped], ..Hint::default() };
    let any_of = vec![Hint { source: end(), ..drops.clone() }, Hint { destination: end(), ..drops }];
    let hour = Hints { since: Some(Time(wanted.since)), until: Some(Time(wanted.until)), any_of };
    let all = Hints { since: None, until: None, ..hour.clone() };
    let query = |what: &str, hints: &Hints, first: u64, must| -> Result<Row> {
        let mut times = Vec::new();
        for _ in 0..args.rounds {
            let start = Instant::now();
            let mut found = 0_u64;
            let reader = history.reader();
            let outcome = reader.query(hints, Order::NewestFirst, &mut |flow| {
                let drop = flow.verdict == Verdict::Dropped;
                found = found.saturating_add(u64::from(
                    drop && [&flow.source, &flow.destination]
                        .into_iter()
                        .any(|end| end.party.pod == wanted.pod),
                ));
                if found >= first { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            })?;
            ensure!(outcome.faults.is_empty(), "{:?}", outcome.faults);
            ensure!(
                first < wanted.drops || found == wanted.drops,
                "{found} drops found, {} made",
                wanted.drops
            );
            times.push(start.elapsed().as_secs_f64() * 1e3);
        }
        let median = statistics::median(&times).unwrap_or(f64::NAN);
        Ok(Row { values: times, must, ..Row::text(what, &format!("{median:.0} ms")) })
    };
    let what = format!("one pod's {} drops of one hour among {} flows", wanted.drops, flows);
    report.rows.push(query(&what, &hour, u64::MAX, Some("<= 1 s".to_owned()))?);
    report.rows.push(query("its last 20 drops", &all, 20, None)?);
    Ok(report)
}

/// Counts drops of the pod that is wanted: of the source of the first drop in the hour.
fn count(wanted: &mut Option<Wanted>, flow: &Flow, since: u64) {
    let until = since.saturating_add(HOUR - 1);
    if flow.verdict != Verdict::Dropped || !(since..=until).contains(&flow.time.0) {
        return;
    }
    let party = &flow.source.party;
    let (namespace, pod) = (party.namespace.clone(), party.pod.clone());
    let wanted = wanted.get_or_insert(Wanted { namespace, pod, since, until, drops: 0 });
    if [&flow.source, &flow.destination].into_iter().any(|end| end.party.pod == wanted.pod) {
        wanted.drops = wanted.drops.saturating_add(1);
    }
}

fn size(directory: &Path) -> Result<u64> {
    let mut bytes = 0_u64;
    for entry in fs::read_dir(directory)? {
        bytes = bytes.saturating_add(entry?.metadata()?.len());
    }
    Ok(bytes)
}
