//! One process at a time.

use crate::Error;
use std::{
    fs::{File, OpenOptions, TryLockError},
    io::{Read, Seek, Write},
    path::Path,
};

const FILE: &str = "ciliate.lock";

/// Held on the lock file beside the store; the kernel lets go of it when the process ends, however it ends.
#[derive(Debug)]
pub(super) struct Lock {
    _file: File,
}

impl Lock {
    pub(super) fn take(folder: &Path, store: &Path) -> Result<Self, Error> {
        let path = folder.join(FILE);
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(|e| Error::io(&path, e))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut text = String::new();
                // Who holds it only helps the message.
                let _ = file.read_to_string(&mut text);
                return Err(Error::Locked { path: store.to_owned(), pid: text.trim().parse().ok() });
            }
            Err(TryLockError::Error(e)) => return Err(Error::io(&path, e)),
        }
        let mut note = || {
            file.set_len(0)?;
            file.rewind()?;
            writeln!(file, "{}", std::process::id())
        };
        match note() {
            // A full disk must not keep an agent from starting: the lock holds without the note.
            Err(e) if e.kind() != std::io::ErrorKind::StorageFull => Err(Error::io(&path, e)),
            Ok(()) | Err(_) => Ok(Self { _file: file }),
        }
    }
}
