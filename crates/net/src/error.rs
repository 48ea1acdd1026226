//! What can go wrong between us and the kernel's network.

use ipnet::IpNet;
use std::{io, path::PathBuf};
use thiserror::Error;

#[derive(Debug, Error)]
pub enum Error {
    #[error("cannot {what}: {source}{note}")]
    Kernel {
        /// What was asked for, as it follows "cannot".
        what: String,
        source: io::Error,
        /// The kernel's own explanation, or what to do; empty or with its separator.
        note: String,
    },
    #[error("cannot {what}: the kernel's answer makes no sense: {detail}")]
    Answer { what: String, detail: String },
    #[error("device name {name:?} {fault}: use 1 to 15 characters without '/', ':' and white space")]
    DeviceName { name: String, fault: &'static str },
    #[error("device {name} already exists{place}: delete it, or choose another name")]
    DeviceExists { name: String, place: String },
    #[error("device {0} does not exist")]
    NoDevice(String),
    #[error("address pool {pool} overlaps {by}: choose another pool for that address family")]
    PoolInUse { pool: IpNet, by: String },
    #[error("{} is not a network namespace", .0.display())]
    NotANamespace(PathBuf),
    #[error("cannot {what} {}: {source}{note}", path.display())]
    File { what: &'static str, path: PathBuf, source: io::Error, note: &'static str },
    #[error("cannot {what} sysctl {key}: {source}")]
    Sysctl { what: &'static str, key: String, source: io::Error },
    #[error("sysctl key {0:?} must not leave /proc/sys")]
    SysctlKey(String),
    #[error("cannot run nft: {0}; install the Debian package nftables")]
    NftMissing(io::Error),
    #[error("nft refused the rules: {0}")]
    Nft(String),
    #[error("cannot start {program:?}: {source}")]
    Start { program: String, source: io::Error },
}

impl Error {
    pub(crate) fn kernel(what: impl Into<String>, source: impl Into<io::Error>) -> Self {
        let source = source.into();
        let note = match source.kind() {
            io::ErrorKind::PermissionDenied => {
                "; it needs root or the capabilities CAP_NET_ADMIN and CAP_SYS_ADMIN".to_owned()
            }
            _ => String::new(),
        };
        Self::Kernel { what: what.into(), source, note }
    }

    pub(crate) fn file(what: &'static str, path: &std::path::Path, source: impl Into<io::Error>) -> Self {
        let source = source.into();
        let note = match source.kind() {
            io::ErrorKind::PermissionDenied => "; are you root?",
            _ => "",
        };
        Self::File { what, path: path.to_owned(), source, note }
    }

    fn cause(&self) -> Option<&io::Error> {
        match self {
            Self::Kernel { source, .. }
            | Self::File { source, .. }
            | Self::Sysctl { source, .. }
            | Self::Start { source, .. }
            | Self::NftMissing(source) => Some(source),
            Self::Answer { .. }
            | Self::DeviceName { .. }
            | Self::DeviceExists { .. }
            | Self::NoDevice(_)
            | Self::PoolInUse { .. }
            | Self::NotANamespace(_)
            | Self::SysctlKey(_)
            | Self::Nft(_) => None,
        }
    }

    /// Whether the device, namespace, file or process is gone.
    #[must_use]
    pub fn is_missing(&self) -> bool {
        matches!(self, Self::NoDevice(_) | Self::NotANamespace(_))
            || self.cause().and_then(io::Error::raw_os_error).is_some_and(|code| {
                matches!(code, libc::ENODEV | libc::ENOENT | libc::ESRCH | libc::ENXIO | libc::EADDRNOTAVAIL)
            })
    }

    #[must_use]
    pub fn is_permission(&self) -> bool {
        self.cause().is_some_and(|e| e.kind() == io::ErrorKind::PermissionDenied)
    }

    /// The exit code that shells give for a program that could not be started: 127 not found, 126 otherwise.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Start { source, .. } if source.kind() == io::ErrorKind::NotFound => 127,
            Self::Start { .. } => 126,
            _ => 1,
        }
    }
}
