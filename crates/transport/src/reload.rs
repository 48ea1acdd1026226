//! What is made of files, and made anew when they change.

use crate::CertificateError;
use std::{
    fs,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime},
};

/// A file that was written so lately may be written again without its times telling.
const UNSETTLED: Duration = Duration::from_secs(2);

type Make<T> = Box<dyn Fn() -> Result<T, CertificateError> + Send + Sync>;

/// Its value is looked for whenever one is needed. Files that are wrong change nothing; the log says so once.
pub struct Reloading<T> {
    files: Vec<PathBuf>,
    make: Make<T>,
    last: Mutex<Last<T>>,
}

struct Last<T> {
    /// Of the files when they were looked at last, whatever became of them.
    seen: Seen,
    value: Arc<T>,
}

#[derive(Clone, PartialEq, Eq)]
struct Seen {
    prints: Vec<Option<Print>>,
    settled: bool,
}

/// What tells one content of a file from another.
#[derive(Clone, PartialEq, Eq)]
struct Print {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Print {
    /// None for a file that cannot be looked at.
    fn of(path: &Path) -> Option<Self> {
        let data = fs::metadata(path).ok()?;
        Some(Self {
            device: data.dev(),
            inode: data.ino(),
            size: data.size(),
            modified: (data.mtime(), data.mtime_nsec()),
            changed: (data.ctime(), data.ctime_nsec()),
        })
    }
}

impl Seen {
    fn now(files: &[PathBuf]) -> Self {
        let prints: Vec<_> = files.iter().map(|path| Print::of(path)).collect();
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let lately = i64::try_from(now.saturating_sub(UNSETTLED).as_secs()).unwrap_or(i64::MAX);
        let settled = prints.iter().flatten().all(|print| print.changed.0 < lately);
        Self { prints, settled }
    }
}

impl<T> Reloading<T> {
    /// # Errors
    /// What is wrong with which file.
    pub fn new(
        files: Vec<PathBuf>,
        make: impl Fn() -> Result<T, CertificateError> + Send + Sync + 'static,
    ) -> Result<Self, CertificateError> {
        // Looked at before they are read: what changes in between is seen later.
        let seen = Seen::now(&files);
        let value = Arc::new(make()?);
        Ok(Self { files, make: Box::new(make), last: Mutex::new(Last { seen, value }) })
    }

    /// Of the files as they are now, or as they were last right. Reads files.
    pub fn current(&self) -> Arc<T> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Seen::now(&self.files);
        if now.prints == last.seen.prints && last.seen.settled {
            return Arc::clone(&last.value);
        }
        let changed = now.prints != last.seen.prints;
        last.seen = now;
        match (self.make)() {
            Ok(value) => {
                if changed {
                    tracing::info!(files = ?self.files, "certificates are read again");
                }
                last.value = Arc::new(value);
            }
            Err(error) if changed => {
                tracing::error!(%error, "new certificates are wrong: those from before are used on");
            }
            Err(_) => {}
        }
        Arc::clone(&last.value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_that_change_are_read_again_and_wrong_ones_change_nothing() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("x");
        let write = |text: &str| fs::write(&path, text).expect("a file");
        let from = path.clone();
        let make = move || match fs::read_to_string(&from) {
            Ok(text) if !text.is_empty() => Ok(text),
            Ok(_) | Err(_) => Err(CertificateError::None(from.clone())),
        };
        assert!(Reloading::new(vec![path.clone()], make.clone()).is_err(), "there is no file yet");
        write("a");
        let value = Reloading::new(vec![path.clone()], make).expect("a value");
        assert_eq!(*value.current(), "a");
        // Of the same size, at once: the file's times alone need not tell.
        write("b");
        assert_eq!(*value.current(), "b");
        write("");
        assert_eq!(*value.current(), "b");
        fs::remove_file(&path).expect("a file");
        assert_eq!(*value.current(), "b");
        // A link that is turned elsewhere, as with mounted secrets.
        fs::write(folder.path().join("y"), "c").expect("a file");
        std::os::unix::fs::symlink("y", &path).expect("a link");
        assert_eq!(*value.current(), "c");
    }
}
