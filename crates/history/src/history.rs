//! Writing: flows into the journal, full journals into Parquet files, small files into larger ones, old ones away.

mod files;
mod keep;
mod maker;
mod notice;
mod swap;

pub use keep::Settings;
pub use maker::FileMaker;
pub use notice::Notice;

use crate::{
    HistoryError, Reader,
    encode::GROUP_ROWS,
    error::io,
    journal::Journal,
    name::{Hour, Listing, list},
};
use ciliate_flow::{Flow, Run};
use files::Files;
use std::{
    fs::{DirBuilder, File, OpenOptions, TryLockError},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::Path,
    sync::Arc,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

/// How long flows may wait for the journal, and so how much a crash may lose.
const DELAY: Duration = Duration::from_secs(1);

/// Bytes that may wait for the journal.
const WAITING: usize = 1 << 20;

/// Full journals that may wait for a [`FileMaker`]; beyond that the writer makes files, too.
const WAITING_JOURNALS: usize = 8;

/// Full journals that cannot be turned into files; with more, nothing is taken.
const STUCK_JOURNALS: usize = 3;

/// Keeps what it is given, for one thread; only one writer at a time has a directory.
pub struct History {
    files: Arc<Files>,
    makes: Makes,
    journal: Journal,
    /// What the clock said when the journal began.
    hour: Hour,
    written: Instant,
    room: Room,
    lost: u64,
    notices: Vec<Notice>,
    /// Held as long as this lives.
    _lock: File,
}

/// Who makes files of full journals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Makes {
    /// Whoever appends.
    Writer,
    FileMaker,
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
        let last = numbers.chain(journals.iter().filter_map(|path| number(path))).max().unwrap_or(0);
        let next = last.saturating_add(1);
        let files = Arc::new(Files::new(directory, settings, run, next));
        files.check()?;
        for path in journals {
            files.adopt(&path)?;
        }
        Ok(Self {
            journal: Journal::create(files.journal_path())?,
            files,
            makes: Makes::Writer,
            hour: Hour::of(nanoseconds(SystemTime::now())),
            written: Instant::now(),
            room: Room::Some,
            lost: 0,
            notices: Vec::new(),
            _lock: lock,
        })
    }

    /// What makes the files from now on, for a thread of its own: then appending never waits for that, unless it falls far behind.
    #[must_use]
    pub fn file_maker(&mut self) -> FileMaker {
        self.makes = Makes::FileMaker;
        FileMaker::new(Arc::clone(&self.files))
    }

    /// For queries, from any thread.
    #[must_use]
    pub fn reader(&self) -> Reader {
        self.files.reader.clone()
    }

    /// Takes flows. Cheap: now and then it writes to the journal, and without a [`FileMaker`] it makes a file of it once in 65,536
    /// flows, which takes some tenths of a second.
    pub fn append<'a>(&mut self, flows: impl IntoIterator<Item = &'a Flow>) {
        flows.into_iter().for_each(|flow| self.put(flow));
        self.pass_on();
    }

    /// Takes a flow that may wait for others; [`History::pass_on`] is to be called now and then.
    pub fn put(&mut self, flow: &Flow) {
        if matches!(self.room, Room::None { .. }) {
            self.lost = self.lost.saturating_add(1);
            return;
        }
        self.journal.append(flow);
        if self.journal.unwritten() >= WAITING {
            self.write();
        }
        if self.journal.flows.saturating_add(self.journal.waiting()) >= self.group_rows() {
            self.write();
            self.turn_or_tell();
        }
    }

    /// Hands what has waited for a second to the kernel, so that a crash of this process does not lose it.
    pub fn pass_on(&mut self) {
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
        let hour = Hour::of(nanoseconds(now));
        if hour != self.hour || self.journal.flows >= self.group_rows() {
            self.hour = hour;
            self.turn_or_tell();
        }
        if self.makes == Makes::Writer {
            self.make_files();
            self.files.look_after(now);
        }
    }

    /// Makes a file of all there is, for those who read files.
    ///
    /// # Errors
    /// If it cannot be written; it stays in the journal then.
    pub fn flush(&mut self) -> Result<(), HistoryError> {
        self.write();
        self.turn()?;
        self.files.make_all()
    }

    /// Merges the files of each hour. How many files went.
    ///
    /// # Errors
    /// If one cannot be written; what was not merged stays as it was.
    pub fn compact(&mut self) -> Result<usize, HistoryError> {
        self.flush()?;
        self.files.compact()
    }

    /// What happened that people should know, once.
    pub fn notices(&mut self) -> Vec<Notice> {
        let mut notices = self.files.take_notices();
        notices.append(&mut self.notices);
        notices
    }

    /// Flows that were not kept since it was opened.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.lost.saturating_add(self.files.scattered())
    }

    fn tell(&mut self, notice: Notice) {
        // The same once more says nothing new, and nobody may be listening.
        if self.notices.len() < 64 {
            self.notices.push(notice);
        }
    }

    fn group_rows(&self) -> u64 {
        u64::try_from(self.files.settings.group_rows).unwrap_or(u64::MAX).clamp(1, GROUP_ROWS as u64)
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

    /// Begins another journal; the full one waits to become files.
    fn turn(&mut self) -> Result<(), HistoryError> {
        if self.journal.flows == 0 {
            return Ok(());
        }
        let fresh = Journal::create(self.files.journal_path())?;
        let full = std::mem::replace(&mut self.journal, fresh);
        self.files.enqueue(full.path);
        Ok(())
    }

    fn turn_or_tell(&mut self) {
        match self.turn() {
            Ok(()) => self.make_files(),
            // The present one goes on to grow.
            Err(error) if self.journal.flows >= self.group_rows().saturating_mul(2) => {
                self.pause(self.room, 0, error)
            }
            Err(error) => self.tell_of_failure(error),
        }
    }

    /// Makes files of the journals that wait for that, if that is not another's business or that one is behind.
    fn make_files(&mut self) {
        let may_wait = match self.makes {
            Makes::Writer => 0,
            Makes::FileMaker => WAITING_JOURNALS,
        };
        while self.files.waiting() > may_wait {
            let Err(error) = self.files.make_next() else { continue };
            match self.files.waiting() > may_wait.saturating_add(STUCK_JOURNALS) {
                true => self.pause(self.room, 0, error),
                false => self.tell_of_failure(error),
            }
            return;
        }
    }

    fn tell_of_failure(&mut self, error: HistoryError) {
        if !error.is_no_room() {
            self.tell(Notice::Failed(error));
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
