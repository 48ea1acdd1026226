//! The cache on disk: one file, a snapshot with a log behind it.
//!
//! ```text
//! file    "CILDNS", version (u16), records
//! record  length of the rest (u32), CRC-32 of the rest (u32), kind (u8), endpoint (u16, 0: none), length of name (u8), name, addresses
//! kind    1 known: addresses with expiry;  2 gone: addresses without;  3 endpoint gone: nothing more
//! address 4 or 6 (u8), 4 or 16 bytes, and in kind 1: expiry (u32, seconds since 1970), TTL (u32, seconds)
//! ```
//!
//! Numbers are big-endian, names are in lower case as on the wire. Snapshots are written beside the file and take its place by
//! renaming, after `fsync`. Appends are not synchronised: a torn end, as a loss of power may leave it, is cut off and reported.

mod file;
pub(crate) mod format;
mod load;

pub use file::{CacheFile, DiskError, Opened, Torn};
pub use load::LoadReport;
