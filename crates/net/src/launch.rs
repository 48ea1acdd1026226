//! Starting programs inside an endpoint: `ciliate run` and `ciliate exec`.
//!
//! A program gets the endpoint's network, a mount namespace of its own with `/etc/hosts` (and if need be
//! `/etc/resolv.conf`) replaced, and a host name; all else, the process table and the files, is the host's.
//! `/sys/class/net` still shows the host's devices: a fresh `/sys` would hide the control groups.

mod resolver;
mod running;

pub use running::Running;

use crate::{Error, Netns};
use nix::{
    mount::{MsFlags, mount},
    sched::{CloneFlags, unshare},
    sys::{
        prctl,
        signal::{SigSet, Signal},
    },
    unistd,
};
use std::{
    ffi::OsString,
    fs::{self, OpenOptions},
    io::{self, Seek, Write},
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

/// A file that stands in for another inside the program's mount namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BoundFile {
    pub source: PathBuf,
    pub target: PathBuf,
}

/// A program to be started in an endpoint. Environment, folder, streams and terminal are the caller's.
#[derive(Clone, Debug)]
pub struct Launch {
    pub netns: Netns,
    pub program: OsString,
    pub arguments: Vec<OsString>,
    /// In addition to the caller's.
    pub environment: Vec<(OsString, OsString)>,
    pub directory: Option<PathBuf>,
    pub hostname: Option<String>,
    pub files: Vec<BoundFile>,
}

/// How the program relates to its starter.
#[derive(Clone, Copy)]
enum Attachment {
    /// Ends with it, shares its terminal. Blocks the signals that the caller blocked, not those that we catch.
    Attached(SigSet),
    /// Lives on by itself, in its own session.
    Detached,
}

impl Launch {
    pub fn new(netns: Netns, program: impl Into<OsString>) -> Self {
        Self {
            netns,
            program: program.into(),
            arguments: Vec::new(),
            environment: Vec::new(),
            directory: None,
            hostname: None,
            files: Vec::new(),
        }
    }

    /// Lets the program see `file` as `/etc/hosts`, and name servers that it can reach: where the host's resolver
    /// listens on a loopback address only, the servers behind it.
    #[must_use]
    pub fn hosts(mut self, file: &Path) -> Self {
        self.files.push(BoundFile { source: file.to_owned(), target: "/etc/hosts".into() });
        self.files.extend(
            resolver::reachable().map(|source| BoundFile { source, target: resolver::RESOLV_CONF.into() }),
        );
        self
    }

    /// Starts it with the caller's streams and terminal. Call it where no other thread handles signals.
    pub fn start(self) -> Result<Running, Error> {
        Running::start(self)
    }

    /// Starts it in a session of its own, without input; its output goes to the end of `log`, or nowhere.
    /// Returns the number of the process.
    pub fn detach(self, log: Option<&Path>) -> Result<u32, Error> {
        let mut command = self.command(Attachment::Detached);
        command.stdin(Stdio::null());
        match log {
            None => command.stdout(Stdio::null()).stderr(Stdio::null()),
            Some(path) => {
                let open = || {
                    let file = OpenOptions::new().create(true).append(true).open(path)?;
                    Ok((file.try_clone()?, file))
                };
                let (out, err) = open().map_err(|e: io::Error| Error::file("write the log", path, e))?;
                command.stdout(out).stderr(err)
            }
        };
        std::thread::scope(|scope| {
            let worker = scope.spawn(|| self.spawn(&mut command));
            worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
        .map(|child| child.id())
    }

    fn command(&self, attachment: Attachment) -> Command {
        let mut command = Command::new(&self.program);
        command.args(&self.arguments).envs(self.environment.iter().map(|(k, v)| (k, v)));
        if let Some(directory) = &self.directory {
            command.current_dir(directory);
        }
        // SAFETY: between fork and exec only prctl(2), setsid(2) and sigprocmask(2) are called, which allocate nothing
        // and take no lock.
        unsafe {
            command.pre_exec(move || {
                match attachment {
                    Attachment::Attached(mask) => {
                        prctl::set_pdeathsig(Signal::SIGTERM)?;
                        mask.thread_set_mask()?;
                    }
                    Attachment::Detached => {
                        unistd::setsid()?;
                    }
                }
                Ok(())
            })
        };
        command
    }

    /// Moves the calling thread into the endpoint for good and starts the program from there.
    fn spawn(&self, command: &mut Command) -> Result<Child, Error> {
        if let Some(directory) = &self.directory {
            // Else the error would blame the program.
            fs::metadata(directory).map_err(|e| Error::file("work in", directory, e))?;
        }
        let mut own = CloneFlags::CLONE_NEWNS;
        if self.hostname.is_some() {
            own |= CloneFlags::CLONE_NEWUTS;
        }
        unshare(own).map_err(|e| Error::kernel("make a mount namespace", e))?;
        // The host's later mounts and unmounts are seen, ours stay inside.
        let flags = MsFlags::MS_REC | MsFlags::MS_SLAVE;
        mount(None::<&str>, "/", None::<&str>, flags, None::<&str>)
            .map_err(|e| Error::kernel("keep mounts from spreading to the host", e))?;
        for file in &self.files {
            mount(Some(&file.source), &file.target, None::<&str>, MsFlags::MS_BIND, None::<&str>).map_err(
                |e| {
                    let what = format!("show {} as {}", file.source.display(), file.target.display());
                    Error::kernel(what, e)
                },
            )?;
        }
        if let Some(name) = &self.hostname {
            unistd::sethostname(name).map_err(|e| Error::kernel(format!("set the host name {name:?}"), e))?;
        }
        self.netns.enter_thread()?;
        command
            .spawn()
            .map_err(|source| Error::Start { program: self.program.to_string_lossy().into_owned(), source })
    }
}

/// Replaces what a file holds but not the file: one that is bound elsewhere must stay the same.
///
/// A reader at that moment may see the new text followed by the rest of a longer old one, never nothing.
pub fn rewrite_in_place(path: &Path, contents: &[u8]) -> Result<(), Error> {
    let rewrite = || {
        let mut file = OpenOptions::new().write(true).create(true).truncate(false).open(path)?;
        file.write_all(contents)?;
        let end = file.stream_position()?;
        file.set_len(end)
    };
    rewrite().map_err(|e| Error::file("rewrite", path, e))
}
