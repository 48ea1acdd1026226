//! `ciliate top`: who talks most, what is dropped most, and so on, as it happens.

mod board;
mod frame;
mod sighting;
mod tally;
mod terminal;
mod view;

use crate::{
    context::Context,
    observe::{
        moment,
        print::Hosts,
        raw_filter::{Filters, usage},
        server::{self, Server, ServerFlags},
    },
    output::emit,
};
use anyhow::Context as _;
use board::Board;
use ciliate_hubble::{
    FieldMask, Timestamp,
    observer::{GetFlowsRequest, GetFlowsResponse},
};
use frame::{Frame, Order, Sort};
use std::{
    io::{IsTerminal as _, stdout},
    time::{Duration, Instant},
};
use terminal::Terminal;
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::mpsc,
    time::{self, MissedTickBehavior},
};
use tonic::Streaming;
use view::View;

/// What keys do.
const KEYS: &str = "q quit  tab,1-5 view  s sort  r reverse  p pause";

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Keys: q ends, tab or 1 to 5 choose a view, s the column that rows are ordered by, r turns the order round, p holds the picture.\n  \
    ciliate top drops -n demo\n  \
    ciliate top http --sort 5xx --interval 5s\n  \
    ciliate top talkers --since 1h --once -o json"
)]
pub struct Args {
    /// What to show
    #[arg(value_enum, default_value = "talkers", hide_default_value = true)]
    view: View,
    /// How often the picture changes; rates are of that time
    #[arg(short, long, value_name = "DURATION", default_value = "2s", value_parser = crate::progress::duration)]
    interval: Duration,
    /// Column that rows are ordered by, as JSON names it; rate comes first without it
    #[arg(short, long, value_name = "COLUMN")]
    sort: Option<String>,
    /// The smallest first
    #[arg(short, long)]
    reverse: bool,
    /// Most rows
    #[arg(long, value_name = "NUMBER")]
    rows: Option<usize>,
    /// Print once, after an interval, or at once with --since, and end
    #[arg(long)]
    once: bool,
    /// Count also what was seen since then, as for `observe`
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// How to print; json: an object for each picture
    #[arg(short, long, value_enum, default_value = "table", hide_default_value = true)]
    output: Output,
    /// Addresses instead of names
    #[arg(long)]
    numeric: bool,
    #[command(flatten)]
    filters: Filters,
    #[command(flatten)]
    server: ServerFlags,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
enum Output {
    #[default]
    Table,
    Json,
}

/// What is shown now; keys change it.
struct Shown {
    view: View,
    sort: Sort,
    /// Whether the picture stays as it is.
    held: bool,
}

/// What a key asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wish {
    Quit,
    Suspend,
    Redraw,
    Nothing,
}

impl Shown {
    fn key(&mut self, key: u8) -> Wish {
        match key {
            b'q' | 3 | 4 => return Wish::Quit,
            26 => return Wish::Suspend,
            b'\t' => self.turn((self.view as usize).saturating_add(1)),
            b'1'..=b'5' => self.turn(usize::from(key.saturating_sub(b'1'))),
            b's' => {
                let next = self.sort.column.saturating_add(1);
                self.sort.column = if next < self.view.columns().len() { next } else { 0 };
            }
            b'r' => self.sort.order = self.sort.order.turned(),
            b'p' | b' ' => self.held = !self.held,
            // Redrawn, as programs of this kind do.
            12 => {}
            _ => return Wish::Nothing,
        }
        Wish::Redraw
    }

    fn turn(&mut self, to: usize) {
        if let Some(view) = View::ALL.into_iter().cycle().nth(to)
            && view != self.view
        {
            self.view = view;
            self.sort.column = 0;
        }
    }
}

impl Args {
    pub fn run(self, context: &Context) -> anyhow::Result<()> {
        let names: Vec<&str> = self.view.columns().iter().map(|column| column.name).collect();
        let column = match &self.sort {
            None => 0,
            Some(wanted) => names.iter().position(|name| name == wanted).ok_or_else(|| {
                let (view, names) = (self.view.name(), names.join(", "));
                usage(format!("--sort: {wanted:?} is no column of {view}: write one of {names}"))
            })?,
        };
        let order = if self.reverse { Order::SmallestFirst } else { Order::LargestFirst };
        let shown = Shown { view: self.view, sort: Sort { column, order }, held: false };
        let filters = self.filters.raw()?;
        let since = self.since.as_deref().map(|text| moment::flag("since", text)).transpose()?;
        let request = GetFlowsRequest {
            follow: !self.once || since.is_none(),
            blacklist: filters.deny,
            whitelist: filters.allow,
            since,
            field_mask: Some(FieldMask { paths: sighting::FIELDS.map(str::to_owned).to_vec() }),
            ..GetFlowsRequest::default()
        };
        server::run(async {
            let server = self.server.connect(context).await?;
            let stream = server.observer().get_flows(request).await;
            let stream = stream.map_err(|status| server.failed(&status))?.into_inner();
            let live = Live {
                hosts: if self.numeric { Hosts::Numeric } else { Hosts::Named },
                interval: self.interval,
                output: self.output,
                rows: self.rows.unwrap_or(usize::MAX),
                colour: context.page.colour,
                board: Board::default(),
                refreshed: Instant::now(),
                seconds: 0.0,
                server,
            };
            match (self.once, since) {
                (true, since) => live.once(stream, since, &shown).await,
                (false, _) => live.follow(stream, shown).await,
            }
        })
    }
}

/// Counts, and shows.
struct Live {
    server: Server,
    hosts: Hosts,
    interval: Duration,
    output: Output,
    rows: usize,
    colour: bool,
    board: Board,
    refreshed: Instant,
    /// That the rates are about.
    seconds: f64,
}

impl Live {
    /// All that there is since a moment, or what comes in an interval.
    async fn once(
        mut self,
        mut stream: Streaming<GetFlowsResponse>,
        since: Option<Timestamp>,
        shown: &Shown,
    ) -> anyhow::Result<()> {
        let end = time::sleep(self.interval);
        tokio::pin!(end);
        loop {
            tokio::select! {
                answer = stream.message() => match answer.map_err(|status| self.server.failed(&status))? {
                    Some(answer) => self.board.count(&answer, self.hosts),
                    None => break,
                },
                () = &mut end, if since.is_none() => break,
            }
        }
        let took = since.and_then(|since| {
            let now = jiff::Timestamp::now().as_second();
            u64::try_from(now.saturating_sub(since.seconds)).ok().map(Duration::from_secs)
        });
        self.refresh(took.unwrap_or_else(|| self.refreshed.elapsed()));
        self.print(shown)
    }

    async fn follow(mut self, stream: Streaming<GetFlowsResponse>, mut shown: Shown) -> anyhow::Result<()> {
        let mut stream = stream;
        let mut terminal = match stdout().is_terminal() && self.output == Output::Table {
            true => Some(Terminal::enter()?),
            false => None,
        };
        let mut keys = terminal.as_ref().map(Terminal::keys);
        let mut ticks = time::interval(self.interval);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        // The first is at once.
        ticks.tick().await;
        let listen = |kind| signal(kind).context("cannot listen for signals");
        let (mut resized, mut ended) =
            (listen(SignalKind::window_change())?, listen(SignalKind::terminate())?);
        let (mut gone, mut quit) = (listen(SignalKind::hangup())?, listen(SignalKind::quit())?);
        self.show(&mut terminal, &shown)?;
        loop {
            let wish = tokio::select! {
                answer = stream.message() => match answer.map_err(|status| self.server.failed(&status))? {
                    Some(answer) => {
                        self.board.count(&answer, self.hosts);
                        Wish::Nothing
                    }
                    None => anyhow::bail!("{} has ended", self.server.address),
                },
                _ = ticks.tick() => {
                    self.refresh(self.refreshed.elapsed());
                    if shown.held { Wish::Nothing } else { Wish::Redraw }
                }
                _ = resized.recv() => Wish::Redraw,
                key = next(&mut keys) => shown.key(key),
                _ = ended.recv() => Wish::Quit,
                _ = gone.recv() => Wish::Quit,
                _ = quit.recv() => Wish::Quit,
            };
            match wish {
                Wish::Quit => return Ok(()),
                Wish::Suspend => {
                    terminal.as_mut().map(Terminal::suspend).transpose()?;
                    self.show(&mut terminal, &shown)?;
                }
                Wish::Redraw => self.show(&mut terminal, &shown)?,
                Wish::Nothing => {}
            }
        }
    }

    fn refresh(&mut self, took: Duration) {
        self.refreshed = Instant::now();
        self.seconds = took.as_secs_f64();
        self.board.refresh(took);
    }

    fn show(&self, terminal: &mut Option<Terminal>, shown: &Shown) -> anyhow::Result<()> {
        let Some(terminal) = terminal else {
            // Before the first refresh there is nothing to say to a pipe.
            return if self.seconds > 0.0 { self.print(shown) } else { Ok(()) };
        };
        let size = terminal_size::terminal_size()
            .map(|(width, height)| (usize::from(width.0), usize::from(height.0)))
            .filter(|(width, height)| *width > 0 && *height > 0);
        let footer = if shown.held { "held: p goes on" } else { KEYS };
        let server = self.server.address.to_string();
        let frame = Frame { size: size.or(Some((80, 24))), footer, ..self.frame(shown, &server) };
        terminal.draw(&frame.lines())?;
        Ok(())
    }

    fn print(&self, shown: &Shown) -> anyhow::Result<()> {
        let server = self.server.address.to_string();
        let frame = self.frame(shown, &server);
        emit(&match self.output {
            Output::Json => format!("{}\n", frame.json()),
            Output::Table => frame.lines().join("\n") + "\n",
        })?;
        Ok(())
    }

    fn frame<'a>(&'a self, shown: &Shown, server: &'a str) -> Frame<'a> {
        Frame {
            board: &self.board,
            view: shown.view,
            sort: shown.sort,
            size: None,
            rows: self.rows,
            colour: self.colour,
            server,
            seconds: self.seconds,
            footer: "",
        }
    }
}

/// Waits for ever where there are no keys.
async fn next(keys: &mut Option<mpsc::Receiver<u8>>) -> u8 {
    if let Some(receiver) = keys
        && let Some(key) = receiver.recv().await
    {
        return key;
    }
    *keys = None;
    std::future::pending().await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_change_what_is_shown() {
        let sort = Sort { column: 0, order: Order::LargestFirst };
        let mut shown = Shown { view: View::Talkers, sort, held: false };
        assert_eq!(b"sr5\t".map(|key| shown.key(key)), [Wish::Redraw; 4]);
        assert_eq!(
            (shown.view, shown.sort.column, shown.sort.order),
            (View::Talkers, 0, Order::SmallestFirst)
        );
        for _ in 0..View::Talkers.columns().len() {
            shown.key(b's');
        }
        assert_eq!(shown.sort.column, 0);
        shown.key(b'3');
        assert_eq!(
            (shown.view, shown.key(b'x'), shown.key(b'p'), shown.held),
            (View::Policies, Wish::Nothing, Wish::Redraw, true)
        );
        assert_eq!([b'q', 3, 26].map(|key| shown.key(key)), [Wish::Quit, Wish::Quit, Wish::Suspend]);
    }
}
