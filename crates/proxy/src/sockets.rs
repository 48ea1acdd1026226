//! The sockets that a proxy listens on: they may outlive the process that serves them.

use crate::{
    Error, Settings, dns,
    socket::{self, Family},
};
use std::{
    fs, io,
    os::{
        fd::OwnedFd,
        unix::{
            fs::{MetadataExt as _, PermissionsExt as _},
            net::UnixListener,
        },
    },
    path::{Path, PathBuf},
};

/// Open, and known to nobody yet.
#[derive(Debug)]
pub struct Sockets {
    /// Of all listeners for connections.
    pub port: u16,
    /// A pair of listening sockets, one a family, for each worker.
    pub connections: Vec<Vec<OwnedFd>>,
    /// Where redirected queries come, one a family.
    pub queries: Vec<OwnedFd>,
    pub control: ControlSocket,
}

/// Where the agent and the commands come.
#[derive(Debug)]
pub struct ControlSocket {
    pub listener: UnixListener,
    /// Where it is until it takes the place of an earlier one.
    new: PathBuf,
    /// Device and inode of the path.
    place: (u64, u64),
}

impl Sockets {
    pub fn open(settings: &Settings) -> Result<Self, Error> {
        let (port, connections) = listen(settings.workers).map_err(Error::Listen)?;
        let queries = Family::BOTH.map(dns::listener).into_iter().collect::<io::Result<_>>();
        let control = ControlSocket::open(&settings.socket)
            .map_err(|source| Error::Control { path: settings.socket.clone(), source })?;
        Ok(Self { port, connections, queries: queries.map_err(Error::Listen)?, control })
    }
}

impl ControlSocket {
    fn open(path: &Path) -> io::Result<Self> {
        let new = path.with_extension("new");
        match fs::remove_file(&new) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
        let listener = UnixListener::bind(&new)?;
        fs::set_permissions(&new, fs::Permissions::from_mode(0o600))?;
        let place = place(&new)?;
        Ok(Self { listener, new, place })
    }

    /// From now on whoever connects to the path comes here, and nobody to where it led before.
    pub fn take_over(&self, path: &Path) -> Result<(), Error> {
        fs::rename(&self.new, path).map_err(|source| Error::Control { path: path.to_owned(), source })
    }

    /// Which file the path has to be for this socket to be the one that is reached.
    pub fn place(&self) -> (u64, u64) {
        self.place
    }
}

/// Device and inode.
pub fn place(path: &Path) -> io::Result<(u64, u64)> {
    fs::metadata(path).map(|found| (found.dev(), found.ino()))
}

/// A pair for each worker, all on one port.
fn listen(workers: usize) -> io::Result<(u16, Vec<Vec<OwnedFd>>)> {
    let first = socket::listener(Family::V4, 0)?;
    let port = socket::local(&first)?.port();
    let mut pairs = vec![vec![first, socket::listener(Family::V6, port)?]];
    for _ in 1..workers.max(1) {
        let pair = Family::BOTH.into_iter().map(|family| socket::listener(family, port));
        pairs.push(pair.collect::<io::Result<_>>()?);
    }
    Ok((port, pairs))
}
