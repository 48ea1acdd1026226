//! One of the two sockets of a session, with what could not be passed on yet.

use crate::{
    pipe::Pipe,
    socket::{self, Cut},
};
use nix::{errno::Errno, sys::socket::Shutdown};
use std::{
    io,
    os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd},
};

#[derive(Debug)]
pub struct Half {
    fd: OwnedFd,
    /// Whether reading and writing may succeed: the kernel tells when they may again.
    readable: bool,
    writable: bool,
    /// What comes past this process; it goes before `output`.
    pub pipe: Option<Pipe>,
    /// The kernel has told that the peer sends no more, and will not again: reading goes on up to the end.
    hung_up: bool,
    /// Received, and not yet taken by the protocol.
    pub input: Vec<u8>,
    output: Vec<u8>,
    /// How much of `output` has been sent.
    sent: usize,
    /// The peer sends no more.
    pub ended: bool,
    finish: Finish,
}

/// Whether we have said that we send no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Finish {
    No,
    WhenSent,
    Said,
}

/// What reading brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Read {
    Nothing,
    Bytes(usize),
    End,
}

/// Above this the room of an empty buffer is given back.
const KEPT: usize = 4096;

impl Half {
    /// Until it is closed in order, its end resets the connection.
    pub fn new(fd: OwnedFd) -> io::Result<Self> {
        socket::cut_on_close(&fd, Cut::Yes)?;
        Ok(Self {
            fd,
            readable: false,
            writable: false,
            pipe: None,
            hung_up: false,
            input: Vec::new(),
            output: Vec::new(),
            sent: 0,
            ended: false,
            finish: Finish::No,
        })
    }

    pub fn mark_readable(&mut self) {
        self.readable = true;
    }

    pub fn mark_hung_up(&mut self) {
        self.hung_up = true;
    }

    pub fn mark_writable(&mut self) {
        self.writable = true;
    }

    #[must_use]
    pub fn may_read(&self) -> bool {
        self.readable && !self.ended
    }

    /// Bytes that wait to be sent.
    #[must_use]
    pub fn backlog(&self) -> usize {
        self.piped().saturating_add(self.kept())
    }

    fn piped(&self) -> usize {
        self.pipe.as_ref().map_or(0, Pipe::held)
    }

    fn kept(&self) -> usize {
        self.output.len().saturating_sub(self.sent)
    }

    pub fn read(&mut self, buffer: &mut [u8]) -> io::Result<Read> {
        let room = buffer.len();
        loop {
            match nix::unistd::read(&self.fd, buffer) {
                Ok(0) => {
                    self.ended = true;
                    return Ok(Read::End);
                }
                Ok(count) => {
                    // Less than there was room for: all has been read, and the kernel tells of more. An end that it told of
                    // together with these bytes is still to be read.
                    self.readable = count == room || self.hung_up;
                    return Ok(Read::Bytes(count));
                }
                Err(Errno::EAGAIN) => {
                    self.readable = false;
                    return Ok(Read::Nothing);
                }
                Err(Errno::EINTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Has up to `most` bytes go on to a half that has a pipe and no backlog.
    pub fn splice(&mut self, to: &mut Self, most: u64) -> io::Result<Read> {
        let Some(pipe) = &mut to.pipe else { return Ok(Read::Nothing) };
        match pipe.fill(&self.fd, most) {
            Ok(0) => {
                self.ended = true;
                Ok(Read::End)
            }
            Ok(count) => {
                to.flush()?;
                Ok(Read::Bytes(count))
            }
            Err(Errno::EAGAIN) => {
                self.readable = false;
                Ok(Read::Nothing)
            }
            Err(Errno::EINTR) => Ok(Read::Nothing),
            Err(error) => Err(error.into()),
        }
    }

    /// Sends as much as goes now and keeps the rest.
    pub fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut rest = bytes;
        if self.backlog() == 0 && self.writable {
            let count = self.write(rest)?;
            rest = rest.get(count..).unwrap_or_default();
        }
        self.keep(rest);
        Ok(())
    }

    /// Has it sent with the next [`flush`](Self::flush).
    pub fn keep(&mut self, bytes: &[u8]) {
        self.output.extend_from_slice(bytes);
    }

    /// Sends what was kept, as much as goes. Returns whether anything went.
    pub fn flush(&mut self) -> io::Result<bool> {
        let mut moved = self.empty_pipe()?;
        if self.writable && self.piped() == 0 && self.kept() > 0 {
            let output = std::mem::take(&mut self.output);
            let count = self.write(output.get(self.sent..).unwrap_or_default())?;
            self.output = output;
            self.sent = self.sent.saturating_add(count);
            moved |= count > 0;
        }
        if self.backlog() == 0 {
            self.output.clear();
            self.output.shrink_to(KEPT);
            self.sent = 0;
            if self.finish == Finish::WhenSent {
                self.finish = Finish::Said;
                match nix::sys::socket::shutdown(self.fd.as_raw_fd(), Shutdown::Write) {
                    // It is gone already, which the next read or write says.
                    Ok(()) | Err(Errno::ENOTCONN) => {}
                    Err(error) => return Err(error.into()),
                }
            }
        }
        Ok(moved)
    }

    fn empty_pipe(&mut self) -> io::Result<bool> {
        let mut moved = false;
        while let Some(pipe) = self.pipe.as_mut().filter(|pipe| self.writable && pipe.held() > 0) {
            match pipe.empty_into(&self.fd) {
                Ok(count) => moved |= count > 0,
                Err(Errno::EAGAIN) => self.writable = false,
                Err(Errno::EINTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(moved)
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut done = 0_usize;
        while let Some(rest) = bytes.get(done..).filter(|rest| !rest.is_empty()) {
            let flags = nix::sys::socket::MsgFlags::MSG_NOSIGNAL;
            match nix::sys::socket::send(self.fd.as_raw_fd(), rest, flags) {
                Ok(count) => done = done.saturating_add(count),
                Err(Errno::EAGAIN) => {
                    self.writable = false;
                    break;
                }
                Err(Errno::EINTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(done)
    }

    /// Says that no more is sent, after what waits.
    pub fn finish(&mut self) {
        if self.finish == Finish::No {
            self.finish = Finish::WhenSent;
        }
    }

    /// Whether everything is sent, and that it was all.
    #[must_use]
    pub fn finished(&self) -> bool {
        self.finish == Finish::Said
    }

    /// Closes in order: what is on its way arrives.
    pub fn close(self) -> io::Result<()> {
        socket::cut_on_close(&self.fd, Cut::No)
    }
}

impl AsFd for Half {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}
