//! The file itself.

use super::{format, load::readable};
use crate::cache::NameCache;
use std::{
    ffi::OsString,
    fs::{File, OpenOptions},
    io::{self, Read, Seek, SeekFrom, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};
use thiserror::Error;

/// The log is not worth a new snapshot before it has this many bytes.
const LEAST_LOG: u64 = 1 << 20;

#[derive(Debug, Error)]
#[error("cannot {action} the DNS cache file {}", path.display())]
pub struct DiskError {
    action: &'static str,
    path: PathBuf,
    source: io::Error,
}

/// An open cache file; one process at a time writes to it.
#[derive(Debug)]
pub struct CacheFile {
    path: PathBuf,
    file: File,
    /// Where the next record goes.
    len: u64,
    /// Of that: the snapshot.
    snapshot: u64,
    /// A failed append could not be taken back: only a new snapshot helps.
    is_damaged: bool,
}

/// What [`CacheFile::open`] found.
#[derive(Debug)]
pub struct Opened {
    pub file: CacheFile,
    /// For [`NameCache::load`].
    pub bytes: Vec<u8>,
    pub torn: Option<Torn>,
}

/// What could not be read and is no longer in the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Torn {
    /// So many bytes at its end were no whole record, or lay behind a damaged one.
    End { kept: u64, dropped: u64 },
    /// It was no cache file of this version, and lies now at this path.
    Foreign(PathBuf),
}

impl CacheFile {
    /// Opens a file or begins one, for its owner alone. Cuts off what cannot be read.
    pub fn open(path: &Path) -> Result<Opened, DiskError> {
        let failed = |action| move |source| DiskError { action, path: path.to_owned(), source };
        let mut file = options().open(path).map_err(failed("open"))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(failed("read"))?;
        let whole = readable(&bytes);
        let dropped = bytes.len().saturating_sub(whole);
        let mut torn = None;
        if bytes.is_empty() || whole == 0 {
            if whole == 0 && !bytes.is_empty() {
                let aside = beside(path, ".unreadable");
                std::fs::rename(path, &aside).map_err(failed("set aside"))?;
                torn = Some(Torn::Foreign(aside));
            }
            file = Self::write_new(path, &header()).map_err(failed("begin"))?;
            bytes = header();
        } else if dropped > 0 {
            bytes.truncate(whole);
            file.set_len(length(&bytes)).map_err(failed("cut"))?;
            torn =
                Some(Torn::End { kept: length(&bytes), dropped: u64::try_from(dropped).unwrap_or(u64::MAX) });
        }
        let len = length(&bytes);
        let file = Self { path: path.to_owned(), file, len, snapshot: len, is_damaged: false };
        Ok(Opened { file, bytes, torn })
    }

    /// Appends what an operation on the cache has to say, before its answer is released. Not synchronised: see the guarantee of the
    /// [`NameCache`]. After an error [replace](Self::replace) the file before the next answer that had something to say.
    pub fn append(&mut self, log: &[u8]) -> Result<(), DiskError> {
        if log.is_empty() {
            return Ok(());
        }
        if self.is_damaged {
            return Err(self.failed("append to", io::Error::other("an earlier append failed half way")));
        }
        let written = self.file.seek(SeekFrom::Start(self.len)).and_then(|_| self.file.write_all(log));
        if let Err(error) = written {
            // Half a record would hide all that come after it.
            self.is_damaged = self.file.set_len(self.len).is_err();
            return Err(self.failed("append to", error));
        }
        self.len = self.len.saturating_add(length(log));
        Ok(())
    }

    /// Whether the log has grown so long that a new snapshot saves more than it costs.
    #[must_use]
    pub fn wants_replacement(&self) -> bool {
        self.is_damaged || self.len.saturating_sub(self.snapshot) > self.snapshot.max(LEAST_LOG)
    }

    /// Puts a snapshot into the place of the file: synchronised, then renamed. A failure leaves the old one.
    pub fn replace(&mut self, cache: &NameCache) -> Result<(), DiskError> {
        let mut bytes = Vec::new();
        cache.snapshot(&mut bytes);
        self.file = Self::write_new(&self.path, &bytes).map_err(|error| self.failed("replace", error))?;
        (self.len, self.snapshot, self.is_damaged) = (length(&bytes), length(&bytes), false);
        Ok(())
    }

    fn write_new(path: &Path, bytes: &[u8]) -> io::Result<File> {
        let new = beside(path, ".new");
        let mut file = options().truncate(true).open(&new)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        std::fs::rename(&new, path)?;
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        File::open(folder)?.sync_all()?;
        Ok(file)
    }

    fn failed(&self, action: &'static str, source: io::Error) -> DiskError {
        DiskError { action, path: self.path.clone(), source }
    }
}

fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false).mode(0o600);
    options
}

fn header() -> Vec<u8> {
    let mut bytes = Vec::new();
    format::file_header(&mut bytes);
    bytes
}

fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(ending);
    name.into()
}

fn length(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
