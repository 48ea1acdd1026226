//! Writing: flows into the journal, the journal into Parquet files, small files into larger ones, old ones away.

mod keep;
mod notice;
mod swap;

pub use keep::Settings;
pub use notice::Notice;

use crate::{
    HistoryError, Reader,
    encode::GROUP_ROWS,
    error::io,
    journal::Journal,
    name::{Hour, Listing, list},
};
use ciliate_flow::{Flow, Run};
use std::{
    fs::{DirBuilder, File, OpenOptions, TryLockError},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

/// How long flows may wait for the journal, and so how much a crash may lose.
const DELAY: Duration = Duration::from_secs(1);

/// Bytes that may wait for the journal.
const WAITING: usize = 1 << 20;

/// How often old hours are looked for.
const UPKEEP: Duration = Duration::from_secs(60);

/// A journal that cannot be turned into a file takes this many row groups and no more.
const FULL: u64 = 4;

/// Keeps what it is given, for one thread; only one writer at a time has a directory.
pub struct History {
    directory: PathBuf,
    settings: Settings,
    run: Run,
    reader: Reader,
    journal: Journal,
    /// The number of the next file.
    next: u64,
    /// What the clock said when the journal began.
    hour: Hour,
    written: Instant,
    upkeep: Option<Instant>,
    room: Room,
    lost: u64,
    notices: Vec<Notice>,
    /// Held as long as this lives.
    _lock: File,
}

/// Whether the disk takes what it is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Room {
    Some,
    /// Since this many were lost; nothing is taken until the next tick.
    None {
        before: u64,
    },
    /// It is tried again.
    Perhaps {
        before: u64,
    },
}

impl History {
    /// Opens or makes a directory; what a writer left in its journal becomes a file. `run` is that of the flows that will
    /// come.
    ///
    /// # Errors
    /// If another writer has it, or the directory cannot be written to. A file that cannot be read is no error: it is set
    /// aside and told by [`History::notices`].
    pub fn open(directory: &Path, run: Run, settings: Settings) -> Result<Self, HistoryError> {
        DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(io("create", directory))?;
        let lock = lock(directory)?;
        let Listing { files, journals, unfinished, .. } = list(directory)?;
        for path in &unfinished {
            std::fs::remove_file(path).map_err(io("remove", path))?;
        }
        let numbers = files.iter().map(|name| name.number);
        let next = numbers.chain(journals.iter().filter_map(|path| number(path))).max().unwrap_or(0);
        let next = next.saturating_add(1);
        let mut history = Self {
            directory: directory.to_owned(),
            settings,
            run,
            reader: Reader::new(directory),
            journal: Journal::create(journal_path(directory, run, next))?,
            next: next.saturating_add(1),
            hour: Hour::of(nanoseconds(SystemTime::now())),
            written: Instant::now(),
            upkeep: None,
            room: Room::Some,
            lost: 0,
            notices: Vec::new(),
            _lock: lock,
        };
        history.check_files()?;
        for path in journals {
            history.adopt(&path)?;
        }
        Ok(history)
    }

    /// For queries, from any thread.
    #[must_use]
    pub fn reader(&self) -> Reader {
        self.reader.clone()
    }

    /// Takes flows. Cheap: now and then it writes to the journal, and once in 65,536 flows it makes a file of it, which
    /// takes some tenths of a second.
    pub fn append(&mut self, flows: &[Flow]) {
        for flow in flows {
            if matches!(self.room, Room::None { .. }) {
                self.lost = self.lost.saturating_add(1);
                continue;
            }
            self.journal.append(flow);
            if self.journal.unwritten() >= WAITING {
                self.write();
            }
            if self.journal.flows.saturating_add(self.journal.waiting()) >= self.group_rows() {
                self.write();
                self.cut_or_tell();
            }
        }
        if self.written.elapsed() >= DELAY {
            self.write();
        }
    }

    /// To be called once a second, also when there are no flows: hands what waits to the disk, ends hours, removes what
    /// is too old or too much.
    pub fn tick(&mut self, now: SystemTime) {
        self.write();
        if let Err(error) = self.journal.sync() {
            self.tell(Notice::Failed(error));
        }
        if let Room::None { before } = self.room {
            self.room = Room::Perhaps { before };
        }
        self.set_suspects_aside();
        let hour = Hour::of(nanoseconds(now));
        let ended = hour != self.hour;
        if ended || self.journal.flows >= self.group_rows() {
            self.hour = hour;
            self.cut_or_tell();
        }
        if ended || self.upkeep.is_none_or(|last| last.elapsed() >= UPKEEP) {
            self.upkeep = Some(Instant::now());
            if let Err(error) = self.merge(Some(hour)).and_then(|_| self.remove_old(now)) {
                self.tell(Notice::Failed(error));
            }
        }
    }

    /// Makes a file of all there is, for those who read files.
    ///
    /// # Errors
    /// If it cannot be written; it stays in the journal then.
    pub fn flush(&mut self) -> Result<(), HistoryError> {
        self.write();
        self.cut()
    }

    /// Merges the files of each hour. How many files went.
    ///
    /// # Errors
    /// If one cannot be written; what was not merged stays as it was.
    pub fn compact(&mut self) -> Result<usize, HistoryError> {
        self.flush()?;
        self.merge(None)
    }

    /// What happened that people should know, once.
    pub fn notices(&mut self) -> Vec<Notice> {
        std::mem::take(&mut self.notices)
    }

    /// Flows that were not kept since it was opened.
    #[must_use]
    pub const fn lost(&self) -> u64 {
        self.lost
    }

    fn tell(&mut self, notice: Notice) {
        // The same once more says nothing new, and nobody may be listening.
        if self.notices.len() < 64 {
            self.notices.push(notice);
        }
    }

    fn group_rows(&self) -> u64 {
        u64::try_from(self.settings.group_rows).unwrap_or(u64::MAX).clamp(1, GROUP_ROWS as u64)
    }

    /// Hands what waits to the kernel.
    fn write(&mut self) {
        self.written = Instant::now();
        let any = self.journal.waiting() > 0;
        match (self.journal.write(), self.room) {
            (Ok(()), Room::Perhaps { before }) if any => {
                self.room = Room::Some;
                self.tell(Notice::Resumed { lost: self.lost.saturating_sub(before) });
            }
            (Ok(()), _) => {}
            (Err((lost, error)), room) => self.pause(room, lost, error),
        }
    }

    fn pause(&mut self, room: Room, lost: u64, error: HistoryError) {
        let before = match room {
            Room::Some => {
                self.tell(Notice::Paused(error));
                self.lost
            }
            Room::None { before } | Room::Perhaps { before } => before,
        };
        self.lost = self.lost.saturating_add(lost);
        self.room = Room::None { before };
    }

    fn cut_or_tell(&mut self) {
        let Err(error) = self.cut() else { return };
        match self.journal.flows >= self.group_rows().saturating_mul(FULL) {
            true => self.pause(self.room, 0, error),
            false if error.is_no_room() => {}
            false => self.tell(Notice::Failed(error)),
        }
    }
}

/// What waits is not lost if this ends in an orderly way.
impl Drop for History {
    fn drop(&mut self) {
        self.write();
        match self.journal.flows {
            0 => drop(std::fs::remove_file(&self.journal.path)),
            _ => drop(self.journal.sync()),
        }
    }
}

fn lock(directory: &Path) -> Result<File, HistoryError> {
    let path = directory.join("lock");
    let file = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&path);
    let file = file.map_err(io("open", &path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(HistoryError::Locked { directory: directory.to_owned() }),
        Err(TryLockError::Error(error)) => Err(io("lock", &path)(error)),
    }
}

fn journal_path(directory: &Path, run: Run, number: u64) -> PathBuf {
    directory.join(format!("{:015x}-{number:06}.journal", run.get()))
}

/// The number in a journal's name.
fn number(path: &Path) -> Option<u64> {
    path.file_stem()?.to_str()?.rsplit_once('-')?.1.parse().ok()
}

/// The run in a journal's name.
fn run(path: &Path) -> Option<Run> {
    let (run, _) = path.file_stem()?.to_str()?.rsplit_once('-')?;
    u64::from_str_radix(run, 16).ok().map(Run::new)
}

fn nanoseconds(now: SystemTime) -> u64 {
    now.duration_since(UNIX_EPOCH).map_or(0, |since| u64::try_from(since.as_nanos()).unwrap_or(u64::MAX))
}
