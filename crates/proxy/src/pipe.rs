//! What passes from one socket to the other without being copied into this process.

use nix::{
    errno::Errno,
    fcntl::{FcntlArg, OFlag, SpliceFFlags, fcntl, splice},
    unistd::pipe2,
};
use std::{
    os::fd::{AsFd, OwnedFd},
    sync::Arc,
};

/// Fewer bytes to come than these are read and written.
pub const WORTH: u64 = 128 << 10;
/// Bytes that a pipe may hold.
const SIZE: i32 = 256 << 10;
/// Pipes of one worker at a time: each is two descriptors. Who gets none reads and writes.
const MOST: usize = 64;

/// Pipes of one worker.
#[derive(Debug, Default)]
pub struct Pipes {
    /// Each pipe has a share in it.
    lent: Arc<()>,
}

impl Pipes {
    pub fn lend(&self) -> Option<Pipe> {
        if Arc::strong_count(&self.lent) > MOST {
            return None;
        }
        let (exit, entry) = pipe2(OFlag::O_CLOEXEC | OFlag::O_NONBLOCK).ok()?;
        // A smaller one does it too.
        let _size = fcntl(&entry, FcntlArg::F_SETPIPE_SZ(SIZE));
        Some(Pipe { exit, entry, held: 0, _share: Arc::clone(&self.lent) })
    }
}

#[derive(Debug)]
pub struct Pipe {
    exit: OwnedFd,
    entry: OwnedFd,
    held: usize,
    _share: Arc<()>,
}

impl Pipe {
    /// Bytes that went in and not out yet.
    #[must_use]
    pub fn held(&self) -> usize {
        self.held
    }

    /// Takes up to `most` bytes from a socket while the pipe is empty; 0 is the socket's end, `EAGAIN` that nothing has come.
    pub fn fill(&mut self, socket: impl AsFd, most: u64) -> Result<usize, Errno> {
        let room = usize::try_from(SIZE).unwrap_or_default();
        let len = usize::try_from(most).unwrap_or(usize::MAX).min(room);
        let count = splice(socket, None, &self.entry, None, len, how())?;
        self.held = self.held.saturating_add(count);
        Ok(count)
    }

    /// Gives a socket as much as it takes.
    pub fn empty_into(&mut self, socket: impl AsFd) -> Result<usize, Errno> {
        let count = splice(&self.exit, None, socket, None, self.held, how())?;
        self.held = self.held.saturating_sub(count);
        Ok(count)
    }
}

fn how() -> SpliceFFlags {
    SpliceFFlags::SPLICE_F_MOVE | SpliceFFlags::SPLICE_F_NONBLOCK
}
