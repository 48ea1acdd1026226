//! Where things are pinned, and whether this machine can do it at all.

use crate::{Error, grace::Expedited};
use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// `BPF_FS_MAGIC` of linux/magic.h.
const BPF_FS_MAGIC: libc::__fsword_t = 0xcafe_4a11;

/// Whether an earlier process left something to adopt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    Something,
    Nothing,
}

/// The directories of one layout version below the root.
pub struct Pins {
    root: PathBuf,
}

impl Pins {
    pub fn new(root: &Path) -> Self {
        Self { root: root.join(format!("v{}", ciliate_abi::VERSION)) }
    }

    pub fn map(&self, name: &str) -> PathBuf {
        self.root.join("maps").join(name)
    }

    /// A map of another size that is being replaced; its entries still have to be carried over.
    pub fn outgrown(&self, name: &str) -> PathBuf {
        self.root.join("maps").join(format!("{name}-outgrown"))
    }

    pub fn links(&self) -> PathBuf {
        self.root.join("links")
    }

    /// Is there while short grace periods are asked for.
    pub fn expedited(&self) -> PathBuf {
        self.root.join("expedited")
    }

    /// Of the program that belongs to the network namespace, and to no device.
    pub fn sockets(&self) -> PathBuf {
        self.root.join("sockets")
    }

    pub fn programs(&self) -> PathBuf {
        self.root.join("programs")
    }

    pub fn found(&self) -> Found {
        match self.root.exists() {
            true => Found::Something,
            false => Found::Nothing,
        }
    }

    /// Removes everything of this version.
    pub fn remove(&self) -> Result<(), Error> {
        Expedited::recover(self.expedited());
        // Links first, so that devices are let go before their tables.
        for part in ["links", "sockets", "programs", "maps"] {
            remove_tree(&self.root.join(part))?;
        }
        remove_tree(&self.root)
    }

    pub fn create(&self) -> Result<(), Error> {
        for path in [self.root.join("maps"), self.programs(), self.links(), self.sockets()] {
            fs::create_dir_all(&path).map_err(|source| match source.kind() {
                io::ErrorKind::PermissionDenied => Error::NotPermitted,
                _ => Error::Pin { what: "create", path, source },
            })?;
        }
        Ok(())
    }
}

/// Checks that the root lies on a BPF file system.
pub fn check_bpffs(root: &Path) -> Result<(), Error> {
    let existing = root.ancestors().find(|path| path.exists()).unwrap_or(root);
    let path = std::ffi::CString::new(existing.as_os_str().as_encoded_bytes())
        .map_err(|_| Error::NoBpffs(root.to_owned()))?;
    let mut found = std::mem::MaybeUninit::<libc::statfs>::uninit();
    // SAFETY: `path` ends in NUL and `found` is written before it is read.
    let magic = unsafe {
        match libc::statfs(path.as_ptr(), found.as_mut_ptr()) {
            0 => found.assume_init().f_type,
            _ => return Err(Error::NoBpffs(root.to_owned())),
        }
    };
    if magic == BPF_FS_MAGIC { Ok(()) } else { Err(Error::NoBpffs(root.to_owned())) }
}

/// Removes everything below a root, of all versions.
pub fn cleanup(root: &Path) -> Result<(), Error> {
    let versions = match fs::read_dir(root) {
        Ok(versions) => versions,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(source) => return Err(Error::Pin { what: "list", path: root.to_owned(), source }),
    };
    for version in versions.flatten() {
        Pins { root: version.path() }.remove()?;
    }
    remove_tree(root)
}

fn remove_tree(path: &Path) -> Result<(), Error> {
    match fs::remove_dir_all(path) {
        Ok(()) => Ok(()),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(source) => Err(Error::Pin { what: "remove", path: path.to_owned(), source }),
    }
}
