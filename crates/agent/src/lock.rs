//! One agent for each host and each set of maps: a second one would take the first one's endpoints for leftovers.

use anyhow::{Context as _, bail};
use std::{
    fs::{self, File, TryLockError},
    io::ErrorKind,
    os::{
        linux::net::SocketAddrExt as _,
        unix::net::{SocketAddr, UnixListener},
    },
    path::Path,
};

/// Held until it is dropped or the process ends, however it ends.
pub struct Lock {
    /// A name that exists once in each network namespace.
    _namespace: UnixListener,
    /// Absent where the folder cannot be made: opening the maps will say why.
    _maps: Option<File>,
}

const NAME: &str = "ciliate-agent";

impl Lock {
    pub fn take(bpf_root: &Path) -> anyhow::Result<Self> {
        let address = SocketAddr::from_abstract_name(NAME).context("cannot name the lock")?;
        let namespace = match UnixListener::bind_addr(&address) {
            Ok(listener) => listener,
            Err(error) if error.kind() == ErrorKind::AddrInUse => bail!(
                "another agent runs in this network namespace: end it with `ciliate down` and its --run-dir"
            ),
            Err(error) => return Err(error).context("cannot tell whether another agent runs here"),
        };
        let maps = fs::create_dir_all(bpf_root).and_then(|()| File::open(bpf_root)).ok();
        match maps.as_ref().map(File::try_lock) {
            Some(Err(TryLockError::WouldBlock)) => bail!(
                "another agent uses {}: give each its own --bpf-root, --state-dir and --run-dir",
                bpf_root.display()
            ),
            Some(Err(TryLockError::Error(error))) => {
                Err(error).with_context(|| format!("cannot lock {}", bpf_root.display()))
            }
            Some(Ok(())) | None => Ok(Self { _namespace: namespace, _maps: maps }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_agent_is_refused_until_the_first_ends() {
        let folder = std::env::temp_dir().join(format!("ciliate-lock-{}", std::process::id()));
        let Ok(first) = Lock::take(&folder) else {
            // A real agent runs on this host: it proves the same.
            assert!(UnixListener::bind_addr(&SocketAddr::from_abstract_name(NAME).unwrap()).is_err());
            return;
        };
        assert!(Lock::take(&folder).is_err_and(|e| e.to_string().contains("another agent")));
        let maps = File::open(&folder).unwrap();
        assert!(matches!(maps.try_lock(), Err(TryLockError::WouldBlock)));
        drop(first);
        assert!(Lock::take(&folder).is_ok());
        fs::remove_dir(&folder).unwrap();
    }
}
