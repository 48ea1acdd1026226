//! Whoever wants to know of each request. What nobody wants is not even put into words.

mod rate;

use crate::message::{Access, Answer, Frame, Interest, What};
use rate::Rate;
use std::{
    collections::VecDeque,
    io::{self, Write as _},
    os::unix::net::UnixStream,
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

/// Answers that wait for one watcher.
const ANSWERS: usize = 256;
/// Bytes of accesses that wait for one watcher.
const WAITING: usize = 4 << 20;
/// Bytes of accesses from which on they do not wait for others any more.
const ENOUGH: usize = 256 << 10;
/// How long accesses wait for others, so that many are sent at once.
const DELAY: Duration = Duration::from_millis(5);

#[derive(Debug)]
pub struct Watchers {
    all: Mutex<Vec<Arc<Watcher>>>,
    wanted: AtomicBool,
    lost: AtomicU64,
    rate: Rate,
}

/// One watcher's connection.
#[derive(Debug, Default)]
pub struct Watcher {
    wants: AtomicBool,
    waiting: Mutex<Waiting>,
    come: Condvar,
}

/// What is on its way to one watcher.
#[derive(Debug, Default)]
struct Waiting {
    answers: VecDeque<Answer>,
    accesses: Frame,
    /// Accesses that there was no room for, and that it has not been told of.
    lost: u64,
    left: bool,
}

impl Watchers {
    /// With a limit of accesses a second for each kind; 0 for none.
    #[must_use]
    pub fn new(limit: u32) -> Self {
        Self {
            all: Mutex::default(),
            wanted: AtomicBool::new(false),
            lost: AtomicU64::new(0),
            rate: Rate::new(limit),
        }
    }

    /// Whether anybody wants accesses.
    #[must_use]
    pub fn wanted(&self) -> bool {
        self.wanted.load(Relaxed)
    }

    /// Accesses that some watcher had no room for, or that were more than the limit.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.lost.load(Relaxed)
    }

    /// Another watcher, who wants nothing yet.
    pub fn join(&self) -> Arc<Watcher> {
        let watcher = Arc::new(Watcher::default());
        self.all().push(Arc::clone(&watcher));
        watcher
    }

    pub fn leave(&self, watcher: &Arc<Watcher>) {
        let mut all = self.all();
        all.retain(|other| !Arc::ptr_eq(other, watcher));
        self.sum(&all);
        drop(all);
        watcher.waiting().left = true;
        watcher.come.notify_all();
    }

    /// What it wants from now on; it is told when that is in force.
    ///
    /// # Errors
    /// It does not read what it is told.
    pub fn set(&self, watcher: &Watcher, interest: Interest) -> io::Result<()> {
        let all = self.all();
        watcher.wants.store(interest == Interest::Requests, Relaxed);
        self.sum(&all);
        drop(all);
        watcher.say(Answer::Done)
    }

    /// Tells all who want it; what one has no room for is counted.
    pub fn tell(&self, access: &Access<&What>) {
        let admitted = self.rate.admits(access.what.kind(), access.time);
        for watcher in self.all().iter().filter(|watcher| watcher.wants.load(Relaxed)) {
            let mut waiting = watcher.waiting();
            let before = waiting.accesses.len();
            if !admitted || before >= WAITING || waiting.accesses.put(access).is_err() {
                self.lost.fetch_add(1, Relaxed);
                waiting.lost = waiting.lost.saturating_add(1);
                watcher.come.notify_one();
                continue;
            }
            let enough = before < ENOUGH && waiting.accesses.len() >= ENOUGH;
            drop(waiting);
            if before == 0 || enough {
                watcher.come.notify_one();
            }
        }
    }

    /// Tells all that new connections are another process's.
    pub fn tell_of_successor(&self) {
        for watcher in self.all().iter() {
            // One that is so far behind finds the successor when this process ends.
            let _late = watcher.say(Answer::HandedOver);
        }
    }

    fn sum(&self, all: &[Arc<Watcher>]) {
        self.wanted.store(all.iter().any(|watcher| watcher.wants.load(Relaxed)), Relaxed);
    }

    fn all(&self) -> MutexGuard<'_, Vec<Arc<Watcher>>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Watcher {
    /// Sends what comes until the watcher has left.
    ///
    /// # Errors
    /// It has gone.
    pub fn serve(&self, mut stream: &UnixStream) -> io::Result<()> {
        let mut lines = Vec::new();
        let mut accesses = Frame::default();
        loop {
            let nothing = |waiting: &mut Waiting| {
                waiting.answers.is_empty()
                    && waiting.accesses.len() == 0
                    && waiting.lost == 0
                    && !waiting.left
            };
            let waiting =
                self.come.wait_while(self.waiting(), nothing).unwrap_or_else(PoisonError::into_inner);
            let few = |waiting: &mut Waiting| {
                waiting.answers.is_empty() && waiting.accesses.len() < ENOUGH && !waiting.left
            };
            let waited = self.come.wait_timeout_while(waiting, DELAY, few);
            let (mut waiting, _) = waited.unwrap_or_else(PoisonError::into_inner);
            if waiting.left {
                return Ok(());
            }
            lines.clear();
            accesses.clear();
            std::mem::swap(&mut accesses, &mut waiting.accesses);
            if waiting.lost > 0 {
                line(&mut lines, &Answer::Lost(std::mem::take(&mut waiting.lost)))?;
            }
            for answer in waiting.answers.drain(..) {
                line(&mut lines, &answer)?;
            }
            drop(waiting);
            if accesses.len() > 0 {
                stream.write_all(accesses.bytes()?)?;
            }
            stream.write_all(&lines)?;
        }
    }

    fn say(&self, answer: Answer) -> io::Result<()> {
        let mut waiting = self.waiting();
        if waiting.answers.len() >= ANSWERS {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        waiting.answers.push_back(answer);
        self.come.notify_one();
        Ok(())
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn line(lines: &mut Vec<u8>, answer: &Answer) -> io::Result<()> {
    serde_json::to_writer(&mut *lines, answer)?;
    lines.push(b'\n');
    Ok(())
}
