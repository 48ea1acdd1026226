//! Flows on disk: what was seen, for days, in Parquet files that other programs read as they are (`docs/history.md`).
//!
//! # For who writes
//! One thread has the [`History`]. It appends what it takes from the ring and ticks once a second:
//!
//! ```no_run
//! # use ciliate_history::{History, HistoryError, Settings};
//! # use std::{sync::mpsc, time::{Duration, SystemTime}};
//! # fn run(flows: mpsc::Receiver<Vec<ciliate_flow::Flow>>, run: ciliate_flow::Run) -> Result<(), HistoryError> {
//! let mut history = History::open("/var/lib/ciliate/history".as_ref(), run, Settings::default())?;
//! let reader = history.reader(); // to whoever answers queries
//! loop {
//!     match flows.recv_timeout(Duration::from_secs(1)) {
//!         Ok(flows) => history.append(&flows),
//!         Err(mpsc::RecvTimeoutError::Timeout) => {}
//!         Err(mpsc::RecvTimeoutError::Disconnected) => return Ok(()), // what waits is written when it is dropped
//!     }
//!     history.tick(SystemTime::now());
//!     for notice in history.notices() {
//!         eprintln!("{notice}");
//!     }
//! }
//! # }
//! ```
//! `append` and `tick` do not fail: a disk that is full or broken is told by [`History::notices`], what could not be kept
//! is counted by [`History::lost`], and it goes on when the disk does. A tick waits for the disk, so nobody should wait for this
//! thread. Every 65,536 flows, and when an hour ends, files are made, which takes some tenths of a second: a [`FileMaker`] does
//! that in a thread of its own.
//!
//! # For who reads
//! A [`Reader`] is cheap to clone and works from any thread while the writer writes, and from other processes. A query
//! names times and [`Hints`] that may be wider than what is wanted; each flow that comes out is to be looked at by the exact filter.
//! What was appended after the last tick is not in it; the ring has that.
//!
//! # On disk
//! The directory and its files can be read by their owner only. `RUN-NUMBER.journal` has what came last, `HOUR-RUN-NUMBER.parquet` the
//! rest. A journal becomes a file after 65,536 flows, at the end of an hour, or when a writer opens it again; files of
//! an hour are merged when it has ended. A file that takes the place of others names them in its metadata, so that a writer which
//! is killed in between leaves nothing twice.

mod chunk;
mod column;
mod decode;
mod draft;
mod encode;
mod error;
mod export;
mod file;
mod history;
mod journal;
mod name;
mod pack;
mod query;
mod stats;

pub use column::Column;
pub use error::HistoryError;
pub use export::Wanted;
pub use history::{FileMaker, History, Notice, Settings};
pub use name::Hour;
pub use query::{EndHint, Hint, Hints, Order, Outcome, PodHint, Reader};
pub use stats::{Amount, HourStats, Stats};
