//! A program that runs in the foreground: signals go in, the exit code comes out.

use super::{Attachment, Launch};
use crate::Error;
use nix::{
    errno::Errno,
    sys::{
        signal::{SigSet, Signal, kill},
        signalfd::SignalFd,
    },
    unistd::Pid,
};
use std::{
    os::unix::process::ExitStatusExt,
    process::{Child, ExitStatus},
    sync::mpsc,
    thread::{self, JoinHandle},
};

/// What somebody may send to the starter and means the program.
const FORWARDED: [Signal; 8] = [
    Signal::SIGHUP,
    Signal::SIGINT,
    Signal::SIGQUIT,
    Signal::SIGTERM,
    Signal::SIGUSR1,
    Signal::SIGUSR2,
    Signal::SIGALRM,
    Signal::SIGCONT,
];

/// A started program.
pub struct Running {
    child: Child,
    signals: SignalFd,
    mask: SigSet,
    /// The kernel ends the program with the thread that started it, so that one stays until we let go.
    hold: Option<mpsc::Sender<()>>,
    starter: Option<JoinHandle<()>>,
}

impl Running {
    pub(super) fn start(launch: Launch) -> Result<Self, Error> {
        let mut caught: SigSet = FORWARDED.into_iter().collect();
        caught.add(Signal::SIGCHLD);
        let blocked = |e| Error::kernel("catch signals", e);
        let mask = caught.thread_swap_mask(nix::sys::signal::SigmaskHow::SIG_BLOCK).map_err(blocked)?;
        let restore = |error| {
            let _ = mask.thread_set_mask();
            error
        };
        let signals = SignalFd::new(&caught).map_err(|e| restore(blocked(e)))?;

        let (hold, held) = mpsc::channel::<()>();
        let (report, started) = mpsc::sync_channel(1);
        let starter = thread::Builder::new().name("launch".into()).spawn(move || {
            let mut command = launch.command(Attachment::Attached(mask));
            let started = launch.spawn(&mut command);
            let _ = report.send(started);
            // Ends when the other side is dropped.
            let _ = held.recv();
        });
        let starter = starter.map_err(|e| restore(Error::kernel("start a thread", e)))?;
        let gone = || Error::kernel("start a thread", Errno::ESRCH);
        let child = started.recv().unwrap_or_else(|_| Err(gone())).map_err(restore)?;
        Ok(Self { child, signals, mask, hold: Some(hold), starter: Some(starter) })
    }

    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Passes signals on until the program ends. Returns its exit code, or 128 and the number of the signal that
    /// ended it.
    pub fn wait(mut self) -> Result<u8, Error> {
        let pid = self.child.id();
        let broken = |e: std::io::Error| Error::kernel(format!("wait for process {pid}"), e);
        let status = loop {
            if let Some(status) = self.child.try_wait().map_err(broken)? {
                break status;
            }
            match self.signals.read_signal() {
                Ok(Some(info)) => self.pass_on(&info),
                Ok(None) | Err(Errno::EINTR) => {}
                Err(e) => return Err(broken(e.into())),
            }
        };
        Ok(exit_code(status))
    }

    fn pass_on(&self, info: &nix::sys::signalfd::siginfo) {
        let sent_by_a_process = info.ssi_code <= 0;
        let number = i32::try_from(info.ssi_signo).ok();
        let Some(signal) = number.and_then(|n| Signal::try_from(n).ok()) else { return };
        let own_echo = info.ssi_pid == self.child.id();
        // What the terminal sends goes to its whole process group, the program included.
        if FORWARDED.contains(&signal)
            && sent_by_a_process
            && !own_echo
            && let Ok(pid) = i32::try_from(self.child.id())
        {
            // It may have ended meanwhile; then there is nobody to tell.
            let _ = kill(Pid::from_raw(pid), signal);
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.hold.take();
        if let Some(starter) = self.starter.take() {
            let _ = starter.join();
        }
        let _ = self.mask.thread_set_mask();
    }
}

fn exit_code(status: ExitStatus) -> u8 {
    let by_signal = || status.signal().map(|s| s.saturating_add(128));
    let code = status.code().or_else(by_signal).unwrap_or(255);
    u8::try_from(code & 0xff).unwrap_or(255)
}
