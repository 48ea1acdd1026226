//! Answers that come in after another process keeps the names: that one learns from them, and only then clients get them.

use super::Names;
use crate::{
    client::Client,
    message::{Lesson, Request},
    shared::Shared,
    worker::{Question, Worker},
};
use std::{
    collections::HashMap,
    io,
    net::IpAddr,
    sync::{
        Arc,
        mpsc::{Receiver, SyncSender, TrySendError, sync_channel},
    },
    thread,
    time::{Duration, Instant},
};

/// Answers that may wait for the other process: as many as queries may be under way.
const QUEUE: usize = 16_384;
/// How long one of them may wait; a client asks again after that.
pub const PATIENCE: Duration = Duration::from_secs(5);
const AGAIN: Duration = Duration::from_millis(10);

/// What this process still hears of, after it has handed its names over.
#[derive(Debug)]
pub(super) struct Late {
    lessons: SyncSender<Lesson>,
    /// How many lessons are under way that each address is in.
    addresses: HashMap<IpAddr, u32>,
}

impl Late {
    pub fn new() -> (Self, Receiver<Lesson>) {
        let (lessons, receiver) = sync_channel(QUEUE);
        (Self { lessons, addresses: HashMap::new() }, receiver)
    }

    /// Whether there was room for it.
    pub fn pass_on(&mut self, lesson: Lesson) -> bool {
        let addresses: Vec<IpAddr> = lesson.addresses.iter().map(|(address, _)| *address).collect();
        match self.lessons.try_send(lesson) {
            Ok(()) => {
                for address in addresses {
                    let count = self.addresses.entry(address).or_default();
                    *count = count.saturating_add(1);
                }
                true
            }
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => false,
        }
    }

    pub fn is_under_way(&self, address: IpAddr) -> bool {
        self.addresses.contains_key(&address)
    }

    fn learned(&mut self, lesson: &Lesson) {
        for (address, _) in &lesson.addresses {
            if let Some(count) = self.addresses.get_mut(address) {
                *count = count.saturating_sub(1);
                if *count == 0 {
                    self.addresses.remove(address);
                }
            }
        }
    }
}

/// Teaches the process that keeps the names now what this one hears, until this one ends.
pub fn start(shared: &Arc<Shared>, workers: &Arc<Vec<Worker>>, lessons: Receiver<Lesson>) -> io::Result<()> {
    let (shared, workers) = (Arc::clone(shared), Arc::clone(workers));
    thread::Builder::new().name("late-names".into()).spawn(move || {
        let mut successor = None;
        for lesson in lessons {
            if teach(&shared, &mut successor, &lesson) {
                shared.names.learned_elsewhere(&lesson);
                workers.iter().for_each(|worker| worker.ask(Question::NamesSettled));
                shared.ring();
            } else {
                shared.counters.fault("dns-hand-over");
            }
        }
    })?;
    Ok(())
}

fn teach(shared: &Shared, successor: &mut Option<Client>, lesson: &Lesson) -> bool {
    let since = Instant::now();
    while since.elapsed() < PATIENCE {
        // Before that, this process itself listens at the path.
        if shared.is_draining() {
            let client = match successor.take() {
                Some(client) => Ok(client),
                None => Client::connect(&shared.settings.socket),
            };
            let asked = client.and_then(|mut client| {
                client.ask(&Request::LearnName(lesson.clone()))?;
                Ok(client)
            });
            match asked {
                Ok(client) => {
                    *successor = Some(client);
                    return true;
                }
                Err(error) => tracing::info!(%error, "the proxy after this one does not learn"),
            }
        }
        thread::sleep(AGAIN);
    }
    false
}

impl Names {
    /// Keeps no names any more: another process reads the file from now on, and learns what is still heard here. None if that
    /// has been so before.
    pub fn hand_over(&self) -> Option<Receiver<Lesson>> {
        let mut state = self.lock();
        state.file.take()?;
        let (late, lessons) = Late::new();
        state.late = Some(late);
        Some(lessons)
    }

    fn learned_elsewhere(&self, lesson: &Lesson) {
        if let Some(late) = &mut self.lock().late {
            late.learned(lesson);
        }
    }
}
