//! Where flows go: one file for each kind of receiver.

mod file;
mod fluentd;
mod otlp;
mod stdout;
pub mod syslog;

pub use fluentd::acks_in;

use crate::{buffer::Entry, fault::Fault, selection::Selection, spec::Target};
use ciliate_flow::Node;
use std::sync::Arc;

/// How an exporter's target is reached.
pub enum Sink {
    File(file::File),
    Stdout(stdout::Stdout),
    Syslog(syslog::Syslog),
    Fluentd(fluentd::Fluentd),
    Otlp(otlp::Otlp),
}

/// What entries are made into.
pub struct Shape {
    pub selection: Selection,
    pub node: Arc<Node>,
}

/// What was taken out of the buffer for one delivery.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Load {
    pub entries: usize,
    /// Of these, those that the receiver's form has no place for.
    pub unfit: usize,
}

/// What became of a load.
#[derive(Debug, PartialEq, Eq)]
pub enum Sent {
    /// The receiver has it.
    Settled,
    /// It was handed to a receiver that does not say what it has.
    Written,
    /// The receiver does not want so many of it, and will not another time; why.
    Refused { flows: usize, why: String },
}

impl Sink {
    pub fn new(target: &Target) -> Self {
        match target {
            Target::File(target) => Self::File(file::File::new(target.clone())),
            Target::Stdout => Self::Stdout(stdout::Stdout::default()),
            Target::Syslog(target) => Self::Syslog(syslog::Syslog::new(target)),
            Target::Fluentd(target) => Self::Fluentd(fluentd::Fluentd::new(target)),
            Target::Otlp(target) => Self::Otlp(otlp::Otlp::new(target)),
        }
    }

    /// Takes what it can deliver at once from the entries, in their order, instead of what it had taken before.
    pub fn load<'a>(&mut self, entries: impl Iterator<Item = &'a Entry>, shape: &Shape) -> Load {
        match self {
            Self::File(file) => file.load(entries, shape),
            Self::Stdout(stdout) => stdout.load(entries, shape),
            Self::Syslog(syslog) => syslog.load(entries, shape),
            Self::Fluentd(fluentd) => fluentd.load(entries, shape),
            Self::Otlp(otlp) => otlp.load(entries, shape),
        }
    }

    /// Delivers what was taken; as often as needed.
    pub async fn send(&mut self) -> Result<Sent, Fault> {
        match self {
            Self::File(file) => file.send(),
            Self::Stdout(stdout) => stdout.send(),
            Self::Syslog(syslog) => syslog.send().await,
            Self::Fluentd(fluentd) => fluentd.send().await,
            Self::Otlp(otlp) => otlp.send().await,
        }
    }

    /// Waits for a receiver to hang up while there is nothing to send.
    pub async fn idle(&mut self) -> Fault {
        match self {
            Self::File(_) | Self::Stdout(_) | Self::Otlp(_) => std::future::pending().await,
            Self::Syslog(syslog) => syslog.idle().await,
            Self::Fluentd(fluentd) => fluentd.idle().await,
        }
    }

    /// Says to the receiver that this is the end.
    pub async fn close(&mut self) {
        match self {
            Self::File(_) | Self::Stdout(_) | Self::Otlp(_) => {}
            Self::Syslog(syslog) => syslog.close().await,
            Self::Fluentd(fluentd) => fluentd.close().await,
        }
    }

    /// Bytes that were written to the present connection, and how many of them the receiver's kernel may not have.
    pub fn position(&self) -> (u64, u64) {
        match self {
            Self::File(_) | Self::Stdout(_) | Self::Otlp(_) => (0, 0),
            Self::Syslog(syslog) => syslog.position(),
            Self::Fluentd(fluentd) => fluentd.position(),
        }
    }
}
