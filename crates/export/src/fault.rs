//! Why something could not be delivered now, and when it is tried again.

use crate::address::Address;
use std::{
    collections::hash_map::RandomState,
    hash::{BuildHasher as _, Hasher as _},
    io,
    path::PathBuf,
    time::Duration,
};

/// Something that may be over when it is tried again.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    #[error("cannot write to {}: {error}", path.display())]
    File { path: PathBuf, error: io::Error },
    #[error("cannot write to standard output: {0}")]
    Stdout(io::Error),
    #[error("cannot connect to {to}: {error}")]
    Connect { to: Address, error: io::Error },
    #[error("no TLS with {to}: {what}")]
    Tls { to: Address, what: String },
    #[error("the connection to {to} broke: {error}")]
    Connection { to: Address, error: io::Error },
    #[error("{0} hung up")]
    HungUp(Address),
    #[error("{to} does not do as its protocol says: {what}")]
    Protocol { to: Address, what: String },
    #[error("{}: {what}", path.display())]
    Secret { path: PathBuf, what: String },
    #[error("{to} takes no logs: {what}")]
    Otlp { to: Address, what: String, wait: Option<Duration> },
    #[error("cannot send to {to} by UDP: {error}")]
    Datagram { to: Address, error: io::Error },
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

/// How long to wait before the next attempt: twice as long each time, up to a bound, and never quite as long as others wait.
#[derive(Debug)]
pub struct Backoff {
    next: Duration,
}

impl Backoff {
    const FIRST: Duration = Duration::from_millis(100);
    const LONGEST: Duration = Duration::from_secs(10);

    #[must_use]
    pub const fn new() -> Self {
        Self { next: Self::FIRST }
    }

    /// It works again.
    pub fn reset(&mut self) {
        self.next = Self::FIRST;
    }

    /// Three quarters to all of the time that it is about.
    pub fn wait(&mut self) -> Duration {
        let whole = self.next;
        self.next = whole.saturating_mul(2).min(Self::LONGEST);
        let [chance, ..] = RandomState::new().build_hasher().finish().to_le_bytes();
        whole.mul_f64(1.0 - f64::from(chance) / 1024.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attempts_become_rarer_up_to_a_bound() {
        let mut backoff = Backoff::new();
        let mut whole = Backoff::FIRST;
        for _ in 0..12 {
            let wait = backoff.wait();
            assert!(wait <= whole && wait >= whole * 3 / 4, "{wait:?} of {whole:?}");
            whole = (whole * 2).min(Backoff::LONGEST);
        }
        backoff.reset();
        assert!(backoff.wait() <= Backoff::FIRST);
    }
}
