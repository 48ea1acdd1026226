//! Two processes: one works, the other holds the same sockets, does nothing, and starts another when the first dies.
//!
//! What dies with a worker are the connections that it carries. Those that wait to be accepted and queries that wait to be
//! read lie in the sockets, and the kernel goes on putting new ones there. Between the two is a pair of connected sockets: each
//! notices the end of the other at once.

use crate::{
    Error, Settings, Turn, descriptors, serve,
    shared::Shared,
    sockets::{self, Sockets},
};
use nix::{
    sys::wait::{WaitStatus, waitpid},
    unistd::{ForkResult, Pid, fork},
};
use std::{
    env,
    io::{self, Read as _, Write as _},
    os::unix::{
        net::UnixStream,
        process::{CommandExt as _, parent_id},
    },
    process::{Command, Stdio},
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

/// A worker that lived for so long did not die of what it found at its start.
const STABLE: Duration = Duration::from_secs(5);
/// So many that lived shorter, one after the other, are replaced at once.
const QUICK_DEATHS: u32 = 20;
/// After that there are pauses, each twice as long as the one before.
const SHORTEST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// How long a proxy that is to take over may take until it does.
const AGAIN: Duration = Duration::from_secs(10);

/// What a worker tells its guardian, one byte each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Word {
    /// It serves: should it die, another is to take its place.
    Ready = 1,
    /// Nothing comes to these sockets any more: they may be closed.
    Released = 2,
}

/// The guardian as its worker sees it.
#[derive(Debug)]
pub struct Guardian {
    pub pid: u32,
    link: UnixStream,
}

/// Serves in a child process, and in another one whenever it dies, until one of them ends by itself. Must be called while this
/// process has one thread. Returns in the children too, when they end.
///
/// # Errors
/// What keeps the first of them from starting.
pub fn guard(settings: Settings) -> Result<(), Error> {
    let settings = descriptors::fit(settings);
    let sockets = Sockets::open(&settings)?;
    let place = sockets.control.place();
    let (mut sockets, mut turn, mut deaths) = (Some(sockets), Turn::First, 0_u32);
    while let Some(held) = sockets.take() {
        let started = Instant::now();
        let (link, other) = UnixStream::pair().map_err(Error::Guardian)?;
        let child = match split().map_err(Error::Guardian)? {
            ForkResult::Parent { child } => child,
            ForkResult::Child => {
                drop(link);
                let guardian = Guardian { pid: parent_id(), link: other };
                return serve(settings, held, turn, Some(guardian), || {});
            }
        };
        drop(other);
        sockets = listen_to(link, held, &mut turn);
        let status = wait_for(child).map_err(Error::Guardian)?;
        match status {
            WaitStatus::Exited(_, 0) => return Ok(()),
            _ if turn == Turn::First => {
                return Err(Error::Guardian(io::Error::other(format!("it ended early ({status:?})"))));
            }
            _ => {}
        }
        let is_reached = sockets::place(&settings.socket).is_ok_and(|found| found == place);
        if !is_reached || !settings.bpf_root.exists() {
            tracing::info!(?status, "the worker has ended: it has a successor, or nothing is left to do");
            return Ok(());
        }
        deaths = if started.elapsed() >= STABLE { 0 } else { deaths.saturating_add(1) };
        let pause = pause_after(deaths);
        tracing::error!(?status, ?pause, "the worker has died: another takes its place");
        thread::sleep(pause);
    }
    Ok(())
}

/// Before the next worker is started, when so many died one after the other.
fn pause_after(deaths: u32) -> Duration {
    match deaths.checked_sub(QUICK_DEATHS) {
        None => Duration::ZERO,
        Some(more) => {
            let doubled = SHORTEST_PAUSE.saturating_mul(2_u32.saturating_pow(more));
            doubled.min(LONGEST_PAUSE)
        }
    }
}

#[expect(unsafe_code, reason = "a child that goes on without exec")]
fn split() -> io::Result<ForkResult> {
    // SAFETY: this process has one thread, so that no lock is held by another one that the child would not have.
    Ok(unsafe { fork() }?)
}

/// Until the worker ends. Gives back the sockets unless they are no longer needed.
fn listen_to(mut link: UnixStream, sockets: Sockets, turn: &mut Turn) -> Option<Sockets> {
    let mut held = Some(sockets);
    let mut word = [0];
    loop {
        match link.read(&mut word) {
            Ok(0) => return held,
            Ok(_) if word == [Word::Ready as u8] => *turn = Turn::Another,
            Ok(_) => held = None,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return held,
        }
    }
}

fn wait_for(child: Pid) -> io::Result<WaitStatus> {
    loop {
        match waitpid(child, None) {
            Err(nix::errno::Errno::EINTR) => {}
            ended => return Ok(ended?),
        }
    }
}

impl Guardian {
    pub fn say(&self, word: Word) {
        // One that has gone is noticed by the thread that waits for that.
        if let Err(error) = (&self.link).write_all(&[word as u8]) {
            tracing::debug!(%error, "the guardian does not hear");
        }
    }

    /// Starts a proxy, with a guardian, in the place of this one when this one's guardian dies. What is open here goes on to its
    /// end, as in every hand-over.
    pub fn replace_when_gone(&self, shared: &Arc<Shared>) -> io::Result<()> {
        let (mut link, shared) = (self.link.try_clone()?, Arc::clone(shared));
        let wait = move || {
            while link.read(&mut [0]).is_err_and(|error| error.kind() == io::ErrorKind::Interrupted) {}
            while !shared.is_draining() {
                tracing::error!("the guardian has died: another proxy takes over");
                if let Err(error) = start_another() {
                    tracing::error!(%error, "no other proxy can be started");
                }
                thread::sleep(AGAIN);
            }
        };
        thread::Builder::new().name("guardian".into()).spawn(wait)?;
        Ok(())
    }
}

/// The same program with the same arguments.
fn start_another() -> io::Result<()> {
    let mut arguments = env::args_os();
    let name = arguments.next().unwrap_or_else(|| "ciliate".into());
    let mut child = Command::new("/proc/self/exe")
        .arg0(name)
        .args(arguments)
        .stdin(Stdio::null())
        .process_group(0)
        .spawn()?;
    // Somebody has to take note of its end, lest it stays as a zombie.
    thread::Builder::new().name("guardian-end".into()).spawn(move || child.wait().map(drop))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_loop_of_deaths_is_slowed_down() {
        assert_eq!([0, 1, QUICK_DEATHS - 1].map(pause_after), [Duration::ZERO; 3]);
        assert_eq!([0, 1, 2].map(|more| pause_after(QUICK_DEATHS + more).as_millis()), [10, 20, 40]);
        assert_eq!([30, u32::MAX].map(pause_after), [LONGEST_PAUSE; 2]);
    }
}
