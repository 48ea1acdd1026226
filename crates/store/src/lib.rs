//! Where objects are kept: JSON documents by kind and key, changed all or nothing, watched.
//!
//! [`Embedded`] keeps them in one file of this host. What any place for objects has in common is here: documents carry
//! the revision of their last change, a batch of writes is one revision, a write may demand what it replaces, and a
//! watcher that falls behind is told to list again.

mod document;
mod embedded;
mod error;
mod watch;

pub use document::{Change, Document, Expect, Revision, Write};
pub use embedded::Embedded;
pub use error::Error;
pub use watch::{Event, Watch};
