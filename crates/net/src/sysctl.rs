//! Kernel settings that we change, with what was there before.

use crate::Error;
use serde::{Deserialize, Serialize};
use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// The changed settings of one node. Each is on disk before it is made, so that it can be taken back after a crash.
/// Applies to the network namespace of the calling thread.
#[derive(Debug)]
pub struct Sysctls {
    file: PathBuf,
    changes: Vec<Change>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Change {
    /// Below `/proc/sys`, with slashes.
    key: String,
    before: String,
    ours: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    V4,
    V6,
}

impl Sysctls {
    /// Reads what an earlier run noted in `file`; none is well too.
    pub fn open(file: &Path) -> Result<Self, Error> {
        let changes = match fs::read(file) {
            Ok(bytes) => serde_json::from_slice(&bytes).map_err(|e| {
                Error::file(
                    "read the saved kernel settings in",
                    file,
                    io::Error::new(io::ErrorKind::InvalidData, e),
                )
            })?,
            Err(e) if e.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(e) => return Err(Error::file("read the saved kernel settings in", file, e)),
        };
        Ok(Self { file: file.to_owned(), changes })
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// Sets one, such as `net.ipv4.ip_forward`; with slashes where a device's name has dots.
    /// What is already so is left alone, and stays so on [`Self::restore`].
    pub fn set(&mut self, key: &str, value: &str) -> Result<(), Error> {
        let key = path_of(key)?;
        let now = read(&key)?;
        if now == value {
            return Ok(());
        }
        match self.changes.iter_mut().find(|c| c.key == key) {
            Some(change) => change.ours = value.to_owned(),
            None => self.changes.push(Change { key: key.clone(), before: now, ours: value.to_owned() }),
        }
        self.save()?;
        write(&key, value)
    }

    /// Notes a value that another change is about to overwrite.
    fn keep(&mut self, key: String, ours: &str) -> Result<(), Error> {
        let before = read(&key)?;
        if !self.changes.iter().any(|c| c.key == key) {
            self.changes.push(Change { key, before, ours: ours.to_owned() });
        }
        Ok(())
    }

    /// Makes the kernel forward packets of a family.
    ///
    /// Turning it on or off for all devices overwrites other settings (ip-sysctl: `ip_forward`, `forwarding`), and a
    /// forwarding host ignores router advertisements unless `accept_ra` is 2; all that is kept and restored.
    pub fn forward(&mut self, family: Family) -> Result<(), Error> {
        let (all, tree) = match family {
            Family::V4 => ("net/ipv4/ip_forward", "net/ipv4/conf"),
            Family::V6 => ("net/ipv6/conf/all/forwarding", "net/ipv6/conf"),
        };
        if read(all)? == "1" {
            return Ok(());
        }
        let devices = devices(tree)?;
        if family == Family::V6 {
            // Before forwarding: the kernel purges the routes of devices that still say 1.
            for device in &devices {
                let key = format!("{tree}/{device}/accept_ra");
                if device != "all" && read(&key)? == "1" {
                    self.set(&key, "2")?;
                }
            }
        }
        self.set_all(all, tree, &devices, family)
    }

    fn set_all(&mut self, all: &str, tree: &str, devices: &[String], family: Family) -> Result<(), Error> {
        // The switch comes first, so that it is also restored first, and then what it overwrites.
        self.keep(all.to_owned(), "1")?;
        for device in devices {
            let key = format!("{tree}/{device}/forwarding");
            // Switched off along with the rest, but was on.
            if key != all && read(&key)? == "1" {
                self.keep(key, "1")?;
            }
        }
        if family == Family::V4 {
            self.keep(format!("{tree}/all/accept_redirects"), "0")?;
        }
        self.save()?;
        write(all, "1")
    }

    /// Puts back what was there before, where the value is still ours; devices that are gone are passed over.
    /// What could not be put back stays noted.
    pub fn restore(&mut self) -> Vec<Error> {
        let (ours, others): (Vec<_>, Vec<_>) = self.changes.drain(..).partition(
            |change| matches!(read(&change.key), Ok(now) if now == change.ours || now == change.before),
        );
        for change in others {
            tracing::debug!(
                key = change.key,
                "somebody else changed this kernel setting, or its device is gone"
            );
        }
        let mut errors = Vec::new();
        for change in ours {
            let put_back = match read(&change.key) {
                Ok(now) if now == change.before => Ok(()),
                Ok(_) | Err(_) => write(&change.key, &change.before),
            };
            if let Err(e) = put_back {
                errors.push(e);
                self.changes.push(change);
            }
        }
        errors.extend(self.save().err());
        errors
    }

    fn save(&self) -> Result<(), Error> {
        let save = || {
            if self.changes.is_empty() {
                return match fs::remove_file(&self.file) {
                    Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
                    Ok(()) | Err(_) => Ok(()),
                };
            }
            let fresh = self.file.with_extension("new");
            fs::write(&fresh, serde_json::to_vec_pretty(&self.changes)?)?;
            fs::rename(fresh, &self.file)
        };
        save().map_err(|e| Error::file("note the changed kernel settings in", &self.file, e))
    }
}

/// Lets packets with loopback addresses cross a device, so that a published port answers on `127.0.0.1` too.
///
/// The table that [`crate::Masquerade`] writes keeps endpoints from using that for the host's own loopback services.
pub fn route_loopback(device: &str) -> Result<(), Error> {
    crate::link::check_name(device)?;
    write(&format!("net/ipv4/conf/{device}/route_localnet"), "1")
}

fn path_of(key: &str) -> Result<String, Error> {
    let path = match key.contains('/') {
        true => key.to_owned(),
        false => key.replace('.', "/"),
    };
    match path.is_empty() || path.split('/').any(|part| matches!(part, "" | "." | "..")) {
        true => Err(Error::SysctlKey(key.to_owned())),
        false => Ok(path),
    }
}

fn read(key: &str) -> Result<String, Error> {
    fs::read_to_string(Path::new("/proc/sys").join(key))
        .map(|text| text.trim_end().to_owned())
        .map_err(|source| Error::Sysctl { what: "read", key: key.to_owned(), source })
}

fn write(key: &str, value: &str) -> Result<(), Error> {
    fs::write(Path::new("/proc/sys").join(key), value).map_err(|source| Error::Sysctl {
        what: "write",
        key: key.to_owned(),
        source,
    })
}

fn devices(tree: &str) -> Result<Vec<String>, Error> {
    let path = Path::new("/proc/sys").join(tree);
    let list = || fs::read_dir(&path)?.map(|e| Ok(e?.file_name().to_string_lossy().into_owned())).collect();
    let found: io::Result<Vec<String>> = list();
    let mut found = found.map_err(|e| Error::file("list", &path, e))?;
    found.sort();
    Ok(found)
}
