//! Unix sockets that one group may use besides their owner.

use nix::unistd::Group;
use std::{
    fs,
    io::{self, ErrorKind},
    os::unix::{
        fs::{PermissionsExt as _, chown},
        net::{UnixListener, UnixStream},
    },
    path::{Path, PathBuf},
};
use thiserror::Error;

/// `sun_path` of unix(7), without the byte that ends it.
const LONGEST: usize = 107;

#[derive(Debug, Error)]
pub enum SocketError {
    #[error("{} has more than the {LONGEST} bytes that a socket's path may have", .0.display())]
    TooLong(PathBuf),
    #[error("another process listens on {}", .0.display())]
    InUse(PathBuf),
    #[error("cannot replace {}: {source}", path.display())]
    Replace { path: PathBuf, source: io::Error },
    #[error("cannot listen on {}: {source}", path.display())]
    Listen { path: PathBuf, source: io::Error },
}

/// Listens, without blocking; requests wait until somebody accepts them. A socket that a dead process left is replaced. The
/// group need not exist.
///
/// # Errors
/// When somebody else listens there, or nobody can.
pub fn bind(path: &Path, group: &str) -> Result<UnixListener, SocketError> {
    if path.as_os_str().len() > LONGEST {
        return Err(SocketError::TooLong(path.to_owned()));
    }
    if UnixStream::connect(path).is_ok() {
        return Err(SocketError::InUse(path.to_owned()));
    }
    match fs::remove_file(path) {
        Err(source) if source.kind() != ErrorKind::NotFound => {
            return Err(SocketError::Replace { path: path.to_owned(), source });
        }
        Ok(()) | Err(_) => {}
    }
    // Nobody else may connect before owner and mode are right.
    let fresh = path.with_extension("new");
    let _ = fs::remove_file(&fresh);
    let bound = || {
        let listener = UnixListener::bind(&fresh)?;
        if let Ok(Some(group)) = Group::from_name(group) {
            chown(&fresh, None, Some(group.gid.as_raw()))?;
        }
        fs::set_permissions(&fresh, fs::Permissions::from_mode(0o660))?;
        fs::rename(&fresh, path)?;
        listener.set_nonblocking(true)?;
        Ok(listener)
    };
    bound().map_err(|source| SocketError::Listen { path: path.to_owned(), source })
}
