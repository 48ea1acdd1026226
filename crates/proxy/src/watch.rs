//! Whoever wants to know of each request. What nobody wants is not even put into words.

use crate::message::{Answer, Interest, Record};
use std::{
    io::{self, Write as _},
    os::unix::net::UnixStream,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
        mpsc::{Receiver, SyncSender, TrySendError, sync_channel},
    },
};

/// Records that wait for one watcher.
const QUEUE: usize = 16_384;
/// Records that are written at once.
const AT_ONCE: usize = 256;

#[derive(Debug, Default)]
pub struct Watchers {
    all: Mutex<Vec<Arc<Watcher>>>,
    wanted: AtomicBool,
    lost: AtomicU64,
}

/// One watcher's connection.
#[derive(Debug)]
pub struct Watcher {
    answers: SyncSender<Answer>,
    wants: AtomicBool,
    /// Records that there was no room for, and that it has not been told of.
    lost: Arc<AtomicU64>,
}

/// What is on its way to one watcher.
#[derive(Debug)]
pub struct Outbox {
    answers: Receiver<Answer>,
    lost: Arc<AtomicU64>,
}

impl Watchers {
    /// Whether anybody wants records.
    #[must_use]
    pub fn wanted(&self) -> bool {
        self.wanted.load(Relaxed)
    }

    /// Records that some watcher had no room for.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.lost.load(Relaxed)
    }

    /// Another watcher, who wants nothing yet.
    pub fn join(&self) -> (Arc<Watcher>, Outbox) {
        let (sender, answers) = sync_channel(QUEUE);
        let lost = Arc::new(AtomicU64::new(0));
        let watcher =
            Arc::new(Watcher { answers: sender, wants: AtomicBool::new(false), lost: Arc::clone(&lost) });
        self.all().push(Arc::clone(&watcher));
        (watcher, Outbox { answers, lost })
    }

    pub fn leave(&self, watcher: &Arc<Watcher>) {
        let mut all = self.all();
        all.retain(|other| !Arc::ptr_eq(other, watcher));
        self.sum(&all);
    }

    /// What it wants from now on; it is told when that is in force.
    pub fn set(&self, watcher: &Watcher, interest: Interest) {
        let all = self.all();
        watcher.wants.store(interest == Interest::Requests, Relaxed);
        self.sum(&all);
        drop(all);
        // It waits for room; whoever has gone needs no answer.
        let _gone = watcher.answers.send(Answer::Done);
    }

    /// Tells all who want it; what one has no room for is counted.
    pub fn tell(&self, record: &Record) {
        for watcher in self.all().iter().filter(|watcher| watcher.wants.load(Relaxed)) {
            match watcher.answers.try_send(Answer::Record(record.clone())) {
                Err(TrySendError::Full(_)) => {
                    self.lost.fetch_add(1, Relaxed);
                    watcher.lost.fetch_add(1, Relaxed);
                }
                // It is about to leave.
                Ok(()) | Err(TrySendError::Disconnected(_)) => {}
            }
        }
    }

    /// Tells all that new connections are another process's.
    pub fn tell_of_successor(&self) {
        for watcher in self.all().iter() {
            // One that is so far behind finds the successor when this process ends.
            let _late = watcher.answers.try_send(Answer::HandedOver);
        }
    }

    fn sum(&self, all: &[Arc<Watcher>]) {
        self.wanted.store(all.iter().any(|watcher| watcher.wants.load(Relaxed)), Relaxed);
    }

    fn all(&self) -> MutexGuard<'_, Vec<Arc<Watcher>>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Outbox {
    /// Sends what comes until the watcher has left.
    ///
    /// # Errors
    /// It has gone.
    pub fn empty_into(self, mut stream: &UnixStream) -> io::Result<()> {
        let mut lines = Vec::new();
        while let Ok(first) = self.answers.recv() {
            lines.clear();
            for answer in std::iter::once(first).chain(self.answers.try_iter().take(AT_ONCE)) {
                line(&mut lines, &answer)?;
            }
            match self.lost.swap(0, Relaxed) {
                0 => {}
                lost => line(&mut lines, &Answer::Lost(lost))?,
            }
            stream.write_all(&lines)?;
        }
        Ok(())
    }
}

fn line(lines: &mut Vec<u8>, answer: &Answer) -> io::Result<()> {
    serde_json::to_writer(&mut *lines, answer)?;
    lines.push(b'\n');
    Ok(())
}
