//! What a writer and a [`FileMaker`](super::FileMaker) share: the directory and the journals that wait to become files.

use super::{Notice, Settings};
use crate::{HistoryError, Reader, name::Hour};
use ciliate_flow::Run;
use std::{
    collections::VecDeque,
    path::{Path, PathBuf},
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant, SystemTime},
};

/// How often old hours are looked for.
const UPKEEP: Duration = Duration::from_secs(60);

/// Notices that nobody takes.
const NOTICES: usize = 64;

pub(super) struct Files {
    pub(super) directory: PathBuf,
    pub(super) settings: Settings,
    pub(super) run: Run,
    pub(super) reader: Reader,
    /// The number of the next file or journal.
    next: AtomicU64,
    /// Full ones, the oldest first.
    journals: Mutex<VecDeque<PathBuf>>,
    /// Held while files are made, merged or removed.
    work: Mutex<Upkeep>,
    notices: Mutex<Vec<Notice>>,
    pub(super) scattered: AtomicU64,
}

/// When old hours were looked for, and in which.
#[derive(Default)]
struct Upkeep {
    last: Option<(Instant, Hour)>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Files {
    pub(super) fn new(directory: &Path, settings: Settings, run: Run, next: u64) -> Self {
        Self {
            directory: directory.to_owned(),
            settings,
            run,
            reader: Reader::new(directory),
            next: AtomicU64::new(next),
            journals: Mutex::default(),
            work: Mutex::default(),
            notices: Mutex::default(),
            scattered: AtomicU64::new(0),
        }
    }

    pub(super) fn number(&self) -> u64 {
        self.next.fetch_add(1, Relaxed)
    }

    /// Of a new journal.
    pub(super) fn journal_path(&self) -> PathBuf {
        self.directory.join(format!("{:015x}-{:06}.journal", self.run.get(), self.number()))
    }

    pub(super) fn enqueue(&self, journal: PathBuf) {
        lock(&self.journals).push_back(journal);
    }

    /// Journals that are to become files.
    pub(super) fn waiting(&self) -> usize {
        lock(&self.journals).len()
    }

    /// Makes files of the oldest journal that waits. If it fails, that one goes on to wait.
    pub(super) fn make_next(&self) -> Result<(), HistoryError> {
        let _work = lock(&self.work);
        let Some(path) = lock(&self.journals).front().cloned() else { return Ok(()) };
        self.adopt(&path)?;
        lock(&self.journals).pop_front();
        Ok(())
    }

    pub(super) fn make_all(&self) -> Result<(), HistoryError> {
        while self.waiting() > 0 {
            self.make_next()?;
        }
        Ok(())
    }

    /// Sets aside what cannot be read; after each hour and each minute merges small files and removes old ones.
    pub(super) fn look_after(&self, now: SystemTime) {
        let mut upkeep = lock(&self.work);
        self.set_suspects_aside();
        let hour = Hour::of(super::nanoseconds(now));
        if upkeep.last.is_some_and(|(last, before)| last.elapsed() < UPKEEP && before == hour) {
            return;
        }
        upkeep.last = Some((Instant::now(), hour));
        if let Err(error) = self.merge(Some(hour)).and_then(|_| self.remove_old(now)) {
            self.tell(Notice::Failed(error));
        }
    }

    /// Merges the files of each hour. How many files went.
    pub(super) fn compact(&self) -> Result<usize, HistoryError> {
        let _work = lock(&self.work);
        self.merge(None)
    }

    pub(super) fn tell(&self, notice: Notice) {
        let mut notices = lock(&self.notices);
        // The same once more says nothing new, and nobody may be listening.
        if notices.len() < NOTICES {
            notices.push(notice);
        }
    }

    pub(super) fn take_notices(&self) -> Vec<Notice> {
        std::mem::take(&mut lock(&self.notices))
    }

    /// Flows that were lost because their times lay in too many hours.
    pub(super) fn scattered(&self) -> u64 {
        self.scattered.load(Relaxed)
    }
}
