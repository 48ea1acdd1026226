//! Network namespaces: opened, made, entered and deleted.

use crate::Error;
use nix::{
    mount::{MntFlags, MsFlags, mount, umount2},
    sched::{CloneFlags, setns, unshare},
    sys::{stat::fstat, statfs::fstatfs},
};
use serde::{Deserialize, Serialize};
use std::{
    fmt,
    fs::{self, File, OpenOptions},
    io,
    os::{
        fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd},
        unix::fs::OpenOptionsExt,
    },
    path::{Path, PathBuf},
    sync::Arc,
    thread,
};

/// `NSFS_MAGIC` of `linux/magic.h`.
const NAMESPACE_FILES: i64 = 0x6e73_6673;
/// `linux/nsfs.h`.
const NS_GET_NSTYPE: libc::c_ulong = 0xb703;

/// An open network namespace; it lives at least as long as this does.
#[derive(Clone)]
pub struct Netns {
    fd: Arc<OwnedFd>,
    origin: PathBuf,
}

/// Which namespace: equal exactly for handles on the same one, while it lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct NetnsId {
    pub dev: u64,
    pub ino: u64,
}

impl Netns {
    pub fn open(path: &Path) -> Result<Self, Error> {
        let file = OpenOptions::new()
            .read(true)
            .custom_flags(libc::O_NONBLOCK)
            .open(path)
            .map_err(|e| match e.kind() {
                io::ErrorKind::NotFound => Error::File {
                    what: "open the network namespace",
                    path: path.to_owned(),
                    source: e,
                    note: "; it went with its process, or never was: `ip netns list` shows those that have a name",
                },
                _ => Error::file("open the network namespace", path, e),
            })?;
        let fd = OwnedFd::from(file);
        let kind = fstatfs(&fd).map_err(|e| Error::file("look at", path, e))?.filesystem_type();
        if kind.0 != NAMESPACE_FILES {
            return Err(Error::NotANamespace(path.to_owned()));
        }
        // SAFETY: this request takes no argument and only returns the kind of the namespace (ioctl_nsfs(2)).
        let kind = unsafe { libc::ioctl(fd.as_raw_fd(), NS_GET_NSTYPE) };
        match kind == libc::CLONE_NEWNET {
            true => Ok(Self { fd: Arc::new(fd), origin: path.to_owned() }),
            false => Err(Error::NotANamespace(path.to_owned())),
        }
    }

    /// Of a process; missing if there is none with that number.
    pub fn of_pid(pid: u32) -> Result<Self, Error> {
        Self::open(Path::new(&format!("/proc/{pid}/ns/net")))
    }

    /// Of the calling thread.
    pub fn current() -> Result<Self, Error> {
        Self::open(Path::new("/proc/thread-self/ns/net"))
    }

    /// Makes a new namespace with `lo` up and keeps it at `path`, whose folder is made if need be.
    pub fn create(path: &Path) -> Result<Self, Error> {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).map_err(|e| Error::file("make the folder", folder, e))?;
        }
        OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o444)
            .open(path)
            .map_err(|e| Error::file("make the network namespace", path, e))?;
        let made = on_thread(|| {
            unshare(CloneFlags::CLONE_NEWNET).map_err(|e| Error::kernel("make a network namespace", e))?;
            mount(Some("/proc/thread-self/ns/net"), path, None::<&str>, MsFlags::MS_BIND, None::<&str>)
                .map_err(|e| Error::file("keep the network namespace at", path, e))?;
            let netlink = crate::Netlink::new()?;
            netlink.perform(&[crate::netlink::link::up(crate::link::LOOPBACK, "lo")])?;
            Self::open(path)
        });
        if made.is_err() {
            // What led here is the error to report.
            let _ = Self::delete(path);
        }
        made
    }

    /// Lets go of a namespace kept at `path`; it ends with its last process and handle.
    pub fn delete(path: &Path) -> Result<(), Error> {
        use nix::errno::Errno;
        loop {
            match umount2(path, MntFlags::MNT_DETACH) {
                // Something may have been mounted twice.
                Ok(()) => continue,
                Err(Errno::EINVAL | Errno::ENOENT) => break,
                Err(e) => return Err(Error::file("unmount", path, e)),
            }
        }
        match fs::remove_file(path) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => Err(Error::file("delete", path, e)),
            Ok(()) | Err(_) => Ok(()),
        }
    }

    pub fn id(&self) -> Result<NetnsId, Error> {
        let stat = fstat(&self.fd).map_err(|e| Error::file("look at", &self.origin, e))?;
        Ok(NetnsId { dev: stat.st_dev, ino: stat.st_ino })
    }

    /// Where it was opened.
    #[must_use]
    pub fn origin(&self) -> &Path {
        &self.origin
    }

    /// Does something on a thread of its own inside the namespace, and waits for it.
    pub fn run<T: Send>(&self, work: impl FnOnce() -> T + Send) -> Result<T, Error> {
        on_thread(|| {
            self.enter_thread()?;
            Ok(work())
        })
    }

    /// Moves the calling thread for good.
    pub(crate) fn enter_thread(&self) -> Result<(), Error> {
        setns(&self.fd, CloneFlags::CLONE_NEWNET)
            .map_err(|e| Error::file("enter the network namespace", &self.origin, e))
    }
}

fn on_thread<T: Send>(work: impl FnOnce() -> Result<T, Error> + Send) -> Result<T, Error> {
    thread::scope(|scope| {
        let worker = thread::Builder::new()
            .name("netns".into())
            .spawn_scoped(scope, work)
            .map_err(|e| Error::kernel("start a thread", e))?;
        worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

impl AsFd for Netns {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl fmt::Debug for Netns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Netns({})", self.origin.display())
    }
}

impl TryFrom<File> for Netns {
    type Error = Error;

    fn try_from(file: File) -> Result<Self, Error> {
        Self::open(Path::new(&format!("/proc/self/fd/{}", file.as_raw_fd())))
    }
}
