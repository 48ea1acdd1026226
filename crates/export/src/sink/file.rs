//! Lines of JSON in a file that is put aside when it is large: names and order are those of Hubble's exporter.

mod lines;
mod rotation;

pub use lines::Lines;

use super::{Load, Sent, Shape};
use crate::{buffer::Entry, fault::Fault, spec::FileTarget};
use rotation::Rotation;
use std::{
    fs::{self, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _},
    path::Path,
    time::{Duration, Instant},
};

/// How often it is looked whether the file is still where it was.
const LOOK: Duration = Duration::from_secs(1);
/// Flows are for who runs the agent, unless a file is there already with other rights.
const MODE: u32 = 0o600;

pub struct File {
    target: FileTarget,
    lines: Lines,
    rotation: Rotation,
    open: Option<Open>,
}

/// The file as it is.
struct Open {
    file: fs::File,
    /// Bytes that are in it and whole lines.
    length: u64,
    looked: Instant,
}

impl File {
    pub fn new(target: FileTarget) -> Self {
        let rotation = Rotation::new(&target);
        let target_bytes = usize::try_from(target.most_bytes).unwrap_or(usize::MAX);
        Self { target, lines: Lines::bounded(target_bytes), rotation, open: None }
    }

    pub fn load<'a>(&mut self, entries: impl Iterator<Item = &'a Entry>, shape: &Shape) -> Load {
        self.lines.load(entries, shape)
    }

    /// What fails leaves no part of it behind.
    pub fn send(&mut self) -> Result<Sent, Fault> {
        let written = self.write();
        if written.is_err() {
            self.open = None;
        }
        written.map_err(|error| Fault::File { path: self.target.path.clone(), error })?;
        Ok(Sent::Settled)
    }

    fn write(&mut self) -> io::Result<()> {
        let lines = self.lines.bytes();
        let mut open = match self.open.take() {
            Some(open) if open.is_still(&self.target.path)? => open,
            Some(_) | None => Open::new(&self.target.path)?,
        };
        let length = u64::try_from(lines.len()).unwrap_or(u64::MAX);
        if open.length > 0 && open.length.saturating_add(length) > self.target.most_bytes {
            drop(open);
            self.rotation.put_aside()?;
            open = Open::new(&self.target.path)?;
        }
        open.append(lines)?;
        self.open = Some(open);
        Ok(())
    }
}

impl Open {
    fn new(path: &Path) -> io::Result<Self> {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        let file = OpenOptions::new().append(true).create(true).mode(MODE).open(path)?;
        let length = file.metadata()?.len();
        Ok(Self { file, length, looked: Instant::now() })
    }

    /// False if somebody else has moved or removed it.
    fn is_still(&self, path: &Path) -> io::Result<bool> {
        if self.looked.elapsed() < LOOK {
            return Ok(true);
        }
        let ours = self.file.metadata()?;
        let there = fs::metadata(path);
        Ok(there.is_ok_and(|there| (there.ino(), there.dev()) == (ours.ino(), ours.dev())))
    }

    fn append(&mut self, lines: &[u8]) -> io::Result<()> {
        let written = self.file.write_all(lines);
        match written {
            Ok(()) => {
                self.length = self.length.saturating_add(u64::try_from(lines.len()).unwrap_or(0));
                Ok(())
            }
            // The cause counts, not what becomes of the rest.
            Err(error) => {
                let _ = self.file.set_len(self.length);
                Err(error)
            }
        }
    }
}

#[cfg(test)]
mod tests;
