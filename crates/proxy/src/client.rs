//! Talking to a running proxy.

use crate::message::{Answer, Interest, NameSet, Request, read_frame};
use std::{
    fs,
    io::{self, BufRead as _, BufReader, Write as _},
    os::unix::net::UnixStream,
    path::Path,
    thread,
    time::{Duration, Instant},
};

/// A connection to a proxy's socket.
#[derive(Debug)]
pub struct Client {
    stream: BufReader<UnixStream>,
}

/// A proxy that judges ten thousand connections anew takes a while.
const PATIENCE: Duration = Duration::from_secs(15);
/// How often a process that was told to end is looked at.
const LOOK: Duration = Duration::from_millis(2);

impl Client {
    pub fn connect(socket: &Path) -> io::Result<Self> {
        Self::connect_within(socket, PATIENCE)
    }

    /// With another patience for each answer.
    pub fn connect_within(socket: &Path, patience: Duration) -> io::Result<Self> {
        let stream = UnixStream::connect(socket)?;
        stream.set_read_timeout(Some(patience))?;
        stream.set_write_timeout(Some(patience))?;
        Ok(Self { stream: BufReader::new(stream) })
    }

    /// # Errors
    /// The proxy is gone, or refused; nothing has changed then.
    pub fn ask(&mut self, request: &Request) -> io::Result<Answer> {
        self.send(request)?;
        match self.receive()? {
            Some(Answer::Failed(reason)) => Err(io::Error::other(reason)),
            Some(answer) => Ok(answer),
            None => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }

    /// Has the proxy end; neither it nor its guardian runs afterwards.
    ///
    /// # Errors
    /// It refused, or still ends after the patience for an answer.
    pub fn end(mut self) -> io::Result<()> {
        let mut processes = Vec::new();
        let asked = self.ask(&Request::Status).and_then(|answer| {
            if let Answer::Status(status) = answer {
                processes.extend([Some(status.pid), status.guardian].into_iter().flatten());
            }
            self.ask(&Request::End)
        });
        match asked {
            // It ends at once, before or after its answer, or has gone by itself.
            Ok(_) => {}
            Err(error) if is_gone(&error) => {}
            Err(error) => return Err(error),
        }
        let told = Instant::now();
        for process in processes {
            while runs(process) {
                if told.elapsed() > PATIENCE {
                    return Err(io::Error::new(
                        io::ErrorKind::TimedOut,
                        format!(
                            "the proxy (pid {process}) was told to end and still runs after {PATIENCE:?}"
                        ),
                    ));
                }
                thread::sleep(LOOK);
            }
        }
        Ok(())
    }

    /// Becomes a watcher: what the proxy tells, as it comes, until it ends. What is wanted can be changed all the while.
    pub fn watch(
        mut self,
        interest: Interest,
    ) -> io::Result<(Switch, impl Iterator<Item = io::Result<Answer>>)> {
        self.send(&Request::Watch(interest))?;
        let stream = self.stream.get_ref();
        stream.set_read_timeout(None)?;
        let switch = Switch(stream.try_clone()?);
        Ok((switch, std::iter::from_fn(move || self.receive().transpose())))
    }

    /// Sets that need numbers, as they come, until the proxy ends.
    pub fn watch_wanted(mut self) -> io::Result<impl Iterator<Item = io::Result<Vec<NameSet>>>> {
        self.send(&Request::WatchWanted)?;
        self.stream.get_ref().set_read_timeout(None)?;
        Ok(std::iter::from_fn(move || {
            loop {
                match self.receive() {
                    Ok(Some(Answer::Wanted(sets))) => return Some(Ok(sets)),
                    Ok(Some(_)) => {}
                    Ok(None) => return None,
                    Err(error) => return Some(Err(error)),
                }
            }
        }))
    }

    fn send(&mut self, request: &Request) -> io::Result<()> {
        send(self.stream.get_ref(), request)
    }

    fn receive(&mut self) -> io::Result<Option<Answer>> {
        let Some(first) = self.stream.fill_buf()?.first().copied() else { return Ok(None) };
        if let Some(accesses) = read_frame(first, &mut self.stream)? {
            return Ok(Some(Answer::Accesses(accesses)));
        }
        let mut line = Vec::new();
        match self.stream.read_until(b'\n', &mut line)? {
            0 => Ok(None),
            _ => Ok(Some(serde_json::from_slice(&line)?)),
        }
    }
}

/// Whether an error says that the other end is no more.
fn is_gone(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionReset, UnexpectedEof};
    matches!(error.kind(), BrokenPipe | ConnectionReset | UnexpectedEof)
}

/// A process that has ended and that nobody has asked for yet has no command line.
fn runs(process: u32) -> bool {
    fs::read(format!("/proc/{process}/cmdline")).is_ok_and(|line| !line.is_empty())
}

/// Says what a watcher wants from now on.
#[derive(Debug)]
pub struct Switch(UnixStream);

impl Switch {
    /// In force when the watcher gets [`Answer::Done`].
    pub fn set(&self, interest: Interest) -> io::Result<()> {
        send(&self.0, &Request::Watch(interest))
    }
}

fn send(mut stream: &UnixStream, request: &Request) -> io::Result<()> {
    let mut line = serde_json::to_vec(request)?;
    line.push(b'\n');
    stream.write_all(&line)
}
