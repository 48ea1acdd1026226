//! Records packets, with what became of each, into pcapng files of a node.
//!
//! Here are filters, limits, files and the service that Hubble's clients ask; where packets come from is the business of
//! whoever answers a [`Recorder`]'s commands.

mod command;
mod file;
mod filter;
pub mod pcapng;
mod recording;
mod request;
mod service;

pub use command::{Command, Progress, Recorder, RecordingId, Refusal, Started, View};
pub use file::Storage;
pub use filter::{Filter, FilterError};
pub use recording::{Counted, Device, Recording, Seen, Statistics};
pub use request::{End, FilePrefix, Limits, OneOf, Request, RequestError, Snap};
pub use service::Service;
