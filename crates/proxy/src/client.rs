//! Talking to a running proxy.

use crate::message::{Answer, Record, Request};
use std::{
    io::{self, BufRead as _, BufReader, Write as _},
    os::unix::net::UnixStream,
    path::Path,
    time::Duration,
};

/// A connection to a proxy's socket.
#[derive(Debug)]
pub struct Client {
    stream: BufReader<UnixStream>,
}

/// A proxy that judges ten thousand connections anew takes a while.
const PATIENCE: Duration = Duration::from_secs(15);

impl Client {
    pub fn connect(socket: &Path) -> io::Result<Self> {
        let stream = UnixStream::connect(socket)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
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

    /// Records as they come, until the proxy ends.
    pub fn watch(mut self) -> io::Result<impl Iterator<Item = io::Result<Record>>> {
        self.send(&Request::Watch)?;
        self.stream.get_ref().set_read_timeout(None)?;
        Ok(std::iter::from_fn(move || {
            loop {
                match self.receive() {
                    Ok(Some(Answer::Record(record))) => return Some(Ok(record)),
                    Ok(Some(_)) => {}
                    Ok(None) => return None,
                    Err(error) => return Some(Err(error)),
                }
            }
        }))
    }

    fn send(&mut self, request: &Request) -> io::Result<()> {
        let mut line = serde_json::to_vec(request)?;
        line.push(b'\n');
        self.stream.get_mut().write_all(&line)
    }

    fn receive(&mut self) -> io::Result<Option<Answer>> {
        let mut line = Vec::new();
        match self.stream.read_until(b'\n', &mut line)? {
            0 => Ok(None),
            _ => Ok(Some(serde_json::from_slice(&line)?)),
        }
    }
}
