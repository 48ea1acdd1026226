//! Objects in one file of this host: `ciliate.redb` in the state directory.
//!
//! A new file is made under another name and moved into place complete, so that a file that is empty or cut off is
//! always a damaged one, and never taken for a new one. A lock file beside it admits one process.
//!
//! A commit waits for the disk once: its pages carry checksums, by which the next opening finds out whether the last
//! commit is whole, or else takes the one before. The whole file is read then anyway; redb's quick repair would spare
//! a part of that and have every commit wait twice.

mod lock;
mod tables;

use crate::{Change, Document, Error, Expect, Revision, Watch, Write, watch::Log};
use lock::Lock;
use redb::{Database, ReadableDatabase, ReadableTable, TableHandle};
use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::{DirBuilderExt, PermissionsExt},
    panic::{self, AssertUnwindSafe},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

const FILE: &str = "ciliate.redb";
/// Of the tables and what is in them.
const FORMAT: u64 = 1;
/// Enough for some thousand policies; what does not fit is read from the file.
const CACHE_BYTES: usize = 4 << 20;

/// The store of one host.
#[derive(Debug)]
pub struct Embedded {
    path: PathBuf,
    state: Mutex<State>,
    log: Arc<Log>,
    /// Held as long as the store is open.
    _lock: Lock,
}

#[derive(Debug)]
struct State {
    /// Absent after a failed write, until the file could be opened again.
    database: Option<Database>,
    revision: Revision,
}

impl State {
    fn database(&self) -> Result<&Database, redb::Error> {
        self.database.as_ref().ok_or(redb::Error::DatabaseClosed)
    }
}

impl Embedded {
    /// Opens the store of a state directory, or makes both. The whole file is read and checked.
    pub fn open(folder: &Path) -> Result<Self, Error> {
        let path = folder.join(FILE);
        fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(|e| Error::io(folder, e))?;
        let lock = Lock::take(folder, &path)?;
        if !path.try_exists().map_err(|e| Error::io(&path, e))? {
            create(&path)?;
        }
        let database = open(&path)?;
        let revision = guarded(&path, || tables::check(&path, &database))?;
        Ok(Self {
            path,
            state: Mutex::new(State { database: Some(database), revision }),
            log: Arc::new(Log::starting_at(revision)),
            _lock: lock,
        })
    }

    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Of the last committed batch.
    #[must_use]
    pub fn revision(&self) -> Revision {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).revision
    }

    /// All kinds that ever had a document, in order.
    pub fn kinds(&self) -> Result<Vec<String>, Error> {
        self.read(|transaction| {
            let tables = transaction.list_tables()?;
            let mut kinds: Vec<_> =
                tables.filter_map(|t| tables::kind(t.name()).map(str::to_owned)).collect();
            kinds.sort();
            Ok(kinds)
        })
    }

    /// All documents of a kind, in order of their keys.
    pub fn list(&self, kind: &str) -> Result<Vec<Document>, Error> {
        self.read(|transaction| match tables::open_read(transaction, kind)? {
            Some(table) => table.iter()?.map(|row| tables::document(&row?)).collect(),
            None => Ok(Vec::new()),
        })
    }

    pub fn get(&self, kind: &str, key: &str) -> Result<Option<Document>, Error> {
        self.read(|transaction| match tables::open_read(transaction, kind)? {
            Some(table) => table.get(key)?.map(|row| tables::decode(key, row.value())).transpose(),
            None => Ok(None),
        })
    }

    /// Everything that is committed after that revision.
    #[must_use]
    pub fn watch(&self, after: Revision) -> Watch {
        Watch::new(Arc::clone(&self.log), after)
    }

    /// Carries out all writes or none. They are on the disk when this returns. What changes nothing makes no revision.
    pub fn commit(&self, writes: &[Write]) -> Result<Revision, Error> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        self.reopen(&mut state)?;
        let next = state.revision.next();
        let outcome = guarded(&self.path, || {
            let database = state.database().map_err(|e| Error::redb(&self.path, e))?;
            tables::write(&self.path, database, next, writes)
        });
        match outcome {
            Ok(changes) if changes.is_empty() => Ok(state.revision),
            Ok(changes) => {
                state.revision = next;
                match Arc::strong_count(&self.log) {
                    // Nobody watches: a later watcher learns that it missed this and lists.
                    0 | 1 => self.log.restart(next),
                    _ => self.log.append(next, changes.into()),
                }
                Ok(next)
            }
            Err(error @ Error::Conflict { .. }) => Err(error),
            Err(error) => {
                // After a failed write redb refuses all others; the file itself is as it was.
                state.database = None;
                Err(error)
            }
        }
    }

    fn read<T>(
        &self,
        work: impl FnOnce(&redb::ReadTransaction) -> Result<T, redb::Error>,
    ) -> Result<T, Error> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        self.reopen(&mut state)?;
        let outcome = guarded(&self.path, || {
            let read = || work(&state.database()?.begin_read()?);
            read().map_err(|e| Error::redb(&self.path, e))
        });
        outcome.inspect_err(|_| state.database = None)
    }

    /// After a failed write, as soon as the file can be opened again.
    fn reopen(&self, state: &mut State) -> Result<(), Error> {
        if state.database.is_none() {
            let database = open(&self.path)?;
            let revision = guarded(&self.path, || tables::check(&self.path, &database))?;
            if revision != state.revision {
                // The write that failed reached the disk after all.
                state.revision = revision;
                self.log.restart(revision);
            }
            state.database = Some(database);
        }
        Ok(())
    }
}

/// A new file with nothing but its format, moved into place when it is complete.
fn create(path: &Path) -> Result<(), Error> {
    let fresh = path.with_extension("new");
    let made = || {
        match fs::remove_file(&fresh) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(Error::io(&fresh, e)),
            Ok(()) | Err(_) => {}
        }
        let database = redb::Builder::new()
            .set_cache_size(CACHE_BYTES)
            .create(&fresh)
            .map_err(|e| Error::redb(path, e.into()))?;
        fs::set_permissions(&fresh, fs::Permissions::from_mode(0o600)).map_err(|e| Error::io(path, e))?;
        tables::start(path, &database)?;
        drop(database);
        fs::rename(&fresh, path).map_err(|e| Error::io(path, e))
    };
    guarded(path, made).inspect_err(|_| {
        // What went wrong before is the error to report.
        let _ = fs::remove_file(&fresh);
    })
}

fn open(path: &Path) -> Result<Database, Error> {
    guarded(path, || {
        redb::Builder::new().set_cache_size(CACHE_BYTES).open(path).map_err(|e| Error::redb(path, e.into()))
    })
}

/// A damaged file may make redb panic instead of returning an error: to us it is the same.
fn guarded<T>(path: &Path, work: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
    panic::catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|cause| {
        let text = cause.downcast_ref::<&str>().copied().map(str::to_owned);
        let text = text.or_else(|| cause.downcast_ref::<String>().cloned()).unwrap_or_default();
        let first = text.lines().next().unwrap_or_default().to_owned();
        Err(Error::Corrupt { path: path.to_owned(), detail: format!("redb gave up on it: {first}") })
    })
}
