//! Files that were put aside: `flows-2026-11-21T10-00-00.000.json`, `.gz` behind it if they are compressed, the oldest removed first.

use crate::spec::{Compression, FileTarget};
use flate2::write::GzEncoder;
use jiff::{SignedDuration, Timestamp, civil::DateTime, tz::TimeZone};
use std::{
    ffi::OsString,
    fs::{self, OpenOptions},
    io,
    os::unix::{ffi::OsStrExt as _, fs::OpenOptionsExt as _},
    path::{Path, PathBuf},
    thread::{self, JoinHandle},
};

/// In names, for the moment at which a file was put aside, UTC.
const FORM: &str = "%Y-%m-%dT%H-%M-%S%.3f";
const GZIP: &str = ".gz";
/// A file that is being compressed.
const HALF: &str = ".gz.part";

pub struct Rotation {
    path: PathBuf,
    backups: usize,
    compression: Compression,
    /// What compresses and removes.
    tidying: Option<JoinHandle<()>>,
}

impl Rotation {
    pub fn new(target: &FileTarget) -> Self {
        Self {
            path: target.path.clone(),
            backups: target.backups,
            compression: target.compression,
            tidying: None,
        }
    }

    /// Gives the file its other name. Compressing and removing are done beside.
    pub fn put_aside(&mut self) -> io::Result<()> {
        self.wait();
        // Behind all others, also where two are put aside in one millisecond or the clock was set back: the oldest name goes first.
        let newest = put_aside(&self.path)?.into_iter().map(|(moment, _)| moment).max();
        let behind = newest.and_then(|newest| newest.checked_add(SignedDuration::from_millis(1)).ok());
        let aside = self.name(behind.map_or_else(Timestamp::now, |behind| behind.max(Timestamp::now())));
        fs::rename(&self.path, &aside)?;
        let (path, backups, compression) = (self.path.clone(), self.backups, self.compression);
        let tidy = move || {
            if let Err(error) = tidy(&path, backups, compression) {
                tracing::warn!(%error, "files beside {} are not as they should be", path.display());
            }
        };
        self.tidying = thread::Builder::new().name("export-tidy".to_owned()).spawn(tidy).ok();
        Ok(())
    }

    /// For what was put aside before.
    pub fn wait(&mut self) {
        if self.tidying.take().is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("what tidies up beside {} broke", self.path.display());
        }
    }

    fn name(&self, moment: Timestamp) -> PathBuf {
        let moment = moment.strftime(FORM).to_string();
        let mut name = OsString::from(self.path.file_stem().unwrap_or_default());
        name.push("-");
        name.push(moment);
        if let Some(extension) = self.path.extension() {
            name.push(".");
            name.push(extension);
        }
        self.path.with_file_name(name)
    }
}

impl Drop for Rotation {
    fn drop(&mut self) {
        self.wait();
    }
}

fn with(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    PathBuf::from(name)
}

/// Removes what is too old, compresses the rest.
fn tidy(path: &Path, backups: usize, compression: Compression) -> io::Result<()> {
    let mut aside = put_aside(path)?;
    aside.sort();
    let excess = if backups == 0 { 0 } else { aside.len().saturating_sub(backups) };
    for (_, old) in aside.drain(..excess) {
        fs::remove_file(old)?;
    }
    match compression {
        Compression::None => Ok(()),
        Compression::Gzip => {
            let files = aside.iter().map(|(_, path)| path);
            let mut plain = files.filter(|path| !path.as_os_str().as_bytes().ends_with(GZIP.as_bytes()));
            plain.try_for_each(|path| compress(path))
        }
    }
}

/// Those of this file with their moments, whatever their order.
fn put_aside(path: &Path) -> io::Result<Vec<(Timestamp, PathBuf)>> {
    let Some(folder) = path.parent() else { return Ok(Vec::new()) };
    let (stem, extension) = (path.file_stem().unwrap_or_default(), path.extension());
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        let Some(name) = name.to_str() else { continue };
        let rest = name.strip_suffix(GZIP).unwrap_or(name);
        let rest = match extension.and_then(|extension| extension.to_str()) {
            None => Some(rest),
            Some(extension) => rest.strip_suffix(extension).and_then(|rest| rest.strip_suffix('.')),
        };
        let moment = rest.and_then(|rest| rest.strip_prefix(stem.to_str()?)?.strip_prefix('-'));
        if let Some(moment) = moment.and_then(moment_of) {
            found.push((moment, entry.path()));
        }
    }
    Ok(found)
}

/// Of a name's time; none of what has another form.
fn moment_of(text: &str) -> Option<Timestamp> {
    const LENGTH: usize = "0000-00-00T00-00-00.000".len();
    let moment = DateTime::strptime(FORM, text).ok().filter(|_| text.len() == LENGTH)?;
    Some(moment.to_zoned(TimeZone::UTC).ok()?.timestamp())
}

/// The file disappears only when the other one is whole.
fn compress(path: &Path) -> io::Result<()> {
    let half = with(path, HALF);
    let compressed = || {
        let mut from = fs::File::open(path)?;
        let to = OpenOptions::new().write(true).create(true).truncate(true).mode(super::MODE).open(&half)?;
        let mut encoder = GzEncoder::new(to, flate2::Compression::default());
        io::copy(&mut from, &mut encoder)?;
        encoder.finish()?;
        fs::rename(&half, with(path, GZIP))?;
        fs::remove_file(path)
    };
    compressed().inspect_err(|_| {
        // The plain file is still there.
        let _ = fs::remove_file(&half);
    })
}
