//! The unix sockets: for root and one group.

use anyhow::{Context as _, bail};
use ciliate_api::settings::Config;
use nix::unistd::Group;
use std::{
    fs,
    io::ErrorKind,
    os::unix::{
        fs::{PermissionsExt as _, chown},
        net::{UnixListener, UnixStream},
    },
    path::Path,
};

/// `sun_path` of unix(7), without the byte that ends it.
const LONGEST: usize = 107;

/// Listens; requests wait until somebody accepts them. A socket that a dead agent left is replaced.
pub fn bind(config: &Config, path: &Path) -> anyhow::Result<UnixListener> {
    if path.as_os_str().len() > LONGEST {
        bail!(
            "{} has more than the {LONGEST} bytes that a socket's path may have: choose a shorter --run-dir",
            path.display()
        );
    }
    if UnixStream::connect(path).is_ok() {
        bail!(
            "another agent listens on {}: end it with `ciliate down`, or choose another --run-dir",
            path.display()
        );
    }
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            return Err(error).with_context(|| format!("cannot replace {}", path.display()));
        }
        Ok(()) | Err(_) => {}
    }
    // Nobody else may connect before owner and mode are right.
    let fresh = path.with_extension("new");
    let _ = fs::remove_file(&fresh);
    let bound = || {
        let listener = UnixListener::bind(&fresh)?;
        if let Ok(Some(group)) = Group::from_name(&config.socket_group) {
            chown(&fresh, None, Some(group.gid.as_raw()))?;
        }
        fs::set_permissions(&fresh, fs::Permissions::from_mode(0o660))?;
        fs::rename(&fresh, path)?;
        listener.set_nonblocking(true)?;
        Ok::<_, std::io::Error>(listener)
    };
    bound().with_context(|| format!("cannot listen on {}", path.display()))
}
