//! Reading: which files and row groups can matter, which rows of them, and in what order they come out.

mod hints;
mod narrow;

pub use hints::{EndHint, Hint, Hints, PodHint};

use crate::{
    HistoryError,
    decode::{Index, Table},
    draft::Shared,
    error::io,
    file::replaced,
    journal,
    name::{Hour, Listing, Name, list},
};
use ciliate_flow::Flow;
use std::{
    collections::{BinaryHeap, HashSet},
    fs::File,
    ops::ControlFlow,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError, RwLock},
};

/// Which flows come first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    NewestFirst,
    OldestFirst,
}

/// Reads a history. Cheap to clone; works beside a writer, in its process or in another.
#[derive(Clone, Debug)]
pub struct Reader {
    directory: PathBuf,
    link: Arc<Link>,
}

/// What readers and the writer of one process tell each other.
#[derive(Debug, Default)]
pub(crate) struct Link {
    /// Held for writing while files take the place of others.
    pub swaps: RwLock<()>,
    /// Files that a reader could not read.
    pub suspects: Mutex<Vec<PathBuf>>,
}

/// How a query went.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Files that could not be read and were left out.
    pub faults: Vec<HistoryError>,
    pub flows: u64,
}

/// Something that flows may come out of, or the next flow of it. What is opened before flows of the same moment come out.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    File(usize),
    Group(usize, usize),
    Flow(usize),
}

/// By moment, then by number in the observer's run; those that come first are greatest.
type Key = std::cmp::Reverse<(u64, u64, Kind)>;

/// How often the files are listed again because one of them has gone meanwhile.
const ATTEMPTS: usize = 8;

impl Reader {
    /// Of the directory of another process' history, or of nobody's.
    #[must_use]
    pub fn new(directory: &Path) -> Self {
        Self { directory: directory.to_owned(), link: Arc::default() }
    }

    pub(crate) fn directory(&self) -> &Path {
        &self.directory
    }

    pub(crate) fn link(&self) -> Arc<Link> {
        self.link.clone()
    }

    /// Gives the flows that hints allow, and perhaps others, in order of time until the receiver breaks off. What was
    /// appended since the writer's last tick is not among them.
    ///
    /// # Errors
    /// If the directory cannot be read. Files that cannot are left out and told in the outcome.
    pub fn query(
        &self,
        hints: &Hints,
        order: Order,
        each: &mut dyn FnMut(Flow) -> ControlFlow<()>,
    ) -> Result<Outcome, HistoryError> {
        let (since, until) = hints.times();
        let mut outcome = Outcome::default();
        let opened = self.open(since, until)?;
        let mut walk = Walk {
            hints,
            order,
            since,
            until,
            heap: BinaryHeap::new(),
            tables: Vec::new(),
            runs: Vec::new(),
        };
        let mut files: Vec<Option<File>> = Vec::new();
        let mut names: Vec<Name> = Vec::new();
        for (name, file) in opened.files {
            let (first, last) = name.hour.times();
            walk.push(first, last, Kind::File(files.len()));
            files.push(Some(file));
            names.push(name);
        }
        for bytes in opened.journals {
            if journal::overlaps(&bytes, since, until) {
                walk.add_run(journal::replay(&bytes).flows);
            }
        }
        let mut shared = Shared::default();
        let mut fault = |path: PathBuf, error: HistoryError| {
            self.link.suspects.lock().unwrap_or_else(PoisonError::into_inner).push(path);
            outcome.faults.push(error);
        };
        let mut found = 0_u64;
        while let Some(std::cmp::Reverse((_, _, kind))) = walk.heap.pop() {
            match kind {
                Kind::File(number) => {
                    let file = files.get_mut(number).and_then(Option::take);
                    let (Some(file), Some(name)) = (file, names.get(number)) else { continue };
                    let path = self.directory.join(name.to_string());
                    match Table::from_file(file, &path, Index::Pages) {
                        Ok(table) => walk.add_table(table),
                        Err(error) => fault(path, error),
                    }
                }
                Kind::Group(table, group) => match walk.read(table, group, &mut shared) {
                    Ok(flows) => walk.add_run(flows),
                    Err(error) => fault(walk.path(table), error),
                },
                Kind::Flow(run) => {
                    if let Some(flow) = walk.take(run) {
                        found = found.saturating_add(1);
                        if each(flow).is_break() {
                            break;
                        }
                    }
                }
            }
        }
        outcome.flows = found;
        Ok(outcome)
    }

    /// Opens what has flows of some hours, so that it stays readable whatever becomes of the names.
    fn open(&self, since: u64, until: u64) -> Result<Opened, HistoryError> {
        for attempt in 1.. {
            match self.try_open(since, until) {
                Err(error) if error.is_gone() && attempt < ATTEMPTS => {}
                result => return result,
            }
        }
        Ok(Opened::default())
    }

    fn try_open(&self, since: u64, until: u64) -> Result<Opened, HistoryError> {
        let _no_swap = self.link.swaps.read().unwrap_or_else(PoisonError::into_inner);
        let Listing { files, journals, .. } = list(&self.directory)?;
        let (first, last) = (Hour::of(since), Hour::of(until));
        let wanted: Vec<Name> =
            files.into_iter().filter(|name| first <= name.hour && name.hour <= last).collect();
        let gone = superseded(&self.directory, &wanted);
        let mut opened = Opened::default();
        // Before the files: what moves from the one to the other meanwhile is there twice rather than not at all, and only
        // for readers in other processes.
        for path in &journals {
            opened.journals.push(journal::read(path)?);
        }
        for name in wanted.into_iter().filter(|name| !gone.contains(&name.to_string())) {
            let path = self.directory.join(name.to_string());
            opened.files.push((name, File::open(&path).map_err(io("open", &path))?));
        }
        Ok(opened)
    }
}

#[derive(Default)]
struct Opened {
    files: Vec<(Name, File)>,
    journals: Vec<Vec<u8>>,
}

/// Names of files that are there although others have taken them over, because a writer ended in between.
pub(crate) fn superseded(directory: &Path, names: &[Name]) -> HashSet<String> {
    let mut gone = HashSet::new();
    // Only hours with several files can have such.
    for pair in names.chunk_by(|left, right| left.hour == right.hour).filter(|files| files.len() > 1) {
        for name in pair {
            if let Ok(table) = Table::open(&directory.join(name.to_string()), Index::Groups) {
                gone.extend(replaced(&table));
            }
        }
    }
    gone
}

struct Walk<'a> {
    hints: &'a Hints,
    order: Order,
    since: u64,
    until: u64,
    heap: BinaryHeap<Key>,
    tables: Vec<Table>,
    /// Flows of what has been opened, the next one last.
    runs: Vec<Vec<Flow>>,
}

impl Walk<'_> {
    fn rank(&self, first: u64, last: u64) -> u64 {
        match self.order {
            Order::OldestFirst => first,
            Order::NewestFirst => u64::MAX.saturating_sub(last),
        }
    }

    fn key(&self, flow: &Flow) -> (u64, u64) {
        let (time, sequence) = (flow.time.0, flow.id.sequence);
        match self.order {
            Order::OldestFirst => (time, sequence),
            Order::NewestFirst => (u64::MAX.saturating_sub(time), u64::MAX.saturating_sub(sequence)),
        }
    }

    fn push(&mut self, first: u64, last: u64, kind: Kind) {
        self.heap.push(std::cmp::Reverse((self.rank(first, last), 0, kind)));
    }

    fn add_table(&mut self, table: Table) {
        let number = self.tables.len();
        for group in table.groups() {
            let (first, last) = group.times();
            if first <= self.until && last >= self.since {
                let rank = self.rank(first, last);
                self.heap.push(std::cmp::Reverse((rank, 0, Kind::Group(number, group.number))));
            }
        }
        self.tables.push(table);
    }

    fn read(&self, table: usize, group: usize, shared: &mut Shared) -> Result<Vec<Flow>, HistoryError> {
        let Some(group) = self.tables.get(table).and_then(|table| table.groups().nth(group)) else {
            return Ok(Vec::new());
        };
        let rows = narrow::rows(&group, self.hints)?;
        let mut flows = Vec::new();
        if !rows.is_empty() {
            group.flows(&rows, shared, |flow| flows.push(flow))?;
        }
        Ok(flows)
    }

    fn path(&self, table: usize) -> PathBuf {
        self.tables.get(table).map_or_else(PathBuf::new, |table| table.path.clone())
    }

    fn add_run(&mut self, mut flows: Vec<Flow>) {
        flows.retain(|flow| (self.since..=self.until).contains(&flow.time.0));
        flows.sort_by_cached_key(|flow| std::cmp::Reverse(self.key(flow)));
        let number = self.runs.len();
        self.runs.push(flows);
        self.queue(number);
    }

    fn queue(&mut self, run: usize) {
        if let Some(flow) = self.runs.get(run).and_then(|flows| flows.last()) {
            let (rank, sequence) = self.key(flow);
            self.heap.push(std::cmp::Reverse((rank, sequence, Kind::Flow(run))));
        }
    }

    fn take(&mut self, run: usize) -> Option<Flow> {
        let flows = self.runs.get_mut(run)?;
        let flow = flows.pop();
        if flows.is_empty() {
            *flows = Vec::new();
        }
        self.queue(run);
        flow
    }
}
