//! Why something could not be delivered now.

use ciliate_transport::HostPort;
use std::{io, path::PathBuf, time::Duration};

/// Something that may be over when it is tried again.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    #[error("cannot write to {}: {error}", path.display())]
    File { path: PathBuf, error: io::Error },
    #[error("cannot write to standard output: {0}")]
    Stdout(io::Error),
    #[error("cannot connect to {to}: {error}")]
    Connect { to: HostPort, error: io::Error },
    #[error("no TLS with {to}: {what}")]
    Tls { to: HostPort, what: String },
    #[error("the connection to {to} broke: {error}")]
    Connection { to: HostPort, error: io::Error },
    #[error("{0} hung up")]
    HungUp(HostPort),
    #[error("{to} does not do as its protocol says: {what}")]
    Protocol { to: HostPort, what: String },
    #[error("{}: {what}", path.display())]
    Secret { path: PathBuf, what: String },
    #[error("{to} takes no logs: {what}")]
    Otlp { to: HostPort, what: String, wait: Option<Duration> },
    #[error("cannot send to {to} by UDP: {error}")]
    Datagram { to: HostPort, error: io::Error },
}

impl Fault {
    /// How long the receiver wants to be left alone, if it says so.
    #[must_use]
    pub fn wait(&self) -> Option<Duration> {
        match self {
            Self::Otlp { wait, .. } => *wait,
            Self::File { .. }
            | Self::Stdout(_)
            | Self::Connect { .. }
            | Self::Tls { .. }
            | Self::Connection { .. }
            | Self::HungUp(_)
            | Self::Protocol { .. }
            | Self::Secret { .. }
            | Self::Datagram { .. } => None,
        }
    }
}
